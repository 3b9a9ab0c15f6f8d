"""Validation of Responses requests.

Each check raises `ErrorResponse` for what AI Core or Azure OpenAI refuses.
"""

from typing import Any

from emulator.body_fields import content_blocks
from emulator.errors import azure, gatekeeper
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
from emulator.openai_responses.response import is_encrypted
from emulator.openai_responses.store import ResponseStore
from emulator.world import Json

_FIELDS = frozenset(
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
_INPUT_PARTS = ("input_text", "input_image", "input_file", "output_text", "refusal")
_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_ITEMS = ("message", *_CALLS, *_OUTPUTS, "reasoning", "compaction", "item_reference")
_COMPACTION_FIELDS = ("model", "input", "instructions", "previous_response_id", "prompt_cache_key", "service_tier")
_LONGEST_CALL_ID = 64


def check(model: Model, body: Json) -> None:
    """Refuse an invalid body of `/responses`."""
    tools = body.get("tools") or []
    refused = sorted({str(tool.get("type")) for tool in tools if tool.get("type") != "function"})
    if refused:
        many = "s are" if len(refused) > 1 else " is"
        named = " and ".join(filter(None, [", ".join(refused[:-1]), refused[-1]]))
        raise gatekeeper(f"The following tool{many} not allowed for model '{model.name}': {named}.")
    for key in body:
        if key not in _FIELDS:
            raise azure(f"Unknown parameter: '{key}'.", key, "unknown_parameter")
    if body.get("input") in (None, "", []):
        raise azure("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    validate_length(body.get("user"), LONGEST_USER, "user")
    if not isinstance(body["input"], str | list):
        raise azure("Invalid type for 'input': expected a string or an array.", "input", "invalid_type")
    validate_samplers(model, body)
    limit = body.get("max_output_tokens")
    if limit is not None and limit < 16:
        message = (
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got "
            f"{limit} instead."
        )
        raise azure(message, "max_output_tokens", "integer_below_min_value")
    _includes(model, body.get("include") or [])
    validate_effort(model, (body.get("reasoning") or {}).get("effort"), "reasoning.effort")
    for at, tool in enumerate(tools):
        # GPT-5 accepts a choice at the root of a schema here, but not on chat completions.
        validate_function(tool, f"tools[{at}]", choices=model.name.startswith("gpt-5"))
    validate_tool_choice(body.get("tool_choice"), [tool["name"] for tool in tools])
    wanted = (body.get("text") or {}).get("format") or {}
    flat = {"type": wanted.get("type"), "json_schema": wanted}
    validate_response_format(flat if wanted else {}, "text.format", str(body["input"]))


def check_compaction(model: Model, body: Json) -> None:
    """Refuse an invalid body of `/responses/compact`."""
    for key in body:
        if key not in _COMPACTION_FIELDS:
            raise azure(f"Unknown parameter: '{key}'.", key, "unknown_parameter")
    check(model, body)


def _includes(model: Model, includes: list[Any]) -> None:
    """Refuse values of `include` that are unknown, or that the model does not support."""
    for at, wanted in enumerate(includes):
        if wanted not in _INCLUDES:
            raise azure(f"Invalid value: '{wanted}'.", f"include[{at}]", "invalid_value")
    if "message.output_text.logprobs" in includes and always_thinks(model):
        raise azure("logprobs are not supported with reasoning models.", "include", "unsupported_parameter")


def check_items(items: list[Json], store: ResponseStore, deployment: str) -> None:
    """Refuse input items that do not fit together, including those of earlier turns."""
    calls: set[tuple[int, str]] = set()
    known, behind = store.item_ids(), store.reasoning_behind()
    given = {item.get("id") for item in items}
    for at, item in enumerate(items):
        validate_length(item.get("call_id"), _LONGEST_CALL_ID, f"input[{at}].call_id")
        kind = item.get("type", "message")
        if (needed := behind.get(str(item.get("id")))) and needed not in given and kind != "item_reference":
            message = (
                f"Item '{item['id']}' of type '{kind}' was provided without its required 'reasoning' item: '{needed}'."
            )
            raise azure(message, "input")
        if kind not in _ITEMS:
            raise azure(
                f"Invalid value: '{kind}'. Supported values are: {', '.join(_ITEMS)}.", f"input[{at}]", "invalid_value"
            )
        match kind:
            case "message":
                _input_parts(item, at)
            case _ if kind in _CALLS:
                validate_name(str(item.get("name", "")), f"input[{at}].name")
                calls.add((_CALLS.index(kind), item.get("call_id", "")))
            case _ if kind in _OUTPUTS and (_OUTPUTS.index(kind), item.get("call_id")) not in calls:
                called = kind.removesuffix("_output").replace("_", " ")
                raise azure(f"No tool call found for {called} output with call_id {item.get('call_id')}.", "input")
            case "reasoning":
                _reasoning(items, at, known, deployment)
            case "compaction":
                _encrypted(item, deployment)
            case "item_reference" if item.get("id") not in known:
                raise azure(f"Item with id '{item.get('id')}' not found.", "input", status=404)
            case _:
                pass
    _answered(items, calls)


def _answered(items: list[Json], calls: set[tuple[int, str]]) -> None:
    """Refuse calls without an output."""
    kinds = {kind: place for place, kind in enumerate(_OUTPUTS)}
    answered = {(kinds[item["type"]], item.get("call_id")) for item in items if item.get("type") in kinds}
    open_calls = calls - answered
    if open_calls:
        place, call = min(open_calls)
        raise azure(f"No tool output found for {_CALLS[place].replace('_', ' ')} {call}.", "input")


def _reasoning(items: list[Json], at: int, known: set[str], deployment: str) -> None:
    """Refuse reasoning that the deployment neither encrypted nor stored, or that no item follows."""
    item = items[at]
    if item.get("encrypted_content") is not None:
        _encrypted(item, deployment)
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


def _encrypted(item: Json, deployment: str) -> None:
    """Refuse encrypted content that another deployment made."""
    if not is_encrypted(deployment, item.get("encrypted_content")):
        message = f"The encrypted content for item {item.get('id')} could not be verified."
        raise azure(message, None, "invalid_encrypted_content")


def _input_parts(item: Json, at: int) -> None:
    """Refuse a message with an invalid role or unknown parts."""
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
        validate_data_uri(uri, path)
