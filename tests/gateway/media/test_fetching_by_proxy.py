"""Fetching in a network that is left through an HTTP proxy: still from the very address that was judged."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from dialects.core.faults import FaultError
from gateway.config.network import Network, Proxies, Proxy, Trust
from gateway.config.service_keys import Secret
from gateway.media.fetcher import MediaFetcher
from gateway.media.inline import Fetched
from gateway.requests.lifetime import Lifetime
from tests.gateway.peers import answer, forever
from tests.gateway.upstream.test_connecting import relaying
from tests.support.certificates import certificate

PNG = b"\x89PNG\r\n\x1a\n"
JUDGED = "203.0.113.7"
"""Where a test's names lead; no machine has this address."""


def fetcher(proxy_url: str, bundle: Path | None = None, exempt: tuple[str, ...] = ()) -> Callable[[str], Fetched]:
    proxy = Proxy(Secret(proxy_url))
    network = Network(Proxies(proxy, proxy, exempt), Trust(None, (bundle,)) if bundle else Trust())
    fetch = MediaFetcher(network=network, resolve=lambda *_: [JUDGED], allows=lambda *_: True, seconds=5.0)
    return lambda url: fetch(url, 1_000_000, Lifetime(30))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_is_told_the_address_that_was_judged_and_the_server_its_name(serve, tmp_path, scheme):
    """A proxy that looked the name up might be led to an address inside."""
    authority = certificate(tmp_path, "authority")
    tls = certificate(tmp_path, "server", authority, hosts=("pictures.example",)).server_context()
    server = serve(forever(answer(PNG)), context=tls if scheme == "https" else None)
    proxy = serve(relaying(server.port))
    fetch = fetcher(proxy.url.replace("//", "//me:p%40ss@"), authority.file)

    found = fetch(f"{scheme}://pictures.example/a.png")
    [(method, path, headers, _)] = proxy.requests
    [(_, asked, said, _)] = server.requests
    assert found.data == PNG
    assert (method, path) == ("CONNECT", f"{JUDGED}:{443 if scheme == 'https' else 80}")
    assert headers["proxy-authorization"] == f"Basic {base64.b64encode(b'me:p@ss').decode()}"
    assert (asked, said["host"], "proxy-authorization" in said) == ("/a.png", "pictures.example", False)


def test_a_proxy_gets_around_no_rule(serve):
    proxy = serve(forever(answer(PNG)))
    network = Network(Proxies.by(Proxy(Secret(proxy.url))))
    fetch = MediaFetcher(network=network, resolve=lambda *_: ["10.0.0.1"])
    with pytest.raises(FaultError, match="cannot reach it or must not fetch it"):
        fetch("https://intranet.example/a.png", 1_000_000, Lifetime(30))

    assert proxy.connections == 0


def test_a_proxy_that_refuses_is_told_as_any_other_failure(serve):
    proxy = serve(forever(answer(b"", b"403 Forbidden")))
    with pytest.raises(FaultError, match="cannot reach it or must not fetch it"):
        fetcher(proxy.url)("https://pictures.example/a.png")

    assert proxy.connections == 1
