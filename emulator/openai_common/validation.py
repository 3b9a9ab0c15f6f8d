"""Validation that chat completions and Responses share.

Each check raises `ErrorResponse` for what Azure OpenAI refuses.
"""

from typing import Any

from emulator.body_fields import decode_base64, parse_data_uri
from emulator.errors import azure
from emulator.models import Model, Thinking
from emulator.world import Json

_EFFORTS = ("minimal", "low", "medium", "high")
_NEWER_EFFORTS = ("none", "low", "medium", "high", "xhigh")
_UNSAMPLED = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
LONGEST_USER = 64


def validate_samplers(model: Model, body: Json) -> None:
    """Refuse sampling settings that are out of range, or that a reasoning model does not support."""
    if not always_thinks(model):
        if not 0 <= (1 if body.get("temperature") is None else body["temperature"]) <= 2:
            raise azure(
                f"Invalid 'temperature': expected a value between 0 and 2, but got {body['temperature']}.",
                "temperature",
            )
        return
    for key in _UNSAMPLED:
        if body.get(key) not in (None, 1 if key in ("temperature", "top_p") else 0):
            raise azure(
                f"Unsupported value: '{key}' does not support {body[key]} with this model. Only the default value is "
                "supported.",
                key,
                "unsupported_value",
            )
    for key in ("logprobs", "top_logprobs"):
        if body.get(key):
            message = f"Unsupported parameter: '{key}' is not supported with this model."
            raise azure(message, key, "unsupported_parameter")


def validate_effort(model: Model, effort: Any, param: str) -> None:
    """Refuse a reasoning effort that the model does not support."""
    allowed = _EFFORTS if model.name in ("gpt-5", "gpt-5-mini") else _NEWER_EFFORTS
    if effort is None:
        return
    if not always_thinks(model):
        raise azure(
            f"Unsupported parameter: '{param}' is not supported with this model.", param, "unsupported_parameter"
        )
    if effort not in allowed:
        names = ", ".join(f"'{name}'" for name in allowed)
        message = (
            f"Unsupported value: '{effort}' is not supported with the '{model.name}' model. Supported values "
            f"are: {names}."
        )
        raise azure(message, param, "unsupported_value")


def validate_data_uri(uri: Any, path: str) -> None:
    """Refuse a data URI without valid data."""
    if not isinstance(uri, str) or not uri.startswith("data:"):
        return
    found = parse_data_uri(uri)
    if found is None or not decode_base64(found[1]):
        raise azure("Invalid base64 data URI.", path, "invalid_base64")


def always_thinks(model: Model) -> bool:
    """Return whether the model always reasons before it answers."""
    return model.thinking is Thinking.ALWAYS
