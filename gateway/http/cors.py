"""CORS: with an API key, every web page may send requests; without keys, only pages of this machine may.

A browser sends the POST of a page to any server, and only hides the response from the page. Without keys, a page of
another site could therefore use up the quota. With DNS rebinding there is not even a CORS check, because the browser
takes the proxy for the page's own server; such a request is recognised by its `Host`.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.server.serving import is_loopback

_WEB = frozenset({"http", "https"})
_OWN_SITES = frozenset({"same-origin", "none"})


def is_local_origin(origin: str) -> bool:
    """Whether the header *origin* of a request belongs to a page of this machine, or to a program instead of a page."""
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return False
    return is_loopback(host) if parts.scheme in _WEB else bool(parts.scheme)


def is_own_page(origin: str, host: str) -> bool:
    """Whether *origin* is a page of the proxy itself, by the *host* that it was asked as.

    Only an IP address proves that: a foreign page may have its own name lead here.
    """
    try:
        ip_address(urlsplit(origin).hostname or "")
    except ValueError:
        return False
    return urlsplit(origin).netloc == host


def is_own_host(host: str, configured: str) -> bool:
    """Whether *host*, the header Host of a request, is a name that no page of another site can have.

    It is an IP address, this machine's own name for itself, the *configured* name of the host, or not said, which no
    browser does.
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
    """Whether a request with these headers comes from a page of the proxy itself, or from a program that is no browser.

    Browsers say it in `Sec-Fetch-Site`; those that do not send it name the page in `Origin`, for *host* to be compared.
    """
    if site := fields.get("sec-fetch-site"):
        return site in _OWN_SITES
    origin = fields.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def cors_headers(origin: str, asked: str, methods: str, *, keyless: bool) -> dict[str, str]:
    """Write the CORS headers for a page of *origin*, which wants to send the headers *asked* and may use *methods*."""
    if not origin or (keyless and not is_local_origin(origin)):
        return {}
    allowed = {"Access-Control-Allow-Methods": methods, "Access-Control-Allow-Headers": asked}
    return {
        "Access-Control-Allow-Origin": origin if keyless else "*",
        "Access-Control-Expose-Headers": "*",
        **({"Vary": "Origin"} if keyless else {}),
        **{name: value for name, value in allowed.items() if value},
    }
