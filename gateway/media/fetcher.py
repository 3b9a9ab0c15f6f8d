"""The fetcher of URLs that callers name: from public addresses only, within limits of size and time.

A host name is looked up once, and the connection goes to the address that was checked, so that a second look-up cannot
lead to another address. An HTTP proxy also gets the address and not the name, because it would look up the name again.
"""

import socket
import threading
import time
from collections.abc import Callable, Container, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from dialects.core.faults import FaultError, invalid
from gateway.config.network import DIRECT, Network
from gateway.media.inline import Fetched, Reserve
from gateway.media.networks import is_public
from gateway.upstream.connection import HttpProxy
from gateway.upstream.trust import TrustStore

_MOST_BYTES = 20 * 1024 * 1024
_COPIES = 2
"""How often the bytes that were read are in memory."""
_SECONDS = 15.0
_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}
_TARGET = "%/?#[]@!$&'()*+,;=:~"
"""The characters of a path or a query that are not percent-encoded."""
_OPEN_PORTS = frozenset({80, 443})

Resolve = Callable[[str, int], list[str]]
"""Returns the IP addresses of a host."""


def addresses_of(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host; blocks."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class MediaFetcher:
    """Fetches URLs, without keeping connections.

    *most* is the maximum size in bytes, and *seconds* the time limit of one fetch. *ports* are the allowed ports: those
    of web servers, because others belong to other services. *network* has the proxies and the trusted certificates.
    """

    def __init__(
        self,
        *,
        network: Network = DIRECT,
        resolve: Resolve = addresses_of,
        allows: Callable[[str], bool] = is_public,
        ports: Container[int] = _OPEN_PORTS,
        most: int = _MOST_BYTES,
        seconds: float = _SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._proxies = network.proxies
        self._trust = TrustStore(network.trust)
        self._resolve = resolve
        self._allows = allows
        self._ports = ports
        self._most = most
        self._seconds = seconds
        self._clock = clock

    def __call__(self, url: str, room: int = _MOST_BYTES, reserve: Reserve = lambda _: None) -> Fetched:
        """Fetch *url* with at most *room* bytes; raises a `FaultError` whose message tells the caller why it failed.

        *reserve* is called with the number of bytes before they are kept.
        """
        until = self._clock() + self._seconds
        try:
            for _ in range(_REDIRECTS + 1):
                found = self._get(url, until, room, reserve)
                if isinstance(found, Fetched):
                    return found
                url = urljoin(url, found)
                if self._clock() >= until:
                    raise self._too_slow(url)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            raise self._too_slow(url) if self._clock() >= until else _refused(url, "it could not be fetched") from error
        raise _refused(url, "it redirects too often")

    def _get(self, url: str, until: float, room: int, reserve: Reserve) -> Fetched | str:
        """Fetch once; return the answer, or the target of a redirect."""
        parts = urlsplit(url)
        connection = self._connection(url, parts, until)
        try:
            connection.connect()
            with _cut_off(connection.sock, until - self._clock()):
                connection.request(
                    "GET",
                    quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_TARGET),
                    headers={"Host": parts.netloc.rpartition("@")[2], "Accept-Encoding": "identity"},
                    preload_content=False,
                )
                with closing(connection.getresponse()) as response:
                    return self._answer(url, response, until, room, reserve)
        finally:
            connection.close()

    def _answer(
        self, url: str, response: urllib3.BaseHTTPResponse, until: float, room: int, reserve: Reserve
    ) -> Fetched | str:
        if 300 <= response.status < 400 and "Location" in response.headers:
            return str(response.headers["Location"])
        if response.status != 200:
            raise _refused(url, f"the server answered with status {response.status}")
        mime = response.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip().lower()
        return Fetched(mime, self._read(url, response, until, room, reserve))

    def _connection(self, url: str, parts: SplitResult, until: float) -> HTTPConnection:
        if parts.scheme not in _PORTS or not parts.hostname:
            raise _refused(url, "only http and https URLs are supported")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        if port not in self._ports:
            raise _refused(url, "only ports 80 and 443 are allowed")
        addresses = self._resolve(parts.hostname, port)
        if not addresses or not all(map(self._allows, addresses)):
            raise _refused(url, "its address is not public")
        host, timeout = parts.hostname, max(0.1, until - self._clock())
        found = self._proxies.to(host, port, secure=parts.scheme == "https")
        proxy = HttpProxy.of(found) if found is not None else None
        first, at = (addresses[0], port) if proxy is None else (proxy.host, proxy.port)
        if parts.scheme == "http":
            connection = HTTPConnection(first, at, timeout=timeout)
        else:
            tls = self._trust.context()
            connection = HTTPSConnection(
                first, at, timeout=timeout, ssl_context=tls, server_hostname=host, assert_hostname=host
            )
        if proxy is not None:
            shown = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
            connection.set_tunnel(addresses[0], port, shown)
        return connection

    def _read(self, url: str, response: urllib3.BaseHTTPResponse, until: float, room: int, reserve: Reserve) -> bytes:
        read = bytearray()
        # `read1` returns what has arrived: waiting for a full buffer, a slow server would exceed the time limit.
        while chunk := response.read1(64 * 1024):
            reserve(_COPIES * len(chunk))
            read += chunk
            if len(read) > self._most:
                raise _refused(url, f"it is larger than {self._most} bytes")
            if len(read) > room:
                raise _refused(url, f"it is larger than {room} bytes, which is the room left in this request")
        if self._clock() >= until:
            # A body without a length looks complete when the connection is cut off.
            raise self._too_slow(url)
        return bytes(read)

    def _too_slow(self, url: str) -> FaultError:
        return _refused(url, f"it took longer than {self._seconds:g} seconds")


@contextmanager
def _cut_off(connection: socket.socket, seconds: float) -> Iterator[None]:
    """Shut down a connection if the block takes more than so many seconds, even if bytes still arrive."""

    def cut() -> None:
        with suppress(OSError):  # it is closed already
            # The `shutdown` of a TLS connection is not thread-safe.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, seconds), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _refused(url: str, why: str) -> FaultError:
    return invalid(f"Cannot fetch {url[:200]!r}: {why}.")
