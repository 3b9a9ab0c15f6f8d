"""Which requests a listener without keys serves, by the headers that browsers send."""

import pytest

from gateway.http.cors import KeylessAccess

HERE = {"host": "127.0.0.1:3001"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def serves(method: str = "POST", path: str = "/v1/chat/completions", **fields: str) -> bool:
    asked = {name.replace("_", "-"): value for name, value in fields.items()}
    return KeylessAccess("Box.example.", page="/").serves_sender(method, path, {**HERE, **asked})


def test_a_program_sends_none_of_these_headers_and_is_served() -> None:
    assert serves()


@pytest.mark.parametrize(
    ("site", "served"),
    [
        ("same-origin", True), ("none", True), ("cross-site", False), ("same-site", False), ("", False),
        ("something-new", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/health", "/web/page.js"])
def test_without_an_origin_the_site_decides_on_every_path(method: str, path: str, site: str, served: bool) -> None:
    assert served == serves(method, path, sec_fetch_site=site)


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
@pytest.mark.parametrize("origin", ["http://localhost:8080", "http://127.0.0.1:5173", "vscode-webview://x"])
def test_a_page_of_this_machine_is_served_from_another_port_and_from_a_program(origin: str, site: str) -> None:
    assert serves(origin=origin, sec_fetch_site=site)


@pytest.mark.parametrize("site", ["none", "same-origin", "same-site", "cross-site"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1.evil.example:3001"])
def test_an_origin_elsewhere_is_refused_whatever_the_site_says(origin: str, site: str) -> None:
    assert not serves(origin=origin, sec_fetch_site=site)


def test_a_link_on_another_site_opens_the_page() -> None:
    access = KeylessAccess(page="/")

    assert access.serves_sender("GET", "/", {**HERE, **LINK})
    assert access.serves_sender("GET", "/", {**HERE, **LINK, "sec-fetch-site": "same-site"})


@pytest.mark.parametrize(
    ("method", "path", "changed"),
    [
        ("POST", "/", {}),
        ("GET", "/router/state", {}),
        ("GET", "/web/page.js", {}),
        ("GET", "/", {"sec-fetch-dest": "iframe"}),
        ("GET", "/", {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}),
        ("GET", "/", {"origin": "https://evil.example"}),
    ],
)
def test_a_link_opens_nothing_else_and_no_frame(method: str, path: str, changed: dict[str, str]) -> None:
    assert not KeylessAccess(page="/").serves_sender(method, path, {**HERE, **LINK, **changed})


def test_where_there_is_no_page_no_link_is_followed() -> None:
    assert not KeylessAccess().serves_sender("GET", "/", {**HERE, **LINK})


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("127.0.0.1:3001", True), ("[::1]:3001", True), ("localhost", True), ("LOCALHOST.:3001", True), ("", True),
        ("box.example:3001", True), ("BOX.example.", True),
        ("rebound.example:3001", False), ("a.box.example", False), ("box.example.evil", False), ("[bad", False),
        ("127.0.0.1@evil.example", False),
    ],
)  # fmt: skip
def test_host_names_that_another_site_cannot_have_are_served(host: str, served: bool) -> None:
    assert served == KeylessAccess("Box.example.").serves_host({"host": host})
    assert KeylessAccess(any_name=True).serves_host({"host": host})


@pytest.mark.parametrize(
    ("host", "origin", "served"),
    [
        ("box.example:3001", "http://box.example:3001", True), ("box.example", "https://box.example", True),
        ("10.0.0.5:3001", "http://10.0.0.5:3001", True),
        ("box.example:3001", "http://box.example:8080", False), ("box.example", "http://a.box.example", False),
        ("rebound.example:3001", "http://rebound.example:3001", False), ("[bad", "http://[bad", False),
    ],
)  # fmt: skip
def test_the_page_of_the_proxy_itself_may_call_under_every_name_that_is_served(
    host: str, origin: str, served: bool
) -> None:
    access = KeylessAccess("box.example", any_name=True)
    sent = {"host": host, "origin": origin, "sec-fetch-site": "same-origin"}

    assert served == access.serves_sender("POST", "/v1/chat/completions", sent)
