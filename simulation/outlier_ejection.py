"""A model of Envoy: outlier ejection with a panic threshold, least request, and a retry budget.

A host is ejected after five failures in a row, for 30 s times the number of its ejections, at most 300 s. A sweep every
10 s readmits hosts, and reduces the number of ejections of hosts that are not ejected by one. If fewer than half of the
hosts are left, health is ignored.

Two hosts are drawn, and the one with fewer active calls gets the request. A retry draws up to three times to find a
host that was not tried. Retries in progress may be a fifth of the requests in progress, and three are always allowed. A
429 does not count as a failure, and its retry hint is ignored. All hosts may be ejected; Envoy's default is one in ten.
"""

import math
import random
from collections.abc import Sequence

from dialects.core.faults import Fault, FaultKind
from simulation.clock import VirtualClock
from simulation.contender import Contender
from simulation.peer import Budget, Host, Peer
from simulation.upstream import Place

_FAILURES = 5
_EJECTION = 30.0
_EJECTION_CAP = 300.0
_SWEEP = 10.0
_PANIC = 0.5
_DRAWS = 4
_RETRY_SHARE = 0.2
_RETRIES_ALWAYS = 3


class _Host(Host):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.failures = 0
        self.ejections = 0
        self.until = -math.inf

    def succeeded(self, seconds: float, now: float) -> None:
        del seconds, now
        self.failures = 0

    def failed(self, fault: Fault, now: float) -> None:
        if fault.kind is FaultKind.RATE_LIMITED:
            self.failures = 0
            return
        self.failures += 1
        if self.failures >= _FAILURES and self.until <= now:
            self.failures = 0
            forgiven = math.inf if self.until < 0 else (now - self.until) // _SWEEP
            self.ejections = int(max(0, self.ejections - forgiven)) + 1
            # It is readmitted by the first sweep after its time.
            self.until = math.ceil((now + min(_EJECTION * self.ejections, _EJECTION_CAP)) / _SWEEP) * _SWEEP


class _Budget(Budget):
    def __init__(self) -> None:
        self._requests = 0
        self._retries = 0

    def begin(self) -> None:
        self._requests += 1

    def spend(self) -> bool:
        granted = self._retries < max(_RETRIES_ALWAYS, _RETRY_SHARE * self._requests)
        self._retries += granted
        return granted

    def end(self, retries: int) -> None:
        self._requests -= 1
        self._retries -= retries


class OutlierEjection(Peer[_Host]):
    """Balances as Envoy does."""

    def __init__(self, pool: Sequence[Place], clock: VirtualClock, rng: random.Random) -> None:
        super().__init__([_Host(place.name) for place in pool], _Budget(), clock, rng)

    def is_available(self, host: _Host) -> bool:
        """Return whether *host* is not ejected."""
        return host.until <= self.clock()

    def choose(self, tried: Sequence[_Host]) -> _Host:
        """Draw two hosts and return the one with fewer active calls; draw again if it was *tried*."""
        able = [host for host in self.hosts if self.is_available(host)]
        if len(able) < _PANIC * len(self.hosts):
            able = list(self.hosts)
        for _ in range(_DRAWS):
            chosen = min(self._draw(able), self._draw(able), key=lambda host: host.active)
            if chosen not in tried:
                break
        return chosen

    def _draw(self, hosts: Sequence[_Host]) -> _Host:
        return hosts[int(self.rng.random() * len(hosts))]


def outlier_ejection(pool: Sequence[Place], clock: VirtualClock, rng: random.Random) -> Contender:
    """Create this contender for a pool."""
    return OutlierEjection(pool, clock, rng)
