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
    assert "restart it or send it SIGHUP" in " ".join(again.stdout.split())
    assert "SIGHUP" not in run("init", key).stdout


def save_as_config(run: Run, key: str, mode: int = 0o644) -> bytes:
    """Save a service key where the config file should be."""
    path = run.folder / "config.json"
    path.write_bytes(Path(key).read_bytes())
    path.chmod(mode)
    return path.read_bytes()


def test_a_service_key_that_was_saved_as_the_config_file_moves_away_as_check_advises(run: Run, key_of: KeyOf) -> None:
    before = save_as_config(run, key_of("eu"))
    advice = run("check").stderr
    command = advice.partition("create a config file from it with: sap-ai-proxy ")[2].split()
    shown = run(*command, "--dry-run")
    untouched = (run.files, (run.folder / "config.json").read_bytes())
    told = run(*command)

    assert command == ["init", "--service-key", "config.json"], advice
    assert untouched == (["config.json"], before)
    assert "would move config.json, which is the service key, to eu_key.json" in shown.output
    assert told.exit_code == 0, told.output
    assert "moved config.json, which is the service key, to eu_key.json; only you can read it" in told.output
    assert run.config["subAccounts"] == {"eu": {"resource_group": "default", "service_key_json": "eu_key.json"}}
    assert (run.files, (run.folder / "eu_key.json").read_bytes()) == (["config.json", "eu_key.json"], before)
    assert {(run.folder / name).stat().st_mode & 0o777 for name in run.files} == {0o600}
    assert run("check").exit_code == 0


def test_a_service_key_in_the_place_of_the_config_file_need_not_be_named(run: Run, key_of: KeyOf) -> None:
    before = save_as_config(run, key_of("eu"))
    (run.folder / "eu_key.json").write_text("a poem")
    told = run("init")

    assert told.exit_code == 0, told.output
    assert (run.folder / "eu_key_2.json").read_bytes() == before
    assert (run.folder / "eu_key.json").read_text() == "a poem"


def test_another_service_key_in_the_place_of_the_config_file_stays_there(run: Run, key_of: KeyOf) -> None:
    before = save_as_config(run, key_of("several"))
    told = run("init", key_of("eu"))

    assert (told.exit_code, run.files, (run.folder / "config.json").read_bytes()) == (1, ["config.json"], before)
    assert told.stderr == (
        "sap-ai-proxy: config.json is another service key, not a config file: "
        "move it away, or give another --config FILE.\n"
    )
