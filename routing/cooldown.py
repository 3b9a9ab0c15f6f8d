"""Cooldowns: times in which an endpoint, a quota domain or a subaccount gets no requests."""

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
"""Returns a random number from 0 up to, not including, 1."""

_MOST = 10_000
"""The maximum number of cooldowns that are kept; the one that ends first is removed first."""


def keys_of(endpoint: Endpoint) -> tuple[CooldownKey, CooldownKey, CooldownKey]:
    """Return the keys whose cooldown makes *endpoint* unavailable."""
    return endpoint, endpoint.domain, endpoint.subaccount


def key_for(endpoint: Endpoint, scope: Scope) -> CooldownKey | None:
    """Return the key that *scope* means for *endpoint*; None for `Scope.NONE`."""
    return dict(zip((Scope.ENDPOINT, Scope.DOMAIN, Scope.SUBACCOUNT), keys_of(endpoint), strict=True)).get(scope)


@dataclass(slots=True)
class _Cooldown:
    """The latest cooldown of one key."""

    began: float
    until: float
    k: int
    """The number of cooldowns before this one without a success in between; -1 after a success."""
    kind: FaultKind


class Cooldowns:
    """The cooldowns of all endpoints, quota domains and subaccounts. A running cooldown gets longer, never shorter.

    Not thread-safe: the balancer calls it under its own lock.
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
        """The number of times that a cooldown began, was extended or ended."""

    def start(self, key: CooldownKey, hint: float | None = None, kind: FaultKind = FaultKind.RATE_LIMITED) -> float:
        """Put *key* in cooldown for *hint* seconds, else for a time that doubles each time; return the seconds left."""
        now = self._clock()
        known = self._known.get(key)
        k = 0 if known is None else known.k + (now >= known.until)
        return self._extend(key, now + self._length(hint, kind, k), kind, k)

    def apply(self, key: CooldownKey, seconds: float, kind: FaultKind) -> float:
        """Put *key* in cooldown for *seconds*, as another process has done; return the seconds left."""
        known = self._known.get(key)
        return self._extend(key, self._clock() + seconds, kind, known.k if known else 0)

    def end(self, key: CooldownKey, since: float = math.inf) -> bool:
        """End the cooldown of *key* after a success, unless it began after *since*, when the request was sent."""
        known = self._known.get(key)
        if known is None or known.k < 0 or known.began >= since:
            return False
        known.until, known.k = min(known.until, self._clock()), -1
        self.changes += 1
        return True

    def end_all(self, endpoint: Endpoint, since: float) -> list[CooldownKey]:
        """End the cooldowns of *endpoint* after a success of a request sent at *since*; return their keys."""
        return [key for key in keys_of(endpoint) if self.end(key, since)] if self._known else []

    def remaining(self, key: CooldownKey) -> float:
        """Return the seconds for which *key* is still in cooldown; 0 if it is not."""
        known = self._known.get(key)
        return max(0.0, known.until - self._clock()) if known else 0.0

    def why(self, key: CooldownKey) -> FaultKind | None:
        """Return the kind of fault that started the latest cooldown of *key*; None if none is known."""
        known = self._known.get(key)
        return known.kind if known else None

    def longest(self, endpoint: Endpoint) -> tuple[float, CooldownKey]:
        """Return the longest cooldown that affects *endpoint*: the seconds left and its key."""
        return max(((self.remaining(key), key) for key in keys_of(endpoint)), key=lambda each: each[0])

    def until(self, endpoint: Endpoint) -> float:
        """Return the time at which the latest cooldown of *endpoint* ends or ended; minus infinity without one."""
        known = [self._known[key].until for key in keys_of(endpoint) if key in self._known] if self._known else []
        return max(known, default=-math.inf)

    def retain(self, keys: Collection[CooldownKey]) -> None:
        """Remove the cooldowns of all but *keys*."""
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
    """Return `base` times 2 to the power of *k*, at most `cap`, for any k."""
    return min(base * 2.0 ** min(k, 64), cap)
