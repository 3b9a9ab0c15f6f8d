"""Streams of Gemini, read and written: each ``data:`` line is a ``GenerateContentResponse``.

A stream ends with its last object. There is no ``[DONE]``, which Google's clients cannot parse.
"""

from collections.abc import Iterable

from dialects.core.conversation import JSON, Text, Thinking, Usage
from dialects.core.events import BlockDelta, BlockStarted, BlockStopped, Event, Failed, Finished, Started
from dialects.core.faults import Fault
from dialects.framing.frame_template import FrameTemplate
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame
from dialects.gemini.response import (
    PartRenderer,
    ResponseReader,
    render_body,
    render_candidate,
    render_fault,
    render_finish,
)
from dialects.gemini.vocabulary import render_grounding
from dialects.interface import Envelope


class Reader(ResponseReader):
    """Reads a stream of ``GenerateContentResponse`` objects."""

    def loads(self, frame: Frame) -> JSON | None:
        """Parse one frame. An error may come in a list of one."""
        loaded = frame.loads()
        message = loaded[0] if isinstance(loaded, list) else loaded
        if not isinstance(message, dict):
            raise TypeError("not an object")
        return message

    def continued(self, frame: Frame) -> str:
        """Return the text of a candidate's only part if it continues the open block and the candidate does not end."""
        message = frame.glance()
        candidate = message["candidates"][0]
        (part,) = candidate["content"]["parts"]
        text, kind = part["text"], Thinking if part.get("thought") is True else Text
        alone = len(part) == (2 if kind is Thinking else 1)
        said_more = candidate.get("finishReason") or candidate.get("groundingMetadata")
        if "error" in message or said_more or not (alone and kind is self._kind):
            return ""
        metadata = message.get("usageMetadata")
        if not (text and isinstance(text, str)) or (metadata and float in map(type, metadata.values())):
            return ""
        self.keep_usage(metadata or {})
        self.keep_text(text)
        return text


class Writer:
    """Writes a stream of ``GenerateContentResponse`` objects. A call is written whole, once it is complete."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._parts = PartRenderer()
        self._pieces = FrameTemplate(self._piece)

    def write(self, events: Iterable[Event]) -> bytes:
        """Render events as bytes."""
        return b"".join(self._write(event) for event in events)

    def _write(self, event: Event) -> bytes:
        match event:
            case Started():
                return b""
            case BlockDelta(_, text) if self._parts.is_text:
                return self._pieces.write(text)
            case BlockStarted() | BlockDelta() | BlockStopped():
                written = b"".join(self._frame(render_candidate([part])) for part in self._parts.take(event))
                self._pieces = FrameTemplate(self._piece)
                return written
            case Finished(stop, usage, search):
                last = render_candidate(self._parts.rest() or [{"text": ""}]) | render_finish(
                    stop, self._parts.malformed
                )
                return self._frame(last | render_grounding(search), usage)
            case Failed(fault):
                return fault_frame(fault)

    def _piece(self, text: str) -> bytes:
        return self._frame(render_candidate([self._parts.text(text)]))

    def _frame(self, candidate: JSON, usage: Usage | None = None) -> bytes:
        return Frame(dumps(render_body(candidate, self._envelope, usage))).encode()


def reader(token: str, content_type: str) -> Reader:  # noqa: ARG001 - SAP AI Core frames Gemini's streams in one way only
    """Return the reader of a streamed response."""
    return Reader(token)


def writer(envelope: Envelope) -> Writer:
    """Return the writer of a streamed response."""
    return Writer(envelope)


def fault_frame(fault: Fault) -> bytes:
    """Render a failure in a stream that has begun."""
    return Frame(dumps(render_fault(fault))).encode()
