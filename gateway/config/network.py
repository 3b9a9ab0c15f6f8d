"""Network settings: which HTTP proxy is used for which host, and which certificates are trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Final, Literal

from gateway.config.service_keys import Secret

Store = Literal["certifi", "system"]
"""A store of certificate authorities: those of Mozilla, from `certifi`, or those of the operating system."""
PROXY: Final = "upstream.proxy"
"""The setting that names the HTTP proxy."""
NO_PROXY: Final = "upstream.no_proxy"
"""The setting that lists the hosts which are reached without an HTTP proxy."""
_LOOPBACK: Final = ip_network("127.0.0.0/8"), ip_network("::1/128")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    url: Secret
    """The URL of the proxy, with a user and a password if it requires them."""
    named_in: str = PROXY
    """The setting or the environment variable that names it."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The HTTP proxies, and the hosts that are reached without one.

    The entries of *exempt* have the meaning that NO_PROXY has in curl, Go and requests. An entry is `*` for every host,
    a host name (with or without a leading `.` or `*.`) for that host and its subdomains, an IP address, or a network
    (10.0.0.0/8). An entry other than `*` may end with a port, and then applies to that port only. Names match at dots:
    corp.example does not match notcorp.example. Host names are not resolved for a comparison with addresses. This
    machine itself is reached through a proxy only if *loopback* is true.
    """

    https: Proxy | None = None
    """The proxy for hosts that are reached by TLS."""
    http: Proxy | None = None
    """The proxy for all other hosts."""
    exempt: Sequence[str] = ()
    exempt_in: str = NO_PROXY
    """The setting or the environment variable that lists the exempt hosts."""
    loopback: bool = False
    unused: str = ""
    """The environment variable that names a proxy, where `upstream.proxy` switches that proxy off."""

    @classmethod
    def by(cls, proxy: Proxy, *, loopback: bool = False) -> "Proxies":
        """Return proxies that use *proxy* for every host."""
        return cls(proxy, proxy, loopback=loopback)

    def to(self, host: str, port: int, *, secure: bool) -> Proxy | None:
        """Return the proxy for a host, or None if the host is reached directly.

        *secure* says whether it is reached by TLS.
        """
        proxy = self.https if secure else self.http
        return None if proxy is None or self.exempts(host, port) else proxy

    def exempts(self, host: str, port: int) -> bool:
        """Return whether *host* is reached directly even if there is a proxy."""
        host = host.strip("[]").removesuffix(".").lower()
        if is_this_machine(host):
            return not self.loopback
        address = _address(host)
        return any(_matches(entry.strip().lower(), host, address, port) for entry in self.exempt)


@dataclass(frozen=True, slots=True)
class Trust:
    """The certificates that are trusted, and how strictly they are verified."""

    store: Store | None = "certifi"
    """The store of trusted authorities. With None, only the certificates in *bundles* are trusted."""
    bundles: Sequence[Path] = ()
    """Files and folders of PEM certificates that are trusted in addition to the store."""
    strict: bool | None = None
    """Whether certificates must obey every rule of RFC 5280. None uses Python's default, which is true from 3.13 on."""
    named_in: str = "upstream.ca_bundle"
    """The setting or the environment variable that names the bundles."""


@dataclass(frozen=True, slots=True)
class Network:
    """The network settings: HTTP proxies and trusted certificates."""

    proxies: Proxies = Proxies()
    trust: Trust = Trust()

    def through(self, proxy: Secret | None) -> "Network":
        """Return these settings with another HTTP proxy for every host, or with none."""
        other = None if proxy is None else Proxy(proxy)
        return replace(self, proxies=replace(self.proxies, https=other, http=other))

    def trusting(self, bundle: Path) -> "Network":
        """Return these settings with *bundle* as the only bundle, and without the authorities of `certifi`."""
        store = None if self.trust.store == "certifi" else self.trust.store
        return replace(self, trust=Trust(store, (bundle,), self.trust.strict))


DIRECT: Final = Network()
"""Network settings without an HTTP proxy, and with the authorities that Mozilla trusts."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach *host*: `localhost`, an address of 127.0.0.0/8, or ::1.

    It decides who may come in, and so it is stricter than `is_this_machine`, and is the same in every version of
    Python. For the address of a peer, see `client_address.is_local_peer`.
    """
    address = _address(host)
    return host == "localhost" if address is None else any(address in network for network in _LOOPBACK)


def is_this_machine(host: str) -> bool:
    """Return whether a connection to *host* is one to this machine, judged without a lookup.

    It decides how a request goes out. In addition to what `is_loopback` accepts, these are names below `localhost`,
    which are reserved for this machine, and loopback addresses of IPv4 that are mapped to IPv6.
    """
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return is_loopback(str(mapped or address))


def _matches(entry: str, host: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
    """Return whether an entry of NO_PROXY matches a host and port; *address* is the host if it is an IP address."""
    if entry == "*":
        return True
    name, own_port = _split(entry)
    if own_port not in ("", str(port)):
        return False
    if address is None:
        name = name.removeprefix("*").removeprefix(".").removesuffix(".")
        return bool(name) and f".{host}".endswith(f".{name}")
    try:
        return address in ip_network(name, strict=False)
    except ValueError:
        return False


def _split(entry: str) -> tuple[str, str]:
    """Split an entry into its host and its port; the port is empty if the entry has none."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
