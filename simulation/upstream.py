"""Simulated deployments: how fast they answer, and which troubles they have at which time."""

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from dialects.core.faults import Fault, FaultKind, Quota

_MINUTE = 60.0
_REFUSAL = 0.05
"""The seconds until an endpoint refuses a request because of its quota."""
_ERROR = 0.1
"""The seconds until a broken endpoint answers with an error."""
_CUT_AT = 0.3
"""The part of the time between the first and the last word after which a stream is cut."""

BROKEN = Fault(FaultKind.SERVER_ERROR, "The endpoint is broken.", 500)
CUT = Fault(FaultKind.STREAM_BROKEN, "The stream broke off.")


@dataclass(frozen=True, slots=True)
class Place:
    """One deployment. `a1` is in subaccount `a`."""

    name: str
    tier: int = 0

    @property
    def subaccount(self) -> str:
        """The subaccount of the deployment."""
        return self.name[0]


def places(layout: str) -> tuple[Place, ...]:
    """Parse a *layout* of a pool such as `a1 a2 | b1`, in which a bar starts the next tier."""
    tiers = layout.split("|")
    return tuple(Place(name, tier) for tier, names in enumerate(tiers) for name in names.split())


class Kind(Enum):
    """The kinds of trouble that an endpoint can have."""

    DOWN = "down"
    """It answers with errors, and answers in progress are cut when that begins."""
    FAILS = "fails"
    """It answers with errors, but answers in progress continue."""
    HANGS = "hangs"
    """It accepts requests and never answers."""
    CUTS = "cuts"
    """Its streams are cut after the first words."""
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A trouble of some endpoints, from *start* to *end* in seconds."""

    kind: Kind
    start: float
    end: float
    at: tuple[str, ...]
    chance: float = 1.0
    """The part of the requests that it affects."""
    factor: float = 1.0
    """The factor by which answers take longer, if they are slow."""

    def affects(self, place: Place, now: float) -> bool:
        """Return whether *place* has this trouble at the time *now*."""
        return self.start <= now < self.end and place.name in self.at


@dataclass(frozen=True, slots=True)
class RequestQuota:
    """The number of requests that each subaccount in *at* may have per minute."""

    limit: int
    at: tuple[str, ...]
    rolling: bool = False
    """Whether the limit is for the last 60 seconds instead of a minute of the clock."""
    hints: bool = True
    """Whether a refusal tells after how many whole seconds to retry."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies of healthy endpoints in seconds, as medians of log-normal distributions."""

    first: float
    """Until the first word, or until the whole answer if it is not streamed."""
    rest: float = 0.0
    """From the first word to the last."""
    sigma: float = 0.3

    def draw(self, rng: random.Random) -> tuple[float, float]:
        """Draw both latencies for one request."""
        factor = math.exp(self.sigma * rng.gauss())
        return self.first * factor, self.rest * math.exp(self.sigma * rng.gauss())


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one call."""

    first: float
    """The seconds until the first word or the failure before it; infinite if nothing arrives."""
    rest: float = 0.0
    """The seconds from the first word until the end of the answer, or until it is cut."""
    refusal: Fault | None = None
    """The reason why there is no first word."""
    cut: Fault | None = None
    """The reason why the answer is cut."""


class _Meter:
    """Counts the requests of one subaccount against its quota."""

    def __init__(self, quota: RequestQuota) -> None:
        self._quota = quota
        self._granted: deque[float] = deque()

    def admit(self, now: float) -> float | None:
        """Count a request, or return the seconds until another one is allowed."""
        while self._granted and self._renewed(self._granted[0]) <= now:
            self._granted.popleft()
        if len(self._granted) < self._quota.limit:
            self._granted.append(now)
            return None
        return self._renewed(self._granted[0]) - now

    def _renewed(self, granted: float) -> float:
        """Return when the request that was *granted* at that time no longer counts."""
        return granted + _MINUTE if self._quota.rolling else (granted // _MINUTE + 1) * _MINUTE


class Upstream:
    """All deployments, with the troubles that they will have."""

    def __init__(self, latency: Latency, troubles: Sequence[Trouble] = (), quotas: Sequence[RequestQuota] = ()) -> None:
        self._latency = latency
        self._troubles = troubles
        self._quotas = {name: (quota, _Meter(quota)) for quota in quotas for name in quota.at}

    def ask(self, place: Place, now: float, rng: random.Random) -> Answer:
        """Return the result of a call that begins at the time *now*."""
        refusal = self._refusal(place, now)
        if refusal:
            return Answer(_REFUSAL, refusal=refusal)
        first, rest = self._latency.draw(rng)
        for trouble in self._troubles:
            if trouble.affects(place, now) and rng.random() < trouble.chance:
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
        """Return whether *place* answers an active check. Troubles that only affect requests do not count."""
        dead = (each for each in self._troubles if each.kind in (Kind.DOWN, Kind.HANGS))
        return not any(each.affects(place, now) for each in dead)

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
        """Return a complete answer, or one that is cut because the endpoint goes down before its end."""
        starts = [t.start for t in self._troubles if self._breaks(t, place) and now < t.start < now + first + rest]
        if not starts:
            return Answer(first, rest)
        left = min(starts) - now
        return Answer(left, refusal=CUT) if left < first else Answer(first, left - first, cut=CUT)

    @staticmethod
    def _breaks(trouble: Trouble, place: Place) -> bool:
        return trouble.kind is Kind.DOWN and place.name in trouble.at
