"""JSON roots: answers that are no object, from models that can only be asked for objects.

The arguments of a tool are an object, and so is what OpenAI and Cohere write
to a schema. A list is therefore asked for as ``{"value": [...]}``, and the
client, whole or in a stream, gets the list alone. What the model says
instead, a refusal or an answer that is cut off, reaches the client as it is.
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
    """Decide whether the answer must be asked for within an object."""
    schema = conversation.output.schema if conversation.output else None
    if schema is None or not profile.object_root or is_object(schema):
        return JsonRoot()
    return JsonRoot(within_object(schema))


def is_object(schema: Mapping[str, Any]) -> bool:
    """Whether the outermost schema describes an object and nothing else; one that says no type is taken to."""
    kind = "array" if {"items", "prefixItems"} & schema.keys() else "object"
    return schema.get("type", kind) == "object" and not (NOT_AT_THE_ROOT | {"$ref"}) & schema.keys()


def within_object(schema: Mapping[str, Any]) -> JSON:
    """Describe the object whose one value fits *schema*; definitions stay outermost."""
    name = _KEY
    while any(name in _mapping(schema.get(place)) for place in _DEFINITIONS):
        name += "_"
    inner = walked(dict(schema), lambda node: _moved(node, f"#/$defs/{name}"))
    holds_itself = inner != schema
    outer: JSON = {place: inner.pop(place) for place in ("$schema", *_DEFINITIONS) if place in inner}
    if holds_itself:
        # OpenAI lets a reference lead to a definition, or to the outermost schema, which this is no more.
        outer["$defs"] = {**_mapping(outer.get("$defs")), name: inner}
        inner = {"$ref": f"#/$defs/{name}"}
    return {"type": "object", "properties": {_KEY: inner}, "required": [_KEY], "additionalProperties": False, **outer}


def _moved(node: JSON, place: str) -> JSON:
    """Let a reference to what was the outermost schema lead to *place*."""
    reference = node.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#") or reference.startswith(_TO_DEFINITIONS):
        return dict(node)
    return {**node, "$ref": f"{place}{reference[1:]}"}


def _mapping(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class JsonRoot:
    """How the answer to one request is asked for; *schema* is None if it is asked for as the client wants it."""

    schema: Mapping[str, Any] | None = None

    def to_model(self, conversation: Conversation) -> Conversation:
        """Ask the model for an object."""
        if self.schema is None or conversation.output is None:
            return conversation
        return replace(conversation, output=replace(conversation.output, schema=self.schema))

    def to_client(self, completion: Completion) -> Completion:
        """Give the client what is in the object."""
        if self.schema is None:
            return completion
        return replace(completion, parts=tuple(map(_unwrapped, completion.parts)))

    def reader(self, reader: EventReader) -> EventReader:
        """Read a stream, of which only what is in the object is given."""
        return reader if self.schema is None else RewritingReader(reader, TextRewriter(_extractor_for))


def _extractor_for(block: Text | ToolCall) -> "_ValueExtractor | None":
    return _ValueExtractor() if isinstance(block, Text) else None


class _Stage(Enum):
    """How far a text has been understood."""

    HEAD = "head"
    GAP = "gap"
    VALUE = "value"
    TAIL = "tail"
    OTHER = "other"


class _ValueExtractor:
    """Takes a text in pieces, cut anywhere, and gives of ``{"value": X}`` only X.

    ====== ======================== ====== ==========================
    in     comes                    then   and is
    ====== ======================== ====== ==========================
    HEAD   ``{"value":``            GAP    left out
    HEAD   anything else            OTHER  given, with all before
    GAP    white space              GAP    left out
    GAP    the beginning of X       VALUE  given
    VALUE  more of X                VALUE  given
    VALUE  ``}`` behind X           TAIL   left out
    VALUE  ``,`` behind X           OTHER  given
    TAIL   white space              TAIL   left out
    TAIL   anything else            OTHER  given
    OTHER  anything                 OTHER  given
    ====== ======================== ====== ==========================
    """

    def __init__(self) -> None:
        self._stage = _Stage.HEAD
        self._held = ""
        self._place = 0
        self._depth = 0
        self._quoted = False
        self._escaped = False

    def feed(self, text: str) -> str:
        """Take a piece; give what of it is in the object."""
        return "".join(map(self._take, text))

    def finish(self) -> str:
        """The text has ended: give what might have become an object."""
        return self._held if self._stage is _Stage.HEAD else ""

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
        self._stage, self._held = _Stage.GAP, ""
        return ""

    def _outermost(self, char: str) -> str:
        """Take what is not within brackets or quotes: white space there may be the last of X."""
        if char in _BLANK:
            return self._hold(char)
        if char == "}":
            self._stage, self._held = _Stage.TAIL, ""
            return ""
        if char == ",":
            self._stage = _Stage.OTHER
        return self._released(self._inside(char))

    def _inside(self, char: str) -> str:
        """Count brackets, but for those in strings."""
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
        self._held += char
        return ""

    def _released(self, char: str) -> str:
        held, self._held = self._held, ""
        return held + char


def _unwrapped(part: Part) -> Part:
    """Give of a whole text what a stream of it would give."""
    if not isinstance(part, Text):
        return part
    text = _ValueExtractor()
    return replace(part, text=text.feed(part.text) + text.finish(), logprobs=())
