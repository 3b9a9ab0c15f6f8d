"""Every mistake that one can make in a config file, told where it stands."""

import json

import pytest

from gateway.config.loader import load
from gateway.config.settings import SettingsError
from tests.gateway.configs import BASE, KEY, with_account

PASTED = {"service_key_json": None}
"""A subaccount without a key in a file."""


@pytest.mark.parametrize(
    ("config", "where", "words"),
    [
        ({"secret_authentication_tokens": "abc"}, "secret_authentication_tokens", "must be a list"),
        ({"secret_authentication_tokens": [1]}, "secret_authentication_tokens[0]", "must be a string, not a number"),
        ({"secret_authentication_tokens": ["a", ""]}, "secret_authentication_tokens[1]", "is empty"),
        ({"secret_authentication_tokens": ["a", " "]}, "secret_authentication_tokens[1]", "is blank"),
        ({"secret_authentication_tokens": ["sk-\x00"]}, "secret_authentication_tokens[0]", "no header can carry"),
        ({"secret_signing_keys": ["fifteen letters"]}, "secret_signing_keys[0]", "shorter than 16 characters"),
        ({"secret_authentication_tokens": ["${T}"]}, "secret_authentication_tokens[0]", "variable T is not set"),
        ({"port": "x"}, "port", "must be a whole number, not a string"),
        ({"port": 0}, "port", "at least 1"),
        ({"port": float("nan")}, "port", "must be a finite number"),
        ({"port": 65536}, "port", "at most 65535"),
        ({"port": 3.5}, "port", "without a fraction"),
        ({"port": None, "host": ""}, "host", "is empty"),
        ({"server": {"threads": 0}}, "server.threads", "at least 1"),
        (
            {"server": {"trusted_proxies": ["nginx"]}},
            "server.trusted_proxies[0]",
            "is neither an address nor a network",
        ),
        ({"server": {"allowed_hosts": "http://proxy"}}, "server.allowed_hosts[0]", "without a scheme or a port"),
        ({"server": {"allowed_hosts": ["a", "b:80"]}}, "server.allowed_hosts[1]", "'b:80' is not a host name"),
        ({"server": {"allowed_hosts": ["*.b"]}}, "server.allowed_hosts[0]", "'*.b' is not a host name"),
        ({"server": {"requests_per_key": 0}}, "server.requests_per_key", "at least 1"),
        ({"server": {"max_memory_bytes": 1000}}, "server.max_memory_bytes", "at least 1048576"),
        (
            {"server": {"max_memory_bytes": 2_000_000, "max_request_memory_bytes": 3_000_000}},
            "server.max_request_memory_bytes",
            "is more than max_memory_bytes; write at most 2000000",
        ),
        ({"server": []}, "server", "must be an object"),
        ({"port": 1, "server": {"port": 2}}, "server.port", "differs from port at the top"),
        ({"host": "a", "server": {"host": "b"}}, "server.host", "differs from host at the top"),
        ({"log_level": "loud"}, "log_level", "write 'debug', 'info', 'warning' or 'error'"),
        ({"log_level": 3}, "log_level", "is unknown"),
        ({"allow_unauthenticated": "perhaps"}, "allow_unauthenticated", "must be true or false, not a string"),
        (
            {"model_filters": {"include": ["("]}},
            "model_filters.include[0]",
            "is not a regular expression: missing ), unterminated",
        ),
        ({"model_filters": {"exclude_filters": "a"}}, "model_filters.exclude_filters", "must be a list"),
        ({"upstream": {"proxy": "proxy:80"}}, "upstream.proxy", "is not a URL"),
        ({"upstream": {"proxy": "https://proxy:443"}}, "upstream.proxy", "write http://"),
        ({"upstream": {"proxy": "${P}"}}, "upstream.proxy", "variable P is not set"),
        ({"upstream": {"media_allow": ["10.0.0/8"]}}, "upstream.media_allow[0]", "neither a host name nor a network"),
        ({"upstream": {"media_allow": "https://docs"}}, "upstream.media_allow[0]", "write one such as docs.example"),
        ({"upstream": {"media_deny": ["a", "10.0.0"]}}, "upstream.media_deny[1]", "'10.0.0' is neither a host name"),
        ({"upstream": {"media_deny": ["*"]}}, "upstream.media_deny[0]", "'*' is neither a host name nor a network"),
        ({"upstream": {"ca_bundle": "no.pem"}}, "upstream.ca_bundle", "there is no file"),
        ({"routing": {"strategy": "rondo"}}, "routing.strategy", "write one of round-robin"),
        ({"routing": {"models": {"a.b": {"strategy": "x"}}}}, 'routing.models."a.b".strategy', "'x' is not a strategy"),
        ({"routing": {"retry": {"max_attempts": 0}}}, "routing.retry", "max_attempts must be between"),
        ({"routing": {"timeouts": {"idle": "long"}}}, "routing.timeouts.idle", "must be a number, not a string"),
        ({"routing": {"breaker": 3}}, "routing.breaker", "must be an object"),
        ({"subAccounts": []}, "subAccounts", "must be an object"),
        ({"subAccounts": {"eu": 1}}, "subAccounts.eu", "must be an object"),
        ({"subAccounts": {}}, "", "there is no subaccount"),
    ],
)
def test_a_mistake_is_reported_where_it_stands_and_alone(mistakes_in, config, where, words):
    found = mistakes_in(with_account() | config)

    assert [where] == list(found)
    assert words in found[where]


@pytest.mark.parametrize(
    ("keys", "where", "words"),
    [
        ({"service_key_json": ""}, "service_key_json", "is empty"),
        ({"service_key_json": "no.json"}, "service_key_json", "there is no file"),
        ({"service_key_json": "bad.json"}, "service_key_json", "is not valid JSON"),
        ({"service_key_json": "deep.json"}, "service_key_json", "is not valid JSON: it is nested too deeply"),
        ({"service_key_json": "digits.json"}, "service_key_json", "JSON: one of its numbers has too many digits"),
        ({"service_key_json": ' {"clientid": "c"}'}, "service_key_json", "is the content of a file"),
        ({"service_key_json": "half.json"}, "service_key_json", "half.json, clientsecret is missing"),
        ({"service_key_json": 3}, "service_key_json", "must be a string, not a number"),
        ({"service_key_json": None}, "", "has no service key"),
        ({"service_key": KEY}, "", "has both"),
        ({"service_key_json": None, "service_key": "hunter2"}, "service_key", 'must be an object or "env"'),
        ({"service_key_json": None, "service_key": {**KEY, "url": ""}}, "service_key.url", "is missing"),
        ({"service_key_json": None, "service_key": "env"}, "service_key", "in the environment"),
        ({**PASTED, "service_key": {**KEY, "clientsecret": "a\ud800"}}, "service_key.clientsecret", "half of"),
        ({**PASTED, "service_key": {**KEY, "identityzoneid": "a\nb"}}, "service_key.identityzoneid", "no header"),
        ({"resource_group": ""}, "resource_group", "is empty"),
        ({"resource_group": "a\r\nb"}, "resource_group", "has a character that no header can carry"),
        ({"resource_group": "a\u2603"}, "resource_group", "has a character that no header can carry"),
        ({"weight": -1}, "weight", "at least 0"),
        ({"weight": "heavy"}, "weight", "must be a number, not a string"),
        ({"tier": 0.5}, "tier", "without a fraction"),
        ({"discovery": "maybe"}, "discovery", "must be true or false, not a string"),
        ({"deployment_models": {"m": 3}}, "deployment_models.m", "must be a list"),
        ({"deployment_models": {"m": [3]}}, "deployment_models.m[0]", "must be an object"),
        ({"deployment_models": {"m": ["https://x/d1"]}}, "deployment_models.m[0]", "write https://…/v2/inference"),
        ({"deployment_models": {"m": "/deployments/d1"}}, "deployment_models.m[0]", "is not a deployment URL"),
        ({"deployment_models": {"m": [{}]}}, "deployment_models.m[0].url", "is missing"),
        ({"deployment_ids": {"m.1": [{"id": "d", "weight": -1}]}}, 'deployment_ids."m.1"[0].weight', "at least 0"),
        ({"deployment_ids": {"m": f"{BASE}/d1"}}, "deployment_ids.m[0]", "the URL under deployment_models"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_subaccount_is_reported_where_it_stands_and_alone(mistakes_in, tmp_path, keys, where, words):
    (tmp_path / "bad.json").write_text("{hunter2")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "digits.json").write_text('{"clientid": ' + "9" * 5_000 + "}")
    (tmp_path / "half.json").write_text(json.dumps(KEY | {"clientsecret": ""}))

    found = mistakes_in(with_account(**keys))

    assert list(found) == [f"subAccounts.eu.{where}".rstrip(".")]
    assert words in next(iter(found.values()))


def test_all_mistakes_are_reported_at_once(mistakes_in):
    """Those of shape and those of content, each under its own key."""
    found = mistakes_in(
        {
            "subAccounts": {
                "a": {"service_key_json": "no.json", "weight": -1, "deployment_ids": {"m": "x/y"}},
                "b": {"service_key_json": "eu.json", "deployment_models": {"m": ["nonsense"], "n": 3}},
                "c": {"service_key": 3},
                "d": "what",
            },
            "secret_authentication_tokens": "abc",
            "port": 0,
            "model_filters": {"include": ["["], "exclude": [")"]},
            "routing": {"retry": {"max_attempts": 0}},
        }
    )

    assert set(found) == {
        "subAccounts.a.service_key_json",
        "subAccounts.a.weight",
        "subAccounts.a.deployment_ids.m[0]",
        "subAccounts.b.deployment_models.n",
        "subAccounts.c.service_key",
        "subAccounts.d",
        "secret_authentication_tokens",
        "port",
        "model_filters.include[0]",
        "model_filters.exclude[0]",
        "routing.retry",
    }


def test_each_line_names_the_file_the_key_and_what_to_write(write_config, home):
    file = write_config(with_account() | {"port": "x"})

    with pytest.raises(SettingsError) as caught:
        load(file, {}, home)

    assert str(caught.value) == f"{file}: port: must be a whole number, not a string; write one without quotes"


@pytest.mark.parametrize(
    ("text", "words"), [("{", "is not valid JSON"), ("[]", "must be an object"), ("3", "must be an object")]
)
def test_a_file_that_is_no_object_is_refused(write_config, home, text, words):
    with pytest.raises(SettingsError, match=words):
        load(write_config(text), {}, home)


def test_what_is_odd_is_told_with_what_is_wrong(write_config, home):
    """A key that is spelled wrongly is why another is missing."""
    file = write_config({"subaccounts": {"eu": {"service_key_json": "eu.json"}}})

    with pytest.raises(SettingsError) as caught:
        load(file, {}, home)

    assert caught.value.warnings == ('subaccounts: this key is unknown and has no effect; did you mean "subAccounts"?',)


def test_a_mistake_in_a_part_of_routing_hides_no_other(mistakes_in):
    config = with_account() | {"routing": {"strategy": "quickest", "breaker": {"timeout": 0}, "retry": 3}}

    assert sorted(mistakes_in(config)) == ["routing.breaker", "routing.retry", "routing.strategy"]


def test_a_missing_file_is_named(tmp_path, home):
    with pytest.raises(SettingsError, match="there is no file"):
        load(tmp_path / "nope.json", {}, home)


def test_what_the_second_look_at_a_file_cannot_cure_is_reported_all_the_same(mistakes_in):
    assert list(mistakes_in(with_account(deployment_ids={"m": [{"id": 1}, {"id": 2}]}))) == [
        "subAccounts.eu.deployment_ids.m[0].id",
        "subAccounts.eu.deployment_ids.m[1].id",
    ]


def test_a_broken_key_in_the_environment_is_reported(mistakes_in):
    config = {"subAccounts": {"x": {"service_key": "env"}}}

    assert list(
        mistakes_in(config, {"AICORE_CLIENT_ID": "x", "AICORE_BASE_URL": "https://x", "AICORE_AUTH_URL": "https://x"})
    ) == ["subAccounts.x.service_key.the AICORE_* variables.clientsecret"]


def test_an_empty_name_of_a_subaccount_or_model_is_refused(mistakes_in):
    assert len(mistakes_in({"subAccounts": {"": {"service_key_json": "eu.json"}}})) == 1
    assert len(mistakes_in(with_account(deployment_ids={"": "d"}))) == 1


def test_a_mistake_in_a_subaccount_without_a_name_is_reported_beside_that(mistakes_in):
    found = mistakes_in({"subAccounts": {"": {"service_key_json": "eu.json", "weight": -1}}})

    assert 'subAccounts."".weight' in found
    assert len(found) == 2


def test_a_file_that_nobody_may_look_for_is_told_where_it_is_named(mistakes_in):
    long = f"{'x' * 300}/key.json"
    config = {"subAccounts": {"eu": {"service_key_json": long}}, "upstream": {"ca_bundle": long}}
    found = mistakes_in(config)

    assert set(found) == {"subAccounts.eu.service_key_json", "upstream.ca_bundle"}
    assert all(what.startswith("cannot look for ") for what in found.values())
    assert all(what.endswith(": File name too long") for what in found.values())


def test_a_name_that_is_written_twice_is_told(settings_of):
    one, other = (json.dumps({"service_key_json": f"{name}.json", "weight": 1}) for name in ("eu", "us"))
    settings = settings_of(f'{{"subAccounts": {{"eu": {one}, "eu": {other}}}, "port": 1, "port": 2}}')

    assert [each.key.client_id for each in settings.subaccounts.values()] == ["us"]
    assert settings.warnings == (
        "eu: is written twice in one object; only the last one counts",
        "port: is written twice in one object; only the last one counts",
    )


def test_two_subaccounts_whose_names_differ_in_blanks_are_one_too_many(mistakes_in):
    account = {"service_key_json": "eu.json"}

    assert mistakes_in({"subAccounts": {"eu": account, "eu ": account}}) == {
        'subAccounts."eu "': "exists a second time without the blanks; rename one of them"
    }


def test_a_mistake_in_a_service_key_hides_no_other_in_the_subaccount(mistakes_in):
    """Nor is the key, which is left out because of it, called missing."""
    deployments = {"m": [{"url": 3}, {"url": f"{BASE}/d1", "weight": "x"}], "n": "nonsense"}
    found = mistakes_in(with_account(service_key_json=3, deployment_models=deployments, deployment_ids={"o": "a/b"}))

    assert set(found) == {
        "subAccounts.eu.service_key_json",
        "subAccounts.eu.deployment_models.m[0].url",
        "subAccounts.eu.deployment_models.m[1].weight",
        "subAccounts.eu.deployment_ids.o[0]",
    }


def test_a_key_below_a_mistake_is_still_told_to_be_unknown_with_what_may_be_meant(write_config, home):
    deployments = {"m": [{"url": 3, "wieght": 1}]}
    routing = {"retry": {"max_attempts": 0, "max_atempts": 2}, "models": {"a": {"idel": 1, "idle": "x"}}}
    file = write_config({**with_account(deployment_models=deployments), "routing": routing})

    with pytest.raises(SettingsError) as caught:
        load(file, {}, home)

    assert set(caught.value.warnings) == {
        'subAccounts.eu.deployment_models.m[0].wieght: this key is unknown and has no effect; did you mean "weight"?',
        'routing.retry.max_atempts: this key is unknown and has no effect; did you mean "max_attempts"?',
        'routing.models.a.idel: this key is unknown and has no effect; did you mean "idle"?',
    }
    assert len(caught.value.mistakes) == 3


def test_tokens_that_have_a_mistake_are_not_called_missing_too(write_config, home):
    file = write_config(with_account() | {"host": "0.0.0.0", "secret_authentication_tokens": ["${NOPE}"]})

    with pytest.raises(SettingsError, match="the environment variable NOPE is not set") as caught:
        load(file, {}, home)

    assert caught.value.warnings == ()


def test_a_mistake_in_the_proxy_hides_none_in_the_certificates(mistakes_in):
    found = mistakes_in(with_account() | {"upstream": {"proxy": "proxy:80", "ca_bundle": "no.pem"}})

    assert set(found) == {"upstream.proxy", "upstream.ca_bundle"}
