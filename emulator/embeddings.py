"""Vectors: every way an embedding is asked for, and the one way it is made."""

import base64
import hashlib
import math
import struct
from typing import Any

from emulator.errors import azure, bedrock, google
from emulator.model_io import count_tokens
from emulator.models import Model
from emulator.world import Json

_OPENAI = {"input", "model", "encoding_format", "dimensions", "user"}
_NVIDIA = {"input", "model", "input_type", "encoding_format", "truncate", "dimensions", "user"}
_TITAN = {"inputText", "dimensions", "normalize", "embeddingTypes", "inputImage", "embeddingConfig"}
_TITAN_SIZES = (256, 512, 1024)
_PREDICT = {"instances", "parameters"}


def vector(text: str, dimensions: int) -> list[float]:
    """Make the unit vector of a text; it depends on nothing else."""
    seed = text.encode("utf-8", "surrogatepass")
    raw = b""
    while len(raw) < dimensions * 4:
        raw += hashlib.sha512(len(raw).to_bytes(8, "big") + seed).digest()
    values = [number / 2**31 - 1 for number in struct.unpack_from(f">{dimensions}I", raw)]
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]


def openai(model: Model, body: Json) -> Json:
    """Answer `/embeddings` on Azure."""
    for key in body:
        if key not in _OPENAI:
            raise azure(f"Unrecognized request argument supplied: {key}")
    dimensions = body.get("dimensions") or model.dimensions
    if not 1 <= dimensions <= model.dimensions:
        raise azure(
            f"Invalid value for 'dimensions' = {dimensions}. Must be between 1 and {model.dimensions}.", "dimensions"
        )
    return _list(model, body, dimensions)


def nvidia(model: Model, body: Json) -> Json:
    """Answer `/embeddings` on NVIDIA's NIM, which wants to know what the text is for."""
    for key in body:
        if key not in _NVIDIA:
            raise azure(f"[body -> {key}] Extra inputs are not permitted", key)
    if "model" not in body:
        raise azure("[body -> model] Field required", "model", status=422)
    if body.get("input_type") not in ("query", "passage"):
        raise azure("'input_type' parameter is required: 'query' or 'passage'", "input_type")
    return _list(model, body, body.get("dimensions") or model.dimensions)


def titan(model: Model, body: Json) -> Json:
    """Answer `/invoke` of a Titan, one text at a time."""
    for key in body:
        if key not in _TITAN:
            raise bedrock(
                f"Malformed input request: #: extraneous key [{key}] is not permitted, please reformat your input"
            )
    text = body.get("inputText")
    if not isinstance(text, str) or not text:
        raise bedrock("Malformed input request: #: required key [inputText] not found, please reformat your input")
    wanted = (body.get("embeddingConfig") or {}).get("outputEmbeddingLength") or body.get("dimensions")
    dimensions = wanted or model.dimensions
    if dimensions not in _TITAN_SIZES:
        raise bedrock(f"Malformed input request: #/dimensions: {dimensions} is not a valid enum value")
    made = vector(text, dimensions)
    return {"embedding": made, "embeddingsByType": {"float": made}, "inputTextTokenCount": count_tokens(text)}


def predict(model: Model, body: Json) -> Json:
    """Answer `:predict` of a Gemini embedding, one instance at a time."""
    for key in body:
        if key not in _PREDICT:
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


def _list(model: Model, body: Json, dimensions: int) -> Json:
    """Write a list of embeddings the way OpenAI does."""
    texts = _inputs(body.get("input"))
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
    """Read a text, texts, tokens, or lists of tokens."""
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
    """Write a vector as numbers or as little-endian floats in base64."""
    if style == "float":
        return values
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
