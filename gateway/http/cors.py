"""The rules for web pages: with an API key, each may send requests; without keys, only pages of this machine may.

A browser sends the POST of a page to any server, and only hides the response from the page. Without keys, a page of
another site could therefore use up the quota. It is recognised by the headers `Origin` and `Sec-Fetch-Site`. With DNS
rebinding both say that the page is the proxy's own, because the browser takes the proxy for the page's own server; such
a request is recognised by its `Host`.
"""

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from gateway.config.network import is_loopback

_WEB = frozenset({"http", "https"})
_OWN_SITES = frozenset({"same-origin", "none"})
_DOCUMENT: Final = "document"
"""The value of `Sec-Fetch-Dest` for a page in a tab, and not in a frame."""


def is_local_origin(origin: str) -> bool:
    """Return whether *origin*, the header of that name, is a page of this machine or a program that is no web page."""
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return False
    return is_loopback(host) if parts.scheme in _WEB else bool(parts.scheme)


def is_own_page(origin: str, host: str, names: Collection[str] = ()) -> bool:
    """Return whether *origin* is a page of the proxy itself, given the *host* in the request.

    This holds for IP addresses and for *names* only, because another site can make its own host name resolve to this
    machine.
    """
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.netloc == host and is_own_host(host, names)


def is_own_host(host: str, names: Collection[str]) -> bool:
    """Return whether *host*, the header Host of a request, is a name that no page of another site can have.

    Such a name is an IP address or one of *names*, in lower case. An absent header counts as well, because
    browsers always send it.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return False
    if name in names or not host:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class KeylessAccess:
    """Decides which requests a listener without keys serves, by the headers that browsers send.

    *names* are the host names under which it is served, besides localhost and all IP addresses. *any_name* serves it
    under every name. *page* is the path that a link on another site may open.
    """

    def __init__(self, *names: str, any_name: bool = False, page: str = "") -> None:
        self._names = frozenset({"localhost", *(name.lower().removesuffix(".") for name in names)})
        self._any_name = any_name
        self._page = page

    def serves_sender(self, method: str, path: str, fields: Mapping[str, str]) -> bool:
        """Return whether a request was sent by a program or by a page that may call, and not by a page of another site.

        Browsers send `Origin` with every POST, and with every request whose answer the page could read. They do not
        send it with other requests, for example of an image; `Sec-Fetch-Site` says then whose page it is.
        """
        if (origin := fields.get("origin")) is not None:
            return is_local_origin(origin) or is_own_page(origin, fields.get("host", ""), self._names)
        if fields.get("sec-fetch-site", "none") in _OWN_SITES:
            return True
        link = fields.get("sec-fetch-mode"), fields.get("sec-fetch-dest", _DOCUMENT)
        return path == self._page and method == "GET" and link == ("navigate", _DOCUMENT)

    def serves_host(self, fields: Mapping[str, str]) -> bool:
        """Return whether a request may be served under the host name that it was sent to."""
        return self._any_name or is_own_host(fields.get("host", ""), self._names)


def is_of_own_page(fields: Mapping[str, str], host: str) -> bool:
    """Return whether a request comes from a page of the proxy itself, or from a program that is no browser.

    Browsers send `Sec-Fetch-Site`. Those that do not are judged by `Origin`, which is compared with *host*.
    """
    if site := fields.get("sec-fetch-site"):
        return site in _OWN_SITES
    origin = fields.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == host
    except ValueError:
        return False


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
