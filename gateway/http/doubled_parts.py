"""WSGI middleware for paths in which clients doubled something, because of the end of their base URL.

Some clients append `/v1` to a base URL that already ends with it, and others append a path that begins with a slash to
a base URL that ends with one. A redirect would not help: some clients do not follow it, or do so without the body or
the key.
"""

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_SLASHES: Final = re.compile(r"//+")
_PREFIX: Final = re.compile(r"^/v1(?=/v1(?:beta)?/)")


def without_doubled_parts(application: "WSGIApplication") -> "WSGIApplication":
    """Return an application that serves `/v1//…` and `/v1/v1/…` as `/v1/…`, before anything reads the path."""

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ.get("PATH_INFO", "")
        if "//" in path or _PREFIX.match(path):
            environ = {**environ, "PATH_INFO": _PREFIX.sub("", _SLASHES.sub("/", path), count=1)}
        return application(environ, start_response)

    return serve
