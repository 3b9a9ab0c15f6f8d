"""Network settings: which HTTP proxy is used for which host, and which certificates are trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Final, Literal

from gateway.config.service_keys import Secret

Store = Literal["certifi", "system"]
"""The authorities that are trusted: those of Mozilla, from `certifi`, or those of the operating system."""
PROXY: Final = "upstream.proxy"
"""The setting that names the HTTP proxy."""
NO_PROXY: Final = "upstream.no_proxy"
"""The setting with the hosts that are reached without an HTTP proxy."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    url: Secret
    """Its URL, with a user and a password if it requires them."""
    named_in: str = PROXY
    """The setting or the environment variable that names it."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """Selects the HTTP proxy for a host, if one is needed.

    What *exempt* lists is reached without one, as NO_PROXY says in curl, Go and requests: `*` for every host, a name
    for that host and all below it, with a leading dot, with `*.` or without, an IP address, or a network (10.0.0.0/8);
    each but `*` with a port, if it is for that port alone. Names end at dots: corp.example is not in
    notcorp.example. No name is looked up to be compared with an address. This machine itself is never reached through
    a proxy, unless *loopback* says so.
    """

    https: Proxy | None = None
    """The proxy to hosts that speak TLS."""
    http: Proxy | None = None
    """The proxy to all others."""
    exempt: Sequence[str] = ()
    exempt_in: str = NO_PROXY
    """The setting or the environment variable that says what is exempt."""
    loopback: bool = False
    unused: str = ""
    """The environment variable that names a proxy which the settings keep from being used."""

    @classmethod
    def by(cls, proxy: Proxy, *, loopback: bool = False) -> "Proxies":
        """Go through one proxy to every host."""
        return cls(proxy, proxy, loopback=loopback)

    def to(self, host: str, port: int, *, secure: bool) -> Proxy | None:
        """Give the proxy to *host*, which speaks TLS or not; none if it is reached without."""
        proxy = self.https if secure else self.http
        return None if proxy is None or self.exempts(host, port) else proxy

    def exempts(self, host: str, port: int) -> bool:
        """Tell whether *host* is reached without a proxy, even if there is one."""
        host = host.strip("[]").removesuffix(".").lower()
        if is_loopback(host):
            return not self.loopback
        address = _address(host)
        return any(_matches(entry.strip().lower(), host, address, port) for entry in self.exempt)


@dataclass(frozen=True, slots=True)
class Trust:
    """Which certificates are trusted, and how strictly they are verified."""

    store: Store | None = "certifi"
    """None trusts only the certificates in the bundles."""
    bundles: Sequence[Path] = ()
    """Files and folders of certificates in PEM that are trusted as well."""
    strict: bool | None = None
    """Whether certificates must keep to every rule of RFC 5280; by default as Python has it, from 3.13 on they must."""
    named_in: str = "upstream.ca_bundle"
    """The setting or the environment variable that names the bundles."""


@dataclass(frozen=True, slots=True)
class Network:
    """The network settings: HTTP proxies and trusted certificates."""

    proxies: Proxies = Proxies()
    trust: Trust = Trust()

    def through(self, proxy: Secret | None) -> "Network":
        """Leave it through another proxy, or none."""
        other = None if proxy is None else Proxy(proxy)
        return replace(self, proxies=replace(self.proxies, https=other, http=other))

    def trusting(self, bundle: Path) -> "Network":
        """Trust what a bundle holds in place of the bundles so far, and of the authorities that come with `certifi`."""
        store = None if self.trust.store == "certifi" else self.trust.store
        return replace(self, trust=Trust(store, (bundle,), self.trust.strict))


DIRECT: Final = Network()
"""Without a proxy, and with the authorities that Mozilla trusts."""


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine itself, by its name or address alone."""
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _matches(entry: str, host: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
    """Tell whether an *entry* of NO_PROXY is for a host, which may be an *address*."""
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
    """Split an entry into what it names and its port, which is empty if there is none."""
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
