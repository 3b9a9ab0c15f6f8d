"""Upstreams without bounds: whatever they send, the request ends as a fault, or at another deployment."""

import json
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from tests.end_to_end.test_edges import shape_of
from tests.gateway.peers import CHUNKED, OK, Peer, Server, answer, chunk
from tests.support.running import Cloud, config_of
from tests.support.wsgi_app import Served, served_with

MIB = 1024 * 1024
DEEP = b"[" * 100_000
SSE = b"Content-Type: text/event-stream\r\n"
JSON = b"Content-Type: application/json\r\n"
EVENTS = b"Content-Type: application/vnd.amazon.eventstream\r\n"
PACKED = b"Content-Encoding: gzip\r\n"
STREAM, FRAMES = (OK + kind + CHUNKED + b"\r\n" for kind in (SSE, EVENTS))
FILLING, PADDING = chunk(b"x" * 65_536), b"X-Padding: xxxxxxxxxxxxxxxxxxxxxx\r\n" * 1000
CLIENTS = [
    ("/v1/chat/completions", "openai"),
    ("/v1/responses", "openai"),
    ("/v1/messages", "anthropic"),
    ("/v1beta/models/{}:{}", "google"),
]
GPT, CLAUDE, GEMINI, CODEX, EMBEDDING = MODELS = (
    "gpt-4.1",
    "anthropic--claude-4.5-sonnet",
    "gemini-2.5-pro",
    "gpt-5.3-codex",
    "text-embedding-3-small",
)
Script = Callable[[Server, Peer], None]


def endless(first: bytes, block: bytes, most: int = 2048 * MIB) -> Script:
    """Send *block* after *first* until the client has left; that would end after *most* bytes."""

    def script(server: Server, peer: Peer) -> None:
        server.requests.append(peer.request())
        peer.send(first)
        for _ in range(most // len(block)):
            peer.send(block)
            server.sent += len(block)

    return script


def whole(said: bytes) -> Script:
    def script(server: Server, peer: Peer) -> None:
        server.requests.append(peer.request())
        peer.send(said)
        server.sent += len(said)
        peer.left()

    return script


def bomb(size: int, first: bytes = b"") -> bytes:
    """So many bytes, a thousandth as large."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(piece) for piece in (first, *[b"x" * MIB] * (size // MIB))]
    return b"".join([*pieces, packer.flush()])


def prelude(total: int, headers: int = 0) -> bytes:
    """The beginning of a message of Amazon's event stream, with the right checksum."""
    sizes = pack(">II", total, headers)
    return sizes + pack(">I", zlib.crc32(sizes))


BOMB = bomb(128 * MIB)
STREAM_BOMB = bomb(128 * MIB, b'data: {"')
HOSTILE: dict[str, tuple[str, Script]] = {
    "endless line": (GEMINI, endless(STREAM + chunk(b'data: {"'), FILLING)),
    "endless body": (GPT, endless(OK + JSON + CHUNKED + b"\r\n", chunk(b" " * 65_536))),
    "endless headers": (GPT, endless(OK, PADDING)),
    "endless header": (GPT, endless(OK + b"X-Padding: ", b"x" * 65_536)),
    "endless interim answers": (GEMINI, endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)),
    "endless trailers": (GPT, endless(STREAM + b"0\r\n", PADDING)),
    "endless error": (GPT, endless(b"HTTP/1.1 500 Oops\r\n" + CHUNKED + b"\r\n", FILLING)),
    "endless comments": (GPT, endless(STREAM, chunk(b": ping\n\n" * 8192))),
    "frame of 2 GiB": (CLAUDE, endless(FRAMES + chunk(prelude(2**31)), FILLING)),
    "frame of 20 MiB": (CLAUDE, endless(FRAMES + chunk(prelude(20 * MIB)), FILLING)),
    "bomb": (GPT, whole(answer(BOMB, headers=JSON + PACKED))),
    "bomb in a stream": (GPT, whole(answer(STREAM_BOMB, headers=SSE + PACKED))),
    "bomb in an error": (GPT, whole(answer(BOMB, b"500 Oops", headers=JSON + PACKED))),
    "deep answer": (CLAUDE, whole(answer(DEEP + b"]" * 100_000, headers=JSON))),
    "deep event": (GPT, whole(answer(b"data: " + DEEP + b"]" * 100_000 + b"\n\n", headers=SSE))),
    "deep object": (
        GEMINI,
        whole(answer(b"data: " + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n\n", headers=SSE)),
    ),
    "deep literal": (CLAUDE, whole(answer(b"data: {'a': " + DEEP + b"]" * 100_000 + b"}\n\n", headers=SSE))),
    "deep error": (GPT, whole(answer(b'{"error": ' + DEEP + b"]" * 100_000 + b"}", b"500 Oops", headers=JSON))),
    "many values": (GPT, whole(answer(b'{"a": [' + b"[]," * 500_000 + b"1]}", headers=JSON))),
}


class Upstream(Server):
    """A server that does what `script` says, also when that changes."""

    def __init__(self) -> None:
        self.sent = 0
        self.script: Script = whole(b"")
        super().__init__(self._play)

    def _play(self, server: Server, peer: Peer) -> None:
        self.script(server, peer)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.close()


def config_with(cloud: Cloud, upstream: Upstream, *, alone: bool, **more: Any) -> dict[str, Any]:
    """Each model first at the hostile upstream, and after it in the emulator unless it is *alone*."""
    config = config_of(cloud, {})
    account = config["subAccounts"]["eu"]
    numbers = count()
    account["deployment_models"] = {
        model: [
            {"url": f"{upstream.url}/v2/inference/deployments/d{next(numbers)}", "tier": 0},
            *([] if alone else [{"url": f"{cloud.url}/v2/inference/deployments/{deployment}", "tier": 1}
                                for deployment in cloud.deployments(model, "eu")[:1]]),
        ]
        for model in MODELS
    }  # fmt: skip
    del config["subAccounts"]["us"]
    server = {"max_request_memory_bytes": 8 * MIB, "max_memory_bytes": 64 * MIB}
    routing = {
        "strategy": "priority",
        "health_check_interval": 0,  # a check would find that the hostile deployments are not listed
        "breaker": {"failure_threshold": 1000, "failure_rate": 2},
        "retry": {"budget_ratio": 1.0},
    }
    return {**config, "server": server, "routing": {**routing, **more}}


@pytest.fixture(scope="module")
def alone(shared_cloud: Cloud, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An application whose only upstream is hostile, with 8 MiB for a request."""
    config = config_with(shared_cloud, upstream, alone=True)
    with served_with(config, tmp_path_factory.mktemp("alone")) as served:
        yield served


@pytest.fixture(scope="module")
def with_other(shared_cloud: Cloud, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same application with another deployment."""
    config = config_with(shared_cloud, upstream, alone=False)
    with served_with(config, tmp_path_factory.mktemp("other")) as served:
        yield served


def ask(served: Served, client: str, model: str, *, stream: bool) -> tuple[int, bytes]:
    """Ask, and return the status and all that is said. Little memory is reserved for what did not become an answer."""
    verb = "streamGenerateContent" if stream else "generateContent"
    body: dict[str, Any] = {"model": model, "max_tokens": 50, "stream": stream}
    if client.endswith(("responses", "compact", "embeddings")):
        body = {"model": model, **({"stream": True} if stream else {}), "input": "hi"}
    elif "v1beta" in client:
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    else:
        body["messages"] = [{"role": "user", "content": "hi"}]
    told = served.ask("POST", client.format(model, verb), json.dumps(body).encode())
    assert served.used < 2 * MIB
    return told.status, told.read()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("what", HOSTILE)
def test_what_has_no_bounds_ends_as_a_fault(alone: Served, upstream: Upstream, what: str, stream: bool) -> None:
    model, upstream.script = HOSTILE[what]
    upstream.sent, before = 0, len(upstream.requests)
    client, shape = CLIENTS[list(HOSTILE).index(what) % len(CLIENTS)]
    tracemalloc.start()
    status, said = ask(alone, client, model, stream=stream)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (status, shape_of(json.loads(said))) == (502, shape)
    assert len(upstream.requests) > before
    assert peak < 16 * MIB
    assert (alone.used, upstream.sent < 64 * MIB) == (0, True)


@pytest.mark.parametrize(("path", "model"), [("/v1/embeddings", EMBEDDING), ("/v1/responses/compact", CODEX)])
@pytest.mark.parametrize("what", ["endless body", "bomb", "deep answer", "many values"])
def test_embeddings_and_compactions_without_bounds_are_faults(
    alone: Served, upstream: Upstream, what: str, path: str, model: str
) -> None:
    _, upstream.script = HOSTILE[what]
    before = len(upstream.requests)
    status, said = ask(alone, path, model, stream=False)

    assert (status, shape_of(json.loads(said)), alone.used) == (502, "openai", 0)
    assert len(upstream.requests) > before


@pytest.mark.parametrize("what", HOSTILE)
def test_another_deployment_answers_instead(with_other: Served, upstream: Upstream, what: str) -> None:
    model, upstream.script = HOSTILE[what]
    number, before = list(HOSTILE).index(what), len(upstream.requests)
    client, _ = CLIENTS[number % len(CLIENTS)]
    status, said = ask(with_other, client, model, stream=number % 2 == 0)

    assert (status, b'"error":{' in said) == (200, False)
    assert (len(upstream.requests) > before, with_other.used) == (True, 0)


@pytest.mark.parametrize(
    ("client", "end"), [("/v1/responses", b"event: response.failed"), ("/v1/messages", b"event: error")]
)
def test_an_answer_without_end_ends_when_too_much_of_it_must_be_kept(
    alone: Served, upstream: Upstream, client: str, end: bytes
) -> None:
    said = {"candidates": [{"content": {"role": "model", "parts": [{"text": "x" * 10_000}]}, "index": 0}]}
    upstream.script = endless(STREAM, chunk(b"data: " + json.dumps(said).encode() + b"\n\n"), 64 * MIB)
    upstream.sent = 0
    tracemalloc.start()
    status, told = ask(alone, client, "gemini-2.5-pro", stream=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (status, end in told[-2000:]) == (200, True)
    assert (peak < 24 * MIB, len(told) < 8 * MIB, alone.used) == (True, True, 0)


def test_signs_of_life_without_content_end_at_the_deadline(
    shared_cloud: Cloud, upstream: Upstream, tmp_path: Path
) -> None:
    left = threading.Event()

    def alive(server: Server, peer: Peer) -> None:
        server.requests.append(peer.request())
        peer.send(STREAM)
        while not left.wait(0.02):
            peer.send(chunk(b": ping\n\n"))

    upstream.script = alive
    config = config_with(shared_cloud, upstream, alone=True, timeouts={"total": 0.5})
    with served_with(config, tmp_path) as served:
        status, said = ask(served, "/v1/chat/completions", "gpt-4.1", stream=True)
    left.set()

    assert (status, shape_of(json.loads(said))) == (504, "openai")
