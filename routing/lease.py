"""Leases on endpoints, and the books they are kept in."""

import logging
import math
import random
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import NamedTuple, Self

from dialects.faults import Fault, FaultKind
from routing.breaker import CircuitBreaker, Permit
from routing.cooling import Clock, Cooling
from routing.endpoint import Candidate, Endpoint, QuotaDomain
from routing.journal import Circuit, CircuitMoved, Cooled, RoutingEvent, Settled, StrategyErred, Transition
from routing.policy import Policy
from routing.verdicts import VERDICTS, Effect, Scope, scope_of

log = logging.getLogger(__name__)

Listener = Callable[[RoutingEvent], None]

_SHORTEST = 0.001
"""Seconds of latency below which no endpoint counts as faster; it keeps the load in the product."""


class Member:
    """What is known about one endpoint. The ledger's lock guards it, but for the breaker."""

    __slots__ = (
        "_ewma",
        "_row",
        "_row_until",
        "_stamp",
        "answered",
        "breaker",
        "endpoint",
        "in_flight",
        "joined",
        "last_error",
        "waiting",
    )

    def __init__(self, endpoint: Endpoint, breaker: CircuitBreaker, seed: float, now: float) -> None:
        self.endpoint = endpoint
        self.breaker = breaker
        self.joined = now
        self.answered = -math.inf
        """When it last began to answer."""
        self.in_flight = 0
        self.waiting = 0
        self.last_error: FaultKind | None = None
        self._ewma = seed
        self._stamp = now
        self._row = Candidate(endpoint)
        self._row_until = -math.inf

    def adjust(self, endpoint: Endpoint) -> None:
        """The same endpoint, with other settings."""
        self.endpoint = endpoint
        self._row_until = -math.inf

    def enter(self) -> None:
        """One request more."""
        self.in_flight += 1
        self.waiting += 1
        self._row_until = -math.inf

    def leave(self, *, unanswered: bool) -> None:
        """One request less."""
        self.in_flight -= 1
        self.waiting -= unanswered
        self._row_until = -math.inf

    def row(self, now: float, decay: float) -> Candidate:
        """The row that strategies see. It is kept until it changes, or its latency may have faded by a hundredth."""
        if now >= self._row_until:
            self._row = Candidate(self.endpoint, self.in_flight, self.endpoint.weight, self.latency(now, decay))
            self._row_until = now + decay / 100
        return self._row

    def observe(self, seconds: float, now: float, decay: float) -> None:
        """Learn a latency: a higher one at once, a lower one as the old ones fade."""
        old = math.exp((self._stamp - now) / decay)
        self._ewma = max(seconds, self._ewma * old + seconds * (1 - old))
        self._stamp = now
        self._row_until = -math.inf

    def latency(self, now: float, decay: float) -> float:
        """The seconds to first content to expect. It fades while nobody waits, so that a slow one is tried again."""
        faded = self._ewma if self.waiting else self._ewma * math.exp((self._stamp - now) / decay)
        return max(faded, _SHORTEST)


class _Stage(Enum):
    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


class Ticket(NamedTuple):
    """What a lease was given."""

    member: Member
    permit: Permit
    started: float


class Lease:
    """The right to use one endpoint for one request.

    ============================  =====================================================
    reason                        why this endpoint
    ============================  =====================================================
    the name of the strategy      the strategy named it
    ``preferred``                 it made what the request brings along
    ``pinned``                    it made what the request continues: no other can
    ``probe``                     to see whether it is well again
    ``forced``                    all are open, and it has been the longest
    ``alone``                     it is open, but there is no other
    ``defect``                    the strategy named nobody, and it is the first
    ============================  =====================================================

    ========  ==========  ==================  =========================
    stage     answered    failed              close
    ========  ==========  ==================  =========================
    open      answered    closed, by verdict  closed, permit withdrawn
    answered  answered    closed, by verdict  closed
    closed    closed      closed              closed
    ========  ==========  ==================  =========================

    The verdict says what a fault means: a failure and a trip go to the breaker, a used-up
    quota makes its owner rest and is no failure, the caller's own fault gives the permit
    back, and so does a refusal until it is *overruled*. The slot is freed on entering
    *closed*, so exactly once. The lock guards the stage, and nothing is taken inside it.
    """

    def __init__(self, ledger: "Ledger", ticket: Ticket, reason: str) -> None:
        self.endpoint = ticket.member.endpoint
        self.reason = reason
        self._ledger = ledger
        self._ticket = ticket
        self._lock = threading.Lock()
        self._stage = _Stage.OPEN

    def answered(self) -> None:
        """The endpoint has begun to answer, so it is healthy."""
        if self._move(_Stage.ANSWERED) is _Stage.OPEN:
            self._ledger.answered(self._ticket)

    def failed(self, fault: Fault) -> None:
        """The request ended badly."""
        was = self._move(_Stage.CLOSED)
        if was is not _Stage.CLOSED:
            self._ledger.failed(self._ticket, fault, unanswered=was is _Stage.OPEN)

    def overruled(self, fault: Fault) -> None:
        """Another endpoint has taken what this one refused with *fault*; said once, after `failed`."""
        self._ledger.overruled(self._ticket, fault)

    def close(self) -> None:
        """The request is over. Without an answer this says nothing about the endpoint."""
        was = self._move(_Stage.CLOSED)
        if was is not _Stage.CLOSED:
            self._ledger.closed(self._ticket, unanswered=was is _Stage.OPEN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _move(self, to: _Stage) -> _Stage:
        """Go to a stage, unless it is too late; return the one before."""
        with self._lock:
            was = self._stage
            if was is not _Stage.CLOSED:
                self._stage = to
            return was


class Ledger:
    """Who has how many requests, who rests, and what is to be told about it.

    `lock` guards the members' counts, the coolings, and all that the balancer chooses
    by; it is held to choose and to count. A breaker's lock and a strategy's may be taken
    inside it. Whatever happens is queued, and told by `publish` when no lock is held.
    """

    def __init__(self, policy: Policy, clock: Clock, rng: random.Random, listener: Listener | None) -> None:
        self.lock = threading.Lock()
        self.cooling = Cooling(policy.cooling, clock=clock, rng=rng.random)
        self._policy = policy
        self._clock = clock
        self._rng = rng
        self._listener = listener
        self._events: deque[RoutingEvent] = deque()

    def enrol(self, endpoint: Endpoint) -> Member:
        """Begin to keep books about an endpoint."""

        def moved(transition: Transition) -> None:
            self.note(CircuitMoved(endpoint, transition))

        breaker = CircuitBreaker(self._policy.breaker, clock=self._clock, rng=self._rng.random, on_transition=moved)
        return Member(endpoint, breaker, self._policy.ewma_seed, self._clock())

    def grant(self, member: Member, permit: Permit, reason: str) -> Lease:
        """Count one more request; the caller holds the lock."""
        member.enter()
        return Lease(self, Ticket(member, permit, self._clock()), reason)

    def answered(self, ticket: Ticket) -> None:
        """The first content is there: the endpoint is well, and rests no more."""
        member, now = ticket.member, self._clock()
        seconds = now - ticket.started
        member.breaker.succeeded(ticket.permit)
        with self.lock:
            member.waiting -= 1
            member.answered = now
            member.observe(seconds, now, self._policy.ewma_decay)
            for key in keys_of(member.endpoint):
                self.cooling.ends(key, ticket.started)
        self.note(Settled(member.endpoint, None, seconds))
        self.publish()

    def failed(self, ticket: Ticket, fault: Fault, *, unanswered: bool) -> None:
        """The request is over, and *fault* says why."""
        member, now = ticket.member, self._clock()
        verdict = VERDICTS[fault.kind]
        self._tell_breaker(ticket, fault, verdict.effect)
        key = _resting(member.endpoint, scope_of(fault))
        with self.lock:
            member.leave(unanswered=unanswered)
            if verdict.effect not in (Effect.NEUTRAL, Effect.REFUSAL):
                penalty = self._policy.failure_penalty if fault.retry_after is None else fault.retry_after
                member.observe(min(penalty, self._policy.cooling.cap), now, self._policy.ewma_decay)
            if verdict.try_elsewhere:
                member.last_error = fault.kind
            rests = self.cooling.cool(key, fault.retry_after, fault.kind) if key is not None else 0.0
        if key is not None:
            self.note(Cooled(member.endpoint, key, rests, fault.kind))
        self.note(Settled(member.endpoint, fault.kind, now - ticket.started))
        self.publish()

    def overruled(self, ticket: Ticket, fault: Fault) -> None:
        """What the endpoint refused with *fault* was no mistake of the caller's."""
        ticket.member.breaker.overruled(ticket.permit, fault.kind.value)
        self.publish()

    def closed(self, ticket: Ticket, *, unanswered: bool) -> None:
        """The request is over."""
        ticket.member.breaker.withdrew(ticket.permit)
        with self.lock:
            ticket.member.leave(unanswered=unanswered)
        self.publish()

    def note(self, event: RoutingEvent) -> None:
        """Queue what happened; safe under any lock."""
        self._events.append(event)

    def publish(self) -> None:
        """Tell what happened, each event once; the caller holds no lock."""
        while self._events:
            try:
                event = self._events.popleft()
            except IndexError:  # another thread was quicker
                return
            _write(event)
            if self._listener is not None:
                try:
                    self._listener(event)
                except Exception:
                    log.exception("a listener could not take %s", type(event).__name__)

    def _tell_breaker(self, ticket: Ticket, fault: Fault, effect: Effect) -> None:
        breaker, permit = ticket.member.breaker, ticket.permit
        match effect:
            case Effect.FAILURE:
                breaker.failed(permit, fault.kind.value)
            case Effect.THROTTLE:
                breaker.throttled(permit)
            case Effect.TRIP:
                seconds = self._policy.discovery_interval or self._policy.breaker.timeout_cap
                breaker.trip("the deployment is gone", permit=permit, seconds=seconds)
            case _:
                breaker.withdrew(permit)


Key = Endpoint | QuotaDomain | str


def keys_of(endpoint: Endpoint) -> tuple[Key, Key, Key]:
    """All that may rest and take *endpoint* with it."""
    return endpoint, endpoint.domain, endpoint.subaccount


def _resting(endpoint: Endpoint, scope: Scope) -> Key | None:
    keys: dict[Scope, Key] = dict(zip((Scope.ENDPOINT, Scope.DOMAIN, Scope.SUBACCOUNT), keys_of(endpoint), strict=True))
    return keys.get(scope)


def _write(event: RoutingEvent) -> None:
    """Log what an operator wants to know; single requests are logged by whoever serves them."""
    match event:
        case CircuitMoved(endpoint, move):
            level = logging.WARNING if move.now is Circuit.OPEN else logging.INFO
            log.log(level, "circuit of %s: %s -> %s: %s", _named(endpoint), move.was.value, move.now.value, move.reason)
        case Cooled(_, key, seconds, why):
            log.warning("%s rests for %.1f s: %s", _named(key), seconds, why.value)
        case StrategyErred(strategy, model, error):
            log.error("the strategy %s errs about %s, so the first candidate is taken", strategy, model, exc_info=error)
        case _:
            pass


def _named(key: Key) -> str:
    if isinstance(key, str):
        return f"subaccount {key}"
    if isinstance(key, Endpoint):
        return f"{key.subaccount}/{key.deployment}"
    return f"the quota of {key.model} in {key.subaccount}"
