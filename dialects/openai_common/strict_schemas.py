"""Strict schemas: the schemas that OpenAI can enforce in answers and in the arguments of calls.

Other schemas are only hints to the model. In the dialects of Anthropic and Google, an answer is guaranteed to follow
its schema. https://learn.microsoft.com/azure/ai-foundry/openai/how-to/structured-outputs lists what OpenAI can enforce.
"""

from collections.abc import Mapping
from typing import Any

from dialects.adapt.schemas import answer_for_openai, walked
from dialects.core.conversation import JSON, Conversation, OutputFormat
from dialects.openai_common.vocabulary import CHAT, RESPONSES

_DEEPEST = 5
"""How many levels of objects and lists may be nested."""
_MOST_PROPERTIES = 100
_MOST_CHOICES = 500
_LONGEST = 15_000
"""How many characters the keys, definitions and choices of a schema may have together."""
_NEEDLESS = frozenset(
    {"$comment", "$id", "default", "deprecated", "example", "examples", "propertyOrdering", "readOnly", "writeOnly"}
)
_SAID_ANYWHERE = frozenset({"description", "title"})
_AT_THE_ROOT = frozenset({"$schema", "$defs", "definitions"})
_BY_TYPE = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items"}),
    "string": frozenset({"enum", "const"}),
    "number": frozenset({"enum", "const"}),
    "integer": frozenset({"enum", "const"}),
    "boolean": frozenset({"enum", "const"}),
    "null": frozenset({"enum", "const"}),
}


def answer_schema(conversation: Conversation, output: OutputFormat, dropped: set[str]) -> tuple[JSON, bool | None]:
    """Render the schema of the answer, and whether OpenAI enforces it (None if the client did not say).

    Clients of other vendors expect that the answer follows the schema. If OpenAI cannot enforce it, that is reported as
    dropped.
    """
    schema = answer_for_openai(output.schema or {})
    if conversation.dialect in (CHAT, RESPONSES):
        return schema, output.strict
    held: JSON = walked(schema, _tightened)
    if is_strict(held):
        return held, True
    dropped.add("response_format.strict")
    return schema, None


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Return whether OpenAI can enforce *schema*.

    Each object in it must be closed and require all its properties, and only the keywords of `_BY_TYPE` are allowed.
    """
    measure = _Measure()
    return measure.whole(dict(schema)) and measure.is_small


def _tightened(node: JSON) -> JSON:
    """Remove the keywords that restrict nothing, and close objects that do not say whether they are open.

    Models of other vendors write no property that was not described. A GPT writes properties in the order of the
    schema.
    """
    kept = {name: value for name, value in node.items() if name not in _NEEDLESS}
    named, order = kept.get("properties"), node.get("propertyOrdering")
    if kept.get("type") != "object" or not isinstance(named, dict):
        return kept
    first = [name for name in order if isinstance(name, str) and name in named] if isinstance(order, list) else []
    return {"additionalProperties": False, **kept, "properties": {name: named[name] for name in (*first, *named)}}


class _Measure:
    """Walks through one schema, and counts its properties, choices and characters, which OpenAI limits."""

    def __init__(self) -> None:
        self._properties = 0
        self._choices = 0
        self._length = 0

    @property
    def is_small(self) -> bool:
        small = self._properties <= _MOST_PROPERTIES and self._choices <= _MOST_CHOICES
        return small and self._length <= _LONGEST

    def whole(self, schema: JSON) -> bool:
        """Return whether OpenAI can enforce a schema and its definitions."""
        definitions = [schema.get(place, {}) for place in ("$defs", "definitions")]
        if not all(isinstance(defined, dict) for defined in definitions):
            return False
        self._length += sum(len(name) for defined in definitions for name in defined)
        root = {name: value for name, value in schema.items() if name not in _AT_THE_ROOT}
        within = [inner for defined in definitions for inner in defined.values()]
        return root.get("type") == "object" and self._fits(root) and all(map(self._fits, within))

    def _fits(self, node: Any, depth: int = 0, *, is_choice: bool = False) -> bool:
        """Return whether OpenAI can enforce a schema and those within it. A choice must not contain another choice."""
        if not isinstance(node, dict) or depth > _DEEPEST:
            return False
        said = node.keys() - _SAID_ANYWHERE
        match node:
            case {"$ref": reference}:
                return node.keys() == {"$ref"} and isinstance(reference, str) and reference.startswith("#")
            case {"anyOf": [*choices]} if not is_choice:
                return said == {"anyOf"} and all(self._fits(each, depth, is_choice=True) for each in choices)
            case {"type": str() | [*_] as kind}:
                kinds = kind if isinstance(kind, list) else [kind]
                known = [_BY_TYPE[each] for each in kinds if isinstance(each, str) and each in _BY_TYPE]
                is_known = len(known) == len(kinds) and said <= {"type"}.union(*known)
                return (
                    is_known
                    and self._chosen(node)
                    and self._object(node, kinds, depth)
                    and self._list(node, kinds, depth)
                )
            case _:
                return False

    def _object(self, node: JSON, kinds: list[Any], depth: int) -> bool:
        if "object" not in kinds:
            return True
        named, required = node.get("properties"), node.get("required")
        is_closed = node.get("additionalProperties") is False
        if not isinstance(named, dict) or not isinstance(required, list) or not is_closed:
            return False
        self._properties += len(named)
        self._length += sum(map(len, named))
        names = {name for name in required if isinstance(name, str)}
        return names == named.keys() and all(self._fits(each, depth + 1) for each in named.values())

    def _list(self, node: JSON, kinds: list[Any], depth: int) -> bool:
        return "array" not in kinds or self._fits(node.get("items"), depth + 1)

    def _chosen(self, node: JSON) -> bool:
        choices = [node["const"]] if "const" in node else []
        if "enum" in node:
            if not isinstance(node["enum"], list) or not node["enum"]:
                return False
            choices += node["enum"]
        self._choices += len(choices)
        self._length += sum(len(each) for each in choices if isinstance(each, str))
        return all(each is None or isinstance(each, str | int | float) for each in choices)
