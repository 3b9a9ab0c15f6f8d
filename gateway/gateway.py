"""The gateway: constructs all parts of the proxy and connects them. The web framework is the layer above it."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from prometheus_client import CollectorRegistry

from dialects import openai_responses
from dialects.adapt.token_estimate import estimate_tokens
from dialects.capabilities.model_info import ModelInfo
from dialects.capabilities.models import Vendor, profile_for
from dialects.core.conversation import JSON, Conversation, Effort, ToolSpec
from dialects.core.events import Failed
from dialects.core.faults import Fault, FaultError, FaultKind, http_status
from dialects.embeddings import openai as openai_embeddings
from dialects.embeddings.registry import parts_of
from dialects.interface import Envelope
from dialects.registry import CLIENTS
from dialects.translator import ClientRequest
from gateway.config.service_keys import secret_of
from gateway.config.settings import Settings
from gateway.endpoint_pool import EndpointPool
from gateway.http.admission import Admission
from gateway.http.auth import Auth
from gateway.http.client_address import TrustedProxies
from gateway.http.failed_keys import FailedKeys
from gateway.http.request_ids import passed_on, request_id, trace_id
from gateway.media.fetcher import MediaFetcher
from gateway.media.networks import FetchRules
from gateway.observability.activity import Activity
from gateway.observability.history import merged_history
from gateway.observability.metrics import ExchangeRecord, LogObserver, MetricsObserver, Observers, RoutingObserver
from gateway.operator_actions import OperatorActions
from gateway.readiness import Readiness, ReadinessProbe
from gateway.requests.affinity import affinity_key, tags_in
from gateway.requests.compaction import CompactionExchange
from gateway.requests.embeddings import EmbeddingExchange
from gateway.requests.exchange import Exchange, IncomingRequest, SharedResources
from gateway.requests.kept_answers import PREVIOUS_ID, KeptAnswers, unknown_response
from gateway.requests.lifetime import ClientSocket, Lifetime, Signal
from gateway.requests.makers import Makers, ReturnedThoughts, SigningKeys, derived_key
from gateway.requests.memory_budget import budget_for
from gateway.requests.random_tokens import RandomTokens
from gateway.requests.request_media import backend_dialects
from gateway.requests.streaming import StreamedAnswer
from gateway.requests.translation_faults import unreadable_as_fault
from gateway.requests.unstreamed_models import UnstreamedModels
from gateway.router_state import router_state
from gateway.served_models import EndingsLog, ModelSources, day
from gateway.upstream.catalogue import CatalogueRefresher
from gateway.upstream.certificates import of_proof
from gateway.upstream.client import AICoreClient
from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.discovery import Orchestration
from gateway.upstream.management import ManagementClient
from gateway.upstream.tokens import TokenSource
from gateway.upstream.transport import Transport
from routing.attempts import Attempts
from routing.availability import NoEndpointError
from routing.endpoint import Endpoint
from routing.events import EventPublisher
from routing.load_balancer import LoadBalancer
from routing.model_names import Resolution
from routing.request_router import RequestRouter
from routing.strategy import SelectionContext

if TYPE_CHECKING:
    from gateway.observability.telemetry.sender import Telemetry

_log = logging.getLogger("sap_ai_proxy")
_TELEMETRY_PATIENCE = 5.0
"""The default time limit for sending the remaining telemetry, in seconds."""
_TOKEN_PATIENCE = 2.0
"""Seconds that the start waits for the first token."""
_BRIEF = (Effort.NONE, Effort.MINIMAL, Effort.LOW)
"""The efforts at which a GPT model begins to answer soon. Without an effort, it thinks for longer."""
_MOST_MODELS = 1024
"""The number of models whose settings are cached."""
_MOST_CALLERS = 1024
"""The number of callers whose labels are cached."""
_LARGER_CONTEXT = "context-1m"
"""The prefix of the beta that enlarges the context of some Claude models to one million tokens."""


class Gateway:
    """The proxy without its web framework.

    *now* returns seconds since the epoch, *clock* returns monotonic seconds, and *new_token* returns random text for
    ids.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        new_token: Callable[[], str] | None = None,
    ) -> None:
        self.settings = settings
        self.auth = Auth(settings.keys)
        self.failed_keys = FailedKeys(clock)
        self.trusted_proxies = TrustedProxies(settings.server.trusted_proxies)
        self.registry = CollectorRegistry()
        self.started = int(now())
        self._now = now
        self._clock = clock
        self._new_token = new_token = new_token or RandomTokens()
        self.admission = _admission(settings)
        self.memory = budget_for(settings.server, keys=len(settings.keys))
        # The pool keeps as many connections as there may be requests, so that none must be reopened because others have
        # ended.
        kept = ConnectionPool(clock, settings.server.requests)
        self._transport = Transport(network=settings.network, clock=clock, pool=kept)
        self._management = ManagementClient(network=settings.network)
        self._tokens = {
            name: TokenSource(partial(self._management.fetch_token, account.key), name=name, clock=clock)
            for name, account in settings.subaccounts.items()
        }
        tenants = {name: account.key.tenant for name, account in settings.subaccounts.items()}
        routing_observer = RoutingObserver(self.registry)
        self.activity = Activity(now)
        events = EventPublisher([routing_observer.heard, self.activity.heard])
        self.balancer = LoadBalancer({}, policy=settings.policy, clock=clock, events=events)
        observability = settings.observability
        self._core = AICoreClient(
            self._transport, self._management, self._tokens, tenants, now, observability.headers()
        )
        self._headers_for = lru_cache(_MOST_CALLERS)(observability.headers_for)
        probe = partial(self._core.probe, timeout=settings.policy.health_check_timeout)
        self._today = partial(day, now)
        sources = ModelSources(settings, self._management, self._tokens, self._today, clock)
        self._served = sources.served
        orchestration = Orchestration(sources.orchestrated, sources.orchestrated.ask)
        endings = EndingsLog(self._served, self._versions, self._today)
        self._refresher = CatalogueRefresher(settings.subaccounts.values(), sources.catalogue, endings.write)
        self._pool = EndpointPool(settings, self.balancer, sources.get, probe, clock, orchestration=orchestration)
        self.actions = OperatorActions(self.balancer, self._pool)
        for listener in (self._pool.listen, self.actions.listen):
            events.subscribe(listener)
        sleep = threading.Event().wait
        self.router = RequestRouter(
            self.balancer,
            unlisted=self._pool.unlisted,
            successors=self._served.successors,
            clock=clock,
            sleep=sleep,
        )
        settings.extend(self.router)
        self._timeouts_for = lru_cache(_MOST_MODELS)(settings.policy.timeouts_for)
        allows = FetchRules(settings.media_allow, settings.media_deny).allows
        fetcher = MediaFetcher(network=settings.network, allows=allows) if settings.fetch_media else None
        modules_for = lru_cache(_MOST_MODELS)(settings.orchestration.modules_for)
        unstreamed = UnstreamedModels(lambda endpoint: not self._served.streams(endpoint.backend), clock)
        self._shared = SharedResources(fetch=fetcher, modules_for=modules_for, unstreamed=unstreamed)
        self._makers = Makers(_signing_keys(settings, new_token), self._endpoints)
        self._kept = KeptAnswers(self._makers, self._shared.items, self._pool.unlisted)
        self._observer = Observers([LogObserver(), MetricsObserver(self.registry), self.activity])
        self._readiness = ReadinessProbe(
            self._tokens, self.balancer.snapshot, lambda: self._pool.unlisted().subaccounts, clock
        )
        self._telemetry = _telemetry(self.balancer, clock, now) if settings.telemetry else None

    def start(self) -> None:
        """Start discovery, health checks and the catalogue's refresh, and wait a short time for the first token."""
        self._pool.start()
        self._refresher.start()
        self._readiness.await_tokens(_TOKEN_PATIENCE)

    def close(self) -> None:
        """Stop the background threads, send the remaining telemetry, and close all connections."""
        self.close_telemetry(_TELEMETRY_PATIENCE)
        self._refresher.stop()
        self._pool.stop()
        self._transport.close()
        self._management.close()

    def close_telemetry(self, seconds: float) -> None:
        """Send the remaining traces and metrics, for at most *seconds*, and stop sending."""
        if self._telemetry is not None:
            self._telemetry.close(seconds)

    def lifetime(self, client: ClientSocket | None = None, drain: Signal | None = None) -> Lifetime:
        """Start the lifetime of a request. Its time limit counts from now."""
        total, share = self.settings.policy.timeouts.total, self.memory.share()
        return Lifetime(total, client=client, drain=drain, clock=self._clock, memory=share)

    def exchange(
        self,
        client: str,
        body: JSON,
        headers: Mapping[str, str],
        caller: str,
        lifetime: Lifetime | None = None,
        *,
        asked_in: str = "",
        by: type[Exchange] = Exchange,
    ) -> Exchange:
        """Parse a request in the *client* dialect and begin its exchange. Raises `FaultError` for an invalid request.

        *asked_in* is the dialect that can parse the body, if that is not the client's; the body then never passes
        unchanged. *by* is the class of the exchange.
        """
        began = self._clock()
        conversation = CLIENTS[asked_in or client].parse_request(body)
        lifetime = lifetime or self.lifetime()
        maker = None
        if previous := conversation.extra.get(PREVIOUS_ID):
            made, maker = self._kept.previous(previous, caller)
            body = {**body, PREVIOUS_ID: made}
            conversation = replace(conversation, extra={**conversation.extra, PREVIOUS_ID: made})
        request = self._client_request(client, body, conversation, may_pass=not asked_in)
        incoming, attempts = self._incoming(request, headers, caller, began, lifetime, maker)
        return by(incoming, attempts, self._core, self._observer, lifetime, self._shared)

    def embeddings(
        self, body: JSON, headers: Mapping[str, str], caller: str, lifetime: Lifetime | None = None
    ) -> Exchange:
        """Parse a request for embeddings and begin its exchange. Raises `FaultError` for an invalid request."""
        began = self._clock()
        request = openai_embeddings.parse_request(body)
        client = "openai-embeddings"
        named = Conversation(model=request.model, dialect=client)
        lifetime = lifetime or self.lifetime()
        incoming, attempts = self._incoming(self._client_request(client, body, named), headers, caller, began, lifetime)
        model = attempts.resolution.model
        return EmbeddingExchange(
            request,
            parts_of(request, profile_for(self._runs(model))),
            incoming,
            attempts,
            self._core,
            self._observer,
            lifetime,
            self._shared,
        )

    def compaction(
        self, body: JSON, headers: Mapping[str, str], caller: str, lifetime: Lifetime | None = None
    ) -> Exchange:
        """Parse a request to compact a conversation and begin its exchange.

        Raises `FaultError` for an invalid request.
        """
        whole = {name: value for name, value in body.items() if name != "stream"}
        return self.exchange(openai_responses.DIALECT, whole, headers, caller, lifetime, by=CompactionExchange)

    def kept(
        self, method: str, answer: str, caller: str, lifetime: Lifetime | None = None, action: str = ""
    ) -> tuple[int, bytes]:
        """Read, delete or cancel an answer of *caller* that its deployment stores; return the status and the body.

        Raises `FaultError` if the answer is unknown or the deployment fails.
        """
        made, endpoint = self._kept.response(answer, caller)
        path = f"/responses/{quote(made, safe='')}{action}"
        timeouts = self.settings.policy.timeouts
        try:
            status, body = self._core.manage(endpoint, method, path, timeouts, lifetime or self.lifetime())
        except FaultError as error:
            if error.fault.status == 404 and error.fault.kind is not FaultKind.GONE:
                raise FaultError(unknown_response(answer)) from error
            raise
        with unreadable_as_fault():
            shown = openai_responses.passthrough_stored(body, self._makers.origin(endpoint, caller))
        self._kept.remember(body, caller, endpoint)
        return status, shown

    def refused(self, fault: Fault, headers: Mapping[str, str], *, client: str, caller: str, asked: str) -> str:
        """Report a request that was refused before its exchange began, and return its id.

        *asked* is the model that the request names, or its method and path.
        """
        name, trace = request_id(headers, self._new_token()), trace_id(headers)
        status, outcome = http_status(fault), fault.kind.value
        record = ExchangeRecord(name, caller, client, asked, status=status, outcome=outcome, trace=trace)
        spans = self._telemetry.begin(headers, record, self._clock()) if self._telemetry is not None else None
        if spans is not None:
            record = replace(record, trace=spans.trace)
            spans.over(record, None)
        self._observer.over(record)
        return name

    def stream(self, exchange: Exchange) -> StreamedAnswer:
        """Return the answer of an exchange as a stream."""
        envelope = exchange.incoming.request.envelope
        dialect = CLIENTS[exchange.incoming.request.client]
        return StreamedAnswer(exchange, lambda fault: dialect.writer(envelope).write([Failed(fault)]))

    def resolve(self, model: str) -> Resolution:
        """Return the deployed model behind a name. Raises `FaultError` if there is none."""
        try:
            return self.router.names.resolve(model)
        except NoEndpointError as error:
            raise FaultError(error.fault) from error

    def model_names(self) -> tuple[str, ...]:
        """Return the names of all deployed models, and their aliases."""
        names = self.router.names
        aliases = [alias for alias in self.settings.policy.aliases if names.knows(alias)]
        return tuple(dict.fromkeys([*names.deployed, *aliases]))

    def models(self) -> tuple[ModelInfo, ...]:
        """Describe all deployed models, under their names and their aliases."""
        names = self.router.names
        return tuple(self._served.describe(name, self._runs(names.resolve(name).model)) for name in self.model_names())

    def model(self, name: str) -> ModelInfo:
        """Describe the deployed model behind a name. Raises `FaultError` if there is none."""
        return self._served.describe(name, self._runs(self.resolve(name).model))

    def readiness(self) -> Readiness:
        """Return whether some model can be served. This makes no request."""
        return self._readiness.look()

    def state(self) -> JSON:
        """Return the state of the router as JSON; `gateway.router_state` documents its fields."""
        endings = [ending.as_json for ending in self._served.endings(self._versions(), self._today())]
        now = self._now()
        return {
            **router_state(self.actions.explained(self.balancer.snapshot()), endings, self.activity, self.started, now),
            "saturation": {**self.admission.saturation(), **self.memory.saturation()},
            "credentials": {name: self._credentials(name, now) for name in self._tokens},
        }

    def whole_state(self) -> JSON:
        """Return the state of this process, with its readiness, for a proxy that has only this process."""
        return {**self.state(), "at": self._now(), **self.readiness().body}

    def whole_history(self) -> JSON:
        """Return the history of the last hour, for a proxy that has only this process."""
        return merged_history([self.activity.rows()], self._now())

    def _credentials(self, subaccount: str, now: float) -> JSON:
        """Return the state of a subaccount's credentials: their expiry, and the fault of the latest token request."""
        source = self._tokens[subaccount]
        state, seconds = source.state, source.seconds_left
        certificate = of_proof(self.settings.subaccounts[subaccount].key.proof)
        return {
            "token_until": round(now + seconds, 3) if seconds else None,
            "fault": state.fault.kind.value if state.fault else None,
            "certificate_until": certificate.not_after.timestamp() if certificate else None,
        }

    def _versions(self) -> dict[str, frozenset[str]]:
        """Return the models that run, each with its known versions."""
        return {each.backend: self._pool.versions(each.backend) for pool in self._endpoints() for each in pool}

    def _runs(self, model: str) -> str:
        """Return the model that the first deployment of *model* reports to run."""
        return next((endpoint.backend for endpoint in self.balancer.endpoints(model)), model)

    def _client_request(
        self, client: str, body: JSON, conversation: Conversation, *, may_pass: bool = True
    ) -> ClientRequest:
        token = self._new_token()
        return ClientRequest(
            client, body, Envelope(token, conversation.model, int(self._now()), conversation), may_pass
        )

    def _incoming(
        self,
        request: ClientRequest,
        headers: Mapping[str, str],
        caller: str,
        began: float,
        lifetime: Lifetime,
        maker: Endpoint | None = None,
    ) -> tuple[IncomingRequest, Attempts]:
        """Collect what is known of a request, and the attempts for it. Raises `FaultError`.

        *maker* is the endpoint that stores the response which this request continues, if it continues one.
        """
        conversation = request.envelope.conversation
        thoughts = self._makers.of_thoughts(conversation, caller)
        context = SelectionContext(
            affinity_key(conversation, headers),
            self._preferred(conversation, thoughts),
            caller,
            tags_in(headers),
            count_input=partial(_input_tokens, conversation),
        )
        sticky = self._kept.sticky(conversation, caller, maker)
        attempts = self._attempts(request.client, conversation, context, sticky, lifetime)
        model = attempts.resolution.model
        runs = self._runs(model)
        timeouts = self._timeouts_for(model, silent=_thinks_in_silence(runs, conversation))
        lifetime.limit(timeouts.total)
        origin = partial(self._makers.origin, caller=caller)
        verify_at = thoughts.verify_at if thoughts else None
        length = partial(self._context_length, runs, conversation)
        name, trace = request_id(headers, request.envelope.token), trace_id(headers)
        passed = {**passed_on(headers, name, trace), **self._headers_for(caller)}
        spans = None
        if self._telemetry is not None:
            asked = ExchangeRecord(name, caller, request.client, conversation.model, model, stream=conversation.stream)
            spans = self._telemetry.begin(headers, asked, began)
            trace = spans.trace if spans is not None else trace
        both = _reasons_with_tools(conversation)
        dialects = partial(backend_dialects, self.router, conversation.model, attempts.resolution, request.client, both)
        further = dialects, passed, trace, spans
        return IncomingRequest(name, caller, request, timeouts, began, origin, verify_at, length, *further), attempts

    def _context_length(self, model: str, conversation: Conversation) -> int | None:
        """Return the context length of *model* in tokens; None if a beta asks for a larger context."""
        betas = conversation.extra.get("anthropic_beta")
        larger = any(str(beta).startswith(_LARGER_CONTEXT) for beta in (betas if isinstance(betas, list) else ()))
        return None if larger else self._served.describe(model).context_length

    def _attempts(
        self,
        client: str,
        conversation: Conversation,
        context: SelectionContext,
        sticky: str | None,
        lifetime: Lifetime,
    ) -> Attempts:
        try:
            return self.router.attempts(
                conversation.model,
                client=client,
                sticky=sticky,
                context=context,
                tools_with_reasoning=_reasons_with_tools(conversation),
                lifetime=lifetime,
            )
        except NoEndpointError as error:
            raise FaultError(error.fault) from error

    def _preferred(self, conversation: Conversation, thoughts: ReturnedThoughts) -> Endpoint | None:
        """Return the endpoint that made the thoughts in the conversation, if no other endpoint can read them."""
        if not thoughts or (maker := thoughts.maker) is None:
            return None
        endpoints = self.balancer.endpoints(self.resolve(conversation.model).model)
        return next((endpoint for endpoint in endpoints if endpoint.url == maker.url), None)

    def _endpoints(self) -> list[tuple[Endpoint, ...]]:
        """Return the endpoints that are served, grouped by model."""
        return [self.balancer.endpoints(model) for model in self.balancer.models()]


def _telemetry(balancer: LoadBalancer, clock: Callable[[], float], now: Callable[[], float]) -> "Telemetry":
    """Start sending traces and metrics."""
    from gateway.observability.telemetry.sender import Telemetry  # noqa: PLC0415 - it needs an extra, and takes memory

    return Telemetry(balancer.snapshot, clock, now)


def _admission(settings: Settings) -> Admission:
    """Limit the requests in progress. If there are several keys, the default limit of each is half of all."""
    server = settings.server
    half = max(1, server.requests // 2) if len(settings.keys) > 1 else None
    return Admission(server.requests, server.waiting, server.waiting_seconds, server.requests_per_key or half)


def _signing_keys(settings: Settings, new_token: Callable[[], str]) -> SigningKeys:
    """Build the keys that sign ids and signatures.

    A subaccount without a secret gets a random key, which only this process can verify.
    """
    return SigningKeys(
        [key.reveal().encode() for key in settings.signing_keys],
        {
            name: derived_key(secret_of(account.key.proof) or new_token())
            for name, account in settings.subaccounts.items()
        },
    )


def _input_tokens(conversation: Conversation) -> int | None:
    """Estimate the input tokens without tools and schemas, which makes the estimate cheap."""
    try:
        return estimate_tokens(replace(conversation, tools=(), output=None))
    except FaultError:  # the renderer refuses JSON that is nested too deeply
        return None


def _thinks_in_silence(model: str, conversation: Conversation) -> bool:
    """Return whether *model* may think about this conversation for minutes before it sends anything."""
    profile, reasoning = profile_for(model), conversation.reasoning
    effort = reasoning.effort if reasoning is not None else None
    if profile.vendor is Vendor.OPENAI:
        return profile.thinks_in_silence and effort not in _BRIEF
    return profile.thinks_in_silence and reasoning is not None and effort is not Effort.NONE


def _reasons_with_tools(conversation: Conversation) -> bool:
    asked = conversation.reasoning is not None and conversation.reasoning.effort is not Effort.NONE
    return asked and any(isinstance(tool, ToolSpec) for tool in conversation.tools)
