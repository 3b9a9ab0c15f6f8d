"""WSGI middleware for clients that append `/v1` to a base URL which already ends with it."""

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_DOUBLED: Final = re.compile(r"^/v1(?=/v1(?:beta)?/)")


def with_one_prefix(application: "WSGIApplication") -> "WSGIApplication":
    """Return an application that serves `/v1/v1/…` as `/v1/…`, before anything reads the path."""

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        if _DOUBLED.match(environ.get("PATH_INFO", "")):
            environ = {**environ, "PATH_INFO": _DOUBLED.sub("", environ["PATH_INFO"], count=1)}
        return application(environ, start_response)

    return serve
