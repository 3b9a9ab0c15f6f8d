"""The event loop that accepts connections and waits on idle ones, which therefore need no thread."""

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
"""The number of connections accepted per round. With 1, several processes share a burst evenly, as a busier process has
fewer rounds."""
_BACKLOG: Final = 1024
_PAUSE: Final = 0.5
"""Seconds without accepting connections after the descriptors ran out."""

Serve = Callable[[ClientConnection, Callable[[bool], None]], None]
"""A function that answers the requests on a connection. It calls its second argument once, with whether to keep the
connection."""


class ConnectionLoop:
    """Accepts connections on *listener*, and hands each to a thread that calls *serve* once there is something to read.

    At most `connections` are open. Beyond that, the connection that has been idle longest is closed for a new one. If
    none is idle, new ones wait to be accepted. Only one thread may call `run_once`. Any thread may call the other
    methods.
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
        """The idle connections with the times at which they are closed; the oldest is first."""
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
        """The descriptor that wakes the loop when something is written to it, as signals do."""
        return self._wake_writer

    def start_accepting(self) -> None:
        """Start accepting connections."""
        if not self._accepting and not self._stopped:
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
            self._accepting = True

    def stop_accepting(self, *, take_those_in_line: bool) -> None:
        """Stop accepting connections. *take_those_in_line* says whether to accept those that are already waiting."""
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
        """End the wait of `run_once` early."""
        with suppress(BlockingIOError):
            os.write(self._wake_writer, b"\0")

    def run_once(self, seconds: float) -> None:
        """Wait up to *seconds* for events, and handle them."""
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
        """Close all sockets that no thread uses, and the thread pool."""
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
                # The client had disconnected before it was accepted.
                continue
            self._is_short = False
            if self.connections >= self._options.connections:
                self._make_room()
            self._wait_for(ClientConnection(accepted, client, self._address, self._options, self._clock))

    def _run_short(self, error: OSError) -> None:
        """Stop accepting for a short time because there is no descriptor for another connection."""
        if not self._is_short:
            self._is_short = True
            _log.warning("cannot accept connections for now: %s (%d are open)", error.strerror, self.connections)
        self._make_room()
        self._pause_accepting()
        self._resume_at = self._clock() + _PAUSE

    def _make_room(self) -> None:
        """Close the connection that has been idle longest, if there is one."""
        oldest = next(iter(self._idle), None)
        if oldest is not None:
            self._close_idle(oldest)

    def _wait_for(self, connection: ClientConnection) -> None:
        """Wait for the next request on a connection."""
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
        """Hand a connection to a thread."""
        if self._idle.pop(connection, None) is None:
            return  # it was closed to make room after the event was reported
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
        """Take back the connections whose threads have finished."""
        while self._finished:
            connection, keep = self._finished.popleft()
            self._busy -= 1
            if keep and connection.has_early_bytes:
                self._submit(connection)
            elif keep:
                self._wait_for(connection)
