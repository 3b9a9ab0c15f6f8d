"""Tools of Claude, and of Nova beside it: their schemas and ids, and the one that makes them answer in JSON."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dialects.adapt import tool_names
from dialects.adapt.json_root import is_object, within_object
from dialects.adapt.schema_budget import SchemaBudget
from dialects.adapt.schema_references import is_recursive, without_references
from dialects.adapt.schemas import object_root
from dialects.core.conversation import (
    JSON,
    Conversation,
    Message,
    OutputFormat,
    Stop,
    StopReason,
    ToolCall,
    ToolMode,
    ToolSpec,
)

JSON_TOOL = "respond_with_json"
"""A tool the model is made to call where it cannot be asked to answer in JSON: its arguments are the answer."""

_ILLEGAL_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_ID = 64
# Keywords of schemas that Claude's own JSON mode knows: anything else is refused there.
# https://docs.claude.com/en/docs/build-with-claude/structured-outputs
_NATIVE = frozenset(
    {
        "$schema",
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "definitions",
        "description",
        "enum",
        "items",
        "properties",
        "required",
        "title",
        "type",
    }
)
# Nova takes no other keyword at the top of a tool's schema, hence no definitions.
# https://docs.aws.amazon.com/nova/latest/userguide/tool-use-definition.html
_NOVAS = frozenset({"type", "properties", "required"})
# What may go unnamed: it says nothing of what the arguments may be, or what Nova does anyway.
_NEEDLESS = frozenset({"$comment", "$id", "$schema", "additionalProperties", "default", "description", "title"})


def json_tool(output: OutputFormat) -> ToolSpec:
    """Make the tool whose arguments are the answer."""
    asked = output.schema or {"type": "object"}
    schema, _ = input_schema(asked if is_object(asked) else within_object(asked))
    wanted = output.description or output.name
    return ToolSpec(JSON_TOOL, f"Give the answer. {wanted}".strip(), schema)


def needs_json_tool(output: OutputFormat | None, *, native: bool) -> bool:
    """Whether JSON can only be had by the tool; *native* if the model takes some schemas itself."""
    if output is None:
        return False
    return not (native and output.schema is not None and _is_native(output.schema))


def is_forced(conversation: Conversation) -> bool:
    """Whether the client wants a tool called in any case."""
    choice = conversation.tool_choice
    return bool(conversation.tools and choice and choice.mode in (ToolMode.REQUIRED, ToolMode.NAMED))


def called_in(messages: Iterable[Message]) -> list[str]:
    """Name the tools the history calls: Claude must know them even if the client offers none."""
    calls = [part for message in messages for part in message.parts if isinstance(part, ToolCall)]
    return list(dict.fromkeys(call.name for call in calls))


def settled(stop: Stop, called: bool) -> Stop:
    """Decide by whether tools were *called* whether the model wants them run."""
    if called and stop.reason is StopReason.END:
        return replace(stop, reason=StopReason.TOOL_USE)
    if not called and stop.reason is StopReason.TOOL_USE:
        return replace(stop, reason=StopReason.END)
    return stop


def call_id(id: str) -> str:
    """Write a call's id with the letters, and at the length, Bedrock takes."""
    return tool_names.call_id(id, _LONGEST_ID, _ILLEGAL_IN_ID)


def input_schema(parameters: Mapping[str, Any]) -> tuple[JSON, set[str]]:
    """Write a tool's schema as Claude takes it, and name the keywords that had to go."""
    adapted = object_root(parameters)
    return dict(adapted.schema), set(adapted.dropped)


def novas_schema(tool: ToolSpec, budget: SchemaBudget) -> tuple[JSON, set[str]]:
    """Write a tool's schema as Nova takes it, with nothing to refer to, and name what had to go."""
    plain = without_references(tool.parameters, budget, f"parameters of tool {tool.name!r}")
    schema, lost = input_schema(plain.schema)
    gone = {name for name in schema.keys() - _NOVAS - _NEEDLESS if schema[name]}
    gone |= {"additionalProperties"} if isinstance(schema.get("additionalProperties"), dict) else set()
    return {name: schema[name] for name in schema.keys() & _NOVAS}, {*plain.dropped, *lost, *gone}


def _is_native(schema: Mapping[str, Any]) -> bool:
    """Whether Claude's own JSON mode takes a schema: no keyword it does not know, no open object, no recursion."""
    return _is_closed(schema) and not is_recursive(schema)


def _is_closed(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(map(_is_closed, schema))
    if not isinstance(schema, Mapping):
        return True
    if not schema.keys() <= _NATIVE:
        return False
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    named = [inner for name in ("properties", "$defs", "definitions") for inner in _values(schema.get(name))]
    return all(_is_closed(inner) for inner in (*named, schema.get("items"), schema.get("anyOf")))


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, Mapping) else []
