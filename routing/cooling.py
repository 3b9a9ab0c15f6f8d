"""Who rests until when."""

import math
import random
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from dialects.faults import FaultKind
from routing.policy import CoolingPolicy

Clock = Callable[[], float]
Chance = Callable[[], float]
"""Draws from 0 up to, not including, 1."""


@dataclass(slots=True)
class _Rest:
    """One rest, and how many came before it without a success in between."""

    began: float
    until: float
    k: int
    kind: FaultKind


class Cooling:
    """Who rests until when. A rest may be made longer, never shorter.

    It takes any key: an endpoint, a quota domain, a subaccount. Nothing guards it: it
    belongs to the balancer, who calls it under its own lock. The *limit* of keys is
    there for whoever makes keys up; the one that rests shortest is forgotten first.
    """

    def __init__(
        self,
        policy: CoolingPolicy | None = None,
        *,
        clock: Clock = time.monotonic,
        rng: Chance = random.random,
        limit: int = 10_000,
    ) -> None:
        self._policy = policy or CoolingPolicy()
        self._clock = clock
        self._rng = rng
        self._limit = limit
        self._rests: dict[Hashable, _Rest] = {}
        self._latest = -math.inf

    def cool(self, key: Hashable, hint: float | None = None, kind: FaultKind = FaultKind.RATE_LIMITED) -> float:
        """Let *key* rest, for as long as *hint* asks or as experience says; return the seconds left."""
        now = self._clock()
        rest = self._rests.get(key)
        if rest is None:
            self._make_room()
            rest = self._rests[key] = _Rest(now, now, 0, kind)
        elif now >= rest.until:
            rest.began, rest.k = now, rest.k + 1
        until = now + self._length(hint, kind, rest.k)
        if until > rest.until:
            rest.until, rest.kind = until, kind
        self._latest = max(self._latest, rest.until)
        return rest.until - now

    def ends(self, key: Hashable, since: float = math.inf) -> bool:
        """A success: forget the rest, unless it began after the successful request was sent, at *since*."""
        rest = self._rests.get(key)
        if rest is None or rest.began >= since:
            return False
        del self._rests[key]
        return True

    def remaining(self, key: Hashable) -> float:
        """How many seconds *key* still rests; 0 if it does not."""
        rest = self._rests.get(key)
        return max(0.0, rest.until - self._clock()) if rest else 0.0

    def why(self, key: Hashable) -> FaultKind | None:
        """What made *key* rest; None if nothing did of late."""
        rest = self._rests.get(key)
        return rest.kind if rest else None

    def idle(self) -> bool:
        """Whether nobody rests; cheaper than to ask about each."""
        return self._clock() >= self._latest

    def retain(self, keys: "set[Hashable]") -> None:
        """Forget all but *keys*."""
        self._rests = {key: rest for key, rest in self._rests.items() if key in keys}

    def __len__(self) -> int:
        return len(self._rests)

    def _make_room(self) -> None:
        if len(self._rests) >= self._limit:
            del self._rests[min(self._rests, key=lambda key: self._rests[key].until)]

    def _length(self, hint: float | None, kind: FaultKind, k: int) -> float:
        policy = self._policy
        if kind is FaultKind.REFUSED_CREDENTIALS:
            length = _doubled(policy.credentials, k, policy.credentials_cap)
        elif hint is None:
            length = _doubled(policy.base, k, policy.base_cap)
        else:
            length = min(max(hint, policy.floor), policy.cap)
        return length * (1 + policy.jitter * self._rng())


def _doubled(base: float, k: int, cap: float) -> float:
    """`base` times two to the k-th, at most `cap`, for any k."""
    return min(base * 2.0 ** min(k, 64), cap)
