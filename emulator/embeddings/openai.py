"""Embeddings of Azure OpenAI, and the list of vectors, which NVIDIA has in the same format."""

import base64
import struct
from typing import Any

from emulator.embeddings.vectors import vector
from emulator.errors import azure
from emulator.model_io import count_tokens
from emulator.models import Model
from emulator.world import Json

_FIELDS = {"input", "model", "encoding_format", "dimensions", "user"}
MOST_INPUTS = 2048


def embed(model: Model, body: Json) -> Json:
    """Answer `/embeddings` of Azure OpenAI."""
    for key in body:
        if key not in _FIELDS:
            raise azure(f"Unrecognized request argument supplied: {key}")
    dimensions = body.get("dimensions") or model.dimensions
    if not 1 <= dimensions <= model.dimensions:
        raise azure(
            f"Invalid value for 'dimensions' = {dimensions}. Must be between 1 and {model.dimensions}.", "dimensions"
        )
    return render_list(model, body, dimensions)


def render_list(model: Model, body: Json, dimensions: int) -> Json:
    """Render a list of embeddings in OpenAI's format."""
    texts = _inputs(body.get("input"))
    if len(texts) > MOST_INPUTS:
        raise azure(
            f"Invalid 'input': array too long. Expected an array with maximum length {MOST_INPUTS}, but got an array "
            f"with length {len(texts)} instead.",
            "input",
            "array_above_max_length",
        )
    style = body.get("encoding_format") or "float"
    if style not in ("float", "base64"):
        raise azure(f"Invalid value for 'encoding_format': {style}", "encoding_format")
    data = [
        {"object": "embedding", "index": index, "embedding": _written(vector(text, dimensions), style)}
        for index, text in enumerate(texts)
    ]
    tokens = sum(map(count_tokens, texts))
    return {
        "object": "list",
        "data": data,
        "model": model.answers_as,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _inputs(given: Any) -> list[str]:
    """Return the texts of the input. Lists of tokens become one text each."""
    match given:
        case str() if given:
            return [given]
        case [int(), *_]:
            return [" ".join(map(str, given))]
        case [_, *_] if all(isinstance(item, str) and item for item in given):
            return list(given)
        case [_, *_] if all(isinstance(item, list) and item for item in given):
            return [" ".join(map(str, item)) for item in given]
        case _:
            raise azure("'$.input' is invalid. Please check the API reference.", "input")


def _written(values: list[float], style: str) -> list[float] | str:
    """Render a vector as numbers, or as little-endian floats in base64."""
    if style == "float":
        return values
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
