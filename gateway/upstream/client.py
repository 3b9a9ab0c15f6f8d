"""The client of SAP AI Core: tokens, headers, and the faults that error answers mean."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial

from dialects.core.conversation import JSON
from dialects.core.faults import Fault
from dialects.core.upstream_errors import fault_from, reason
from dialects.framing.json_text import dumps_bytes
from gateway.http.request_ids import REQUEST_ID
from gateway.requests.lifetime import Lifetime
from gateway.upstream.call_headers import call_headers
from gateway.upstream.management import Answer, ManagementClient
from gateway.upstream.stream_reader import StreamReader
from gateway.upstream.tokens import TokenSource
from gateway.upstream.transport import Call, Transport
from routing.attempts import Attempt
from routing.endpoint import Endpoint
from routing.policy import Timeouts
from routing.protocols import ProtocolHandler

_log = logging.getLogger("sap_ai_proxy.upstream")


class AICoreClient:
    """Calls deployments with a valid token. A token that is refused is renewed once.

    The keys of *tokens* and *tenants* are subaccounts. A tenant id, if known, is sent in ``AI-Tenant-Id``. *now*
    returns seconds since the epoch, to convert retry hints that are dates. *observability* are the headers that control
    what SAP AI Core records of each request.
    """

    def __init__(
        self,
        transport: Transport,
        management: ManagementClient,
        tokens: Mapping[str, TokenSource],
        tenants: Mapping[str, str],
        now: Callable[[], float] = time.time,
        observability: Mapping[str, str] | None = None,
    ) -> None:
        self._transport = transport
        self._management = management
        self._tokens = tokens
        self._fixed = {
            name: {**({"AI-Tenant-Id": tenants[name]} if tenants.get(name) else {}), **(observability or {})}
            for name in tokens
        }
        """The headers that are the same for every call, by subaccount."""
        self._now = now

    def begin(
        self,
        attempt: Attempt,
        body: JSON,
        *,
        stream: bool,
        timeouts: Timeouts,
        lifetime: Lifetime,
        headers: Mapping[str, str],
    ) -> StreamReader:
        """Prepare to send *body* to the endpoint of an attempt. Nothing is sent until the reader is used.

        *headers* are those of the request; the headers of the protocol and of the endpoint are added.
        """
        protocol, endpoint = attempt.protocol, attempt.endpoint
        url = protocol.build_endpoint_for(endpoint.url, endpoint.backend, body, stream=stream)
        sent = {**headers, "Content-Type": "application/json", **protocol.headers(stream)}
        return self._reader(endpoint, "POST", url, sent, dumps_bytes(body), timeouts, lifetime)

    def manage(
        self, endpoint: Endpoint, method: str, path: str, timeouts: Timeouts, lifetime: Lifetime
    ) -> tuple[int, bytes]:
        """Request *path* below the URL of *endpoint*; return status and body. Raises `FaultError` on any error."""
        reader = self._reader(endpoint, method, endpoint.url + path, {}, None, timeouts, lifetime)
        with closing(reader):
            answer = reader.read()
            return reader.status, answer

    def ask_nothing(self, endpoint: Endpoint, protocol: ProtocolHandler, timeout: float = 15.0) -> Answer:
        """Post an empty body to *endpoint* in *protocol* and return the answer; blocks.

        A reachable model refuses an empty body before it generates anything, so the call costs no tokens.
        """
        url = protocol.build_endpoint_for(endpoint.url, endpoint.backend, {}, stream=False)
        identity = self._identity(endpoint, self._tokens[endpoint.subaccount].token())
        said = {**identity, "Content-Type": "application/json", **protocol.headers(stream=False)}
        return self._management.post(url, said, b"{}", timeout)

    def probe(self, endpoint: Endpoint, timeout: float = 5.0) -> int:
        """Send a HEAD request to *endpoint* and return the HTTP status; blocks."""
        token = self._tokens[endpoint.subaccount].token()
        return self._management.head(endpoint.url, self._identity(endpoint, token), timeout)

    def _reader(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeouts: Timeouts,
        lifetime: Lifetime,
    ) -> StreamReader:
        def send(token: str) -> Call:
            said = {**self._identity(endpoint, token), **headers}
            return self._transport.begin(method, url, said, body, connect_timeout=timeouts.connect)

        return StreamReader(
            send,
            partial(self._meaning, endpoint, headers.get(REQUEST_ID, "-")),
            self._tokens[endpoint.subaccount],
            lifetime,
            token_limit=timeouts.connect,
            silence=timeouts.answer,
        )

    def _identity(self, endpoint: Endpoint, token: str) -> dict[str, str]:
        return {**call_headers(token, endpoint.resource_group), **self._fixed[endpoint.subaccount]}

    def _meaning(self, endpoint: Endpoint, request: str, call: Call, body: bytes) -> Fault:
        """Return the fault that an error answer means, with its retry hint."""
        if _log.isEnabledFor(logging.DEBUG):
            where, why = f"{endpoint.subaccount}/{endpoint.deployment}", reason(call.status, body)
            _log.debug("%s %s answered %d: %s", request, where, call.status, why)
        return fault_from(call.status, call.headers, body, self._now())
