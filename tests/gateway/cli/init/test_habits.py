"""What people type first, and what `sap-ai-proxy init` makes of it."""

from collections.abc import Callable
from pathlib import Path

from tests.gateway.cli.init.conftest import Run

KeyOf = Callable[..., str]


def test_the_service_key_may_stand_alone_but_only_once(run: Run, key_of: KeyOf) -> None:
    key = key_of("eu")
    twice = run("init", key, "--service-key", key)

    assert (twice.exit_code, run.files) == (2, [])
    assert "Give the service key once" in twice.stderr

    told = run("init", key)
    assert told.exit_code == 0, told.output
    assert list(run.config["subAccounts"]) == ["eu"]
    assert "SIGHUP" not in told.stdout

    again = run("init", key_of("several"), "--resource-group", "default")
    assert again.exit_code == 0, again.output
    assert run.config["subAccounts"].keys() == {"eu", "several"}
    assert "start it anew or send it SIGHUP" in " ".join(again.stdout.split())
    assert "SIGHUP" not in run("init", key).stdout


def test_a_service_key_named_as_the_config_file_stays_as_it_is(run: Run, key_of: KeyOf) -> None:
    key = Path(key_of("eu"))
    before = key.read_bytes()
    told = run("init", "--config", str(key), str(key))

    assert told.exit_code == 1
    assert told.stderr.startswith(f"sap-ai-proxy: {key} is a service key, not a config file: ")
    assert (key.read_bytes(), list(key.parent.glob(f"{key.name}.*"))) == (before, [])
