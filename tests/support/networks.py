"""Networks that tests leave by proxies on this machine, to servers on this machine."""

from pathlib import Path

from gateway.config.network import DIRECT, Network, Proxies, Proxy
from gateway.config.service_keys import Secret

_PROXIES = ("https_proxy", "http_proxy", "all_proxy", "no_proxy")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
VARIABLES = (*_PROXIES, *(name.upper() for name in _PROXIES), *_BUNDLES)
"""What says how the machine's own network is left, which is no test's business."""


def trusting(bundle: Path) -> Network:
    """Leave it without a proxy, and trust what a file holds."""
    return DIRECT.trusting(bundle)


def through(url: str, bundle: Path | None = None) -> Network:
    """Leave it through a proxy, even to this machine."""
    network = Network(Proxies.by(Proxy(Secret(url)), loopback=True))
    return network.trusting(bundle) if bundle else network
