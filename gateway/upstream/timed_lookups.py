"""Connections of urllib3 whose look-ups of host names end within the time limit of connecting.

The look-up of the operating system has no time limit, and urllib3 sets none: it takes as long as the name servers do.
"""

import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from gateway.requests.lifetime import Lifetime
from gateway.upstream.connection import Resolve, Resolver
from gateway.upstream.steps import run


def pools_with_timed_lookups(resolve: Resolve) -> Mapping[str, type[HTTPConnectionPool]]:
    """Return the classes of urllib3's connection pools, by scheme, whose connections look names up with *resolve*."""
    resolver = Resolver(resolve, time.monotonic)

    def addresses_for(connection: HTTPConnection) -> list[str]:
        """Look up the host of a connection within its timeout; raises the exceptions of urllib3 if that fails."""
        seconds = connection.timeout if isinstance(connection.timeout, int | float) else math.inf
        host = connection._dns_host.strip("[]")  # noqa: SLF001 - the name that `_new_conn` looks up
        try:
            return run(resolver.addresses(host, connection.port, time.monotonic() + seconds), Lifetime(math.inf))
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, "the look-up of the host took too long") from error
        except socket.gaierror as error:
            raise NameResolutionError(connection.host, connection, error) from error

    class Connection(HTTPConnection):
        """A connection to the first address of its host that accepts one."""

        def _new_conn(self) -> socket.socket:
            return _to_first(self, addresses_for(self), super()._new_conn)

    class SecureConnection(HTTPSConnection):
        """The same with TLS, whose certificate is checked for the name of the host."""

        def _new_conn(self) -> socket.socket:
            return _to_first(self, addresses_for(self), super()._new_conn)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


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
