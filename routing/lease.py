"""Leases on endpoints, and the recording of their outcomes."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
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
    """The resources of a lease: a slot of a member and a permit of its circuit breaker, since *started*."""

    member: Member
    permit: Permit
    started: float


class _Stage(Enum):
    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


_SAME_COOLDOWN = 0.75
"""A cooldown is the same one, and no event, if this share of its new length was left of it anyway."""
_OPEN, _ANSWERED, _CLOSED = _Stage
"""Each is read many times in a decision, and reading an attribute of an enum takes three times as long as a call."""


class Lease:
    """The right to use one endpoint for one request.

    | reason                   | why this endpoint was selected                           |
    |--------------------------|----------------------------------------------------------|
    | the name of the strategy | the strategy selected it                                 |
    | `preferred`              | it made content that the request contains                |
    | `sticky`                 | only it can continue its own response                    |
    | `probe`                  | the request tests whether it is healthy again            |
    | `panic`                  | no endpoint outside of a cooldown has a closed circuit   |
    | `alone`                  | its circuit is open, but the model has no other endpoint |
    | `defect`                 | the strategy failed, so the first candidate was selected |

    | stage    | `answered` | `failed`                  | `close`                   |
    |----------|------------|---------------------------|---------------------------|
    | open     | answered   | closed, by classification | closed, permit given back |
    | answered | answered   | closed, by classification | closed                    |
    | closed   | closed     | closed                    | closed                    |

    The slot is freed exactly once, on entering *closed*. A lease that is garbage-collected before that is closed with a
    warning. The lock guards the stage, and no other lock is taken inside it.
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
        """Report that the first byte of a whole answer has arrived. It ends the measurement of latency."""
        if self._first_byte is None:
            self._first_byte = self._outcomes.now()

    def answered(self, *, whole: bool = False) -> None:
        """Report that the endpoint has begun to answer, so it is healthy.

        The latency of a *whole* answer is known only if `first_byte` was called.
        """
        if self._move(_ANSWERED) is _OPEN:
            self._outcomes.answered(self._grant, self._first_byte, whole=whole)

    def failed(self, fault: Fault) -> None:
        """Report that the request failed with *fault*, and close the lease."""
        was = self._move(_CLOSED)
        if was is not _CLOSED:
            self._outcomes.failed(self._grant, fault, unanswered=was is _OPEN)

    def overruled(self, fault: Fault) -> None:
        """Report that another endpoint accepted the request; once, after `failed` with the refusal *fault*."""
        self._outcomes.overruled(self._grant, fault)

    def close(self) -> None:
        """End the request and free the slot. Without an answer, this does not affect the health of the endpoint."""
        was = self._move(_CLOSED)
        if was is not _CLOSED:
            self._outcomes.closed(self._grant, unanswered=was is _OPEN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A finalizer may run while this thread holds a lock, so it only appends to a queue.
        if self._stage is not _CLOSED:
            self._outcomes.abandoned(self._grant, unanswered=self._stage is _OPEN)

    def _move(self, to: _Stage) -> _Stage:
        """Enter a stage, unless the lease is closed; return the stage before."""
        with self._lock:
            was = self._stage
            if was is not _CLOSED:
                self._stage = to
            return was


class OutcomeRecorder:
    """Applies the reports of leases to breakers, cooldowns, counts and latencies, and publishes them as events.

    *lock* is the lock of the balancer, which also guards members and cooldowns here. *endpoints* returns all endpoints.
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
        """The URLs of the endpoints whose latest answer was that the proxy may not use them."""
        self._cooldowns = cooldowns
        self._events = events
        self._policy = policy
        self._clock = clock
        self._abandoned: EventQueue[tuple[Grant, bool]] = EventQueue()

    def now(self) -> float:
        """Return the time of the balancer's clock, in seconds."""
        return self._clock()

    def answered(self, grant: Grant, first_byte: float | None, *, whole: bool) -> None:
        """Record an answer, which ends the endpoint's cooldowns; *first_byte* is when a *whole* one began."""
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
        """Record a request that failed with *fault*."""
        member, now = grant.member, self._clock()
        row = CLASSIFICATIONS[fault.kind]
        self._report_to_breaker(grant, fault, row.effect)
        with self._lock.lock:
            error = fault.kind if row.try_elsewhere else None
            member.finish(now, unanswered=unanswered, error=error, penalty=self._penalty(fault, row.effect))
            key = key_for(member.endpoint, self._scope(member.endpoint, fault))
            before = 0.0 if key is None else self._cooldowns.remaining(key)
            seconds = 0.0 if key is None else self._cooldowns.start(key, fault.retry_after, fault.kind)
        if key is not None and before <= seconds * _SAME_COOLDOWN:
            self._events.put(CooldownStarted(member.endpoint, key, seconds, fault.kind))
        self._events.put(OutcomeRecorded(member.endpoint, fault.kind, now - grant.started))
        self._events.publish()

    def overruled(self, grant: Grant, fault: Fault) -> None:
        """Record that another endpoint accepted the request that this one refused with *fault*."""
        grant.member.breaker.failed(grant.permit, fault.kind.value, refusal=True)
        self._events.publish()

    def closed(self, grant: Grant, *, unanswered: bool) -> None:
        """Record the end of a request that did not fail."""
        grant.member.breaker.released(grant.permit)
        with self._lock.lock:
            grant.member.finish(self._clock(), unanswered=unanswered)
        self._events.publish()

    def abandoned(self, grant: Grant, *, unanswered: bool) -> None:
        """Queue a lease that was garbage-collected, for `reclaim` to close. Takes no lock."""
        self._abandoned.append((grant, unanswered))

    def reclaim(self) -> None:
        """Close the abandoned leases; the caller holds no lock."""
        if not self._abandoned:
            return
        for grant, unanswered in self._abandoned.drain():
            self._events.put(LeaseAbandoned(grant.member.endpoint))
            self.closed(grant, unanswered=unanswered)

    def _scope(self, endpoint: Endpoint, fault: Fault) -> Scope:
        """Return what *fault* puts in cooldown: the subaccount if all its endpoints, two or more, are forbidden."""
        if fault.kind is not FaultKind.DEPLOYMENT_FORBIDDEN:
            if CLASSIFICATIONS[fault.kind].effect is not Effect.NEUTRAL:  # the endpoint itself answered
                self._forbidden.discard(endpoint.url)
            return scope_of(fault)
        self._forbidden.add(endpoint.url)
        here = {each.url for each in self._endpoints() if each.subaccount == endpoint.subaccount and each.weight}
        return Scope.SUBACCOUNT if len(here) > 1 and here <= self._forbidden else Scope.NONE

    def _penalty(self, fault: Fault, effect: Effect) -> float | None:
        """Return the seconds of latency that a fault counts as; None if it says nothing about the endpoint."""
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
