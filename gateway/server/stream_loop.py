"""The event loop that serves all open streams in one thread, without blocking on any of them."""

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from dialects.core.faults import FaultError
from gateway.requests.lifetime import TOO_LATE, Clock, Descriptor, Signal
from gateway.server.client_connection import ClientConnection
from gateway.server.watch import READABLE, WRITABLE, Watch

_log = logging.getLogger("sap_ai_proxy.server")
_EVERY: Final = 0.25
"""Seconds between two checks for events that are due."""

HAND_OVER: Final = "sap_ai_proxy.hand_over"
"""The key of the WSGI environment under which the application finds the function that accepts its `StreamingBody`."""


class StreamingBody(Protocol):
    """A response body that can be continued without blocking, once it `is_flowing`."""

    @property
    def is_flowing(self) -> bool:
        """Whether `flow` and `check` may be called."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the body has ended."""
        ...

    @property
    def upstream(self) -> Descriptor | None:
        """The descriptor that becomes readable when there is more. None if `flow` has data already, or at the end."""
        ...

    @property
    def due(self) -> float:
        """The time of the next `check`, on the clock of the process."""
        ...

    def flow(self) -> bytes:
        """Return the data that has arrived and was not returned yet, possibly none."""
        ...

    def check(self) -> bytes:
        """Return the data that is due without new input, possibly none."""
        ...


class OpenResponse:
    """A response whose head and first piece have been sent.

    *write* frames a piece of *body* and sends it on *connection*, and *close* sends the end of the response. *finished*
    is called once, at the end, with whether the response was sent completely.
    """

    def __init__(
        self,
        body: StreamingBody,
        connection: ClientConnection,
        write: Callable[[bytes], None],
        close: Callable[[], None],
        finished: Callable[[bool], None],
    ) -> None:
        self.body = body
        self.connection = connection
        self.write = write
        self.close = close
        self.finished = finished
        self.is_closed = False
        """Whether the end of the response was sent or is in the unsent rest."""
        self.blocked_since: float | None = None
        """The time since which the client has not read, or None if it reads."""
        self.has_early_bytes = False
        """Whether the client has sent bytes that belong to its next request."""
        self.watched_upstream = self.watched_client = -1
        """The descriptors that the loop watches for this response."""
        self.client_events = 0


class StreamLoop:
    """Relays streams: it sends the data of each upstream to its client at once, in one thread for all.

    While a client does not read, its upstream is not read either. The stream ends if that lasts longer than
    *write_timeout* seconds, or if the client disconnects. When *drain* is set, every stream ends with an error event.
    Any thread may call `add`, even before `start`.
    """

    def __init__(
        self, write_timeout: float, drain: Signal, clock: Clock = time.monotonic, watch: Watch | None = None
    ) -> None:
        self._write_timeout = write_timeout
        self._drain = drain
        self._clock = clock
        self._watch = watch or Watch()
        self._added: deque[OpenResponse] = deque()
        self._open: set[OpenResponse] = set()
        self._looks_at = 0.0
        self._closed = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        self._watch.add(self._wake_reader.fileno(), READABLE, self._awake)
        self._drain_descriptor = drain.fileno()
        self._watch.add(self._drain_descriptor, READABLE, self._end_all)

    @property
    def streams(self) -> int:
        """The number of streams that have begun and not ended."""
        return len(self._open)

    def start(self) -> None:
        """Start the thread of the loop."""
        threading.Thread(target=self._run, name="streams", daemon=True).start()

    def add(self, response: OpenResponse) -> None:
        """Take over *response*."""
        self._added.append(response)
        self._wake()

    def close(self) -> None:
        """End the thread of the loop. Open streams are left as they are."""
        self._closed = True
        self._wake()

    def run_once(self) -> None:
        """Wait for events, and handle them."""
        for step in self._watch.ready(max(0.0, self._looks_at - self._clock()) if self._open else None):
            step()
        while self._added:
            self._begin(self._added.popleft())
        now = self._clock()
        if now >= self._looks_at:
            self._looks_at = now + _EVERY
            for response in list(self._open):
                self._take_step(response, self._look)

    def _run(self) -> None:
        while not self._closed:
            self.run_once()
        self._watch.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _wake(self) -> None:
        with suppress(OSError):  # it is closed, or will wake anyway
            self._wake_writer.send(b"\0")

    def _awake(self) -> None:
        self._wake_reader.recv(4096)

    def _end_all(self) -> None:
        self._watch.remove(self._drain_descriptor)
        for response in list(self._open):
            self._take_step(response, self._check)

    def _begin(self, response: OpenResponse) -> None:
        self._open.add(response)
        response.connection.waits_to_send = False
        self._take_step(response, self._check if self._drain.is_set else self._flow)
        self._take_step(response, self._wait_for)

    def _take_step(self, response: OpenResponse, step: Callable[[OpenResponse], None]) -> None:
        """Call *step* for a stream that is still open. An error ends this stream only."""
        if response not in self._open:
            return
        try:
            step(response)
        except (OSError, FaultError) as error:
            # The client has disconnected or does not read. No error can be sent.
            _log.debug("a stream ended early: %s", error)
            self._finish(response, whole=False)
        except Exception:  # noqa: BLE001 - an error in one stream must not affect the others
            _log.exception("a response failed")
            self._finish(response, whole=False)

    def _flow(self, response: OpenResponse) -> None:
        """Send the data that has arrived, as far as the client accepts it."""
        body, connection = response.body, response.connection
        while True:
            if piece := body.flow():
                response.write(piece)
            gave_all = body.upstream is not None
            if gave_all and not connection.unsent:
                return
            self._go_on(response)
            if gave_all or not self._is_flowing(response):
                return

    def _is_flowing(self, response: OpenResponse) -> bool:
        """Return whether the client accepts data."""
        return response in self._open and response.blocked_since is None

    def _check(self, response: OpenResponse) -> None:
        """Send the data that is due without new input."""
        self._send(response, response.body.check())

    def _look(self, response: OpenResponse) -> None:
        """Check whether data is due, or a time limit has passed."""
        now, lifetime = self._clock(), response.connection.lifetime
        if response.blocked_since is None:
            # A client that has sent something early is no longer watched, so the body checks whether it has
            # disconnected.
            if response.has_early_bytes or now >= response.body.due:
                self._check(response)
        elif now >= response.blocked_since + self._write_timeout:
            raise TimeoutError("The client has stopped reading.")
        elif lifetime is not None and lifetime.left() <= 0:
            raise FaultError(TOO_LATE)

    def _hear(self, response: OpenResponse) -> None:
        """Handle an event of the client: it reads again, has sent something, or has disconnected."""
        if response.blocked_since is not None:
            response.connection.send_unsent()
            response.blocked_since = self._clock()
            self._go_on(response)
            if self._is_flowing(response):
                # Data that arrived in the meantime is sent before any check for a silent upstream.
                self._flow(response)
                self._take_step(response, self._wait_for)
            return
        with suppress(BlockingIOError):
            if not response.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionResetError("The client has left.")
            response.has_early_bytes = True
            self._wait_for(response)

    def _send(self, response: OpenResponse, piece: bytes) -> None:
        """Send a piece of the body."""
        if piece:
            response.write(piece)
        self._go_on(response)

    def _go_on(self, response: OpenResponse) -> None:
        """Send the end after the last piece.

        Wait for the client if it has not accepted everything, else for the upstream.
        """
        if response.body.is_over and not response.is_closed:
            response.is_closed = True
            response.close()
        is_blocked, was_blocked = bool(response.connection.unsent), response.blocked_since is not None
        if response.is_closed and not is_blocked:
            self._finish(response, whole=True)
        elif is_blocked != was_blocked:
            response.blocked_since = self._clock() if is_blocked else None
            self._wait_for(response)

    def _finish(self, response: OpenResponse, *, whole: bool) -> None:
        """Remove a response from the loop and give its connection back."""
        self._open.discard(response)
        self._watch_upstream(response, -1)
        self._watch_client(response, 0)
        response.connection.waits_to_send = True
        try:
            response.finished(whole)
        except Exception:  # noqa: BLE001 - an error in one stream must not affect the others
            _log.exception("a response failed at its end")

    def _wait_for(self, response: OpenResponse) -> None:
        """Watch exactly the events that a response waits for now."""
        is_blocked = response.blocked_since is not None
        source = None if is_blocked else response.body.upstream
        self._watch_upstream(response, source.fileno() if source is not None else -1)
        listening = 0 if response.has_early_bytes else READABLE
        self._watch_client(response, WRITABLE if is_blocked else listening)

    def _watch_upstream(self, response: OpenResponse, descriptor: int) -> None:
        if descriptor != response.watched_upstream:
            self._unwatch(response.watched_upstream)
            response.watched_upstream = -1
            if descriptor >= 0:
                step = partial(self._take_step, response, self._flow)
                self._watch.add(descriptor, READABLE, step)
                response.watched_upstream = descriptor

    def _watch_client(self, response: OpenResponse, events: int) -> None:
        if events != response.client_events:
            self._unwatch(response.watched_client)
            response.watched_client, response.client_events = -1, 0
            if events:
                descriptor = response.connection.fileno()
                self._watch.add(descriptor, events, partial(self._take_step, response, self._hear))
                response.watched_client, response.client_events = descriptor, events

    def _unwatch(self, descriptor: int) -> None:
        """Stop watching a descriptor, even one that is already closed."""
        if descriptor >= 0:
            self._watch.remove(descriptor)
