"""Tools for Claude and Nova: their schemas, the ids of calls, and the tool that makes these models answer in JSON."""

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
"""The name of a tool whose arguments are the answer. A model without a JSON mode is forced to call it."""

_ILLEGAL_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_ID = 64
# The schema keywords that Claude's JSON mode supports. It refuses all others.
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
# Nova accepts no other keywords at the root of a tool's schema, and therefore no definitions.
# https://docs.aws.amazon.com/nova/latest/userguide/tool-use-definition.html
_NOVAS = frozenset({"type", "properties", "required"})
# Keywords that are dropped without a report: they do not restrict the arguments, or only in the way that Nova does.
_NEEDLESS = frozenset({"$comment", "$id", "$schema", "additionalProperties", "default", "description", "title"})


def json_tool(output: OutputFormat) -> ToolSpec:
    """Build the tool whose arguments are the answer."""
    asked = output.schema or {"type": "object"}
    schema, _ = input_schema(asked if is_object(asked) else within_object(asked))
    wanted = output.description or output.name
    return ToolSpec(JSON_TOOL, f"Give the answer. {wanted}".strip(), schema)


def needs_json_tool(output: OutputFormat | None, *, native: bool) -> bool:
    """Return whether a JSON answer requires the tool. *native* is whether the model supports some schemas by itself."""
    if output is None:
        return False
    return not (native and output.schema is not None and _is_native(output.schema))


def is_forced(conversation: Conversation) -> bool:
    """Return whether the client requires the model to call a tool."""
    choice = conversation.tool_choice
    return bool(conversation.tools and choice and choice.mode in (ToolMode.REQUIRED, ToolMode.NAMED))


def called_in(messages: Iterable[Message]) -> list[str]:
    """Return the names of the tools that are called in the history. Claude requires that they are declared."""
    calls = [part for message in messages for part in message.parts if isinstance(part, ToolCall)]
    return list(dict.fromkeys(call.name for call in calls))


def settled(stop: Stop, called: bool) -> Stop:
    """Return *stop* with a reason that agrees with whether tools were *called*."""
    if called and stop.reason is StopReason.END:
        return replace(stop, reason=StopReason.TOOL_USE)
    if not called and stop.reason is StopReason.TOOL_USE:
        return replace(stop, reason=StopReason.END)
    return stop


def call_id(id: str) -> str:
    """Return the id of a call with the characters and the length that Bedrock accepts."""
    return tool_names.call_id(id, _LONGEST_ID, _ILLEGAL_IN_ID)


def input_schema(parameters: Mapping[str, Any]) -> tuple[JSON, set[str]]:
    """Return a tool's schema as Claude accepts it, and the names of the dropped keywords."""
    adapted = object_root(parameters)
    return dict(adapted.schema), set(adapted.dropped)


def novas_schema(tool: ToolSpec, budget: SchemaBudget) -> tuple[JSON, set[str]]:
    """Return a tool's schema as Nova accepts it, with references resolved, and the names of the dropped keywords."""
    plain = without_references(tool.parameters, budget, f"parameters of tool {tool.name!r}")
    schema, lost = input_schema(plain.schema)
    gone = {name for name in schema.keys() - _NOVAS - _NEEDLESS if schema[name]}
    gone |= {"additionalProperties"} if isinstance(schema.get("additionalProperties"), dict) else set()
    return {name: schema[name] for name in schema.keys() & _NOVAS}, {*plain.dropped, *lost, *gone}


def _is_native(schema: Mapping[str, Any]) -> bool:
    """Return whether Claude's JSON mode supports a schema: only known keywords, closed objects, and no recursion."""
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
