"""Cooldowns: what is left alone until when, because a quota was used up or a token refused."""

import math
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from dialects.core.faults import FaultKind
from routing.classification import REFUSES_THE_PROXY, Scope
from routing.endpoint import Endpoint
from routing.events import CooldownKey
from routing.policy import CooldownPolicy

Clock = Callable[[], float]
Chance = Callable[[], float]
"""Draws from 0 up to, not including, 1."""

_MOST = 10_000
"""How many cooldowns are remembered; the one that ends first is forgotten first."""


def keys_of(endpoint: Endpoint) -> tuple[CooldownKey, CooldownKey, CooldownKey]:
    """All whose cooldown makes *endpoint* unavailable."""
    return endpoint, endpoint.domain, endpoint.subaccount


def key_for(endpoint: Endpoint, scope: Scope) -> CooldownKey | None:
    """What a fault of *endpoint* puts in cooldown."""
    return dict(zip((Scope.ENDPOINT, Scope.DOMAIN, Scope.SUBACCOUNT), keys_of(endpoint), strict=True)).get(scope)


@dataclass(slots=True)
class _Cooldown:
    """The latest cooldown of something."""

    began: float
    until: float
    k: int
    """How many came before it without a success in between; -1 after a success."""
    kind: FaultKind


class Cooldowns:
    """What is in cooldown, until when. A cooldown may be made longer, never shorter.

    Nothing guards it: it belongs to the balancer, which calls it under its own lock.
    """

    def __init__(
        self,
        policy: CooldownPolicy | None = None,
        *,
        clock: Clock = time.monotonic,
        rng: Chance = random.random,
        limit: int = _MOST,
    ) -> None:
        self._policy = policy or CooldownPolicy()
        self._clock = clock
        self._rng = rng
        self._limit = limit
        self._known: dict[CooldownKey, _Cooldown] = {}
        self.changes = 0
        """How often a cooldown began, grew or ended."""

    def start(self, key: CooldownKey, hint: float | None = None, kind: FaultKind = FaultKind.RATE_LIMITED) -> float:
        """Put *key* in cooldown, for as long as *hint* asks or as experience says; return the seconds left."""
        now = self._clock()
        known = self._known.get(key)
        k = 0 if known is None else known.k + (now >= known.until)
        return self._extend(key, now + self._length(hint, kind, k), kind, k)

    def apply(self, key: CooldownKey, seconds: float, kind: FaultKind) -> float:
        """Put *key* in cooldown for as long as another process says; return the seconds left."""
        known = self._known.get(key)
        return self._extend(key, self._clock() + seconds, kind, known.k if known else 0)

    def end(self, key: CooldownKey, since: float = math.inf) -> bool:
        """End a cooldown after a success, unless it began after the successful request was sent, at *since*."""
        known = self._known.get(key)
        if known is None or known.k < 0 or known.began >= since:
            return False
        known.until, known.k = min(known.until, self._clock()), -1
        self.changes += 1
        return True

    def end_all(self, endpoint: Endpoint, since: float) -> list[CooldownKey]:
        """End those of *endpoint* after a success that was sent at *since*; list which there were."""
        return [key for key in keys_of(endpoint) if self.end(key, since)] if self._known else []

    def remaining(self, key: CooldownKey) -> float:
        """How many seconds *key* is still in cooldown; 0 if it is not."""
        known = self._known.get(key)
        return max(0.0, known.until - self._clock()) if known else 0.0

    def why(self, key: CooldownKey) -> FaultKind | None:
        """What put *key* in cooldown; None if nothing did of late."""
        known = self._known.get(key)
        return known.kind if known else None

    def longest(self, endpoint: Endpoint) -> tuple[float, CooldownKey]:
        """How many seconds *endpoint* is still unavailable, and whose cooldown makes it so."""
        return max(((self.remaining(key), key) for key in keys_of(endpoint)), key=lambda each: each[0])

    def until(self, endpoint: Endpoint) -> float:
        """When the latest cooldown of *endpoint* ends, or ended; minus infinity if there was none."""
        known = [self._known[key].until for key in keys_of(endpoint) if key in self._known] if self._known else []
        return max(known, default=-math.inf)

    def retain(self, keys: Collection[CooldownKey]) -> None:
        """Forget all but *keys*."""
        self._known = {key: known for key, known in self._known.items() if key in keys}
        self.changes += 1

    def _extend(self, key: CooldownKey, until: float, kind: FaultKind, k: int) -> float:
        now = self._clock()
        known = self._known.get(key)
        if known is None:
            self._make_room()
            known = self._known[key] = _Cooldown(now, now, k, kind)
        elif now >= known.until:
            known.began, known.k = now, k
        if until > known.until:
            known.until, known.kind = until, kind
        self.changes += 1
        return known.until - now

    def _make_room(self) -> None:
        if len(self._known) >= self._limit:
            del self._known[min(self._known, key=lambda key: self._known[key].until)]

    def _length(self, hint: float | None, kind: FaultKind, k: int) -> float:
        policy = self._policy
        if kind in REFUSES_THE_PROXY:
            length = _doubled(policy.credentials, k, policy.credentials_cap)
        elif hint is None:
            length = _doubled(policy.base, k, policy.base_cap)
        else:
            length = min(max(hint, policy.floor), policy.cap)
        return length * (1 + policy.jitter * self._rng())


def _doubled(base: float, k: int, cap: float) -> float:
    """`base` times two to the k-th, at most `cap`, for any k."""
    return min(base * 2.0 ** min(k, 64), cap)
