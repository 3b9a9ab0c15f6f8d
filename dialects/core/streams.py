"""Streams between bytes and events: what a reader, a writer and a rewriter of events must be able to do."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Protocol

from dialects.core.conversation import JSON, Completion, Text, ToolCall
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, unfold
from dialects.core.faults import NONSENSE, UNREADABLE, Fault, FaultError, FaultKind
from dialects.framing.json_text import loads

_LONGEST = 64 * 1024 * 1024
"""How many bytes of a whole response are read."""


class EventReader(Protocol):
    """Bytes in, events out. Never raises: bytes that make no sense end the stream as `Failed`."""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere; give the events they complete."""
        ...

    def finish(self) -> list[Event]:
        """Give the events that are left when the connection has closed: how the stream ended."""
        ...


class EventRewriter(ABC):
    """Rewrites events one by one; a subclass says how."""

    @abstractmethod
    def rewrite(self, event: Event) -> Iterator[Event]:
        """Give what takes the place of one event."""

    def rewritten(self, events: Iterable[Event]) -> Iterator[Event]:
        """Rewrite events."""
        return chain.from_iterable(map(self.rewrite, events))


class TextFilter(Protocol):
    """Takes a text in pieces, cut anywhere, and gives another."""

    def feed(self, text: str) -> str:
        """Take a piece; give what is certain by now."""
        ...

    def finish(self) -> str:
        """The text has ended: give what was held back."""
        ...


class TextRewriter(EventRewriter):
    """Sends the text of blocks through filters; *filter_for* begins one, or gives None for a block to leave alone."""

    def __init__(self, filter_for: Callable[[Text | ToolCall], TextFilter | None]) -> None:
        self._filter_for = filter_for
        self._filter: TextFilter | None = None
        self._index = 0

    def rewrite(self, event: Event) -> Iterator[Event]:
        """Give of a text what its filter gives."""
        match event:
            case BlockStarted(index, Text() | ToolCall() as block):
                self._filter, self._index = self._filter_for(block), index
                if self._filter is None:
                    yield event
                    return
                said, emptied = _emptied(block)
                yield BlockStarted(index, emptied)
                yield from self._delta(self._filter.feed(said))
            case BlockDelta(_, text) if self._filter:
                yield from self._delta(self._filter.feed(text))
            case BlockStopped() | Failed() if self._filter:
                yield from self._delta(self._filter.finish())
                self._filter = None
                yield event
            case _:
                yield event

    def _delta(self, text: str) -> Iterator[Event]:
        if text:
            yield BlockDelta(self._index, text)


def _emptied(block: Text | ToolCall) -> tuple[str, Block]:
    """Take the text out of a block."""
    if isinstance(block, ToolCall):
        return block.arguments, replace(block, arguments="")
    return block.text, replace(block, text="")


class RewritingReader:
    """Reads what another reader reads, rewritten."""

    def __init__(self, reader: EventReader, rewriter: EventRewriter) -> None:
        self._reader = reader
        self._rewriter = rewriter

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere; give the events they complete."""
        return list(self._rewriter.rewritten(self._reader.feed(data)))

    def finish(self) -> list[Event]:
        """Give the events that are left when the connection has closed: how the stream ended."""
        return list(self._rewriter.rewritten(self._reader.finish()))


class UnfoldingReader:
    """Reads a whole response as if it had been streamed: all events come at its end.

    *parse* parses its body; `FaultError` and whatever else that raises end the stream as `Failed`.
    """

    def __init__(self, parse: Callable[[JSON], Completion], longest: int = _LONGEST) -> None:
        self._parse = parse
        self._longest = longest
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere; they give no events, unless there are more of them than there may be."""
        if self._size > self._longest:
            return []
        self._size += len(data)
        if self._size > self._longest:
            self._pieces.clear()
            return [Failed(Fault(FaultKind.STREAM_BROKEN, "The model's response is larger than this proxy accepts."))]
        self._pieces.append(data)
        return []

    def finish(self) -> list[Event]:
        """Give all events of the response."""
        if self._size > self._longest:
            return []
        try:
            return list(unfold(self._parse(loads(b"".join(self._pieces)))))
        except FaultError as error:
            return [Failed(error.fault)]
        except UNREADABLE:
            return [Failed(NONSENSE)]


class StreamWriter(Protocol):
    """Events in, bytes out."""

    def write(self, events: Iterable[Event]) -> bytes:
        """Render events as bytes."""
        ...
