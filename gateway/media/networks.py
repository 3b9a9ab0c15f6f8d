"""The IP addresses and hosts that media may be fetched from: public ones, and what the settings say."""

import ipaddress
from collections.abc import Iterable
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            # https://www.iana.org/assignments/iana-ipv4-special-registry
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared with a carrier; Alibaba's metadata, 100.100.100.200
            "127.0.0.0/8",  # this machine
            "169.254.0.0/16",  # this link; metadata of most clouds, 169.254.169.254 and 169.254.170.2
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols; Oracle's metadata, 192.0.0.192
            "192.0.2.0/24",  # examples
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # relays of 6to4, out of use
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # examples
            "203.0.113.0/24",  # examples
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
            "168.63.129.16/32",  # Azure's platform, reached from its machines only
            # https://www.iana.org/assignments/iana-ipv6-special-registry, as far as it lies within 2000::/3
            "2001::/23",  # protocols: Teredo, benchmarks, ORCHID, drones
            "2001:db8::/32",  # examples
            "2002::/16",  # 6to4, out of use
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # examples
        ),
    )
)
_UNICAST = ipaddress.IPv6Network("2000::/3")
"""The allocated part of IPv6, without fc00::/7, fe80::/10, fec0::/10, 64:ff9b:1::/48, 100::/64, 5f00::/16, …"""
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""NAT64, where the last 32 bits are an IPv4 address."""


_PRIVATE: Final = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
"""The networks of organisations."""
_METADATA: Final = tuple(map(ipaddress.ip_network, ("fd00:c1::/32", "fd00:ec2::/32", "fd20:ce::/32")))
"""The parts of them in which clouds serve the metadata of a machine."""


class FetchRules:
    """The rules for the hosts that media are fetched from.

    *allow* and *deny* contain host names, names such as `*.example.com` for all hosts below example.com, and networks.

    ===============================  ===================================================================
    a host or one of its addresses   may be fetched from
    ===============================  ===================================================================
    denied by its name or address    no
    allowed by the address           yes
    allowed by the name              if the address is public or in the network of an organisation,
                                     but not at addresses of this machine, its link or the cloud
    in no list                       if the address is public
    ===============================  ===================================================================
    """

    def __init__(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        self._allowed = _Entries(allow)
        self._denied = _Entries(deny)

    def allows(self, host: str, address: str) -> bool:
        """Return whether *host* may be fetched from at *address*, which is one of its IP addresses."""
        given = ipaddress.ip_address(address.partition("%")[0])
        meant = _meant(given)
        if self._denied.has_name(host) or self._denied.has(given) or self._denied.has(meant):
            return False
        if self._allowed.has(meant) or _is_public(meant):
            return True
        is_private = any(meant in network for network in _PRIVATE) and not any(meant in each for each in _METADATA)
        return is_private and self._allowed.has_name(host)


class _Entries:
    """The entries of a list, which are names and networks."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._networks: list[_Network] = []
        for entry in entries:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._names.add(entry.lower())

    def has(self, ip: _Address) -> bool:
        """Return whether an address is in one of the networks."""
        return any(ip in network for network in self._networks)

    def has_name(self, host: str) -> bool:
        """Return whether a host is one of the names, or is below the name of an entry with `*.`."""
        if not self._names:
            return False
        name = host.lower().removesuffix(".")
        labels = name.split(".")
        return name in self._names or any(
            ".".join(["*", *labels[start:]]) in self._names for start in range(1, len(labels))
        )


PUBLIC_ONLY: Final = FetchRules()
"""The rules without lists."""


def is_public(address: str) -> bool:
    """Return whether an IP address is public, and not of this machine, its networks or its cloud."""
    return _is_public(_meant(ipaddress.ip_address(address.partition("%")[0])))


def _is_public(ip: _Address) -> bool:
    return (ip.version == 4 or ip in _UNICAST) and not any(ip in network for network in _SPECIAL)


def _meant(ip: _Address) -> _Address:
    """Return the IPv4 address that is embedded in an IPv6 address, else the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _TRANSLATED:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip
