"""OAuth: exchanges client credentials for opaque access tokens, each of one tenant."""

import base64
import binascii
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from emulator.errors import ErrorResponse
from emulator.world import Json, Tenant

_KEPT = 10_000
_SCOPE = "uaa.resource aicore!b540.deployments.all"


class AccessTokens:
    """The valid tokens. Its lock guards them; no other lock is taken inside it."""

    def __init__(self, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self._lock = threading.Lock()
        self._register: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def issue(self, tenant: Tenant, expires_in: float) -> Json:
        """Issue a token; return the response with it."""
        token = f"{self._new_id()}.{self._new_id()}"
        with self._lock:
            self._register[token] = (tenant.name, self._clock() + expires_in)
            while len(self._register) > _KEPT:
                self._register.popitem(last=False)
        whole = int(expires_in) if expires_in == int(expires_in) else expires_in
        return {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": whole,
            "scope": _SCOPE,
            "jti": self._new_id(),
        }

    def tenant(self, header: str | None) -> str:
        """Return the tenant of an `Authorization` header; raises `ErrorResponse` as SAP AI Core's service mesh does."""
        kind, _, token = (header or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise ErrorResponse(401, "RBAC: access denied" if header else "Jwt is missing")
        with self._lock:
            found = self._register.get(token.strip())
            if found is None:
                raise ErrorResponse(401, "Jwt verification fails")
            if found[1] <= self._clock():
                del self._register[token.strip()]
                raise ErrorResponse(401, "Jwt is expired")
            return found[0]

    def revoke(self, tenant: str | None = None) -> int:
        """Revoke the tokens of a tenant, or all tokens; return how many there were."""
        with self._lock:
            revoked = [token for token, (name, _) in self._register.items() if tenant in (None, name)]
            for token in revoked:
                del self._register[token]
        return len(revoked)


def authenticate(tenant: Tenant, authorization: str | None, form: Mapping[str, str], *, certified: bool) -> None:
    """Check a token request; raises `ErrorResponse` if it is refused.

    Credentials are in the body or in a Basic header. A tenant with a certificate uses that instead.
    """
    client, secret = _basic(authorization) or (form.get("client_id"), form.get("client_secret"))
    grant = form.get("grant_type")
    if grant is None:
        raise ErrorResponse(401, {"error": "unauthorized", "error_description": "Missing grant type"})
    if grant != "client_credentials":
        raise ErrorResponse(
            400, {"error": "unsupported_grant_type", "error_description": f"Unsupported grant type: {grant}"}
        )
    if client != tenant.client_id:
        description = f"Unknown client: {client}" if client else "Client credentials missing"
        raise ErrorResponse(401, {"error": "invalid_client", "error_description": description})
    if certified and tenant.x509:
        return
    if secret != tenant.client_secret:
        raise ErrorResponse(401, {"error": "unauthorized", "error_description": "Bad credentials"})


def _basic(header: str | None) -> tuple[str, str] | None:
    """Parse Basic credentials, percent-encoded or not."""
    kind, _, encoded = (header or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (unquote(client), unquote(secret)) if "%" in client else (client, secret)
