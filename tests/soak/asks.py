"""What the clients of the soak ask, in every dialect, and what has to come back."""

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

from emulator.embeddings.vectors import vector
from emulator.models import MODELS_BY_NAME
from tests.soak.answers import CHECKS, Said
from tests.support.running import HttpAnswer
from tests.support.talking import CHAT, MESSAGES, PIXEL, RESPONSES, SHAPES, gemini_path

KEPT = "gpt-5"
"""The model whose deployments keep answers."""
ORCHESTRATED = "anthropic--claude-4.5-haiku"
"""A model that orchestration alone serves."""
TALKING = ("anthropic--claude-4.5-sonnet", "amazon--nova-pro", "gemini-3.5-flash", KEPT, "gpt-5.3-codex", ORCHESTRATED)
EMBEDDING = (
    "text-embedding-3-small",
    "gemini-embedding",
    "amazon--titan-embed-text",
    "nvidia--llama-3.2-nv-embedqa-1b",
)
MODELS = (*TALKING, *EMBEDDING)
_SEES = frozenset({"anthropic--claude-4.5-sonnet", "amazon--nova-pro", "gemini-3.5-flash", KEPT, "gpt-5.3-codex"})
_TOOL = {"type": "object", "properties": {"marker": {"type": "string"}}, "required": ["marker"]}
_AZURE = "/chat/completions?api-version=2024-10-21"
_PNG = base64.b64decode(PIXEL)
_ODD = ("", "", "\u00e9\u4e16", "\U0001f680", '"', "\\", "\n\ndata: ", "\u2028", "\t", "</s>", "[DONE]", "\r\n")
"""What stands before some words, since it is easy to get wrong."""
_ALTERNATIVES = ("Authorization", "x-api-key", "api-key", "x-goog-api-key")

Check = Callable[[HttpAnswer], None]


@dataclass(frozen=True)
class Ask:
    """One request, what its answer has to be, and what is asked next."""

    kind: str
    model: str
    method: str
    path: str
    shape: str
    marker: str
    check: Check
    body: Any = None
    wants: int = 200
    is_sticky: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    then: "Callable[[HttpAnswer], Ask] | None" = None

    @property
    def data(self) -> bytes | None:
        return None if self.body is None else json.dumps(self.body).encode()


def new_marker(rng: Random) -> str:
    return f"mk{rng.getrandbits(48):012x}q"


def asks(rng: Random) -> Iterator[Ask]:
    """Requests without an end, of all kinds."""
    makers = (talk, look, chain, embed, count, models)
    while True:
        yield rng.choices(makers, (70, 6, 4, 9, 5, 6))[0](rng)


def talk(rng: Random, model: str = "", *, stream: bool | None = None, slow: bool | None = None) -> Ask:
    """A text that comes back, or a call of a tool with what the text says."""
    marker, dialect = new_marker(rng), rng.choice([*CHECKS])
    model = model or rng.choice(TALKING)
    stream = rng.random() < 0.6 if stream is None else stream
    if rng.random() < 0.2 and not slow:
        arguments = {"marker": marker}
        text, said = f"scene:call lookup {json.dumps(arguments)}", ("", [("lookup", arguments)])
        return _talk(dialect, model, marker, text, said, "tool", rng, stream=stream)
    slowly = rng.random() < 0.12 if slow is None else slow
    prefix = f"scene:slow {rng.randrange(20, 200)} " if slowly and stream else ""
    words = rng.choice([3, 20]) if slowly else rng.choice([3, 20, 150])
    told = f"{prefix}{' '.join(f'{marker} {rng.choice(_ODD)}{rng.randrange(1000)}' for _ in range(words))}"
    return _talk(
        dialect, model, marker, f"scene:echo {told}", (told, []), "slow" if prefix else "text", rng, stream=stream
    )


def look(rng: Random) -> Ask:
    """A picture as a data URL, of a size that no other has."""
    marker, dialect, stream = new_marker(rng), rng.choice([*CHECKS]), rng.random() < 0.5
    data = _PNG + rng.randbytes(rng.randrange(1, 60_000))
    said = (f"I see an image (image/png, {len(data)} bytes).", [])
    model = rng.choice(sorted(_SEES))
    return _talk(dialect, model, marker, f"What is this? {marker}", said, "image", rng, stream=stream, image=data)


def _talk(
    dialect: str,
    model: str,
    marker: str,
    text: str,
    said: Said,
    kind: str,
    rng: Random,
    *,
    stream: bool,
    image: bytes = b"",
) -> Ask:
    path, body = _BODIES[dialect](model, text, stream=stream, tool=bool(said[1]), image=image)
    if dialect == "chat" and rng.random() < 0.2:
        path = rng.choice(("/openai/v1/chat/completions", f"/openai/deployments/{model}{_AZURE}", f"/v1{CHAT}"))
    usage = dialect == "chat" and stream and rng.random() < 0.5
    if usage:
        body["stream_options"] = {"include_usage": True}
    check = partial(CHECKS[dialect], said=said, stream=stream, **({"usage": usage} if dialect == "chat" else {}))
    shown = f"{dialect} {kind}{' stream' if stream else ''}"
    return Ask(shown, model, "POST", path, SHAPES[dialect], marker, check, body)


def chain(rng: Random) -> Ask:
    """Answers that go on from one another; the last is read, deleted, and looked for in vain."""
    marker, turns, stream = new_marker(rng), rng.randrange(2, 4), rng.random() < 0.5

    def turn(number: int, previous: str | None) -> Ask:
        told = f"{marker} {number}"
        body = {"model": KEPT, "input": f"scene:echo {told}", "stream": stream}
        check = partial(CHECKS["responses"], said=(told, []), stream=stream)
        sticky = previous is not None
        made = Ask("responses chain", KEPT, "POST", RESPONSES, "openai", marker, check, body, is_sticky=sticky)
        made = replace(made, body=body | {"previous_response_id": previous}) if previous else made
        last = number == turns
        return replace(
            made, then=lambda told: (kept if last else partial(turn, number + 1))(_id_of(told, stream=stream))
        )

    def kept(id: str) -> Ask:
        path = f"{RESPONSES}/{id}"
        plain = Ask("responses kept", KEPT, "GET", path, "openai", marker, _has("output"), is_sticky=True)
        gone = replace(plain, wants=404, check=_has("error"))
        deleted = replace(plain, method="DELETE", check=_has("deleted"), then=lambda _: gone)
        return replace(plain, then=lambda _: deleted)

    return turn(1, None)


def _id_of(told: HttpAnswer, *, stream: bool) -> str:
    if not stream:
        return str(told.json["id"])
    last = told.body.decode().rstrip().rpartition("data: ")[2]
    return str(json.loads(last)["response"]["id"])


def embed(rng: Random) -> Ask:
    """Texts whose vectors are known."""
    model = rng.choice(EMBEDDING)
    marker = new_marker(rng)
    texts = [f"{marker} {number}" for number in range(rng.randrange(1, 4))]
    dimensions = MODELS_BY_NAME[model].dimensions

    def check(told: HttpAnswer) -> None:
        rows = told.json["data"]
        assert [row["index"] for row in rows] == [*range(len(texts))]
        for row, text in zip(rows, texts, strict=True):
            expected = vector(text, dimensions)
            assert len(row["embedding"]) == dimensions
            assert all(abs(a - b) < 1e-5 for a, b in zip(row["embedding"], expected, strict=True)), "another vector"

    return Ask("embeddings", model, "POST", "/v1/embeddings", "openai", marker, check, {"model": model, "input": texts})


def count(rng: Random) -> Ask:
    """A count of tokens, as clients of Anthropic and of Google ask for it."""
    marker, model = new_marker(rng), rng.choice(TALKING)
    if rng.random() < 0.5:
        body: Any = {"model": model, "messages": [{"role": "user", "content": f"{marker} " * 20}]}
        return Ask(
            "count", model, "POST", f"{MESSAGES}/count_tokens", "anthropic", marker, _counts("input_tokens"), body
        )
    path = gemini_path(model, stream=False).replace("generateContent", "countTokens")
    body = {"contents": [{"role": "user", "parts": [{"text": f"{marker} " * 20}]}]}
    return Ask("count", model, "POST", path, "google", marker, _counts("totalTokens"), body)


def models(rng: Random) -> Ask:
    """A list of models."""
    path, shape, headers = rng.choice(
        [
            ("/v1/models", "openai", {}),
            ("/v1beta/models", "google", {}),
            ("/v1/models", "anthropic", {"anthropic-version": "2023-06-01"}),
            (f"/v1/models/{KEPT}", "openai", {}),
            ("/ready", "openai", {}),
        ]
    )
    names = [KEPT] if path.endswith(KEPT) else [] if path == "/ready" else [*MODELS]

    def check(told: HttpAnswer) -> None:
        missing = [name for name in names if name.encode() not in told.body]
        assert not missing, f"without {missing}"

    return Ask("models", "", "GET", path, shape, new_marker(rng), check, headers=headers)


def headers_of(ask: Ask, key: str, rng: Random) -> tuple[bytes | None, dict[str, str]]:
    """The body as it is sent, sometimes compressed, and its headers, with the key in any that SDKs use."""
    name = _ALTERNATIVES[0] if rng.random() < 0.7 else rng.choice(_ALTERNATIVES)
    headers = {name: f"Bearer {key}" if name == "Authorization" else key, **ask.headers}
    data = ask.data
    if data is not None:
        headers["Content-Type"] = "application/json"
        if rng.random() < 0.1:
            data, headers["Content-Encoding"] = gzip.compress(data), "gzip"
    return data, headers


def _has(name: str) -> Check:
    def check(told: HttpAnswer) -> None:
        assert name in told.json, f"no {name}"

    return check


def _counts(name: str) -> Check:
    def check(told: HttpAnswer) -> None:
        assert told.json[name] > 20, f"{told.json[name]} {name}"

    return check


def _url(image: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def _chat(model: str, text: str, *, stream: bool, tool: bool, image: bytes) -> tuple[str, Any]:
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": _url(image)}}]
    body: dict[str, Any] = {"model": model, "stream": stream}
    body["messages"] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": parts if image else text},
    ]
    if tool:
        body["tools"] = [{"type": "function", "function": {"name": "lookup", "parameters": _TOOL}}]
    return CHAT, body


def _messages(model: str, text: str, *, stream: bool, tool: bool, image: bytes) -> tuple[str, Any]:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(image).decode()}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": text}]
    body: dict[str, Any] = {"model": model, "stream": stream, "max_tokens": 8000, "system": "Be brief."}
    body["messages"] = [{"role": "user", "content": parts if image else text}]
    if tool:
        body["tools"] = [{"name": "lookup", "input_schema": _TOOL}]
    return MESSAGES, body


def _responses(model: str, text: str, *, stream: bool, tool: bool, image: bytes) -> tuple[str, Any]:
    parts = [{"type": "input_text", "text": text}, {"type": "input_image", "image_url": _url(image)}]
    body: dict[str, Any] = {"model": model, "stream": stream, "instructions": "Be brief."}
    body["input"] = [{"role": "user", "content": parts}] if image else text
    if tool:
        body["tools"] = [{"type": "function", "name": "lookup", "parameters": _TOOL, "strict": False}]
    return RESPONSES, body


def _gemini(model: str, text: str, *, stream: bool, tool: bool, image: bytes) -> tuple[str, Any]:
    inline = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(image).decode()}}
    body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": text}, *([inline] if image else [])]}]}
    body["systemInstruction"] = {"parts": [{"text": "Be brief."}]}
    if tool:
        body["tools"] = [{"functionDeclarations": [{"name": "lookup", "parameters": _TOOL}]}]
    return gemini_path(model, stream=stream), body


_BODIES = {"chat": _chat, "messages": _messages, "responses": _responses, "gemini": _gemini}
