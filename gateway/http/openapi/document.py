"""The OpenAPI document, built from the routes of the application and the table of operations.

The version is OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.1.html. The document names no model and no setting.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from dialects import anthropic_messages, gemini, openai_chat, openai_responses
from dialects.core.conversation import JSON
from dialects.registry import dialect_of_caller
from gateway.http.openapi.operations import FAILURES, OPERATIONS, PARAMETERS, Operation
from gateway.http.openapi.schemas import SCHEMAS
from gateway.version import VERSION

VERBS: Final = ("generateContent", "streamGenerateContent", "countTokens")
"""The methods in Google's paths. Each of them is a path of its own in the document."""
_VERB: Final = "<verb:verb>"
_VARIABLE: Final = re.compile(r"<(?:\w+:)?(\w+)>")
_DESCRIPTION: Final = """\
The proxy answers in the dialect of the client: OpenAI, Anthropic, Google, or OpenAI as Azure serves it. The bodies are
those of the vendors. The schemas here have the fields that the proxy itself reads; all others are passed on to the
model, or left out and named in `x-proxy-dropped`.

`HEAD` is allowed wherever `GET` is, and `OPTIONS` everywhere, without a key. `/v1/v1/` at the beginning
of a path is read as `/v1/`, and `//` anywhere as `/`. A `/` in the name of a model or a file is written as it is.

A request that is not valid HTTP is refused in the form of OpenAI's errors, before its path is known. Request bodies may
be compressed with gzip, deflate or zstd.
"""
_ERRORS: Final = {
    anthropic_messages.DIALECT: "AnthropicError",
    gemini.DIALECT: "GoogleError",
    openai_chat.DIALECT: "OpenAIError",
    openai_responses.DIALECT: "OpenAIError",
}
_SHARED: Final = "AnyError"
_TAGS: Final = {
    "OpenAI": "Chat completions, Responses and embeddings, also at the paths of Azure.",
    "Anthropic": "Messages.",
    "Google": "The Gemini API.",
    "Models": "The models that are served, in the dialect of the client.",
    "Operations": "Health, metrics, and the state of the router.",
    "Page": "The web page, and paths that some clients call.",
}
_KEYS: Final[JSON] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "As clients of OpenAI send the key."},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "As clients of Anthropic do."},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key", "description": "As clients of Azure do."},
    "x-goog-api-key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-goog-api-key",
        "description": "As clients of Google do.",
    },
    "key": {"type": "apiKey", "in": "query", "name": "key", "description": "As older clients of Google do."},
}
_HEADERS: Final[JSON] = {
    "x-request-id": "The id of the request, which is also in the log of the proxy.",
    "request-id": "The same, for clients of Anthropic.",
    "x-proxy-deployment": "The subaccount and the deployment that answered.",
    "x-proxy-model": "The model that answered.",
    "x-proxy-reason": "Why that deployment was chosen.",
    "x-proxy-attempts": "How many calls to deployments there were.",
    "x-proxy-trail": "Each of them, and its result.",
    "x-proxy-fallback": "The requested model, and the one that answered in its place.",
    "x-proxy-dropped": "The fields of the request that the model did not get.",
    "x-proxy-demo": "No model has answered: this is the demo.",
    "x-should-retry": "It is `false` where the same request would fail again.",
    "Retry-After": "In how many seconds the request may succeed.",
    "retry-after-ms": "The same in milliseconds.",
}
_OF_EXCHANGES: Final = tuple(name for name in _HEADERS if name[:8] in {"x-proxy-", "x-reques", "request-"})
_OF_ERRORS: Final = ("x-request-id", "request-id", "x-proxy-demo", "x-should-retry", "Retry-After", "retry-after-ms")


Route = tuple[str, str, str]
"""The pattern of a path as Flask writes it, the name of its view, and an HTTP method."""


def describe(routes: Iterable[Route]) -> JSON:
    """Return the document for *routes*. Raises `KeyError` for a route that no operation describes."""
    paths: dict[str, JSON] = {}
    found = sorted(_operations(routes), key=lambda each: ([*_TAGS].index(each[2].tag), each[0], each[1]))
    for path, method, operation in found:
        paths.setdefault(path, {})[method.lower()] = _described(path, method, operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SAP AI Core LLM proxy",
            "version": VERSION,
            "summary": "Large language models on SAP AI Core, for clients of OpenAI, Anthropic and Google.",
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This proxy."}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "security": [{name: []} for name in _KEYS],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "parameters": PARAMETERS,
            "securitySchemes": _KEYS,
            "headers": {
                name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS.items()
            },
            "responses": {name: _error(name) for name in (*dict.fromkeys(_ERRORS.values()), _SHARED)},
        },
    }  # fmt: skip


def _operations(routes: Iterable[Route]) -> Iterator[tuple[str, str, Operation]]:
    """Yield each operation with its path and its method."""
    for pattern, view, method in routes:
        if _VERB in pattern:
            for verb in VERBS:
                yield _template(pattern.replace(_VERB, verb)), method, OPERATIONS[verb, method]
        else:
            yield _template(pattern), method, OPERATIONS[view, method]


def _template(pattern: str) -> str:
    """Write the pattern of a path as OpenAPI does."""
    return _VARIABLE.sub(r"{\1}", pattern)


def _described(path: str, method: str, operation: Operation) -> JSON:
    named = re.findall(r"{(\w+)}", path)
    parameters = (*named, *operation.parameters)
    body = operation.body_without_model if operation.body_without_model and "model" in named else operation.body
    told: JSON = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "tags": [operation.tag],
        "summary": operation.summary,
        **({"description": operation.description} if operation.description else {}),
        **({"externalDocs": {"url": operation.documented_at}} if operation.documented_at else {}),
        **({"security": [{}]} if operation.is_open else {}),
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in parameters],
    }
    if body:
        content = {"application/json": {"schema": _schema(body)}}
        told["requestBody"] = {"required": operation.needs_body, "content": content}
    return {**told, "responses": _responses(path, operation)}


def _responses(path: str, operation: Operation) -> JSON:
    """Describe the answers of an operation by their status: the good ones, then the errors in its client's dialect."""
    headers = _OF_EXCHANGES if operation.is_exchange else ("x-proxy-demo",)
    named = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    told: JSON = {}
    for status, (text, content) in operation.answers.items():
        media = {kind: {"schema": _schema(name)} for kind, name in content.items()}
        told[status] = {"description": text, "headers": named, **({"content": media} if media else {})}
    kind = _SHARED if operation.is_shared else _ERRORS[dialect_of_caller(path, ())]
    for status in sorted(operation.failures - told.keys()):
        told[status] = {"$ref": f"#/components/responses/{kind}", "description": FAILURES[status]}
    return told


def _error(name: str) -> JSON:
    headers = {each: {"$ref": f"#/components/headers/{each}"} for each in (*_OF_EXCHANGES, *_OF_ERRORS)}
    content = {"application/json": {"schema": _schema(name)}}
    return {"description": "An error in the client's dialect.", "headers": headers, "content": content}


def _schema(name: str) -> JSON:
    return {"$ref": f"#/components/schemas/{name}"}
