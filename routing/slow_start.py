"""Slow start: an endpoint that comes back gets its weight little by little."""

from routing.policy import BreakerPolicy


class SlowStart:
    """How much of its weight an endpoint has, by how long it has been back: a tenth at first, all after 30 s."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._seconds = policy.slow_start
        self._floor = policy.slow_start_floor

    def share(self, age: float) -> float:
        """The share of its weight *age* seconds after it came back; before it does, *age* is below 0."""
        return 1.0 if age >= self._seconds else max(self._floor, age / (self._seconds or 1.0))
