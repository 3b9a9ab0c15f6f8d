"""The address of whoever sent a request, behind the reverse proxies that are trusted."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

Address = IPv4Address | IPv6Address
_PASSED_ON_BY: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
"""The headers by which reverse proxies say for whom they pass on a request."""


class TrustedProxies:
    """The reverse proxies whose `X-Forwarded-For` is believed: *listed* names their addresses and networks."""

    def __init__(self, listed: Iterable[str]) -> None:
        self._networks = tuple(ip_network(each, strict=False) for each in listed)

    def client_of(self, environ: Mapping[str, Any]) -> Address | None:
        """Find the address of the client of a WSGI request; None where its connection has none.

        That is the peer's, unless the peer is a trusted proxy: each of these appends to `X-Forwarded-For` who has
        asked it, so the last entry that is no trusted proxy is the client. An entry that is no address ends the search.
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
        """Tell whether a reverse proxy has passed on a WSGI request: its peer is trusted, or its headers say so."""
        peer = read_address(environ.get("REMOTE_ADDR") or "")
        return (peer is not None and self._trusts(peer)) or any(environ.get(name) for name in _PASSED_ON_BY)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def read_address(text: str) -> Address | None:
    """Read an address, with the port that some proxies add; an IPv4 address within an IPv6 one is itself."""
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
