"""The circuit breaker, which judges the health of an endpoint by its answers."""

import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from routing.cooldown import Chance, Clock
from routing.events import Circuit, EventQueue, Transition
from routing.health_checker import HealthChecker
from routing.outcome_window import OutcomeWindow, Tally
from routing.policy import BreakerPolicy

__all__ = ["Circuit", "CircuitBreaker", "CircuitState", "HealthChecker", "Permit", "Transition"]

_DOUBLINGS = 30
"""The maximum number of doublings of the probes that may be in flight."""


@dataclass(frozen=True, slots=True)
class CircuitState:
    """A snapshot of a circuit. Times are readings of the breaker's clock, in seconds."""

    circuit: Circuit
    reason: str
    """Why the circuit entered this state."""
    since: float
    """When the circuit entered this state, or an outcome last confirmed it."""
    until: float | None = None
    """When an open circuit becomes half-open; None if it is not open."""
    k: int = 0
    """How often the open time was doubled."""
    ejected: bool = False
    """Whether the circuit is open because the deployment does not exist."""
    closed_at: float = -math.inf
    """When the circuit closed; minus infinity if it is not closed, or was never open."""
    probes: int = 0
    """The number of probes in flight."""
    next_probe: float = 0.0
    """Seconds until another probe is allowed in panic, when no circuit of the model is closed."""


class _Stage(Enum):
    OUT = "out"
    ANSWERED = "answered"
    SETTLED = "settled"


# Each is read many times in a decision, and reading an attribute of an enum takes three times as long as a call.
_OUT, _ANSWERED, _SETTLED = _Stage
_CLOSED, _OPEN, _HALF_OPEN = Circuit


class PermitEnd(Enum):
    """The end of a request that did not fail."""

    COMPLETE = "complete"
    CANCELLED = "cancelled"
    """The request says nothing about the health of the endpoint."""
    THROTTLED = "throttled"
    """The quota was used up."""


@dataclass(slots=True, eq=False)
class Permit:
    """The right to send one request. Its outcome counts once, and only in the generation in which it was issued."""

    generation: int
    stage: _Stage = _OUT
    counted: tuple[Tally, ...] = ()
    """The tallies that counted its answer; a stream that is cut is subtracted from them."""


class CircuitBreaker:
    """Stops the traffic to an endpoint that keeps failing, and later sends probes to it.

    Call `enter` before a request and report its outcome afterwards: the breaker does not wrap the request.

    | event                 | closed                     | open                      | half-open                      |
    |-----------------------|----------------------------|---------------------------|--------------------------------|
    | `enter`               | a permit                   | none                      | one                            |
    | `enter` in panic      | a permit                   | 1, 2, 4 … permits         | 1, 2, 4 … permits              |
    | `enter` always        | a permit                   | a permit                  | a permit                       |
    | `succeeded`           | counts                     | closed, if enough         | closed, if enough              |
    | `failed`              | counts; open if too many   | stays                     | open, k + 1                    |
    | `failed` after answer | counts, or open with k + 1 | stays                     | open, k + 1                    |
    | `failed`, a refusal   | open if too many in a row  | stays                     | open, k + 1                    |
    | `released`            | stays                      | permit back               | permit back; open if throttled |
    | `eject`               | open (ejected)             | open (ejected)            | open (ejected)                 |
    | open time over        | stays                      | half-open                 | stays                          |
    | `readmit`             | stays                      | half-open, if ejected     | stays                          |
    | `checked`, alive      | stays                      | half-open, unless ejected | stays                          |
    | `checked`, not alive  | stays                      | stays                     | open, without probes           |

    *k* is the number of times that the open time was doubled; it stays the same unless the table says `k + 1`. A
    failure after the answer began opens the circuit with `k + 1` if this answer had closed it, and counts otherwise. A
    failed check opens a half-open circuit only if no probe is in flight.

    *Panic* means that no endpoint of the model outside of a cooldown has a closed circuit. Then one permit may be in
    use at first, and twice as many for each second in which none of them failed. A generation begins when the circuit
    opens or closes, and permits of earlier generations do not count. The permits whose answers closed the circuit are
    an exception: they count until one of the answers is complete, and a failure of one of them opens the circuit again.

    The lock guards the whole state. It is held for assignments, and no other lock is taken inside it. *on_transition*
    is called after it was released. *timeout* replaces the open time of the policy by a fixed one, in seconds.
    """

    def __init__(
        self,
        policy: BreakerPolicy | None = None,
        *,
        failure_threshold: int | None = None,
        timeout: float | None = None,
        clock: Clock = time.monotonic,
        rng: Chance = random.random,
        on_transition: Callable[[Transition], None] | None = None,
    ) -> None:
        self._policy = policy = _adjusted(policy or BreakerPolicy(), failure_threshold, timeout)
        self._clock = clock
        self._rng = rng
        self._on_transition = on_transition
        self._lock = threading.Lock()
        self._transitions: EventQueue[Transition] = EventQueue()
        self._now = CircuitState(_CLOSED, "never failed", clock())
        self._generation = 0
        self._window = OutcomeWindow(policy)
        self._probes: set[Permit] = set()
        self._proving_since = 0.0
        """The time since which probes have been in flight without a failure."""
        self._proofs: list[Permit] = []
        """The permits whose answers close the circuit or have closed it; empty once one answer was complete."""

    @property
    def state(self) -> Circuit:
        """The current state."""
        return self.snapshot().circuit

    def snapshot(self) -> CircuitState:
        """Return a snapshot of the circuit."""
        state = self._now
        if state.circuit is _CLOSED and not state.k:  # immutable, and time does not change it: no lock is needed
            return state
        with self._lock:
            now = self._tick()
            next_probe = self._next_probe(now)
            state = replace(self._now, k=self._k_at(now), probes=len(self._probes), next_probe=next_probe)
            if state.circuit is _CLOSED and not state.k:
                self._now = state
        self._publish()
        return state

    def enter(self, *, panic: bool = False, always: bool = False) -> Permit | None:
        """Return a permit, or None. An open circuit gives some in *panic*, and one to every request with *always*."""
        with self._lock:
            if self._now.circuit is _CLOSED:  # time does not change it: nothing to publish
                return Permit(self._generation)
            now = self._tick()
            permit = None
            if always or self._has_room(now, panic=panic):
                permit = Permit(self._generation)
                if not self._probes:
                    self._proving_since = now
                self._probes.add(permit)
        self._publish()
        return permit

    def succeeded(self, permit: Permit) -> None:
        """Report that the endpoint has begun to answer."""
        with self._lock:
            now = self._tick()
            if self._counts(permit) and permit.stage is _OUT:
                permit.stage = _ANSWERED
                self._probes.discard(permit)
                if self._now.circuit is _CLOSED:
                    permit.counted = self._window.answered(now)
                else:
                    self._proofs.append(permit)
                    if len(self._proofs) >= self._policy.success_threshold:
                        self._close(now)
        self._publish()

    def failed(self, permit: Permit, reason: str = "", *, refusal: bool = False) -> None:
        """Report a failure before or during the answer; *refusal*: another endpoint accepted the request."""
        with self._lock:
            now = self._tick()
            if refusal:
                self._count_refusal(permit, now, reason)
            elif self._counts(permit):
                self._settle(permit)
                match self._now.circuit:
                    case Circuit.OPEN:
                        self._now = replace(self._now, since=now)
                        self._proving_since = now
                        self._proofs.clear()
                    case Circuit.CLOSED if permit not in self._proofs:
                        why = self._window.failed(now, permit.counted)
                        if why:
                            self._open(now, self._k_at(now), f"{why}: {reason}")
                    case _:
                        self._open(now, self._k_at(now) + 1, f"the probe failed: {reason}")
        self._publish()

    def released(self, permit: Permit, end: PermitEnd = PermitEnd.COMPLETE) -> None:
        """Return a permit at the *end* of a request. Without an answer, COMPLETE counts as CANCELLED."""
        with self._lock:
            now = self._tick()
            if self._counts(permit):
                had_begun = self._settle(permit)
                if end is PermitEnd.THROTTLED and self._now.circuit is _HALF_OPEN:
                    self._open(now, self._now.k, "the probe found the quota used up")
                elif end is PermitEnd.COMPLETE and had_begun and self._now.circuit is _CLOSED:
                    self._window.completed()
                    self._proofs.clear()
        self._publish()

    def eject(self, reason: str, *, permit: Permit | None = None, seconds: float = math.inf) -> None:
        """Open the circuit because the deployment does not exist, until `readmit` or for so many *seconds*."""
        with self._lock:
            now = self._tick()
            if permit is None or self._counts(permit):
                if permit is not None:
                    self._settle(permit)
                until = now + seconds
                if self._now.ejected:
                    self._now = replace(self._now, until=max(until, self._now.until or until))
                else:
                    self._become(_OPEN, now, reason, self._k_at(now), until=until, ejected=True)
        self._publish()

    def readmit(self) -> None:
        """Report that the deployment exists again, so that a probe may try it."""
        self._let_a_probe_in(ejected=True, reason="the deployment runs again")

    def checked(self, trouble: str = "") -> None:
        """Report an active check; *trouble* says why it failed. A success makes an open circuit half-open at once."""
        if not trouble:
            self._let_a_probe_in(ejected=False, reason="an active check succeeded")
            return
        with self._lock:
            now = self._tick()
            if self._now.circuit is _HALF_OPEN and not self._probes:
                self._open(now, self._now.k, f"an active check failed: {trouble}")
        self._publish()

    def apply(self, transition: Transition) -> None:
        """Apply a transition that another process published, without publishing it again.

        A closed circuit does not become half-open, because its own answers have closed it.
        """
        move = transition
        with self._lock:
            now = self._tick()
            was = self._now.circuit
            if move.now is _OPEN:
                until = max(now + move.seconds, self._now.until or now)
                ejected = move.ejected or self._now.ejected
                self._become(_OPEN, now, move.reason, move.k, until=until, ejected=ejected, publish=False)
            elif was is _OPEN or (was is _HALF_OPEN and move.now is _CLOSED):
                self._become(move.now, now, move.reason, move.k, publish=False)
        self._publish()

    def _let_a_probe_in(self, *, ejected: bool, reason: str) -> None:
        with self._lock:
            now = self._tick()
            if self._now.circuit is _OPEN and self._now.ejected is ejected:
                self._become(_HALF_OPEN, now, reason, self._now.k)
        self._publish()

    def _tick(self) -> float:
        """Make an open circuit half-open if its open time is over; return the current time."""
        now = self._clock()
        if self._now.until is not None and now >= self._now.until:
            self._become(_HALF_OPEN, now, "its open time has passed", self._now.k)
        return now

    def _publish(self) -> None:
        """Report each transition once; the caller holds no lock."""
        for transition in self._transitions.drain() if self._transitions else ():
            if self._on_transition is not None:
                self._on_transition(transition)

    def _has_room(self, now: float, *, panic: bool) -> bool:
        if panic:
            return not self._next_probe(now)
        return self._now.circuit is _HALF_OPEN and not self._probes

    def _next_probe(self, now: float) -> float:
        """Return the seconds until panic allows another probe: 2^n after n seconds without a failure."""
        doublings = min(len(self._probes).bit_length(), _DOUBLINGS)
        return max(0.0, self._proving_since + doublings - now) if doublings else 0.0

    def _counts(self, permit: Permit) -> bool:
        return permit.generation == self._generation and permit.stage is not _SETTLED

    def _settle(self, permit: Permit) -> bool:
        """End a permit; return whether its answer had begun."""
        answered = permit.stage is _ANSWERED
        permit.stage = _SETTLED
        self._probes.discard(permit)
        return answered

    def _count_refusal(self, permit: Permit, now: float, reason: str) -> None:
        if permit.generation != self._generation or self._now.circuit is _OPEN:
            return
        if self._now.circuit is _HALF_OPEN:
            self._open(now, self._now.k + 1, f"the deployment refused a probe that others accept: {reason}")
        elif why := self._window.refused():
            self._open(now, self._k_at(now), f"{why}: {reason}")

    def _close(self, now: float) -> None:
        proofs = self._proofs
        self._become(_CLOSED, now, "it answered", self._now.k)
        self._proofs = proofs
        for permit in proofs:
            permit.generation = self._generation

    def _open(self, now: float, k: int, reason: str) -> None:
        policy = self._policy
        k = min(k, max(0, math.ceil(math.log2(policy.timeout_cap / policy.timeout))))
        seconds = policy.timeout
        if not policy.fixed_timeout:
            spread = 1 + policy.timeout_jitter * (2 * self._rng() - 1)
            seconds = min(policy.timeout * 2.0**k, policy.timeout_cap) * spread
        self._become(_OPEN, now, reason, k, until=now + seconds)

    def _become(
        self,
        circuit: Circuit,
        now: float,
        reason: str,
        k: int,
        *,
        until: float | None = None,
        ejected: bool = False,
        publish: bool = True,
    ) -> None:
        was = self._now.circuit
        if (was, circuit) != (_OPEN, _HALF_OPEN):
            self._generation += 1
            self._probes = set()
        self._proofs = []
        self._window = OutcomeWindow(self._policy)
        closed_at = now if circuit is _CLOSED else -math.inf
        self._now = CircuitState(circuit, reason, now, until, k, ejected, closed_at)
        if publish:
            seconds = 0.0 if until is None else until - now
            self._transitions.append(Transition(was, circuit, reason, seconds, k, ejected))

    def _k_at(self, now: float) -> int:
        """Return how often the open time would be doubled now. Time without trouble takes doublings back."""
        if self._now.circuit is not _CLOSED:
            return self._now.k
        return max(0, self._now.k - int((now - self._now.since) / self._policy.forgive_after))


def _adjusted(policy: BreakerPolicy, failure_threshold: int | None, timeout: float | None) -> BreakerPolicy:
    if failure_threshold is not None:
        policy = replace(policy, failure_threshold=failure_threshold)
    if timeout is not None:
        policy = replace(policy, timeout=timeout, timeout_cap=max(timeout, policy.timeout_cap), fixed_timeout=True)
    return policy
