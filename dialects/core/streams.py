"""Readers, rewriters and writers of the neutral stream: the interfaces, and what does not depend on a dialect."""

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
"""The largest response, in bytes, that is read."""


class EventReader(Protocol):
    """Turns bytes into events. It never raises: bytes that cannot be read end the stream with `Failed`."""

    def feed(self, data: bytes) -> list[Event]:
        """Read more bytes, which may end anywhere in a frame, and return the events that they complete."""
        ...

    def finish(self) -> list[Event]:
        """Return the last events, after the backend has closed the connection."""
        ...


class EventRewriter(ABC):
    """Rewrites the events of a stream one by one. A subclass implements `rewrite`."""

    @abstractmethod
    def rewrite(self, event: Event) -> Iterator[Event]:
        """Yield the events that replace one event."""

    def rewritten(self, events: Iterable[Event]) -> Iterator[Event]:
        """Return the events that replace *events*."""
        return chain.from_iterable(map(self.rewrite, events))


class TextFilter(Protocol):
    """Rewrites a text that arrives in pieces, which may be cut anywhere."""

    def feed(self, text: str) -> str:
        """Read the next piece, and return as much of the new text as is certain."""
        ...

    def finish(self) -> str:
        """Return what was held back, after the text has ended."""
        ...


class TextRewriter(EventRewriter):
    """Rewrites the text of blocks with filters.

    *filter_for* returns a new filter for a block, or None if the block stays unchanged.
    """

    def __init__(self, filter_for: Callable[[Text | ToolCall], TextFilter | None]) -> None:
        self._filter_for = filter_for
        self._filter: TextFilter | None = None
        self._index = 0

    def rewrite(self, event: Event) -> Iterator[Event]:
        """Yield the events that replace one event, with text as its block's filter returns it."""
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
    """Return the text of a block, and the block without it."""
    if isinstance(block, ToolCall):
        return block.arguments, replace(block, arguments="")
    return block.text, replace(block, text="")


class RewritingReader:
    """Returns the events of another reader, rewritten."""

    def __init__(self, reader: EventReader, rewriter: EventRewriter) -> None:
        self._reader = reader
        self._rewriter = rewriter

    def feed(self, data: bytes) -> list[Event]:
        """Read more bytes, which may end anywhere in a frame, and return the events that they complete."""
        return list(self._rewriter.rewritten(self._reader.feed(data)))

    def finish(self) -> list[Event]:
        """Return the last events, after the backend has closed the connection."""
        return list(self._rewriter.rewritten(self._reader.finish()))


class UnfoldingReader:
    """Turns a response that is not streamed into events, all at its end.

    *parse* parses the body. If it raises `FaultError` or another error, the stream ends with `Failed`. A response of
    more than *longest* bytes ends the stream with `Failed`, too.
    """

    def __init__(self, parse: Callable[[JSON], Completion], longest: int = _LONGEST) -> None:
        self._parse = parse
        self._longest = longest
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Event]:
        """Collect more bytes. Return no events, unless the response has become too long."""
        if self._size > self._longest:
            return []
        self._size += len(data)
        if self._size > self._longest:
            self._pieces.clear()
            return [Failed(Fault(FaultKind.STREAM_BROKEN, "The model's response is larger than this proxy accepts."))]
        self._pieces.append(data)
        return []

    def finish(self) -> list[Event]:
        """Return all events of the response."""
        if self._size > self._longest:
            return []
        try:
            return list(unfold(self._parse(loads(b"".join(self._pieces)))))
        except FaultError as error:
            return [Failed(error.fault)]
        except UNREADABLE:
            return [Failed(NONSENSE)]


class StreamWriter(Protocol):
    """Turns events into the bytes of a client's stream."""

    def write(self, events: Iterable[Event]) -> bytes:
        """Render events as bytes."""
        ...
