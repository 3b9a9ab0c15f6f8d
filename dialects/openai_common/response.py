"""Failures and lists of models, as both of OpenAI's dialects render them."""

from collections.abc import Sequence

from dialects.capabilities.model_info import ModelInfo
from dialects.core.context_overflow import openais_words
from dialects.core.conversation import JSON
from dialects.core.faults import Fault, FaultKind

# https://platform.openai.com/docs/guides/error-codes. With the `type` invalid_request_error, some clients mistake a
# wrong key for a malformed request, hence authentication_error.
_TYPE = {
    FaultKind.INVALID_REQUEST: ("invalid_request_error", None),
    FaultKind.CONTENT_FILTERED: ("invalid_request_error", "content_filter"),
    FaultKind.CONTEXT_LENGTH_EXCEEDED: ("invalid_request_error", "context_length_exceeded"),
    FaultKind.TOO_LARGE: ("invalid_request_error", "request_too_large"),
    FaultKind.NOT_FOUND: ("invalid_request_error", "model_not_found"),
    FaultKind.REQUEST_FORBIDDEN: ("invalid_request_error", "permission_denied"),
    FaultKind.RESOURCE_NOT_FOUND: ("invalid_request_error", "not_found"),
    FaultKind.UNAUTHENTICATED: ("authentication_error", "invalid_api_key"),
    FaultKind.RATE_LIMITED: ("rate_limit_error", "rate_limit_exceeded"),
    FaultKind.OVERLOADED: ("server_error", "overloaded"),
    FaultKind.TIMEOUT: ("server_error", "timeout"),
    FaultKind.UNAVAILABLE: ("server_error", "unavailable"),
}
_CODED_BY_PROVIDERS = frozenset(
    {
        FaultKind.INVALID_REQUEST,
        FaultKind.NOT_FOUND,
        FaultKind.REQUEST_FORBIDDEN,
        FaultKind.RESOURCE_NOT_FOUND,
    }
)
_WRONG_KEY = "Incorrect API key provided"


def render_fault(fault: Fault) -> JSON:
    """Render a failure, as the body of an HTTP error or a frame of a stream."""
    kind, code = _TYPE.get(fault.kind, ("server_error", fault.kind.value))
    message = fault.message
    if fault.kind is FaultKind.UNAUTHENTICATED and _WRONG_KEY not in message:
        message = f"{_WRONG_KEY}. {message}"
    if fault.kind is FaultKind.CONTEXT_LENGTH_EXCEEDED:
        message = openais_words(fault)
    if fault.kind in _CODED_BY_PROVIDERS:
        code = fault.code or code
    return {"error": {"message": message, "type": kind, "param": fault.param, "code": code}}


def render_model(model: ModelInfo, created: int) -> JSON:
    """Describe one model in the form that OpenAI's clients read. *created* is in seconds since the epoch.

    https://platform.openai.com/docs/api-reference/models/object. OpenAI has no fields for limits. They are under the
    names that other gateways use, and unknown ones are left out.
    """
    said: JSON = {"id": model.name, "object": "model", "created": created, "owned_by": "sap-ai-core"}
    limits = {
        "context_length": model.context_length,
        "context_window": model.context_length,
        "max_output_tokens": model.max_output,
    }
    said |= {name: value for name, value in limits.items() if value is not None}
    said |= {"input_modalities": list(model.input_types)}
    said |= {"deprecated": True} if model.deprecated else {}
    return said | ({"shutdown_date": model.ends.isoformat()} if model.ends else {})


def render_models(models: Sequence[ModelInfo], created: int) -> JSON:
    """List all models in the form that OpenAI's clients read."""
    return {"object": "list", "data": [render_model(model, created) for model in models]}
