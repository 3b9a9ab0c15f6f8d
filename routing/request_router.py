"""Where a request goes, where it goes next, and in which protocol."""

import copy
import fnmatch
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from dialects.conversation import JSON
from dialects.faults import Fault, FaultError, FaultKind, Quota
from routing.availability import MAKER_LEFT, Availability, EndpointState, NoEndpointError, nearest
from routing.budget import RetryBudget
from routing.classification import CLASSIFICATIONS, Effect, Scope, scope_of
from routing.endpoint import Endpoint, QuotaDomain
from routing.lease import Lease
from routing.load_balancer import LoadBalancer
from routing.names import ModelNames, Resolution
from routing.policy import Policy, RetryPolicy
from routing.protocols import PROTOCOLS, ProtocolHandler, protocol_for
from routing.strategy import NO_CONTEXT, SelectionContext

_log = logging.getLogger(__name__)

_MAY_BE_ASKED = frozenset({Availability.AVAILABLE, Availability.PROBE, Availability.OPEN})
"""Open ones too: where all are, the balancer lets a request through."""


class Route(NamedTuple):
    """Where to post what: a decision that holds no lease, so nothing is counted by it."""

    endpoint_url: str
    payload: JSON
    subaccount_name: str
    protocol: ProtocolHandler


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """What became of one attempt."""

    subaccount: str
    deployment: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.subaccount}/{self.deployment} {self.outcome}"


class Trail(tuple[TrailEntry, ...]):
    """What became of each attempt, in order; as text `eu/d1 503 → us/d7 ok`."""

    __slots__ = ()

    def __str__(self) -> str:
        return " → ".join(map(str, self))


class _Refusal(NamedTuple):
    """What an endpoint said to a request that another one may take."""

    lease: Lease
    fault: Fault


class Attempt:
    """One try at one endpoint. Whoever sends the request owns the lease and closes it."""

    def __init__(self, number: int, lease: Lease, protocol: ProtocolHandler, refused: Sequence[_Refusal] = ()) -> None:
        self.number = number
        self.lease = lease
        self.protocol = protocol
        self.fault: Fault | None = None
        self.settled = False
        self._refused = refused
        """What was said before it to the same request: an answer overrules it."""

    @property
    def endpoint(self) -> Endpoint:
        """Where to send it."""
        return self.lease.endpoint

    def answered(self, *, whole: bool = False) -> None:
        """Say that the model has begun to answer, or has answered as a *whole*."""
        refused, self._refused = self._refused, ()
        self.settled = True
        self.lease.answered(whole=whole)
        for lease, fault in refused:
            lease.overruled(fault)

    def failed(self, fault: Fault) -> None:
        """Say what went wrong; the next attempt, if any, goes elsewhere."""
        self.settled = True
        self.fault = fault
        self.lease.failed(fault)

    @property
    def entry(self) -> TrailEntry:
        """What became of it, as far as is known."""
        return TrailEntry(self.endpoint.subaccount, self.endpoint.deployment, self._outcome())

    def _outcome(self) -> str:
        if self.fault is None:
            return "ok" if self.settled else "open"
        refused = self.fault.status is not None and self.fault.status >= 400
        return str(self.fault.status) if refused else self.fault.kind.value


@dataclass(frozen=True, slots=True)
class _Means:
    """What all attempts of a router share."""

    balancer: LoadBalancer
    budget: RetryBudget
    policy: Policy
    clock: Callable[[], float]
    rng: Callable[[], float]
    sleep: Callable[[float], object]

    @property
    def retry(self) -> RetryPolicy:
        return self.policy.retry


class Lifetime(Protocol):
    """How long a request may take."""

    def left(self) -> float:
        """How many seconds remain."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let a pause between two attempts pass; raises what ends the request meanwhile."""
        ...


class _Countdown:
    """The seconds that a request for *model* may take, from now on."""

    def __init__(self, means: _Means, model: str) -> None:
        self._means = means
        self._deadline = means.clock() + means.policy.timeouts_for(model).total

    def left(self) -> float:
        return self._deadline - self._means.clock()

    def sleep(self, seconds: float) -> None:
        self._means.sleep(seconds)


@dataclass(frozen=True, slots=True)
class _Errand:
    """What one request asks of its attempts."""

    protocol: Callable[[Endpoint], ProtocolHandler]
    context: SelectionContext
    attempts: int
    among: tuple[Endpoint, ...]
    """Where alone it may go, because what it continues lies there; empty if it may go anywhere."""
    lifetime: Lifetime


class Attempts:
    """One attempt after another, until one was not said to have failed or none is worth making.

    The first one that cannot be made raises `NoEndpointError`; a later one
    ends the iteration, and `fault` holds what the last one met.
    """

    def __init__(self, means: _Means, resolution: Resolution, errand: _Errand) -> None:
        self.resolution = resolution
        self.unaffordable = False
        """Whether the budget refused the last retry that was to be made."""
        self.paused = 0.0
        """For how many seconds nothing was asked of anybody."""
        self._means = means
        self._errand = errand
        self._made: list[Attempt] = []
        self._over = False
        self._tried: list[Endpoint] = []
        self._spent: list[QuotaDomain] = []
        self._refused: list[_Refusal] = []
        """One may be overruled, two say the same."""
        self._pauses = 0
        self._held = 0.0
        """For how many seconds it was held until an endpoint could be asked."""
        means.budget.requested(resolution.model)

    @property
    def trail(self) -> Trail:
        """What became of each attempt so far."""
        return Trail(attempt.entry for attempt in self._made)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why each attempt so far went where it did, in order."""
        return tuple(attempt.lease.reason for attempt in self._made)

    @property
    def fault(self) -> Fault | None:
        """What the last attempt met, if it failed."""
        return self._made[-1].fault if self._made else None

    @property
    def refusal(self) -> Fault | None:
        """What to tell the caller when the last attempt failed and none is left.

        One that made something rest says when the next request may go through, wherever to:
        by itself it would say when its own endpoint is back, or nothing.
        """
        fault = self.fault
        if fault is None or scope_of(fault) is Scope.NONE:
            return fault
        try:
            return replace(fault, retry_after=nearest(self._rows()))
        except NoEndpointError:
            return fault

    def close(self) -> None:
        """Make no more attempts, and give back a lease that nothing became of."""
        self._over = True
        for attempt in self._made:
            if not attempt.settled:
                attempt.lease.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Attempt:
        if self._over or not self._goes_on():
            self._over = True
            raise StopIteration
        try:
            lease = self._lease()
        except NoEndpointError:
            self._over = True
            if self._made:
                raise StopIteration from None
            raise
        if self._made and not self._means.budget.withdraw(self.resolution.model):  # others were quicker
            lease.close()
            self._over = self.unaffordable = True
            raise StopIteration
        try:
            protocol = self._errand.protocol(lease.endpoint)
        except FaultError:
            lease.close()
            raise
        attempt = Attempt(len(self._made) + 1, lease, protocol, tuple(self._refused))
        self._made.append(attempt)
        _log.debug("attempt %d: %s", attempt.number, _told(attempt.endpoint, attempt.protocol))
        return attempt

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _goes_on(self) -> bool:
        """Whether another attempt is worth making; if so, what failed is not asked again soon."""
        if not self._made:
            return True
        last = self._made[-1]
        if last.fault is None or not CLASSIFICATIONS[last.fault.kind].try_elsewhere:
            return False
        if len(self._made) >= self._errand.attempts or self._errand.lifetime.left() <= 0:
            return False
        if CLASSIFICATIONS[last.fault.kind].effect is Effect.REFUSAL:
            self._refused.append(_Refusal(last.lease, last.fault))
            if len(self._refused) > 1:
                return False
        self._tried.append(last.endpoint)
        if last.fault.kind is FaultKind.RATE_LIMITED and last.fault.quota is Quota.MODEL:
            self._spent.append(last.endpoint.domain)
        self.unaffordable = not self._means.budget.allows(self.resolution.model)
        return not self.unaffordable

    def _lease(self) -> Lease:
        """Lease an endpoint that was not tried yet; if there is none, wait and begin anew."""
        if self._refused and self._refused[-1].lease is self._made[-1].lease:
            return self._second_opinion(self._made[-1].endpoint.subaccount)
        while True:
            try:
                return self._acquire()
            except NoEndpointError as error:
                delay = self._pause(error)
                if delay is None or delay >= self._errand.lifetime.left():
                    raise
            since = self._means.clock()
            self._errand.lifetime.sleep(delay)
            self.paused += self._means.clock() - since

    def _second_opinion(self, subaccount: str) -> Lease:
        """Lease an endpoint of another subaccount, or else another of the same; it is not worth a pause."""
        sisters = [e for e in self._means.balancer.endpoints(self.resolution.model) if e.subaccount == subaccount]
        try:
            return self._acquire(sisters)
        except NoEndpointError:
            return self._acquire()

    def _acquire(self, besides: Sequence[Endpoint] = ()) -> Lease:
        """Lease an endpoint other than those that were tried, those that refused the request, and those *besides*."""
        return self._means.balancer.acquire(
            self.resolution.model,
            exclude=[*self._tried, *(each.lease.endpoint for each in self._refused), *besides],
            exclude_domains=self._spent,
            context=self._errand.context,
            # Where no request can go elsewhere, it is still these that find out who is back.
            can_fail_over=self._errand.attempts == 1 or len(self._made) + 1 < self._errand.attempts,
            among=self._errand.among,
        )

    def _pause(self, error: NoEndpointError) -> float | None:
        """Say how long to wait before looking again, or None where waiting leads nowhere."""
        if not self._tried:
            return self._patience(error.wait)
        self._tried, self._spent = [], []
        retry, hint, rest = self._means.retry, self.fault.retry_after if self.fault else None, self._rest()
        if hint is None and rest > 0:
            return self._patience(rest)
        if hint is None:
            return self._jitter()
        # A cooldown lasts a little longer than its hint, so that not all come back at once.
        longest = retry.hint_cap * (1 + self._means.policy.cooldown.jitter)
        return max(hint, rest) if hint <= retry.hint_cap and rest <= longest else None

    def _patience(self, wait: float | None) -> float | None:
        """Wait until an endpoint may be asked, with jitter, for `wait_at_most` seconds in all."""
        cooldown = self._means.policy.cooldown
        if wait is None or self._held + wait > cooldown.wait_at_most:
            return None
        self._held += wait
        return wait * (1 + cooldown.jitter * self._means.rng())

    def _jitter(self) -> float:
        """Leave the same endpoints alone for a random time, of which the longest doubles."""
        longest = min(self._means.retry.backoff_cap, self._means.retry.backoff_base * 2.0**self._pauses)
        self._pauses += 1
        return longest * self._means.rng()

    def _rest(self) -> float:
        """Say in how many seconds the first endpoint could be asked again; an open circuit is no obstacle."""
        rows = self._rows()
        if any(row.availability in _MAY_BE_ASKED for row in rows):
            return 0.0
        return min((row.seconds for row in rows if row.availability is Availability.COOLDOWN), default=math.inf)

    def _rows(self) -> tuple[EndpointState, ...]:
        """How all endpoints stand that the request may go to."""
        return self._means.balancer.snapshot(self.resolution.model, among=self._errand.among)


class RequestRouter:
    """Decides where a request goes: model by name, endpoint by balancer, protocol by model and client.

    *sleep* waits between attempts; *rng* gives numbers from 0 to 1. Holds no
    lock: what changes are references, each replaced in one step.
    """

    def __init__(
        self,
        balancer: LoadBalancer,
        *,
        names: ModelNames | None = None,
        policy: Policy | None = None,
        protocols: Sequence[ProtocolHandler] = PROTOCOLS,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        policy = policy or Policy()
        self._balancer = balancer
        self._names = names or ModelNames((), policy.aliases, policy.fallbacks, fallback=policy.fallback)
        self._protocols = tuple(protocols)
        self._table: list[tuple[str, ProtocolHandler]] = []
        budget = RetryBudget(policy.retry, clock=clock)
        self._means = _Means(balancer, budget, policy, clock, rng, sleep or threading.Event().wait)

    @property
    def balancer(self) -> LoadBalancer:
        """Who chooses among the endpoints of a model."""
        return self._balancer

    @property
    def names(self) -> ModelNames:
        """Who knows the models by name, as deployed now."""
        deployed = self._balancer.models()
        if deployed != self._names.deployed:
            self._names = self._names.deploying(deployed)
        return self._names

    def register_converter(self, pattern: str, protocol: ProtocolHandler) -> None:
        """Ask models whose deployed name matches *pattern* ("future-model-*") in *protocol*, before any other rule."""
        self._table.insert(0, (pattern.lower(), protocol))

    def protocol(self, model: str, client: str, *, tools_with_reasoning: bool = False) -> ProtocolHandler:
        """Choose how to ask a deployed model on behalf of a client."""
        for pattern, protocol in tuple(self._table):
            if _matches(model, pattern):
                return protocol
        return protocol_for(model, client, tools_with_reasoning=tools_with_reasoning, protocols=self._protocols)

    def protocol_at(self, endpoint: Endpoint, client: str, *, tools_with_reasoning: bool = False) -> ProtocolHandler:
        """Choose how to ask an endpoint on behalf of a client, by what it runs; raises `FaultError` if it cannot be."""
        own = next((each for pattern, each in tuple(self._table) if _matches(endpoint.model, pattern)), None)
        return own or self.protocol(endpoint.backend, client, tools_with_reasoning=tools_with_reasoning)

    def attempts(
        self,
        model: str,
        *,
        client: str = "openai-chat",
        affinity_key: str = "",
        pinned: str | None = None,
        context: SelectionContext = NO_CONTEXT,
        tools_with_reasoning: bool = False,
        retry: bool = True,
        lifetime: Lifetime | None = None,
    ) -> Attempts:
        """Begin to answer a request; raises `NoEndpointError` for a model that is not deployed.

        *pinned* is the deployment, or `subaccount/deployment`, that holds what the request continues;
        *context* is what strategies may know of it. *lifetime* is the request's; without one
        it may take what its model's policy allows, from now on.
        """
        resolution = self.names.resolve(model)
        protocol = partial(self.protocol_at, client=client, tools_with_reasoning=tools_with_reasoning)
        for endpoint in self._balancer.endpoints(resolution.model)[:1]:
            protocol(endpoint)  # what its model cannot be asked at all is refused before anything is leased
        attempts = self._means.retry.max_attempts if retry else 1
        among = self._makers(resolution.model, pinned) if pinned else ()
        context = replace(context, affinity_key=affinity_key or context.affinity_key)
        lifetime = lifetime or _Countdown(self._means, resolution.model)
        return Attempts(self._means, resolution, _Errand(protocol, context, attempts, among, lifetime))

    def locate(self, model: str) -> Endpoint:
        """Choose an endpoint without a lease, for whoever calls it on his own; any GPT may stand in."""
        return self._balancer.select(self.names.resolve(model, catch_all=True).model)

    def route(self, payload: JSON, model: str | None = None, stream: bool | None = None) -> Route:
        """Say where to post an OpenAI chat request, and the body to post there."""
        asked = copy.deepcopy(payload)
        requested = model or str(asked.get("model") or "")
        endpoint = self._balancer.select(self.names.resolve(requested).model)
        protocol = self.protocol_at(endpoint, "openai-chat")
        asked["model"] = endpoint.backend
        if stream is not None:
            asked["stream"] = stream
        streams = bool(asked.get("stream"))
        body = protocol.get_request_converter()(asked)
        url = protocol.build_endpoint_for(endpoint.url, endpoint.backend, body, stream=streams)
        _log.info("route: %r is %s", requested, _told(endpoint, protocol))
        return Route(url, body, endpoint.subaccount, protocol)

    def _makers(self, model: str, pinned: str) -> tuple[Endpoint, ...]:
        """Name the endpoints that can continue what *pinned* began."""
        endpoints = self._balancer.endpoints(model)
        makers = tuple(e for e in endpoints if pinned in (e.deployment, f"{e.subaccount}/{e.deployment}"))
        if not makers:
            raise NoEndpointError(MAKER_LEFT)
        return makers


def _matches(model: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(model.lower(), pattern)


def _told(endpoint: Endpoint, protocol: ProtocolHandler) -> str:
    """Say a decision in a few words, for the log."""
    return f"{endpoint.model} by {protocol.name}, at {endpoint.subaccount}/{endpoint.deployment}"
