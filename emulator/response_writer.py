"""Writing a response to a connection: counted, delayed, split and, where a fault says so, cut."""

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
    """The connection is to be dropped as it is."""


class ClientLeft(ConnectionError):  # noqa: N818  # an event, not a mishap
    """The client has left."""


class ClientConnection:
    """The connection of a client, as far as an application can know it."""

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection

    def has_left(self) -> bool:
        """Whether the client has closed its end."""
        return self._readable(0) and self._closed()

    def wait(self, seconds: float) -> None:
        """Wait, and stop waiting when the client leaves."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not self._readable(left):
                return
            if self._closed():
                raise ClientLeft
            threading.Event().wait(min(left, 0.05))

    def reset(self) -> None:
        """Let the connection end with a reset rather than in peace."""
        if self._connection is not None:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)

    def _readable(self, seconds: float) -> bool:
        """Wait for the client to say or close something."""
        if self._connection is None:
            threading.Event().wait(seconds)
            return False
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _closed(self) -> bool:
        """Whether what can be read is the end."""
        try:
            return self._connection is None or self._connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an answer goes out, and what is wrong with the way."""

    connection: ClientConnection
    exchange: Exchange
    fault: Fault | None
    seed: int | None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Cut bytes into the pieces they are written in."""
        if not data:
            return iter(())
        return (
            iter((data,)) if self.seed is None else split(data, random.Random(f"{self.seed}/{len(data)}/{data[:64]!r}"))
        )


class RecordedBody:
    """The body of an answer on its way out: an iterator that records how it ended, with its last byte at the latest."""

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
        """Whoever closes a body before its end does it because the client has left."""
        self._recorder.end(self._exchange, left=True)


def write_stream(
    out: Destination, events: Iterator[StreamEvent], framing: Framing, broken: Iterable[StreamEvent], delay: float
) -> Iterator[bytes]:
    """Write a stream, as far as its fault lets it come; *broken* is what it says last if that is an error."""
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
    """Write an answer in one piece, or in as much of it as its fault lets through; with the length to announce."""
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
    """Fail before the first byte: at once, or when the client has waited long enough."""
    if kind is FaultKind.HANG:
        connection.wait(LONGEST)
    connection.reset()
    raise ConnectionCut


def _broken(out: Destination, half: bytes) -> Iterator[bytes]:
    """Write half of an answer, and leave it at that."""
    yield from out.pieces(half)
    if out.fault and out.fault.kind is FaultKind.STALL:
        out.connection.wait(LONGEST)
    else:
        out.connection.reset()
    raise ConnectionCut


def _until_broken(
    events: Iterator[StreamEvent], fault: Fault | None, broken: Iterable[StreamEvent]
) -> Iterator[StreamEvent]:
    """Let events through until the fault wants something else."""
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
