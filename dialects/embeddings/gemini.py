"""Embeddings of Google's models: one text a call.

The first generation is asked by ``predict``
(https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api),
the second by ``embedContent`` (https://ai.google.dev/api/embeddings).
"""

from collections.abc import Sequence
from typing import Any

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON
from dialects.core.faults import invalid
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse
from dialects.interface import Rendered

_TASKS = {
    "query": "RETRIEVAL_QUERY",
    "search_query": "RETRIEVAL_QUERY",
    "passage": "RETRIEVAL_DOCUMENT",
    "document": "RETRIEVAL_DOCUMENT",
    "search_document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


def render_request(request: EmbeddingRequest, profile: ModelProfile) -> list[Rendered]:
    """Render a request for each text on its own."""
    dropped = set(request.extra)
    if request.user:
        dropped.add("user")
    if request.input_type and (profile.embed_content or request.input_type.lower() not in _TASKS):
        dropped.add("input_type")
    names = tuple(sorted(dropped))
    render = _embed_content if profile.embed_content else _predict
    return [Rendered(render(_text(text, profile), request), names) for text in request.inputs]


def parse_response(bodies: Sequence[JSON]) -> EmbeddingResponse:
    """Parse the responses to all calls; raises `LookupError` or `TypeError` for one that makes no sense."""
    vectors: list[tuple[float, ...]] = []
    tokens = 0
    for body in bodies:
        embedding: Any = body["embedding"] if "embedding" in body else body["predictions"][0]["embeddings"]
        vectors.append(tuple(float(value) for value in embedding["values"]))
        tokens += int((embedding.get("statistics") or {}).get("token_count") or 0)
        tokens += int((body.get("usageMetadata") or {}).get("promptTokenCount") or 0)
    return EmbeddingResponse(vectors=tuple(vectors), prompt_tokens=tokens)


def _predict(text: str, request: EmbeddingRequest) -> JSON:
    instance: JSON = {"content": text}
    if task := _TASKS.get((request.input_type or "").lower()):
        instance["task_type"] = task
    body: JSON = {"instances": [instance]}
    if request.dimensions is not None:
        body["parameters"] = {"outputDimensionality": request.dimensions}
    return body


def _embed_content(text: str, request: EmbeddingRequest) -> JSON:
    body: JSON = {"content": {"parts": [{"text": text}]}}
    if request.dimensions is not None:
        body["outputDimensionality"] = request.dimensions
    return body


def _text(value: str | tuple[int, ...], profile: ModelProfile) -> str:
    if not isinstance(value, str):
        raise invalid(f"{profile.name} embeds text, not tokens: input must be strings", "input")
    return value
