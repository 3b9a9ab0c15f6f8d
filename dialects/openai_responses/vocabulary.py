"""OpenAI Responses: items and the response object, which responses and streams share.

Codex groups functions in ``namespace`` tools, which SAP AI Core refuses: its
models are shown plain functions called ``<namespace>__<function>``, and calls
go back to the client under both names, as it sent them.
https://platform.openai.com/docs/api-reference/responses/object
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dialects.adapt import tool_names
from dialects.adapt.signatures import REDACTED, pack
from dialects.adapt.tool_names import fitting_name, is_function
from dialects.capabilities.models import ODD_IN_NAMES
from dialects.core.context_overflow import openais_words
from dialects.core.conversation import (
    JSON,
    Conversation,
    Family,
    Media,
    Opaque,
    OutputFormat,
    Part,
    Refusal,
    Role,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolMode,
    ToolResult,
    ToolSpec,
    Usage,
)
from dialects.core.faults import Fault, FaultKind
from dialects.interface import Envelope
from dialects.openai_common.vocabulary import CHOICE, RESPONSES, stop_for

DIALECT = RESPONSES
MINTED_ID = re.compile(r"\A[a-z]++_.+_[0-9]++\Z")
"""The id of an item that another vendor's model made: `render_item` ends it in a number, as OpenAI ends none."""
MEDIA_ROLES = frozenset({Role.USER, Role.SYSTEM})
"""Whose turns can hold media."""
_INCOMPLETE = {
    StopReason.LENGTH: "max_output_tokens",
    StopReason.CONTEXT_FULL: "max_output_tokens",
    StopReason.FILTERED: "content_filter",
}
_STOP = {"max_output_tokens": StopReason.LENGTH, "content_filter": StopReason.FILTERED}
_LONGEST_ID = 64
_ERROR_CODE = {
    FaultKind.RATE_LIMITED: "rate_limit_exceeded",
    FaultKind.INVALID_REQUEST: "invalid_prompt",
    FaultKind.CONTENT_FILTERED: "invalid_prompt",
    # What OpenAI itself writes here, though its published list lacks it; Codex knows an overflow by it alone.
    FaultKind.CONTEXT_LENGTH_EXCEEDED: "context_length_exceeded",
    FaultKind.TOO_LARGE: "invalid_prompt",
    FaultKind.REQUEST_FORBIDDEN: "invalid_prompt",
    FaultKind.RESOURCE_NOT_FOUND: "invalid_prompt",
}


def accepted_call_id(id: str) -> str:
    """Write a call's id as OpenAI takes it."""
    return tool_names.call_id(id, _LONGEST_ID)


def response_id(envelope: Envelope) -> str:
    """Mint the id of an answer."""
    return f"resp_{envelope.token}"


def render_item(part: Part, index: int, envelope: Envelope) -> JSON | None:
    """Render one part as a complete item of the output; None for what this dialect does not have."""
    tail = f"{envelope.token}_{index}"
    match part:
        case Text(text, _, logprobs):
            said = {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}
            return _message(tail, said)
        case Refusal(text):
            return _message(tail, {"type": "refusal", "refusal": text})
        case Thinking(text):
            summary = [{"type": "summary_text", "text": text}] if text else []
            signed = {"encrypted_content": packed} if (packed := _packed(part)) else {}
            return {"id": f"rs_{tail}", "type": "reasoning", "summary": summary, **signed}
        case ToolCall(call_id, name, arguments):
            space, own = namespaces_of(envelope.conversation).get(name, ("", name))
            grouped = {"namespace": space} if space else {}
            return {
                "id": f"fc_{tail}",
                "type": "function_call",
                "status": "completed",
                "call_id": call_id,
                "name": own,
                **grouped,
                "arguments": arguments or "{}",
            }
        case Media(data=data) if data:
            return {"id": f"ig_{tail}", "type": "image_generation_call", "status": "completed", "result": data}
        case Media() | Opaque() | ToolResult():
            return None


def _message(tail: str, content: JSON) -> JSON:
    return {"id": f"msg_{tail}", "type": "message", "status": "completed", "role": "assistant", "content": [content]}


def _packed(part: Thinking) -> str:
    if part.redacted:
        return pack(REDACTED + part.redacted, part.family or Family.CLAUDE, Family.OPENAI)
    return pack(part.signature, part.family, Family.OPENAI) if part.signature else ""


def namespaces_of(conversation: Conversation) -> Mapping[str, tuple[str, str]]:
    """Map flat names to the functions of namespaces that they stand for."""
    return namespaces(tool.payload for tool in conversation.tools if isinstance(tool, Opaque))


def parse_stop(response: Mapping[str, Any], calls: bool) -> Stop:
    """Parse why the model stopped."""
    status = response.get("status")
    match response.get("incomplete_details"):
        case {"reason": str(reason)}:
            return Stop(_STOP.get(reason, StopReason.LENGTH), reason)
        case _ if status == "incomplete":
            return Stop(StopReason.LENGTH, "incomplete")
        case _:
            return stop_for(Stop(StopReason.END, str(status or "")), calls)


def render_usage(usage: Usage) -> JSON:
    """Render what the response cost: the input includes what came from a cache, the output the thinking."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def render_error(fault: Fault) -> JSON:
    """Render a failure inside a response object, whose codes are few."""
    message = openais_words(fault) if fault.kind is FaultKind.CONTEXT_LENGTH_EXCEEDED else fault.message
    return {"code": _ERROR_CODE.get(fault.kind, "server_error"), "message": message}


def unfinished(envelope: Envelope, status: str, output: list[JSON]) -> JSON:
    """Render the response object of an answer that is not finished, or never will be."""
    return _response(envelope, status, output)


def finished(envelope: Envelope, output: list[JSON], stop: Stop, usage: Usage) -> JSON:
    """Render the response object of a finished answer."""
    reason = _INCOMPLETE.get(stop.reason)
    response = _response(envelope, "incomplete" if reason else "completed", output)
    response["incomplete_details"] = {"reason": reason} if reason else None
    response["usage"] = render_usage(usage)
    return response


def _response(envelope: Envelope, status: str, output: list[JSON]) -> JSON:
    """Render everything a response object must hold: the request is repeated in it."""
    asked, extra = envelope.conversation, envelope.conversation.extra
    return {
        "id": response_id(envelope),
        "object": "response",
        "created_at": envelope.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": "\n\n".join(text.text for text in asked.system) or None,
        "max_output_tokens": asked.sampling.max_tokens,
        "max_tool_calls": extra.get("max_tool_calls"),
        "metadata": extra.get("metadata") or {},
        "model": envelope.model,
        "output": output,
        "parallel_tool_calls": asked.tool_choice is None or asked.tool_choice.parallel is not False,
        "previous_response_id": None,
        "prompt_cache_key": asked.cache_key or None,
        "reasoning": _reasoning(asked),
        "safety_identifier": extra.get("safety_identifier"),
        "service_tier": "default",
        "store": False,
        "temperature": asked.sampling.temperature,
        "text": {**_nested(extra.get("text")), "format": _format(asked.output)},
        "tool_choice": _tool_choice(asked),
        "tools": _tools(asked),
        "top_logprobs": extra.get("top_logprobs"),
        "top_p": asked.sampling.top_p,
        "truncation": extra.get("truncation", "disabled"),
        "usage": None,
        "user": asked.user or None,
    }


def _nested(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def _reasoning(asked: Conversation) -> JSON:
    reasoning = asked.reasoning
    effort = reasoning.effort.value if reasoning and reasoning.effort else None
    return {"effort": effort, "summary": reasoning.summary or None if reasoning else None}


def _format(output: OutputFormat | None) -> JSON:
    if output is None:
        return {"type": "text"}
    if output.schema is None:
        return {"type": "json_object"}
    said = {"type": "json_schema", "name": output.name, "schema": dict(output.schema)}
    return {**said, "description": output.description or None, "strict": bool(output.strict)}


def _tool_choice(asked: Conversation) -> Any:
    choice = asked.tool_choice
    if choice is None:
        return "auto"
    if choice.mode is not ToolMode.NAMED:
        return CHOICE[choice.mode]
    space, name = namespaces_of(asked).get(choice.name, ("", choice.name))
    return {"type": "function", "name": name, **({"namespace": space} if space else {})}


def _tools(asked: Conversation) -> list[JSON]:
    grouped = namespaces_of(asked)
    return [
        _function(tool) if isinstance(tool, ToolSpec) else tool.payload
        for tool in asked.tools
        if isinstance(tool, Opaque) or tool.name not in grouped
    ]


def _function(tool: ToolSpec) -> JSON:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description or None,
        "parameters": dict(tool.parameters),
        "strict": tool.strict is not False,
    }


def flat(namespace: str, name: str) -> str:
    """Name a function of a namespace as OpenAI takes it."""
    if not namespace:
        return name
    return fitting_name(f"{namespace}__{name}", ODD_IN_NAMES)


def namespaces(tools: Iterable[Any]) -> Mapping[str, tuple[str, str]]:
    """Map each flat name to its namespace and function, from tools as the client sent them."""
    found: dict[str, tuple[str, str]] = {}
    for tool in tools:
        match tool:
            case {"type": "namespace", "name": str(namespace), "tools": [*members]}:
                names = [member["name"] for member in members if is_function(member)]
                found |= {flat(namespace, name): (namespace, name) for name in names}
            case _:
                pass
    return found
