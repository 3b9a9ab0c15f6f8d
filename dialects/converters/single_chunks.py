"""Reading of single chunks of a stream, without the chunks before and after them."""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from dialects.core.conversation import JSON
from dialects.core.events import Event, Failed, Finished, Started
from dialects.core.faults import FaultKind
from dialects.framing.python_literal import parse_literal
from dialects.interface import BackendDialect

_FRAME = re.compile(r"^(?:event:[^\n]*\n)?data:")
"""The start of an SSE event, before its JSON."""

CONVERSE_KINDS = frozenset(
    {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
)
"""The names of Converse events that are not exceptions."""


class ChunkError(Enum):
    """The reason why a chunk cannot be read."""

    UNREADABLE = "it is not a JSON object"
    BROKEN = "it contradicts itself"
    UNKNOWN = "it is of an unknown kind"


@dataclass(frozen=True, slots=True)
class ChunkEvent:
    """An event of a chunk. *is_implied* tells that the event belongs to other chunks of the stream as well."""

    event: Event
    is_implied: bool = False


def within_converse(message: JSON) -> JSON | None:
    """Return the event that must come before a Converse event of a call, or None."""
    match message:
        case {"contentBlockDelta": {"delta": {"toolUse": _}, **block}}:
            index = block.get("contentBlockIndex", 0)
        case {"messageStop": {"stopReason": "tool_use"}}:
            index = 0
        case _:
            return None
    return {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "?", "name": "?"}}, "contentBlockIndex": index}}


def within_invoke(message: JSON) -> JSON | None:
    """Return the event that must come before an Invoke event of a call, or None."""
    match message:
        case {"type": "content_block_delta", "delta": {"type": "input_json_delta"}, **block}:
            index = block.get("index", 0)
        case {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}:
            index = 0
        case _:
            return None
    call = {"type": "tool_use", "id": "?", "name": "?", "input": {}}
    return {"type": "content_block_start", "index": index, "content_block": call}


def _within_nothing(_message: JSON) -> None:
    """Return None: every chunk of this dialect can be read by itself."""


@dataclass(frozen=True, slots=True)
class ChunkReader:
    """Reads single chunks of one backend's dialect, and keeps no state between them.

    *announces* tells whether a chunk may hold only the start of a response. *normalized* normalizes a chunk, *context*
    returns the event that must come before it, and *end* closes a stream. *kinds* are the names of all chunks, if they
    have names.
    """

    dialect: BackendDialect
    announces: bool = True
    normalized: Callable[[JSON], JSON] = dict
    context: Callable[[JSON], JSON | None] = _within_nothing
    end: JSON = field(default_factory=dict)
    kinds: frozenset[str] = frozenset()

    def read(self, chunk: object) -> list[ChunkEvent] | ChunkError:
        """Return the events of a chunk, which is an object, its JSON, its Python ``repr`` or an SSE event."""
        loaded = _loaded(chunk)
        if loaded is None:
            return ChunkError.UNREADABLE
        message = self.normalized(loaded)
        if message == self.end:
            return ChunkError.UNKNOWN if self.kinds else []
        before = self.context(message)
        reader = self.dialect.reader(uuid.uuid4().hex, "text/event-stream")
        implied = reader.feed(_framed(before)) if before else []
        events = reader.feed(_framed(message))
        if any(map(_is_broken, events)) or not all(isinstance(message[k], dict) for k in message.keys() & self.kinds):
            return ChunkError.BROKEN
        if not events and self.kinds and message.keys().isdisjoint(self.kinds):
            return ChunkError.UNKNOWN
        ends = [event for event in (*reader.feed(_framed(self.end)), *reader.finish()) if isinstance(event, Finished)]
        alone = self.announces and len(events) == 1
        return [
            *(ChunkEvent(event, is_implied=True) for event in implied),
            *(ChunkEvent(event, is_implied=isinstance(event, Started) and not alone) for event in events),
            *map(ChunkEvent, ends),
        ]


def _loaded(chunk: object) -> JSON | None:
    if isinstance(chunk, str):
        text = _FRAME.sub("", chunk.strip())
        try:
            chunk = json.loads(text)
        except (ValueError, RecursionError):
            chunk = _literal(text)
    return chunk if isinstance(chunk, dict) else None


def _literal(text: str) -> object:
    """Parse Python's `repr` of an object, which SAP AI Core has been seen to send instead of JSON."""
    try:
        return parse_literal(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _framed(message: JSON) -> bytes:
    """Render one SSE event."""
    return f"data: {json.dumps(message)}\n\n".encode()


def _is_broken(event: Event) -> bool:
    return isinstance(event, Failed) and event.fault.kind is FaultKind.STREAM_BROKEN
