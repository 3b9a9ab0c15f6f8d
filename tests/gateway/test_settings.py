"""Settings, from the ancestor's file to every mistake one can make in it."""

import json
from dataclasses import astuple
from pathlib import Path

import jsonschema
import pytest

from gateway.accounts import Deployment, Filters
from gateway.config_file import json_schema
from gateway.service_keys import Secret
from gateway.settings import SCHEMA_FILE, SettingsError, load, main, pools, with_discovered
from routing.policy import ModelPolicy, Policy

ROOT = Path(__file__).parents[2]
KEY = {
    "clientid": "id",
    "clientsecret": "hunter2",
    "url": "https://auth.example",
    "identityzoneid": "zone",
    "serviceurls": {"AI_API_URL": "https://api.example"},
}
BASE = "https://api.example/v2/inference/deployments"
ANCESTOR = {
    "subAccounts": {
        "eu": {
            "resource_group": "default",
            "service_key_json": "eu.json",
            "deployment_models": {"gpt-4.1": [f"{BASE}/d1", f"{BASE}/d2"], "gemini-2.5-pro": [f"{BASE}/d3/"]},
        },
        "us": {
            "resource_group": "team-a",
            "service_key_json": "us.json",
            "deployment_models": {"gpt-4.1": [f"{BASE}/d4"]},
        },
    },
    "secret_authentication_tokens": ["token-1", "token-2"],
    "port": 3002,
    "host": "0.0.0.0",
}
VARIABLES = {"AICORE_SERVICE_KEY": json.dumps(KEY), "AICORE_RESOURCE_GROUP": "team-b"}


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def write(tmp_path):
    def write(config, name="config.json"):
        (tmp_path / "eu.json").write_text(json.dumps(KEY))
        (tmp_path / "us.json").write_text(json.dumps(KEY | {"clientid": "us"}))
        file = tmp_path / name
        file.write_text(config if isinstance(config, str) else json.dumps(config))
        return file

    return write


@pytest.fixture
def read(write, home):
    def read(config, env=None):
        return load(write(config), env or {}, home)

    return read


@pytest.fixture
def mistakes(read):
    def mistakes(config, env=None):
        with pytest.raises(SettingsError) as caught:
            read(config, env)
        assert "hunter2" not in str(caught.value)
        assert len(str(caught.value).splitlines()) == len(caught.value.mistakes)
        return {mistake.where: mistake.what for mistake in caught.value.mistakes}

    return mistakes


def with_account(**keys):
    return {"subAccounts": {"eu": {"service_key_json": "eu.json", **keys}}}


def rows(settings):
    """Endpoints, field by field: two of them count as equal whatever their weight."""
    return {model: [astuple(each) for each in endpoints] for model, endpoints in pools(settings).items()}


def only(settings):
    [account] = settings.subaccounts.values()
    return account


# The ancestor's file


def test_the_ancestors_file_works_unchanged(read, tmp_path):
    settings = read(ANCESTOR)

    assert list(settings.subaccounts) == ["eu", "us"]
    assert (settings.host, settings.port, settings.tokens) == ("0.0.0.0", 3002, (Secret("token-1"), Secret("token-2")))
    assert settings.subaccounts["us"].key.client_id == "us"
    assert not any(account.discovery for account in settings.subaccounts.values())
    assert (settings.warnings, settings.source) == ((), tmp_path / "config.json")
    assert settings.policy == Policy()


def test_pools_keep_the_order_of_the_file(read):
    assert rows(read(ANCESTOR)) == {
        "gpt-4.1": [
            ("eu", f"{BASE}/d1", "gpt-4.1", "default", 1.0, 0),
            ("eu", f"{BASE}/d2", "gpt-4.1", "default", 1.0, 0),
            ("us", f"{BASE}/d4", "gpt-4.1", "team-a", 1.0, 0),
        ],
        "gemini-2.5-pro": [("eu", f"{BASE}/d3", "gemini-2.5-pro", "default", 1.0, 0)],
    }


def test_defaults_are_the_ancestors(read):
    settings = read(with_account())

    assert (settings.host, settings.port, only(settings).resource_group) == ("127.0.0.1", 3001, "default")


def test_paths_start_from_the_config_file_and_then_from_the_current_folder(write, home, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = write(with_account())
    (tmp_path / "eu.json").rename(elsewhere / "eu.json")
    monkeypatch.chdir(elsewhere)

    settings = load(file, {}, home)

    assert only(settings).key.client_id == "id"
    assert settings.warnings == (
        "subAccounts.eu.service_key_json: was found in the current folder and not beside the config file",
    )


# Subaccounts


def test_a_deployment_may_be_a_text_a_list_or_an_object_with_weight_and_tier(read):
    account = only(
        read(
            with_account(
                deployment_models={
                    " one ": f"{BASE}/d1",
                    "more": [f"{BASE}/d2", {"url": f"{BASE}/d3", "weight": 5, "tier": 1}],
                },
                deployment_ids={"one": "d4", "ids": ["d5", {"id": "d6", "weight": 0.5}]},
            )
        )
    )

    assert account.deployments == {
        "one": (Deployment(f"{BASE}/d1"), Deployment(f"{BASE}/d4")),
        "more": (Deployment(f"{BASE}/d2"), Deployment(f"{BASE}/d3", 5.0, 1)),
        "ids": (Deployment(f"{BASE}/d5"), Deployment(f"{BASE}/d6", 0.5)),
    }
    assert account.deployments["ids"][1].id == "d6"


def test_weights_multiply_and_tiers_add_up(read):
    settings = read(with_account(weight=2, tier=1, deployment_ids={"m": [{"id": "d1", "weight": 3, "tier": 2}]}))

    assert rows(settings) == {"m": [("eu", f"{BASE}/d1", "m", "default", 6.0, 3)]}


def test_a_deployment_that_is_listed_twice_counts_twice_and_is_mentioned(read):
    settings = read(with_account(deployment_models={"m": [f"{BASE}/d1", f"{BASE}/d1/", f"{BASE}/d2"]}))

    assert only(settings).deployments["m"] == (Deployment(f"{BASE}/d1", 2.0), Deployment(f"{BASE}/d2"))
    assert settings.warnings == ("subAccounts.eu m: d1 is listed more than once; give it a weight instead",)


def test_a_path_behind_the_deployment_id_is_cut_off(read):
    settings = read(with_account(deployment_models={"m": f"{BASE}/d1/chat/completions?api-version=1"}))

    assert only(settings).deployments == {"m": (Deployment(f"{BASE}/d1"),)}
    assert len(settings.warnings) == 1


@pytest.mark.parametrize(
    ("keys", "discovery"),
    [
        ({}, True),
        ({"discovery": False}, False),
        ({"deployment_ids": {"m": "d"}}, False),
        ({"deployment_ids": {"m": "d"}, "discovery": True}, True),
    ],
)
def test_what_lists_nothing_is_looked_up_unless_told_otherwise(read, keys, discovery):
    settings = read(with_account(**keys))

    assert only(settings).discovery is discovery
    assert len(settings.warnings) == (keys == {"discovery": False})


def test_the_service_key_may_stand_in_the_config_file(read):
    config = {"subAccounts": {"eu": {"service_key": KEY | {"clientsecret": "${SECRET}"}}}}

    assert only(read(config, {"SECRET": "s"})).key.proof == Secret("s")


def test_a_subaccount_may_take_its_key_from_the_environment(read):
    config = {"subAccounts": {"x": {"service_key": "env"}, "y": {"service_key": "env", "resource_group": "own"}}}

    accounts = read(config, VARIABLES).subaccounts

    assert [(each.name, each.resource_group) for each in accounts.values()] == [("x", "team-b"), ("y", "own")]


@pytest.mark.parametrize("config", [None, {}, {"subAccounts": {}, "port": 4000}])
def test_without_subaccounts_the_environment_gives_the_one(write, home, config):
    settings = load(None if config is None else write(config), VARIABLES, home)

    account = only(settings)
    assert (account.name, account.resource_group, account.discovery) == ("default", "team-b", True)
    assert account.key.client_id == "id"


def test_with_neither_file_nor_key_there_is_a_way_shown(home):
    with pytest.raises(SettingsError, match=r"^environment: there is no subaccount.*AICORE_SERVICE_KEY") as caught:
        load(None, {}, home)

    assert len(caught.value.mistakes) == 1


def test_filters_choose_models_under_both_of_their_names(read):
    config = with_account(deployment_ids={name: name for name in ("gpt-4.1", "gpt-5", "gemini", "gpt-5-nano")})

    one = read(config | {"model_filters": {"include_filters": ["^gpt"], "exclude_filters": ["nano$"]}})
    other = read(config | {"model_filters": {"include": ["^gpt"], "exclude": ["nano$"]}})

    assert list(only(one).deployments) == list(only(other).deployments) == ["gpt-4.1", "gpt-5"]
    assert Filters().admits("anything")
    assert not only(one).discovery


def test_what_is_discovered_is_added_filtered_and_never_twice(read):
    config = with_account(deployment_ids={"m": {"id": "d1", "weight": 5}}, discovery=True)
    settings = read(config | {"model_filters": {"exclude": ["secret"]}})
    found = {"m": (Deployment(f"{BASE}/d1"), Deployment(f"{BASE}/d2")), "n": (Deployment("https://x/d3"),)}
    found |= {"secret": (Deployment("https://x/d4"),), "alias": (Deployment(f"{BASE}/d1"),)}

    joined = with_discovered(settings, {"eu": found, "unknown": found})

    assert only(joined).deployments == {
        "m": (Deployment(f"{BASE}/d1", 5.0), Deployment(f"{BASE}/d2")),
        "n": (Deployment("https://x/d3"),),
    }
    assert only(with_discovered(settings, {})).deployments == only(settings).deployments


# Server, callers, the way out


@pytest.mark.parametrize(
    ("config", "listens"),
    [
        ({}, ("127.0.0.1", 3001)),
        ({"host": "::1", "port": 1}, ("::1", 1)),
        ({"server": {"host": "localhost", "port": 65535}}, ("localhost", 65535)),
        ({"port": 5, "server": {"port": 5}}, ("127.0.0.1", 5)),
        ({"host": "127.0.0.9"}, ("127.0.0.9", 3001)),
    ],
)
def test_host_and_port_may_stand_at_the_top_or_under_server(read, config, listens):
    settings = read(with_account() | config)

    assert (settings.host, settings.port) == listens
    assert settings.warnings == ()


def test_without_tokens_the_proxy_is_for_this_machine_only(read):
    config = with_account() | {"host": "0.0.0.0"}
    closed, meant = read(config), read(config | {"allow_unauthenticated": True})

    assert (closed.host, len(closed.warnings)) == ("127.0.0.1", 1)
    assert (meant.host, meant.warnings, meant.allow_unauthenticated) == ("0.0.0.0", (), True)
    assert read(config | {"host": "proxy.example"}).host == "127.0.0.1"


def test_tokens_may_come_from_the_environment_and_do_not_show(read):
    settings = read(with_account() | {"secret_authentication_tokens": ["${TOKEN}"]}, {"TOKEN": "hunter2"})

    assert settings.tokens[0].reveal() == "hunter2"
    assert "hunter2" not in repr(settings)


def test_the_rest_of_the_file_arrives(read, tmp_path):
    (tmp_path / "ca.pem").touch()
    settings = read(
        with_account()
        | {
            "$schema": "https://example/schema.json",
            "server": {"workers": 2, "threads": 8, "max_body_bytes": 4096},
            "upstream": {"proxy": "http://user:${PASSWORD}@proxy.example:8080", "ca_bundle": "ca.pem"},
            "log_level": "DEBUG",
            "routing": {
                "strategy": "weighted",
                "retry": {"max_attempts": 2},
                "models": {"gpt-5": {"first_event": 300, "strategy": "priority"}},
                "aliases": {"fast": "gpt-5"},
                "fallbacks": {"gpt": ["gpt-5"]},
            },
        },
        {"PASSWORD": "hunter2"},
    )

    assert (settings.workers, settings.threads, settings.max_body_bytes, settings.log_level) == (2, 8, 4096, "debug")
    assert settings.proxy == Secret("http://user:hunter2@proxy.example:8080")
    assert settings.ca_bundle == tmp_path / "ca.pem"
    assert settings.policy.retry.max_attempts == 2
    assert settings.policy.models == {"gpt-5": ModelPolicy(strategy="priority", first_event=300.0)}
    assert (settings.policy.aliases, settings.policy.fallbacks) == ({"fast": "gpt-5"}, {"gpt": ("gpt-5",)})
    assert "hunter2" not in repr(settings)


def test_unknown_keys_are_mentioned_with_what_may_be_meant(read):
    settings = read(
        {
            "subAccounts": {"eu": {"service_key_json": "eu.json", "resourcegroup": "x", "deployment_models": {
                "m": [{"url": f"{BASE}/d1", "wieght": 3}]}}},
            "secret_authentication_tokns": ["x"],
            "routing": {"retry": {"max_atempts": 2}, "models": {"gpt-5": {"idel": 1}}},
            "x-comment": 1,
        }
    )  # fmt: skip

    meant = '; did you mean "secret_authentication_tokens"?'
    assert settings.warnings == (
        'subAccounts.eu.resourcegroup: this key is unknown and has no effect; did you mean "resource_group"?',
        'subAccounts.eu.deployment_models.m[0].wieght: this key is unknown and has no effect; did you mean "weight"?',
        "secret_authentication_tokns: this key is unknown and has no effect" + meant,
        'routing.retry.max_atempts: this key is unknown and has no effect; did you mean "max_attempts"?',
        'routing.models.gpt-5.idel: this key is unknown and has no effect; did you mean "idle"?',
        "x-comment: this key is unknown and has no effect",
    )


# Mistakes


@pytest.mark.parametrize(
    ("config", "where", "words"),
    [
        ({"secret_authentication_tokens": "abc"}, "secret_authentication_tokens", "is not a list"),
        ({"secret_authentication_tokens": [1]}, "secret_authentication_tokens[0]", "is not a text"),
        ({"secret_authentication_tokens": ["a", ""]}, "secret_authentication_tokens[1]", "is empty"),
        ({"secret_authentication_tokens": ["a", " "]}, "secret_authentication_tokens[1]", "is blank"),
        ({"secret_authentication_tokens": ["${T}"]}, "secret_authentication_tokens[0]", "variable T is not set"),
        ({"port": "x"}, "port", "is not a whole number"),
        ({"port": 0}, "port", "at least 1"),
        ({"port": 65536}, "port", "at most 65535"),
        ({"port": 3.5}, "port", "without a fraction"),
        ({"port": None, "host": ""}, "host", "is empty"),
        ({"server": {"threads": 0}}, "server.threads", "at least 1"),
        ({"server": []}, "server", "is not an object"),
        ({"port": 1, "server": {"port": 2}}, "server.port", "differs from port at the top"),
        ({"host": "a", "server": {"host": "b"}}, "server.host", "differs from host at the top"),
        ({"log_level": "loud"}, "log_level", "write 'debug', 'info', 'warning' or 'error'"),
        ({"log_level": 3}, "log_level", "is unknown"),
        ({"allow_unauthenticated": "perhaps"}, "allow_unauthenticated", "neither true nor false"),
        ({"model_filters": {"include": ["("]}}, "model_filters.include[0]", "is no regular expression"),
        ({"model_filters": {"exclude_filters": "a"}}, "model_filters.exclude_filters", "is not a list"),
        ({"upstream": {"proxy": "proxy:80"}}, "upstream.proxy", "is no URL"),
        ({"upstream": {"proxy": "${P}"}}, "upstream.proxy", "variable P is not set"),
        ({"upstream": {"ca_bundle": "no.pem"}}, "upstream.ca_bundle", "there is no file"),
        ({"routing": {"strategy": "rondo"}}, "routing.strategy", "write one of round-robin"),
        ({"routing": {"models": {"a.b": {"strategy": "x"}}}}, 'routing.models."a.b".strategy', "is no strategy"),
        ({"routing": {"retry": {"max_attempts": 0}}}, "routing.retry", "max_attempts must be between"),
        ({"routing": {"timeouts": {"idle": "long"}}}, "routing.timeouts.idle", "is not a number"),
        ({"routing": {"breaker": 3}}, "routing.breaker", "is not an object"),
        ({"subAccounts": []}, "subAccounts", "is not an object"),
        ({"subAccounts": {"eu": 1}}, "subAccounts.eu", "is not an object"),
        ({"subAccounts": {}}, "", "there is no subaccount"),
    ],
)
def test_a_mistake_is_reported_where_it_stands_and_alone(mistakes, config, where, words):
    found = mistakes(with_account() | config)

    assert list(found) == [where]
    assert words in found[where]


@pytest.mark.parametrize(
    ("keys", "where", "words"),
    [
        ({"service_key_json": ""}, "service_key_json", "is empty"),
        ({"service_key_json": "no.json"}, "service_key_json", "there is no file"),
        ({"service_key_json": "bad.json"}, "service_key_json", "is no JSON"),
        ({"service_key_json": "half.json"}, "service_key_json", "half.json, clientsecret is missing"),
        ({"service_key_json": 3}, "service_key_json", "is not a text"),
        ({"service_key_json": None}, "", "has no service key"),
        ({"service_key": KEY}, "", "has both"),
        ({"service_key_json": None, "service_key": "hunter2"}, "service_key", 'neither an object nor "env"'),
        ({"service_key_json": None, "service_key": {**KEY, "url": ""}}, "service_key.url", "is missing"),
        ({"service_key_json": None, "service_key": "env"}, "service_key", "in the environment"),
        ({"resource_group": ""}, "resource_group", "is empty"),
        ({"weight": 0}, "weight", "above 0"),
        ({"weight": "heavy"}, "weight", "is not a number"),
        ({"tier": 0.5}, "tier", "without a fraction"),
        ({"discovery": "maybe"}, "discovery", "neither true nor false"),
        ({"deployment_models": {"m": []}}, "deployment_models.m", "is empty; list at least one"),
        ({"deployment_models": {"m": 3}}, "deployment_models.m", "is not a list"),
        ({"deployment_models": {"m": [3]}}, "deployment_models.m[0]", "is not an object"),
        ({"deployment_models": {"m": ["https://x/d1"]}}, "deployment_models.m[0]", "write https://…/v2/inference"),
        ({"deployment_models": {"m": "/deployments/d1"}}, "deployment_models.m[0]", "is no deployment URL"),
        ({"deployment_models": {"m": [{}]}}, "deployment_models.m[0].url", "is missing"),
        ({"deployment_ids": {"m.1": [{"id": "d", "weight": -1}]}}, 'deployment_ids."m.1"[0].weight', "above"),
        ({"deployment_ids": {"m": f"{BASE}/d1"}}, "deployment_ids.m[0]", "the URL under deployment_models"),
        ({"deployment_ids": {"m": []}}, "deployment_ids.m", "is empty"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_subaccount_is_reported_where_it_stands_and_alone(mistakes, tmp_path, keys, where, words):
    (tmp_path / "bad.json").write_text("{hunter2")
    (tmp_path / "half.json").write_text(json.dumps(KEY | {"clientsecret": ""}))

    found = mistakes(with_account(**keys))

    assert list(found) == [f"subAccounts.eu.{where}".rstrip(".")]
    assert words in next(iter(found.values()))


def test_all_mistakes_are_reported_at_once(mistakes):
    """Those of shape and those of content, each under its own key."""
    found = mistakes(
        {
            "subAccounts": {
                "a": {"service_key_json": "no.json", "weight": 0, "deployment_ids": {"m": "x/y"}},
                "b": {"service_key_json": "eu.json", "deployment_models": {"m": ["nonsense"], "n": []}},
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


def test_each_line_names_the_file_the_key_and_what_to_write(write, home):
    file = write(with_account() | {"port": "x"})

    with pytest.raises(SettingsError) as caught:
        load(file, {}, home)

    assert str(caught.value) == f"{file}: port: is not a whole number; write one without quotes"


@pytest.mark.parametrize(
    ("text", "words"), [("{", "is no JSON"), ("[]", "is not an object"), ("3", "is not an object")]
)
def test_a_file_that_is_no_object_is_refused(write, home, text, words):
    with pytest.raises(SettingsError, match=words):
        load(write(text), {}, home)


def test_what_is_odd_is_told_with_what_is_wrong(write, home):
    """A key that is spelled wrongly is why another is missing."""
    file = write({"subaccounts": {"eu": {"service_key_json": "eu.json"}}})

    with pytest.raises(SettingsError) as caught:
        load(file, {}, home)

    assert caught.value.warnings == ('subaccounts: this key is unknown and has no effect; did you mean "subAccounts"?',)


def test_a_mistake_in_a_part_of_routing_hides_no_other(mistakes):
    config = with_account() | {"routing": {"strategy": "quickest", "breaker": {"timeout": 0}, "retry": 3}}

    assert sorted(mistakes(config)) == ["routing.breaker", "routing.retry", "routing.strategy"]


def test_a_missing_file_is_named(tmp_path, home):
    with pytest.raises(SettingsError, match="there is no file"):
        load(tmp_path / "nope.json", {}, home)


def test_what_the_second_look_at_a_file_cannot_cure_is_reported_all_the_same(mistakes):
    assert list(mistakes(with_account(deployment_ids={"m": [{"id": 1}, {"id": 2}]}))) == [
        "subAccounts.eu.deployment_ids.m[0].id",
        "subAccounts.eu.deployment_ids.m[1].id",
    ]


def test_a_broken_key_in_the_environment_is_reported(mistakes):
    config = {"subAccounts": {"x": {"service_key": "env"}}}

    assert list(
        mistakes(config, {"AICORE_CLIENT_ID": "x", "AICORE_BASE_URL": "https://x", "AICORE_AUTH_URL": "https://x"})
    ) == ["subAccounts.x.service_key.the AICORE_* variables.clientsecret"]


def test_an_empty_name_of_a_subaccount_or_model_is_refused(mistakes):
    assert len(mistakes({"subAccounts": {"": {"service_key_json": "eu.json"}}})) == 1
    assert len(mistakes(with_account(deployment_ids={"": "d"}))) == 1


# The description for editors


def test_the_checked_in_schema_is_current():
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == json_schema()


def test_the_schema_is_written_as_it_is_checked_in(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.settings.SCHEMA_FILE", tmp_path / "schema.json")
    main()

    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == SCHEMA_FILE.read_text(encoding="utf-8")


def test_the_schema_describes_every_key():
    schema = json_schema()

    bare = [
        f"{name}.{key}"
        for name, definition in [("", schema), *schema["$defs"].items()]
        for key, described in definition["properties"].items()
        if "description" not in described and "$ref" not in described
    ]
    assert bare == []


def examples():
    return [ANCESTOR, *(json.loads(path.read_text()) for path in sorted(ROOT.glob("examples/**/*config*.json")))]


@pytest.mark.parametrize("config", examples())
def test_example_files_fit_the_schema(config):
    jsonschema.validate(config, json_schema())


@pytest.mark.parametrize("config", [{"port": "x"}, {"prot": 1}, {"secret_authentication_tokens": "abc"}])
def test_an_editor_finds_mistakes_by_the_schema(config):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, json_schema())
