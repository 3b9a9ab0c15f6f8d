"""The connection to a client, with time limits for sending and receiving."""

import select
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from gateway.requests.lifetime import Clock, Interest, Lifetime
from gateway.server.options import ServerOptions

if TYPE_CHECKING:
    from gateway.server.http_messages import Requests

_LINGER_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 4 * 1024 * 1024
_PIECE: Final = 64 * 1024
_NO_MORE: Final = "The client has stopped sending."

CONNECTION: Final = "sap_ai_proxy.connection"
"""The key of the WSGI environment under which the application finds its `ClientConnection`."""


class StalledError(TimeoutError):
    """Raised if the client has neither sent nor received anything for longer than its time limit."""


class ClientConnection:
    """A client's socket that never blocks for longer than the time limits.

    Once the `lifetime` of a request is set, every wait goes through it, and so ends at the request's deadline, when the
    client disconnects, or at the end of the drain. Only one thread at a time may use a connection.
    """

    def __init__(
        self, connection: socket.socket, client: Any, server: Any, options: ServerOptions, clock: Clock = time.monotonic
    ) -> None:
        connection.setblocking(False)
        _set_up(connection)
        self.client = client
        self.server = server
        self.lifetime: Lifetime | None = None
        """The lifetime of the current request, if the application has set it."""
        self.requests: Requests | None = None
        """The parser of this connection's requests, once one has begun. It holds bytes that were read early."""
        self.waits_to_send = True
        """Whether sending waits for a client that does not read. If not, the rest is kept for `send_unsent`."""
        self.unsent = bytearray()
        """The bytes that could not be sent yet."""
        self._socket = connection
        self._options = options
        self._clock = clock
        self._deadline: float | None = None
        self._reading = Interest(self)
        self._writing = Interest(self, write=True)

    @property
    def has_early_bytes(self) -> bool:
        """Whether bytes of the next request were read together with the previous one."""
        return self.requests is not None and self.requests.have_begun

    def fileno(self) -> int:
        """Return the descriptor of the socket; it is negative if the socket is closed."""
        return self._socket.fileno()

    def expect_head(self) -> None:
        """Give the client `header_timeout` seconds from now for all headers of the next request."""
        self._deadline = self._clock() + self._options.header_timeout

    def expect_body(self) -> None:
        """Give the client `body_timeout` seconds for each further piece of the body."""
        self._deadline = None

    def expect_rest(self, seconds: float) -> None:
        """Give the client *seconds* from now for everything that it still has to send."""
        self._deadline = self._clock() + seconds

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read available bytes, or wait for some. With *flags*, which serve to look ahead, never wait.

        The time limits also hold for a client that never pauses.
        """
        if flags:
            return self._socket.recv(size, flags)
        self._check_time()
        while True:
            try:
                return self._socket.recv(size)
            except BlockingIOError:
                self._wait(self._reading, self._read_patience(), _NO_MORE)

    def sendall(self, data: bytes, /) -> None:
        """Send all of *data* at the client's pace. Raises `StalledError` if the client stops reading."""
        if self.unsent:
            self.unsent += data
            return
        rest: bytes | memoryview = data
        while rest:
            try:
                sent = self._socket.send(rest)
                if sent == len(rest):
                    return
                rest = memoryview(rest)[sent:]
            except BlockingIOError:
                if not self.waits_to_send:
                    self.unsent += rest
                    return
                self._wait(self._writing, self._options.write_timeout, "The client has stopped reading.")

    def send_unsent(self) -> None:
        """Send as much of the kept bytes as the client accepts now."""
        with suppress(BlockingIOError):
            while self.unsent:
                del self.unsent[: self._socket.send(self.unsent)]

    def is_readable(self, seconds: float) -> bool:
        """Wait up to *seconds* for the client to send or to disconnect; return whether it did."""
        return _poll(self.fileno(), select.POLLIN, seconds)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def close_after_unread_bytes(self) -> None:
        """Close the socket so that the client receives the response, although not all of its request was read.

        Closing a socket with unread bytes resets the connection, and the client may lose the response. So the remaining
        bytes are read and discarded, up to limits of time and size.
        """
        until, left = self._clock() + _LINGER_SECONDS, _LINGER_BYTES
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            while left > 0 and self.is_readable(max(0.0, until - self._clock())):
                data = self._socket.recv(_PIECE)
                if not data:
                    break
                left -= len(data)
        self.close()

    def _check_time(self) -> None:
        """Raise `StalledError` or `FaultError` if the time for what the client sends now is over."""
        if self._deadline is not None and self._clock() > self._deadline:
            raise StalledError(_NO_MORE)
        if self.lifetime is not None:
            self.lifetime.check_deadline()

    def _read_patience(self) -> float:
        return self._options.body_timeout if self._deadline is None else max(0.0, self._deadline - self._clock())

    def _wait(self, interest: Interest, seconds: float, otherwise: str) -> None:
        if self.lifetime is not None:
            ready = bool(self.lifetime.wait((interest,), seconds))
        else:
            ready = _poll(self.fileno(), select.POLLOUT if interest.write else select.POLLIN, seconds)
        if not ready:
            raise StalledError(otherwise)


def _poll(descriptor: int, events: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, events)
    return bool(poll.poll(seconds * 1000))


_OPTIONS: Final = (
    # level             name             value
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 60),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 15),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 4),
)
"""Socket options that send small pieces at once, and detect a dead client machine after two minutes."""


def _set_up(connection: socket.socket) -> None:
    for level, name, value in _OPTIONS:
        if hasattr(socket, name):
            # The client may have disconnected, and sockets of other families do not support TCP options.
            with suppress(OSError):
                connection.setsockopt(getattr(socket, level), getattr(socket, name), value)
