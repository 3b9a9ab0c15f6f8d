"""CORS: with an API key, every web page may send requests; without keys, only pages of this machine may.

A browser sends the POST of a page to any server, and only hides the response from the page. Without keys, a page of
another site could therefore use up the quota. With DNS rebinding there is not even a CORS check, because the browser
takes the proxy for the page's own server; such a request is recognised by its `Host`.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.config.network import is_loopback

_WEB = frozenset({"http", "https"})
_OWN_SITES = frozenset({"same-origin", "none"})


def is_local_origin(origin: str) -> bool:
    """Return whether *origin*, the header of that name, is a page of this machine or a program that is no web page."""
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return False
    return is_loopback(host) if parts.scheme in _WEB else bool(parts.scheme)


def is_own_page(origin: str, host: str) -> bool:
    """Return whether *origin* is a page of the proxy itself, given the *host* in the request.

    This holds for IP addresses only, because another site can make its own host name resolve to this machine.
    """
    try:
        ip_address(urlsplit(origin).hostname or "")
    except ValueError:
        return False
    return urlsplit(origin).netloc == host


def is_own_host(host: str, configured: str) -> bool:
    """Return whether *host*, the header Host of a request, is a name that no page of another site can have.

    Such a name is an IP address, `localhost` or the *configured* host. An absent header counts as well, because
    browsers always send it.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return False
    if name in {"localhost", configured.lower()} or not host:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_of_own_page(fields: Mapping[str, str], host: str) -> bool:
    """Return whether a request comes from a page of the proxy itself, or from a program that is no browser.

    Browsers send `Sec-Fetch-Site`. Those that do not are judged by `Origin`, which is compared with *host*.
    """
    if site := fields.get("sec-fetch-site"):
        return site in _OWN_SITES
    origin = fields.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def cors_headers(origin: str, asked: str, methods: str, *, keyless: bool) -> dict[str, str]:
    """Build the CORS headers of a response to a page of *origin*.

    *asked* are the request headers that the page wants to send, and *methods* the HTTP methods it may use. The result
    is empty if the page may not call the proxy.
    """
    if not origin or (keyless and not is_local_origin(origin)):
        return {}
    allowed = {"Access-Control-Allow-Methods": methods, "Access-Control-Allow-Headers": asked}
    return {
        "Access-Control-Allow-Origin": origin if keyless else "*",
        "Access-Control-Expose-Headers": "*",
        **({"Vary": "Origin"} if keyless else {}),
        **{name: value for name, value in allowed.items() if value},
    }
