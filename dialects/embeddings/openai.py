"""OpenAI's embeddings API: the dialect of all clients, and of Azure OpenAI and NVIDIA as backends.

https://platform.openai.com/docs/api-reference/embeddings
"""

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dialects.adapt.field_reader import FieldReader
from dialects.capabilities.models import ModelProfile, Vendor
from dialects.core.conversation import JSON, token_count
from dialects.core.faults import invalid
from dialects.embeddings.batches import CallLimit, Input
from dialects.interface import Rendered

_UNDERSTOOD = frozenset({"model", "input", "dimensions", "encoding_format", "user", "input_type"})
FORMATS = ("float", "base64")
_AZURE_LIMIT = CallLimit(inputs=2048, tokens=300_000)
"""https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/embeddings"""
_NVIDIA_LIMIT = CallLimit(inputs=256)
"""NVIDIA documents no limit. This one is close to those of other vendors."""
_NVIDIA_TYPES = {"document": "passage", "search_document": "passage", "search_query": "query"}
"""NVIDIA's names of input types, by the names that other APIs use."""


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """A request to turn texts into vectors. Each input is a text or a list of token ids.

    *base64* asks for each vector as base64 of little-endian 32-bit floats. *input_type* is the purpose of the texts,
    such as "query" or "passage", for models that need it. *extra* has all other fields of the body, unchanged.
    """

    model: str
    inputs: tuple[Input, ...]
    dimensions: int | None = None
    base64: bool = False
    user: str = ""
    input_type: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EmbeddingResponse:
    """One vector for each input, in the same order. A vector that is a string is in base64."""

    vectors: tuple[tuple[float, ...] | str, ...]
    prompt_tokens: int = 0
    model: str = ""


def parse_request(body: JSON) -> EmbeddingRequest:
    """Parse a request. Raises `FaultError` if it is invalid."""
    fields = FieldReader(body)
    form = fields.text("encoding_format")
    if form not in ("", *FORMATS):
        raise fields.wrong("encoding_format", "float or base64")
    return EmbeddingRequest(
        model=fields.text("model"),
        inputs=_inputs(fields),
        dimensions=fields.count("dimensions"),
        base64=form == "base64",
        user=fields.text("user"),
        input_type=fields.text("input_type"),
        extra={name: value for name, value in body.items() if name not in _UNDERSTOOD and value is not None},
    )


def render_response(response: EmbeddingResponse, request: EmbeddingRequest) -> JSON:
    """Render a response with the vectors in the requested encoding."""
    data = [
        {"object": "embedding", "index": index, "embedding": _shown(vector, request.base64)}
        for index, vector in enumerate(response.vectors)
    ]
    usage = {"prompt_tokens": response.prompt_tokens, "total_tokens": response.prompt_tokens}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def call_limit(profile: ModelProfile) -> CallLimit:
    """Return the limits of one call to the model."""
    return _NVIDIA_LIMIT if profile.vendor is Vendor.NVIDIA else _AZURE_LIMIT


def render_request(request: EmbeddingRequest, profile: ModelProfile) -> Rendered:
    """Render the request of one call.

    The vectors are requested in the encoding that the client wants, so that they need not be converted.
    """
    if profile.vendor is Vendor.NVIDIA:
        return _for_nvidia(request, profile)
    body: JSON = {
        "input": [list(text) if isinstance(text, tuple) else text for text in request.inputs],
        "encoding_format": FORMATS[request.base64],
    }
    if profile.model_in_body:
        body["model"] = profile.name
    body |= {} if request.dimensions is None else {"dimensions": request.dimensions}
    body |= {"user": request.user} if request.user else {}
    dropped = {"input_type"} if request.input_type else set()
    return Rendered(body, tuple(sorted(dropped | request.extra.keys())))


def parse_response(body: JSON) -> EmbeddingResponse:
    """Parse the response to one call. Raises `LookupError` or `TypeError` if it has an unexpected shape."""
    data = sorted(body["data"], key=lambda item: item["index"])
    usage = body.get("usage") or {}
    return EmbeddingResponse(
        vectors=tuple(_vector(item["embedding"]) for item in data),
        prompt_tokens=token_count(usage.get("prompt_tokens")) or token_count(usage.get("total_tokens")),
        model=str(body.get("model") or ""),
    )


def joined(responses: Sequence[EmbeddingResponse]) -> EmbeddingResponse:
    """Combine the responses to all calls of a request, in the order of the calls."""
    return EmbeddingResponse(
        vectors=tuple(vector for response in responses for vector in response.vectors),
        prompt_tokens=sum(response.prompt_tokens for response in responses),
        model=next((response.model for response in responses if response.model), ""),
    )


def packed(vector: Sequence[float]) -> str:
    """Encode a vector as base64 of little-endian 32-bit floats. Raises `ValueError` if a number does not fit."""
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (OverflowError, struct.error) as error:
        raise ValueError("a vector with numbers that do not fit 32 bits") from error


def unpacked(text: str) -> tuple[float, ...]:
    """Decode a vector from base64 of little-endian 32-bit floats. Raises `ValueError` if *text* is not one."""
    data = base64.b64decode(text, validate=True)
    if len(data) % 4:
        raise ValueError("a vector that ends within a number")
    return struct.unpack(f"<{len(data) // 4}f", data)


def _for_nvidia(request: EmbeddingRequest, profile: ModelProfile) -> Rendered:
    """Render a request to NVIDIA, which requires an input type. Raises `FaultError` if an input is tokens.

    https://docs.nvidia.com/nim/nemo-retriever/text-embedding/latest/reference.html
    """
    if any(isinstance(text, tuple) for text in request.inputs):
        raise invalid(f"input must be text: model {profile.name} does not accept tokens", "input")
    kind = request.input_type or "query"
    body: JSON = {
        "input": list(request.inputs),
        "model": profile.name,
        "input_type": _NVIDIA_TYPES.get(kind, kind),
        "encoding_format": FORMATS[request.base64],
    }
    body |= {} if request.dimensions is None else {"dimensions": request.dimensions}
    body |= {"truncate": request.extra["truncate"]} if "truncate" in request.extra else {}
    dropped = {"user"} if request.user else set()
    return Rendered(body, tuple(sorted(dropped | (request.extra.keys() - {"truncate"}))))


def _inputs(fields: FieldReader) -> tuple[Input, ...]:
    """Read the inputs: one or several, each a text or a list of token ids."""
    given = fields.body.get("input")
    match given:
        case str(text):
            found: tuple[Input, ...] = (text,)
        case [*items] if items and all(_is_number(item) for item in items):
            found = (tuple(items),)
        case [*items] if all(isinstance(item, str) or _is_tokens(item) for item in items):
            found = tuple(item if isinstance(item, str) else tuple(item) for item in items)
        case _:
            raise fields.wrong("input", "a text, a list of texts, a list of tokens, or a list of such lists")
    if not found or not all(found):
        raise fields.wrong("input", "not empty")
    return found


def _is_number(item: Any) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and item >= 0


def _is_tokens(item: Any) -> bool:
    return isinstance(item, list) and all(_is_number(each) for each in item)


def _vector(embedding: Any) -> tuple[float, ...] | str:
    return embedding if isinstance(embedding, str) else tuple(float(number) for number in embedding)


def _shown(vector: tuple[float, ...] | str, as_base64: bool) -> list[float] | str:
    if as_base64:
        return vector if isinstance(vector, str) else packed(vector)
    return list(unpacked(vector) if isinstance(vector, str) else vector)
