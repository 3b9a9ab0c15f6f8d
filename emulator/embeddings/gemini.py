"""Embeddings of Gemini: `:predict` of the first, `:embedContent` of the second."""

from emulator.embeddings.vectors import vector
from emulator.errors import google
from emulator.model_io import count_tokens
from emulator.models import Model
from emulator.world import Json

_PREDICT_FIELDS = {"instances", "parameters"}


def predict(model: Model, body: Json) -> Json:
    """Answer `:predict` of a Gemini embedding, one instance at a time."""
    for key in body:
        if key not in _PREDICT_FIELDS:
            raise google(f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.')
    instances = body.get("instances") or []
    if len(instances) != 1 or not isinstance(instances[0], dict):
        raise google(f"Only one instance per request is supported, but {len(instances)} were given.")
    text = instances[0].get("content")
    if not isinstance(text, str) or not text:
        raise google("The text content is empty.")
    dimensions = (body.get("parameters") or {}).get("outputDimensionality") or model.dimensions
    statistics = {"token_count": count_tokens(text), "truncated": False}
    return {
        "predictions": [{"embeddings": {"values": vector(text, dimensions), "statistics": statistics}}],
        "metadata": {"billableCharacterCount": len(text)},
    }


def embed_content(model: Model, body: Json) -> Json:
    """Answer `:embedContent` of the second Gemini embedding."""
    parts = (body.get("content") or {}).get("parts") or []
    text = "\n".join(part.get("text", "") for part in parts)
    if not text:
        raise google("The text content is empty.")
    dimensions = body.get("outputDimensionality") or (body.get("embedContentConfig") or {}).get("outputDimensionality")
    return {"embedding": {"values": vector(text, dimensions or model.dimensions)}}
