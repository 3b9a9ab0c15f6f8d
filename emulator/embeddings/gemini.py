"""Gemini's embeddings: `:predict` of the first model, `:embedContent` of the second."""

from typing import Any

from emulator.embeddings.vectors import vector
from emulator.errors import google
from emulator.model_io import count_tokens
from emulator.models import Model
from emulator.world import Json

_PREDICT_FIELDS = {"instances", "parameters"}
MOST_INSTANCES = 250


def predict(model: Model, body: Json) -> Json:
    """Answer `:predict`, with up to 250 texts."""
    for key in body:
        if key not in _PREDICT_FIELDS:
            raise google(f'Invalid JSON payload received. Unknown name "{key}": Cannot find field.')
    instances = body.get("instances") or []
    check_batch(len(instances))
    texts = [_text(instance) for instance in instances]
    dimensions = _dimensions((body.get("parameters") or {}).get("outputDimensionality"), model)
    return {
        "predictions": [_prediction(text, dimensions) for text in texts],
        "metadata": {"billableCharacterCount": sum(map(len, texts))},
    }


def check_batch(size: int) -> None:
    """Refuse a call with too many texts, or with none."""
    if not 1 <= size <= MOST_INSTANCES:
        raise google(
            f"Unable to submit request because it has a batchSize value of {size} but the supported range is from 1 "
            f"(inclusive) to {MOST_INSTANCES + 1} (exclusive). Update the value and try again."
        )


def _text(instance: Any) -> str:
    """Return the text of an instance."""
    text = instance.get("content") if isinstance(instance, dict) else None
    if not isinstance(text, str) or not text:
        raise google("The text content is empty.")
    return text


def _prediction(text: str, dimensions: int) -> Json:
    """Render the vector of a text, and its token count."""
    statistics = {"token_count": count_tokens(text), "truncated": False}
    return {"embeddings": {"values": vector(text, dimensions), "statistics": statistics}}


def embed_content(model: Model, body: Json) -> Json:
    """Answer `:embedContent`."""
    parts = (body.get("content") or {}).get("parts") or []
    text = "\n".join(part.get("text", "") for part in parts)
    if not text:
        raise google("The text content is empty.")
    asked = body.get("outputDimensionality") or (body.get("embedContentConfig") or {}).get("outputDimensionality")
    return {"embedding": {"values": vector(text, _dimensions(asked, model))}}


def _dimensions(asked: Any, model: Model) -> int:
    """Return the number of dimensions, which is that of the model unless a request asks for fewer."""
    dimensions = asked or model.dimensions
    if not isinstance(dimensions, int) or not 1 <= dimensions <= model.dimensions:
        raise google(
            f"Unable to submit request because it has an outputDimensionality value of {dimensions} but the supported "
            f"range is from 1 (inclusive) to {model.dimensions + 1} (exclusive). Update the value and try again."
        )
    return dimensions
