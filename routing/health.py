"""Health of an endpoint, judged by its answers: the circuit breaker. `HealthChecker` asks endpoints besides."""

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
"""How often the number of probes in flight is doubled at most."""


@dataclass(frozen=True, slots=True)
class CircuitState:
    """The state of a circuit at one moment; times are by the breaker's clock."""

    circuit: Circuit
    reason: str
    """Why it came into this state."""
    since: float
    """When it came into this state, or last proved to belong there."""
    until: float | None = None
    """When an open circuit becomes half-open; None if it is not open."""
    k: int = 0
    """How often its open time was doubled."""
    ejected: bool = False
    """Whether it is open because the deployment is not there."""
    closed_at: float = -math.inf
    """When it closed after it had been open; minus infinity if it is not closed, or always was."""
    probes: int = 0
    """How many probes are in flight."""
    next_probe: float = 0.0
    """In how many seconds there is room for another probe when no circuit of the model is closed."""


class _Stage(Enum):
    OUT = "out"
    ANSWERED = "answered"
    SETTLED = "settled"


# Each is looked up many times in a decision, and an enum's attribute takes three times as long as a call.
_OUT, _ANSWERED, _SETTLED = _Stage
_CLOSED, _OPEN, _HALF_OPEN = Circuit


class PermitEnd(Enum):
    """How a request ended that did not fail."""

    COMPLETE = "complete"
    CANCELLED = "cancelled"
    """Nothing was learnt about the endpoint."""
    THROTTLED = "throttled"
    """It met a used-up quota."""


@dataclass(slots=True, eq=False)
class Permit:
    """The right to send one request. It counts once, and only in the generation it was given in."""

    generation: int
    stage: _Stage = _OUT
    counted: tuple[Tally, ...] = ()
    """Where its answer was counted, to be taken back if it is cut."""


class CircuitBreaker:
    """Stops traffic to an endpoint that keeps failing, then lets probes try it.

    Never called around the work: `enter` before it, then report the outcome.

    ================  ====================  ====================  ==========================
    what happens      closed                open                  half-open
    ================  ====================  ====================  ==========================
    enter             a permit              none                  one
    enter in panic    a permit              1, 2, 4 … of them     1, 2, 4 … of them
    enter always      a permit              a permit              a permit
    succeeded         counts                closed, if enough     closed, if enough
    failed            counts; open if       stays                 open, k + 1
                      too many
    failed after      counts; open if       stays                 open, k + 1
    succeeded         too many, and k + 1
                      if it had closed it
    failed, refusal   open if too many      stays                 open, k + 1
                      in a row
    released          --                    permit comes back     permit comes back;
                                                                  throttled: open, same k
    eject             open (ejected)        open (ejected)        open (ejected)
    time is over      --                    half-open             --
    readmit           --                    half-open, if ejected --
    checked, alive    --                    half-open, unless     --
                                            ejected
    checked, not      --                    stays                 open, same k, unless a
                                                                  probe is in flight
    ================  ====================  ====================  ==========================

    *Panic* is when none of the model's endpoints has a closed circuit, those in cooldown aside: then one permit may be
    out at first, and twice as many for each second in which none of them failed. A generation begins when a circuit
    opens or closes, and a permit of an earlier one counts for nothing; but for those whose answers closed the circuit:
    it hangs on them until one was complete, since without them it would not be closed.

    The lock guards all of it. It is held for assignments; nothing is taken inside it.
    *on_transition* is called after it was released. *timeout* as a keyword is a fixed one.
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
        """Since when probes have been in flight of which none failed."""
        self._proofs: list[Permit] = []
        """Whose answers, in a row, close the circuit or have closed it; empty once one of them was complete."""

    @property
    def state(self) -> Circuit:
        """The state, as of now."""
        return self.snapshot().circuit

    def snapshot(self) -> CircuitState:
        """Return everything that is known of the circuit, as of now."""
        state = self._now
        if state.circuit is _CLOSED and not state.k:  # immutable, and no time changes it: nothing to lock
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
        """Take a permit, or None; an open circuit gives some in *panic*, and one *always* if there is no other."""
        with self._lock:
            if self._now.circuit is _CLOSED:  # no time changes it: nothing to publish
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
        """Report a failure, be it after the answer had begun; *refusal*: it refused what another accepted."""
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
        """Give a permit back; one whose answer never began was cancelled, whatever its *end* is called."""
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
        """Open: the deployment is not there, until it is readmitted or *seconds* have passed."""
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
        """Report that the deployment is there again: let a probe try it."""
        self._let_a_probe_in(ejected=True, reason="the deployment runs again")

    def checked(self, trouble: str = "") -> None:
        """Report an active check: without *trouble* a probe may try an open circuit before its time."""
        if not trouble:
            self._let_a_probe_in(ejected=False, reason="an active check succeeded")
            return
        with self._lock:
            now = self._tick()
            if self._now.circuit is _HALF_OPEN and not self._probes:
                self._open(now, self._now.k, f"an active check failed: {trouble}")
        self._publish()

    def apply(self, transition: Transition) -> None:
        """Follow a transition that another process published; it is not published again.

        Only an open circuit becomes half-open: one that has closed meanwhile has proved more.
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
        """Let an open circuit become half-open if its time is over; return the time."""
        now = self._clock()
        if self._now.until is not None and now >= self._now.until:
            self._become(_HALF_OPEN, now, "its open time has passed", self._now.k)
        return now

    def _publish(self) -> None:
        """Tell every transition once; no lock is held."""
        for transition in self._transitions.drain() if self._transitions else ():
            if self._on_transition is not None:
                self._on_transition(transition)

    def _has_room(self, now: float, *, panic: bool) -> bool:
        if panic:
            return not self._next_probe(now)
        return self._now.circuit is _HALF_OPEN and not self._probes

    def _next_probe(self, now: float) -> float:
        """In how many seconds there is room for a probe more in panic: 2 to the n after n seconds without a failure."""
        doublings = min(len(self._probes).bit_length(), _DOUBLINGS)
        return max(0.0, self._proving_since + doublings - now) if doublings else 0.0

    def _counts(self, permit: Permit) -> bool:
        return permit.generation == self._generation and permit.stage is not _SETTLED

    def _settle(self, permit: Permit) -> bool:
        """End a permit; return whether it had been answered."""
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
        """How often the open time would be doubled now: health takes doublings back."""
        if self._now.circuit is not _CLOSED:
            return self._now.k
        return max(0, self._now.k - int((now - self._now.since) / self._policy.forgive_after))


def _adjusted(policy: BreakerPolicy, failure_threshold: int | None, timeout: float | None) -> BreakerPolicy:
    if failure_threshold is not None:
        policy = replace(policy, failure_threshold=failure_threshold)
    if timeout is not None:
        policy = replace(policy, timeout=timeout, timeout_cap=max(timeout, policy.timeout_cap), fixed_timeout=True)
    return policy
