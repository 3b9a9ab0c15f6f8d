"""Embeddings of Google's models.

The first generation is called by ``predict``, with many texts in one call
(https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api).
The second is called by ``embedContent``, with one text in a call (https://ai.google.dev/api/embeddings).
"""

from collections.abc import Sequence

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, token_count
from dialects.core.faults import invalid
from dialects.embeddings.batches import CallLimit, Input
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


_PREDICT_LIMIT = CallLimit(inputs=250, tokens=20_000)
"""https://cloud.google.com/vertex-ai/generative-ai/docs/embeddings/get-text-embeddings"""
_EMBED_CONTENT_LIMIT = CallLimit(inputs=1)


def call_limit(profile: ModelProfile) -> CallLimit:
    """Return the limits of one call to the model."""
    return _EMBED_CONTENT_LIMIT if profile.embed_content else _PREDICT_LIMIT


def render_request(request: EmbeddingRequest, profile: ModelProfile) -> Rendered:
    """Render the request of one call. Raises `FaultError` if an input is tokens instead of text."""
    dropped = set(request.extra)
    if request.user:
        dropped.add("user")
    if request.input_type and (profile.embed_content or request.input_type.lower() not in _TASKS):
        dropped.add("input_type")
    texts = [_text(each, profile) for each in request.inputs]
    body = _embed_content(texts, request) if profile.embed_content else _predict(texts, request)
    return Rendered(body, tuple(sorted(dropped)))


def parse_response(body: JSON) -> EmbeddingResponse:
    """Parse the response to one call. Raises `LookupError` or `TypeError` if it has an unexpected shape."""
    found = [body["embedding"]] if "embedding" in body else [each["embeddings"] for each in body["predictions"]]
    return EmbeddingResponse(
        vectors=tuple(tuple(map(float, each["values"])) for each in found),
        prompt_tokens=sum(map(_tokens, found)) + token_count((body.get("usageMetadata") or {}).get("promptTokenCount")),
    )


def _predict(texts: Sequence[str], request: EmbeddingRequest) -> JSON:
    task = _TASKS.get((request.input_type or "").lower())
    said: JSON = {"task_type": task} if task else {}
    body: JSON = {"instances": [{"content": text, **said} for text in texts]}
    if request.dimensions is not None:
        body["parameters"] = {"outputDimensionality": request.dimensions}
    return body


def _embed_content(texts: Sequence[str], request: EmbeddingRequest) -> JSON:
    [text] = texts
    body: JSON = {"content": {"parts": [{"text": text}]}}
    if request.dimensions is not None:
        body["outputDimensionality"] = request.dimensions
    return body


def _tokens(embedding: JSON) -> int:
    return token_count((embedding.get("statistics") or {}).get("token_count"))


def _text(value: Input, profile: ModelProfile) -> str:
    if not isinstance(value, str):
        raise invalid(f"{profile.name} embeds text, not tokens: input must be strings", "input")
    return value
