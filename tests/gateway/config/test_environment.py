"""Settings in environment variables: over the file, or without one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.environment import PREFIX, for_demo, variable_of
from gateway.config.loader import load
from gateway.config.schema import ConfigFile
from gateway.config.schema_file import json_schema
from gateway.config.settings import SettingsError
from tests.gateway.configs import BASE, KEY, only, rows, with_account

ACCOUNT = {"SUBACCOUNTS__EU__SERVICE_KEY": json.dumps(KEY)}


def prefixed(variables):
    return {PREFIX + name: text for name, text in variables.items()}


@pytest.fixture
def said(settings_of):
    """Reads the settings of variables alone, or over a config file."""

    def said(variables, config=None):
        return load(None, prefixed(variables), None) if config is None else settings_of(config, prefixed(variables))

    return said


@pytest.fixture
def wrong_in(said):
    """Finds what is wrong with variables, by where it stands, and what is odd; no secret is shown."""

    def wrong_in(variables, config=None):
        with pytest.raises(SettingsError) as caught:
            said(variables, config)
        assert "hunter2" not in str((caught.value, caught.value.warnings))
        return {mistake.where.removeprefix(PREFIX): mistake.what for mistake in caught.value.mistakes}

    return wrong_in


def test_a_container_needs_no_file(said):
    settings = said(
        {
            **ACCOUNT,
            "SUBACCOUNTS__EU__DEPLOYMENT_IDS": '{"gpt-5.5": "d1"}',
            "SECRET_AUTHENTICATION_TOKENS": '["sk-1", "sk-2"]',
            "HOST": "0.0.0.0",
            "PORT": "8080",
            "SERVER__WORKERS": "3",
            "ROUTING__STRATEGY": "least-latency",
            "ROUTING__BREAKER__WINDOW": "2.5",
            "UPSTREAM__FETCH_MEDIA": "false",
        }
    )

    assert only(settings).name == "eu"
    assert list(rows(settings)) == ["gpt-5.5"]
    assert [key.secret.reveal() for key in settings.keys] == ["sk-1", "sk-2"]
    assert (settings.host, settings.port, settings.server.workers) == ("0.0.0.0", 8080, 3)
    assert (settings.policy.strategy, settings.policy.breaker.window) == ("least-latency", 2.5)
    assert settings.fetch_media is False
    assert settings.warnings == ()


def test_a_variable_goes_before_the_file_and_the_command_line_before_both(said):
    settings = said({"PORT": "8080", "LOG_LEVEL": "error"}, with_account() | {"port": 3002, "host": "127.0.0.2"})

    assert (settings.port, settings.log_level, settings.host) == (8080, "error", "127.0.0.2")
    assert settings.overridden(port=9).port == 9


def scalars(schema, node, place=()) -> Iterator[tuple[tuple[str, ...], object]]:
    """List the settings whose default is a number, a truth value or a text."""
    for key, each in schema["$defs"][node]["properties"].items() if node else schema["properties"].items():
        if "$ref" in each:
            yield from scalars(schema, each["$ref"].rpartition("/")[2], (*place, key))
        elif isinstance(each.get("default"), int | float | str):
            yield (*place, key), each["default"]


SCALARS = list(scalars(json_schema(), ""))


@pytest.mark.parametrize(("place", "default"), SCALARS, ids=[".".join(place) for place, _ in SCALARS])
def test_every_setting_can_come_from_a_variable_as_it_is_written_in_the_file(said, place, default):
    named = variable_of(place).removeprefix(PREFIX)

    assert said({**ACCOUNT, named: text(default)}).warnings == ()


def test_every_key_of_the_file_has_a_variable(said):
    whole = ConfigFile.model_validate(with_account() | {"secret_authentication_tokens": ["a"]})
    top = whole.model_dump(by_alias=True, mode="json", exclude={"schema_", "subaccounts"}, exclude_none=True)
    top["server"].pop("threads", None)
    settings = said(
        {**ACCOUNT, **{variable_of((key,)).removeprefix(PREFIX): text(value) for key, value in top.items()}}
    )

    assert settings.warnings == ()


def text(value):
    return value if isinstance(value, str) else json.dumps(value)


NAMES = {
    # the variable, after SUBACCOUNTS__   the subaccount that it is for
    "EU_10__WEIGHT": "eu-10",
    "eu-10__WEIGHT": "eu-10",
    "PROD_EU__WEIGHT": "Prod.EU",
    "Prod.EU__weight": "Prod.EU",
}


@pytest.mark.parametrize("variable", NAMES)
def test_a_name_that_the_file_has_is_found_whatever_its_case_and_signs(said, variable):
    accounts = {name: {"service_key_json": "eu.json", "deployment_ids": {"m": name}} for name in ("eu-10", "Prod.EU")}
    settings = said({f"SUBACCOUNTS__{variable}": "4"}, {"subAccounts": accounts, "routing": {"strategy": "weighted"}})
    weights = {name: account.weight for name, account in settings.subaccounts.items()}

    assert weights == {"eu-10": 1, "Prod.EU": 1} | {NAMES[variable]: 4}


def test_a_new_name_is_lower_cased_in_a_path_and_kept_in_json(said):
    by_path = said({"SUBACCOUNTS__EU_10__SERVICE_KEY": json.dumps(KEY)})
    by_json = said({"SUBACCOUNTS": json.dumps({"Prod.EU": {"service_key": KEY}})})

    assert list(by_path.subaccounts) == ["eu_10"]
    assert list(by_json.subaccounts) == ["Prod.EU"]


def test_json_replaces_a_whole_object_and_a_longer_path_adds_to_it(said):
    variables = {"ROUTING": '{"retry": {"max_attempts": 5}}', "ROUTING__RETRY__HINT_CAP": "3"}
    policy = said(variables, with_account() | {"routing": {"strategy": "priority"}}).policy

    assert (policy.strategy, policy.retry.max_attempts, policy.retry.hint_cap) == ("round-robin", 5, 3)


@pytest.mark.parametrize(
    ("variables", "config"),
    [
        ({"PORT": "8080"}, {"server": {"port": 5}}),
        ({"SERVER__PORT": "8080"}, {"port": 5}),
        ({"PORT": "8080", "SERVER": "{}"}, {"server": {"port": 5}}),
    ],
)
def test_a_variable_replaces_what_the_file_says_under_the_other_name(said, variables, config):
    assert said(variables, with_account() | config).port == 8080


def test_a_service_key_replaces_the_file_that_the_config_names(said):
    key = json.dumps(KEY | {"clientid": "other"})

    assert only(said({"SUBACCOUNTS__EU__SERVICE_KEY": key}, with_account())).key.client_id == "other"


def test_paths_of_files_start_from_the_current_folder(said, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.json").write_text(json.dumps(KEY | {"clientid": "mine"}))
    monkeypatch.chdir(elsewhere)
    settings = said({"SUBACCOUNTS__EU__SERVICE_KEY_JSON": "mine.json"}, with_account())

    assert only(settings).key.client_id == "mine"
    assert settings.warnings == ()


def test_an_empty_variable_counts_as_not_set(said):
    assert said({**ACCOUNT, "PORT": "", "HOST": " "}).port == 3001


def test_what_kubernetes_sets_for_a_service_of_the_same_name_is_no_setting(said):
    set_by_kubernetes = {
        "SERVICE_HOST": "10.0.0.11",
        "SERVICE_PORT": "3001",
        "SERVICE_PORT_HTTP": "3001",
        "PORT": "tcp://10.0.0.11:3001",
        "PORT_3001_TCP": "tcp://10.0.0.11:3001",
        "PORT_3001_TCP_PROTO": "tcp",
        "PORT_3001_TCP_PORT": "3001",
        "PORT_3001_TCP_ADDR": "10.0.0.11",
    }
    settings = said({**ACCOUNT, **set_by_kubernetes}, with_account() | {"port": 3002})

    assert (settings.port, settings.warnings) == (3002, ())


@pytest.mark.parametrize(
    ("variables", "where", "what"),
    [
        ({"PORT": "eighty"}, "PORT", "must be a whole number; write digits alone"),
        ({"PORT": "0"}, "PORT", "is too small; write a number of at least 1"),
        ({"ROUTING__BREAKER__WINDOW": "long"}, "ROUTING__BREAKER__WINDOW", "must be a number; write one as in 2.5"),
        ({"ROUTING__FALLBACK": "perhaps"}, "ROUTING__FALLBACK", "must be true or false; write one of them"),
        ({"ROUTING__STRATEGY": "rondo"}, "ROUTING__STRATEGY", "is not a strategy; write one of round-robin"),
        ({"ROUTING": "priority"}, "ROUTING", "must be an object; write it as JSON"),
        ({"ROUTING__RETRY__MAX_ATTEMPTS": "0"}, "ROUTING__RETRY__MAX_ATTEMPTS", "max_attempts must be between"),
        ({"ROUTING": '{"breaker": 3}'}, "ROUTING.breaker", "must be an object, not a number"),
        ({"SECRET_AUTHENTICATION_TOKENS": "hunter2"}, "SECRET_AUTHENTICATION_TOKENS", 'as JSON, as in ["…"]'),
        (
            {"SECRET_AUTHENTICATION_TOKENS": '["hunter2'},
            "SECRET_AUTHENTICATION_TOKENS",
            "is not valid JSON: Unterminated",
        ),
        ({"SECRET_AUTHENTICATION_TOKENS": '["a", ""]'}, "SECRET_AUTHENTICATION_TOKENS[1]", "is empty"),
        ({"SECRET_AUTHENTICATION_TOKENS": "[" * 100_000}, "SECRET_AUTHENTICATION_TOKENS", "nested too deeply"),
        ({"SECRET_SIGNING_KEYS": '["hunter2"]'}, "SECRET_SIGNING_KEYS[0]", "is shorter than 16 characters"),
        ({"UPSTREAM__CA_BUNDLE": "no.pem"}, "UPSTREAM__CA_BUNDLE", "paths start from the current folder"),
        ({"SUBACCOUNTS__US__SERVICE_KEY": "hunter2"}, "SUBACCOUNTS__US__SERVICE_KEY", 'must be an object or "env"'),
        (
            {"SUBACCOUNTS__US__SERVICE_KEY": json.dumps(KEY | {"url": ""})},
            "SUBACCOUNTS__US__SERVICE_KEY.url",
            "is missing",
        ),
        ({"PORT": "1", "port": "2"}, "port", f"sets the same as {PREFIX}PORT; keep one of them"),
        ({"PORT": "1", "SERVER__PORT": "2"}, "SERVER__PORT", "differs from port at the top"),
    ],
)
def test_a_mistake_names_the_variable_and_what_to_write(wrong_in, variables, where, what):
    [(found, complaint)] = wrong_in({**ACCOUNT, **variables}).items()

    assert found == where
    assert what in complaint


def test_a_mistake_of_the_file_names_the_file_beside_one_of_a_variable(said):
    with pytest.raises(SettingsError) as caught:
        said({"LOG_LEVEL": "loud"}, with_account() | {"port": 0})
    of_file, of_variable = str(caught.value).splitlines()

    assert of_file.endswith("config.json: port: is too small; write a number of at least 1")
    assert of_variable.startswith(f"{PREFIX}LOG_LEVEL: is unknown; write 'debug'")


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("PROT", f"; did you mean {PREFIX}PORT?"),
        ("SUBACOUNTS__EU__WEIGHT", f"; did you mean {PREFIX}SUBACCOUNTS?"),
        ("ROUTING__STRATEGIE", f"; did you mean {PREFIX}ROUTING__STRATEGY?"),
        ("SUBACCOUNTS__EU__WIEGHT", f"; did you mean {PREFIX}SUBACCOUNTS__EU__WEIGHT?"),
        ("ROUTING_STRATEGY", f"; did you mean {PREFIX}ROUTING__STRATEGY?"),
        ("SERVER_WORKERS", f"; did you mean {PREFIX}SERVER__WORKERS?"),
        ("QUITE_ANOTHER", ""),
        ("PORT__", f"; write JSON into {PREFIX}PORT"),
        ("SUBACCOUNTS__EU__SERVICE_KEY__URL", f"; write JSON into {PREFIX}SUBACCOUNTS__EU__SERVICE_KEY"),
    ],
)
def test_an_unknown_variable_is_a_warning_that_says_which_was_meant(said, variable, hint):
    settings = said({**ACCOUNT, variable: "hunter2"})

    assert settings.warnings == (f"{PREFIX}{variable}: this variable is unknown and has no effect{hint}",)


def test_a_key_that_is_unknown_in_json_is_a_warning_that_names_the_variable(said):
    [warning] = said({**ACCOUNT, "SERVER": '{"wokers": 2}'}).warnings

    assert warning.startswith(f"{PREFIX}SERVER.wokers: this key is unknown")
    assert 'did you mean "workers"?' in warning


def test_deployments_come_from_a_variable_by_url_too(said):
    settings = said({**ACCOUNT, "SUBACCOUNTS__EU__DEPLOYMENT_MODELS": json.dumps({"gpt-4.1": [f"{BASE}/d7"]})})

    assert list(only(settings).deployments) == ["gpt-4.1"]


def test_a_file_that_is_no_object_is_told_as_without_variables(wrong_in):
    assert wrong_in({"PORT": "8080"}, "[]").keys() == {""}


def test_a_demo_takes_how_it_runs_and_nobodys_account_from_the_environment():
    runs = prefixed({"PORT": "1", "SERVER__WORKERS": "2", "LOG_LEVEL": "debug"})
    whose = prefixed({**ACCOUNT, "UPSTREAM__PROXY": "http://p", "SECRET_AUTHENTICATION_TOKENS": '["a"]'})
    others = {"HOME": str(Path.home()), "AICORE_SERVICE_KEY": "{}"}

    assert for_demo(runs | whose | others) == runs | others
