"""The response headers that limit what browsers and caches do with an answer."""

from collections.abc import Mapping
from typing import Final

_NOSNIFF: Final = ("X-Content-Type-Options", "nosniff")
PRIVATE: Final = (_NOSNIFF, ("Cache-Control", "no-store"))
"""Headers of every answer that is no file of the page: no cache keeps it, and no browser takes it for a page."""
PRIVATE_LINES: Final = "".join(f"{name}: {value}\r\n" for name, value in PRIVATE)
"""The same headers as lines of an HTTP response, for answers that the web framework does not make."""
OF_FILES: Final[Mapping[str, str]] = {
    "Cache-Control": "no-cache",  # browsers revalidate a file each time, so an update of the proxy is seen at once
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"  # the page cannot assign strings as HTML
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    _NOSNIFF[0]: _NOSNIFF[1],
}
"""Headers of every file of the page. It loads, calls and runs nothing but its own files, and no page may frame it."""
