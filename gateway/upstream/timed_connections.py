"""Connections of the library `urllib3` with TCP keep-alive, and with time limits that it does not have.

The look-up of a host by the operating system has no time limit, and urllib3 sets none. A timeout of a socket begins
anew with each byte, and http.client skips any number of interim answers.
"""

import math
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from gateway.requests.lifetime import Lifetime
from gateway.upstream.connection import KEEP_ALIVE, Resolve, Resolver
from gateway.upstream.steps import run


def socket_options() -> list[tuple[int, int, int | bytes]]:
    """Return the options of a socket: those of urllib3, and TCP keep-alive."""
    kept = ((level, getattr(socket, name), value) for name, level, value in KEEP_ALIVE if hasattr(socket, name))
    return [*HTTPConnection.default_socket_options, *kept]


def timed_pools(resolve: Resolve, longest: float) -> Mapping[str, Any]:
    """Return the classes of connection pools, by scheme, whose connections have time limits.

    They look hosts up with *resolve*, within the timeout of connecting, and the head of an answer must arrive within
    *longest* seconds.
    """
    limits = {"resolver": Resolver(resolve, time.monotonic), "longest": longest}
    pools = {}
    for scheme, pool in (("http", HTTPConnectionPool), ("https", HTTPSConnectionPool)):
        connection = type("Connection", (_TimedConnection, pool.ConnectionCls), limits)
        pools[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})
    return pools


class _TimedConnection(HTTPConnection):
    """A connection to the first address of its host that accepts one.

    With TLS, its certificate is checked for the name of the host.
    """

    resolver: ClassVar[Resolver]
    longest: ClassVar[float]

    def getresponse(self) -> Any:
        timer = threading.Timer(self.longest, partial(_shut_down, self.sock))
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()

    def _new_conn(self) -> socket.socket:
        return _to_first(self, self._addresses(), super()._new_conn)

    def _addresses(self) -> list[str]:
        """Look up the host within the timeout of connecting; raises the exceptions of urllib3 if that fails."""
        seconds = self.timeout if isinstance(self.timeout, int | float) else math.inf
        host = self._dns_host.strip("[]")
        try:
            return run(self.resolver.addresses(host, self.port, time.monotonic() + seconds), Lifetime(math.inf))
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "the look-up of the host took too long") from error
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error


def _to_first(
    connection: HTTPConnection, addresses: Sequence[str], connect: Callable[[], socket.socket]
) -> socket.socket:
    """Call *connect* for each address until it succeeds; raises the exception of the last one."""
    host = connection._dns_host  # noqa: SLF001 - urllib3 connects to it, and takes the name for TLS from it afterwards
    try:
        for address in addresses[:-1]:
            connection._dns_host = address  # noqa: SLF001
            with suppress(ConnectTimeoutError, NewConnectionError):
                return connect()
        connection._dns_host = addresses[-1]  # noqa: SLF001
        return connect()
    finally:
        connection._dns_host = host  # noqa: SLF001


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        # The `shutdown` of a TLS connection is not thread-safe.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
