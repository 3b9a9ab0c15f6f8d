"""Writing of responses to a connection: counted, delayed, split, and cut off if a fault requires it."""

import random
import select
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from emulator.faults import LONGEST, MID_STREAM, Fault, FaultKind
from emulator.framing import Framing, frame, split
from emulator.model_io import StreamEvent
from emulator.recorder import Exchange, Recorder

_GARBAGE = b"<html>\xff\xfe\x00 502 this is no event {'{\n\n\x80\x81" * 4
_LINGER = struct.pack("ii", 1, 0)


class ConnectionCut(ConnectionError):  # noqa: N818  # it is on purpose
    """Raised to drop the connection without an orderly end."""


class ClientLeft(ConnectionError):  # noqa: N818  # an event, not a mishap
    """Raised if the client has closed the connection."""


class ClientConnection:
    """The connection of a client, as far as an application can observe it."""

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection

    def has_left(self) -> bool:
        """Return whether the client has closed the connection."""
        return self._readable(0) and self._closed()

    def wait(self, seconds: float) -> None:
        """Wait for some seconds; raises `ClientLeft` if the client closes the connection meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not self._readable(left):
                return
            if self._closed():
                raise ClientLeft
            threading.Event().wait(min(left, 0.05))

    def reset(self) -> None:
        """Make the connection end with a TCP reset."""
        if self._connection is not None:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)

    def _readable(self, seconds: float) -> bool:
        """Wait until the client sends or closes something; return whether it did within *seconds*."""
        if self._connection is None:
            threading.Event().wait(seconds)
            return False
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _closed(self) -> bool:
        """Return whether the end of the client's data has been reached."""
        try:
            return self._connection is None or self._connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True


@dataclass(frozen=True, slots=True)
class Destination:
    """The connection that a response is written to, and the fault that disturbs it."""

    connection: ClientConnection
    exchange: Exchange
    fault: Fault | None
    seed: int | None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Split bytes into the pieces in which they are written."""
        if not data:
            return iter(())
        return (
            iter((data,)) if self.seed is None else split(data, random.Random(f"{self.seed}/{len(data)}/{data[:64]!r}"))
        )


class RecordedBody:
    """The body of a response, as an iterator that records how it ended before it returns the last bytes."""

    def __init__(
        self,
        pieces: Iterator[bytes],
        exchange: Exchange,
        recorder: Recorder,
        connection: ClientConnection,
        length: int | None = None,
    ) -> None:
        self._length = length
        self._pieces = pieces
        self._exchange = exchange
        self._recorder = recorder
        self._connection = connection

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._pieces)
        except StopIteration:
            self._recorder.end(self._exchange, left=False)
            raise
        except ConnectionCut:
            self._recorder.end(self._exchange, left=False)
            raise
        if self._connection.has_left():
            raise ClientLeft
        self._exchange.bytes_sent += len(piece)
        if self._exchange.bytes_sent == self._length:
            self._recorder.end(self._exchange, left=False)
        return piece

    def close(self) -> None:
        """Record that the client has left, the only reason to close a body before its end."""
        self._recorder.end(self._exchange, left=True)


def write_stream(
    out: Destination, events: Iterator[StreamEvent], framing: Framing, broken: Iterable[StreamEvent], delay: float
) -> Iterator[bytes]:
    """Write a stream until its fault ends it. *broken* are the last events if the fault is an error event."""
    kind = out.fault.kind if out.fault else None
    if kind is FaultKind.GARBAGE:
        yield _GARBAGE
        return
    for event in _until_broken(events, out.fault, broken):
        if delay and event.content:
            out.connection.wait(delay)
        out.exchange.events_sent += 1
        yield from out.pieces(frame(event, framing))
    if kind is FaultKind.CUT:
        out.connection.reset()
        raise ConnectionCut
    if kind is FaultKind.STALL:
        out.connection.wait(LONGEST)
        raise ConnectionCut


def write_whole(out: Destination, payload: bytes) -> tuple[int | None, Iterator[bytes]]:
    """Return the length to announce and the pieces of a whole response, as far as its fault allows."""
    half = payload[: len(payload) // 2]
    match out.fault.kind if out.fault else None:
        case FaultKind.DEAD:
            return 0, iter(())
        case FaultKind.GARBAGE:
            return len(_GARBAGE), iter((_GARBAGE,))
        case FaultKind.EOF:
            return None, iter((half,))
        case FaultKind.CUT | FaultKind.STALL:
            return len(payload), _broken(out, half)
        case _:
            return len(payload), out.pieces(payload)


def fail_before_response(connection: ClientConnection, kind: FaultKind) -> None:
    """Drop the connection before the first byte, at once or after a long wait."""
    if kind is FaultKind.HANG:
        connection.wait(LONGEST)
    connection.reset()
    raise ConnectionCut


def _broken(out: Destination, half: bytes) -> Iterator[bytes]:
    """Write half of a response, then stall or drop the connection."""
    yield from out.pieces(half)
    if out.fault and out.fault.kind is FaultKind.STALL:
        out.connection.wait(LONGEST)
    else:
        out.connection.reset()
    raise ConnectionCut


def _until_broken(
    events: Iterator[StreamEvent], fault: Fault | None, broken: Iterable[StreamEvent]
) -> Iterator[StreamEvent]:
    """Yield events until the fault ends the stream."""
    if fault is None or fault.kind not in MID_STREAM:
        yield from events
        return
    left = 0 if fault.kind in (FaultKind.DEAD, FaultKind.ERROR_EVENT) else fault.after_events
    for event in events:
        if event.content and left == 0:
            break
        left -= event.content
        yield event
    if fault.kind in (FaultKind.ERROR_EVENT, FaultKind.CUT_ERROR):
        yield from broken
