"""The lifetime of one request: how long anything may wait on its behalf, and what ends every wait early."""

import math
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from dialects.core.faults import Fault, FaultError, FaultKind

Clock = Callable[[], float]

TOO_LATE: Final = Fault(FaultKind.TIMEOUT, "The request took longer than the proxy allows.")
CLIENT_LEFT: Final = Fault(FaultKind.CALLER_LEFT, "The client closed its connection.")
SHUTTING_DOWN: Final = Fault(FaultKind.UNAVAILABLE, "The proxy is shutting down.", retry_after=1.0)

_READABLE: Final = getattr(select, "POLLIN", 1)
_WRITABLE: Final = getattr(select, "POLLOUT", 4)
_PEER_CLOSED: Final = getattr(select, "POLLRDHUP", 0)
"""The event that tells a closed connection from one with bytes to read; Linux has it."""


class Descriptor(Protocol):
    """Something the operating system can wait for: a socket, or what offers a socket's `fileno`."""

    def fileno(self) -> int:
        """The file descriptor; negative when there is none any more."""
        ...


class ClientSocket(Descriptor, Protocol):
    """The connection to a client, as far as it is needed to see that the client has left."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read bytes; with the flags of the platform."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Interest:
    """What a wait is for: that *on* becomes readable or, with *write*, writable."""

    on: Descriptor
    write: bool = False


class Signal:
    """Something that happens once, for good, and that a wait can watch for: a descriptor that becomes readable then.

    `set` may be called from any thread and from a signal handler.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self.is_set = False

    def set(self) -> None:
        """Let it happen; a second call changes nothing."""
        self.is_set = True
        with suppress(OSError):
            self._writer.shutdown(socket.SHUT_RDWR)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._reader.fileno()

    def close(self) -> None:
        """Give the descriptors back; nobody may be waiting."""
        self._reader.close()
        self._writer.close()

    def __del__(self) -> None:
        for name in ("_reader", "_writer"):
            if (end := getattr(self, name, None)) is not None:
                end.close()


class Lifetime:
    """Bounds every wait of one request by its deadline, its client's departure, and the end of the drain.

    One is made when a request arrives and passed down to whatever waits: for a place, a token, a connection, the
    first word, the next one, the client's own socket. One thread at a time uses it.

    *seconds* is what the request may take in all; `limit` shortens it, once more is known. *client* is the
    connection to whoever asked, where there is one, and *drain* says when requests may not go on.
    """

    def __init__(
        self,
        seconds: float,
        *,
        client: ClientSocket | None = None,
        drain: Signal | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.clock = clock
        self.began = clock()
        self.deadline = self.began + seconds
        """When the request must be over, by `clock`."""
        self._drain = drain
        self._watch = _Watch(client, drain)

    def limit(self, seconds: float) -> None:
        """Let the request take at most so many *seconds* from its beginning; never more than before."""
        self.deadline = min(self.deadline, self.began + seconds)

    def left(self) -> float:
        """The seconds that remain; none or fewer when the request is over."""
        return self.deadline - self.clock()

    def check(self) -> None:
        """Raise `FaultError` if the request is over: late, without a client, or in the way of a shutdown."""
        self.wait((), 0.0)

    def check_deadline(self) -> None:
        """Raise `FaultError` if it is late, or in the way of a shutdown; whether the client is there is not asked."""
        if self.left() <= 0:
            raise FaultError(TOO_LATE)
        if self._drain is not None and self._drain.is_set:
            raise FaultError(SHUTTING_DOWN)

    def wait(self, interests: Sequence[Interest], seconds: float) -> tuple[Interest, ...]:
        """Wait until one of *interests* is ready, at most so many *seconds*; give those that are, none if none is.

        Raises `FaultError` as soon as the request is over. To wait for the same interests again is cheapest with the
        same object.
        """
        left = self.left()
        if left <= 0:
            raise FaultError(TOO_LATE)
        ready = self._watch.poll(interests, max(0.0, min(seconds, left)))
        if self._watch.client_left:
            raise FaultError(CLIENT_LEFT)
        if self._drain is not None and self._drain.is_set:
            raise FaultError(SHUTTING_DOWN)
        if not ready and left <= seconds and self.left() <= 0:
            raise FaultError(TOO_LATE)
        return ready

    def sleep(self, seconds: float) -> None:
        """Wait for nothing but time; raises `FaultError` as soon as the request is over."""
        until = self.clock() + seconds
        while (left := until - self.clock()) > 0:
            self.wait((), left)


class _Watch:
    """Asks the operating system about a request's descriptors; remembers what it asked for last."""

    def __init__(self, client: ClientSocket | None, drain: Descriptor | None) -> None:
        self.client_left = False
        self._client = client
        self._drain = drain
        self._poll = _new_poll()
        self._interests: Sequence[Interest] = ()
        self._by_descriptor: dict[int, Interest] = {}
        self._client_descriptor = -1
        if drain is not None:
            self._poll.register(drain.fileno(), _READABLE)
        if client is not None and client.fileno() >= 0:
            self._client_descriptor = client.fileno()
            self._poll.register(self._client_descriptor, _PEER_CLOSED or _READABLE)

    def poll(self, interests: Sequence[Interest], seconds: float) -> tuple[Interest, ...]:
        """Wait for an event; note a client that left, and give the interests that are ready."""
        if interests is not self._interests:
            self._watch(interests)
        found: list[Interest] = []
        for descriptor, events in self._poll.poll(math.ceil(seconds * 1000)):
            interest = self._by_descriptor.get(descriptor)
            if descriptor == self._client_descriptor and (interest is None or events & ~_wanted(interest)):
                self._look_at_client()
            if interest is not None:
                found.append(interest)
        return tuple(found)

    def _watch(self, interests: Sequence[Interest]) -> None:
        for descriptor in self._by_descriptor:
            if descriptor == self._client_descriptor:
                self._poll.register(descriptor, _PEER_CLOSED or _READABLE)
            else:
                self._poll.unregister(descriptor)
        self._interests = interests
        self._by_descriptor = {interest.on.fileno(): interest for interest in interests}
        for descriptor, interest in self._by_descriptor.items():
            watched_anyway = _PEER_CLOSED if descriptor == self._client_descriptor else 0
            self._poll.register(descriptor, _wanted(interest) | watched_anyway)

    def _look_at_client(self) -> None:
        """Tell a departure from a next request that came early, where the system's event does not."""
        if not _PEER_CLOSED and self._client is not None:
            with suppress(OSError):
                if self._client.recv(1, socket.MSG_PEEK):
                    self._poll.unregister(self._client_descriptor)
                    return
        self.client_left = True


def _wanted(interest: Interest) -> int:
    return _WRITABLE if interest.write else _READABLE


class _Poll(Protocol):
    """As much of `select.poll` as is needed."""

    def register(self, descriptor: int, events: int, /) -> None:
        """Watch a descriptor."""
        ...

    def unregister(self, descriptor: int, /) -> None:
        """Watch it no more."""
        ...

    def poll(self, milliseconds: int, /) -> list[tuple[int, int]]:
        """Wait for events; give descriptors with what happened."""
        ...


class SelectPoll:
    """`select.poll` where there is none, which is Windows."""

    def __init__(self) -> None:
        self._events: dict[int, int] = {}

    def register(self, descriptor: int, events: int, /) -> None:
        """Watch a descriptor."""
        self._events[descriptor] = events

    def unregister(self, descriptor: int, /) -> None:
        """Watch it no more."""
        del self._events[descriptor]

    def poll(self, milliseconds: int, /) -> list[tuple[int, int]]:
        """Wait for events; give descriptors with what happened."""
        readers = [each for each, events in self._events.items() if events != _WRITABLE]
        writers = [each for each, events in self._events.items() if events == _WRITABLE]
        if not self._events:
            time.sleep(milliseconds / 1000)
            return []
        readable, writable, _ = select.select(readers, writers, (), milliseconds / 1000)
        return [*((each, _READABLE) for each in readable), *((each, _WRITABLE) for each in writable)]


_new_poll: Callable[[], _Poll] = getattr(select, "poll", SelectPoll)
