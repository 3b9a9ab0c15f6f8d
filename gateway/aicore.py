"""SAP AI Core as one call: the token, the headers, and what an error means."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from dialects.conversation import JSON
from dialects.errors import fault_from
from dialects.faults import Fault, FaultError, FaultKind
from dialects.jsontext import dumps
from gateway.tokens import TokenSource
from gateway.transport import Transport, Upstream
from routing.cooling import hint
from routing.policy import Timeouts
from routing.request_router import Attempt
from routing.strategy import Endpoint

_RENEWED_FOR = {FaultKind.REFUSED_CREDENTIALS: 0.0, FaultKind.DEPLOYMENT_FORBIDDEN: 60.0}
"""What a token is renewed for, and how old in seconds it must be for that."""
_TOO_LATE = Fault(FaultKind.TIMEOUT, "The request has taken all the time that it may.")


class AICore:
    """Calls deployments with a valid token, which is renewed once when it is refused.

    *tokens* and *tenants* are keyed by subaccount; a tenant id, where known,
    goes into ``AI-Tenant-Id``. *now* is seconds since the epoch, to read hints
    that are dates.
    """

    def __init__(
        self,
        transport: Transport,
        tokens: Mapping[str, TokenSource],
        tenants: Mapping[str, str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._tenants = tenants
        self._now = now

    def __call__(
        self, attempt: Attempt, body: JSON, *, stream: bool, timeouts: Timeouts, left: Callable[[], float]
    ) -> Upstream:
        """Send *body* to the endpoint of an attempt; raises `FaultError` for anything but success.

        *left* tells how many seconds the request has left; no wait is longer, and nothing is sent when there are none.
        """
        protocol = attempt.protocol
        endpoint = attempt.endpoint
        url = protocol.build_endpoint_for(endpoint.url, endpoint.backend, body, stream=stream)
        written = dumps(body).encode()
        silence = max(timeouts.first_event, timeouts.idle) if stream else timeouts.answer

        def post(identity: Mapping[str, str]) -> Upstream:
            seconds = left()
            if seconds <= 0:
                raise FaultError(_TOO_LATE)
            return self._transport.post(
                url,
                {"Content-Type": "application/json", **identity, **protocol.headers(stream)},
                written,
                stream=stream,
                connect_timeout=min(timeouts.connect, seconds),
                read_timeout=min(silence, seconds),
            )

        return self._send(endpoint, post)

    def manage(self, endpoint: Endpoint, method: str, path: str, timeouts: Timeouts) -> tuple[int, bytes]:
        """Ask *endpoint* for something it keeps at *path*; raises `FaultError` for anything but success."""
        upstream = self._send(
            endpoint,
            lambda identity: self._transport.send(
                method, endpoint.url + path, identity, None, (timeouts.connect, min(timeouts.answer, timeouts.total))
            ),
        )
        return upstream.status, upstream.read()

    def _send(self, endpoint: Endpoint, send: Callable[[Mapping[str, str]], Upstream]) -> Upstream:
        """Send with the headers that say who asks, renewing a refused token once; raises `FaultError`.

        A deployment that is forbidden may be so to an old token alone: one fetched before its rights were given.
        """
        tokens = self._tokens[endpoint.subaccount]
        token = tokens.token()
        try:
            return self._checked(send(self._identity(endpoint, token)))
        except FaultError as error:
            age = _RENEWED_FOR.get(error.fault.kind)
            if age is None or not tokens.invalidate(token, min_age=age):
                raise
        return self._checked(send(self._identity(endpoint, tokens.token())))

    def probe(self, endpoint: Endpoint, timeout: float = 5.0) -> int:
        """Ask whether *endpoint* answers at all, and with which HTTP status."""
        token = self._tokens[endpoint.subaccount].token()
        return self._transport.head(endpoint.url, self._identity(endpoint, token), timeout)

    def _identity(self, endpoint: Endpoint, token: str) -> dict[str, str]:
        tenant = self._tenants.get(endpoint.subaccount)
        return {
            "Authorization": f"Bearer {token}",
            "AI-Resource-Group": endpoint.resource_group,
            **({"AI-Tenant-Id": tenant} if tenant else {}),
        }

    def _checked(self, upstream: Upstream) -> Upstream:
        """Raise what an error answer means; its body is read, so that the connection can be used again."""
        if upstream.status < 400:
            return upstream
        try:
            body = upstream.read()
        finally:
            upstream.close()
        fault = fault_from(upstream.status, upstream.headers, body)
        told = hint(upstream.headers, body.decode("utf-8", "replace"), self._now())
        raise FaultError(replace(fault, retry_after=told))
