"""Networks that tests leave by proxies on this machine, to servers on this machine."""

from pathlib import Path

from gateway.config.network import DIRECT, Network, Proxies, Proxy
from gateway.config.service_keys import Secret


def trusting(bundle: Path) -> Network:
    """Leave it without a proxy, and trust what a file holds."""
    return DIRECT.trusting(bundle)


def through(url: str, bundle: Path | None = None) -> Network:
    """Leave it through a proxy, even to this machine."""
    network = Network(Proxies.by(Proxy(Secret(url)), loopback=True))
    return network.trusting(bundle) if bundle else network
