"""Embeddings of Amazon's Titan models, with one text in a call.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
and ``…-titan-embed-mm.html`` for the one that also takes images.
"""

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, token_count
from dialects.core.faults import invalid
from dialects.embeddings.batches import CallLimit, Input
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse
from dialects.interface import Rendered

_LIMIT = CallLimit(inputs=1)


def call_limit(_: ModelProfile) -> CallLimit:
    """Return the limits of one call to the model."""
    return _LIMIT


def render_request(request: EmbeddingRequest, profile: ModelProfile) -> Rendered:
    """Render a request for one text. Raises `FaultError` if the input is tokens instead of text."""
    dropped = {name for name, value in (("user", request.user), ("input_type", request.input_type)) if value}
    [text] = request.inputs
    return Rendered(_body(text, request, profile), tuple(sorted(dropped | set(request.extra))))


def parse_response(body: JSON) -> EmbeddingResponse:
    """Parse the response to one call. Raises `LookupError` or `TypeError` if it has an unexpected shape."""
    return EmbeddingResponse((tuple(map(float, body["embedding"])),), token_count(body["inputTextTokenCount"]))


def _body(text: Input, request: EmbeddingRequest, profile: ModelProfile) -> JSON:
    if not isinstance(text, str):
        raise invalid(f"{profile.name} embeds text, not tokens: input must be strings", "input")
    body: JSON = {"inputText": text}
    if request.dimensions is None:
        return body
    # The model for texts and images has another field for the vector length.
    if profile.images:
        return {**body, "embeddingConfig": {"outputEmbeddingLength": request.dimensions}}
    return {**body, "dimensions": request.dimensions}
