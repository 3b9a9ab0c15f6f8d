"""Fetching from addresses that callers name: public ones only, within limits of size and time.

A name is looked up once and the connection goes to the very address that was
judged, so that a name cannot point elsewhere a moment later.
"""

import ipaddress
import socket
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from dialects.faults import FaultError, invalid
from gateway.media import Fetched

_MOST_BYTES = 20 * 1024 * 1024
_SECONDS = 15.0
_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}

Resolve = Callable[[str, int], list[str]]
"""Gives the IP addresses of a host."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet, and not to this machine or its networks."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return mapped.is_global and not mapped.is_multicast


def addresses_of(host: str, port: int) -> list[str]:
    """Look a host up."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class MediaFetcher:
    """Fetches what a request points at; holds no connection between two fetches.

    *most* is in bytes, *seconds* the time one fetch may take in all.
    """

    def __init__(
        self,
        *,
        resolve: Resolve = addresses_of,
        allows: Callable[[str], bool] = is_public,
        most: int = _MOST_BYTES,
        seconds: float = _SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve = resolve
        self._allows = allows
        self._most = most
        self._seconds = seconds
        self._clock = clock

    def __call__(self, url: str) -> Fetched:
        """Fetch *url*; raises `FaultError` that tells the caller why that cannot be."""
        until = self._clock() + self._seconds
        try:
            for _ in range(_REDIRECTS + 1):
                found = self._get(url, until)
                if isinstance(found, Fetched):
                    return found
                url = urljoin(url, found)
        except (HTTPError, OSError, ValueError) as error:
            raise _refused(url, "it could not be fetched") from error
        raise _refused(url, "it redirects too often")

    def _get(self, url: str, until: float) -> Fetched | str:
        """Fetch once; gives where a redirect leads."""
        parts = urlsplit(url)
        response = self._pool(url, parts, until).request(
            "GET",
            parts._replace(scheme="", netloc="", fragment="").geturl() or "/",
            headers={"Host": parts.netloc.rpartition("@")[2], "Accept-Encoding": "identity"},
            redirect=False,
            preload_content=False,
        )
        try:
            if 300 <= response.status < 400 and "Location" in response.headers:
                return str(response.headers["Location"])
            if response.status != 200:
                raise _refused(url, f"the server answered {response.status}")
            mime = response.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip().lower()
            return Fetched(mime, self._read(url, response, until))
        finally:
            response.close()

    def _pool(self, url: str, parts: SplitResult, until: float) -> urllib3.HTTPConnectionPool:
        if parts.scheme not in _PORTS or not parts.hostname:
            raise _refused(url, "only http and https addresses are fetched")
        port = parts.port or _PORTS[parts.scheme]
        addresses = self._resolve(parts.hostname, port)
        if not addresses or not all(map(self._allows, addresses)):
            raise _refused(url, "it is not a public address")
        timeout = urllib3.Timeout(total=max(0.1, until - self._clock()))
        if parts.scheme == "http":
            return urllib3.HTTPConnectionPool(addresses[0], port, timeout=timeout, retries=False)
        return urllib3.HTTPSConnectionPool(
            addresses[0],
            port,
            timeout=timeout,
            retries=False,
            server_hostname=parts.hostname,
            assert_hostname=parts.hostname,
        )

    def _read(self, url: str, response: urllib3.BaseHTTPResponse, until: float) -> bytes:
        read = bytearray()
        while chunk := response.read(64 * 1024):
            read += chunk
            if len(read) > self._most:
                raise _refused(url, f"it is larger than {self._most} bytes")
            if self._clock() > until:
                raise _refused(url, f"it takes longer than {self._seconds:g} seconds")
        return bytes(read)


def _refused(url: str, why: str) -> FaultError:
    return invalid(f"Cannot fetch {url[:200]!r}: {why}.")
