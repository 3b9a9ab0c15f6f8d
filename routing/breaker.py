"""Whether an endpoint may be used, judged by what its answers say."""

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from routing.cooling import Chance, Clock
from routing.journal import BreakerSnapshot, Circuit, Transition
from routing.policy import BreakerPolicy

_SLICES = 10
"""Into how many parts the window is cut; the oldest is forgotten whole."""


class _Stage(Enum):
    OUT = "out"
    ANSWERED = "answered"
    SETTLED = "settled"


@dataclass(slots=True, eq=False)
class _Tally:
    """Outcomes of one part of the window, or the answers between two failures."""

    number: int = 0
    good: int = 0
    bad: int = 0


@dataclass(slots=True, eq=False)
class Permit:
    """The right to send one request. It counts once, and only in the generation it was given in."""

    generation: int
    stage: _Stage = _Stage.OUT
    counted: tuple[_Tally, ...] = ()
    """Where its answer was counted, to be taken back if it is cut."""


class CircuitBreaker:
    """Stops traffic to an endpoint that keeps failing, then lets one probe try it.

    Never called around the work: `enter` before it, then tell what was learnt.

    =============  ====================  ====================  ==========================
    what happens   closed                open                  half-open
    =============  ====================  ====================  ==========================
    enter          a permit              none; forced: one     one; forced: the same one
    insist         a permit              a permit              a permit
    succeeded      counts                closed, if enough     closed, if enough
    failed         counts; open if       stays                 open, k + 1
                   too many
    cut            counts; open if       stays                 open, k + 1
                   too many, and k + 1
                   if it had closed it
    throttled      --                    stays                 open, same k
    withdrew       --                    permit comes back     permit comes back
    overruled      open if too many      --                    open, k + 1
                   in a row
    trip           open (gone)           open (gone)           open (gone)
    time is over   --                    half-open             --
    reachable      --                    half-open, unless     --
                                         gone
    restore        --                    half-open, if gone    --
    unreachable    --                    open, anew            open, k + 1, unless probing
    =============  ====================  ====================  ==========================

    A change of state starts a generation, and a permit of an earlier one counts for
    nothing. Two go over into the next: the forced permit of an open circuit, which
    becomes the probe, and those whose answers closed the circuit.

    *Cut* is what failed after it had succeeded. Its answer is taken back, as if it had
    never been: it does not end a row of failures, and does not count for the rate. While
    streams overlap there is always an answer between two cuts, so cuts are too many as
    well when nothing ended well between them. A closed circuit hangs on the answers that
    closed it until one has ended well: without them it would not be closed.

    The lock guards all of it. It is held for assignments; nothing is taken inside it.
    *on_transition* is called after it was let go. *timeout* as a keyword is a fixed one.
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
        self._top = max(0, math.ceil(math.log2(policy.timeout_cap / policy.timeout)))
        self._clock = clock
        self._rng = rng
        self._on_transition = on_transition
        self._lock = threading.Lock()
        self._moves: deque[Transition] = deque()
        self._circuit = Circuit.CLOSED
        self._reason = "never failed"
        self._generation = 0
        self._since = clock()
        self._until = 0.0
        self._k = 0
        self._gone = False
        self._slow = False
        self.well = True
        """Whether it is closed, with its full weight. Read without the lock, for every choice: `enter` decides."""
        self._probe: Permit | None = None
        self._proofs: list[Permit] = []
        """Whose answers, in a row, close the circuit or have closed it; nobody's once it has proved itself."""
        self._slices: deque[_Tally] = deque()
        self._runs = self._no_failures()
        """The answers between the latest failures."""
        self._cuts = 0
        """How many were cut since one ended well."""
        self._overruled = 0
        """How many were refused since one was answered, and taken elsewhere."""

    @property
    def state(self) -> Circuit:
        """The state, as of now."""
        return self.snapshot().state

    def snapshot(self) -> BreakerSnapshot:
        """How things stand, as of now."""
        with self._lock:
            now = self._tick()
            opened = self._circuit is Circuit.OPEN
            view = BreakerSnapshot(
                state=self._circuit,
                reason=self._reason,
                since=self._since,
                until=self._until if opened else None,
                k=self._k_at(now),
                probing=self._probe is not None,
                gone=self._gone,
                share=self._share(now),
            )
        self._tell()
        return view

    def enter(self, force: bool = False) -> Permit | None:
        """Take a permit, or None. A circuit that is not closed gives one at a time; an open one if forced."""
        with self._lock:
            self._tick()
            permit = None
            if self._circuit is Circuit.CLOSED:
                permit = Permit(self._generation)
            elif self._probe is None and (force or self._circuit is Circuit.HALF_OPEN):
                permit = self._probe = Permit(self._generation)
        self._tell()
        return permit

    def insist(self) -> Permit:
        """Take a permit, whatever the state: there is nowhere else to go."""
        with self._lock:
            self._tick()
            permit = Permit(self._generation)
            if self._circuit is not Circuit.CLOSED and self._probe is None:
                self._probe = permit
        self._tell()
        return permit

    def succeeded(self, permit: Permit) -> None:
        """The endpoint answered."""
        with self._lock:
            now = self._tick()
            if self._counts(permit) and permit.stage is _Stage.OUT:
                permit.stage = _Stage.ANSWERED
                self._free(permit)
                if self._circuit is Circuit.CLOSED:
                    self._overruled = 0
                    permit.counted = self._slice(now), self._runs[-1]
                    for tally in permit.counted:
                        tally.good += 1
                else:
                    self._proofs.append(permit)
                    if len(self._proofs) >= self._policy.success_threshold:
                        self._close(now)
        self._tell()

    def failed(self, permit: Permit, reason: str = "") -> None:
        """The endpoint failed, be it after it had begun to answer."""
        with self._lock:
            now = self._tick()
            if self._counts(permit):
                cut = self._settle(permit)
                match self._circuit:
                    case Circuit.OPEN:
                        self._since = now
                        self._proofs.clear()
                    case Circuit.CLOSED if permit not in self._proofs:
                        self._count_failure(permit, now, reason, cut=cut)
                    case _:
                        self._open(now, self._k_at(now) + 1, f"the probe failed: {reason}")
        self._tell()

    def throttled(self, permit: Permit) -> None:
        """A quota was used up, which is no failure; but a probe has proved nothing."""
        with self._lock:
            now = self._tick()
            if self._counts(permit):
                self._settle(permit)
                if self._circuit is Circuit.HALF_OPEN:
                    self._open(now, self._k, "the probe met a used-up quota")
        self._tell()

    def withdrew(self, permit: Permit) -> None:
        """Nothing more was learnt: it ended well, or said nothing."""
        with self._lock:
            self._tick()
            if self._counts(permit) and self._settle(permit) and self._circuit is Circuit.CLOSED:
                self._cuts = 0
                self._proofs.clear()
        self._tell()

    def overruled(self, permit: Permit, reason: str = "") -> None:
        """Another endpoint took what this one had refused; said once of a permit, after it was given back."""
        with self._lock:
            now = self._tick()
            if permit.generation == self._generation and self._circuit is not Circuit.OPEN:
                self._overruled += 1
                if self._circuit is Circuit.HALF_OPEN:
                    self._open(now, self._k + 1, f"the probe refused what others take: {reason}")
                elif self._overruled >= self._policy.failure_threshold:
                    why = f"{self._overruled} requests in a row refused that others take: {reason}"
                    self._open(now, self._k_at(now), why)
        self._tell()

    def trip(self, reason: str, *, permit: Permit | None = None, seconds: float = math.inf) -> None:
        """The endpoint is not there: open until it is restored, or *seconds* have passed."""
        with self._lock:
            now = self._tick()
            if permit is None or self._counts(permit):
                if permit is not None:
                    self._settle(permit)
                known, self._gone = self._gone, True
                self._until = max(now + seconds, self._until) if known else now + seconds
                if not known:
                    self._become(Circuit.OPEN, now, reason, self._k_at(now))
        self._tell()

    def restore(self) -> None:
        """The endpoint is there again: let a probe try it."""
        self._revive(gone=True, reason="the deployment runs again")

    def reachable(self) -> None:
        """An active check got through: let a probe try it, before its time."""
        self._revive(gone=False, reason="an active check got through")

    def unreachable(self, reason: str) -> None:
        """An active check failed: a circuit that is not closed has to wait anew."""
        with self._lock:
            now = self._tick()
            if self._circuit is Circuit.HALF_OPEN and self._probe is None:
                self._open(now, self._k + 1, f"an active check failed: {reason}")
            elif self._circuit is Circuit.OPEN:
                self._until = max(self._until, now + self._open_for(self._k))
        self._tell()

    def start_slowly(self) -> None:
        """The endpoint has just joined: give it its weight little by little."""
        with self._lock:
            self._since, self._slow = self._clock(), self._policy.slow_start > 0
            self.well = self._circuit is Circuit.CLOSED and not self._slow

    def _revive(self, *, gone: bool, reason: str) -> None:
        with self._lock:
            now = self._tick()
            if self._circuit is Circuit.OPEN and self._gone is gone:
                self._become(Circuit.HALF_OPEN, now, reason, self._k)
        self._tell()

    def _tick(self) -> float:
        now = self._clock()
        if self._circuit is Circuit.OPEN and now >= self._until:
            self._become(Circuit.HALF_OPEN, now, "its time was over", self._k)
        return now

    def _tell(self) -> None:
        """Hand over what happened; every move once, and never under the lock."""
        while self._moves:
            try:
                move = self._moves.popleft()
            except IndexError:  # another thread was quicker
                return
            if self._on_transition is not None:
                self._on_transition(move)

    def _counts(self, permit: Permit) -> bool:
        return permit.generation == self._generation and permit.stage is not _Stage.SETTLED

    def _settle(self, permit: Permit) -> bool:
        """It is over; say whether it had been answered."""
        answered = permit.stage is _Stage.ANSWERED
        permit.stage = _Stage.SETTLED
        self._free(permit)
        return answered

    def _free(self, permit: Permit) -> None:
        if self._probe is permit:
            self._probe = None

    def _count_failure(self, permit: Permit, now: float, reason: str, *, cut: bool) -> None:
        for tally in permit.counted:
            tally.good -= 1
        self._slice(now).bad += 1
        self._runs.append(_Tally())
        self._cuts += cut
        streak = next((n for n, run in enumerate(reversed(self._runs)) if run.good), len(self._runs))
        bad = sum(each.bad for each in self._slices)
        total = bad + sum(each.good for each in self._slices)
        policy = self._policy
        if streak >= policy.failure_threshold:
            self._open(now, self._k_at(now), f"{streak} failures in a row: {reason}")
        elif self._cuts >= policy.failure_threshold:
            self._open(now, self._k_at(now), f"{self._cuts} answers in a row were cut: {reason}")
        elif total >= policy.minimum_outcomes and bad >= policy.failure_rate * total:
            self._open(now, self._k_at(now), f"{bad} of {total} failed: {reason}")

    def _no_failures(self) -> deque[_Tally]:
        """Begin to look for failures in a row: what was before ends a row as an answer does."""
        return deque([_Tally(good=1)], maxlen=self._policy.failure_threshold)

    def _slice(self, now: float) -> _Tally:
        """Give the part of the window that is running, and drop those past."""
        number = int(now * _SLICES / self._policy.window)
        while self._slices and self._slices[0].number <= number - _SLICES:
            self._slices.popleft()
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_Tally(number))
        return self._slices[-1]

    def _close(self, now: float) -> None:
        self._slow = self._policy.slow_start > 0
        self._slices.clear()
        proofs = self._proofs
        self._become(Circuit.CLOSED, now, "it answered", self._k)
        self._proofs = proofs
        for permit in proofs:
            permit.generation = self._generation

    def _open(self, now: float, k: int, reason: str) -> None:
        self._until = now + self._open_for(min(k, self._top))
        self._become(Circuit.OPEN, now, reason, min(k, self._top))

    def _open_for(self, k: int) -> float:
        policy = self._policy
        if policy.fixed_timeout:
            return policy.timeout
        spread = 1 + policy.timeout_jitter * (2 * self._rng() - 1)
        return min(policy.timeout * 2.0**k, policy.timeout_cap) * spread

    def _become(self, circuit: Circuit, now: float, reason: str, k: int) -> None:
        was, opens = self._circuit, circuit is Circuit.OPEN
        self._circuit, self._reason, self._since, self._k = circuit, reason, now, k
        self._generation += 1
        self._proofs, self._cuts, self._overruled, self._runs = [], 0, 0, self._no_failures()
        if was is Circuit.OPEN and circuit is Circuit.HALF_OPEN and self._probe is not None:
            self._probe.generation = self._generation
        else:
            self._probe = None
        self.well = circuit is Circuit.CLOSED and not self._slow
        if not opens:
            self._gone = False
        seconds = self._until - now if opens else 0.0
        self._moves.append(Transition(self._generation, was, circuit, reason, seconds, k))

    def _k_at(self, now: float) -> int:
        if self._circuit is not Circuit.CLOSED:
            return self._k
        return max(0, self._k - int((now - self._since) / self._policy.forgive_after))

    def _share(self, now: float) -> float:
        policy = self._policy
        if self._circuit is not Circuit.CLOSED:
            return 1.0
        grown = (now - self._since) / policy.slow_start if self._slow else 1.0
        self._slow = grown < 1
        self.well = not self._slow
        return max(policy.slow_start_floor, min(grown, 1.0))


def _adjusted(policy: BreakerPolicy, failure_threshold: int | None, timeout: float | None) -> BreakerPolicy:
    if failure_threshold is not None:
        policy = replace(policy, failure_threshold=failure_threshold)
    if timeout is not None:
        policy = replace(policy, timeout=timeout, timeout_cap=max(timeout, policy.timeout_cap), fixed_timeout=True)
    return policy
