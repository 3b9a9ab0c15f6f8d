"""Odd values in what SAP AI Core and callers send: each is ignored or becomes a fault, and none is a defect."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.config.loader import load
from tests.support.processes import until
from tests.support.raw_core import RawCore, RawRequest, answer, running_core
from tests.support.running import KEY, Cloud, Proxy, serving
from tests.support.talking import CHAT, MESSAGES, request_of

MANY = "9" * 5000
"""More digits than Python reads as an integer."""
NUMBERS = ("\u00b2", "\u0663", "-1", "nan", "inf", "1e999", "1_0", "", "9" * 15, MANY)
DATES = ("Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 01 Jan 0001 00:00:00 +2359", "0001-01-01T00:00:00+14:00", "Mon, 32 Foo")
HEADERS = ("Retry-After", "retry-after-ms", "x-ratelimit-reset-tokens", "Date", "Content-Length", "x-request-id")
JSON_NUMBERS = ("-1", "1e308", "1e999", "NaN", '"\u00b2"', "true", "[]", "9" * 30, "9" * 4299, MANY)
QUICKLY = {
    "breaker": {"failure_threshold": 1000, "failure_rate": 2},
    "cooldown": {"floor": 0, "cap": 0, "wait_at_most": 0, "base": 0.001, "base_cap": 0.001},
    "retry": {"max_attempts": 1},
    "health_check_interval": 0,
    "timeouts": {"first_event": 2, "idle": 2, "answer": 2},
}
TOKEN = answer({"access_token": "token", "expires_in": 3600})


class Said:
    """What the core says now, to each path."""

    def __init__(self) -> None:
        self.token = TOKEN
        self.listing: Any = []
        self.model = b""

    def of_listing(self, _: RawRequest) -> bytes:
        return answer({"count": len(self.listing), "resources": self.listing})


@pytest.fixture(scope="module")
def said() -> Said:
    return Said()


@pytest.fixture(scope="module")
def core(said: Said) -> Iterator[RawCore]:
    scripts = {
        "/oauth/token": lambda _: said.token,
        "/lm/deployments": said.of_listing,
        "/deployments/": lambda _: said.model,
    }
    with running_core(scripts) as core:
        yield core


@pytest.fixture(scope="module")
def start(core: RawCore, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Serves a proxy with these deployments."""

    @contextmanager
    def start(**account: Any) -> Iterator[Proxy]:
        key = {"clientid": "c", "clientsecret": "s", "url": core.url, "serviceurls": {"AI_API_URL": core.url}}
        config = {"subAccounts": {"eu": {"service_key": key, **account}}, "secret_authentication_tokens": [KEY]}
        folder = tmp_path_factory.mktemp("odd")
        (folder / "config.json").write_text(json.dumps({**config, "routing": QUICKLY}))
        with serving(load(folder / "config.json", {}, Path()), Cloud(core.url)) as proxy:
            yield proxy

    return start


@pytest.fixture(scope="module")
def proxy(start: Callable[..., Any]) -> Iterator[Proxy]:
    models = {"gpt-4.1": "chat", "gpt-5": "responses", "text-embedding-3-small": "embedding"}
    with start(deployment_ids={model: [name] for model, name in models.items()}) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def no_defect(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No exception is logged, and no thread ends by one."""
    ended: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", ended.append)
    caplog.set_level(logging.WARNING)
    yield

    assert [record.getMessage() for record in caplog.get_records("call") if record.exc_info] == []
    assert ended == []


def completion(usage: str = '{"prompt_tokens": 1, "completion_tokens": 1}', created: str = "1") -> bytes:
    choice = '{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}'
    text = f'{{"id": "a", "object": "chat.completion", "created": {created}, "model": "m", "choices": [{choice}]'
    return f'{text}, "usage": {usage}}}'.encode()


@pytest.mark.parametrize("status", [200, 429, 503])
@pytest.mark.parametrize("name", HEADERS)
def test_an_odd_header_is_ignored_or_a_fault(proxy: Proxy, said: Said, name: str, status: int) -> None:
    path, body = request_of("chat", "gpt-4.1", stream=False)
    statuses = set()
    for value in (*NUMBERS, *DATES):
        written = value.encode().decode("latin-1")
        said.model = answer(completion(), status).replace(
            b"\r\n\r\n", f"\r\n{name}: {written}\r\n\r\n".encode("latin-1"), 1
        )
        statuses.add(proxy.ask("POST", path, body).status)

    assert statuses <= {status, 502, 503, 504}


@pytest.mark.parametrize(
    "line",
    [b"\xb200 OK", b"2 OK", b"999 OK", b"099 OK", b"-20 OK", b"101 Switching", b"204 None", b"304 Same", b"2" * 5000],
)
def test_an_odd_status_line_is_a_fault(proxy: Proxy, said: Said, line: bytes) -> None:
    path, body = request_of("chat", "gpt-4.1", stream=False)
    said.model = answer(completion()).replace(b"200 Said", line)

    assert proxy.ask("POST", path, body).status in {502, 504}


@pytest.mark.parametrize("number", JSON_NUMBERS, ids=lambda number: number[:8])
def test_an_odd_number_in_an_answer_is_ignored_or_a_fault(proxy: Proxy, said: Said, number: str) -> None:
    usage = f'{{"prompt_tokens": {number}, "completion_tokens": {number}, "total_tokens": {number}}}'
    vectors = f'{{"data": [{{"index": 0, "embedding": [0.1]}}], "usage": {usage}}}'
    said.model = answer(completion(usage, number).replace(b'"index": 0', f'"index": {number}'.encode()))
    asked = [request_of(dialect, "gpt-4.1", stream=False) for dialect in ("chat", "messages", "responses", "gemini")]
    statuses = [proxy.ask("POST", *each).status for each in asked]
    said.model = answer(vectors.encode())
    statuses.append(proxy.ask("POST", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"}).status)
    metrics = proxy.ask("GET", "/metrics")

    assert set(statuses) <= {200, 502}
    assert metrics.status == 200


@pytest.mark.parametrize("number", ["\u00b2", "\u0663", MANY, "-1", "nan"], ids=lambda number: number[:8])
def test_an_odd_number_in_a_request_is_refused_or_passed_on(proxy: Proxy, said: Said, number: str) -> None:
    said.model = answer(completion())
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "maxLength": number}}}
    tools = [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]
    path, body = request_of("gemini", "gpt-4.1", stream=False)
    answers = [proxy.ask("POST", path, {**body, "tools": tools})]
    for path, name in ((CHAT, "max_tokens"), (MESSAGES, "max_tokens")):
        text = json.dumps({"model": "gpt-4.1", "messages": [{"role": "user", "content": "x"}]})
        written = number if number == MANY else json.dumps(number)
        answers.append(proxy.ask("POST", path, f'{text[:-1]}, "{name}": {written}}}'.encode()))

    assert {each.status for each in answers} <= {200, 400}


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ({"access_token": "t\u00e9"}, 503),
        ({"access_token": "\u00b2"}, 503),
        ({"access_token": "a\r\nX: y"}, 503),
        ({"access_token": "a b"}, 503),
        ({"access_token": 5}, 503),
        ({"access_token": "t", "expires_in": "\u00b2"}, 200),
        ({"access_token": "t", "expires_in": -1}, 200),
        ({"access_token": "t", "expires_in": "nan"}, 200),
        ({"access_token": "t", "expires_in": MANY}, 200),
        ({"access_token": "t", "expires_in": 1e308}, 200),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_odd_token_is_a_fault_and_an_odd_lifetime_is_ignored(
    start: Callable[..., Any], said: Said, token: dict[str, Any], status: int
) -> None:
    said.token, said.model = answer(token), answer(completion())
    with start(deployment_ids={"gpt-4.1": ["chat"]}) as proxy:
        told = proxy.ask("POST", *request_of("chat", "gpt-4.1", stream=False))
    said.token = TOKEN

    assert told.status == status


def deployment(id: str, name: str, **more: Any) -> dict[str, Any]:
    model = {"name": name, "version": "latest"}
    return {"id": id, "status": "RUNNING", "details": {"resources": {"backendDetails": {"model": model}}}, **more}


def test_odd_deployments_in_a_list_hide_no_others(start: Callable[..., Any], said: Said) -> None:
    said.model = answer(completion())
    said.listing = [
        deployment("d1", "gpt-4.1"),
        deployment("d2", "gpt-4\u00b2"),
        deployment("d3", "gpt-3\u00b2"),
        deployment("d4", "gpt-" + "9" * 190),
        deployment("d\r\nX-Evil: 1", "gpt-a"),
        deployment("\u00b2/../x?y#z", "gpt-b"),
        deployment("d5", "gpt-c", deploymentUrl="http://127.0.0.1:\u00b2/x"),
        deployment("d6", "gpt\nd"),
        deployment("d7", "gpt-e", deploymentUrl=7, status=7),
        {"id": None},
        [],
    ]
    with start(discovery=True) as proxy:
        until(lambda: "gpt-4.1" in proxy.gateway.balancer.models())
        models = [name for name in proxy.gateway.balancer.models() if name != "gpt-b"]
        told = {model: proxy.ask("POST", *request_of("chat", model, stream=False)).status for model in models}
        pages = [proxy.ask("GET", path).status for path in ("/v1/models", "/router/state", "/metrics")]

    assert {"gpt-4.1", "gpt-4\u00b2", "gpt-3\u00b2"} <= set(models)
    assert set(told.values()) == {200}
    assert pages == [200, 200, 200]
