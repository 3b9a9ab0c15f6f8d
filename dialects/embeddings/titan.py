"""Embeddings of Amazon's Titan models: one text a call.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
and ``…-titan-embed-mm.html`` for the one that also takes images.
"""

from collections.abc import Sequence

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON
from dialects.core.faults import invalid
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse
from dialects.interface import Rendered


def render_request(request: EmbeddingRequest, profile: ModelProfile) -> list[Rendered]:
    """Render a request for each text on its own."""
    dropped = {name for name, value in (("user", request.user), ("input_type", request.input_type)) if value}
    names = tuple(sorted(dropped | set(request.extra)))
    return [Rendered(_body(text, request, profile), names) for text in request.inputs]


def parse_response(bodies: Sequence[JSON]) -> EmbeddingResponse:
    """Parse the responses to all calls; raises `LookupError` or `TypeError` for one that makes no sense."""
    vectors = tuple(tuple(float(value) for value in body["embedding"]) for body in bodies)
    return EmbeddingResponse(vectors=vectors, prompt_tokens=sum(int(body["inputTextTokenCount"]) for body in bodies))


def _body(text: str | tuple[int, ...], request: EmbeddingRequest, profile: ModelProfile) -> JSON:
    if not isinstance(text, str):
        raise invalid(f"{profile.name} embeds text, not tokens: input must be strings", "input")
    body: JSON = {"inputText": text}
    if request.dimensions is None:
        return body
    # The model that takes images has the length in a place of its own.
    if profile.images:
        return {**body, "embeddingConfig": {"outputEmbeddingLength": request.dimensions}}
    return {**body, "dimensions": request.dimensions}
