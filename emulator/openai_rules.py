"""What Azure OpenAI refuses, on chat completions and on Responses."""

from typing import Any

from emulator import signatures
from emulator.body_fields import content_blocks, decode_base64, parse_data_uri
from emulator.errors import azure, gatekeeper
from emulator.models import Model
from emulator.openai_chat import thinks
from emulator.openai_shapes import choice, form, function, named, short
from emulator.world import Json

_CHAT = frozenset(
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
_RESPONSES = frozenset(
    [
        "input",
        "model",
        "instructions",
        "stream",
        "stream_options",
        "max_output_tokens",
        "temperature",
        "top_p",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "previous_response_id",
        "store",
        "reasoning",
        "text",
        "include",
        "truncation",
        "user",
        "metadata",
        "background",
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "top_logprobs",
        "max_tool_calls",
        "prompt",
        "conversation",
    ]
)
_INCLUDES = (
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
    "message.input_image.image_url",
    "file_search_call.results",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "web_search_call.action.sources",
)
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_PARTS = {
    "user": ("text", "image_url", "file"),
    "assistant": ("text", "refusal"),
}
_INPUT_PARTS = ("input_text", "input_image", "input_file", "output_text", "refusal")
_ITEMS = ("message", "function_call", "function_call_output", "reasoning", "item_reference")
_EFFORTS = ("minimal", "low", "medium", "high")
_NEWER_EFFORTS = ("none", "low", "medium", "high", "xhigh")
_REASONING_ONLY = ("reasoning_effort", "verbosity")
_UNSAMPLED = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_MOST_STOPS = 4
_LONGEST_USER = 64
_LONGEST_CHAT_CALL_ID = 40
_LONGEST_CALL_ID = 64
ENCRYPTED = "gAAAAAB"


def check_chat(model: Model, body: Json) -> None:
    """Refuse the body of a `/chat/completions` that Azure would refuse."""
    for key in body:
        if key not in _CHAT or (key in _REASONING_ONLY and not thinks(model)):
            raise azure(f"Unrecognized request argument supplied: {key}")
    short(body.get("user"), _LONGEST_USER, "user")
    _limits(model, body)
    _samplers(model, body)
    _stops(model, body.get("stop"))
    _pairs(body)
    _effort(model, body.get("reasoning_effort"), "reasoning_effort")
    if model.tools_need_responses and body.get("tools") and body.get("reasoning_effort") not in (None, "none"):
        raise azure(
            f"Function tools with reasoning_effort are not supported for {model.name} in "
            "/v1/chat/completions. Please use "
            "/v1/responses instead.",
            "reasoning_effort",
        )
    _chat_tools(body)
    _messages(body)
    form(body.get("response_format") or {}, "response_format", _said(body["messages"]))


def check_responses(model: Model, body: Json) -> None:
    """Refuse the body of a `/responses` that AI Core or Azure would refuse."""
    tools = body.get("tools") or []
    refused = sorted({str(tool.get("type")) for tool in tools if tool.get("type") != "function"})
    if refused:
        raise gatekeeper(f"The following tools are not allowed for model '{model.name}': {', '.join(refused)}")
    for key in body:
        if key not in _RESPONSES:
            raise azure(f"Unknown parameter: '{key}'.", key, "unknown_parameter")
    if body.get("input") in (None, "", []):
        raise azure("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    short(body.get("user"), _LONGEST_USER, "user")
    if not isinstance(body["input"], str | list):
        raise azure("Invalid type for 'input': expected a string or an array.", "input", "invalid_type")
    _samplers(model, body)
    limit = body.get("max_output_tokens")
    if limit is not None and limit < 16:
        message = (
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got "
            f"{limit} instead."
        )
        raise azure(message, "max_output_tokens", "integer_below_min_value")
    _includes(model, body.get("include") or [])
    _effort(model, (body.get("reasoning") or {}).get("effort"), "reasoning.effort")
    for at, tool in enumerate(tools):
        # GPT-5 takes a choice at the root of a schema here, but not on chat completions.
        function(tool, f"tools[{at}]", choices=model.name.startswith("gpt-5"))
    choice(body.get("tool_choice"), [tool["name"] for tool in tools])
    wanted = (body.get("text") or {}).get("format") or {}
    flat = {"type": wanted.get("type"), "json_schema": wanted}
    form(flat if wanted else {}, "text.format", str(body["input"]))


def _includes(model: Model, includes: list[Any]) -> None:
    """Refuse to put into an answer what nobody knows, or what the model does not have."""
    for at, wanted in enumerate(includes):
        if wanted not in _INCLUDES:
            raise azure(f"Invalid value: '{wanted}'.", f"include[{at}]", "invalid_value")
    if "message.output_text.logprobs" in includes and thinks(model):
        raise azure("logprobs are not supported with reasoning models.", "include", "unsupported_parameter")


def check_items(items: list[Json], known: set[str]) -> None:
    """Refuse input items, the earlier ones of the conversation included, that do not fit together."""
    calls: set[str] = set()
    for at, item in enumerate(items):
        short(item.get("call_id"), _LONGEST_CALL_ID, f"input[{at}].call_id")
        kind = item.get("type", "message")
        if kind not in _ITEMS:
            raise azure(
                f"Invalid value: '{kind}'. Supported values are: {', '.join(_ITEMS)}.", f"input[{at}]", "invalid_value"
            )
        match kind:
            case "message":
                _input_parts(item, at)
            case "function_call":
                named(str(item.get("name", "")), f"input[{at}].name")
                calls.add(item.get("call_id", ""))
            case "function_call_output" if item.get("call_id") not in calls:
                raise azure(f"No tool call found for function call output with call_id {item.get('call_id')}.", "input")
            case "reasoning":
                _reasoning(items, at, known)
            case "item_reference" if item.get("id") not in known:
                raise azure(f"Item with id '{item.get('id')}' not found.", "input", status=404)
            case _:
                pass
    answered = {item.get("call_id") for item in items if item.get("type") == "function_call_output"}
    open_calls = calls - answered
    if open_calls:
        raise azure(f"No tool output found for function call {min(open_calls)}.", "input")


def _reasoning(items: list[Json], at: int, known: set[str]) -> None:
    """Refuse reasoning that is not ours, was not kept, or led to nothing."""
    item = items[at]
    sealed = item.get("encrypted_content")
    if sealed is not None:
        if not signatures.made("openai", str(sealed).removeprefix(ENCRYPTED)):
            message = f"The encrypted content for item {item.get('id')} could not be verified."
            raise azure(message, None, "invalid_encrypted_content")
    elif item.get("id") not in known:
        message = (
            f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to "
            "false. Try again "
            "with `store` set to true, or remove this item from your input."
        )
        raise azure(message, "input", status=404)
    if at == len(items) - 1:
        message = f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item."
        raise azure(message, "input")


def _input_parts(item: Json, at: int) -> None:
    """Refuse a message with parts nobody knows."""
    if item.get("role") not in ("user", "assistant", "system", "developer"):
        raise azure(f"Invalid value: '{item.get('role')}'.", f"input[{at}].role", "invalid_value")
    for place, part in enumerate(content_blocks(item.get("content"), type="input_text")):
        path = f"input[{at}].content[{place}]"
        if part.get("type") not in _INPUT_PARTS:
            raise azure(f"Invalid value: '{part.get('type')}'.", path, "invalid_value")
        said_by_model = part["type"] in ("output_text", "refusal")
        if said_by_model != (item["role"] == "assistant") and not isinstance(item["content"], str):
            raise azure(f"Invalid value: '{part['type']}'.", path, "invalid_value")
        uri = part.get("image_url") or part.get("file_data")
        _uri(uri, path)


def _limits(model: Model, body: Json) -> None:
    """Refuse token limits."""
    if "max_tokens" in body and thinks(model):
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


def _samplers(model: Model, body: Json) -> None:
    """Refuse samplers a reasoning model does not have."""
    if not thinks(model):
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


def _stops(model: Model, stops: Any) -> None:
    """Refuse stop strings: any of a reasoning model, more than four of others."""
    if stops is not None and thinks(model):
        raise azure("Unsupported parameter: 'stop' is not supported with this model.", "stop", "unsupported_parameter")
    if isinstance(stops, list) and len(stops) > _MOST_STOPS:
        message = (
            f"Invalid 'stop': array too long. Expected an array with maximum length {_MOST_STOPS}, but got an array "
            f"with length {len(stops)} instead."
        )
        raise azure(message, "stop", "array_above_max_length")


def _pairs(body: Json) -> None:
    """Refuse what makes sense beside another setting alone."""
    if body.get("stream_options") is not None and not body.get("stream"):
        raise azure("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    if body.get("metadata") is not None and not body.get("store"):
        raise azure("The 'metadata' parameter is only allowed when 'store' is enabled.", "metadata")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise azure("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs")


def _effort(model: Model, effort: Any, param: str) -> None:
    """Refuse an effort the model does not know."""
    allowed = _EFFORTS if model.name in ("gpt-5", "gpt-5-mini") else _NEWER_EFFORTS
    if effort is None:
        return
    if not thinks(model):
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


def _chat_tools(body: Json) -> None:
    """Refuse tools that are no functions, and settings about tools there are none of."""
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
        function(tool["function"], f"tools[{at}].function")
    choice(body.get("tool_choice"), [tool["function"]["name"] for tool in tools or []])


def _messages(body: Json) -> None:
    """Refuse a conversation that is not one."""
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
            short(message.get("tool_call_id"), _LONGEST_CHAT_CALL_ID, f"messages[{at}].tool_call_id")
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
            short(call["id"], _LONGEST_CHAT_CALL_ID, f"messages[{at}].tool_calls[{place}].id")
            if "function" in call:
                named(str(call["function"].get("name", "")), f"messages[{at}].tool_calls[{place}].function.name")
    _settled(pending, len(messages))


def _settled(pending: list[str], at: int) -> None:
    """Refuse to go on while calls have no result."""
    if pending:
        raise azure(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(pending)}",
            f"messages.[{at}].role",
        )


def _parts(message: Json, at: int) -> None:
    """Refuse content a role cannot have."""
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
            _uri(given.get("url") if isinstance(given, dict) else given, path)


def _uri(uri: Any, path: str) -> None:
    """Refuse a data URI that holds no data."""
    if not isinstance(uri, str) or not uri.startswith("data:"):
        return
    found = parse_data_uri(uri)
    if found is None or not decode_base64(found[1]):
        raise azure("Invalid base64 data URI.", path, "invalid_base64")


def _said(messages: list[Json]) -> str:
    """Join everything that was said."""
    return " ".join(str(message.get("content")) for message in messages)
