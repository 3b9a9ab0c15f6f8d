"""Pages in browsers: with a key from anywhere, without one from this machine only."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running import Cloud, Proxy, running_proxy

ASK = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}
PAGE = "https://chat.example"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/models", "/v1beta/models/gpt:x"])
def test_what_a_browser_asks_first_is_answered_without_a_key(proxy: Proxy, path: str) -> None:
    told = proxy.ask(
        "OPTIONS", path, Authorization="", Origin=PAGE,
        **{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-api-key"},
    )  # fmt: skip

    assert (told.status, told.body) == (200, b"")
    assert told.headers["access-control-allow-origin"] == "*"
    assert told.headers["allow"] == told.headers["access-control-allow-methods"]
    assert told.headers["access-control-allow-headers"] == "authorization,x-api-key"


@pytest.mark.parametrize(("ask", "status"), [(ASK, 200), ({**ASK, "stream": True}, 200), ({**ASK, "model": "x"}, 404)])
def test_a_page_may_read_what_its_key_pays_for(proxy: Proxy, ask: dict[str, object], status: int) -> None:
    told = proxy.ask("POST", "/v1/chat/completions", ask, Origin=PAGE)

    assert status == told.status
    assert told.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in told.headers


def test_who_is_no_page_hears_nothing_of_it(proxy: Proxy) -> None:
    assert not [name for name in proxy.ask("GET", "/v1/models").headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (PAGE, 401), ("http://localhost.evil.example", 401), ("null", 401), ("http://127.0.0.1.evil.example:3001", 401),
        ("http://[bad", 401),
        ("http://localhost:3000", 200), ("http://127.0.0.1:8080", 200), ("http://[::1]", 200), ("app://desktop", 200),
    ],
)  # fmt: skip
def test_where_no_key_is_asked_for_a_foreign_page_may_not_spend_the_quota(
    cloud: Cloud, tmp_path: Path, origin: str, status: int
) -> None:
    """Browsers send a plain POST anywhere without asking first; only its answer is kept from the page."""
    with running_proxy(cloud, tmp_path, secret_authentication_tokens=[]) as proxy:
        told = proxy.ask("POST", "/v1/chat/completions", ASK, Origin=origin)

    assert status == told.status
    assert (origin if status == 200 else None) == told.headers.get("access-control-allow-origin")
    assert (1 if status == 200 else 0) == len(cloud.requests())


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("10.0.0.5:3001", "http://10.0.0.5:3001", 200), ("[fd00::5]:3001", "http://[fd00::5]:3001", 200),
        ("10.0.0.5:3001", "http://10.0.0.5:8080", 401), ("10.0.0.5:3001", "http://10.0.0.6:3001", 401),
        ("rebound.example:3001", "http://rebound.example:3001", 401), ("10.0.0.5:3001", "http://[bad", 401),
    ],
)  # fmt: skip
def test_where_no_key_is_asked_for_the_proxys_own_page_may_call_by_an_ip_address(
    cloud: Cloud, tmp_path: Path, host: str, origin: str, status: int
) -> None:
    """A name proves nothing: whoever owns it may have it lead here, once their page is open."""
    with running_proxy(cloud, tmp_path, secret_authentication_tokens=[]) as proxy:
        told = proxy.ask("POST", "/v1/chat/completions", ASK, Host=host, Origin=origin)

    assert told.status == status


NAMED = {"Authorization": "", "Host": "evil.example:18998"}


@pytest.fixture(scope="module")
def keyless(shared_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("keyless")
    more = {"host": "Box.example", "server": {"allowed_hosts": ["proxy.corp.example"]}}
    with running_proxy(shared_cloud, folder, secret_authentication_tokens=[], **more) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/router/state"), ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/"), ("GET", "/web/page.js"),
        ("POST", "/v1/chat/completions"), ("OPTIONS", "/v1/models"), ("DELETE", "/v1/responses/resp_1"),
    ],
)  # fmt: skip
def test_without_a_key_nothing_is_told_to_a_page_whose_name_leads_here(keyless: Proxy, method: str, path: str) -> None:
    """Such a page is asked for no `Origin` when it reads: its browser takes the proxy for its own server."""
    told = keyless.ask(method, path, ASK if method == "POST" else None, **NAMED)

    assert told.status == 401
    assert b"allow_unauthenticated" in told.body


@pytest.mark.parametrize("host", ["10.0.0.5:3001", "[::1]:3001", "127.0.0.1", "LOCALHOST:3001", "box.example:3001",
                                  "Proxy.corp.example"])  # fmt: skip
def test_without_a_key_the_proxy_is_called_by_an_address_as_localhost_or_as_configured(
    keyless: Proxy, host: str
) -> None:
    told = [keyless.ask("GET", "/router/state", Host=host), keyless.ask("POST", "/v1/chat/completions", ASK, Host=host)]

    assert [each.status for each in told] == [200, 200]


@pytest.mark.parametrize("host", ["127.0.0.1.evil.example", "127.0.0.1@evil.example", "localhost.evil.example", "[bad"])
def test_a_name_that_looks_like_this_machine_is_none(keyless: Proxy, host: str) -> None:
    assert keyless.ask("GET", "/v1/models", Host=host).status == 401


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_whoever_asks_only_whether_the_proxy_is_well_may_call_it_anything(keyless: Proxy, path: str) -> None:
    assert keyless.ask("GET", path, **NAMED).status == 200


CROSS = {"Authorization": "", "Sec-Fetch-Site": "cross-site"}
LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"), ("POST", "/v1/messages"), ("GET", "/v1/models"), ("GET", "/router/state"),
        ("GET", "/metrics"), ("GET", "/health"), ("GET", "/"), ("GET", "/web/page.js"), ("OPTIONS", "/v1/models"),
        ("POST", "/api/event_logging/batch"), ("GET", "/nowhere"),
    ],
)  # fmt: skip
def test_without_a_key_no_path_is_served_to_a_page_of_another_site_that_shows_no_origin(
    keyless: Proxy, method: str, path: str
) -> None:
    """A page embeds an image or a script of another site without telling its own `Origin`."""
    told = keyless.ask(method, path, ASK if method == "POST" else None, **CROSS)

    assert told.status == 401
    assert b"web pages of other sites" in told.body


def test_a_link_on_another_site_opens_the_page_and_nothing_else(keyless: Proxy) -> None:
    page, state = (keyless.ask("GET", path, **CROSS, **LINK) for path in ("/", "/router/state"))

    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert state.status == 401


def test_with_a_key_a_page_of_another_site_is_served_as_before(proxy: Proxy) -> None:
    told = proxy.ask("POST", "/v1/chat/completions", ASK, Origin=PAGE, **{"Sec-Fetch-Site": "cross-site"})

    assert told.status == 200


def test_where_everybody_may_call_programs_call_by_any_name_and_foreign_pages_still_may_not(
    cloud: Cloud, tmp_path: Path
) -> None:
    named = {"Host": "proxy:3001"}
    with running_proxy(cloud, tmp_path, secret_authentication_tokens=[], allow_unauthenticated=True) as proxy:
        read, asked = proxy.ask("GET", "/v1/models", **named), proxy.ask("POST", "/v1/chat/completions", ASK, **named)
        foreign = proxy.ask("POST", "/v1/chat/completions", ASK, Origin=PAGE, **named)

    assert (read.status, asked.status, foreign.status) == (200, 200, 401)


def test_with_a_key_the_proxy_is_called_by_any_name(proxy: Proxy) -> None:
    assert proxy.ask("GET", "/v1/models", Host="proxy.example").status == 200
