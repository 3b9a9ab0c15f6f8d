"""Streams between bytes and events: what a reader, a writer and a rewriter of events must be able to do."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Protocol

from dialects.core.events import Event


class EventReader(Protocol):
    """Bytes in, events out. Never raises: bytes that make no sense end the stream as `Failed`."""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere; give the events they complete."""
        ...

    def finish(self) -> list[Event]:
        """Give the events that are left when the connection has closed: how the stream ended."""
        ...


class EventRewriter(ABC):
    """Rewrites the events that another reader gives; a subclass says how."""

    def __init__(self, reader: EventReader) -> None:
        self._reader = reader

    @abstractmethod
    def rewrite(self, event: Event) -> Iterator[Event]:
        """Give what takes the place of one event."""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere; give the events they complete."""
        return [rewritten for event in self._reader.feed(data) for rewritten in self.rewrite(event)]

    def finish(self) -> list[Event]:
        """Give the events that are left when the connection has closed: how the stream ended."""
        return [rewritten for event in self._reader.finish() for rewritten in self.rewrite(event)]


class StreamWriter(Protocol):
    """Events in, bytes out."""

    def write(self, events: Iterable[Event]) -> bytes:
        """Render events as bytes."""
        ...
