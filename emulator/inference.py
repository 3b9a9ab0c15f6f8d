"""Which path of a deployment does what: from a request to an answer, before it becomes bytes."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from emulator import (
    azure_versions,
    claude,
    claude_rules,
    converse,
    converse_rules,
    embeddings,
    gemini,
    gemini_rules,
    openai_chat,
    openai_responses,
    openai_rules,
    orchestration,
    simulated_model,
)
from emulator.errors import ErrorResponse, azure, gatekeeper, of_family
from emulator.framing import EVENT_STREAM, Framing
from emulator.model_io import ModelRequest, ModelResponse, StreamEvent, Usage
from emulator.models import Family, Model
from emulator.openai_responses import Kept, Store
from emulator.prompt_cache import PromptCache
from emulator.world import Json


class Operation(Enum):
    """What the paths of deployments do."""

    INVOKE = "invoke"
    INVOKE_STREAM = "invoke-with-response-stream"
    CONVERSE = "converse"
    CONVERSE_STREAM = "converse-stream"
    GENERATE = "generateContent"
    GENERATE_STREAM = "streamGenerateContent"
    CHAT = "chat/completions"
    RESPONSES = "responses"
    EMBED = "embeddings"
    EMBED_NVIDIA = "nvidia"
    EMBED_TITAN = "titan"
    PREDICT = "predict"
    EMBED_CONTENT = "embedContent"
    COMPLETION = "v2/completion"
    EMBED_ORCHESTRATED = "v2/embeddings"


_PATHS: dict[Family, dict[str, Operation]] = {
    Family.CLAUDE: {
        "invoke": Operation.INVOKE,
        "invoke-with-response-stream": Operation.INVOKE_STREAM,
        "converse": Operation.CONVERSE,
        "converse-stream": Operation.CONVERSE_STREAM,
    },
    Family.NOVA: {"converse": Operation.CONVERSE, "converse-stream": Operation.CONVERSE_STREAM},
    Family.TITAN: {"invoke": Operation.EMBED_TITAN},
    Family.AZURE_EMBEDDING: {"embeddings": Operation.EMBED},
    Family.NVIDIA: {"embeddings": Operation.EMBED_NVIDIA},
    Family.ORCHESTRATION: {
        "v2/completion": Operation.COMPLETION,
        "v2/embeddings": Operation.EMBED_ORCHESTRATED,
    },
}
_NEEDS_VERSION = (Operation.CHAT, Operation.EMBED)


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """What an inference needs to know."""

    model: Model
    path: str
    method: str
    body: bytes
    query: dict[str, str]
    accept: str
    cache: PromptCache
    store: Store
    now: float
    id: str
    converse_sse: str


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer in one piece."""

    body: Any
    ordered: bool = False
    spaced: bool = False
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer in events."""

    events: Iterator[StreamEvent]
    framing: Framing
    path: str
    delay: float = field(default=0.0)


Reply = Whole | Streamed


def operation(model: Model, path: str) -> Operation:
    """Find out what a path does, or refuse it: every model has a list of what is allowed."""
    found = _allowed(model).get(path)
    if found is None:
        raise gatekeeper(f"Subpath '{path}' is not allowed for model '{model.name}'.")
    return found


def run(request: InferenceRequest) -> Reply:
    """Answer a request."""
    stored = request.path.removeprefix("responses/") if request.model.responses else request.path
    if stored != request.path:
        return _stored(request, stored)
    doing = operation(request.model, request.path)
    if request.method != "POST":
        raise gatekeeper(
            f"Method {request.method} is not allowed for subpath '{request.path}'.", 405, "MethodNotAllowed"
        )
    if doing in _NEEDS_VERSION and not request.query.get("api-version"):
        raise ErrorResponse(404, {"error": {"code": "404", "message": "Resource not found"}})
    body = _body(request)
    if doing in _NEEDS_VERSION:
        azure_versions.check(body, request.query["api-version"])
    try:
        return _do(doing, request, body)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        detail = f"Malformed input request: {type(error).__name__}: {error}, please reformat your input and try again."
        raise of_family(request.model.family, 400, detail) from error


def _do(doing: Operation, request: InferenceRequest, body: Json) -> Reply:  # noqa: C901  # a table of operations, one case each
    """Send a body to the reader it is for."""
    match doing:
        case Operation.INVOKE | Operation.INVOKE_STREAM:
            return _invoke(request, body, streaming=doing is Operation.INVOKE_STREAM)
        case Operation.CONVERSE | Operation.CONVERSE_STREAM:
            return _converse(request, body, streaming=doing is Operation.CONVERSE_STREAM)
        case Operation.GENERATE | Operation.GENERATE_STREAM:
            return _generate(request, body, streaming=doing is Operation.GENERATE_STREAM)
        case Operation.CHAT:
            return _chat(request, body)
        case Operation.RESPONSES:
            return _responses(request, body)
        case Operation.EMBED:
            return Whole(embeddings.openai(request.model, body))
        case Operation.EMBED_NVIDIA:
            return Whole(embeddings.nvidia(request.model, body))
        case Operation.EMBED_TITAN:
            return Whole(embeddings.titan(request.model, body))
        case Operation.PREDICT:
            return Whole(embeddings.predict(request.model, body))
        case Operation.EMBED_CONTENT:
            return Whole(embeddings.embed_content(request.model, body))
        case Operation.COMPLETION:
            return _orchestrate(request, body)
        case Operation.EMBED_ORCHESTRATED:
            return Whole(orchestration.embed(body, request.id), spaced=True)


def _allowed(model: Model) -> dict[str, Operation]:
    """List the paths of a model."""
    match model.family:
        case Family.GEMINI:
            names = (Operation.GENERATE, Operation.GENERATE_STREAM)
            return {f"models/{model.name}:{one.value}": one for one in names}
        case Family.GEMINI_EMBEDDING if model.name == "gemini-embedding":
            return {f"models/{name}:predict": Operation.PREDICT for name in (model.name, model.answers_as)}
        case Family.GEMINI_EMBEDDING:
            return {f"models/{model.name}:embedContent": Operation.EMBED_CONTENT}
        case Family.GPT:
            chat = {"chat/completions": Operation.CHAT} if model.chat else {}
            return chat | ({"responses": Operation.RESPONSES} if model.responses else {})
        case _:
            return _PATHS[model.family]


def _body(request: InferenceRequest) -> Json:
    """Read the body."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise of_family(
            request.model.family, 400, "Malformed input request, please reformat your input and try again."
        ) from None
    if not isinstance(body, dict):
        raise of_family(request.model.family, 400, "Malformed input request: expected type: JSONObject")
    return body


def _answer(request: InferenceRequest, ask: ModelRequest, takes: int = 1) -> tuple[list[ModelResponse], Usage]:
    """Let the model answer, and count what it took."""
    givens = [simulated_model.respond(ask, take) for take in range(takes)]
    usage = request.cache.account(ask, givens[0])
    output, reasoning = sum(given.tokens for given in givens), sum(given.reasoning for given in givens)
    return givens, replace(usage, output=output, reasoning=reasoning)


def _invoke(request: InferenceRequest, body: Json, *, streaming: bool) -> Reply:
    """Answer Claude's own messages."""
    claude_rules.check(request.model, body)
    [given], usage = _answer(request, claude.ask(request.model, body))
    given = claude.displayed(given, body)
    name = f"msg_bdrk_01{request.id[:22]}"
    if not streaming:
        return Whole(claude.message(request.model, given, usage, name), delay=given.lasts)
    framing = Framing.AWS_CHUNKS if EVENT_STREAM in request.accept else Framing.JSON
    return Streamed(claude.events(request.model, given, usage, name), framing, request.path, given.delay)


def _converse(request: InferenceRequest, body: Json, *, streaming: bool) -> Reply:
    """Answer Converse."""
    converse_rules.check(request.model, body)
    [given], usage = _answer(request, converse.ask(request.model, body))
    paths = body.get("additionalModelResponseFieldPaths")
    if not streaming:
        return Whole(converse.message(given, usage, paths), delay=given.lasts)
    plain = Framing.REPR if request.converse_sse == "repr" else Framing.JSON
    framing = Framing.AWS_MEMBERS if EVENT_STREAM in request.accept else plain
    return Streamed(converse.events(given, usage, paths), framing, request.path, given.delay)


def _generate(request: InferenceRequest, raw: Json, *, streaming: bool) -> Reply:
    """Answer Gemini."""
    body = gemini.normal(raw)
    gemini_rules.check(request.model, body)
    takes = (body.get("generationConfig") or {}).get("candidateCount") or 1
    givens, usage = _answer(request, gemini.ask(request.model, body), takes)
    created = datetime.fromtimestamp(request.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    name = request.id[:22]
    if not streaming:
        return Whole(gemini.response(request.model, givens, usage, name, created), delay=givens[0].lasts)
    events = gemini.events(request.model, givens[0], usage, name, created)
    return Streamed(events, Framing.JSON, request.path, givens[0].delay)


def _chat(request: InferenceRequest, body: Json) -> Reply:
    """Answer chat completions."""
    openai_rules.check_chat(request.model, body)
    givens, usage = _answer(request, openai_chat.ask(request.model, body), body.get("n") or 1)
    name = f"chatcmpl-{request.id[:29]}"
    if not body.get("stream"):
        made = openai_chat.completion(request.model, body, givens, usage, name, int(request.now))
        return Whole(made, ordered=True, delay=givens[0].lasts)
    events = openai_chat.events(request.model, body, givens, usage, name, int(request.now))
    return Streamed(events, Framing.AZURE, request.path, givens[0].delay)


def _responses(request: InferenceRequest, body: Json) -> Reply:
    """Answer Responses, and store the answer unless `store` is false."""
    openai_rules.check_responses(request.model, body)
    items = openai_responses.conversation(body, request.store)
    openai_rules.check_items(list(items), request.store.item_ids())
    [given], usage = _answer(request, openai_responses.ask(request.model, body, items))
    name = f"resp_{hashlib.sha256(request.id.encode()).hexdigest()[:50]}"
    whole = openai_responses.response(request.model, body, given, usage, name, int(request.now))
    if body.get("store") is not False:
        request.store.put(name, Kept(whole, (*items, *whole["output"])))
    if not body.get("stream"):
        return Whole(whole, delay=given.lasts)
    events = openai_responses.events(request.model, body, given, usage, name, int(request.now))
    return Streamed(events, Framing.JSON, "responses", given.delay)


def _stored(request: InferenceRequest, rest: str) -> Reply:
    """Show, delete or cancel a response that was stored."""
    name, _, verb = rest.partition("/")
    kept = request.store.get(name)
    match request.method, verb:
        case "GET", "" if kept:
            return Whole(kept.response)
        case "DELETE", "" if kept:
            request.store.drop(name)
            return Whole({"id": name, "object": "response", "deleted": True})
        case "POST", "cancel" if kept:
            raise azure("Cannot cancel a synchronous response.")
        case ("GET" | "DELETE", "") | ("POST", "cancel"):
            raise openai_responses.missing(name)
        case _:
            raise gatekeeper(f"Subpath '{request.path}' is not allowed for model '{request.model.name}'.")


def _orchestrate(request: InferenceRequest, body: Json) -> Reply:
    """Answer orchestration."""
    model, chat = orchestration.read(body, request.id)
    [given], usage = _answer(request, orchestration.ask(model, chat))
    if not (body["config"].get("stream") or {}).get("enabled"):
        made = orchestration.whole(model, chat, given, usage, request.id, int(request.now))
        return Whole(made, spaced=True, delay=given.lasts)
    events = orchestration.events(body, model, chat, given, usage, request.id, int(request.now))
    return Streamed(events, Framing.SPACED, request.path, given.delay)
