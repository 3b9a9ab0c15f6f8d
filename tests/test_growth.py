"""No input makes a function more than linear: 16 times the input takes about 16 times the time, and not 256 times.

`tests/test_patterns.py` says the same of regular expressions, `tests/dialects/test_growth.py` of requests, answers and
streams in every dialect, and `tests/dialects/adapt/test_growth.py` of what they have in common.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import zstandard
from werkzeug.test import EnvironBuilder

from dialects import anthropic_messages, gemini, openai_chat, openai_responses
from dialects.capabilities.models import profile_for
from dialects.core.conversation import JSON, Completion, Conversation, Message, Role, Text, Thinking, ToolCall
from dialects.core.events import Event, fold, unfold
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.core.frame_reader import FrameReader
from dialects.core.redaction import redacted
from dialects.core.upstream_errors import fault_from, fault_of_orchestration, reason
from dialects.embeddings import openai as openai_embeddings
from dialects.embeddings.registry import parts_of
from dialects.framing.aws_event_stream import EventStreamDecoder
from dialects.framing.json_text import loads, sorted_text
from dialects.framing.sse import SSEDecoder
from dialects.gemini.vocabulary import parse_citations
from dialects.openai_chat.stream import ChunkReader
from gateway.http.application import Request
from gateway.http.bodies import decoded
from gateway.http.client_address import TrustedProxies
from gateway.observability.request_line import plain
from gateway.requests.rejected_fields import RejectedFields
from gateway.requests.signed_ids import read_seal, sign_seal
from gateway.server.client_connection import ClientConnection
from gateway.server.http_messages import RefusedError, Requests
from gateway.server.options import ServerOptions
from gateway.upstream.inflater import Inflater
from gateway.upstream.transport import _Answer
from tests.dialects.eventstreams import event
from tests.support.growth import Case, must_all_be_linear, must_be_linear

pytestmark = pytest.mark.repeats

MISTRAL, CLAUDE = profile_for("mistralai--mistral-large-instruct"), profile_for("anthropic--claude-4-sonnet")
GPT, NOVA = profile_for("gpt-4o"), profile_for("amazon--nova-pro")
LIMIT = 1 << 30


# --- Texts and frames


def fed(decoder: Any, chunks: Iterable[bytes]) -> None:
    with suppress(ValueError):
        for chunk in chunks:
            decoder.feed(chunk)
        decoder.finish()


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


class Signed(FrameReader):
    """A reader of a stream in which every frame has a piece of a signature."""

    def read(self, message: JSON) -> Iterator[Event]:
        yield from self.extend("thought", Thinking())
        self.sign("AAAA" * 256)


def signed(chunks: list[bytes]) -> None:
    fed(Signed(), chunks)


def likely(chunks: list[bytes]) -> None:
    fed(ChunkReader("tok"), chunks)


TOKEN = {"token": "a", "logprob": 0, "bytes": []}
UNSAID = {"id": "c", "choices": [{"index": 0, "delta": {}, "logprobs": {"content": [TOKEN]}}]}


def frame(message: JSON) -> bytes:
    return b"data: " + json.dumps(message).encode() + b"\n\n"


def texts() -> Iterator[Case]:
    """Frames and JSON, whole and in pieces."""
    sse = {
        "a line": lambda n: in_pieces(b"data: " + b"x" * 50 * n + b"\n\n", 50),
        "lines of data": lambda n: [b"data: x\n"] * n,
        "lines of data at once": lambda n: [b"data: x\n" * n],
        "comments": lambda n: [b": ping\n\n"] * n,
        "names": lambda n: [b"event: x\n"] * n,
        "line ends": lambda n: [b"\r\n" * n] * 2,
        "every byte": lambda n: in_pieces(b"event: x\ndata: {}\n\n" * n, 1),
    }
    for name, build in sse.items():
        yield Case(f"SSE: {name}", 400, build, lambda chunks: fed(SSEDecoder(), chunks))
    binary = {
        "a message": lambda n: in_pieces(event("chunk", {"bytes": "AAAA" * 200 * n}), 800),
        "messages": lambda n: [event("ping", {}) * n],
        "every byte": lambda n: in_pieces(event("ping", {}) * (n // 40), 1),
    }
    for name, build in binary.items():
        yield Case(f"event stream: {name}", 200, build, lambda chunks: fed(EventStreamDecoder(), chunks))
    yield Case("pieces of a signature", 300, lambda n: [frame({"n": i}) for i in range(n)], signed)
    yield Case("log probabilities", 1500, lambda n: [frame(UNSAID)] * n, likely)
    yield Case("blocks", 300, lambda n: [*unfold(Completion(parts=(Text("a"), ToolCall("c", "f")) * n))], fold)
    numbers = {"integers": "123456789012345678901, ", "digits": "1" * 400 + ", ", "words": '"1234567890123456789012", '}
    for name, text in numbers.items():
        yield Case(f"JSON: {name}", 200, lambda n, text=text: f"[{text * n}1]".encode(), _loaded)
    yield Case("JSON: digits in a string", 2000, lambda n: b'"' + b"x1234567890123456789012" * n + b'"', _loaded)
    yield Case("JSON: sorted", 1000, lambda n: {f"k{i}": [1 << 70, {"b": 1, "a": 2}] for i in range(n)}, sorted_text)


def _loaded(text: bytes) -> None:
    with suppress(ValueError):
        loads(text)


# --- Errors


def failed(body: bytes) -> None:
    fault_from(429, {}, body, 0.0)
    reason(400, body)


def errors() -> Iterator[Case]:
    """Errors of any length and shape."""
    bodies = {
        "text": lambda n: b"https://a.b/c?key=d bearer e " * n,
        "message": lambda n: json.dumps({"error": {"message": "try again in 1s " * n, "code": "c" * n}}).encode(),
        "list": lambda n: json.dumps([{"error": {"message": "m"}}] * n).encode(),
        "errors of orchestration": lambda n: json.dumps(
            {"error": [{"message": "400 - m", "location": "l"}] * n}
        ).encode(),
        "text with JSON": lambda n: json.dumps({"error": json.dumps({"error": json.dumps({"m": "a" * n})})}).encode(),
        "repeated prompt": lambda n: b'{"error": {"message": "m"' + b', "intermediate_results": {' * n,
        "filters": lambda n: json.dumps(
            {
                "error": {
                    "message": "Filtering Module",
                    "location": "Filtering Module",
                    "intermediate_results": {"input_filtering": {"data": {f"f{i}": {"hate": 4} for i in range(n)}}},
                }
            }
        ).encode(),
    }
    for name, build in bodies.items():
        yield Case(f"error: {name}", 100, build, failed)
    yield Case("headers", 100, lambda n: {f"x-ratelimit-{i}-reset": "1s" for i in range(n)}, _hinted)
    yield Case("orchestration", 100, lambda n: [{"message": "m", "location": "l"}] * n, fault_of_orchestration)
    yield Case("redaction", 500, lambda n: "sk-abcdefghijklmnopq " * n, redacted)
    yield Case("log", 5000, lambda n: "\n" * n, plain)


def _hinted(headers: Mapping[str, str]) -> None:
    fault_from(429, headers, b"", 0.0)


# --- Bodies and connections


def unpacked(encoding: str, body: bytes) -> None:
    with suppress(FaultError):
        decoded(body, encoding, LIMIT)


class Arriving:
    """A connection on which bytes arrive, at most so many at once."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data = data
        self._place = 0
        self._most = most

    def recv(self, size: int) -> bytes:
        place = self._place
        self._place = min(len(self._data), place + min(size, self._most))
        return self._data[place : self._place]


def received(given: tuple[bytes, int]) -> None:
    requests = Requests(Arriving(*given))  # type: ignore[arg-type]  # as much of a connection as is needed
    with suppress(FaultError, RefusedError):
        while (request := requests.next()) is not None:
            request.body.read()


def environ(headers: Mapping[str, str], query: str = "") -> dict[str, Any]:
    return EnvironBuilder(headers=headers, query_string=query).get_environ()


def described(environ: dict[str, Any]) -> None:
    request = Request(environ)
    assert request.args is not None
    assert request.accept_mimetypes["text/html"] >= 0
    assert request.mimetype is not None


class SlowSocket:
    """A socket that takes a thousand bytes, and then nothing until it is asked again."""

    def __init__(self) -> None:
        self.takes = False

    def setblocking(self, _: object) -> None:
        pass

    def setsockopt(self, *_: object) -> None:
        pass

    def send(self, data: bytes | memoryview) -> int:
        self.takes = not self.takes
        if not self.takes:
            raise BlockingIOError
        return min(1000, len(data))


def sent_slowly(data: bytes) -> None:
    connection = ClientConnection(SlowSocket(), ("", 0), ("", 0), ServerOptions())  # type: ignore[arg-type]
    connection.waits_to_send = False
    connection.sendall(data)
    while connection.unsent:
        connection.send_unsent()


def answered(data: bytes) -> None:
    answer = _Answer()
    with suppress(ValueError):
        answer.feed(data)
        while answer.has_more:
            answer.body()
    answer.release()


def inflated(pieces: list[bytes]) -> None:
    inflater = Inflater()
    for piece in pieces:
        inflater.unpack(piece)
        while inflater.has_more:
            inflater.unpack(b"")


def refused(betas: list[str]) -> None:
    fields, fault = RejectedFields(), Fault(FaultKind.INVALID_REQUEST, "invalid beta flag")
    fields.learn("m", {"anthropic_beta": betas[:5]}, fault)
    fields.without("m", {"anthropic_beta": betas})


HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def chunked(number: int) -> bytes:
    return HEAD + b"1\r\na\r\n" * number + b"0\r\n\r\n"


def connections() -> Iterator[Case]:
    """What arrives from clients and from SAP AI Core, before anybody understands it."""
    zipped = {
        "gzip": gzip.compress(b""),
        "zstd": zstandard.ZstdCompressor().compress(b""),
        "deflate": zlib.compress(b"a" * 100),
    }
    for encoding, one in zipped.items():
        yield Case(
            f"many of {encoding}", 1500, lambda n, one=one: one * n, lambda body, by=encoding: unpacked(by, body)
        )
    yield Case("a large body", 5, lambda n: gzip.compress(b"\0" * 20_000 * n), lambda body: unpacked("gzip", body))
    yield Case("encodings", 1000, lambda n: "gzip," * n, lambda names: unpacked(names, b"x"))
    yield Case("chunks", 200, lambda n: (chunked(n), LIMIT), received)
    yield Case("chunks, byte by byte", 30, lambda n: (chunked(n), 1), received)
    yield Case("a request line", 500, lambda n: (b"GET /" + b"a" * n + b" HTTP/1.1\r\n\r\n", 1), received)
    yield Case("headers of a request", 500, lambda n: (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * n, LIMIT), received)
    yield Case("requests at once", 40, lambda n: (b"GET / HTTP/1.1\r\n\r\n" * n, 1200), received)
    yield Case("forwarded", 60, lambda n: environ({"X-Forwarded-For": "10.0.0.1, " * n}), _address)
    yield Case("query", 60, lambda n: environ({}, "a=b&" * n), described)
    yield Case("types", 20, lambda n: environ({"Accept": "text/html;q=0.5, */*, " * n}), described)
    yield Case("content type", 20, lambda n: environ({"Content-Type": "a/b" + "; c=d" * n}), described)
    yield Case("headers of an answer", 3000, lambda n: OK + b"A: b\r\n" * n + b"\r\n", answered)
    yield Case("chunks of an answer", 500, lambda n: OK + HEAD.partition(b"\r\n")[2] + b"1\r\na\r\n" * n, answered)
    yield Case("interim answers", 200, lambda n: b"HTTP/1.1 100 Continue\r\n\r\n" * n, answered)
    yield Case("a compressed answer", 1, lambda n: in_pieces(zlib.compress(b"\0" * 2_000_000 * n), 100), inflated)
    yield Case("a client that reads slowly", 400, lambda n: b"x" * 1000 * n, sent_slowly)
    yield Case("betas", 200, lambda n: [f"b{i}" for i in range(n)], refused)
    yield Case("a seal", 20_000, lambda n: sign_seal(b"k", b"m" * 6, "c", "A" * n), _verified)


def _address(environ: dict[str, Any]) -> None:
    TrustedProxies(["10.0.0.0/8", "127.0.0.0/8"]).client_of({**environ, "REMOTE_ADDR": "127.0.0.1"})


def _verified(seal: str) -> None:
    found = read_seal(seal)
    assert found is not None
    assert found.is_signed(b"k", "c")


# --- Requests of one dialect whose elements are so short that only a great many of them show how time grows

LONG_TURN = Message(Role.USER, (Text("a" * 400),))
USED = {"role": "assistant", "content": [{"type": "text", "text": "a"}]}
ASKED = {"role": "user", "content": "a"}


def chat(messages: list[JSON], tools: Iterable[JSON] = ()) -> JSON:
    return {"model": "m", "messages": messages, "tools": [*tools]}


def called(number: int) -> JSON:
    return {"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def results(number: int, role: str = "tool") -> list[JSON]:
    return [{"role": role, "name": f"f{i}", "tool_call_id": f"c{i}", "content": "a"} for i in reversed(range(number))]


def items(number: int) -> JSON:
    calls = [{"type": "function_call", "call_id": f"c{i}", "name": "f", "arguments": "{}"} for i in range(number)]
    outputs = [{"type": "function_call_output", "call_id": f"c{i}", "output": "a"} for i in range(number)]
    return {"model": "m", "input": [*calls, *outputs]}


def gemini_turns(*turns: JSON) -> None:
    gemini.parse_request({"contents": [*turns, {"role": "user", "parts": [{"text": "a"}]}]})


def model(*parts: JSON) -> JSON:
    return {"role": "model", "parts": [*parts]}


def answers(number: int) -> list[JSON]:
    calls = [model({"functionCall": {"id": f"c{i}", "name": f"f{i}"}}) for i in range(number)]
    parts = [{"functionResponse": {"id": f"c{i}", "name": f"f{i}"}} for i in reversed(range(number))]
    return [*calls, {"role": "user", "parts": parts}]


def requests() -> Iterator[Case]:
    """Requests with very many short elements."""
    mistral = Conversation("m", messages=(LONG_TURN,))
    yield Case(
        "turns of one role, joined",
        300,
        lambda n: Conversation("m", messages=mistral.messages * n),
        lambda long: openai_chat.render_request(long, MISTRAL),
    )
    yield Case("results of tools", 400, lambda n: chat([ASKED, *results(n)]), openai_chat.parse_request)
    yield Case("results of functions", 400, lambda n: chat([ASKED, *results(n, "function")]), openai_chat.parse_request)
    passed = {
        "parallel calls": lambda n: chat(
            [ASKED, {"role": "assistant", "tool_calls": [called(i) for i in range(n)]}, *results(n)]
        ),
        "tools": lambda n: chat([ASKED], [{"type": ["function", "web"][i % 2], "i": i} for i in range(n)]),
    }
    for name, build in passed.items():
        yield Case(f"passed: {name}", 400, build, lambda body: openai_chat.passthrough_request(body, GPT))
    yield Case(
        "passed: late instructions",
        500,
        lambda n: {"messages": [ASKED, *[{**ASKED, "role": "system"}] * n]},
        lambda body: anthropic_messages.passthrough_request(body, CLAUDE),
    )
    yield Case("Responses: calls and results", 1000, items, openai_responses.parse_request)
    turns = {
        "turns of the model": lambda n: [model({"text": "a"})] * n,
        "thoughts": lambda n: [model(*[{"text": "a" * 100, "thought": True}] * n)],
        "late results": answers,
        "results without calls": lambda n: answers(n)[:1] * n + answers(n)[-1:],
    }
    for name, build in turns.items():
        yield Case(f"Gemini: {name}", 500, build, lambda long: gemini_turns(*long))
    for name, length in {"one after another": 2, "each of the whole text": 10**9}.items():
        yield Case(f"citations, {name}", 1000, partial(grounded, length), lambda given: parse_citations(*given))
    yield Case("texts to embed", 500, lambda n: {"model": "m", "input": ["a"] * n}, _embedded)
    yield Case("tokens to embed", 200, lambda n: {"model": "m", "input": [[1] * 10] * n}, _embedded)


def grounded(length: int, number: int) -> tuple[JSON, str]:
    """Return the sources of a text, each of which stands for a stretch of so many bytes of it."""
    ends = [(2 * i, min(2 * i + length, 2 * number)) for i in range(number)]
    segments = [{"segment": {"startIndex": i, "endIndex": j}, "groundingChunkIndices": [0]} for i, j in ends]
    return {"groundingChunks": [{"web": {"uri": "https://x"}}], "groundingSupports": segments}, "\u00e9" * number


def _embedded(body: JSON) -> None:
    request = openai_embeddings.parse_request(body)
    parts_of(request, profile_for("amazon--titan-embed-text"))
    parts_of(request, profile_for("gemini-embedding"))


def test_the_time_of_frames_and_texts_grows_with_their_length() -> None:
    must_all_be_linear(texts())


def test_the_time_of_an_error_grows_with_its_length() -> None:
    must_all_be_linear(errors())


def test_the_time_of_a_connection_grows_with_its_bytes() -> None:
    must_all_be_linear(connections())


def test_the_time_of_a_request_grows_with_its_elements() -> None:
    must_all_be_linear(requests())


# --- The measure


def taken_from_the_front(items: list[int]) -> None:
    while items:
        items.pop(0)


def looked_for(items: list[int]) -> None:
    for item in items:
        assert item in items


def appended_to_a_tuple(items: list[int]) -> None:
    joined: tuple[int, ...] = ()
    for item in items:
        joined = (*joined, item)


@pytest.mark.parametrize(
    ("size", "quadratic"), [(200, looked_for), (500, appended_to_a_tuple), (2000, lambda n: taken_from_the_front([*n]))]
)
def test_a_quadratic_function_is_seen(size: int, quadratic: Any) -> None:
    with pytest.raises(AssertionError, match="take"):
        must_be_linear(Case("quadratic", size, lambda n: list(range(n)), quadratic))


@pytest.mark.parametrize("linear", [sorted, set, json.dumps, lambda items: [item + 1 for item in items]])
def test_a_linear_function_is_accepted(linear: Any) -> None:
    must_be_linear(Case("linear", 5000, lambda n: list(range(n)), linear))
