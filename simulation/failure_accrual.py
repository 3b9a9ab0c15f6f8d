"""A model of Finagle and Linkerd: two random choices by peak EWMA, failure accrual, and a retry budget.

A host is marked dead after five failures in a row, or if fewer than four fifths of at least five results within 30 s
are successes. It stays dead for 5 s, doubled each time up to 300 s; half of that time is fixed and the rest is random.
Then one call probes it.

Two hosts that are not dead are drawn, up to five times. If none are found, health is ignored. The host with the lower
cost by latency and active calls gets the request. A failure counts as a latency of 5 s, or as its retry hint. A 429
counts as a failure in the success rate but not in the row, and fails a probe. Retries may be a fifth of the requests,
plus ten each second. A host that was tried may be tried again.
"""

import math
import random
from collections import deque
from collections.abc import Sequence

from dialects.core.faults import Fault, FaultKind
from simulation.clock import VirtualClock
from simulation.contender import Contender
from simulation.peer import Budget, Host, Peer
from simulation.upstream import Place

_FAILURES = 5
_RATE = 0.8
_WINDOW = 30.0
_OUTCOMES = 5
_DEAD = 5.0
_DEAD_CAP = 300.0
_DRAWS = 5
_DECAY = 10.0
_SEED = 1.0
_PENALTY = 5.0
_RETRY_SHARE = 0.2
_RETRIES_A_SECOND = 10.0
_TOKENS_LIVE = 10.0


class _Host(Host):
    """One endpoint, which is alive, dead until some time, or being probed."""

    def __init__(self, name: str, rng: random.Random) -> None:
        super().__init__(name)
        self._rng = rng
        self._row = 0
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._deaths = 0
        self._dead_until = -math.inf
        self._is_dead = False
        self._probing = False
        self._ewma = _SEED
        self._stamp = 0.0

    def is_available(self, now: float) -> bool:
        """Return whether it is alive, or due for a probe that has not begun."""
        return not self._is_dead or (now >= self._dead_until and not self._probing)

    def asked(self, now: float) -> None:
        """Record the start of a call. The first one after the dead time is the probe."""
        if self._is_dead and now >= self._dead_until:
            self._probing = True

    def cost(self, now: float) -> float:
        """Return the expected latency in seconds, multiplied by the number of calls including the next."""
        fading = math.exp((self._stamp - now) / _DECAY) if not self.active else 1.0
        return max(self._ewma * fading, 0.001) * (self.active + 1)

    def succeeded(self, seconds: float, now: float) -> None:
        self._row = 0
        self._observe(seconds, now)
        if self._probing:
            self._is_dead = self._probing = False
            self._deaths = 0
            self._outcomes.clear()
        self._rate(now, good=True)

    def failed(self, fault: Fault, now: float) -> None:
        throttled = fault.kind is FaultKind.RATE_LIMITED
        self._row += not throttled
        self._observe(_PENALTY if fault.retry_after is None else fault.retry_after, now)
        rate = self._rate(now, good=False)
        is_bad = self._row >= _FAILURES or (len(self._outcomes) >= _OUTCOMES and rate < _RATE)
        if self._probing or (is_bad and not self._is_dead):
            self._die(now)

    def _die(self, now: float) -> None:
        longest = min(_DEAD * 2.0**self._deaths, _DEAD_CAP)
        self._dead_until = now + longest / 2 + longest / 2 * self._rng.random()
        self._deaths += 1
        self._is_dead, self._probing, self._row = True, False, 0

    def _rate(self, now: float, *, good: bool) -> float:
        """Record a result; return the share of successes."""
        self._outcomes.append((now, good))
        while self._outcomes[0][0] < now - _WINDOW:
            self._outcomes.popleft()
        return sum(each for _, each in self._outcomes) / len(self._outcomes)

    def _observe(self, seconds: float, now: float) -> None:
        old = math.exp((self._stamp - now) / _DECAY)
        self._ewma = max(seconds, self._ewma * old + seconds * (1 - old))
        self._stamp = now


class _Budget(Budget):
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._deposits: deque[tuple[float, float]] = deque()
        """The times and amounts of changes to the balance."""
        self._balance = _RETRIES_A_SECOND * _TOKENS_LIVE

    def begin(self) -> None:
        self._add(_RETRY_SHARE)

    def spend(self) -> bool:
        granted = self._balance >= 1
        if granted:
            self._add(-1.0)
        return granted

    def end(self, retries: int) -> None:
        del retries

    def _add(self, amount: float) -> None:
        now = self._clock()
        while self._deposits and self._deposits[0][0] < now - _TOKENS_LIVE:
            self._balance -= self._deposits.popleft()[1]
        self._deposits.append((now, amount))
        self._balance += amount


class FailureAccrual(Peer[_Host]):
    """Balances as Finagle and Linkerd do."""

    def __init__(self, pool: Sequence[Place], clock: VirtualClock, rng: random.Random) -> None:
        super().__init__([_Host(place.name, rng) for place in pool], _Budget(clock), clock, rng)

    def is_available(self, host: _Host) -> bool:
        """Return whether *host* is alive, or due for its probe."""
        return host.is_available(self.clock())

    def choose(self, tried: Sequence[_Host]) -> _Host:
        """Draw two hosts that are not dead, and return the cheaper one. Hosts that were *tried* are not avoided."""
        del tried
        for _ in range(_DRAWS):
            able = [host for host in self._draw() if self.is_available(host)]
            if able:
                break
        now = self.clock()
        chosen = min(able or self._draw(), key=lambda host: host.cost(now))
        chosen.asked(now)
        return chosen

    def _draw(self) -> Sequence[_Host]:
        return self.rng.sample(self.hosts, min(2, len(self.hosts)))


def failure_accrual(pool: Sequence[Place], clock: VirtualClock, rng: random.Random) -> Contender:
    """Create this contender for a pool."""
    return FailureAccrual(pool, clock, rng)
