"""JSON roots: answers that are not an object, from models that can answer only with objects.

The arguments of a tool are always an object, and so are OpenAI's and Cohere's answers to a schema. A list is therefore
requested as ``{"value": [...]}``, and the client receives only the list, in a response or in a stream. Any other text,
such as a refusal or an answer that was cut off, reaches the client unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from dialects.adapt.schemas import NOT_AT_THE_ROOT, walked
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, Completion, Conversation, Part, Text, ToolCall
from dialects.core.streams import EventReader, RewritingReader, TextRewriter

_KEY = "value"
_DEFINITIONS = ("$defs", "definitions")
_TO_DEFINITIONS = ("#/$defs/", "#/definitions/")
_HEAD = f'{{"{_KEY}":'
_BLANK = " \t\r\n"


def json_root_for(conversation: Conversation, profile: ModelProfile) -> "JsonRoot":
    """Return the adaptation for a request, which wraps the answer in an object only if the model needs that."""
    schema = conversation.output.schema if conversation.output else None
    if schema is None or not profile.object_root or is_object(schema):
        return JsonRoot()
    return JsonRoot(within_object(schema))


def is_object(schema: Mapping[str, Any]) -> bool:
    """Return whether the root of a schema describes only an object.

    A root without a type is assumed to, unless it has keywords for lists.
    """
    kind = "array" if {"items", "prefixItems"} & schema.keys() else "object"
    return schema.get("type", kind) == "object" and not (NOT_AT_THE_ROOT | {"$ref"}) & schema.keys()


def within_object(schema: Mapping[str, Any]) -> JSON:
    """Return the schema of an object whose only value fits *schema*. Its definitions move to the new root."""
    name = _KEY
    while any(name in _mapping(schema.get(place)) for place in _DEFINITIONS):
        name += "_"
    inner = walked(dict(schema), lambda node: _moved(node, f"#/$defs/{name}"))
    holds_itself = inner != schema
    outer: JSON = {place: inner.pop(place) for place in ("$schema", *_DEFINITIONS) if place in inner}
    if holds_itself:
        # OpenAI accepts references to definitions and to the root only, and the schema is no longer the root.
        outer["$defs"] = {**_mapping(outer.get("$defs")), name: inner}
        inner = {"$ref": f"#/$defs/{name}"}
    return {"type": "object", "properties": {_KEY: inner}, "required": [_KEY], "additionalProperties": False, **outer}


def _moved(node: JSON, place: str) -> JSON:
    """Change a reference to the former root so that it points to *place*."""
    reference = node.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#") or reference.startswith(_TO_DEFINITIONS):
        return dict(node)
    return {**node, "$ref": f"{place}{reference[1:]}"}


def _mapping(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class JsonRoot:
    """The adaptation that wraps an answer in an object.

    *schema* is the schema of that object; None if the answer need not be wrapped.
    """

    schema: Mapping[str, Any] | None = None

    def to_model(self, conversation: Conversation) -> Conversation:
        """Replace the schema of the answer by that of the object."""
        if self.schema is None or conversation.output is None:
            return conversation
        return replace(conversation, output=replace(conversation.output, schema=self.schema))

    def to_client(self, completion: Completion) -> Completion:
        """Replace the object in the answer by its value."""
        if self.schema is None:
            return completion
        return replace(completion, parts=tuple(map(_unwrapped, completion.parts)))

    def reader(self, reader: EventReader) -> EventReader:
        """Return a reader that replaces the object in the stream by its value."""
        return reader if self.schema is None else RewritingReader(reader, TextRewriter(_extractor_for))


def _extractor_for(block: Text | ToolCall) -> "_ValueExtractor | None":
    return _ValueExtractor() if isinstance(block, Text) else None


class _Stage(Enum):
    """The state of a `_ValueExtractor`."""

    HEAD = "head"
    GAP = "gap"
    VALUE = "value"
    TAIL = "tail"
    OTHER = "other"


class _ValueExtractor:
    """A text filter that returns only X of ``{"value": X}``. The text arrives in pieces, which may be cut anywhere.

    ====== ======================== ====== ============================
    state  input                    next   what happens to the input
    ====== ======================== ====== ============================
    HEAD   ``{"value":``            GAP    left out
    HEAD   anything else            OTHER  returned, with what was held
    GAP    white space              GAP    left out
    GAP    the beginning of X       VALUE  returned
    VALUE  more of X                VALUE  returned
    VALUE  ``}`` after X            TAIL   left out
    VALUE  ``,`` after X            OTHER  returned
    TAIL   white space              TAIL   held, and left out at the end
    TAIL   anything else            OTHER  returned, with what was held
    OTHER  anything                 OTHER  returned
    ====== ======================== ====== ============================
    """

    def __init__(self) -> None:
        self._stage = _Stage.HEAD
        self._held: list[str] = []
        self._place = 0
        self._depth = 0
        self._quoted = False
        self._escaped = False

    def feed(self, text: str) -> str:
        """Read the next piece, and return the text of the value in it."""
        return "".join(map(self._take, text))

    def finish(self) -> str:
        """Return what was held back because it might have become an object, after the text has ended."""
        return "".join(self._held) if self._stage is _Stage.HEAD else ""

    def _take(self, char: str) -> str:
        match self._stage:
            case _Stage.HEAD:
                return self._open(char)
            case _Stage.GAP if char in _BLANK:
                return ""
            case _Stage.GAP:
                self._stage = _Stage.VALUE
                return self._take(char)
            case _Stage.VALUE if self._depth or self._quoted:
                return self._inside(char)
            case _Stage.VALUE:
                return self._outermost(char)
            case _Stage.TAIL if char in _BLANK:
                return self._hold(char)
            case _Stage.TAIL | _Stage.OTHER:
                self._stage = _Stage.OTHER
                return self._released(char)

    def _open(self, char: str) -> str:
        if char == _HEAD[self._place]:
            self._place += 1
        elif char not in _BLANK or 1 < self._place < len(_HEAD) - 1:
            self._stage = _Stage.OTHER
            return self._released(char)
        if self._place < len(_HEAD):
            return self._hold(char)
        self._stage, self._held = _Stage.GAP, []
        return ""

    def _outermost(self, char: str) -> str:
        """Read a character outside of brackets and quotes. White space is held back, as it may follow the end of X."""
        if char in _BLANK:
            return self._hold(char)
        if char == "}":
            self._stage, self._held = _Stage.TAIL, []
            return ""
        if char == ",":
            self._stage = _Stage.OTHER
        return self._released(self._inside(char))

    def _inside(self, char: str) -> str:
        """Read a character of X, counting the brackets outside of strings."""
        if self._escaped:
            self._escaped = False
        elif char == '"':
            self._quoted = not self._quoted
        elif self._quoted:
            self._escaped = char == "\\"
        elif char in "[{":
            self._depth += 1
        elif char in "]}":
            self._depth = max(0, self._depth - 1)
        return char

    def _hold(self, char: str) -> str:
        self._held.append(char)
        return ""

    def _released(self, char: str) -> str:
        held, self._held = self._held, []
        return "".join(held) + char


def _unwrapped(part: Part) -> Part:
    """Replace the object in a text by its value, as in a stream."""
    if not isinstance(part, Text):
        return part
    text = _ValueExtractor()
    return replace(part, text=text.feed(part.text) + text.finish(), logprobs=())
