"""What deployments refuse in an OpenAI Responses request: tools other than functions, lengths, parts to include."""

from collections.abc import Iterator
from typing import Any

from dialects.adapt.field_reader import FieldReader
from dialects.adapt.tool_choice import cannot_call, nothing_to_call
from dialects.adapt.tool_names import is_callable, lost_with
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, Opaque
from dialects.core.faults import invalid
from dialects.openai_common.tool_forms import custom_spec, search_spec
from dialects.openai_common.vocabulary import RESPONSES
from dialects.openai_responses.request_renderer import length_for, render_function
from dialects.openai_responses.vocabulary import DECLARING, flat, with_found

_INCLUDED = frozenset({"reasoning.encrypted_content", "message.input_image.image_url", "message.output_text.logprobs"})


def _declared_by_items(items: Any) -> Iterator[JSON]:
    for item in items if isinstance(items, list) else []:
        match item:
            case {"type": kind, "tools": [*tools]} if kind in DECLARING:
                yield from (tool for tool in tools if isinstance(tool, dict))


def _function(tool: JSON, name: str) -> JSON:
    """Declare a function. A custom tool is declared as one."""
    if tool.get("type") != "custom":
        return {**tool, "type": "function", "name": name}
    return render_function(custom_spec(FieldReader(tool, "tools"), name, None, tool))


def _choice(body: JSON, choice: JSON) -> None:
    match choice:
        case {"type": "function" | "custom", "name": str(name)}:
            space = choice.get("namespace")
            body["tool_choice"] = {"type": "function", "name": flat(space if isinstance(space, str) else "", name)}
        case {"type": "allowed_tools", "tools": [*tools]}:
            body["tool_choice"] = {**choice, "tools": [_allowed(tool) for tool in tools]}
        case {"type": "function" | "allowed_tools"}:
            pass
        case _:
            raise cannot_call(str(choice.get("type")), str(body["model"]), is_declared=True)


def _allowed(tool: Any) -> Any:
    match tool:
        case {"type": "custom"}:
            return {**tool, "type": "function"}
        case _:
            return tool


def declare_functions(body: JSON, items: Any, dropped: set[str]) -> None:
    """Declare the tools of *body*, and those in *items* of its input, as functions; report lost ones as dropped.

    Raises `FaultError` if the tool choice demands a tool that is lost.
    """
    tools, found = body.get("tools"), [*_declared_by_items(items)]
    if tools is None and not found:
        return
    tools = [] if tools is None else tools
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise invalid("tools must be a list of objects", "tools")
    kept = [function for tool in tools for function in _functions(tool, dropped)]
    more = [function for tool in found for function in _functions(tool, dropped)]
    kept = with_found(kept, more, lambda tool: str(tool.get("name") or ""))
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        _choice(body, choice)
    lost = [Opaque(RESPONSES, tool) for tool in [*tools, *found] if not _functions(tool, set())]
    if choice == "required" and lost and not kept:
        raise nothing_to_call(lost, str(body["model"]))
    if kept:
        body["tools"] = kept
        return
    for name in ("tools", "tool_choice", "parallel_tool_calls"):
        body.pop(name, None)


def _functions(tool: JSON, dropped: set[str]) -> list[JSON]:
    match tool:
        case {"type": "function"}:
            return [tool]
        case {"type": "namespace", "name": str(space), "tools": [*members]}:
            functions = [_function(member, flat(space, member["name"])) for member in members if is_callable(member)]
        case {"type": "custom", "name": str(name)}:
            return [_function(tool, name)]
        case {"type": "tool_search", "execution": "client"}:
            return [render_function(search_spec(FieldReader(tool, "tools"), tool))]
        case _:
            functions = []
    dropped |= lost_with(Opaque(RESPONSES, tool))
    return functions


def fit_length(body: JSON, profile: ModelProfile, dropped: set[str]) -> None:
    """Limit the requested length of the answer to what the model accepts."""
    length = body.get("max_output_tokens")
    if length is None:
        return
    if isinstance(length, bool) or not isinstance(length, int):
        raise invalid("max_output_tokens must be a whole number", "max_output_tokens")
    body["max_output_tokens"] = length_for(length, profile, dropped)


def keep_known_includes(body: JSON, dropped: set[str]) -> None:
    """Remove the parts from ``include`` that only OpenAI's own tools produce; report them as dropped."""
    asked = body.get("include")
    if asked is None:
        return
    if not isinstance(asked, list) or not all(isinstance(name, str) for name in asked):
        raise invalid("include must be a list of strings", "include")
    dropped |= set(asked) - _INCLUDED
    body["include"] = [name for name in asked if name in _INCLUDED]
    if not body["include"]:
        del body["include"]
