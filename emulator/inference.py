"""Routing of inference requests: the protocol's handler for each path and model."""

import json
from collections.abc import Callable

from emulator.bedrock_converse import handler as bedrock_converse
from emulator.claude_invoke import handler as claude_invoke
from emulator.embeddings import gemini, nvidia, openai, titan
from emulator.errors import ErrorResponse, gatekeeper, of_family
from emulator.gemini_generate import handler as gemini_generate
from emulator.models import Family, Model
from emulator.openai_chat import handler as openai_chat
from emulator.openai_common import azure_versions
from emulator.openai_responses import handler as openai_responses
from emulator.orchestration import handler as orchestration
from emulator.protocol import Handler, InferenceRequest, Reply, Whole
from emulator.world import Json


def _embedding(embed: Callable[[Model, Json], Json]) -> Handler:
    """Build the handler for a function that computes embeddings."""
    return lambda request, body: Whole(embed(request.model, body))


_AZURE_EMBEDDINGS = _embedding(openai.embed)
_PATHS: dict[Family, dict[str, Handler]] = {
    Family.CLAUDE: {
        "invoke": claude_invoke.handle,
        "invoke-with-response-stream": claude_invoke.handle,
        "converse": bedrock_converse.handle,
        "converse-stream": bedrock_converse.handle,
    },
    Family.NOVA: {"converse": bedrock_converse.handle, "converse-stream": bedrock_converse.handle},
    Family.TITAN: {"invoke": _embedding(titan.embed)},
    Family.AZURE_EMBEDDING: {"embeddings": _AZURE_EMBEDDINGS},
    Family.NVIDIA: {"embeddings": _embedding(nvidia.embed)},
    Family.ORCHESTRATION: {
        "v2/completion": orchestration.handle,
        "v2/embeddings": orchestration.handle_embeddings,
    },
}
_NEEDS_VERSION = (openai_chat.handle, _AZURE_EMBEDDINGS)


def run(request: InferenceRequest) -> Reply:
    """Answer a request for a deployment."""
    stored = request.path.removeprefix("responses/") if request.model.responses else request.path
    if stored not in (request.path, "compact"):
        return openai_responses.handle_stored(request, stored)
    handle = _handler(request.model, request.path)
    if request.method != "POST":
        raise gatekeeper(
            f"Method {request.method} is not allowed for subpath '{request.path}'.", 405, "MethodNotAllowed"
        )
    versioned = handle in _NEEDS_VERSION and not request.path.startswith("v1/")
    if versioned and not request.query.get("api-version"):
        raise ErrorResponse(404, {"error": {"code": "404", "message": "Resource not found"}})
    body = _body(request)
    if versioned:
        azure_versions.check(body, request.query["api-version"])
    try:
        return handle(request, body)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        detail = f"Malformed input request: {type(error).__name__}: {error}, please reformat your input and try again."
        raise of_family(request.model.family, 400, detail) from error


def _handler(model: Model, path: str) -> Handler:
    """Return the handler of a path; raises `ErrorResponse` if the model does not have that path."""
    found = _handlers(model).get(path)
    if found is None:
        raise gatekeeper(f"Subpath '{path}' is not allowed for model '{model.name}'.")
    return found


def _handlers(model: Model) -> dict[str, Handler]:
    """Return the handlers of a model, by path."""
    match model.family:
        case Family.GEMINI:
            verbs = ("generateContent", "streamGenerateContent")
            return {f"models/{model.name}:{verb}": gemini_generate.handle for verb in verbs}
        case Family.GEMINI_EMBEDDING if model.name == "gemini-embedding":
            return {f"models/{name}:predict": _embedding(gemini.predict) for name in (model.name, model.answers_as)}
        case Family.GEMINI_EMBEDDING:
            return {f"models/{model.name}:embedContent": _embedding(gemini.embed_content)}
        case Family.GPT:
            chat = dict.fromkeys(("chat/completions", "v1/chat/completions"), openai_chat.handle) if model.chat else {}
            responses: dict[str, Handler] = dict.fromkeys(("responses", "v1/responses"), openai_responses.handle)
            responses["responses/compact"] = openai_responses.handle_compaction
            return chat | (responses if model.responses else {})
        case _:
            return _PATHS[model.family]


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _body(request: InferenceRequest) -> Json:
    """Parse the body; raises `ErrorResponse` if it is not JSON."""
    try:
        body = json.loads(request.body.decode(), parse_constant=_no_number)
        if b"\\u" in request.body:
            # Half of a surrogate pair cannot be encoded, and is refused.
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise of_family(
            request.model.family, 400, "Malformed input request, please reformat your input and try again."
        ) from None
    if not isinstance(body, dict):
        raise of_family(request.model.family, 400, "Malformed input request: expected type: JSONObject")
    return body
