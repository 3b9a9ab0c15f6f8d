"""Permissions: which callers may read the state of the proxy, and which may change its routing.

====================  ==========================================  ===============================================
                      reads `/metrics`, `/router/state`           changes what the proxy does
====================  ==========================================  ===============================================
an admin key exists   admin keys                                  admin keys
none exists           every caller                                every caller, from this machine alone
====================  ==========================================  ===============================================
"""

from collections.abc import Mapping
from typing import Any, Final

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.http.auth import Auth, Caller
from gateway.http.client_address import NO_PROXIES, TrustedProxies, is_local_peer

NEEDS_ADMIN: Final = (
    'This needs an admin key: send one of the keys that have "admin": true under `keys` in the proxy\'s config file.'
)
NEEDS_THIS_MACHINE: Final = (
    "This proxy has no admin key, so it accepts changes only from the machine it runs on: send the request to "
    '127.0.0.1 there, or configure a key with "admin": true under `keys` and send it.'
)


def may_read_operations(auth: Auth, caller: Caller) -> bool:
    """Return whether *caller* may read `/metrics`, `/router/state` and other reports about the proxy."""
    return caller.is_admin or not auth.has_admins


def may_change(auth: Auth, caller: Caller, environ: Mapping[str, Any], proxies: TrustedProxies = NO_PROXIES) -> bool:
    """Return whether *caller* may change the proxy while it runs. *environ* is the WSGI environment of its request.

    If there is no admin key, the connection must come from this machine, and no reverse proxy may have forwarded the
    request. A forwarded request is recognised by its headers, or because its peer is one of *proxies*.
    """
    if auth.has_admins:
        return caller.is_admin
    return is_local_peer(environ) and not proxies.passed_on(environ)


def require_reader(auth: Auth, caller: Caller) -> None:
    """Raise a `FaultError` with status 403 unless `may_read_operations` is true."""
    if not may_read_operations(auth, caller):
        raise FaultError(Fault(FaultKind.REQUEST_FORBIDDEN, NEEDS_ADMIN))


def require_changer(
    auth: Auth, caller: Caller, environ: Mapping[str, Any], proxies: TrustedProxies = NO_PROXIES
) -> None:
    """Raise a `FaultError` with status 403 unless `may_change` is true."""
    if not may_change(auth, caller, environ, proxies):
        message = NEEDS_ADMIN if auth.has_admins else NEEDS_THIS_MACHINE
        raise FaultError(Fault(FaultKind.REQUEST_FORBIDDEN, message))
