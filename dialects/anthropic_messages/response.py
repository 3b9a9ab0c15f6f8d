"""Responses and failures in Anthropic messages, parsed and rendered.

https://docs.claude.com/en/api/messages and .../errors
"""

from dialects.adapt.claude_tools import JSON_TOOL, settled
from dialects.adapt.signatures import pack
from dialects.adapt.unasked_thinking import UnaskedThinking, asks_to_think
from dialects.anthropic_messages.vocabulary import DIALECT, STOP_OUT, parse_stop, parse_usage, render_usage
from dialects.core.context_overflow import anthropics_words
from dialects.core.conversation import (
    JSON,
    NO_USAGE,
    Citation,
    Completion,
    Family,
    Media,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    WebSearch,
)
from dialects.core.events import fold, unfold
from dialects.core.faults import Fault, FaultKind
from dialects.framing.json_text import dumps, object_around, object_from
from dialects.interface import Envelope

_ERROR = {
    FaultKind.INVALID_REQUEST: "invalid_request_error",
    FaultKind.CONTENT_FILTERED: "invalid_request_error",
    FaultKind.CONTEXT_LENGTH_EXCEEDED: "invalid_request_error",
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
    """Parse a whole response."""
    outcome = parse_outcome(body)
    return Completion(
        id=str(body.get("id") or f"msg_{token}"),
        model=str(body.get("model") or ""),
        parts=tuple(map(_part, body["content"])),
        stop=outcome.stop,
        usage=outcome.usage,
    )


def parse_outcome(body: JSON) -> Completion:
    """Parse only the stop reason and the usage of a whole response."""
    blocks = body["content"]
    if not isinstance(blocks, list):
        raise TypeError("an answer without content")
    stop = settled(parse_stop(body), any(map(_is_call, blocks)))
    return Completion(stop=stop, usage=parse_usage(body.get("usage") or {}, NO_USAGE))


def render_response(completion: Completion, envelope: Envelope) -> JSON:
    """Render a whole response. It has the same content as its stream."""
    thinks = any(isinstance(part, Thinking) for part in completion.parts)
    if thinks and not asks_to_think(envelope.conversation):
        completion = fold(UnaskedThinking().rewritten(unfold(completion)))
    return {
        "id": f"msg_{envelope.token}",
        "type": "message",
        "role": "assistant",
        "model": envelope.model,
        "content": [*filter(None, map(render_block, completion.parts)), *render_search(completion.search, envelope)],
        "stop_reason": STOP_OUT[completion.stop.reason],
        "stop_sequence": completion.stop.sequence or None,
        "usage": render_usage(completion.usage, completion.search),
    }


def render_fault(fault: Fault) -> JSON:
    """Render a failure, as the body of an HTTP error or of an ``error`` event."""
    message = anthropics_words(fault) if fault.kind is FaultKind.CONTEXT_LENGTH_EXCEEDED else fault.message
    return {"type": "error", "error": {"type": _ERROR[fault.kind], "message": message}}


def render_token_count(count: int) -> JSON:
    """Render the response of ``/v1/messages/count_tokens``."""
    return {"input_tokens": count}


def _is_call(block: JSON) -> bool:
    """Return whether a block calls a tool of the client."""
    match block:
        case {"type": "tool_use", "id": str(), "name": str(name), "input": _}:
            return name != JSON_TOOL
        case _:
            return False


def _part(block: JSON) -> Part:
    """Parse one block of an answer."""
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


def render_block(part: Part) -> JSON | None:
    """Render one part of an answer as a block; return None for a part that this dialect does not have."""
    match part:
        case Text(text, citations=citations) if citations:
            return {"type": "text", "text": text, "citations": [render_citation(citation) for citation in citations]}
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


def render_citation(citation: Citation) -> JSON:
    """Render where a stretch of text comes from. The encrypted fields are empty, as only Anthropic can fill them."""
    source = {"url": citation.source.url, "title": citation.source.title, "encrypted_index": ""}
    return {"type": "web_search_result_location", **source, "cited_text": citation.text}


def render_search(search: WebSearch | None, envelope: Envelope) -> list[JSON]:
    """Render a provider's web search and its results as two blocks: a call and its result."""
    if search is None:
        return []
    call = {"id": f"srvtoolu_{envelope.token}", "name": "web_search", "input": {"query": "; ".join(search.queries)}}
    found = [
        {"type": "web_search_result", "url": each.url, "title": each.title, "encrypted_content": "", "page_age": None}
        for each in search.sources
    ]
    result = {"type": "web_search_tool_result", "tool_use_id": call["id"], "content": found}
    return [{"type": "server_tool_use", **call}, result]


def picture(media: Media) -> str:
    """Render a picture that a model drew as Markdown, because answers in this dialect have no image blocks."""
    return f"![{media.name or media.kind.value}]({media.url or f'data:{media.mime};base64,{media.data}'})"
