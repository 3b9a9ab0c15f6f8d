"""Embeddings through SAP AI Core's orchestration, which asks all vendors' models in one form.

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
"""What the texts are for, by the names that clients have for it."""
_PARAMS = ("normalize", "auto_truncate")
"""What else a model may be told, by orchestration's own names."""


def render_request(request: EmbeddingRequest, profile: ModelProfile) -> Rendered:
    """Render a request, which names the model; orchestration itself asks it once only."""
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
    """Have what is embedded masked, if that is wanted; *body* is a rendered request, and stays as it is."""
    if masking is None:
        return body
    config = body["config"]
    return {**body, "config": {**config, "modules": {**config["modules"], "masking": dict(masking)}}}


def parse_response(body: JSON) -> EmbeddingResponse:
    """Parse a response, which has OpenAI's in it; raises `LookupError` or `TypeError` for one that makes no sense."""
    return openai_embeddings.parse_response(body["final_result"])


def _text(value: Input, profile: ModelProfile) -> str:
    if not isinstance(value, str):
        raise invalid(f"orchestration embeds text, not tokens, with {profile.name}: input must be strings", "input")
    return value
