"""Variants of chat bodies that some clients send, such as Cursor.

Cursor declares tools in the form of the Responses API or of Anthropic, and sends whole conversations in the form of the
Responses API, but reads the answer as a chat completion. Other clients send single parts of a message in Anthropic's
form.
"""

from collections.abc import Mapping
from typing import Any

from dialects.core.conversation import JSON

_BLOCKS = {
    "document": "source",
    "image": "source",
    "redacted_thinking": "data",
    "search_result": "content",
    "thinking": "thinking",
    "tool_result": "tool_use_id",
    "tool_use": "input",
}
"""The types of Anthropic's blocks, and a field by which each is recognised."""


def is_responses(body: JSON) -> bool:
    """Return whether *body* is a request of the Responses API."""
    return "messages" not in body and isinstance(body.get("input"), str | list)


def has_blocks(body: JSON) -> bool:
    """Return whether a message of *body* holds one of Anthropic's blocks, which no OpenAI model accepts."""
    messages = body.get("messages")
    return isinstance(messages, list) and any(blocks_in(each) for each in messages if isinstance(each, dict))


def blocks_in(message: Mapping[str, Any]) -> list[JSON]:
    """Return Anthropic's blocks in the content of *message*."""
    content = message.get("content")
    return [part for part in content if is_block(part)] if isinstance(content, list) else []


def is_block(part: Any) -> bool:
    """Return whether *part* of a message is one of Anthropic's blocks."""
    kind = part.get("type") if isinstance(part, dict) else None
    return isinstance(kind, str) and _BLOCKS.get(kind) in part


def with_nested_tools(body: JSON) -> JSON:
    """Return *body* with its tools, and a tool choice by name, in the form of chat completions."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    nested = [_nested(tool) for tool in tools] if isinstance(tools, list) else tools
    named = _named(choice)
    return body if nested == tools and named is choice else {**body, "tools": nested, "tool_choice": named}


def _nested(tool: Any) -> Any:
    match tool:
        case {"function": _}:
            return tool
        case {"type": "function", "name": str(), **rest}:
            return {"type": "function", "function": {"name": tool["name"], **rest}}
        case {"type": "custom", "name": str(), **rest} if "custom" not in rest and "input_schema" not in rest:
            return {"type": "custom", "custom": {"name": tool["name"], **rest}}
        case {"name": str(), "input_schema": schema, **rest} if rest.get("type", "custom") == "custom":
            marked = {"cache_control": rest["cache_control"]} if "cache_control" in rest else {}
            function = {name: value for name, value in rest.items() if name not in ("type", "cache_control")}
            return {"type": "function", "function": {"name": tool["name"], **function, "parameters": schema}, **marked}
        case _:
            return tool


def _named(choice: Any) -> Any:
    match choice:
        case {"function": _}:
            return choice
        case {"type": "function" | "tool" | "custom", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "auto" | "none" as mode}:
            return mode
        case {"type": "any"}:
            return "required"
        case _:
            return choice
