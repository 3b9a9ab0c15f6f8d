"""What an answer says to browsers and caches, whatever made it."""

from typing import Any

import pytest

from gateway.server.http_messages import error_response
from tests.support.running import Proxy

CHAT = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}
WITHOUT_KEY = {"Authorization": ""}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("POST", "/v1/chat/completions", CHAT, {}),
        ("POST", "/v1/chat/completions", {**CHAT, "stream": True}, {}),
        ("POST", "/v1/chat/completions", {**CHAT, "model": "x"}, {}),
        ("POST", "/v1/chat/completions", CHAT, WITHOUT_KEY),
        ("POST", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"}, {}),
        ("GET", "/v1/models", None, {}),
        ("HEAD", "/v1/models", None, {}),
        ("OPTIONS", "/v1/models", None, {"Origin": "https://chat.example"}),
        ("GET", "/", None, {}),
        ("GET", "/health", None, WITHOUT_KEY),
        ("GET", "/ready", None, WITHOUT_KEY),
        ("GET", "/metrics", None, {}),
        ("GET", "/openapi.json", None, {}),
        ("GET", "/router/state", None, {}),
        ("GET", "/web/guide", None, {}),
        ("GET", "/web/nothing.js", None, {}),
        ("GET", "/nowhere", None, {}),
        ("DELETE", "/v1/models", None, {}),
    ],
)
def test_every_answer_but_a_file_is_kept_by_no_cache_and_never_taken_for_a_page(
    proxy: Proxy, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    told = proxy.ask(method, path, body, **headers)

    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.headers["cache-control"] == "no-store"
    assert not told.headers["content-type"].startswith("text/html") or told.body == b""


def test_an_error_of_the_server_itself_says_the_same() -> None:
    head, _, _ = error_response(400, "This is not valid HTTP/1.1.", "invalid_request_error").partition(b"\r\n\r\n")

    assert b"X-Content-Type-Options: nosniff" in head.split(b"\r\n")
    assert b"Cache-Control: no-store" in head.split(b"\r\n")
