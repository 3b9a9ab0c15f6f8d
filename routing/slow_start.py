"""Slow start: the weight of an endpoint that is new or comes back rises gradually."""

from routing.policy import BreakerPolicy


class SlowStart:
    """The share of its weight that an endpoint has: by default a tenth at first, rising to all of it within 30 s."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._seconds = policy.slow_start
        self._floor = policy.slow_start_floor

    def share(self, age: float) -> float:
        """Return the share of the weight *age* seconds after the return of the endpoint; *age* may be negative."""
        return 1.0 if age >= self._seconds else max(self._floor, age / (self._seconds or 1.0))
