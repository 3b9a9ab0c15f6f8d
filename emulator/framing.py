"""Framing of stream events as bytes: server-sent events in several spellings, and the AWS event stream."""

import base64
import json
import random
import struct
import zlib
from collections.abc import Iterator
from enum import Enum
from typing import Any

from emulator.model_io import StreamEvent
from emulator.world import Json

EVENT_STREAM = "application/vnd.amazon.eventstream"
SSE = "text/event-stream"
_STRING = 7
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGH"
_LONGEST_PIECE = 9


class Framing(Enum):
    """The formats of a stream."""

    JSON = "json"
    AZURE = "azure"
    SPACED = "spaced"
    REPR = "repr"
    AWS_MEMBERS = "aws-members"
    AWS_CHUNKS = "aws-chunks"

    @property
    def mime(self) -> str:
        """The content type of the format."""
        return EVENT_STREAM if self in (Framing.AWS_MEMBERS, Framing.AWS_CHUNKS) else SSE


def dump(value: Any, *, ordered: bool = False) -> bytes:
    """Serialise JSON. Bytes become base64, as in AWS's APIs."""
    text = json.dumps(value, default=_blob, sort_keys=ordered, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def frame(event: StreamEvent, framing: Framing) -> bytes:
    """Encode one event."""
    match framing:
        case Framing.JSON:
            return b"data: " + _plain(event) + b"\n\n"
        case Framing.AZURE:
            return b"data: " + _plain(event, ordered=True) + b"\n\n\n"
        case Framing.SPACED:
            text = event.data if isinstance(event.data, str) else json.dumps(event.data)
            return f"data: {text}\n\n".encode()
        case Framing.REPR:
            return f"data: {event.data!r}\n\n".encode()
        case Framing.AWS_MEMBERS:
            return _aws_member(event)
        case Framing.AWS_CHUNKS:
            return _aws_chunk(event)


def aws_message(headers: dict[str, str], payload: bytes) -> bytes:
    """Encode one message of the AWS event stream."""
    block = b"".join(_aws_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return body + struct.pack(">I", zlib.crc32(body))


def split(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Split bytes at random places, even inside a character or inside `data: `."""
    start = 0
    while start < len(data):
        end = start + rng.randint(1, _LONGEST_PIECE)
        yield data[start:end]
        start = end


def _plain(event: StreamEvent, *, ordered: bool = False) -> bytes:
    """Serialise the data of an event: a string as it is, anything else as JSON."""
    return event.data.encode() if isinstance(event.data, str) else dump(event.data, ordered=ordered)


def _aws_header(name: str, value: str) -> bytes:
    """Encode one string header."""
    return (
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", _STRING, len(value.encode())) + value.encode()
    )


def _aws_event(name: str, payload: bytes, kind: str = "event") -> bytes:
    """Encode an event or an exception."""
    headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    return aws_message(headers, payload)


def _aws_member(event: StreamEvent) -> bytes:
    """Encode `{member: value}` as an event. The member is its type, the value its payload."""
    [(name, value)] = _members(event)
    if name.endswith("Exception"):
        return _aws_event(name, dump(value), "exception")
    return _aws_event(name, dump(value | {"p": _PADDING[: 4 + len(value)]}))


def _aws_chunk(event: StreamEvent) -> bytes:
    """Encode an event of a model's own stream as a chunk."""
    members = dict(_members(event))
    for name, value in members.items():
        if name.endswith("Exception"):
            return _aws_event(name, dump(value), "exception")
    encoded = base64.b64encode(dump(members)).decode()
    return _aws_event("chunk", dump({"bytes": encoded, "p": _PADDING[: 4 + len(encoded) % 16]}))


def _members(event: StreamEvent) -> list[tuple[str, Any]]:
    """Return the members of an event that is an object; none for any other."""
    return list(event.data.items()) if isinstance(event.data, dict) else []


def _blob(value: object) -> Json | str:
    """Serialise a value that JSON has no type for: bytes as base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)
