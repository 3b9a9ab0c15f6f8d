"""Simulated deployments: how fast they answer, and what is wrong with them at what time."""

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from dialects.core.faults import Fault, FaultKind, Quota

_MINUTE = 60.0
_REFUSAL = 0.05
"""Seconds until an endpoint has refused a request for want of quota."""
_ERROR = 0.1
"""Seconds until a broken endpoint has answered with an error."""
_CUT_AT = 0.3
"""Which part of the time between first and last word passes before a stream is cut."""

BROKEN = Fault(FaultKind.SERVER_ERROR, "The endpoint is broken.", 500)
CUT = Fault(FaultKind.STREAM_BROKEN, "The stream broke off.")


@dataclass(frozen=True, slots=True)
class Place:
    """One deployment: `a1` lies in subaccount `a`."""

    name: str
    tier: int = 0

    @property
    def subaccount(self) -> str:
        """The subaccount that it lies in."""
        return self.name[0]


def places(layout: str) -> tuple[Place, ...]:
    """Read a pool from a *layout* such as `a1 a2 | b1`: a bar begins the next tier."""
    tiers = layout.split("|")
    return tuple(Place(name, tier) for tier, names in enumerate(tiers) for name in names.split())


class Kind(Enum):
    """What can be wrong with an endpoint."""

    DOWN = "down"
    """It answers with errors, and what is in flight when that begins breaks off."""
    FAILS = "fails"
    """It answers with errors; what is in flight goes on."""
    HANGS = "hangs"
    """It takes requests and never answers."""
    CUTS = "cuts"
    """Its streams break off after the first words."""
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, where, and from when to when in seconds."""

    kind: Kind
    start: float
    end: float
    at: tuple[str, ...]
    chance: float = 1.0
    """The share of requests that it befalls."""
    factor: float = 1.0
    """How much longer answers take, where that is the trouble."""

    def befalls(self, place: Place, now: float) -> bool:
        """Whether *place* has this trouble *now*."""
        return self.start <= now < self.end and place.name in self.at


@dataclass(frozen=True, slots=True)
class RequestQuota:
    """How many requests each subaccount named may have in a minute."""

    limit: int
    at: tuple[str, ...]
    rolling: bool = False
    """Whether the minute is the last one at any time, instead of one by the clock."""
    hints: bool = True
    """Whether a refusal says in how many whole seconds to come back."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long healthy endpoints take, in seconds: medians of log-normal distributions."""

    first: float
    """Until the first word; of an answer in one piece, until all of it."""
    rest: float = 0.0
    """From the first word to the last."""
    sigma: float = 0.3

    def draw(self, rng: random.Random) -> tuple[float, float]:
        """Draw both for one request."""
        luck = math.exp(self.sigma * rng.gauss())
        return self.first * luck, self.rest * math.exp(self.sigma * rng.gauss())


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of one call."""

    first: float
    """Seconds until the first word, or until it fails before; infinite if nothing ever comes."""
    rest: float = 0.0
    """Seconds from then until its end, or until it is cut."""
    refusal: Fault | None = None
    """Why there is no first word."""
    cut: Fault | None = None
    """Why it ends too early."""


class _Meter:
    """Counts the requests of one subaccount against its quota."""

    def __init__(self, quota: RequestQuota) -> None:
        self._quota = quota
        self._granted: deque[float] = deque()

    def admit(self, now: float) -> float | None:
        """Count a request, or say for how many seconds there is no room for another."""
        while self._granted and self._renewed(self._granted[0]) <= now:
            self._granted.popleft()
        if len(self._granted) < self._quota.limit:
            self._granted.append(now)
            return None
        return self._renewed(self._granted[0]) - now

    def _renewed(self, granted: float) -> float:
        """When there is room again for what was *granted*."""
        return granted + _MINUTE if self._quota.rolling else (granted // _MINUTE + 1) * _MINUTE


class Upstream:
    """All deployments, with the troubles that they will have."""

    def __init__(self, latency: Latency, troubles: Sequence[Trouble] = (), quotas: Sequence[RequestQuota] = ()) -> None:
        self._latency = latency
        self._troubles = troubles
        self._quotas = {name: (quota, _Meter(quota)) for quota in quotas for name in quota.at}

    def ask(self, place: Place, now: float, rng: random.Random) -> Answer:
        """Say what comes of a call that begins *now*."""
        refusal = self._refusal(place, now)
        if refusal:
            return Answer(_REFUSAL, refusal=refusal)
        first, rest = self._latency.draw(rng)
        for trouble in self._troubles:
            if trouble.befalls(place, now) and rng.random() < trouble.chance:
                match trouble.kind:
                    case Kind.DOWN | Kind.FAILS:
                        return Answer(_ERROR, refusal=BROKEN)
                    case Kind.HANGS:
                        return Answer(math.inf)
                    case Kind.CUTS:
                        return Answer(first, rest * _CUT_AT, cut=CUT)
                    case Kind.SLOW:
                        first, rest = first * trouble.factor, rest * trouble.factor
        return self._breaking(place, now, first, rest)

    def is_alive(self, place: Place, now: float) -> bool:
        """Whether an active check of *place* is answered: what fails requests only is no trouble to it."""
        dead = (each for each in self._troubles if each.kind in (Kind.DOWN, Kind.HANGS))
        return not any(each.befalls(place, now) for each in dead)

    def _refusal(self, place: Place, now: float) -> Fault | None:
        if place.subaccount not in self._quotas:
            return None
        quota, meter = self._quotas[place.subaccount]
        wait = meter.admit(now)
        if wait is None:
            return None
        after = float(math.ceil(wait)) if quota.hints else None
        return Fault(FaultKind.RATE_LIMITED, "The quota is used up.", 429, after, Quota.MODEL)

    def _breaking(self, place: Place, now: float, first: float, rest: float) -> Answer:
        """A good answer, unless its endpoint goes down before it has ended."""
        starts = [t.start for t in self._troubles if self._breaks(t, place) and now < t.start < now + first + rest]
        if not starts:
            return Answer(first, rest)
        left = min(starts) - now
        return Answer(left, refusal=CUT) if left < first else Answer(first, left - first, cut=CUT)

    @staticmethod
    def _breaks(trouble: Trouble, place: Place) -> bool:
        return trouble.kind is Kind.DOWN and place.name in trouble.at
