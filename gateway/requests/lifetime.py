"""The lifetime of one request, which limits every wait for it and ends waits early."""

import math
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.memory_budget import MemoryShare, unlimited_share

Clock = Callable[[], float]

TOO_LATE: Final = Fault(FaultKind.TIMEOUT, "The request took longer than the proxy allows.")
CLIENT_LEFT: Final = Fault(FaultKind.CALLER_LEFT, "The client closed its connection.")
SHUTTING_DOWN: Final = Fault(FaultKind.UNAVAILABLE, "The proxy is shutting down.", retry_after=1.0)

_READABLE: Final = getattr(select, "POLLIN", 1)
_WRITABLE: Final = getattr(select, "POLLOUT", 4)
_PEER_CLOSED: Final = getattr(select, "POLLRDHUP", 0)
"""The poll event of a connection that the peer has closed, which exists on Linux."""


class Descriptor(Protocol):
    """An object with a file descriptor that can be polled, such as a socket."""

    def fileno(self) -> int:
        """Return the file descriptor; negative if it is closed."""
        ...


class ClientSocket(Descriptor, Protocol):
    """The connection to a client, with the methods that detect its end."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read bytes, with the flags of the platform."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Interest:
    """The condition that *on* becomes readable, or with *write* writable."""

    on: Descriptor
    write: bool = False


class Signal:
    """A flag that is set once, with a descriptor that becomes readable at that moment, so that waits can watch it.

    `set` may be called from any thread and from a signal handler.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self.is_set = False

    def set(self) -> None:
        """Set the flag; a second call changes nothing."""
        self.is_set = True
        with suppress(OSError):
            self._writer.shutdown(socket.SHUT_RDWR)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._reader.fileno()

    def close(self) -> None:
        """Close the descriptors; no thread may be waiting."""
        self._reader.close()
        self._writer.close()

    def __del__(self) -> None:
        for name in ("_reader", "_writer"):
            if (end := getattr(self, name, None)) is not None:
                end.close()


class Lifetime:
    """Limits every wait of one request by its deadline, the end of the client's connection and the end of the drain.

    It is created when the request arrives, and passed to everything that waits: for a place, a token, a connection,
    the first bytes, the next ones, the client's socket. Only one thread at a time may use it.

    *seconds* is the time limit of the whole request; `limit` can shorten it later. *client* is the connection to the
    client, if there is one. *drain* is set when requests must end because of a shutdown. *memory* is what the request
    may hold; without it, that is not limited.
    """

    def __init__(
        self,
        seconds: float,
        *,
        client: ClientSocket | None = None,
        drain: Signal | None = None,
        clock: Clock = time.monotonic,
        memory: MemoryShare | None = None,
    ) -> None:
        self.clock = clock
        self.memory = memory or unlimited_share()
        self.began = clock()
        self.deadline = self.began + seconds
        """The time at which the request must be over, by `clock`."""
        self._drain = drain
        self._watch = _Watch(client, drain)

    def limit(self, seconds: float) -> None:
        """Limit the request to so many *seconds* from its beginning; this never extends it."""
        self.deadline = min(self.deadline, self.began + seconds)

    def left(self) -> float:
        """Return the seconds that remain; 0 or less if the request is late."""
        return self.deadline - self.clock()

    def check(self) -> None:
        """Raise `FaultError` if the request is late, its client has left, or the proxy must shut down."""
        self.wait((), 0.0)

    def check_deadline(self) -> float:
        """Return the seconds that remain, without a check of the client.

        Raises `FaultError` if the request is late or the proxy must shut down.
        """
        left = self.left()
        if left <= 0:
            raise FaultError(TOO_LATE)
        if self._drain is not None and self._drain.is_set:
            raise FaultError(SHUTTING_DOWN)
        return left

    def wait(self, interests: Sequence[Interest], seconds: float) -> tuple[Interest, ...]:
        """Wait for at most so many *seconds* until one of *interests* is ready; return those that are, or none.

        Raises `FaultError` as soon as the request is over. To wait again for the same interests, pass the same sequence
        object, which is faster.
        """
        ready = self._watch.poll(interests, max(0.0, min(seconds, self.check_deadline())))
        if self._watch.client_left:
            raise FaultError(CLIENT_LEFT)
        if not ready:
            self.check_deadline()
        return ready

    def sleep(self, seconds: float) -> None:
        """Sleep for so many *seconds*; raises `FaultError` as soon as the request is over."""
        until = self.clock() + seconds
        while (left := until - self.clock()) > 0:
            self.wait((), left)


class _Watch:
    """Polls the descriptors of a request; it keeps the registration of the latest interests."""

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
        """Wait for events; return the interests that are ready, and set `client_left` if the client has left."""
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
        """Set `client_left`, unless the client has sent its next request early, where no event tells the two apart."""
        if not _PEER_CLOSED and self._client is not None:
            with suppress(OSError):
                if self._client.recv(1, socket.MSG_PEEK):
                    self._poll.unregister(self._client_descriptor)
                    return
        self.client_left = True


def _wanted(interest: Interest) -> int:
    return _WRITABLE if interest.write else _READABLE


class _Poll(Protocol):
    """The methods of `select.poll` that are used."""

    def register(self, descriptor: int, events: int, /) -> None:
        """Watch a descriptor for events."""
        ...

    def unregister(self, descriptor: int, /) -> None:
        """Stop watching a descriptor."""
        ...

    def poll(self, milliseconds: int, /) -> list[tuple[int, int]]:
        """Wait for events; return pairs of descriptor and events."""
        ...


class SelectPoll:
    """A replacement for `select.poll`, which does not exist on Windows."""

    def __init__(self) -> None:
        self._events: dict[int, int] = {}

    def register(self, descriptor: int, events: int, /) -> None:
        """Watch a descriptor for events."""
        self._events[descriptor] = events

    def unregister(self, descriptor: int, /) -> None:
        """Stop watching a descriptor."""
        del self._events[descriptor]

    def poll(self, milliseconds: int, /) -> list[tuple[int, int]]:
        """Wait for events; return pairs of descriptor and events."""
        readers = [each for each, events in self._events.items() if events != _WRITABLE]
        writers = [each for each, events in self._events.items() if events == _WRITABLE]
        if not self._events:
            time.sleep(milliseconds / 1000)
            return []
        readable, writable, _ = select.select(readers, writers, (), milliseconds / 1000)
        return [*((each, _READABLE) for each in readable), *((each, _WRITABLE) for each in writable)]


_new_poll: Callable[[], _Poll] = getattr(select, "poll", SelectPoll)
