"""Fields of OpenAI's requests, read with their types checked: what is wrong is the caller's fault and says where."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from dialects.adapt.attachments import as_text, kind_of
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Effort,
    Family,
    Media,
    MediaKind,
    OutputFormat,
    Thinking,
    ToolSpec,
)
from dialects.core.faults import FaultError, invalid
from dialects.framing.json_text import dumps

_DATA_URI = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of a request; *path* is where it stands, as OpenAI writes it: ``messages[2].content``."""

    body: Mapping[str, Any]
    path: str = ""

    def at(self, name: str) -> str:
        """Say where the field *name* stands."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, wanted: str) -> FaultError:
        """Build the error for a field that is not what it must be."""
        return invalid(f"{self.at(name)} must be {wanted}", self.at(name))

    def text(self, name: str) -> str:
        """Read a string; none is the empty one."""
        value = self.body.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def named(self, name: str) -> str:
        """Read a string that must say something."""
        value = self.text(name)
        if not value:
            raise self.wrong(name, "a string that is not empty")
        return value

    def number(self, name: str) -> float | None:
        """Read a number as it is written, whole or not."""
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, "a number")
        return value

    def integer(self, name: str) -> int | None:
        """Read a whole number."""
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, "a whole number")
        return value

    def count(self, name: str) -> int | None:
        """Read a whole number above zero."""
        value = self.integer(name)
        if value is not None and value < 1:
            raise self.wrong(name, "at least 1")
        return value

    def flag(self, name: str) -> bool | None:
        """Read true or false."""
        value = self.body.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise self.wrong(name, "true or false")

    def object(self, name: str) -> "Fields | None":
        """Read an object."""
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Fields(value, self.at(name))

    def array(self, name: str) -> list[Any]:
        """Read a list; none is the empty one."""
        value = self.body.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "a list")
        return value

    def objects(self, name: str) -> "list[Fields]":
        """Read a list of objects."""
        found = []
        for index, value in enumerate(self.array(name)):
            path = f"{self.at(name)}[{index}]"
            if not isinstance(value, dict):
                raise invalid(f"{path} must be an object", path)
            found.append(Fields(value, path))
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a string or a list of strings."""
        value = self.body.get(name)
        if isinstance(value, str):
            return (value,)
        if not all(isinstance(item, str) for item in self.array(name)):
            raise self.wrong(name, "a string or a list of strings")
        return tuple(self.array(name))


def cache_mark(part: Fields) -> CacheMark | None:
    """Read Anthropic's ``cache_control``, which several chat clients send, or OpenAI's ``prompt_cache_breakpoint``."""
    control = part.object("cache_control")
    if control is not None:
        return CacheMark(control.text("ttl") or None)
    return CacheMark() if part.object("prompt_cache_breakpoint") is not None else None


def media(uri: str, where: str, kind: MediaKind, name: str = "", detail: str = "") -> Media:
    """Take a data URI apart, or keep the address of something that lies elsewhere."""
    if not uri.startswith("data:"):
        return Media(kind, "", url=uri, name=name, detail=detail)
    head = _DATA_URI.match(uri)
    if head is None:
        raise invalid(f"{where} is not a data URI", where)
    data = uri[head.end() :]
    if ";base64" not in head[2].lower():
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    mime = head[1].lower()
    kind = kind_of(mime) if kind is MediaKind.DOCUMENT else kind
    return Media(kind, mime or "text/plain", data, name=name, detail=detail)


def data_uri(attached: Media) -> str:
    """Write an attachment as one string: its address, or a data URI."""
    return attached.url or f"data:{attached.mime or 'application/octet-stream'};base64,{attached.data}"


def plain_text(attached: Media) -> str | None:
    """Read a document that is nothing but text; None for any other."""
    if attached.kind is not MediaKind.DOCUMENT or not attached.mime.startswith("text/") or not attached.data:
        return None
    try:
        text = base64.b64decode(attached.data).decode()
    except (binascii.Error, ValueError):
        return None
    return as_text(text, name=attached.name)


def output_format(declared: Fields) -> OutputFormat | None:
    """Read what form the answer must have; *declared* holds ``type`` and, at its level, the schema."""
    match declared.text("type"):
        case "json_object":
            return OutputFormat()
        case "json_schema":
            schema = declared.object("schema")
            return OutputFormat(
                schema.body if schema else {},
                declared.text("name"),
                declared.text("description"),
                declared.flag("strict"),
            )
        case "text" | "":
            return None
        case _:
            raise declared.wrong("type", "text, json_object or json_schema")


def effort_in(asked: Fields, name: str) -> Effort | None:
    """Read the word for how hard to think."""
    word = asked.text(name)
    try:
        return Effort(word) if word else None
    except ValueError:
        raise asked.wrong(name, f"one of {', '.join(effort.value for effort in Effort)}") from None


def document(file: Fields) -> Media:
    """Read a file whose data came with it: a data URI, or base64 of what is taken for a PDF."""
    data, name = file.named("file_data"), file.text("filename")
    if data.startswith("data:"):
        return media(data, file.at("file_data"), MediaKind.DOCUMENT, name)
    return Media(MediaKind.DOCUMENT, "application/pdf", data, name=name)


def function_spec(function: Fields, name: str, cache: CacheMark | None) -> ToolSpec:
    """Read what a function is for and what it takes; without parameters it takes none."""
    spec = ToolSpec(name, function.text("description"), strict=function.flag("strict"), cache=cache)
    parameters = function.object("parameters")
    return replace(spec, parameters=parameters.body) if parameters and parameters.body else spec


def input_of(custom: Fields) -> str:
    """Write the text a custom tool is called with as a function's arguments."""
    return dumps({"input": custom.text("input")})


def beyond(body: Mapping[str, Any], understood: frozenset[str], defaults: Mapping[str, Any]) -> JSON:
    """Keep the fields that are not understood, but for those that say what is the case anyway."""
    return {
        name: value
        for name, value in body.items()
        if name not in understood and value is not None and value != defaults.get(name)
    }


def own_thinking(part: Thinking) -> bool:
    """Whether a model of OpenAI signed this, hence may be shown it."""
    return part.family is Family.OPENAI and bool(part.signature)


def without(body: Mapping[str, Any], names: frozenset[str]) -> JSON:
    """Copy an object without some of its fields, and without those that say nothing."""
    return {name: value for name, value in body.items() if name not in names and value is not None}
