"""Everything at the edge that is not a conversation: keys, errors, health, lists, state."""

import json
import logging
import re
from collections import Counter
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.running import KEY, Proxy

ANTHROPIC = {"anthropic-version": "2023-06-01"}
GOOGLE = {"x-goog-api-key": KEY, "Authorization": ""}


def shape_of(body: Any) -> str:
    """Whose error this is, by its shape."""
    match body:
        case {"type": "error", "error": {"type": str(), "message": str()}}:
            return "anthropic"
        case {"error": {"code": int(), "message": str(), "status": str()}}:
            return "google"
        case {"error": {"message": str(), "type": str(), "param": _, "code": _}}:
            return "openai"
        case _:
            return f"nobody's: {body}"


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/responses", "openai"),
        ("/v1/messages", "anthropic"),
        ("/v1/messages/count_tokens", "anthropic"),
        ("/v1beta/models/gemini-2.5-pro:generateContent", "google"),
        ("/v1/models/gemini-2.5-pro:streamGenerateContent", "google"),
    ],
)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b"[]", 400), (b'"x"', 400), (b"", 400), (b"\xff", 400),
        (b'{"messages": 7, "input": 7, "contents": 7}', 400),
    ],
    ids=["cut", "list", "text", "empty", "not-utf8", "wrong-types"],
)  # fmt: skip
def test_a_body_that_makes_no_sense_is_refused_in_the_dialect_of_the_path(
    proxy: Proxy, path: str, shape: str, body: bytes, status: int
) -> None:
    told = proxy.ask("POST", path, body)

    assert (status, shape) == (told.status, shape_of(told.json))
    assert told.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    ("method", "path", "status", "shape"),
    [
        ("GET", "/v1/nothing", 404, "openai"),
        ("GET", "/v1beta/nothing", 404, "google"),
        ("GET", "/v1/messages/nothing", 404, "anthropic"),
        ("GET", "/v1/chat/completions", 405, "openai"),
        ("PUT", "/v1/messages", 405, "anthropic"),
        ("DELETE", "/v1beta/models/gemini-2.5-pro:generateContent", 405, "google"),
        ("POST", "/v1beta/models/gemini-2.5-pro:paint", 404, "google"),
        ("GET", "/v1/models/unheard-of", 404, "openai"),
    ],
)
def test_a_path_that_is_not_there_is_json_too(proxy: Proxy, method: str, path: str, status: int, shape: str) -> None:
    told = proxy.ask(method, path, b"{}" if method != "GET" else None)

    assert (status, shape) == (told.status, shape_of(told.json))


@pytest.mark.parametrize(
    ("method", "path", "shape"),
    [
        ("POST", "/v1/chat/completions", "openai"),
        ("POST", "/v1/responses", "openai"),
        ("POST", "/v1/embeddings", "openai"),
        ("POST", "/v1/messages", "anthropic"),
        ("POST", "/v1/messages/count_tokens", "anthropic"),
        ("POST", "/openai/deployments/{}/chat/completions", "openai"),
        ("POST", "/openai/deployments/{}/embeddings", "openai"),
        ("POST", "/v1beta/models/{}:generateContent", "google"),
        ("POST", "/v1/models/{}:streamGenerateContent", "google"),
        ("POST", "/v1beta/models/{}:countTokens", "google"),
        ("GET", "/v1/models/{}", "openai"),
        ("GET", "/v1beta/models/{}", "google"),
    ],
)
@pytest.mark.parametrize("name", ["gpt-4.1" + "x" * 194, "gpt-4.1\n", "gpt\n-4.1", "gpt-4.1\x00"])
def test_a_name_that_no_model_can_have_is_refused_on_every_path(
    proxy: Proxy, method: str, path: str, shape: str, name: str
) -> None:
    body: Any = {"messages": [{"role": "user", "content": "hi"}], "input": "hi", "max_tokens": 9}
    body = {"contents": [{"parts": [{"text": "hi"}]}]} if shape == "google" else {**body, "model": name}
    told = proxy.ask(method, path.format(quote(name, safe="")), body if method == "POST" else None)

    assert (400, shape) == (told.status, shape_of(told.json))
    assert "model must be a name of at most 200 characters" in told.json["error"]["message"]
    assert proxy.cloud.requests() == []


POSTED = {
    "model": "gpt-4.1",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
    "input": "Hello",
    "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
}
POSTS = ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models/gpt-4.1:generateContent"]


@pytest.mark.parametrize("path", [*POSTS, "/v1/embeddings"])
def test_a_caller_is_told_not_to_repeat_its_own_mistake(own_proxy: Proxy, path: str) -> None:
    body = {**POSTED, "model": "text-embedding-3-small"} if path == "/v1/embeddings" else POSTED
    for deployment in own_proxy.cloud.deployments(body["model"]):
        own_proxy.cloud.fault(deployment, "400", message="The prompt is wrong.")
    told = [
        own_proxy.ask("POST", path, b"{"),
        own_proxy.ask("POST", path, body, Authorization="Bearer sk-wrong"),
        own_proxy.ask("POST", path.replace("gpt-4.1", "unheard-of"), {**body, "model": "unheard-of"}),
        *(own_proxy.ask("POST", path, {**body, "stream": stream}) for stream in (False, True)),
    ]

    assert [each.status for each in told] == [400, 401, 404, 400, 400]
    assert [each.headers.get("x-should-retry") for each in told] == ["false"] * 5


@pytest.mark.parametrize("path", POSTS)
def test_nobody_is_told_not_to_repeat_what_may_go_well_later(own_proxy: Proxy, path: str) -> None:
    well = own_proxy.ask("POST", path, POSTED)
    for deployment in own_proxy.cloud.deployments("gpt-4.1"):
        own_proxy.cloud.fault(deployment, "429-provider", retry_after=30)
    ill = own_proxy.ask("POST", path, POSTED)

    assert [well.status, ill.status] == [200, 429]
    assert [each.headers.get("x-should-retry") for each in (well, ill)] == [None, None]


@pytest.mark.parametrize("path", POSTS)
def test_a_client_whose_base_url_has_the_prefix_already_is_served(proxy: Proxy, path: str) -> None:
    told = proxy.ask("POST", f"/v1{path}", POSTED)
    unknown = proxy.ask("POST", f"/v1{path}", POSTED, Authorization="Bearer sk-wrong")

    assert told.status == 200
    assert (401, shape_of(proxy.ask("POST", path, b"{").json)) == (unknown.status, shape_of(unknown.json))


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4.1", "/v1beta/models"])
def test_lists_of_models_are_the_same_under_a_doubled_prefix(proxy: Proxy, path: str) -> None:
    assert proxy.ask("GET", path).json == proxy.ask("GET", f"/v1{path}").json
    assert proxy.ask("GET", f"/v1{path}", None, Authorization="").status == 401


@pytest.mark.parametrize("path", ["/v1/v1", "/v1/v1x/models", "/v1/v1/v1/models", "/v1/health", "/v1/v1/nothing"])
def test_only_the_prefix_may_be_doubled(proxy: Proxy, path: str) -> None:
    assert proxy.ask("GET", path).status == 404


@pytest.mark.parametrize(
    "path", ["/v1//chat/completions", "//v1/v1///chat//completions", "/openai/v1//chat/completions"]
)
def test_a_doubled_slash_is_read_as_one_and_nothing_is_redirected(proxy: Proxy, path: str) -> None:
    told = proxy.ask("POST", path, POSTED)
    others = [
        proxy.ask("POST", path, POSTED, Authorization="Bearer sk-wrong"),
        proxy.ask("GET", "/v1/responses//input_items"),
        proxy.ask("GET", "//evil.example/v1/models"),
    ]

    assert told.status == 200
    assert [each.status for each in others] == [401, 404, 404]
    assert [shape_of(each.json) for each in others] == ["openai"] * 3


def test_a_path_that_is_not_there_is_not_taken_for_a_model(proxy: Proxy) -> None:
    assert proxy.ask("GET", "/v1/nothing").json["error"]["code"] == "unknown_url"
    assert proxy.ask("GET", "/v1/models/nobody").json["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/messages", "/v1/models", "/router/state", "/metrics", "/", "/openapi.json"]
)
@pytest.mark.parametrize("key", [None, "sk-dem", "sk-demoo", "Bearer"])
def test_every_path_asks_for_a_key(proxy: Proxy, path: str, key: str | None) -> None:
    told = proxy.ask("GET", path, None, Authorization=f"Bearer {key}" if key else "")

    assert told.status == 401


@pytest.mark.parametrize("headers", [{"x-api-key": KEY}, {"api-key": KEY}, {"x-goog-api-key": KEY}])
def test_a_key_is_taken_from_every_header_sdks_use(proxy: Proxy, headers: dict[str, str]) -> None:
    assert proxy.ask("GET", "/v1/models", None, Authorization="", **headers).status == 200


def test_a_key_is_taken_from_the_query(proxy: Proxy) -> None:
    assert proxy.ask("GET", f"/v1beta/models?key={KEY}", None, Authorization="").status == 200


@pytest.mark.parametrize(
    ("path", "said"),
    [("/health", {"status": "alive"}), ("/ready", {"status": "ready", "subaccounts": {"eu": "ok", "us": "ok"}})],
)
def test_health_needs_no_key(proxy: Proxy, path: str, said: dict[str, str]) -> None:
    told = proxy.ask("GET", path, None, Authorization="")

    assert (200, said) == (told.status, told.json)


@pytest.mark.parametrize("path", ["/", "/api/hello"])
def test_probes_of_clients_are_answered(proxy: Proxy, path: str) -> None:
    assert proxy.ask("HEAD", path).status == 200
    assert proxy.ask("GET", path).status == 200


def test_event_logging_is_taken_and_forgotten(proxy: Proxy) -> None:
    assert proxy.ask("POST", "/api/event_logging/batch", {"events": []}).json["status"] == "success"


def test_a_websocket_is_refused_with_the_one_status_codex_understands(proxy: Proxy) -> None:
    assert proxy.ask("GET", "/v1/responses", None, Upgrade="websocket", Connection="Upgrade").status == 426


def test_models_are_listed_in_the_dialect_of_the_asker(proxy: Proxy) -> None:
    openai = proxy.ask("GET", "/v1/models").json
    anthropic = proxy.ask("GET", "/v1/models?limit=1000", None, **ANTHROPIC).json
    google = proxy.ask("GET", "/v1/models", None, **GOOGLE).json

    assert openai["object"] == "list"
    assert anthropic["has_more"] is False
    assert [model["id"] for model in openai["data"]] == [model["id"] for model in anthropic["data"]]
    assert [f"models/{model['id']}" for model in openai["data"]] == [model["name"] for model in google["models"]]
    assert google == proxy.ask("GET", "/v1beta/models").json


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/messages", "/v1beta/models/gemini-2.5-pro:generateContent"]
)
def test_without_a_stream_field_nothing_is_streamed(proxy: Proxy, path: str) -> None:
    body = {
        "model": "gemini-2.5-pro",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hello"}],
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
    }
    told = proxy.ask("POST", path, body)

    assert told.status == 200
    assert told.headers["content-type"].startswith("application/json")


def test_a_stream_is_told_as_one_and_is_not_cached(proxy: Proxy) -> None:
    body = {"model": "gpt-4.1", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    told = proxy.ask("POST", "/v1/chat/completions", body)

    assert told.headers["content-type"].startswith("text/event-stream")
    assert told.headers["cache-control"] == "no-store"
    assert told.headers["x-proxy-deployment"].partition("/")[0] in {"eu", "us"}


def test_an_answer_names_who_answered(proxy: Proxy) -> None:
    told = proxy.ask(
        "POST", "/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    )

    assert told.headers["x-proxy-fallback"] == "gpt-4o -> gpt-5"
    assert told.headers["x-proxy-attempts"] == "1"
    assert told.headers["x-proxy-trail"].endswith(" ok")
    assert told.headers["x-request-id"]


def test_the_routers_state_is_shown(proxy: Proxy) -> None:
    state = proxy.ask("GET", "/router/state").json
    endpoints = [row for row in state["endpoints"] if row["model"] == "gpt-4.1"]

    assert state["strategies"]["gpt-4.1"] == "round-robin"
    assert {row["subaccount"] for row in endpoints} == {"eu", "us"}
    assert {row["circuit"] for row in endpoints} == {"closed"}
    assert "http" not in json.dumps(state)


def test_metrics_count_exchanges_and_tokens(proxy: Proxy) -> None:
    proxy.ask("POST", "/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi"}]})
    told = proxy.ask("GET", "/metrics")
    metrics = told.body.decode()

    assert told.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'aicore_proxy_exchanges_total{client="openai-chat",model="gpt-4.1",outcome="ok"}' in metrics
    assert 'aicore_proxy_tokens_total{kind="output",model="gpt-4.1"}' in metrics
    assert 'aicore_proxy_decisions_total{model="gpt-4.1",reason="round-robin"}' in metrics
    assert 'aicore_proxy_retries_total{budget="refused",model="gpt-4.1"} 0.0' in metrics
    assert 'aicore_proxy_overhead_seconds_count{client="openai-chat",model="gpt-4.1"}' in metrics


def test_the_framework_s_own_limits_speak_the_dialect_too(proxy: Proxy) -> None:
    limit = proxy.gateway.settings.server.max_body_bytes
    told = proxy.ask("POST", "/v1/messages", b" " * (limit + 1))

    assert (told.status, shape_of(told.json)) == (413, "anthropic")


def test_a_count_of_something_that_is_no_request_is_refused(proxy: Proxy) -> None:
    told = proxy.ask("POST", "/v1beta/models/gemini-2.5-pro:countTokens", {"generateContentRequest": "x"})

    assert (told.status, told.json["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_model_that_is_not_there_has_no_tokens_to_count(proxy: Proxy) -> None:
    ask = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}

    assert proxy.ask("POST", "/v1beta/models/no-such-model:countTokens", ask).status == 404


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", ["gpt-4.1", "anthropic--claude-4.5-sonnet", "gemini-2.5-pro"])
@pytest.mark.parametrize("depth", [200, 300, 500, 900])
def test_a_body_that_is_nested_without_end_is_no_defect(proxy: Proxy, stream: bool, model: str, depth: int) -> None:
    schema = json.loads('{"type":"array","items":' * depth + "{}" + "}" * depth)
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    told = proxy.ask(
        "POST",
        "/v1/chat/completions",
        {"model": model, "stream": stream, "tools": [tool], "messages": [{"role": "user", "content": "hi"}]},
    )

    assert told.status in {200, 400}
    assert proxy.in_flight == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "key", "line"),
    [
        ("POST", "/v1/messages", b"{", KEY, r"400 POST /v1/messages .*client=anthropic-messages "),
        ("POST", "/v1/nothing", b"{}", KEY, r"404 POST /v1/nothing .*outcome=not_found client=openai-chat "),
        ("GET", "/v1/models", None, "sk-no", r"401 GET /v1/models .*client=openai-chat caller=anonymous "),
        ("GET", "/v1/responses/resp_1", None, KEY, r"404 GET /v1/responses/resp_1 .*client=openai-responses "),
        ("POST", "/v1/responses", b'{"model": "nobody"}', KEY, r"404 nobody .*client=openai-responses "),
        ("POST", "/v1beta/models/nobody:generateContent", b'{"contents": []}', KEY, r"400 nobody .*client=gemini "),
    ],
)  # fmt: skip
def test_what_is_refused_at_the_door_is_one_line_and_counted(
    proxy: Proxy, caplog: pytest.LogCaptureFixture, method: str, path: str, body: bytes | None, key: str, line: str
) -> None:
    caplog.set_level(logging.INFO, "sap_ai_proxy.exchange")
    before = refusals(proxy)
    told = proxy.ask(method, path, body, Authorization=f"Bearer {key}")

    assert 400 <= told.status < 500
    [said] = [message for message in caplog.messages if told.headers["x-request-id"] in message]
    assert re.match(line, said)
    labels = dict(re.findall(r"(client|outcome)=(\S+)", said))
    counted = labels["client"], labels["outcome"]
    assert refusals(proxy)[counted] == before[counted] + 1


def refusals(proxy: Proxy) -> Counter[tuple[str, str]]:
    """How many requests were counted that reached no model, by client and outcome."""
    counted = r'^aicore_proxy_exchanges_total\{client="([^"]+)",model="unknown",outcome="([^"]+)"\} (\S+)$'
    found = re.findall(counted, proxy.ask("GET", "/metrics").body.decode(), re.MULTILINE)
    return Counter({(client, outcome): int(float(count)) for client, outcome, count in found})


def test_a_defect_has_one_status_in_the_header_and_in_the_body(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy.gateway, "exchange", None)
    told = proxy.ask("POST", "/v1beta/models/gemini-2.5-pro:generateContent", {"contents": []})

    assert (told.status, told.json["error"]["code"], told.json["error"]["status"]) == (500, 500, "INTERNAL")
