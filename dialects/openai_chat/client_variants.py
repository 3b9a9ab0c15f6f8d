"""Variants of chat bodies that some clients send, such as Cursor.

Cursor writes tools as the Responses API or Anthropic does, and of whole
conversations as the Responses API does; it reads the answer as chat. Others
say single parts of a message as Anthropic does.
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
"""Anthropic's blocks, and a field by which each is known."""


def is_responses(body: JSON) -> bool:
    """Whether *body* is one of the Responses API."""
    return "messages" not in body and isinstance(body.get("input"), str | list)


def has_blocks(body: JSON) -> bool:
    """Whether a message of *body* holds a block of Anthropic's, which no OpenAI model takes."""
    messages = body.get("messages")
    return isinstance(messages, list) and any(blocks_in(each) for each in messages if isinstance(each, dict))


def blocks_in(message: Mapping[str, Any]) -> list[JSON]:
    """Find Anthropic's blocks in the content of *message*."""
    content = message.get("content")
    return [part for part in content if is_block(part)] if isinstance(content, list) else []


def is_block(part: Any) -> bool:
    """Whether *part* of a message is a block of Anthropic's."""
    kind = part.get("type") if isinstance(part, dict) else None
    return isinstance(kind, str) and _BLOCKS.get(kind) in part


def with_nested_tools(body: JSON) -> JSON:
    """Give *body* with every tool where chat has it, and one that is chosen by name as chat names it."""
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
