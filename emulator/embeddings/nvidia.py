"""Embeddings of NVIDIA's NIM."""

from emulator.embeddings.openai import render_list
from emulator.errors import azure
from emulator.models import Model
from emulator.world import Json

_FIELDS = {"input", "model", "input_type", "encoding_format", "truncate", "dimensions", "user"}


def embed(model: Model, body: Json) -> Json:
    """Answer `/embeddings` of NVIDIA's NIM, which requires the purpose of the text."""
    for key in body:
        if key not in _FIELDS:
            raise azure(f"[body -> {key}] Extra inputs are not permitted", key)
    if "model" not in body:
        raise azure("[body -> model] Field required", "model", status=422)
    if body.get("input_type") not in ("query", "passage"):
        raise azure("'input_type' parameter is required: 'query' or 'passage'", "input_type")
    dimensions = body.get("dimensions") or model.dimensions
    if not isinstance(dimensions, int) or not 1 <= dimensions <= model.dimensions:
        raise azure(f"'dimensions' must be between 1 and {model.dimensions}, got {dimensions}", "dimensions")
    return render_list(model, body, dimensions)
