"""Property keys: they are renamed if a model does not accept those of the client's schemas.

Claude refuses a tool whose schema has a property such as ``$filter`` or ``@odata.type``. Such a key is replaced by
another, the same one in every turn: in schemas, in references to the property, and in the tool calls of the history.
In responses and in streams, the client receives its own keys.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any
from urllib.parse import unquote

from dialects.adapt.schema_cache import cached_keys
from dialects.adapt.schemas import walked
from dialects.adapt.tool_names import LONGEST, rewritten_name
from dialects.core.conversation import JSON, Completion, Conversation, Message, Part, Text, ToolCall, ToolSpec
from dialects.core.streams import EventReader, RewritingReader, TextRewriter
from dialects.framing.json_text import dumps, object_from

_VALUES = ("const", "default", "enum", "example", "examples")
"""Keywords with values that may have properties."""
_KEYED = ("dependencies", "dependentRequired", "dependentSchemas")
_LISTED = ("required", "propertyOrdering")
_BLANK = " \t\r\n"
_HEX = frozenset("0123456789abcdefABCDEF")
_OUTSIDE = re.compile(r'[^"]+')
_STRING = re.compile(r'[^"\\]+')
"""Text that is passed on unchanged: outside of strings, and in strings that are not keys."""


def property_keys_for(conversation: Conversation, odd: re.Pattern[str] | None) -> "PropertyKeys":
    """Choose other keys for properties whose keys have *odd* characters, are too long, or are empty.

    No keys are replaced if *odd* is None.
    """
    if odd is None:
        return PropertyKeys()
    keys = set[str]().union(*map(cached_keys, _schemas(conversation)))
    strange = sorted(key for key in keys if not key or len(key) > LONGEST or odd.search(key))
    sent = dict[str, str]()
    taken = {key for schema in _schemas(conversation) for key in _keys_in(schema)} if strange else keys
    for key in strange:
        sent[key] = next(other for other in rewritten_name(key, odd) if other not in taken)
        taken.add(sent[key])
    return PropertyKeys(sent, in_text=conversation.output is not None)


def _keys_in(value: Any) -> Iterator[str]:
    """Yield every key in a schema, including those in the values that it lists, which may be in the answer."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield from each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


class OtherKeys:
    """The new names of keys, and all beginnings of the keys that have one."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.beginnings = frozenset(name[:length] for name in names for length in range(len(name) + 1))


@dataclass(frozen=True)
class PropertyKeys:
    """The adaptation that renames properties.

    *sent* has the keys that are sent to the model, by the client's keys; other keys stay. *in_text* is whether the text
    of the answer is JSON that fits a schema.
    """

    sent: Mapping[str, str] = field(default_factory=dict)
    in_text: bool = False

    def to_model(self, conversation: Conversation) -> Conversation:
        """Replace the client's keys by those that the model accepts."""
        if not self.sent:
            return conversation
        output = conversation.output
        if output and output.schema is not None:
            output = replace(output, schema=renamed_schema(output.schema, self.sent))
        return replace(
            conversation,
            tools=tuple(
                replace(tool, parameters=renamed_schema(tool.parameters, self.sent))
                if isinstance(tool, ToolSpec)
                else tool
                for tool in conversation.tools
            ),
            messages=tuple(
                Message(message.role, tuple(map(self._as_sent, message.parts))) for message in conversation.messages
            ),
            output=output,
        )

    def to_client(self, completion: Completion) -> Completion:
        """Restore the client's keys in a response."""
        return replace(completion, parts=tuple(map(self._as_own, completion.parts))) if self.sent else completion

    def reader(self, reader: EventReader) -> EventReader:
        """Return a reader that restores the client's keys in a stream."""
        return RewritingReader(reader, TextRewriter(self._renamer_for)) if self.sent else reader

    def _renamer_for(self, block: Text | ToolCall) -> "KeyRenamer | None":
        return KeyRenamer(self._restored) if isinstance(block, ToolCall) or self.in_text else None

    def _as_sent(self, part: Part) -> Part:
        """Replace keys in the arguments of a call. The text stays unchanged if no key must be replaced."""
        if not isinstance(part, ToolCall) or (said := object_from(part.arguments)) is None:
            return part
        renamed, found = _renamed_value(said, self.sent)
        return replace(part, arguments=dumps(renamed)) if found else part

    def _as_own(self, part: Part) -> Part:
        """Restore the client's keys in a part, as in a stream."""
        match part:
            case ToolCall(arguments=said):
                return replace(part, arguments=self._whole(said))
            case Text(text=said) if self.in_text:
                return replace(part, text=self._whole(said))
            case _:
                return part

    def _whole(self, text: str) -> str:
        renamer = KeyRenamer(self._restored)
        return renamer.feed(text) + renamer.finish()

    @cached_property
    def _restored(self) -> OtherKeys:
        return OtherKeys({sent: own for own, sent in self.sent.items()})


class KeyRenamer:
    """A text filter that renames the keys of JSON by the names in *other*. The text may be cut anywhere.

    Everything else is returned unchanged. Only text that may still become such a key is held back::

        OUTSIDE --"--> CANDIDATE --"--> CLOSED --:--> OUTSIDE, renamed
        CANDIDATE, not the beginning of a key --> STRING --"--> OUTSIDE
        CLOSED, anything but a colon or white space --> OUTSIDE, unchanged
    """

    def __init__(self, other: OtherKeys) -> None:
        self._names = other.names
        self._beginnings = other.beginnings
        self._take = self._outside
        self._skipped = {self._outside: _OUTSIDE, self._string: _STRING}
        self._held: list[str] = []
        self._end = 0
        """The place in `_held` after a string that equals a key."""
        self._said = ""
        self._escape = ""

    def feed(self, text: str) -> str:
        """Read the next piece, and return as much of the new text as is certain."""
        out: list[str] = []
        place = 0
        while place < len(text):
            if (skipped := self._skipped.get(self._take)) and (found := skipped.match(text, place)):
                out.append(found[0])
                place = found.end()
            if place < len(text):
                out.append(self._take(text[place]))
                place += 1
        return "".join(out)

    def finish(self) -> str:
        """Return what was held back because it might have become a key, after the text has ended."""
        self._take = self._outside
        return self._released("")

    def _outside(self, char: str) -> str:
        if char != '"':
            return char
        self._take, self._held, self._said, self._escape = self._candidate, [char], "", ""
        return ""

    def _candidate(self, char: str) -> str:
        """Read a character of a string that has been the beginning of a key so far."""
        if self._escape:
            return self._escaped(char)
        if char == '"':
            is_name = self._said in self._names
            self._take, self._end = (self._closed if is_name else self._outside), len(self._held) + 1
            return self._hold(char) if is_name else self._released(char)
        if char == "\\":
            self._escape = char
            return self._hold(char)
        self._said += char
        return self._hold(char) if self._said in self._beginnings else self._string_of(char)

    def _escaped(self, char: str) -> str:
        """Read a character of an escape sequence. Only a code such as `u0041` can be a character of a key."""
        if not (char == "u" if self._escape == "\\" else char in _HEX):
            after_backslash = self._escape == "\\"
            said = self._string_of("")
            return said + (self._skip(char) if after_backslash else self._string(char))
        self._escape += char
        if len(self._escape) == len("\\u0000"):
            self._said += chr(int(self._escape.removeprefix("\\u"), 16))
            self._escape = ""
            if self._said not in self._beginnings:
                return self._string_of(char)
        return self._hold(char)

    def _closed(self, char: str) -> str:
        """Read a character after a string that equals a key. It is a key only if a colon follows."""
        if char in _BLANK:
            return self._hold(char)
        self._take = self._outside
        if char != ":":
            return self._released("") + self._outside(char)
        blank = "".join(self._held[self._end :])
        self._held = []
        return f"{dumps(self._names[self._said])}{blank}{char}"

    def _string(self, char: str) -> str:
        """Read a character of a string that is not a key to rename."""
        if char == '"':
            self._take = self._outside
        elif char == "\\":
            self._take = self._skip
        return char

    def _skip(self, char: str) -> str:
        self._take = self._string
        return char

    def _string_of(self, char: str) -> str:
        self._take = self._string
        return self._released(char)

    def _hold(self, char: str) -> str:
        self._held.append(char)
        return ""

    def _released(self, char: str) -> str:
        held, self._held = self._held, []
        return "".join(held) + char


def renamed_schema(schema: Mapping[str, Any], names: Mapping[str, str]) -> JSON:
    """Rename properties in a schema, and all references to them. A renamed property gets its own key as title."""
    changed: JSON = walked(dict(schema), partial(_renamed_node, names=names))
    return changed


def _renamed_node(node: JSON, names: Mapping[str, str]) -> JSON:
    out = dict(node)
    if isinstance(named := node.get("properties"), dict):
        out["properties"] = {names.get(key, key): _titled(key, inner, names) for key, inner in named.items()}
    for keyword in _KEYED:
        if isinstance(keyed := node.get(keyword), dict):
            out[keyword] = {names.get(key, key): _renamed_list(inner, names) for key, inner in keyed.items()}
    for keyword in _LISTED:
        if keyword in node:
            out[keyword] = _renamed_list(node[keyword], names)
    for keyword in _VALUES:
        if keyword in node:
            out[keyword], _ = _renamed_value(node[keyword], names)
    if isinstance(reference := node.get("$ref"), str):
        out["$ref"] = _renamed_reference(reference, names)
    return out


def _titled(key: str, schema: Any, names: Mapping[str, str]) -> Any:
    """Add the client's key as title to the schema of a renamed property, unless it has a title."""
    if key not in names or not isinstance(schema, dict) or {"title", "$ref"} & schema.keys():
        return schema
    return {"title": key, **schema}


def _renamed_list(value: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(value, list):
        return value
    return [names.get(key, key) if isinstance(key, str) else key for key in value]


def _renamed_reference(reference: str, names: Mapping[str, str]) -> str:
    """Rename the properties in a JSON pointer. A step after ``$defs`` and the like is a name, even ``properties``."""
    steps = reference.split("/")
    if steps[0] != "#":
        return reference
    keyword = ""
    for place, step in enumerate(steps[1:], 1):
        if keyword == "properties":
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            steps[place] = names.get(key, step)
        keyword = "" if keyword in _WITH_NAMES else step
    return "/".join(steps)


_WITH_NAMES = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
"""Keywords after which a step of a pointer is a name, and not another keyword."""


def _renamed_value(value: Any, names: Mapping[str, str]) -> tuple[Any, bool]:
    """Copy a JSON value of any depth with its keys renamed. Also return whether any key had to be renamed."""
    whole, found = [value], False
    left: list[Any] = [whole]
    while left:
        outer = left.pop()
        for place, inner in list(outer.items() if isinstance(outer, dict) else enumerate(outer)):
            if isinstance(inner, dict):
                found = found or not names.keys().isdisjoint(inner)
                outer[place] = {names.get(key, key): item for key, item in inner.items()}
            elif isinstance(inner, list):
                outer[place] = list(inner)
            else:
                continue
            left.append(outer[place])
    return whole[0], found


def _schemas(conversation: Conversation) -> Iterator[Mapping[str, Any]]:
    yield from (tool.parameters for tool in conversation.tools if isinstance(tool, ToolSpec))
    if conversation.output and conversation.output.schema is not None:
        yield conversation.output.schema
