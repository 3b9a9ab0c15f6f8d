"""Connections of the library `urllib3` with TCP keep-alive, and with a time limit of the head of an answer."""

import socket
import threading
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, ClassVar

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from gateway.upstream.connection import KEEP_ALIVE


def socket_options() -> list[tuple[int, int, int | bytes]]:
    """Return the options of a socket: those of urllib3, and TCP keep-alive."""
    kept = ((level, getattr(socket, name), value) for name, level, value in KEEP_ALIVE if hasattr(socket, name))
    return [*HTTPConnection.default_socket_options, *kept]


class _TimedConnection(HTTPConnection):
    """A connection that is shut down if no head of an answer arrives within *longest* seconds.

    A timeout of the socket begins anew with each byte, and http.client skips any number of interim answers.
    """

    longest: ClassVar[float]

    def getresponse(self) -> Any:
        timer = threading.Timer(self.longest, partial(_shut_down, self.sock))
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()


@lru_cache(4)
def timed_pools(longest: float) -> dict[str, Any]:
    """Return the classes of connection pools by scheme, with connections that have this time limit."""
    pools: dict[str, Any] = {}
    for scheme, pool in (("http", HTTPConnectionPool), ("https", HTTPSConnectionPool)):
        connection = type("Connection", (_TimedConnection, pool.ConnectionCls), {"longest": longest})
        pools[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})
    return pools


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        # The `shutdown` of a TLS connection is not thread-safe.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
