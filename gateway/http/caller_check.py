"""The check that a request passes first: its key, and without keys, whether its host and its page may be served."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.config.settings import Settings
from gateway.gateway import Gateway
from gateway.http.application import Request
from gateway.http.auth import keys_in, why_refused
from gateway.http.cors import KeylessAccess
from gateway.http.failed_keys import TOO_MANY

_OPEN_PATHS: Final = frozenset({"/health", "/ready"})
_NO_NAMES: Final = (
    "This proxy has no API keys, so it accepts requests only for localhost, IP addresses and server.allowed_hosts. "
    "Use one of these in the URL, add this host name to server.allowed_hosts, or configure "
    "secret_authentication_tokens or allow_unauthenticated."
)
_NO_PAGES: Final = (
    "This proxy has no API keys, so web pages of other sites must not call it. "
    "Configure secret_authentication_tokens, and send one of them."
)


def caller_check(gateway: Gateway, web_files: Collection[str], settings: Settings) -> Callable[[Request], None]:
    """Return the function that refuses requests without a valid key.

    Health paths, the web page with its files, and OPTIONS requests need no key. None of them reveals anything about the
    models.
    """
    open_paths = _OPEN_PATHS | {f"/web/{name}" for name in web_files}
    keyless = KeylessAccess(
        settings.host_name, *settings.server.allowed_hosts, any_name=settings.allow_unauthenticated, page="/"
    )

    def check(request: Request) -> None:
        environ = request.environ
        path = environ["PATH_INFO"]
        if gateway.auth.is_open:
            if not keyless.serves_sender(environ["REQUEST_METHOD"], path, request.fields):
                raise FaultError(Fault(FaultKind.UNAUTHENTICATED, _NO_PAGES))
            if path not in _OPEN_PATHS and not keyless.serves_host(request.fields):
                raise FaultError(Fault(FaultKind.UNAUTHENTICATED, _NO_NAMES))
        if path in open_paths or environ["REQUEST_METHOD"] == "OPTIONS" or (path == "/" and prefers_html(request)):
            return
        keys = keys_in(request.fields, request.args if environ.get("QUERY_STRING") else {})
        caller = gateway.auth.admit(keys)
        if caller is None:
            raise FaultError(_refused_keys(gateway, keys, environ))
        request.caller = caller

    return check


def _refused_keys(gateway: Gateway, keys: tuple[str, ...], environ: Mapping[str, Any]) -> Fault:
    """Return the fault for *keys* that belong to no caller. After many wrong keys it asks the client to wait."""
    if keys:
        wait = gateway.failed_keys.record(gateway.trusted_proxies.client_of(environ), len({*keys}))
        if wait is not None:
            return Fault(FaultKind.UNAUTHENTICATED, TOO_MANY, 429, retry_after=wait)
    return Fault(FaultKind.UNAUTHENTICATED, why_refused(keys))


def prefers_html(request: Request) -> bool:
    """Return whether the client prefers HTML to JSON, as browsers do."""
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]
