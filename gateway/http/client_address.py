"""The address of a client, also behind trusted reverse proxies."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

Address = IPv4Address | IPv6Address
_PASSED_ON_BY: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
"""The headers by which reverse proxies report the client of a request."""


class TrustedProxies:
    """The reverse proxies whose `X-Forwarded-For` is trusted: *listed* has their addresses and networks."""

    def __init__(self, listed: Iterable[str]) -> None:
        self._networks = tuple(ip_network(each, strict=False) for each in listed)

    def client_of(self, environ: Mapping[str, Any]) -> Address | None:
        """Return the address of the client of a WSGI request; None if its connection has none.

        It is the peer's address, unless the peer is a trusted proxy. Each proxy appends the address of its own client
        to `X-Forwarded-For`, so the client is the last entry that is no trusted proxy. An invalid entry ends the
        search.
        """
        client = read_address(environ.get("REMOTE_ADDR") or "")
        entries = (environ.get("HTTP_X_FORWARDED_FOR") or "").split(",")
        while client is not None and self._trusts(client) and entries:
            before = read_address(entries.pop().strip())
            if before is None:
                break
            client = before
        return client

    def passed_on(self, environ: Mapping[str, Any]) -> bool:
        """Return whether a reverse proxy has forwarded a WSGI request.

        It has if the peer is a trusted proxy, or if the request has headers that proxies add.
        """
        peer = read_address(environ.get("REMOTE_ADDR") or "")
        return (peer is not None and self._trusts(peer)) or any(environ.get(name) for name in _PASSED_ON_BY)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def is_local_peer(environ: Mapping[str, Any]) -> bool:
    """Return whether the connection of a WSGI request comes from this machine, possibly from a reverse proxy on it.

    A socket for IPv4 and IPv6 reports an IPv4 peer as an address that is mapped to IPv6, which counts here, unlike in
    `network.is_loopback`.
    """
    peer = read_address(environ.get("REMOTE_ADDR") or "")
    return peer is not None and peer.is_loopback


def read_address(text: str) -> Address | None:
    """Parse an address, which may have a port as some proxies add it; None if invalid.

    An IPv4 address that is mapped to IPv6 is returned as IPv4.
    """
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


NO_PROXIES: Final = TrustedProxies(())
