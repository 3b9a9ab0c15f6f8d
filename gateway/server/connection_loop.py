"""Accepting connections, and waiting with those on which nothing happens; none of them takes a thread."""

import errno
import logging
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from gateway.requests.lifetime import Clock
from gateway.server.client_connection import ClientConnection
from gateway.server.options import ServerOptions
from gateway.server.thread_pool import ThreadPool

_log = logging.getLogger("sap_ai_proxy.server")
_NO_MORE_DESCRIPTORS: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_ACCEPTED_AT_ONCE: Final = 1
"""One, so that several processes share a burst of connections evenly: the busier one looks less often."""
_BACKLOG: Final = 1024
_PAUSE: Final = 0.5
"""Seconds without accepting after there were no descriptors left."""

Serve = Callable[[ClientConnection, Callable[[bool], None]], None]
"""Answers the requests on a connection; calls what it is given, once, with whether it may stay open for another."""


class ConnectionLoop:
    """Accepts connections on *listener* and has a thread `serve` each of them as soon as there is something to read.

    At most `connections` are open: beyond, the one that has been idle for longest makes room for the next, and where
    none is idle, new ones wait to be accepted. `run_once` is called by one thread, all other methods may be called
    by any.
    """

    def __init__(
        self,
        listener: socket.socket,
        serve: Serve,
        options: ServerOptions,
        pool: ThreadPool,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._address = listener.getsockname()
        self._serve = serve
        self._options = options
        self._pool = pool
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._idle: dict[ClientConnection, float] = {}
        """Connections on which nothing happens, with the time until which they may stay; the oldest is first."""
        self._finished: deque[tuple[ClientConnection, bool]] = deque()
        self._busy = 0
        self._accepting = False
        self._stopped = False
        self._resume_at: float | None = None
        self._is_short = False
        self._wake_reader, self._wake_writer = os.pipe()
        for descriptor in (self._wake_reader, self._wake_writer):
            os.set_blocking(descriptor, False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, self._awake)

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._idle) + self._busy

    @property
    def wake_descriptor(self) -> int:
        """The descriptor that wakes the loop when something is written to it, for signals to write to."""
        return self._wake_writer

    def start_accepting(self) -> None:
        """Accept connections from now on."""
        if not self._accepting and not self._stopped:
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
            self._accepting = True

    def stop_accepting(self, *, take_those_in_line: bool) -> None:
        """Accept no more connections; *take_those_in_line* says whether those that were made before still count."""
        if self._stopped:
            return
        if take_those_in_line:
            self._accept(_BACKLOG)
        self._pause_accepting()
        self._stopped = True
        self._listener.close()

    def close_idle(self) -> None:
        """Close the connections on which no request is in progress."""
        for connection in list(self._idle):
            self._close_idle(connection)

    def wake(self) -> None:
        """End the wait of `run_once`."""
        with suppress(BlockingIOError):
            os.write(self._wake_writer, b"\0")

    def run_once(self, seconds: float) -> None:
        """Wait until something happens, at most so many *seconds*, and do what it calls for."""
        now = self._clock()
        until = [now + seconds, *([self._resume_at] if self._resume_at is not None else []), *self._first_deadline()]
        for key, _ in self._selector.select(max(0.0, min(until) - now)):
            key.data()
        self._take_back()
        self._close_late()
        if not self._accepting and self._may_accept():
            self._resume_at = None
            self.start_accepting()

    def close(self) -> None:
        """Close everything; threads that serve are left alone."""
        self.stop_accepting(take_those_in_line=False)
        self.close_idle()
        self._selector.close()
        self._pool.close()

    def _first_deadline(self) -> list[float]:
        return [next(iter(self._idle.values()))] if self._idle else []

    def _awake(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake_reader, 4096)

    def _may_accept(self) -> bool:
        if self._stopped or (self._resume_at is not None and self._clock() < self._resume_at):
            return False
        return self._has_room()

    def _has_room(self) -> bool:
        return self.connections < self._options.connections or bool(self._idle)

    def _pause_accepting(self) -> None:
        if self._accepting:
            self._selector.unregister(self._listener)
            self._accepting = False

    def _accept(self, most: int = _ACCEPTED_AT_ONCE) -> None:
        for _ in range(most):
            if not self._has_room():
                self._pause_accepting()
                return
            try:
                accepted, client = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_MORE_DESCRIPTORS:
                    self._run_short(error)
                    return
                # This one was gone before it was accepted.
                continue
            self._is_short = False
            if self.connections >= self._options.connections:
                self._make_room()
            self._wait_for(ClientConnection(accepted, client, self._address, self._options, self._clock))

    def _run_short(self, error: OSError) -> None:
        """Stop accepting for a moment: there is no descriptor for one more connection."""
        if not self._is_short:
            self._is_short = True
            _log.warning("cannot accept connections for now: %s (%d are open)", error.strerror, self.connections)
        self._make_room()
        self._pause_accepting()
        self._resume_at = self._clock() + _PAUSE

    def _make_room(self) -> None:
        """Close the connection that has been idle for longest, if there is one."""
        oldest = next(iter(self._idle), None)
        if oldest is not None:
            self._close_idle(oldest)

    def _wait_for(self, connection: ClientConnection) -> None:
        """Wait for the next request of a connection."""
        try:
            self._selector.register(connection, selectors.EVENT_READ, partial(self._begin, connection))
        except (OSError, ValueError):
            connection.close()
        else:
            self._idle[connection] = self._clock() + self._options.keep_alive

    def _close_idle(self, connection: ClientConnection) -> None:
        del self._idle[connection]
        self._selector.unregister(connection)
        connection.close()

    def _close_late(self) -> None:
        now = self._clock()
        for connection in [each for each, until in self._idle.items() if until <= now]:
            self._close_idle(connection)

    def _begin(self, connection: ClientConnection) -> None:
        """Have a thread serve a connection."""
        if self._idle.pop(connection, None) is None:
            return  # it was closed to make room since the system told of it
        self._selector.unregister(connection)
        self._submit(connection)

    def _submit(self, connection: ClientConnection) -> None:
        self._busy += 1
        self._pool.submit(partial(self._serve, connection, partial(self._give_back, connection)))

    def _give_back(self, connection: ClientConnection, keep: bool) -> None:
        if not keep:
            connection.close()
        self._finished.append((connection, keep))
        self.wake()

    def _take_back(self) -> None:
        """Take the connections back that threads have finished with."""
        while self._finished:
            connection, keep = self._finished.popleft()
            self._busy -= 1
            if keep and connection.has_early_bytes:
                self._submit(connection)
            elif keep:
                self._wait_for(connection)
