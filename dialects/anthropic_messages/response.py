"""Whole answers and failures, read and written in Anthropic's words.

https://docs.claude.com/en/api/messages and .../errors
"""

from typing import Any

from dialects.adapt.claude_tools import JSON_TOOL, settled
from dialects.adapt.signatures import pack
from dialects.anthropic_messages.request_parser import DIALECT
from dialects.core.conversation import (
    JSON,
    Completion,
    Family,
    Media,
    Opaque,
    Part,
    Refusal,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from dialects.core.faults import Fault, FaultKind
from dialects.framing.json_text import dumps, object_around, object_from
from dialects.interface import Envelope

STOP_OUT = {
    StopReason.END: "end_turn",
    StopReason.LENGTH: "max_tokens",
    StopReason.CONTEXT_FULL: "model_context_window_exceeded",
    StopReason.TOOL_USE: "tool_use",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.FILTERED: "refusal",
    StopReason.PAUSED: "pause_turn",
}
_STOP_IN = {word: reason for reason, word in STOP_OUT.items()}
_ERROR = {
    FaultKind.INVALID_REQUEST: "invalid_request_error",
    FaultKind.CONTENT_FILTERED: "invalid_request_error",
    FaultKind.TOO_LARGE: "request_too_large",
    FaultKind.NOT_FOUND: "not_found_error",
    FaultKind.UNAUTHENTICATED: "authentication_error",
    FaultKind.CALLER_LEFT: "api_error",
    FaultKind.RATE_LIMITED: "rate_limit_error",
    FaultKind.OVERLOADED: "overloaded_error",
    FaultKind.SERVER_ERROR: "api_error",
    FaultKind.TIMEOUT: "timeout_error",
    FaultKind.UNREACHABLE: "api_error",
    FaultKind.STREAM_BROKEN: "api_error",
    FaultKind.REFUSED_CREDENTIALS: "api_error",
    FaultKind.NO_TOKEN: "overloaded_error",
    FaultKind.DEPLOYMENT_FORBIDDEN: "api_error",
    FaultKind.REQUEST_FORBIDDEN: "permission_error",
    FaultKind.RESOURCE_NOT_FOUND: "not_found_error",
    FaultKind.GONE: "api_error",
    FaultKind.UNAVAILABLE: "overloaded_error",
    FaultKind.DEFECT: "api_error",
    FaultKind.OTHER: "api_error",
}


def parse_response(body: JSON, token: str) -> Completion:
    """Understand a whole answer."""
    parts = tuple(_part(block) for block in body["content"])
    return Completion(
        id=str(body.get("id") or f"msg_{token}"),
        model=str(body.get("model") or ""),
        parts=parts,
        stop=settled(stop_from(body), parts),
        usage=usage_from(body.get("usage") or {}, Usage()),
    )


def render_response(completion: Completion, envelope: Envelope) -> JSON:
    """Say a whole answer."""
    return {
        "id": f"msg_{envelope.token}",
        "type": "message",
        "role": "assistant",
        "model": envelope.model,
        "content": [block for part in completion.parts if (block := block_for(part))],
        "stop_reason": STOP_OUT[completion.stop.reason],
        "stop_sequence": completion.stop.sequence or None,
        "usage": usage_for(completion.usage),
    }


def render_fault(fault: Fault) -> JSON:
    """Say a failure, as the body of an HTTP error or of an ``error`` event."""
    return {"type": "error", "error": {"type": _ERROR[fault.kind], "message": fault.message}}


def render_token_count(count: int) -> JSON:
    """Answer ``/v1/messages/count_tokens``."""
    return {"input_tokens": count}


def stop_from(said: JSON) -> Stop:
    """Understand why the model stopped: a message and a ``message_delta`` say it alike."""
    raw = str(said.get("stop_reason") or "")
    return Stop(_STOP_IN.get(raw, StopReason.END), raw, str(said.get("stop_sequence") or ""))


def usage_from(said: JSON, before: Usage) -> Usage:
    """Count tokens; a stream says the later numbers beside, or instead of, the earlier ones."""
    by_life = said.get("cache_creation") or {}
    details = said.get("output_tokens_details") or {}
    return Usage(
        fresh_input=_count(said, "input_tokens", before.fresh_input),
        cache_read=_count(said, "cache_read_input_tokens", before.cache_read),
        cache_write=_count(said, "cache_creation_input_tokens", before.cache_write),
        output=_count(said, "output_tokens", before.output),
        reasoning=_count(details, "thinking_tokens", before.reasoning),
        cache_write_1h=_count(by_life, "ephemeral_1h_input_tokens", before.cache_write_1h),
    )


def usage_for(usage: Usage) -> JSON:
    """Write a count of tokens, all of it: clients read the last they see."""
    by_life = {
        "ephemeral_5m_input_tokens": usage.cache_write - usage.cache_write_1h,
        "ephemeral_1h_input_tokens": usage.cache_write_1h,
    }
    counted: JSON = {
        "input_tokens": usage.fresh_input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": by_life,
        "output_tokens": usage.output,
    }
    if usage.reasoning:
        counted["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return counted


def _count(said: Any, name: str, otherwise: int) -> int:
    value = said.get(name)
    return otherwise if value is None else max(0, int(value))


def _part(block: JSON) -> Part:
    """Understand one block of an answer."""
    match block:
        case {"type": "text", "text": str(text)}:
            return Text(text)
        case {"type": "thinking", "thinking": str(text)}:
            return Thinking(text, str(block.get("signature") or ""), family=Family.CLAUDE)
        case {"type": "redacted_thinking", "data": str(data)}:
            return Thinking(redacted=data, family=Family.CLAUDE)
        case {"type": "tool_use", "name": name, "input": arguments} if name == JSON_TOOL:
            return Text(dumps(arguments))
        case {"type": "tool_use", "id": str(id), "name": str(name), "input": arguments}:
            return ToolCall(id, name, dumps(arguments))
        case _:
            return Opaque(DIALECT, dict(block))


def block_for(part: Part) -> JSON | None:
    """Write one part of an answer as a block; None for what this dialect has no word for."""
    match part:
        case Text(text) | Refusal(text):
            return {"type": "text", "text": text}
        case Thinking(_, _, redacted, family) if redacted:
            return {"type": "redacted_thinking", "data": pack(redacted, family, Family.CLAUDE)}
        case Thinking(text, signature, _, family):
            return {"type": "thinking", "thinking": text, "signature": pack(signature, family, Family.CLAUDE)}
        case ToolCall(id, name, arguments):
            loaded = object_from(arguments)
            said = object_around(arguments) if loaded is None else loaded
            return {"type": "tool_use", "id": id, "name": name, "input": said}
        case Media():
            return {"type": "text", "text": picture(part)}
        case Opaque(dialect, payload):
            return payload if dialect == DIALECT else None
        case ToolResult():
            return None


def picture(media: Media) -> str:
    """Show what a model drew: in this dialect an answer has only text for it, so Markdown must do."""
    return f"![{media.name or media.kind.value}]({media.url or f'data:{media.mime};base64,{media.data}'})"
