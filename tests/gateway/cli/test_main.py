"""What the command line is asked and what it says, up to the point where it would serve."""

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import proxy_server
from gateway.cli import main as command_line
from gateway.config.settings import Settings
from tests.support.processes import free_port
from tests.support.running import Cloud, config_of

Ask = Callable[..., Result]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, served: list[Settings]) -> Ask:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AICORE_SERVICE_KEY", "AICORE_CLIENT_ID", "AICORE_HOME", "AICORE_CONFIG", "VCAP_SERVICES"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(command_line.cli, arguments, obj=lambda: None)


@pytest.fixture
def config(cloud: Cloud, tmp_path: Path) -> Callable[..., None]:
    def write(**more: Any) -> None:
        (tmp_path / "config.json").write_text(json.dumps({**config_of(cloud, {"gpt-4.1": []}), **more}))

    return write


def test_options_count_before_the_config_file(ask: Ask, config: Callable[..., None], served: list[Settings]) -> None:
    port = free_port()
    config(port=9, server={"workers": 1}, log_level="error", log_format="json")
    told = ask(
        "--port", str(port), "--workers", "3", "--log-level", "warning", "--host", "localhost", "--log-format", "text"
    )

    assert told.exit_code == 0
    [settings] = served
    assert (settings.host, settings.port, settings.server.workers) == ("127.0.0.1", port, 3)
    assert (settings.log_level, settings.log_format) == ("warning", "text")
    assert f"base URL  http://localhost:{port}/v1" in told.stderr
    assert "Try it" not in told.stderr


def test_variables_count_before_the_config_file_and_options_before_both(
    ask: Ask, config: Callable[..., None], served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    config(port=9, log_level="error")
    monkeypatch.setenv("SAP_AI_PROXY_PORT", "10")
    monkeypatch.setenv("SAP_AI_PROXY_LOG_LEVEL", "warning")
    told = ask("--port", str(port))

    assert told.exit_code == 0
    [settings] = served
    assert (settings.port, settings.log_level) == (port, "warning")


def test_a_subaccount_in_a_variable_is_served_without_a_file_and_no_demo(
    ask: Ask, cloud: Cloud, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    account = config_of(cloud, {"gpt-4.1": []})["subAccounts"]["eu"]
    monkeypatch.setenv("SAP_AI_PROXY_SUBACCOUNTS__EU__SERVICE_KEY", json.dumps(account["service_key"]))
    monkeypatch.setenv("SAP_AI_PROXY_PORT", str(free_port()))
    told = ask()

    assert told.exit_code == 0
    [settings] = served
    assert list(settings.subaccounts) == ["eu"]
    assert "demo" not in told.stderr


def test_a_demo_serves_nobodys_account_and_takes_the_port_of_the_variable(
    ask: Ask, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("SAP_AI_PROXY_SUBACCOUNTS__MINE__SERVICE_KEY", "{}")
    monkeypatch.setenv("SAP_AI_PROXY_SECRET_AUTHENTICATION_TOKENS", '["sk-mine"]')
    monkeypatch.setenv("SAP_AI_PROXY_PORT", str(port))
    told = ask("--demo")

    assert told.exit_code == 0
    [settings] = served
    assert settings.port == port
    assert "mine" not in settings.subaccounts
    assert [key.secret.reveal() for key in settings.keys] == ["sk-demo"]


def test_a_host_that_leads_nowhere_is_one_clear_line(
    ask: Ask, config: Callable[..., None], served: list[Settings]
) -> None:
    config(host="nowhere.invalid", secret_authentication_tokens=["sk-of-a-caller-01"])
    told = ask()

    assert (told.exit_code, served) == (2, [])
    assert told.stderr.startswith("sap-ai-proxy: cannot listen on nowhere.invalid: ")
    assert told.stderr.endswith(". Give an address of this machine with --host.\n")
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [(), ("check",), ("route", "gpt-4.1")], ids=["serve", "check", "route"])
def test_a_config_file_that_nobody_may_look_for_is_one_clear_line(
    ask: Ask, served: list[Settings], command: tuple[str, ...]
) -> None:
    told = ask(*command, "--config", f"{'x' * 300}/config.json")

    assert (told.exit_code, served) == (2, [])
    assert re.fullmatch(
        r"sap-ai-proxy: Cannot look for the config file x+/config\.json: File name too long\.\n", told.stderr
    )


def test_debug_is_a_level_of_the_log(ask: Ask, config: Callable[..., None], served: list[Settings]) -> None:
    config(port=free_port())
    ask("--debug")

    assert [settings.log_level for settings in served] == ["debug"]


@pytest.mark.parametrize(
    ("host", "more", "listens", "said"),
    [
        ("127.0.0.1", {}, "127.0.0.1", "everyone who can reach this port may send requests"),
        ("0.0.0.0", {}, "127.0.0.1", "listening on 127.0.0.1 only, not on 0.0.0.0"),
        ("0.0.0.0", {"allow_unauthenticated": True}, "0.0.0.0", "everyone who can reach this port may send requests"),
    ],
)
def test_without_keys_for_callers_it_is_said_who_may_call(
    ask: Ask, config: Callable[..., None], served: list[Settings], host: str, more: dict, listens: str, said: str
) -> None:
    config(secret_authentication_tokens=[], port=free_port(), **more)
    told = ask("--host", host)

    assert [listens] == [settings.host for settings in served]
    assert said in told.stderr
    assert "key       any: no key is configured" in told.stderr


def test_what_is_odd_about_the_config_file_is_said_and_no_obstacle(
    ask: Ask, config: Callable[..., None], served: list[Settings]
) -> None:
    config(prot=1, port=free_port())
    told = ask()

    assert len(served) == 1
    assert 'warning: prot: this key is unknown and has no effect; did you mean "port"?' in told.stderr


def test_a_demo_is_served_whatever_config_file_there_is_if_it_is_asked_for(
    ask: Ask, config: Callable[..., None], served: list[Settings], cloud: Cloud
) -> None:
    config()
    told = ask("--demo", "--port", str(free_port()))

    assert told.exit_code == 0
    assert "This is a demo: " in told.stderr
    assert "Try it" in told.stderr
    [settings] = served
    assert cloud.url not in settings.subaccounts["eu"].key.api_url


def test_a_service_key_in_the_environment_is_no_reason_for_a_demo(
    ask: Ask, cloud: Cloud, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AICORE_SERVICE_KEY", json.dumps(config_of(cloud)["subAccounts"]["eu"]["service_key"]))
    told = ask("--port", str(free_port()))

    assert "demo" not in told.stderr
    assert [name for settings in served for name in settings.subaccounts] == ["default"]


def test_check_goes_out_the_way_that_is_configured(ask: Ask, config: Callable[..., None]) -> None:
    """An HTTP proxy at which nobody listens lets nothing through."""
    config()
    assert ask("check").exit_code == 0

    config(upstream={"proxy": f"http://127.0.0.1:{free_port()}", "proxy_loopback": True})
    told = ask("check")
    assert told.exit_code == 1
    assert "the HTTP proxy 127.0.0.1:" in told.stdout
    assert "correct upstream.proxy" in told.stdout


def test_route_explains_without_calling_anything(ask: Ask, config: Callable[..., None], cloud: Cloud) -> None:
    config()
    cloud.forget()
    told = ask("route", "gpt-4.1", "--n", "2")

    assert told.exit_code == 0
    assert "protocol  openai-chat, passed through" in told.stdout
    assert cloud.ask("GET", "/admin/requests") == []


def test_route_says_the_same_to_programs(ask: Ask, config: Callable[..., None]) -> None:
    config()
    said = json.loads(ask("route", "gpt-4.1", "--client", "anthropic", "--n", "3", "--json").stdout)

    assert (said["model"], said["protocol"], said["translated_from"]) == (
        "gpt-4.1",
        "openai-chat",
        "anthropic-messages",
    )
    assert len(said["chosen"]) == sum(each["chosen"] for each in said["endpoints"]) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("route", "unheard-of"), "'unheard-of' is not deployed"),
        (("--config", "gone.json"), "There is no config file gone.json."),
        (("route", "gpt-4.1", "--config", "gone.json"), "There is no config file gone.json."),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    ask: Ask, config: Callable[..., None], arguments: tuple[str, ...], said: str
) -> None:
    config()
    told = ask(*arguments)

    assert told.exit_code == 2
    assert told.stderr.startswith("sap-ai-proxy: ")
    assert said in told.stderr


def test_a_port_that_is_taken_is_told_with_a_way_out(ask: Ask, config: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config(port=port)
        told = ask()

    assert told.exit_code == 2
    assert (
        f" `sap-ai-proxy status --url http://127.0.0.1:{port}` shows whether a proxy is already serving there. "
        in told.stderr
    )
    assert told.stderr.endswith("Choose another port with --port.\n")


def test_a_broken_config_file_is_told_and_nothing_is_served(ask: Ask, tmp_path: Path, served: list[Settings]) -> None:
    (tmp_path / "config.json").write_text("{")
    told = ask()

    assert (told.exit_code, served) == (2, [])
    assert "is not valid JSON" in told.stderr


def test_the_emulator_takes_the_place_of_the_command(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is exchanged for the process, so here it may only be looked at."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr("os.execve", lambda *given: found.append(given))
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    ask("emulator", "--port", "0", "--expires-in", "5", "--help")

    [(program, command, env)] = found
    assert command == [program, "-P", "-m", "emulator", "--port", "0", "--expires-in", "5", "--help"]
    assert env["PYTHONPATH"].split(":") == [str(Path(command_line.__file__).parents[2]), "/elsewhere"]


def test_the_command_is_called_by_its_own_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("sys.argv", ["whatever", "--version"])
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(SystemExit) as caught:
        proxy_server.main()

    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("sap-ai-proxy, version ")
