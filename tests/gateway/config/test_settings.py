"""Settings, from the ancestor's file to all that a file may say of the server."""

import pytest

from gateway.config.loader import load
from gateway.config.network import Network, Proxies, Proxy, Trust
from gateway.config.service_keys import Secret
from gateway.server.options import ServerOptions
from routing.policy import ModelPolicy, Policy
from tests.gateway.configs import ANCESTOR, BASE, only, rows, with_account

# The ancestor's file


def test_the_ancestors_file_works_unchanged(settings_of, tmp_path):
    settings = settings_of(ANCESTOR)

    assert list(settings.subaccounts) == ["eu", "us"]
    assert (settings.host, settings.port) == ("0.0.0.0", 3002)
    assert [key.secret for key in settings.keys] == [Secret("token-1"), Secret("token-2")]
    assert settings.subaccounts["us"].key.client_id == "us"
    assert not any(account.discovery for account in settings.subaccounts.values())
    assert (settings.warnings, settings.source) == ((), tmp_path / "config.json")
    assert settings.policy == Policy()


def test_pools_keep_the_order_of_the_file(settings_of):
    assert rows(settings_of(ANCESTOR)) == {
        "gpt-4.1": [
            ("eu", f"{BASE}/d1", "gpt-4.1", "default", 1.0, 0),
            ("eu", f"{BASE}/d2", "gpt-4.1", "default", 1.0, 0),
            ("us", f"{BASE}/d4", "gpt-4.1", "team-a", 1.0, 0),
        ],
        "gemini-2.5-pro": [("eu", f"{BASE}/d3", "gemini-2.5-pro", "default", 1.0, 0)],
    }


def test_defaults_are_the_ancestors(settings_of):
    settings = settings_of(with_account())

    assert (settings.host, settings.port, only(settings).resource_group) == ("127.0.0.1", 3001, "default")


def test_paths_start_from_the_config_file_and_then_from_the_current_folder(write_config, home, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = write_config(with_account())
    (tmp_path / "eu.json").rename(elsewhere / "eu.json")
    monkeypatch.chdir(elsewhere)

    settings = load(file, {}, home)

    assert only(settings).key.client_id == "id"
    assert settings.warnings == (
        "subAccounts.eu.service_key_json: was found in the current folder, not beside the config file; move it there",
    )


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
def test_host_and_port_may_stand_at_the_top_or_under_server(settings_of, config, listens):
    settings = settings_of(with_account() | config)

    assert listens == (settings.host, settings.port)
    assert settings.warnings == ()


def test_without_tokens_the_proxy_is_for_this_machine_only(settings_of):
    config = with_account() | {"host": "0.0.0.0"}
    closed, meant = settings_of(config), settings_of(config | {"allow_unauthenticated": True})

    assert (closed.host, len(closed.warnings)) == ("127.0.0.1", 1)
    assert (meant.host, meant.warnings, meant.allow_unauthenticated) == ("0.0.0.0", (), True)
    assert settings_of(config | {"host": "proxy.example"}).host == "127.0.0.1"


def test_the_name_of_the_host_is_known_whatever_address_is_listened_on(settings_of):
    settings = settings_of(with_account() | {"host": "proxy.example"})
    told = settings.overridden(host="box.example"), settings.overridden(port=5)

    assert [each.host_name for each in (settings, *told)] == ["proxy.example", "box.example", "proxy.example"]


@pytest.mark.parametrize(
    ("written", "allowed"),
    [
        ("Proxy.Example.", ("proxy.example",)),
        (["host.docker.internal", "my_box"], ("host.docker.internal", "my_box")),
        ("bücher.example, box", ("xn--bcher-kva.example", "box")),
        ([], ()),
    ],
)
def test_host_names_are_allowed_as_browsers_send_them(settings_of, written, allowed):
    assert settings_of(with_account() | {"server": {"allowed_hosts": written}}).server.allowed_hosts == allowed


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("10.20.0.1/16, Docs.Example", ("10.20.0.0/16", "docs.example")),
        (["*.bücher.example.", "fd00::/8", "10.0.0.7"], ("*.xn--bcher-kva.example", "fd00::/8", "10.0.0.7/32")),
        ([], ()),
    ],
)
def test_hosts_and_networks_of_media_are_spelled_as_urls_have_them(settings_of, written, meant):
    settings = settings_of(with_account() | {"upstream": {"media_allow": written, "media_deny": written}})

    assert (settings.media_allow, settings.media_deny) == (meant, meant)


def test_tokens_may_come_from_the_environment_and_do_not_show(settings_of):
    settings = settings_of(with_account() | {"secret_authentication_tokens": ["${TOKEN}"]}, {"TOKEN": "hunter2"})

    assert settings.keys[0].secret.reveal() == "hunter2"
    assert "hunter2" not in repr(settings)


def test_signing_keys_may_come_from_the_environment_and_do_not_show(settings_of):
    keys = ["${NEW_KEY}", "an old key of many letters"]
    settings = settings_of(with_account() | {"secret_signing_keys": keys}, {"NEW_KEY": "hunter2 hunter2 hunter2"})

    assert [key.reveal() for key in settings.signing_keys] == ["hunter2 hunter2 hunter2", keys[1]]
    assert "hunter2" not in repr(settings)


def test_cooldowns_may_be_spelled_as_before_with_a_warning(settings_of):
    settings = settings_of({**with_account(), "routing": {"strategy": "weighted", "cooling": {"base": 7}}})

    assert (settings.policy.strategy, settings.policy.cooldown.base) == ("weighted", 7.0)
    assert settings.warnings == ("routing.cooling: is called routing.cooldown now; the old name still works",)


def test_a_number_of_threads_is_taken_and_said_to_have_no_effect(settings_of):
    settings = settings_of(with_account() | {"server": {"threads": 64}})

    assert settings.server == ServerOptions()
    assert len(settings.warnings) == 1
    assert settings.warnings[0].startswith("server.threads: no longer has an effect")


def test_the_rest_of_the_file_arrives(settings_of, tmp_path):
    (tmp_path / "ca.pem").touch()
    server = {"workers": 2, "requests": 8, "drain_seconds": 5, "admin_port": 4000, "max_body_bytes": 4096}
    settings = settings_of(
        with_account()
        | {
            "$schema": "https://example/schema.json",
            "server": {**server, "port": 80},
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

    assert ServerOptions(**server) == settings.server
    assert (settings.port, settings.log_level) == (80, "debug")
    proxy = Proxy(Secret("http://user:hunter2@proxy.example:8080"))
    assert settings.network == Network(Proxies(proxy, proxy), Trust(None, (tmp_path / "ca.pem",)))
    assert settings.policy.retry.max_attempts == 2
    assert settings.policy.models == {"gpt-5": ModelPolicy(strategy="priority", first_event=300.0)}
    assert (settings.policy.aliases, settings.policy.fallbacks) == ({"fast": "gpt-5"}, {"gpt": ("gpt-5",)})
    assert "hunter2" not in repr(settings)


def test_unknown_keys_are_mentioned_with_what_may_be_meant(settings_of):
    settings = settings_of(
        {
            "subAccounts": {"eu": {"service_key_json": "eu.json", "resourcegroup": "x", "deployment_models": {
                "m": [{"url": f"{BASE}/d1", "wieght": 3}]}}},
            "secret_authentication_tokns": ["x"],
            "routing": {"retry": {"max_atempts": 2}, "models": {"gpt-5": {"idel": 1}}},
            "x-comment": 1,
        }
    )  # fmt: skip

    meant = '; did you mean "secret_authentication_tokens"?'
    assert set(settings.warnings) == {
        'subAccounts.eu.resourcegroup: this key is unknown and has no effect; did you mean "resource_group"?',
        'subAccounts.eu.deployment_models.m[0].wieght: this key is unknown and has no effect; did you mean "weight"?',
        "secret_authentication_tokns: this key is unknown and has no effect" + meant,
        'routing.retry.max_atempts: this key is unknown and has no effect; did you mean "max_attempts"?',
        'routing.models.gpt-5.idel: this key is unknown and has no effect; did you mean "idle"?',
        "x-comment: this key is unknown and has no effect",
    }
