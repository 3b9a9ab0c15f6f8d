"""Parsers for what both of OpenAI's dialects have: attachments, output formats, functions, instructions."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

from dialects.adapt.attachments import kind_of
from dialects.adapt.field_reader import FieldReader
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Effort,
    Media,
    MediaKind,
    Message,
    Opaque,
    OutputFormat,
    Role,
    Text,
    ToolSpec,
)
from dialects.core.faults import invalid
from dialects.framing.json_text import dumps

_MARKS = frozenset({"cache_control", "prompt_cache_breakpoint"})
_DATA_URI = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.ASCII)


def cache_mark(part: FieldReader) -> CacheMark | None:
    """Parse Anthropic's ``cache_control``, which several chat clients send, or OpenAI's ``prompt_cache_breakpoint``."""
    if _MARKS.isdisjoint(part.body):
        return None
    control = part.object("cache_control")
    if control is not None:
        return CacheMark(control.text("ttl") or None)
    return CacheMark() if part.object("prompt_cache_breakpoint") is not None else None


def media(uri: str, where: str, kind: MediaKind, name: str = "", detail: str = "") -> Media:
    """Split a data URI into its type and data, or keep the URL of data that is elsewhere."""
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


def output_format(declared: FieldReader) -> OutputFormat | None:
    """Parse the format that the answer must have. *declared* holds ``type`` and, at the same level, the schema."""
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


def effort_in(asked: FieldReader, name: str) -> Effort | None:
    """Parse the reasoning effort; raises `FaultError` for an unknown one."""
    effort = asked.text(name)
    try:
        return Effort(effort) if effort else None
    except ValueError:
        raise asked.wrong(name, f"one of {', '.join(effort.value for effort in Effort)}") from None


def document(file: FieldReader) -> Media:
    """Parse a file whose data is in the request: a data URI, or base64 that is assumed to be a PDF."""
    data, name = file.named("file_data"), file.text("filename")
    if data.startswith("data:"):
        return media(data, file.at("file_data"), MediaKind.DOCUMENT, name)
    return Media(MediaKind.DOCUMENT, "application/pdf", data, name=name)


def function_spec(function: FieldReader, name: str, cache: CacheMark | None) -> ToolSpec:
    """Parse a function. Without parameters it takes no arguments."""
    description, strict, parameters = (
        function.text("description"),
        function.flag("strict"),
        function.object("parameters"),
    )
    if parameters is None or not parameters.body:
        return ToolSpec(name, description, strict=strict, cache=cache)
    return ToolSpec(name, description, parameters.body, strict, cache)


def input_of(custom: FieldReader) -> str:
    """Return the input text of a custom tool as the JSON arguments of a function."""
    return dumps({"input": custom.text("input")})


def beyond(body: Mapping[str, Any], understood: frozenset[str], defaults: Mapping[str, Any]) -> JSON:
    """Return the fields that are neither *understood* nor None nor equal to their default."""
    return {
        name: value
        for name, value in body.items()
        if name not in understood and value is not None and value != defaults.get(name)
    }


def without(body: Mapping[str, Any], names: frozenset[str]) -> JSON:
    """Copy an object without the fields in *names*, and without those that are None."""
    return {name: value for name, value in body.items() if name not in names and value is not None}


def split_instructions(history: Sequence[Message]) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """Split a history into the instructions at its front and the rest.

    If there are only instructions, the last one is the question. A part that only another dialect has, or an unknown
    one, does not end the front; it stays in its place.
    """
    instructions: list[int] = []
    for place, message in enumerate(history):
        if _is_instruction(message):
            instructions.append(place)
        elif not _is_unknown(message):
            break
    else:
        if instructions:
            last = instructions.pop()
            history = [*history[:last], replace(history[last], role=Role.USER), *history[last + 1 :]]
    if not instructions:
        return (), tuple(history)
    system = [part for place in instructions for part in history[place].parts if isinstance(part, Text)]
    front = {*instructions}
    return tuple(system), tuple([message for place, message in enumerate(history) if place not in front])


def _is_unknown(message: Message) -> bool:
    return bool(message.parts) and all(isinstance(part, Opaque) and not part.rejection for part in message.parts)


def _is_instruction(message: Message) -> bool:
    return message.role is Role.SYSTEM and all(isinstance(part, Text) for part in message.parts)
