"""The connection to a client, with limits on how long the client may take."""

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


CONNECTION: Final = "sap_ai_proxy.connection"
"""The key of the WSGI environment under which an application finds its `ClientConnection`."""


class StalledError(TimeoutError):
    """The client has sent nothing, or taken nothing, for longer than it may."""


class ClientConnection:
    """A client's socket that never blocks for longer than the client may take.

    Once there is a `lifetime` of the request,
    every wait goes through it, so that its deadline, the departure of the client and the end of the drain end it.
    One thread at a time uses a connection.
    """

    def __init__(
        self, connection: socket.socket, client: Any, server: Any, options: ServerOptions, clock: Clock = time.monotonic
    ) -> None:
        connection.setblocking(False)
        _set_up(connection)
        self.client = client
        self.server = server
        self.lifetime: Lifetime | None = None
        """The lifetime of the request that is being answered, if the application has set it."""
        self.requests: Requests | None = None
        """What reads this connection's requests, once one has come; it holds bytes that came early."""
        self.waits_to_send = True
        """Whether sending waits for a client that takes nothing; otherwise the rest is kept for `send_unsent`."""
        self.unsent = b""
        """What is kept because the client has not taken it yet."""
        self._socket = connection
        self._options = options
        self._clock = clock
        self._deadline: float | None = None
        self._reading = Interest(self)
        self._writing = Interest(self, write=True)

    @property
    def has_early_bytes(self) -> bool:
        """Whether bytes of the next request were read together with the one before."""
        return self.requests is not None and self.requests.have_begun

    def fileno(self) -> int:
        """The descriptor of the socket; negative when it is closed."""
        return self._socket.fileno()

    def expect_head(self) -> None:
        """Allow the client `header_timeout` from now on for all of the next request's headers."""
        self._deadline = self._clock() + self._options.header_timeout

    def expect_body(self) -> None:
        """Allow the client `body_timeout` for each next piece of the body."""
        self._deadline = None

    def expect_rest(self, seconds: float) -> None:
        """Allow the client so many *seconds* from now on for all that it still has to send."""
        self._deadline = self._clock() + seconds

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read what there is, or wait for it; with *flags*, which are for looking ahead, never wait."""
        if flags:
            return self._socket.recv(size, flags)
        while True:
            try:
                return self._socket.recv(size)
            except BlockingIOError:
                self._wait(self._reading, self._read_patience(), "The client has stopped sending.")

    def sendall(self, data: bytes, /) -> None:
        """Write all of *data*, as fast as the client takes it; raises `StalledError` if it does not."""
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
                    self.unsent = bytes(rest)
                    return
                self._wait(self._writing, self._options.write_timeout, "The client has stopped reading.")

    def send_unsent(self) -> None:
        """Write as much of what is kept as the client takes now."""
        data, self.unsent = self.unsent, b""
        self.sendall(data)

    def is_readable(self, seconds: float) -> bool:
        """Wait so many *seconds* for the client to send or to leave; tell whether it did."""
        return _poll(self.fileno(), select.POLLIN, seconds)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def close_after_unread_bytes(self) -> None:
        """Close the socket so that the client gets the response, although it has sent what nobody will read.

        A socket that is closed with unread bytes in it is reset, and what is on its way to the client is lost. So what
        still comes is read and dropped, for a while.
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
"""Small pieces go out at once, and a client whose machine is gone is noticed after two minutes."""


def _set_up(connection: socket.socket) -> None:
    for level, name, value in _OPTIONS:
        if hasattr(socket, name):
            # A client may be gone already, and a socket of another family knows no TCP.
            with suppress(OSError):
                connection.setsockopt(getattr(socket, level), getattr(socket, name), value)
