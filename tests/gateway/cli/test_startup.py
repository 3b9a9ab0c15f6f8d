"""What starting says, and whether it serves an account, the demo, or nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main as command_line
from gateway.config.settings import Settings
from tests.gateway.observability.test_log_writer import log_kept
from tests.support.processes import free_port
from tests.support.running import Cloud, config_of

Ask = Callable[..., Result]
NOTHING_SERVED: list[Settings] = []


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, served: list[Settings]) -> Ask:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("AICORE_", "SAP_AI_PROXY_", "VCAP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *arguments: CliRunner().invoke(command_line.cli, arguments, obj=lambda: None)


@pytest.fixture
def config(cloud: Cloud, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def write(**more: Any) -> dict[str, Any]:
        written = {**config_of(cloud, {"gpt-4.1": []}), "port": free_port(), **more}
        (tmp_path / "config.json").write_text(json.dumps(written))
        return written

    return write


# An account, the demo, or nothing


def test_with_nothing_configured_nothing_is_served_and_the_ways_out_are_named(
    ask: Ask, served: list[Settings], tmp_path: Path
) -> None:
    told = ask()

    assert (told.exit_code, served) == (2, NOTHING_SERVED)
    assert told.stderr.startswith(f"sap-ai-proxy: There is no config.json in {tmp_path} and no service key in the ")
    assert all(way in told.stderr for way in ("`sap-ai-proxy init`", "--config FILE", "--demo"))
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize("option", [(), ("--or-demo",)], ids=["plain", "or-demo"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AICORE_RESOURCE_GROUP", "team-a"),
        ("SAP_AI_PROXY_SECRET_AUTHENTICATION_TOKENS", '["sk-mine"]'),
        ("SAP_AI_PROXY_ROUTING__STRATEGY", "priority"),
    ],
)
def test_variables_that_are_there_for_an_account_and_do_not_hold_one_start_no_demo(
    ask: Ask, served: list[Settings], monkeypatch: pytest.MonkeyPatch, option: tuple[str], variable: str, value: str
) -> None:
    """Whoever has set them wants no model that is emulated."""
    monkeypatch.setenv(variable, value)
    told = ask(*option)

    assert (told.exit_code, served) == (2, NOTHING_SERVED)
    assert told.stderr.startswith(f"sap-ai-proxy: {variable} is set, but there is no service key and no config.json in")
    assert told.stderr.count("\n") == 1


def test_half_a_service_key_in_variables_starts_no_demo(
    ask: Ask, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AICORE_CLIENT_ID", "mine")
    told = ask("--or-demo")

    assert (told.exit_code, served) == (2, NOTHING_SERVED)
    assert "is missing; copy it from the service key" in told.stderr


def test_an_account_goes_before_the_demo_that_would_do_otherwise(
    ask: Ask, served: list[Settings], config: Callable[..., dict[str, Any]]
) -> None:
    config()
    told = ask("--or-demo")

    assert told.exit_code == 0
    assert [(settings.is_demo, sorted(settings.subaccounts)) for settings in served] == [(False, ["eu", "us"])]
    assert "demo" not in told.stderr


def test_a_config_file_that_is_named_and_the_demo_exclude_each_other(
    ask: Ask, served: list[Settings], config: Callable[..., dict[str, Any]]
) -> None:
    config()
    told = ask("--demo", "--config", "config.json")

    assert (told.exit_code, served) == (2, NOTHING_SERVED)
    assert told.stderr == "sap-ai-proxy: --demo serves no config file: leave out --demo, or --config.\n"


def test_the_demo_beside_a_config_file_and_variables_takes_no_account_key_or_strategy_of_them(
    ask: Ask, served: list[Settings], config: Callable[..., Any], cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = config(secret_authentication_tokens=["sk-mine"])["subAccounts"]["eu"]["service_key"]
    monkeypatch.setenv("AICORE_SERVICE_KEY", json.dumps(mine))
    monkeypatch.setenv("AICORE_RESOURCE_GROUP", "team-z")
    monkeypatch.setenv("SAP_AI_PROXY_SUBACCOUNTS__EU__SERVICE_KEY", json.dumps(mine))
    monkeypatch.setenv("SAP_AI_PROXY_ROUTING__STRATEGY", "priority")
    told = ask("--demo", "--port", str(free_port()))

    assert told.exit_code == 0
    [settings] = served
    urls = [account.key.api_url for account in settings.subaccounts.values()]
    assert settings.is_demo
    assert [url.startswith(cloud.url) for url in urls] == [False, False]
    assert "team-z" not in {account.resource_group for account in settings.subaccounts.values()}
    assert [key.secret.reveal() for key in settings.keys] == ["sk-demo"]
    assert settings.policy.strategy == "round-robin"


# What is said


def test_it_is_said_what_is_served_and_how_to_go_on(ask: Ask, config: Callable[..., Any], cloud: Cloud) -> None:
    models = ["gpt-4.1", "gpt-5", "anthropic--claude-4.5-sonnet", "text-embedding-3-small"]
    accounts = config_of(cloud, {model: [] for model in models})["subAccounts"]
    del accounts["us"]["deployment_models"]
    written = config(
        subAccounts=accounts,
        secret_authentication_tokens=["sk-of-a-caller-01", "sk-of-a-caller-02"],
        routing={"strategy": "least-latency"},
    )
    base = f"http://127.0.0.1:{written['port']}"
    title, *lines = ask().stderr.splitlines()

    assert title.endswith(f" on {base}")
    assert lines == [
        "",
        f"  base URL  {base}/v1  (OpenAI)   {base}  (Anthropic, Google)",
        "  key       one of your 2 configured keys; `sap-ai-proxy connect key` prints the first",
        "  models    4 in eu",
        "            claude: anthropic--claude-4.5-sonnet",
        "            embeddings: text-embedding-3-small",
        "            gpt: gpt-5, gpt-4.1",
        "            also what runs in us, where discovery is under way",
        "  strategy  least-latency",
        "  next      sap-ai-proxy connect, which sets up Claude Code, Codex and other tools",
        f"            {base} in a browser",
        "",
    ]


def test_the_commands_that_are_named_are_about_the_file_that_is_served(
    ask: Ask, config: Callable[..., Any], tmp_path: Path
) -> None:
    config()
    (tmp_path / "config.json").rename(tmp_path / "other.json")
    told = ask("--config", "other.json").stderr

    assert "sap-ai-proxy connect --config other.json, which sets up" in told


def test_no_more_than_three_models_of_a_family_are_named(ask: Ask, config: Callable[..., Any], cloud: Cloud) -> None:
    accounts = config_of(cloud, {model: [] for model in ("gpt-4.1", "gpt-5", "gpt-5-mini", "gpt-5.5")})["subAccounts"]
    urls = accounts["eu"]["deployment_models"]["gpt-4.1"]
    accounts["eu"]["deployment_models"] = {f"gpt-{number}": urls for number in range(5, 9)}
    accounts.pop("us")
    config(subAccounts=accounts)

    assert "            gpt: gpt-8, gpt-7, gpt-6 and 1 more\n" in ask().stderr


def test_a_log_for_programs_has_nothing_but_objects_and_one_of_them_says_what_is_served(
    ask: Ask, config: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    port = config(prot=1, log_format="json", secret_authentication_tokens=[])["port"]
    with log_kept():
        told = ask()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    assert (told.exit_code, told.stderr) == (0, "")
    assert [(line["level"], line.get("url")) for line in lines] == [
        ("warning", None),
        ("warning", None),
        ("info", f"http://127.0.0.1:{port}"),
    ]
    assert lines[2]["models"] == ["gpt-4.1"]
    assert (lines[2]["keys"], lines[2]["subaccounts"], lines[2]["demo"]) == (0, ["eu", "us"], False)


@pytest.mark.parametrize("how", ["option", "variable"])
def test_what_keeps_the_proxy_from_starting_is_an_object_for_programs_too(
    ask: Ask, config: Callable[..., Any], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    config(port="no port", prot=1)
    if how == "variable":
        monkeypatch.setenv("SAP_AI_PROXY_LOG_FORMAT", "JSON")
    with log_kept():
        told = ask(*(("--log-format", "json") if how == "option" else ()))
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    assert (told.exit_code, told.stderr) == (2, "")
    assert [line["level"] for line in lines] == ["warning", "critical"]
    assert "config.json: port" in lines[1]["message"]


def test_example_keys_and_short_ones_are_looked_for_before_the_proxy_serves(
    ask: Ask, config: Callable[..., Any]
) -> None:
    config(secret_authentication_tokens=["sk-choose-your-own", "sk-short"])
    exposed, here, checked = ask("--host", "0.0.0.0"), ask(), ask("check").stdout

    assert exposed.exit_code == 2
    assert "config.json: secret_authentication_tokens[0]: is an example key of the documentation" in exposed.stderr
    assert here.exit_code == 0
    assert "secret_authentication_tokens[0]: is an example key of the documentation" in here.stderr
    assert "secret_authentication_tokens[1]: is shorter than 16 characters" in here.stderr
    assert "is shorter than 16 characters" in " ".join(checked.split())
