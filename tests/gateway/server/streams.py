"""A loop for streams that takes its turns when a test wants it to, and both ends of each stream."""

import math
import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.requests.lifetime import Signal
from gateway.server.client_connection import ClientConnection
from gateway.server.options import ServerOptions
from gateway.server.stream_loop import OpenResponse, StreamLoop
from gateway.server.watch import Poll, SelectorPoll, Watch
from tests.routing.scenes import Clock

WRITE_TIMEOUT = 60.0
MUCH = b"x" * 50_000
"""More than a client's socket holds that nobody reads."""
END = b"|"
POLLS: dict[str, Callable[[], Poll]] = {"epoll": getattr(select, "epoll", SelectorPoll), "elsewhere": SelectorPoll}
"""What a loop asks for what is ready, on Linux and elsewhere."""


class Body:
    """A body that passes on what its upstream sends; a full stop ends it, or the upstream's end."""

    def __init__(self, upstream: socket.socket) -> None:
        self.is_flowing = True
        self.is_over = False
        self.due = math.inf
        self.notice = b""
        """What `check` gives; a full stop ends the body as well."""
        self.checks = 0
        self.socket = upstream

    @property
    def upstream(self) -> socket.socket | None:
        return None if self.is_over else self.socket

    def flow(self) -> bytes:
        if self.is_over:
            return b""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return b""
        return self.gives(data, ends=not data)

    def check(self) -> bytes:
        self.checks += 1
        return b"" if self.is_over else self.gives(self.notice)

    def gives(self, data: bytes, *, ends: bool = False) -> bytes:
        self.is_over = ends or data.endswith(b".")
        return data


class Unpacking(Body):
    """A body that makes three pieces of one, of which the upstream's descriptor knows nothing."""

    def __init__(self, upstream: socket.socket) -> None:
        super().__init__(upstream)
        self.stock: list[bytes] = []

    @property
    def upstream(self) -> socket.socket | None:
        return None if self.stock else super().upstream

    def flow(self) -> bytes:
        if not self.stock and (data := super().flow()):
            self.is_over = False
            self.stock = [data] * 3
        return self.gives(self.stock.pop()) if self.stock else b""


@dataclass(eq=False)
class Stream:
    """One stream with both its ends."""

    body: Any
    upstream: socket.socket
    client: socket.socket
    response: OpenResponse
    ends: list[bool]
    """Whether everything was sent, each time that the end was told."""

    @property
    def heard(self) -> bytes:
        """What the client has got and not read before."""
        try:
            return self.client.recv(1 << 20)
        except BlockingIOError:
            return b""


@dataclass
class Stage:
    """A loop that takes a turn when it is told to, on a clock that stands still otherwise."""

    clock: Clock = field(default_factory=lambda: Clock(100.0))
    drain: Signal = field(default_factory=Signal)
    watch: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        self.loop = StreamLoop(WRITE_TIMEOUT, self.drain, self.clock, self.watch)
        self.sockets: list[socket.socket] = []

    def begin(self, kind: Callable[[socket.socket], Any] = Body, upstream: socket.socket | None = None) -> Stream:
        """Hand a new stream over to the loop."""
        ours, theirs = self.pair()
        server, client = self.pair()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        connection = ClientConnection(server, None, None, ServerOptions(), self.clock)
        body, ends = kind(upstream or ours), []
        rest = OpenResponse(body, connection, connection.sendall, lambda: connection.sendall(END), ends.append)
        self.loop.add(rest)
        return Stream(body, theirs, client, rest, ends)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        pair = socket.socketpair()
        for each in pair:
            each.setblocking(False)
        self.sockets += pair
        return pair

    def turn(self, seconds: float = 0.0) -> None:
        """Let the loop take a turn so many *seconds* later."""
        self.clock.now += seconds
        self.loop._wake()
        self.loop.run_once()

    def carry(self, stream: Stream, data: bytes) -> bytes:
        """Have the upstream send *data*, all of it, to a client that reads; give what the client got."""
        got = b""
        while data or self.tells():
            if data:
                data = data[stream.upstream.send(data) :]
            self.turn()
            got += stream.heard
        return got

    def tells(self) -> bool:
        """Whether the system has something to tell the loop."""
        return bool(self.loop._watch.ready(0))

    def block(self, stream: Stream) -> None:
        """Have the upstream send until the client's socket is full."""
        while stream.response.blocked_since is None:
            stream.upstream.send(MUCH)
            self.turn()

    def close(self) -> None:
        self.loop.close()
        self.loop._run()
        for each in self.sockets:
            each.close()
        self.drain.close()

    @property
    def watched(self) -> int:
        """How many descriptors of streams are watched."""
        return len(self.loop._watch) - (1 if self.drain.is_set else 2)


class Ordered:
    """A watch that tells what has happened in an order of the test's own, after something else has."""

    def __init__(self, real: Any, first: int, meanwhile: Callable[[], object]) -> None:
        self._real = real
        self._first = first
        self._meanwhile = meanwhile

    def ready(self, seconds: float | None) -> Any:
        first = self._real._steps.get(self._first)
        found = self._real.ready(seconds)
        self._meanwhile()
        return sorted(found, key=lambda step: step is not first)

    def __len__(self) -> int:
        return len(self._real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def told_first(stage: Stage, first: socket.socket | ClientConnection, meanwhile: Callable[[], object] = bool) -> None:
    stage.loop._watch = Ordered(stage.loop._watch, first.fileno(), meanwhile)  # type: ignore[assignment]


def replaced(closed: socket.socket, connection: socket.socket) -> socket.socket:
    """Close a socket and give its number to another connection, before any other thread can take it."""
    number = closed.detach()
    os.dup2(connection.fileno(), number)
    return socket.socket(fileno=number)
