"""Items and the response object of OpenAI Responses, which responses and streams share.

Codex groups tools in ``namespace`` tools, which SAP AI Core refuses. Its models see plain functions with the name
``<namespace>__<function>``; calls go back to the client with both names, as it sent them.

https://platform.openai.com/docs/api-reference/responses/object
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from dialects.adapt import tool_names
from dialects.adapt.signatures import REDACTED, pack
from dialects.adapt.tool_choice import names_of
from dialects.adapt.tool_names import fitting_name, is_callable
from dialects.capabilities.models import ODD_IN_NAMES
from dialects.core.context_overflow import openais_words
from dialects.core.conversation import (
    JSON,
    Citation,
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
    ToolForm,
    ToolMode,
    ToolResult,
    ToolSpec,
    Usage,
    WebSearch,
)
from dialects.core.faults import Fault, FaultKind
from dialects.interface import Envelope
from dialects.openai_common.tool_forms import input_text, search_arguments
from dialects.openai_common.vocabulary import CHOICE, RESPONSES, stop_for, url_citation

DIALECT = RESPONSES
MINTED_ID = re.compile(r"\A[a-z]++_.+_[0-9]++\Z")
"""The ids that `render_item` gives to items of other vendors' models. They end in a number, unlike OpenAI's."""
MEDIA_ROLES = frozenset({Role.USER, Role.SYSTEM})
"""The roles whose turns can hold media."""
_INCOMPLETE = {
    StopReason.LENGTH: "max_output_tokens",
    StopReason.CONTEXT_FULL: "max_output_tokens",
    StopReason.FILTERED: "content_filter",
}
_STOP = {"max_output_tokens": StopReason.LENGTH, "content_filter": StopReason.FILTERED}
_LONGEST_ID = 64
_CALL_ID = {ToolForm.FUNCTION: "fc", ToolForm.CUSTOM: "ctc", ToolForm.SEARCH: "tsc"}
_ERROR_CODE = {
    FaultKind.RATE_LIMITED: "rate_limit_exceeded",
    FaultKind.INVALID_REQUEST: "invalid_prompt",
    FaultKind.CONTENT_FILTERED: "invalid_prompt",
    # OpenAI sends this code, though its published list lacks it. Codex recognises a context overflow only by it.
    FaultKind.CONTEXT_LENGTH_EXCEEDED: "context_length_exceeded",
    FaultKind.TOO_LARGE: "invalid_prompt",
    FaultKind.REQUEST_FORBIDDEN: "invalid_prompt",
    FaultKind.RESOURCE_NOT_FOUND: "invalid_prompt",
}


def accepted_call_id(id: str) -> str:
    """Return a call's id in a form that OpenAI accepts."""
    return tool_names.call_id(id, _LONGEST_ID)


def response_id(envelope: Envelope) -> str:
    """Return the id of a response."""
    return f"resp_{envelope.token}"


def render_item(part: Part, index: int, envelope: Envelope, tools: "ToolsDeclared") -> JSON | None:
    """Render one part as a complete item of the output; return None for a part that this dialect does not have."""
    tail = f"{envelope.token}_{index}"
    match part:
        case Text(text, _, logprobs, citations):
            cited = [render_citation(citation) for citation in citations]
            said = {"type": "output_text", "text": text, "annotations": cited, "logprobs": list(logprobs)}
            return _message(tail, said)
        case Refusal(text):
            return _message(tail, {"type": "refusal", "refusal": text})
        case Thinking(text):
            summary = [{"type": "summary_text", "text": text}] if text else []
            signed = {"encrypted_content": packed} if (packed := _packed(part)) else {}
            return {"id": f"rs_{tail}", "type": "reasoning", "summary": summary, **signed}
        case ToolCall(call_id, _, arguments):
            prefix = _CALL_ID[tools.form(part.name)]
            call = {"id": f"{prefix}_{tail}", "type": "function_call", "status": "completed", "call_id": call_id}
            item = as_declared({**call, "name": part.name, "arguments": arguments or "{}"}, tools)
            given = {"arguments": item.pop("arguments")} if "arguments" in item else {}
            return {**item, **given}
        case Media(data=data) if data:
            return {"id": f"ig_{tail}", "type": "image_generation_call", "status": "completed", "result": data}
        case Media() | Opaque() | ToolResult():
            return None


def render_citation(citation: Citation) -> JSON:
    """Render where a stretch of a text comes from."""
    return {"type": "url_citation", **url_citation(citation)}


def render_search(search: WebSearch, index: int, envelope: Envelope) -> JSON:
    """Render a web search with its results as a complete item of the output."""
    sources = [{"type": "url", "url": source.url} for source in search.sources]
    said = {"query": search.queries[0] if search.queries else "", "queries": list(search.queries)}
    action = {"type": "search", **said, "sources": sources}
    return {"id": f"ws_{envelope.token}_{index}", "type": "web_search_call", "status": "completed", "action": action}


_EMPTY: Mapping[str, JSON] = {
    "message": {"status": "in_progress", "content": []},
    "reasoning": {"summary": []},
    "function_call": {"status": "in_progress", "arguments": ""},
    "custom_tool_call": {"status": "in_progress", "input": ""},
    "tool_search_call": {"status": "in_progress", "arguments": {}},
    "image_generation_call": {"status": "in_progress", "result": None},
    "web_search_call": {"status": "in_progress"},
}


def begun(item: JSON) -> JSON:
    """Render an item that has only just begun."""
    return {**item, **_EMPTY[item["type"]]}


def _message(tail: str, content: JSON) -> JSON:
    return {"id": f"msg_{tail}", "type": "message", "status": "completed", "role": "assistant", "content": [content]}


def _packed(part: Thinking) -> str:
    if part.redacted:
        return pack(REDACTED + part.redacted, part.family or Family.CLAUDE, Family.OPENAI)
    return pack(part.signature, part.family, Family.OPENAI) if part.signature else ""


def namespaces_of(conversation: Conversation) -> Mapping[str, tuple[str, str]]:
    """Return the namespace and the tool behind each flat name."""
    return namespaces(tool.payload for tool in conversation.other_tools)


class ToolsDeclared:
    """The tools in the form that the client declared them, by the names of the functions that models see."""

    def __init__(self, conversation: Conversation) -> None:
        self.namespaces = namespaces_of(conversation)
        self.forms = conversation.forms

    def form(self, name: str) -> ToolForm:
        """Return the form of the tool that models call *name*."""
        return self.forms.get(name, ToolForm.FUNCTION)


def as_declared(call: JSON, tools: ToolsDeclared) -> JSON:
    """Render a complete call of a function as a call of the tool that the client declared."""
    name = call["name"]
    space, own = tools.namespaces.get(name, ("", name))
    head = {key: value for key, value in call.items() if key not in ("type", "name", "arguments")}
    named = {"name": own, **({"namespace": space} if space else {})}
    arguments = str(call.get("arguments") or "")
    match tools.form(name):
        case ToolForm.FUNCTION:
            return {**call, **named}
        case ToolForm.CUSTOM:
            return {**head, "type": "custom_tool_call", **named, "input": input_text(arguments)}
        case ToolForm.SEARCH:
            searched = {"execution": "client", "arguments": search_arguments(arguments)}
            return {**head, "type": "tool_search_call", **searched}


def parse_stop(response: Mapping[str, Any], calls: bool) -> Stop:
    """Parse why the model stopped. *calls* tells whether it called a tool."""
    status = response.get("status")
    match response.get("incomplete_details"):
        case {"reason": str(reason)}:
            return Stop(_STOP.get(reason, StopReason.LENGTH), reason)
        case _ if status == "incomplete":
            return Stop(StopReason.LENGTH, "incomplete")
        case _:
            return stop_for(Stop(StopReason.END, str(status or "")), calls)


def render_usage(usage: Usage) -> JSON:
    """Render the token counts. The input includes cached tokens, and the output includes thinking."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def render_error(fault: Fault) -> JSON:
    """Render a failure inside a response object, which has only a few error codes."""
    message = openais_words(fault) if fault.kind is FaultKind.CONTEXT_LENGTH_EXCEEDED else fault.message
    return {"code": _ERROR_CODE.get(fault.kind, "server_error"), "message": message}


def unfinished(envelope: Envelope, status: str, output: list[JSON]) -> JSON:
    """Render the response object of an answer that is not finished or has failed."""
    return _response(envelope, status, output)


def finished(envelope: Envelope, output: list[JSON], stop: Stop, usage: Usage) -> JSON:
    """Render the response object of a finished answer."""
    reason = _INCOMPLETE.get(stop.reason)
    response = _response(envelope, "incomplete" if reason else "completed", output)
    response["incomplete_details"] = {"reason": reason} if reason else None
    response["usage"] = render_usage(usage)
    return response


def _response(envelope: Envelope, status: str, output: list[JSON]) -> JSON:
    """Render all fields of a response object, which repeats the request's settings."""
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
        **render_declarations(asked),
        "top_logprobs": extra.get("top_logprobs"),
        "top_p": asked.sampling.top_p,
        "truncation": extra.get("truncation", "disabled"),
        "usage": None,
        "user": asked.user or None,
    }


def render_declarations(asked: Conversation) -> JSON:
    """Render the tools and the tool choice as the client sent them."""
    return {"tool_choice": _tool_choice(asked), "tools": _tools(asked)}


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
    if any(choice.name in names_of(tool) for tool in asked.other_tools):
        return {"type": choice.name}
    space, name = namespaces_of(asked).get(choice.name, ("", choice.name))
    kind = asked.forms.get(choice.name, ToolForm.FUNCTION).value
    return {"type": kind, "name": name, **({"namespace": space} if space else {})}


def _tools(asked: Conversation) -> list[JSON]:
    grouped = namespaces_of(asked)
    return [
        _declared(tool) if isinstance(tool, ToolSpec) else tool.payload
        for tool in asked.tools
        if isinstance(tool, Opaque) or tool.name not in grouped
    ]


def _declared(tool: ToolSpec) -> JSON:
    if tool.declared is not None:
        return dict(tool.declared)
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description or None,
        "parameters": dict(tool.parameters),
        "strict": tool.strict is not False,
    }


def flat(namespace: str, name: str) -> str:
    """Return the flat name of a tool in a namespace, in a form that OpenAI accepts."""
    if not namespace:
        return name
    return fitting_name(f"{namespace}__{name}", ODD_IN_NAMES)


def namespaces(tools: Iterable[Any]) -> Mapping[str, tuple[str, str]]:
    """Return the namespace and the tool behind each flat name, from *tools* as the client sent them."""
    found: dict[str, tuple[str, str]] = {}
    for tool in tools:
        match tool:
            case {"type": "namespace", "name": str(namespace), "tools": [*members]}:
                names = [member["name"] for member in members if is_callable(member)]
                found |= {flat(namespace, name): (namespace, name) for name in names}
            case _:
                pass
    return found


DECLARING = ("additional_tools", "tool_search_output")
"""The types of items that declare tools for the rest of the conversation."""

_Tool = TypeVar("_Tool")


def with_found(tools: Sequence[_Tool], found: Iterable[_Tool], name_of: Callable[[_Tool], str]) -> list[_Tool]:
    """Add tools that items declare to those of the request. A tool that is declared again replaces the earlier one."""
    declared = list(tools)
    places = {name_of(tool): place for place, tool in enumerate(declared) if name_of(tool)}
    for tool in found:
        name = name_of(tool)
        if name in places:
            declared[places[name]] = tool
        else:
            places |= {name: len(declared)} if name else {}
            declared.append(tool)
    return declared


def found_by_search(item: Mapping[str, Any]) -> str:
    """Return a sentence that lists the tools a search has found, by the names under which they are declared."""
    found = [tool for tool in item.get("tools") or [] if isinstance(tool, dict)]
    alone = [tool["name"] for tool in found if is_callable(tool)]
    names = [*alone, *namespaces(found)]
    return f"These tools were found, and can be called now: {', '.join(names)}" if names else "No tools were found."
