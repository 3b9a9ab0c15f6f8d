"""Everything the proxy is made of, put together once; the web framework stands above it."""

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from prometheus_client import CollectorRegistry

from dialects import openai_embeddings
from dialects.conversation import JSON, Conversation, Effort, Family, Opaque, Part, Thinking, ToolSpec
from dialects.crossing import Inquiry
from dialects.dialect import Envelope
from dialects.events import Failed
from dialects.faults import Fault, FaultError, FaultKind, http_status
from dialects.tables import CLIENTS
from gateway.access import Access
from gateway.affinity import affinity_key
from gateway.aicore import AICore
from gateway.discovery import Management
from gateway.embedding import EmbeddingExchange
from gateway.exchange import Asked, Desk, Exchange
from gateway.fetching import MediaFetcher
from gateway.fleet import Fleet
from gateway.observe import ExchangeRecord, LogObserver, MetricsObserver, Observers, RoutingObserver
from gateway.settings import Settings
from gateway.streaming import StreamedAnswer
from gateway.tokens import TokenSource
from gateway.transport import Transport
from routing.journal import EndpointState
from routing.load_balancer import LoadBalancer, NoEndpointError
from routing.names import ModelNames, Resolution
from routing.request_router import Attempts, RequestRouter

_log = logging.getLogger("sap_ai_proxy")


@dataclass(frozen=True, slots=True)
class Readiness:
    """For how many subaccounts a token can be had, how many there are, and of how many nobody knows what runs there."""

    got: int
    needed: int
    unlisted: int = 0

    @property
    def why(self) -> list[str]:
        """What is missing; the log has the names, which are not for everybody."""
        return [
            what.format(number)
            for number, what in (
                (self.needed - self.got, "no token can be had for {} of the subaccounts"),
                (self.unlisted, "what is deployed in {} of the subaccounts could not be looked up yet"),
            )
            if number
        ]


class Gateway:
    """The proxy without its web framework.

    *now* is seconds since the epoch, *clock* any seconds that only grow, and
    *new_token* random text that ids are made of.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        new_token: Callable[[], str] = lambda: secrets.token_hex(12),
    ) -> None:
        self.settings = settings
        self.access = Access(token.reveal() for token in settings.tokens)
        self.registry = CollectorRegistry()
        self.started = int(now())
        self._now = now
        self._clock = clock
        self._new_token = new_token
        self._transport = Transport(
            connections=settings.server.requests, proxy=settings.proxy, ca_bundle=settings.ca_bundle
        )
        self._tokens = {
            name: TokenSource(partial(self._transport.fetch_token, account.key), clock=clock)
            for name, account in settings.subaccounts.items()
        }
        tenants = {name: account.key.tenant for name, account in settings.subaccounts.items()}
        routing_observer = RoutingObserver(self.registry)
        self.balancer = LoadBalancer({}, policy=settings.policy, clock=clock, listener=routing_observer.heard)
        self._core = AICore(self._transport, self._tokens, tenants, now)
        get = Management(self._transport, self._tokens)
        probe = partial(self._core.probe, timeout=settings.policy.health_check_timeout)
        self._fleet = Fleet(settings, self.balancer, get, probe, clock)
        names = ModelNames.configured(settings.policy, self._fleet.unlisted)
        sleep = threading.Event().wait
        self.router = RequestRouter(self.balancer, names=names, policy=settings.policy, clock=clock, sleep=sleep)
        settings.extend(self.router)
        fetcher = MediaFetcher() if settings.fetch_media else None
        self._desk = Desk(fetch=fetcher)
        self._observer = Observers([LogObserver(), MetricsObserver(self.registry)])

    def start(self) -> None:
        """Find out what is deployed where that is not configured, and begin to watch over it."""
        self._fleet.start()

    def close(self) -> None:
        """Stop watching, and drop all connections."""
        self._fleet.stop()
        self._transport.close()

    def exchange(
        self, client: str, body: JSON, headers: Mapping[str, str], caller: str, *, asked_in: str = ""
    ) -> Exchange:
        """Begin to answer a request in the *client* dialect; raises `FaultError` for one that makes no sense.

        *asked_in* is the dialect that understands the body, where no model takes it as it is.
        """
        began = self._clock()
        conversation = CLIENTS[asked_in or client].parse_request(body)
        asked, attempts = self._asked(client, body, conversation, headers, caller, began, forward=not asked_in)
        return Exchange(asked, attempts, self._core, self._observer, self._desk, self._clock)

    def embeddings(self, body: JSON, headers: Mapping[str, str], caller: str) -> Exchange:
        """Begin to answer a request for embeddings; raises `FaultError` for one that makes no sense."""
        began = self._clock()
        request = openai_embeddings.parse_request(body)
        client = "openai-embeddings"
        named = Conversation(model=request.model, dialect=client)
        asked, attempts = self._asked(client, body, named, headers, caller, began)
        return EmbeddingExchange(request, asked, attempts, self._core, self._observer, self._desk, self._clock)

    def kept(self, method: str, answer: str, caller: str, action: str = "") -> tuple[int, bytes]:
        """Ask for, delete or cancel an answer of *caller* that its deployment keeps; raises `FaultError`."""
        endpoint = self._desk.pins.find(caller, answer)
        if endpoint is None:
            message = f"Response with id {answer!r} not found."
            raise FaultError(Fault(FaultKind.NOT_FOUND, message, 404, code="response_not_found"))
        path = f"/responses/{quote(answer, safe='')}{action}"
        told = self._core.manage(endpoint, method, path, self.settings.policy.timeouts)
        if method == "DELETE":
            self._desk.pins.forget(caller, answer)
        return told

    def refused(self, fault: Fault, *, client: str, caller: str, asked: str) -> str:
        """Take note of a request that never became an exchange, and give it an id; *asked* is what it asked for."""
        token = self._new_token()
        status, outcome = http_status(fault), fault.kind.value
        self._observer.over(ExchangeRecord(token, caller, client, asked, status=status, outcome=outcome))
        return token

    def stream(self, exchange: Exchange) -> StreamedAnswer:
        """Answer an exchange piece by piece."""
        envelope = exchange.asked.inquiry.envelope
        dialect = CLIENTS[exchange.asked.inquiry.client]
        return StreamedAnswer(exchange, lambda fault: dialect.writer(envelope).write([Failed(fault)]))

    def resolve(self, model: str) -> Resolution:
        """Find the deployed model behind a name; raises `FaultError`."""
        try:
            return self.router.names.resolve(model)
        except NoEndpointError as error:
            raise FaultError(error.fault) from error

    def model_names(self) -> tuple[str, ...]:
        """The names of all models that are deployed, and their aliases."""
        names = self.router.names
        aliases = [alias for alias in self.settings.policy.aliases if names.knows(alias)]
        return tuple(dict.fromkeys([*names.deployed, *aliases]))

    def readiness(self) -> Readiness:
        """Tell what is still missing before every subaccount can be asked for all that it has."""
        got = 0
        for name, tokens in self._tokens.items():
            try:
                tokens.token()
            except FaultError as error:
                _log.warning("no token for subaccount %s: %s", name, error.fault.message)
            else:
                got += 1
        return Readiness(got, len(self._tokens), len(self._fleet.unlisted().subaccounts))

    def state(self) -> JSON:
        """What the router knows of every endpoint, as JSON; times are in seconds from now."""
        strategies = {model: self.balancer.strategy(model) for model in self.balancer.models()}
        return {"strategies": strategies, "endpoints": [_as_json(state) for state in self.balancer.snapshot()]}

    def _asked(
        self,
        client: str,
        body: JSON,
        conversation: Conversation,
        headers: Mapping[str, str],
        caller: str,
        began: float,
        *,
        forward: bool = True,
    ) -> tuple[Asked, Attempts]:
        """Put together what is known of a request, and where it may be tried; raises `FaultError`."""
        token = self._new_token()
        envelope = Envelope(token, conversation.model, int(self._now()), conversation)
        affinity = affinity_key(conversation, headers)
        attempts = self._attempts(client, conversation, caller, affinity)
        timeouts = self.settings.policy.timeouts_for(attempts.resolution.model)
        return Asked(token, caller, Inquiry(client, body, envelope, forward), timeouts, affinity, began), attempts

    def _attempts(self, client: str, conversation: Conversation, caller: str, affinity: str) -> Attempts:
        try:
            return self.router.attempts(
                conversation.model,
                client=client,
                affinity_key=affinity,
                pinned=self._pinned(conversation, caller),
                preferred=self._desk.pins.find(caller, affinity) if _brings_along(conversation) else None,
                tools_with_reasoning=_reasons_with_tools(conversation),
            )
        except NoEndpointError as error:
            raise FaultError(error.fault) from error

    def _pinned(self, conversation: Conversation, caller: str) -> str | None:
        """Name the deployment that made the answer this request goes on from."""
        endpoint = self._desk.pins.find(caller, str(conversation.extra.get("previous_response_id") or ""))
        return f"{endpoint.subaccount}/{endpoint.deployment}" if endpoint else None


def _reasons_with_tools(conversation: Conversation) -> bool:
    asked = conversation.reasoning is not None and conversation.reasoning.effort is not Effort.NONE
    return asked and any(isinstance(tool, ToolSpec) for tool in conversation.tools)


def _brings_along(conversation: Conversation) -> bool:
    """Whether a request holds what only its maker can read: OpenAI's sealed or kept thoughts, or a kept item's id."""
    return any(_is_its_makers(part, conversation.dialect) for each in conversation.messages for part in each.parts)


def _is_its_makers(part: Part, dialect: str) -> bool:
    match part:
        case Thinking(family=Family.OPENAI):
            return True
        case Thinking(family=None):
            # A reasoning item that is not sealed stands for what the deployment has kept under its id.
            return dialect == "openai-responses"
        case Opaque(payload={"type": "item_reference"}):
            return True
        case _:
            return False


def _as_json(state: EndpointState) -> JSON:
    endpoint = state.endpoint
    return {
        "subaccount": endpoint.subaccount,
        "deployment": endpoint.deployment,
        "model": endpoint.model,
        "quota_domain": f"{state.domain.subaccount}/{state.domain.model}",
        "standing": state.standing.value,
        "circuit": state.circuit.value,
        "why": state.why,
        "seconds": state.seconds if math.isfinite(state.seconds) else None,
        "k": state.k,
        "in_flight": state.in_flight,
        "latency": round(state.latency, 4),
        "weight": round(state.weight, 4),
        "tier": endpoint.tier,
        "last_error": state.last_error.value if state.last_error else None,
    }
