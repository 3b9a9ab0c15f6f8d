"""Property keys that a model takes, where those of the client's schemas do not fit.

Claude refuses a tool whose schema names a property such as ``$filter`` or
``@odata.type``. Such a key is written in another way, the same in every turn:
in schemas, in whatever refers to a property, and in the calls so far. What the
model says, whole or in a stream, reaches the client under the client's keys.
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
"""Keywords that hold values, in which properties may be named."""
_KEYED = ("dependencies", "dependentRequired", "dependentSchemas")
_LISTED = ("required", "propertyOrdering")
_BLANK = " \t\r\n"
_HEX = frozenset("0123456789abcdefABCDEF")
_OUTSIDE = re.compile(r'[^"]+')
_STRING = re.compile(r'[^"\\]+')
"""What is given as it came, outside of strings and in one that is no key."""


def property_keys_for(conversation: Conversation, odd: re.Pattern[str] | None) -> "PropertyKeys":
    """Choose other keys for properties whose keys hold *odd* letters, are too long or empty; none if *odd* is None."""
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
    """Find every key in a schema: those of the values that it lists may come back, too."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield from each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


class OtherKeys:
    """Other names for keys, and how those begin that have one."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.beginnings = frozenset(name[:length] for name in names for length in range(len(name) + 1))


@dataclass(frozen=True)
class PropertyKeys:
    """What properties are called on the way; those that are not in *sent* keep their keys.

    *in_text* is whether the text of the answer is JSON that fits a schema.
    """

    sent: Mapping[str, str] = field(default_factory=dict)
    in_text: bool = False

    def to_model(self, conversation: Conversation) -> Conversation:
        """Rename properties as the model takes them."""
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
        """Give properties the client's keys back."""
        return replace(completion, parts=tuple(map(self._as_own, completion.parts))) if self.sent else completion

    def reader(self, reader: EventReader) -> EventReader:
        """Read a stream in which properties are called as the client does."""
        return RewritingReader(reader, TextRewriter(self._renamer_for)) if self.sent else reader

    def _renamer_for(self, block: Text | ToolCall) -> "KeyRenamer | None":
        return KeyRenamer(self._restored) if isinstance(block, ToolCall) or self.in_text else None

    def _as_sent(self, part: Part) -> Part:
        """Rename the arguments of a call; those that are no object, or name no such property, stay as they are."""
        if not isinstance(part, ToolCall) or (said := object_from(part.arguments)) is None:
            return part
        renamed, found = _renamed_value(said, self.sent)
        return replace(part, arguments=dumps(renamed)) if found else part

    def _as_own(self, part: Part) -> Part:
        """Give of a part what a stream of it would give."""
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
    """Takes JSON in pieces, cut anywhere, and gives it with the keys in *other* under their other names.

    Everything else is given as it came. Held back is only what may yet be such a key::

        OUTSIDE --"--> CANDIDATE --"--> CLOSED --:--> OUTSIDE, renamed
        CANDIDATE, no beginning of a name --> STRING --"--> OUTSIDE
        CLOSED, anything but a colon or white space --> OUTSIDE, as it came
    """

    def __init__(self, other: OtherKeys) -> None:
        self._names = other.names
        self._beginnings = other.beginnings
        self._take = self._outside
        self._skipped = {self._outside: _OUTSIDE, self._string: _STRING}
        self._held = ""
        self._said = ""
        self._escape = ""

    def feed(self, text: str) -> str:
        """Take a piece; give what is certain by now."""
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
        """The text has ended: give what might have become a key."""
        self._take = self._outside
        return self._released("")

    def _outside(self, char: str) -> str:
        if char != '"':
            return char
        self._take, self._held, self._said, self._escape = self._candidate, char, "", ""
        return ""

    def _candidate(self, char: str) -> str:
        """Read a string that has been the beginning of a name so far."""
        if self._escape:
            return self._escaped(char)
        if char == '"':
            is_name = self._said in self._names
            self._take = self._closed if is_name else self._outside
            return self._hold(char) if is_name else self._released(char)
        if char == "\\":
            self._escape = char
            return self._hold(char)
        self._said += char
        return self._hold(char) if self._said in self._beginnings else self._string_of(char)

    def _escaped(self, char: str) -> str:
        """Read an escape: of those that JSON has, only a code can stand for a letter of a name."""
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
        """A name has been read in full: whether it is a key is said by what follows."""
        if char in _BLANK:
            return self._hold(char)
        self._take = self._outside
        if char != ":":
            return self._released("") + self._outside(char)
        blank = self._held[self._held.rindex('"') + 1 :]
        self._held = ""
        return f"{dumps(self._names[self._said])}{blank}{char}"

    def _string(self, char: str) -> str:
        """Read a string that is none of the names."""
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
        self._held += char
        return ""

    def _released(self, char: str) -> str:
        held, self._held = self._held, ""
        return held + char


def renamed_schema(schema: Mapping[str, Any], names: Mapping[str, str]) -> JSON:
    """Rename properties in a schema, and in whatever of it refers to them; their titles keep the names."""
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
    """Let the title of a property say how the client calls it."""
    if key not in names or not isinstance(schema, dict) or {"title", "$ref"} & schema.keys():
        return schema
    return {"title": key, **schema}


def _renamed_list(value: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(value, list):
        return value
    return [names.get(key, key) if isinstance(key, str) else key for key in value]


def _renamed_reference(reference: str, names: Mapping[str, str]) -> str:
    """Rename the properties that a pointer leads through; what else has a name may be called ``properties``, too."""
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
"""Keywords behind which a pointer has a name, and not another keyword."""


def _renamed_value(value: Any, names: Mapping[str, str]) -> tuple[Any, bool]:
    """Copy a value of JSON, however deep, with its keys renamed; gives whether there were any to rename."""
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
