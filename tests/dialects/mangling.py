"""What clients and backends really send, and seeded ways to spoil it a little.

Random bytes are refused at the door; what finds defects is nearly right.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from dialects.core.conversation import JSON
from dialects.framing.aws_event_stream import EventStreamDecoder
from dialects.framing.sse import SSEDecoder
from tests.dialects import golden
from tests.dialects.eventstreams import encode
from tests.dialects.openai_requests import CODEX, PNG, SCHEMA

SSE = "text/event-stream; charset=utf-8"
EVENT_STREAM = "application/vnd.amazon.eventstream"
CONTENT_TYPES = {".sse": SSE, ".bin": EVENT_STREAM}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
EMBEDDING = {"model": "m", "input": ["a", "b"], "dimensions": 256, "encoding_format": "base64", "user": "u"}
_DEEP = 300

BODIES: Mapping[str, JSON] = {
    "openai-chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
                    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "tool_calls": [
                    {
                        "id": "call_a",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a": 1}'},
                        "extra_content": {"google": {"thought_signature": "CiQB"}},
                    },
                    {"id": "call_b", "type": "custom", "custom": {"name": "g", "input": "x"}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_a", "content": [{"type": "text", "text": "22C"}]},
            {"role": "assistant", "refusal": "no", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "ok"},
            {"role": "developer", "content": "now"},
            {"role": "user", "content": "and?"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA, "strict": True}},
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 1,
        "n": 1,
        "reasoning_effort": "low",
        "logit_bias": {"50256": -100},
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": "u",
        "prompt_cache_key": "k",
    },
    "openai-responses": CODEX,
    "anthropic-messages": {
        "model": "m",
        "max_tokens": 1000,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "hi"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "words"},
                        "title": "a",
                        "citations": {"enabled": True},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "Eq=="},
                    {"type": "redacted_thinking", "data": "cmVk"},
                    {"type": "text", "text": "let me see"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "ok"},
                            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                        ],
                    }
                ],
            },
            {"role": "system", "content": "late"},
        ],
        "tools": [
            {"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True, "defer_loading": True},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": CITY}},
        "metadata": {"user_id": "u", "x": 1},
        "anthropic_beta": ["context-1m-2025-08-07"],
        "context_management": {"edits": []},
        "stop_sequences": ["END"],
        "temperature": 1,
        "top_k": 5,
        "stream": True,
    },
    "gemini": {
        "model": "m",
        "stream": True,
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "hi"},
                    {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo=", "displayName": "p"}},
                    {"file_data": {"file_uri": "gs://b/a.pdf"}, "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "hm", "thought": True},
                    {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "CiQB"},
                    {"executableCode": {"language": "PYTHON", "code": "1"}},
                ],
            },
            {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"result": "ok"}}}]},
        ],
        "tools": [
            {"functionDeclarations": [{"name": "f", "description": "d", "parameters": {"type": "OBJECT"}}]},
            {"function_declarations": [{"name": "g", "parametersJsonSchema": SCHEMA}]},
            {"googleSearch": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "temperature": 0.5,
            "topK": 4.0,
            "maxOutputTokens": 100,
            "stopSequences": ["END"],
            "candidateCount": 1,
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
            "thinkingConfig": {"thinkingBudget": 100, "includeThoughts": True, "thinkingLevel": "low"},
        },
        "safetySettings": [],
    },
}
"""One body for each client that says nearly everything its dialect can say."""


def frames(backend: str, scene: str, suffix: str) -> list[tuple[str | None, str]]:
    """The frames of a captured stream: what each is called, and its data."""
    decoder = EventStreamDecoder() if suffix == ".bin" else SSEDecoder()
    found = [*decoder.feed(golden.wire(backend, scene, suffix)), *decoder.finish()]
    return [(frame.event, frame.data) for frame in found]


def vocabulary(values: Iterable[Any]) -> tuple[str, ...]:
    """All keys, and all strings short enough to be words of a dialect."""
    return tuple(sorted({word for value in values for word in _words(value) if len(word) < 40}))


def _words(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, inner in value.items():
                yield name
                yield from _words(inner)
        case list():
            for inner in value:
                yield from _words(inner)


def loaded(data: str) -> Any:
    """Read a frame's data: JSON, or whatever it is."""
    try:
        return json.loads(data)
    except ValueError:
        return data


def spoiled(value: Any, rng: Random, words: Sequence[str], times: int = 3) -> Any:
    """Copy JSON with a few places changed; an object stays one, as does a list. What is too deep stays as it was."""
    try:
        changed = json.loads(json.dumps(value))
        for _ in range(rng.randint(1, times)):
            _spoil(changed if isinstance(changed, dict | list) else [changed], rng, words)
        json.dumps(changed)
    except RecursionError:
        return value
    return changed


def _spoil(value: Any, rng: Random, words: Sequence[str]) -> None:
    found = list(places(value))
    if not found:
        return
    inside, key = rng.choice(found)
    other_inside, other_key = rng.choice(found)
    other = json.loads(json.dumps(other_inside[other_key]))
    match rng.randrange(8):
        case 0:
            del inside[key]
        case 1 if isinstance(inside, list):
            inside.insert(rng.randrange(len(inside) + 1), other)
        case 2 if isinstance(inside, dict):
            inside[rng.choice(words)] = inside.pop(key)
        case 3 if isinstance(inside[key], dict):
            inside[key][rng.choice(words)] = scalar(rng, words)
        case 4:
            inside[key] = other
        case 5:
            inside[key] = [inside[key]] if rng.random() < 0.7 else {rng.choice(words): inside[key]}
        case _:
            inside[key] = scalar(rng, words)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value, as what holds it and under which key."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def scalar(rng: Random, words: Sequence[str]) -> Any:
    """Anything that could stand anywhere."""
    word = rng.choice(words)
    return rng.choice(
        [
            *(None, True, False, 0, -1, 1, 1.5, -0.0, 1e300, 2**63, 10**30, "", " ", "0", "null", [], {}, [None], [[]]),
            *(word, word, word, word.upper(), f"{word}\x00", [word], {word: None}, {word: {word: []}}, {"type": word}),
            *(
                "\u2028",
                "\ud800",
                "🦜",
                "{",
                '{"a":',
                '{"a": NaN}',
                "[" * _DEEP,
                "x" * 300,
                "data:;base64,=",
                "data:,x",
            ),
            *("https://[::1", "call_a", "redacted:", "Zm9yZWlnbi1zaWduYXR1cmU6Z2VtaW5pOng=", nested(_DEEP)),
        ]
    )


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def framed(said: Sequence[tuple[str | None, Any]], form: str) -> bytes:
    """Write frames as a backend would: as SSE with JSON, as SSE with Python's words, or as an event stream."""
    return b"".join(_framed(event, value, form) for event, value in said)


def _framed(event: str | None, value: Any, form: str) -> bytes:
    text = value if isinstance(value, str) else repr(value) if form == "python" else json.dumps(value)
    data = text.encode("utf-8", "replace")
    if form != "binary":
        head = f"event: {event}\n".encode("utf-8", "replace") if event else b""
        return head + b"data: " + data.replace(b"\n", b" ") + b"\n\n"
    kind = (event or "chunk").encode("utf-8", "replace").decode()
    if kind == "chunk":
        data = json.dumps({"bytes": base64.b64encode(data).decode()}).encode()
    if kind.endswith("Exception"):
        return encode({":exception-type": kind, ":message-type": "exception"}, data)
    return encode({":event-type": kind, ":message-type": "event"}, data)


def torn(data: bytes, rng: Random) -> bytes:
    """Bytes with a few of them changed, lost, or said twice."""
    spoiled_data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(spoiled_data) + 1)
        end = min(len(spoiled_data), start + rng.choice([0, 1, 1, 4, 40]))
        match rng.randrange(4):
            case 0:
                del spoiled_data[start:end]
            case 1:
                spoiled_data[start:end] = rng.randbytes(end - start)
            case 2:
                spoiled_data[start:start] = spoiled_data[start:end]
            case _:
                spoiled_data[start:start] = rng.choice(
                    [b"\n", b"\r", b"\x00", b"\xff", b"data: ", b"event: error\n", b"{"]
                )
    return bytes(spoiled_data)


def chopped(data: bytes, rng: Random) -> list[bytes]:
    """Bytes cut at a few places."""
    return golden.cut(data, [rng.randrange(len(data) + 1) for _ in range(rng.choice([0, 0, 1, 3, 9]))])
