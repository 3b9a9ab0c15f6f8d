"""Which HTTP proxy leads to a host, and what settings and environment make of it."""

from dataclasses import replace

import pytest

from gateway.config.network import DIRECT, NO_PROXY, Network, Proxies, Proxy, Trust, is_loopback, is_this_machine
from gateway.config.service_keys import Secret
from tests.gateway.configs import with_account

CORP = Proxy(Secret("http://corp:8080"))
OTHER = Proxy(Secret("http://other:3128"))


@pytest.mark.parametrize(
    ("entry", "host", "port", "exempt"),
    [
        ("*", "api.example", 443, True),
        ("*", "10.0.0.1", 443, True),
        ("example", "api.example", 443, True),
        ("corp.example", "corp.example", 443, True),
        ("corp.example", "CORP.example.", 443, True),
        ("CORP.Example.", "corp.example", 443, True),
        ("corp.example", "api.corp.example", 443, True),
        ("corp.example", "notcorp.example", 443, False),
        ("api.corp.example", "corp.example", 443, False),
        (".corp.example", "api.corp.example", 443, True),
        (".corp.example", "corp.example", 443, True),
        ("*.corp.example", "api.corp.example", 443, True),
        (".", "corp.example", 443, False),
        ("", "corp.example", 443, False),
        (" corp.example ", "corp.example", 443, True),
        ("corp.example:443", "api.corp.example", 443, True),
        ("corp.example:80", "api.corp.example", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("10.1.2.3", "10.1.2.30", 443, False),
        ("10.1.2.3:80", "10.1.2.3", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.1.2.3/8", "10.9.9.9", 443, True),
        ("10.0.0.0/8", "11.0.0.1", 443, False),
        ("10.0.0.0/99", "10.0.0.1", 443, False),
        ("2.3", "10.1.2.3", 443, False),
        ("fd00::/8", "fd00::1", 443, True),
        ("fd00::/8", "[fd00::1]", 443, True),
        ("[fd00::1]", "fd00::1", 443, True),
        ("[fd00::1]:80", "fd00::1", 443, False),
        ("[fd00::1]:443", "fd00::1", 443, True),
        ("10.0.0.0/8", "fd00::1", 443, False),
        ("http://corp.example", "corp.example", 443, False),
    ],
)
def test_what_is_exempt_is_reached_without_a_proxy(entry, host, port, exempt):
    proxies = replace(Proxies.by(CORP), exempt=("unrelated.test", entry))

    assert (proxies.to(host, port, secure=True) is None) == exempt


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("notlocalhost", False),
        ("localhost.example", False),
        ("10.0.0.1", False),
        ("128.0.0.1", False),
    ],
)
def test_this_machine_is_reached_without_a_proxy_unless_it_is_to_be(host, here):
    proxies = Proxies.by(CORP)

    assert (proxies.to(host, 443, secure=True) is None) == here
    assert replace(proxies, loopback=True, exempt=("*",)).to("127.0.0.1", 443, secure=True) == CORP


@pytest.mark.parametrize(
    ("host", "comes_in", "goes_out"),
    [
        ("127.0.0.1", True, True),
        ("127.9.9.9", True, True),
        ("::1", True, True),
        ("localhost", True, True),
        ("page.localhost", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("::ffff:10.0.0.1", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("10.0.0.1", False, False),
        ("fe80::1%eth0", False, False),
        ("example.com", False, False),
        ("localhost.example", False, False),
        ("", False, False),
    ],
)
def test_fewer_hosts_are_this_machine_for_those_who_come_in_than_for_what_goes_out(host, comes_in, goes_out):
    assert (is_loopback(host), is_this_machine(host)) == (comes_in, goes_out)


def test_hosts_with_and_without_tls_have_a_proxy_each():
    proxies = Proxies(CORP, OTHER)

    assert [proxies.to("a.test", 443, secure=secure) for secure in (True, False)] == [CORP, OTHER]
    assert Proxies().to("a.test", 443, secure=True) is None


# From settings and environment


@pytest.fixture
def network_of(settings_of):
    """Reads how the network is left, and what is odd about it."""

    def network_of(env=None, **upstream):
        settings = settings_of(with_account() | ({"upstream": upstream} if upstream else {}), env)
        return settings.network, settings.warnings

    return network_of


def named(url, variable):
    return Proxy(Secret(url), variable)


@pytest.mark.parametrize(
    ("env", "https", "http"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": "http://a:1"}, named("http://a:1", "HTTPS_PROXY"), None),
        ({"https_proxy": "http://a:1"}, named("http://a:1", "https_proxy"), None),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, named("http://a:1", "https_proxy"), None),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, None, None),
        ({"HTTP_PROXY": "http://a:1"}, None, named("http://a:1", "HTTP_PROXY")),
        ({"ALL_PROXY": "http://a:1"}, *[named("http://a:1", "ALL_PROXY")] * 2),
        (
            {"all_proxy": "http://a:1", "https_proxy": "http://b:1"},
            named("http://b:1", "https_proxy"),
            named("http://a:1", "all_proxy"),
        ),
        ({"HTTPS_PROXY": "corp:8080"}, named("http://corp:8080", "HTTPS_PROXY"), None),
        (
            {"HTTPS_PROXY": "http://u:p%40ss@localhost:8080"},
            named("http://u:p%40ss@localhost:8080", "HTTPS_PROXY"),
            None,
        ),
    ],
)
def test_the_environment_names_proxies_where_the_settings_name_none(network_of, env, https, http):
    network, warnings = network_of(env)

    assert (network.proxies.https, network.proxies.http, warnings) == (https, http, ())


def test_a_setting_goes_before_its_variable_and_none_switches_the_others_off(network_of):
    env = {"HTTPS_PROXY": "http://a:1", "NO_PROXY": "x.test,y.test z.test"}
    by_env, _ = network_of(env)
    by_setting, _ = network_of(env, proxy="http://corp:8080", no_proxy="q.test, 10.0.0.0/8", proxy_loopback=True)
    both, _ = network_of(env, proxy="http://corp:8080")
    as_list, _ = network_of(env, no_proxy=["q.test"])
    nothing, _ = network_of(env, proxy="NONE")

    assert (by_env.proxies.exempt, by_env.proxies.exempt_in) == (("x.test", "y.test", "z.test"), "NO_PROXY")
    assert by_setting.proxies == Proxies(CORP, CORP, ("q.test", "10.0.0.0/8"), NO_PROXY, loopback=True)
    assert both.proxies == Proxies(CORP, CORP, ("x.test", "y.test", "z.test"), "NO_PROXY")
    assert (as_list.proxies.https, as_list.proxies.exempt) == (named("http://a:1", "HTTPS_PROXY"), ("q.test",))
    assert nothing.proxies == Proxies(unused="HTTPS_PROXY")


@pytest.mark.parametrize("url", ["https://hunter2@corp:443", "socks5://hunter2@corp:1080", "http://"])
def test_a_proxy_of_the_environment_that_cannot_be_used_is_reported_once_and_left(network_of, url):
    network, warnings = network_of({"ALL_PROXY": url})

    assert (network.proxies.https, network.proxies.http) == (None, None)
    [warning] = warnings
    assert warning.startswith(
        "ALL_PROXY: does not name an HTTP proxy that can be used, so the proxy uses none: the value "
    )
    assert warning.endswith('; set upstream.proxy to one, or to "none"')
    assert "hunter2" not in warning


@pytest.fixture
def there(tmp_path):
    """Files and folders that are there, by name."""
    (tmp_path / "a.pem").touch()
    (tmp_path / "b.pem").touch()
    (tmp_path / "c").mkdir()
    return lambda *names: tuple(tmp_path / name for name in names)


def test_the_environment_says_whom_to_trust_where_the_settings_do_not(network_of, there):
    a, b, c = map(str, there("a.pem", "b.pem", "c"))
    trust = [
        network_of(env, **upstream)[0].trust
        for env, upstream in (
            ({}, {}),
            ({"REQUESTS_CA_BUNDLE": a, "CURL_CA_BUNDLE": b, "SSL_CERT_FILE": b}, {}),
            ({"CURL_CA_BUNDLE": b, "SSL_CERT_FILE": a}, {}),
            ({"SSL_CERT_FILE": a, "SSL_CERT_DIR": f"{c}:{c}"}, {}),
            ({"SSL_CERT_FILE": a}, {"ca_bundle": "b.pem"}),
            ({"SSL_CERT_FILE": a}, {"trust": "System"}),
            ({"SSL_CERT_FILE": a}, {"trust": "certifi", "ca_bundle": "b.pem", "strict_certificates": False}),
        )
    ]

    assert trust == [
        DIRECT.trust,
        Trust(None, there("a.pem"), named_in="REQUESTS_CA_BUNDLE"),
        Trust(None, there("b.pem"), named_in="CURL_CA_BUNDLE"),
        Trust(None, there("a.pem", "c", "c"), named_in="SSL_CERT_FILE and SSL_CERT_DIR"),
        Trust(None, there("b.pem")),
        Trust("system"),
        Trust("certifi", there("b.pem"), strict=False),
    ]


def test_certificates_that_are_not_there_are_reported_and_have_no_effect(network_of):
    network, warnings = network_of({"SSL_CERT_FILE": "/nowhere/a.pem"})

    assert network == Network()
    assert warnings == (
        "SSL_CERT_FILE: names certificates that do not exist, so it has no effect; correct the path, or unset it",
    )


def test_whom_to_trust_is_one_of_two(mistakes_in):
    [what] = mistakes_in(with_account() | {"upstream": {"trust": "everybody"}}).values()

    assert "'certifi' or 'system'" in what
