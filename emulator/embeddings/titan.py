"""Embeddings of Amazon Titan, on `/invoke`."""

from emulator.embeddings.vectors import vector
from emulator.errors import bedrock
from emulator.model_io import count_tokens
from emulator.models import Model
from emulator.world import Json

_FIELDS = {"inputText", "dimensions", "normalize", "embeddingTypes", "inputImage", "embeddingConfig"}
_SIZES = (256, 512, 1024)


def embed(model: Model, body: Json) -> Json:
    """Answer `/invoke` of a Titan model, which takes one text."""
    for key in body:
        if key not in _FIELDS:
            raise bedrock(
                f"Malformed input request: #: extraneous key [{key}] is not permitted, please reformat your input"
            )
    text = body.get("inputText")
    if not isinstance(text, str) or not text:
        raise bedrock("Malformed input request: #: required key [inputText] not found, please reformat your input")
    wanted = (body.get("embeddingConfig") or {}).get("outputEmbeddingLength") or body.get("dimensions")
    dimensions = wanted or model.dimensions
    if dimensions not in _SIZES:
        raise bedrock(f"Malformed input request: #/dimensions: {dimensions} is not a valid enum value")
    made = vector(text, dimensions)
    return {"embedding": made, "embeddingsByType": {"float": made}, "inputTextTokenCount": count_tokens(text)}
