"""What pages in browsers may do: with a key, all of them everything; without one, those of this machine only.

A browser posts to any address for any page, and only keeps the answer from it:
where no key is asked for, a foreign page could spend the quota unseen. One whose own name is made to lead here is asked
for nothing: its browser takes the proxy for the page's own server, and names it so in `Host`.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.server.serving import is_loopback

_WEB = frozenset({"http", "https"})
_OWN_SITES = frozenset({"same-origin", "none"})


def is_local_origin(origin: str) -> bool:
    """Whether *origin*, as a browser says it, is a page of this machine, or a program and no page at all."""
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
    """Whether *host*, as a request names whom it is sent to, is no name that a foreign page can have.

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
    """Say in headers what a page of *origin* may do; *asked* and *methods* are what it wants to send and may call."""
    if not origin or (keyless and not is_local_origin(origin)):
        return {}
    allowed = {"Access-Control-Allow-Methods": methods, "Access-Control-Allow-Headers": asked}
    return {
        "Access-Control-Allow-Origin": origin if keyless else "*",
        "Access-Control-Expose-Headers": "*",
        **({"Vary": "Origin"} if keyless else {}),
        **{name: value for name, value in allowed.items() if value},
    }
