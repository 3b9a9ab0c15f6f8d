"""Validation of chat completions requests.

Each check raises `ErrorResponse` for what Azure OpenAI refuses.
"""

from typing import Any

from emulator.body_fields import content_blocks
from emulator.errors import azure
from emulator.models import Model
from emulator.openai_common.functions import (
    validate_function,
    validate_length,
    validate_name,
    validate_response_format,
    validate_tool_choice,
)
from emulator.openai_common.validation import (
    LONGEST_USER,
    always_thinks,
    validate_data_uri,
    validate_effort,
    validate_samplers,
)
from emulator.world import Json

_FIELDS = frozenset(
    [
        "messages",
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "n",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "user",
        "seed",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "metadata",
        "store",
        "prediction",
        "modalities",
        "audio",
        "service_tier",
        "functions",
        "function_call",
        "verbosity",
        "prompt_cache_key",
        "safety_identifier",
        "data_sources",
    ]
)
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_PARTS = {
    "user": ("text", "image_url", "file"),
    "assistant": ("text", "refusal"),
}
_REASONING_ONLY = ("reasoning_effort", "verbosity")
_MOST_STOPS = 4
_LONGEST_CALL_ID = 40


def check(model: Model, body: Json) -> None:
    """Refuse an invalid body of `/chat/completions`."""
    for key in body:
        if key not in _FIELDS or (key in _REASONING_ONLY and not always_thinks(model)):
            raise azure(f"Unrecognized request argument supplied: {key}")
    validate_length(body.get("user"), LONGEST_USER, "user")
    _limits(model, body)
    validate_samplers(model, body)
    _stops(model, body.get("stop"))
    _pairs(body)
    validate_effort(model, body.get("reasoning_effort"), "reasoning_effort")
    if model.tools_need_responses and body.get("tools") and body.get("reasoning_effort") not in (None, "none"):
        raise azure(
            f"Function tools with reasoning_effort are not supported for {model.name} in "
            "/v1/chat/completions. Please use "
            "/v1/responses instead.",
            "reasoning_effort",
        )
    _tools(body)
    _messages(body)
    validate_response_format(body.get("response_format") or {}, "response_format", _said(body["messages"]))


def _limits(model: Model, body: Json) -> None:
    """Refuse invalid token limits."""
    if "max_tokens" in body and always_thinks(model):
        raise azure(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise azure("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", "max_tokens")
    for key in ("max_tokens", "max_completion_tokens"):
        if body.get(key) is not None and body[key] < 1:
            message = (
                f"Invalid '{key}': integer below minimum value. Expected a value >= 1, but got {body[key]} instead."
            )
            raise azure(message, key, "integer_below_min_value")


def _stops(model: Model, stops: Any) -> None:
    """Refuse stop strings: any for a reasoning model, more than four for others."""
    if stops is not None and always_thinks(model):
        raise azure("Unsupported parameter: 'stop' is not supported with this model.", "stop", "unsupported_parameter")
    if isinstance(stops, list) and len(stops) > _MOST_STOPS:
        message = (
            f"Invalid 'stop': array too long. Expected an array with maximum length {_MOST_STOPS}, but got an array "
            f"with length {len(stops)} instead."
        )
        raise azure(message, "stop", "array_above_max_length")


def _pairs(body: Json) -> None:
    """Refuse settings that require another setting."""
    if body.get("stream_options") is not None and not body.get("stream"):
        raise azure("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    if body.get("metadata") is not None and not body.get("store"):
        raise azure("The 'metadata' parameter is only allowed when 'store' is enabled.", "metadata")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise azure("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs")


def _tools(body: Json) -> None:
    """Refuse tools that are not functions, and settings about tools without tools."""
    tools = body.get("tools")
    if tools is not None and not tools:
        raise azure("Invalid 'tools': empty array. Expected an array with minimum length 1.", "tools", "empty_array")
    for key in ("tool_choice", "parallel_tool_calls"):
        if body.get(key) is not None and not tools and body[key] != "none":
            raise azure(f"Invalid value for '{key}': '{key}' is only allowed when 'tools' are specified.", key)
    for at, tool in enumerate(tools or []):
        if tool.get("type") != "function" or not isinstance(tool.get("function"), dict):
            raise azure(
                f"Invalid value: '{tool.get('type')}'. Supported values are: 'function'.",
                f"tools[{at}].type",
                "invalid_value",
            )
        validate_function(tool["function"], f"tools[{at}].function")
    validate_tool_choice(body.get("tool_choice"), [tool["function"]["name"] for tool in tools or []])


def _messages(body: Json) -> None:
    """Refuse an invalid conversation."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise azure(
            "Invalid 'messages': empty array. Expected an array with minimum length 1.", "messages", "empty_array"
        )
    pending: list[str] = []
    for at, message in enumerate(messages):
        if message.get("role") not in _ROLES:
            names = ", ".join(f"'{role}'" for role in _ROLES)
            raise azure(
                f"Invalid value: '{message.get('role')}'. Supported values are: {names}.",
                f"messages[{at}].role",
                "invalid_value",
            )
        if message["role"] == "tool":
            validate_length(message.get("tool_call_id"), _LONGEST_CALL_ID, f"messages[{at}].tool_call_id")
            if message.get("tool_call_id") not in pending:
                raise azure(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    f"messages.[{at}].role",
                )
            pending.remove(message["tool_call_id"])
            continue
        _settled(pending, at)
        _parts(message, at)
        pending = [call["id"] for call in message.get("tool_calls") or []]
        for place, call in enumerate(message.get("tool_calls") or []):
            validate_length(call["id"], _LONGEST_CALL_ID, f"messages[{at}].tool_calls[{place}].id")
            if not call.keys() & {"function", "custom"}:
                path = f"messages[{at}].tool_calls[{place}].function"
                raise azure(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")
            if "function" in call:
                validate_name(
                    str(call["function"].get("name", "")), f"messages[{at}].tool_calls[{place}].function.name"
                )
    _settled(pending, len(messages))


def _settled(pending: list[str], at: int) -> None:
    """Refuse to continue while calls have no result."""
    if pending:
        raise azure(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(pending)}",
            f"messages.[{at}].role",
        )


def _parts(message: Json, at: int) -> None:
    """Refuse content that a message's role cannot have."""
    content = message.get("content")
    if content is None and not (message["role"] == "assistant" and ("tool_calls" in message or "refusal" in message)):
        kind = "Invalid value for 'content': expected a string, got null."
        raise azure(kind, f"messages.[{at}].content")
    for place, part in enumerate(content_blocks(content, type="text")):
        path = f"messages[{at}].content[{place}]"
        if part.get("type") not in _PARTS.get(message["role"], ("text",)):
            raise azure(f"Invalid value: '{part.get('type')}'.", f"{path}.type", "invalid_value")
        if part["type"] == "image_url":
            given = part.get("image_url")
            validate_data_uri(given.get("url") if isinstance(given, dict) else given, path)


def _said(messages: list[Json]) -> str:
    """Join all contents of a conversation."""
    return " ".join(str(message.get("content")) for message in messages)
