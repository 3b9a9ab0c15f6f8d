"""One endpoint of a pool, as it changes: its breaker, its requests in flight, its latency."""

import math
from dataclasses import replace

from dialects.faults import FaultKind
from routing.availability import Availability, EndpointState
from routing.cooldown import Cooldowns
from routing.endpoint import Candidate, Endpoint
from routing.events import Circuit
from routing.health import CircuitBreaker, CircuitState
from routing.policy import Policy
from routing.slow_start import SlowStart

_SHORTEST = 0.001
"""Seconds of latency below which no endpoint counts as faster; it keeps the load in the product."""


class Member:
    """An endpoint of a pool. The balancer's lock guards it, but for the breaker."""

    def __init__(self, endpoint: Endpoint, breaker: CircuitBreaker, policy: Policy, now: float) -> None:
        self.endpoint = endpoint
        self.breaker = breaker
        self.joined = now
        self.slow_since = -math.inf
        """When it joined others; minus infinity if it was among the first."""
        self.left_at = math.inf
        """When it left, if it did."""
        self.answered_at = -math.inf
        """When it last began to answer."""
        self.last_error: FaultKind | None = None
        self.in_flight = 0
        self.waiting = 0
        """How many of the requests in flight have not been answered yet."""
        self._slow_start = SlowStart(policy.breaker)
        self._decay = policy.ewma_decay
        self._average = policy.ewma_seed
        self._measured_at = now
        self._candidate = Candidate(endpoint)
        self._candidate_until = -math.inf

    def adjust(self, endpoint: Endpoint) -> None:
        """Take over other settings of the same endpoint."""
        self.endpoint = endpoint
        self._candidate_until = -math.inf

    def enter(self) -> None:
        """Count one request more."""
        self.in_flight += 1
        self.waiting += 1
        self._candidate_until = -math.inf

    def leave(self, *, unanswered: bool) -> None:
        """Count one request less."""
        self.in_flight -= 1
        self.waiting -= unanswered
        self._candidate_until = -math.inf

    def measure(self, seconds: float, now: float) -> None:
        """Learn a latency: a higher one at once, a lower one as the old ones fade."""
        old = math.exp((self._measured_at - now) / self._decay)
        self._average = max(seconds, self._average * old + seconds * (1 - old))
        self._measured_at = now
        self._candidate_until = -math.inf

    def latency(self, now: float) -> float:
        """The seconds to first content to expect; it fades while no request waits, so that slow ones are retried."""
        faded = self._average * math.exp((self._measured_at - now) / self._decay)
        return max(self._average if self.waiting else faded, _SHORTEST)

    def share(self, now: float, circuit: CircuitState, cooldown: float) -> float:
        """The share of its weight that slow start grants it, after a *cooldown* that ended at that time."""
        return self._slow_start.share(now - max(self.slow_since, circuit.closed_at, cooldown))

    def candidate(self, now: float, circuit: CircuitState, cooldown: float) -> Candidate:
        """What strategies see. It is kept until it changes, or its latency may have faded by a hundredth."""
        if now >= self._candidate_until:
            # A drained endpoint is a candidate only where there is no other.
            weight = self.endpoint.weight or 1.0
            self._candidate = Candidate(self.endpoint, self.in_flight, weight, self.latency(now))
            self._candidate_until = now + self._decay / 100
        if circuit.circuit is not Circuit.CLOSED:
            # What it took when it failed says nothing of now, and one request at a time is slow enough.
            return replace(self._candidate, latency=0.0)
        share = self._slow_start.share(now - max(self.slow_since, circuit.closed_at, cooldown))
        return self._candidate if share == 1.0 else replace(self._candidate, weight=self._candidate.weight * share)

    def state(self, now: float, circuit: CircuitState, cooldowns: Cooldowns, strategy: str) -> EndpointState:
        """Everything that is known about it."""
        availability, why, seconds, cooldown = self._availability(now, circuit, cooldowns)
        closed = circuit.circuit is Circuit.CLOSED
        share = self.share(now, circuit, cooldowns.until(self.endpoint)) if closed else 1.0
        return EndpointState(
            endpoint=self.endpoint,
            availability=availability,
            circuit=circuit.circuit,
            why=why,
            seconds=seconds,
            k=circuit.k,
            in_flight=self.in_flight,
            latency=self.latency(now),
            weight=self.endpoint.weight * share,
            strategy=strategy,
            last_error=self.last_error,
            answered=now - self.answered_at,
            cooldown=cooldown,
        )

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
        if circuit.gone:
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
