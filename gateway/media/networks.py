"""Public IP addresses, by a list that does not depend on the version of Python."""

import ipaddress

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


def is_public(address: str) -> bool:
    """Return whether an IP address is public, and not of this machine, its networks or its cloud."""
    ip = _meant(ipaddress.ip_address(address.partition("%")[0]))
    return (ip.version == 4 or ip in _UNICAST) and not any(ip in network for network in _SPECIAL)


def _meant(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that is embedded in an IPv6 address, else the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _TRANSLATED:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip
