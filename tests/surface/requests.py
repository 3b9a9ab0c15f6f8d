"""Requests that clients could nearly send: valid ones of the document, with a few things changed."""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any
from urllib.parse import quote

import zstandard

from tests.dialects import mangling
from tests.support.running import KEY
from tests.support.worlds import MIXED
from tests.surface.case import Case, End, Sent
from tests.surface.contract import Contract

WRONG = "sk-wrong"
USERS_KEY = "sk-of-alice-0123456789"
"""A key that may not read the state of the proxy where another one may."""
MOST_BYTES = 1024 * 1024
"""The size of a body that the proxies accept."""
_BODIES: Mapping[str, Sequence[Any]] = {
    # the schema of a body: what clients send in this form
    "ChatRequest": [mangling.BODIES["openai-chat"], mangling.BODIES["openai-responses"]],
    "ChatFields": [mangling.BODIES["openai-chat"]],
    "ResponsesRequest": [mangling.BODIES["openai-responses"]],
    "CompactRequest": [mangling.BODIES["openai-responses"]],
    "EmbeddingsRequest": [mangling.EMBEDDING],
    "EmbeddingsFields": [mangling.EMBEDDING],
    "MessagesRequest": [mangling.BODIES["anthropic-messages"]],
    "CountTokensRequest": [mangling.BODIES["anthropic-messages"]],
    "GeminiRequest": [mangling.BODIES["gemini"]],
    "GeminiTokensRequest": [mangling.BODIES["gemini"], {"generateContentRequest": mangling.BODIES["gemini"]}],
}
_ALL_BODIES = [body for bodies in _BODIES.values() for body in bodies]
_WORDS = mangling.vocabulary(_ALL_BODIES)
_EMBEDDERS = [name for name in MIXED if "embed" in name]
_TALKERS = [name for name in MIXED if "embed" not in name]
_ODD_NAMES = (
    *(
        "",
        " ",
        "gpt-4o",
        "claude-sonnet-4-5",
        "unheard-of",
        "gpt-4.1\x00",
        "a" * 201,
        "a" * 2000,
        "../../x",
        "a/b",
        "\n",
    ),
    *("gpt-4.1:latest", "models/gemini-2.5-pro", "\ud83e\udd9c", "é", "{model}", "%", "gpt-4.1?x=1", "gpt-4.1#x", ";"),
)
_ODD_VALUES = (
    "",
    " ",
    "0",
    "-1",
    "null",
    "a" * 300,
    "a,b,,",
    "\u00e9\u00ff",
    "\t",
    '"',
    "a=b; c",
    "*/*;q=2",
    "%00",
    "[]",
)
_ODD_HEADERS = (
    *("Accept", "Accept-Encoding", "Origin", "Referer", "Range", "If-None-Match", "If-Modified-Since", "Cookie", "Via"),
    *("Content-Type", "Content-Encoding", "Content-MD5", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "TE"),
    *("Access-Control-Request-Method", "Access-Control-Request-Headers", "Sec-Fetch-Site", "User-Agent", "DNT", "X"),
    *("X-HTTP-Method-Override", "X-Original-URL", "Max-Forwards", "Date", "Pragma", "Warning", "Link", "x_request_id"),
    *("x-request-id", "traceparent", "tracestate", "x-affinity-key", "x-request-tags", "anthropic-beta", "openai-beta"),
    *(
        "anthropic-version",
        "x-goog-api-client",
        "x-stainless-retry-count",
        "session_id",
        "x-amz-date",
        "Idempotency-Key",
    ),
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_PATHS = (
    *(
        "/",
        "//",
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1beta/nothing",
        "/v1/messages/nothing",
        "/../etc/passwd",
        "/web/../x",
    ),
    *("/v1/chat/completions/", "/V1/CHAT/COMPLETIONS", "/v1//chat/completions", "/v1/models/", "/%00", "/%ff%fe", "/%"),
    *(
        "/v1/v1/models",
        "/v1/v1/v1/models",
        "/web/page.js",
        "/web/vendor/",
        "/favicon.ico",
        "/robots.txt",
        "/.env",
        "/é",
    ),
    *(
        "/v1beta/models/x:paint",
        "/v1/responses/resp_x/nothing",
        "/openai/deployments//chat/completions",
        "/v1/models;a",
    ),
)
_WEIGHTS = {"/router/events": 0.3, "/router/actions": 0.5, "/openapi.json": 0.3, "/metrics": 0.3, "/router/state": 0.3}


class Requests:
    """Makes requests from the document. *deployments* are those to change, *stored* ids of responses."""

    def __init__(
        self,
        contract: Contract,
        deployments: Sequence[tuple[str, str, str]],
        stored: Sequence[str],
        *,
        may_drain: bool,
    ) -> None:
        self._contract = contract
        self._ids = [
            *stored,
            *(each.swapcase() for each in stored),
            *(each[:-1] for each in stored),
            "resp_x",
            "x" * 300,
        ]
        self._deployments = deployments
        self._may_drain = may_drain
        self._operations = contract.operations
        self._weights = [
            _WEIGHTS.get(path, 2.0 if "requestBody" in each else 0.5) for _, path, each in self._operations
        ]  # fmt: skip

    def make(self, rng: Random) -> Case:
        """A request of a client, well-formed as HTTP, that must be answered."""
        if rng.random() < 0.12:
            return self._off_the_map(rng)
        [(method, path, operation)] = rng.choices(self._operations, self._weights)
        method = "HEAD" if method == "GET" and rng.random() < 0.1 else method
        target, headers = self._addressed(path, operation, rng)
        body = self._body(operation, rng) if "requestBody" in operation else None
        sent = self._framed(method, target, headers, body, rng)
        pieces: tuple[bytes, ...] = (sent.written(),)
        if ("Expect", "100-continue") in sent.headers:
            pieces = (sent.head(), sent.content())
        return Case(f"{method} {path}", pieces, (sent.asked,), End.READ)

    def _off_the_map(self, rng: Random) -> Case:
        """A path or a method that the document does not name."""
        if rng.random() < 0.5:
            path, method = rng.choice(_PATHS), rng.choice(_METHODS)
        else:
            _, path, _ = rng.choice(self._operations)
            path, method = path.replace("{model}", "gpt-4.1"), rng.choice(_METHODS)
        target = _target(path) + rng.choice(["", "", "", "?", "?key=" + KEY, "?%zz&&=&a=%ff", "?" + "a" * 3000])
        body = rng.choice([None, None, b"{}", b"x" * 100]) if method != "GET" else None
        sent = self._framed(method, target, _keys(rng), body, rng, is_odd=False)
        return Case("off the map", (sent.written(),), (sent.asked,), End.READ)

    def _addressed(self, path: str, operation: Any, rng: Random) -> tuple[str, list[tuple[str, str]]]:
        """Fill in the parameters of a path; return its target and its headers."""
        query, headers = [], _keys(rng)
        for each in map(self._contract.resolved, operation.get("parameters", ())):
            name, place = each["name"], each["in"]
            value = _model(path, rng) if name in {"model", "name"} else self.sample(each["schema"], rng)
            value = rng.choice(self._ids) if name == "answer" and rng.random() < 0.8 else value
            if place == "path":
                path = path.replace(
                    f"{{{name}}}", quote(str(value), safe=rng.choice(["", "/:"]), errors="surrogatepass")
                )
            elif rng.random() < 0.4 or each.get("required"):
                value = rng.choice(_ODD_VALUES) if rng.random() < 0.5 else str(value)
                (query if place == "query" else headers).append((name, value))
        for _ in range(rng.choice([0, 0, 0, 1, 3])):
            headers.append((rng.choice(_ODD_HEADERS), rng.choice([*_ODD_VALUES, *_WORDS, "gzip", "http://127.0.0.1"])))
        if rng.random() < 0.05:
            query.append(
                (rng.choice(["key", "key", "alt", "a", "client_version"]), rng.choice([KEY, WRONG, "sse", ""]))
            )
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in query)
        return path + ("?" if asked else "") + asked, headers

    def _body(self, operation: Any, rng: Random) -> bytes:
        """A body that fits the schema, or what a client really sends; mostly spoiled a little."""
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        name = schema["$ref"].rpartition("/")[2]
        kind = rng.random()
        if kind < 0.45 and name in _BODIES:
            body = rng.choice(_BODIES[name])
        elif kind < 0.55:
            body = rng.choice(_ALL_BODIES)
        else:
            body = self.sample(schema, rng)
        if rng.random() < 0.6 and isinstance(body, dict):
            body = mangling.spoiled(body, rng, _WORDS, times=4)
        if isinstance(body, dict):
            body = self._action(body, rng) if name == "Action" else _addressed_body(name, body, rng)
            if name == "ResponsesRequest" and rng.random() < 0.15:
                body |= {"previous_response_id": rng.choice(self._ids)}
        written = json.dumps(body, ensure_ascii=rng.random() < 0.7).encode("utf-8", "surrogatepass")
        return _otherwise(written, rng) if rng.random() < 0.12 else written

    def _action(self, body: Any, rng: Random) -> Any:
        """Let an operator change a deployment that there is, mostly. Drains are for the proxy that may fail."""
        subaccount, deployment, model = rng.choice(self._deployments)
        told = {**body, "subaccount": subaccount, "deployment": deployment, "model": rng.choice([model, None])}
        if rng.random() < 0.2:
            told |= {rng.choice([*told]): rng.choice(_ODD_VALUES)}
        if not self._may_drain and told.get("action") in ["drain", "open-circuit"]:
            told["action"] = "restore"
        return told

    def sample(self, schema: Any, rng: Random, depth: int = 0) -> Any:
        """A value that fits a schema of the document."""
        schema = self._contract.resolved(schema)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self.sample(rng.choice(schema[key]), rng, depth)
        if "allOf" in schema:
            return {name: value for each in schema["allOf"] for name, value in self.sample(each, rng, depth).items()}
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return rng.choice(schema["enum"])
        kind = schema.get("type", "object")
        kind = rng.choice(kind) if isinstance(kind, list) else kind
        return _MAKERS[kind](self, schema, rng, depth + 1)

    def object_for(self, schema: Any, rng: Random, depth: int) -> Any:
        required = schema.get("required", ())
        return {
            name: self.sample(each, rng, depth)
            for name, each in schema.get("properties", {}).items()
            if name in required or rng.random() < 0.3
        }

    def array_for(self, schema: Any, rng: Random, depth: int) -> Any:
        count = schema.get("minItems", 0) + rng.choice([0, 0, 1, 2])
        return [self.sample(schema.get("items", {}), rng, depth) for _ in range(count)]

    def _framed(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: bytes | None,
        rng: Random,
        *,
        is_odd: bool = True,
    ) -> Sent:
        """Compress a body, cut it into chunks, or send it as it is."""
        headers = list({name.lower(): (name, value) for name, value in headers}.values())  # some may occur only once
        if body is None:
            return Sent(method, target, headers)
        if not any(name.lower() == "content-type" for name, _ in headers):
            kind = "application/json" if rng.random() < 0.95 else rng.choice(_ODD_VALUES)
            headers = [("Content-Type", kind), *headers]
        if is_odd and rng.random() < 0.2:
            name, encode = rng.choice(_ENCODINGS)
            body, headers = encode(body, rng), [*headers, ("Content-Encoding", name)]
        if rng.random() < 0.05:
            headers = [*headers, ("Expect", "100-continue")]
        if rng.random() < 0.2:
            trailers = [("X-Trailer", "a"), ("Content-Length", "7")] if rng.random() < 0.2 else []
            return Sent(method, target, headers, chunks=mangling.chopped(body, rng) or [b""], trailers=trailers)
        return Sent(method, target, headers, body)


def _keys(rng: Random) -> list[tuple[str, str]]:
    """The headers with a key; mostly the right one."""
    key = KEY if rng.random() < 0.9 else rng.choice([USERS_KEY, USERS_KEY, WRONG, "", "Bearer", "\xff", "a" * 500])
    place = rng.choice(["Authorization"] * 6 + ["x-api-key", "api-key", "x-goog-api-key", ""])
    if place == "Authorization":
        return [(place, f"Bearer {key}" if rng.random() < 0.95 else f"{rng.choice(['', 'bearer', 'Basic'])} {key}")]
    return [(place, key)] if place else []


def _model(path: str, rng: Random) -> str:
    if rng.random() < 0.15:
        return rng.choice(_ODD_NAMES)
    return rng.choice(_EMBEDDERS if "embeddings" in path else _TALKERS)


def _target(path: str) -> str:
    return quote(path, safe="/%:?=&{}", errors="surrogatepass").replace("{", "%7B").replace("}", "%7D")


def _addressed_body(name: str, body: Any, rng: Random) -> Any:
    """Name a model that is served, and say whether to stream."""
    told = dict(body)
    if "model" in told or rng.random() < 0.9:
        told["model"] = _model("embeddings" if "Embedding" in name else "", rng)
    if rng.random() < 0.5:
        told["stream"] = rng.random() < 0.5
    return told


def _otherwise(written: bytes, rng: Random) -> bytes:
    """The bytes of a body with something changed that parsers of JSON differ about."""
    text = written.decode("utf-8", "replace")
    match rng.randrange(6):
        case 0:
            return b"\xef\xbb\xbf" + written
        case 1:
            return text.encode(rng.choice(["utf-16", "utf-32", "latin-1"]), "replace")
        case 2:
            return written.replace(
                b": ", rng.choice([b": NaN, ", b": -Infinity, ", b": 1e999, ", b": 9" + b"9" * 400 + b", "]), 1
            )
        case 3:
            return written[:-1] + b', "model": "gpt-4.1", "model": ["x"]}'
        case 4:
            return rng.choice(
                [b"", b"null", b"[]", b"0", b'"x"', b"[" * 100_000, b'{"a":' * 100_000, written + written]
            )
        case _:
            return mangling.torn(written, rng)


def _bomb(rng: Random) -> bytes:
    return b'{"model": "gpt-4.1", "x": "' + b" " * rng.choice([10, MOST_BYTES + 1, 30 * MOST_BYTES]) + b'"}'


_Encode = Callable[[bytes, Random], bytes]
_ENCODINGS: Sequence[tuple[str, _Encode]] = (
    ("gzip", lambda body, rng: gzip.compress(body, 1)),
    ("x-gzip", lambda body, rng: gzip.compress(body[:9], 1) + gzip.compress(body[9:], 1)),
    ("deflate", lambda body, rng: zlib.compress(body)),
    ("deflate", lambda body, rng: zlib.compress(body)[2:-4]),
    ("zstd", lambda body, rng: zstandard.compress(body)),
    ("zstd", lambda body, rng: mangling.torn(zstandard.compress(body), rng)),
    ("gzip", lambda body, rng: mangling.torn(gzip.compress(body), rng)),
    ("gzip", lambda body, rng: gzip.compress(body)[: rng.randrange(40)]),
    ("gzip", lambda body, rng: gzip.compress(_bomb(rng))),
    ("zstd", lambda body, rng: zstandard.compress(_bomb(rng))),
    ("deflate, gzip", lambda body, rng: gzip.compress(zlib.compress(body))),
    ("gzip, gzip, gzip, gzip", lambda body, rng: body),
    ("gzip", lambda body, rng: body),
    ("br", lambda body, rng: body),
    ("identity", lambda body, rng: body),
    (" ,, ", lambda body, rng: body),
)
_MAKERS: Mapping[str, Callable[[Requests, Any, Random, int], Any]] = {
    "object": Requests.object_for,
    "array": Requests.array_for,
    "string": lambda made, schema, rng, depth: "a" * schema.get("minLength", 0) + rng.choice(["", "x", "Hello", "a b"]),
    "integer": lambda made, schema, rng, depth: schema.get("minimum", 0) + rng.choice([0, 1, 7, 1000]),
    "number": lambda made, schema, rng, depth: rng.choice([schema.get("minimum", 0), schema.get("maximum", 1), 0.5]),
    "boolean": lambda made, schema, rng, depth: rng.random() < 0.5,
    "null": lambda made, schema, rng, depth: None,
}
