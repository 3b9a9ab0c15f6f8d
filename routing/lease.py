"""Leases on endpoints, and what is learnt when they end."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

from dialects.core.faults import Fault, FaultKind
from routing.classification import CLASSIFICATIONS, Effect, Scope, scope_of
from routing.cooldown import Clock, Cooldowns, key_for
from routing.endpoint import Endpoint
from routing.events import CooldownEnded, CooldownStarted, EventPublisher, EventQueue, LeaseAbandoned, OutcomeRecorded
from routing.health import Permit, PermitEnd
from routing.member import Member, StrategyLock
from routing.policy import Policy


@dataclass(slots=True, eq=False)
class Grant:
    """What a lease was granted: a slot at an endpoint, and a permit of its circuit, from *started* on."""

    member: Member
    permit: Permit
    started: float


class _Stage(Enum):
    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


_OPEN, _ANSWERED, _CLOSED = _Stage
"""Each is looked up many times in a decision, and an enum's attribute takes three times as long as a call."""


class Lease:
    """The right to use one endpoint for one request.

    ============================  =====================================================
    reason                        why this endpoint
    ============================  =====================================================
    the name of the strategy      the strategy selected it
    ``preferred``                 it made what the request brings along
    ``sticky``                    it made what the request continues: no other can
    ``probe``                     to find out whether it is healthy again
    ``panic``                     no circuit is closed, those in cooldown aside
    ``alone``                     its circuit is open, but there is no other
    ``defect``                    the strategy failed, and it is the first candidate
    ============================  =====================================================

    ========  ==========  ===========================  =========================
    stage     answered    failed                       close
    ========  ==========  ===========================  =========================
    open      answered    closed, by classification    closed, permit given back
    answered  answered    closed, by classification    closed
    closed    closed      closed                       closed
    ========  ==========  ===========================  =========================

    The slot is freed on entering *closed*, so exactly once; a lease that is garbage-collected before is closed with a
    warning. The lock guards the stage, and nothing is taken inside it.
    """

    def __init__(self, outcomes: "OutcomeRecorder", grant: Grant, reason: str) -> None:
        self.endpoint = grant.member.endpoint
        self.reason = reason
        self._outcomes = outcomes
        self._grant = grant
        self._lock = threading.Lock()
        self._stage = _OPEN
        self._first_byte: float | None = None

    def first_byte(self) -> None:
        """Note that an answer in one piece has begun to arrive: its latency is measured now."""
        if self._first_byte is None:
            self._first_byte = self._outcomes.now()

    def answered(self, *, whole: bool = False) -> None:
        """Report that the endpoint has begun to answer, so it is healthy.

        A *whole* answer, in one piece, says nothing about latency but by its `first_byte`.
        """
        if self._move(_ANSWERED) is _OPEN:
            self._outcomes.answered(self._grant, self._first_byte, whole=whole)

    def failed(self, fault: Fault) -> None:
        """Report that the request ended badly."""
        was = self._move(_CLOSED)
        if was is not _CLOSED:
            self._outcomes.failed(self._grant, fault, unanswered=was is _OPEN)

    def overruled(self, fault: Fault) -> None:
        """Report that another endpoint accepted what this one had refused with *fault*; once, after `failed`."""
        self._outcomes.overruled(self._grant, fault)

    def close(self) -> None:
        """Release the endpoint: the request is over. Without an answer this says nothing about it."""
        was = self._move(_CLOSED)
        if was is not _CLOSED:
            self._outcomes.closed(self._grant, unanswered=was is _OPEN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # A finalizer may run anywhere, even while this thread holds a lock: it only leaves a note.
        if self._stage is not _CLOSED:
            self._outcomes.abandoned(self._grant, unanswered=self._stage is _OPEN)

    def _move(self, to: _Stage) -> _Stage:
        """Go to a stage, unless it is too late; return the one before."""
        with self._lock:
            was = self._stage
            if was is not _CLOSED:
                self._stage = to
            return was


class OutcomeRecorder:
    """Applies what leases report: to breakers, cooldowns, counts and latencies, and tells it as events.

    *lock* is the balancer's: it guards members and cooldowns here, too. *endpoints* gives all that there are.
    """

    def __init__(
        self,
        lock: StrategyLock,
        endpoints: Callable[[], Collection[Endpoint]],
        cooldowns: Cooldowns,
        events: EventPublisher,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._lock = lock
        self._endpoints = endpoints
        self._forbidden: set[str] = set()
        """The URLs of those whose latest answer was that the proxy may not use them."""
        self._cooldowns = cooldowns
        self._events = events
        self._policy = policy
        self._clock = clock
        self._abandoned: EventQueue[tuple[Grant, bool]] = EventQueue()

    def now(self) -> float:
        """The time by the balancer's clock."""
        return self._clock()

    def answered(self, grant: Grant, first_byte: float | None, *, whole: bool) -> None:
        """Record an answer: the endpoint is healthy, and in no cooldown. A *whole* one began with its *first_byte*."""
        member, now = grant.member, self._clock()
        began = first_byte if whole else now
        seconds = (now if began is None else began) - grant.started
        member.breaker.succeeded(grant.permit)
        with self._lock.lock:
            member.answered(now, None if began is None else seconds)
            self._forbidden.discard(member.endpoint.url)
            ended = self._cooldowns.end_all(member.endpoint, grant.started)
        for key in ended:
            self._events.put(CooldownEnded(member.endpoint, key))
        self._events.put(OutcomeRecorded(member.endpoint, None, seconds))
        self._events.publish()

    def failed(self, grant: Grant, fault: Fault, *, unanswered: bool) -> None:
        """Record the end of a request, of which *fault* says why."""
        member, now = grant.member, self._clock()
        row = CLASSIFICATIONS[fault.kind]
        self._report_to_breaker(grant, fault, row.effect)
        with self._lock.lock:
            error = fault.kind if row.try_elsewhere else None
            member.finish(now, unanswered=unanswered, error=error, penalty=self._penalty(fault, row.effect))
            key = key_for(member.endpoint, self._scope(member.endpoint, fault))
            seconds = None if key is None else self._cooldowns.start(key, fault.retry_after, fault.kind)
        if key is not None and seconds is not None:
            self._events.put(CooldownStarted(member.endpoint, key, seconds, fault.kind))
        self._events.put(OutcomeRecorded(member.endpoint, fault.kind, now - grant.started))
        self._events.publish()

    def overruled(self, grant: Grant, fault: Fault) -> None:
        """Record that what the endpoint refused with *fault* was no mistake of the caller's."""
        grant.member.breaker.failed(grant.permit, fault.kind.value, refusal=True)
        self._events.publish()

    def closed(self, grant: Grant, *, unanswered: bool) -> None:
        """Record that the request is over."""
        grant.member.breaker.released(grant.permit)
        with self._lock.lock:
            grant.member.finish(self._clock(), unanswered=unanswered)
        self._events.publish()

    def abandoned(self, grant: Grant, *, unanswered: bool) -> None:
        """Remember a lease that nobody can close any more; `reclaim` closes it. Takes no lock."""
        self._abandoned.append((grant, unanswered))

    def reclaim(self) -> None:
        """Close the leases that were abandoned; the caller holds no lock."""
        if not self._abandoned:
            return
        for grant, unanswered in self._abandoned.drain():
            self._events.put(LeaseAbandoned(grant.member.endpoint))
            self.closed(grant, unanswered=unanswered)

    def _scope(self, endpoint: Endpoint, fault: Fault) -> Scope:
        """What *fault* puts in cooldown: the subaccount once it forbids all that it has, if that is more than one."""
        if fault.kind is not FaultKind.DEPLOYMENT_FORBIDDEN:
            if CLASSIFICATIONS[fault.kind].effect is not Effect.NEUTRAL:  # it was the endpoint that answered
                self._forbidden.discard(endpoint.url)
            return scope_of(fault)
        self._forbidden.add(endpoint.url)
        here = {each.url for each in self._endpoints() if each.subaccount == endpoint.subaccount and each.weight}
        return Scope.SUBACCOUNT if len(here) > 1 and here <= self._forbidden else Scope.NONE

    def _penalty(self, fault: Fault, effect: Effect) -> float | None:
        """The seconds of latency that a fault counts as; None if it says nothing about the endpoint."""
        if effect in (Effect.NEUTRAL, Effect.REFUSAL):
            return None
        penalty = self._policy.failure_penalty if fault.retry_after is None else fault.retry_after
        return min(penalty, self._policy.cooldown.cap)

    def _report_to_breaker(self, grant: Grant, fault: Fault, effect: Effect) -> None:
        breaker, permit = grant.member.breaker, grant.permit
        if effect is Effect.FAILURE:
            breaker.failed(permit, fault.kind.value)
        elif effect is Effect.EJECT:
            seconds = self._policy.discovery_interval or self._policy.breaker.timeout_cap
            breaker.eject("the deployment is gone", permit=permit, seconds=seconds)
        else:
            breaker.released(permit, PermitEnd.THROTTLED if effect is Effect.THROTTLE else PermitEnd.CANCELLED)
