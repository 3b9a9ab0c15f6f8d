"""Members: the endpoints of a pool with their changing state; and the lock that guards them."""

import math
import threading
from collections import deque
from collections.abc import Callable

from dialects.core.faults import FaultKind
from routing.availability import Availability, EndpointState
from routing.cooldown import Cooldowns
from routing.endpoint import Candidate, Endpoint
from routing.events import Circuit
from routing.health import CircuitBreaker, CircuitState
from routing.policy import Policy
from routing.slow_start import SlowStart

_SHORTEST = 0.001
"""The lowest latency in seconds. It is above 0, so that latency times load still depends on the load."""


class StrategyLock:
    """The balancer's lock. A strategy that calls the balancer back gets a `RuntimeError` and not a deadlock.

    *lock* guards pools, strategies, counts and cooldowns. It is held to select and to count, never across I/O, a log
    line or a callback. The lock of a breaker and a strategy's own lock may be taken inside it; no lock may be taken
    inside those. Code that strategies cannot call takes *lock* directly.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.asks = 0
        """The id of the thread that is calling a strategy; 0 if none is. It is set by the holder of the lock."""

    def __enter__(self) -> None:
        if self.asks and self.asks == threading.get_ident():
            raise RuntimeError("a strategy must not call the balancer that is calling it: use its arguments alone")
        self.lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.lock.release()


class Member:
    """An endpoint of a pool and its state. The balancer's lock guards all of it except the breaker."""

    def __init__(self, endpoint: Endpoint, breaker: CircuitBreaker, policy: Policy, now: float) -> None:
        self.endpoint = endpoint
        self.breaker = breaker
        self._slow_since = -math.inf
        """When its slow start began; minus infinity if it was among the first endpoints."""
        self._answered_at = -math.inf
        """When the endpoint last began to answer."""
        self._last_error: FaultKind | None = None
        self._failures: deque[float] = deque(maxlen=1_000)
        """The times of the latest failures."""
        self._failure_penalty = policy.failure_penalty
        self._in_flight = 0
        self._waiting = 0
        """The number of requests in flight that have no answer yet."""
        self._slow_start = SlowStart(policy.breaker)
        self._decay = policy.ewma_decay
        self._average = policy.ewma_seed
        self._measured_at = now
        self._watchers: tuple[Callable[[Member], object], ...] = ()

    def adjust(self, endpoint: Endpoint, slow_since: float = -math.inf) -> None:
        """Apply new settings of the same endpoint; *slow_since* is when its slow start begins, if it has one."""
        self.endpoint = endpoint
        self._slow_since = max(self._slow_since, slow_since)
        self.changed()

    def watch(self, *watchers: Callable[["Member"], object]) -> None:
        """Replace the callbacks that are called when the candidate for this member may have changed."""
        self._watchers = watchers

    def changed(self) -> None:
        """Report that the candidate for this member may have changed. Needs no lock."""
        for watcher in self._watchers:
            watcher(self)

    def enter(self) -> None:
        """Count one more request in flight."""
        self._in_flight += 1
        self._waiting += 1
        self.changed()

    def answered(self, now: float, latency: float | None) -> None:
        """Count an answer that has begun; *latency* is in seconds, None if it is unknown."""
        self._waiting -= 1
        self._answered_at = now
        self.changed()
        if latency is not None:
            self._measure(latency, now)

    def finish(
        self, now: float, *, unanswered: bool, error: FaultKind | None = None, penalty: float | None = None
    ) -> None:
        """Count one request less in flight; record its *error*, and a *penalty* as so many seconds of latency."""
        self._in_flight -= 1
        self._waiting -= unanswered
        self.changed()
        self._last_error = error or self._last_error
        if penalty is not None:
            self._failures.append(now)
            self._measure(penalty, now)

    def candidate(self, now: float, cooldown: float) -> Candidate | None:
        """Return the candidate; None until the time *cooldown*, or if the circuit is not closed."""
        circuit = self.breaker.snapshot()
        share = self._share(now, circuit, cooldown)
        if circuit.circuit is not Circuit.CLOSED or cooldown > now:
            self.changed()  # time alone can change it
            return None
        if share < 1.0 or self._failures:
            self.changed()
            while self._failures and self._failures[0] <= now - self._failure_penalty:
                self._failures.popleft()
        # A drained endpoint is a candidate only for requests that continue its own answers.
        weight = (self.endpoint.weight or 1.0) * share
        return Candidate(self.endpoint, self._in_flight, weight, self._latency(now), len(self._failures))

    def state(self, now: float, circuit: CircuitState, cooldowns: Cooldowns, strategy: str) -> EndpointState:
        """Return a snapshot of the endpoint."""
        availability, why, seconds, cooldown = self._availability(now, circuit, cooldowns)
        closed = circuit.circuit is Circuit.CLOSED
        share = self._share(now, circuit, cooldowns.until(self.endpoint)) if closed else 1.0
        return EndpointState(
            endpoint=self.endpoint,
            availability=availability,
            circuit=circuit.circuit,
            why=why,
            seconds=seconds,
            k=circuit.k,
            in_flight=self._in_flight,
            latency=self._latency(now),
            weight=self.endpoint.weight * share,
            strategy=strategy,
            last_error=self._last_error,
            answered=now - self._answered_at,
            cooldown=cooldown,
        )

    def _measure(self, seconds: float, now: float) -> None:
        """Add a latency to the average: a higher one replaces it at once, a lower one gradually."""
        old = math.exp((self._measured_at - now) / self._decay)
        self._average = max(seconds, self._average * old + seconds * (1 - old))
        self._measured_at = now

    def _latency(self, now: float) -> float:
        """Return the expected seconds to first content. They decay while no request waits, for a new measurement."""
        faded = self._average * math.exp((self._measured_at - now) / self._decay)
        return max(self._average if self._waiting else faded, _SHORTEST)

    def _share(self, now: float, circuit: CircuitState, cooldown: float) -> float:
        """Return the share of the weight that slow start grants; *cooldown* is when the latest cooldown ended."""
        return self._slow_start.share(now - max(self._slow_since, circuit.closed_at, cooldown))

    def _availability(
        self, now: float, circuit: CircuitState, cooldowns: Cooldowns
    ) -> tuple[Availability, str, float, FaultKind | None]:
        open_for = 0.0 if circuit.until is None else circuit.until - now
        rest, key = cooldowns.longest(self.endpoint)
        if rest:
            kind = cooldowns.why(key) or FaultKind.OTHER
            return Availability.COOLDOWN, f"{_kind_of(key)}: {kind.value}", max(rest, open_for), kind
        if not self.endpoint.weight:
            return Availability.DRAINED, "its weight is 0", math.inf, None
        if circuit.circuit is Circuit.CLOSED:
            return Availability.AVAILABLE, circuit.reason, 0.0, None
        if circuit.ejected:
            return Availability.GONE, circuit.reason, open_for, None
        if circuit.circuit is Circuit.OPEN:
            seconds = min(open_for, circuit.next_probe) if circuit.probes else open_for
            return Availability.OPEN, circuit.reason, seconds, None
        if circuit.probes:
            return Availability.PROBING, circuit.reason, circuit.next_probe, None
        return Availability.PROBE, circuit.reason, 0.0, None


def _kind_of(key: object) -> str:
    if isinstance(key, str):
        return "subaccount"
    return "endpoint" if isinstance(key, Endpoint) else "quota"
