"""Embeddings through SAP AI Core's orchestration, which has one request format for the models of all vendors.

https://help.sap.com/docs/sap-ai-core/generative-ai/embeddings
"""

from collections.abc import Mapping
from typing import Any

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON
from dialects.core.faults import invalid
from dialects.embeddings import openai as openai_embeddings
from dialects.embeddings.batches import Input
from dialects.embeddings.openai import FORMATS, EmbeddingRequest, EmbeddingResponse
from dialects.interface import Rendered

_TYPES = {
    "query": "query",
    "search_query": "query",
    "passage": "document",
    "document": "document",
    "search_document": "document",
    "text": "text",
}
"""Orchestration's names of input types, by the names that clients use."""
_PARAMS = ("normalize", "auto_truncate")
"""The other parameters that a client may set, by orchestration's own names."""


def render_request(request: EmbeddingRequest, profile: ModelProfile) -> Rendered:
    """Render a request for one call, with orchestration's own retries turned off."""
    params: JSON = {"encoding_format": FORMATS[request.base64]}
    params |= {} if request.dimensions is None else {"dimensions": request.dimensions}
    params |= {name: request.extra[name] for name in _PARAMS if name in request.extra}
    given: JSON = {"text": [_text(each, profile) for each in request.inputs]}
    kind = _TYPES.get(request.input_type.lower())
    given |= {"type": kind} if kind else {}
    dropped = request.extra.keys() - {*_PARAMS}
    dropped |= {"user"} if request.user else set()
    dropped |= {"input_type"} if request.input_type and not kind else set()
    model = {"name": profile.name, "max_retries": 0, "params": params}
    body = {"config": {"modules": {"embeddings": {"model": model}}}, "input": given}
    return Rendered(body, tuple(sorted(dropped)))


def with_masking(body: JSON, masking: Mapping[str, Any] | None) -> JSON:
    """Return the rendered request *body* with the *masking* module, if there is one. *body* itself is not changed."""
    if masking is None:
        return body
    config = body["config"]
    return {**body, "config": {**config, "modules": {**config["modules"], "masking": dict(masking)}}}


def parse_response(body: JSON) -> EmbeddingResponse:
    """Parse a response, which wraps one of OpenAI's. Raises `LookupError` or `TypeError` if it has another shape."""
    return openai_embeddings.parse_response(body["final_result"])


def _text(value: Input, profile: ModelProfile) -> str:
    if not isinstance(value, str):
        raise invalid(f"orchestration embeds text, not tokens, with {profile.name}: input must be strings", "input")
    return value
