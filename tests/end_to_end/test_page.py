"""The page at `/` over HTTP: who gets it, what browsers are told to hold it to, and what needs a key."""

from pathlib import Path

import pytest

from gateway.version import VERSION
from gateway.web.files import load_files
from tests.support.running import KEY, Cloud, Proxy, running_proxy

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
FILES = load_files(key_is_needed=True)
WITHOUT_KEY = {"Authorization": ""}


@pytest.mark.parametrize(
    "accept", [CHROMIUM, "text/html", "application/json;q=0.5, text/html;q=0.8", "TEXT/HTML, */*;q=0.1"]
)
def test_browsers_get_the_page_without_a_key(proxy: Proxy, accept: str) -> None:
    told = proxy.ask("GET", "/", **WITHOUT_KEY, Accept=accept)

    assert told.status == 200
    assert told.headers["content-type"] == "text/html; charset=utf-8"
    assert told.headers["vary"] == "Accept"
    assert told.body == FILES["index.html"].body


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/json, text/html", "text/plain", "x;;"])
@pytest.mark.parametrize("path", ["/", "/api/hello"])
def test_everyone_else_gets_the_json_and_needs_a_key_for_it(proxy: Proxy, accept: str, path: str) -> None:
    told = proxy.ask("GET", path, Accept=accept)
    refused = proxy.ask("GET", path, **WITHOUT_KEY, Accept=accept)

    assert (told.status, told.headers["content-type"]) == (200, "application/json")
    assert told.body == f'{{"service":"sap-ai-core-llm-proxy","version":"{VERSION}"}}'.encode()
    assert refused.status == 401


def test_a_browser_gets_no_json_of_other_paths_without_a_key(proxy: Proxy) -> None:
    paths = (
        "/api/hello",
        "/v1/models",
        "/web/guide",
        "/web/nothing",
        "/router/state",
        "/index.html",
        "/web/../v1/models",
    )

    assert {path: proxy.ask("GET", path, **WITHOUT_KEY, Accept=CHROMIUM).status for path in paths} == dict.fromkeys(
        paths, 401
    )


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_file_says_what_it_is_and_what_browsers_may_do(proxy: Proxy, name: str) -> None:
    told = proxy.ask("GET", f"/web/{name}", **WITHOUT_KEY)
    policy = dict(part.split(" ", 1) for part in told.headers["content-security-policy"].split("; "))

    assert (told.status, told.body) == (200, FILES[name].body)
    assert told.headers["content-type"] == FILES[name].content_type
    assert told.headers["x-content-type-options"] == "nosniff"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["img-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"


@pytest.mark.parametrize("path", ["/", "/web/page.css", "/web/page.js"])
def test_what_a_browser_has_kept_is_not_sent_again(proxy: Proxy, path: str) -> None:
    first = proxy.ask("GET", path, **WITHOUT_KEY, Accept=CHROMIUM)
    again = proxy.ask("GET", path, **WITHOUT_KEY, Accept=CHROMIUM, **{"If-None-Match": first.headers["etag"]})
    other = proxy.ask("GET", path, **WITHOUT_KEY, Accept=CHROMIUM, **{"If-None-Match": '"another"'})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (other.status, other.body) == (200, first.body)


def test_the_guide_is_for_the_url_that_the_browser_has_and_for_what_is_deployed(proxy: Proxy) -> None:
    told = proxy.ask("GET", "/web/guide?url=https://llm.example/ai")
    listed = [model["id"] for model in proxy.ask("GET", "/v1/models").json["data"]]
    tools = {tool["name"]: tool for group in told.json["groups"] for tool in group["tools"]}

    assert (told.status, told.headers["cache-control"]) == (200, "no-store")
    assert "https://llm.example/ai/v1" in tools["openai"]["body"]
    assert set(told.json["chat_models"]) < set(listed)
    assert "text-embedding-3-small" not in told.json["chat_models"]
    assert KEY not in told.body.decode()


def test_a_guide_for_what_is_no_url_is_refused(proxy: Proxy) -> None:
    told = proxy.ask("GET", "/web/guide?url=http://here/%3Cscript%3E")

    assert told.status == 400
    assert told.json["error"]["param"] == "url"
    assert b"script" not in told.body


def test_a_proxy_without_keys_says_so_in_its_page_and_needs_none(cloud: Cloud, tmp_path: Path) -> None:
    with running_proxy(cloud, tmp_path, secret_authentication_tokens=[]) as open_proxy:
        page = open_proxy.ask("GET", "/", **WITHOUT_KEY, Accept=CHROMIUM)
        guide = open_proxy.ask("GET", f"/web/guide?url={open_proxy.url}", **WITHOUT_KEY)

    assert page.body == load_files(key_is_needed=False)["index.html"].body
    assert guide.status == 200
