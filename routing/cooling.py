"""When to come back to whom: hints read from answers, and who rests until when."""

import math
import random
import re
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from dialects.faults import FaultKind
from routing.policy import CoolingPolicy

Clock = Callable[[], float]
Chance = Callable[[], float]
"""Draws from 0 up to, not including, 1."""

_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
_SECONDS = ("retry-after", "x-retry-after")
_RESET = re.compile(r"x-ratelimit-reset.*|(?:x-|anthropic-)ratelimit-.*-reset")
_UNITS = {"ms": 0.001, "mil": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "hou": 3600.0}
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_SPAN = rf"({_NUMBER})\s?(milliseconds?|ms|minutes?|mins?|m|seconds?|secs?|s|hours?|h)(?![a-z])"
_SPANS = rf"(?:{_NUMBER}\s?(?:milliseconds?|ms|minutes?|mins?|m|seconds?|secs?|s|hours?|h)(?:\s|(?![a-z])))+"
_ADVICE = re.compile(rf"(?:(?:try|retry)\s(?:again\s)?(?:in|after)|retrydelay\W{{1,5}})\s?({_SPANS})", re.IGNORECASE)
_LONGEST_TEXT = 16_384
"""Characters of an error's text that are searched; a hint stands at the front."""
_EPOCHS = 1e9
"""A reset above this is a date, not a span: thirty years is no advice."""


def hint(headers: Mapping[str, str], text: str, now_epoch: float) -> float | None:
    """Read how many seconds an answer asks to wait, from the most to the least exact source."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    for name in _MILLISECONDS:
        if (span := _number(lower.get(name, ""))) is not None:
            return span / 1000
    for name in _SECONDS:
        if (span := _seconds_or_date(lower.get(name, ""), now_epoch)) is not None:
            return span
    resets = [_reset(value, now_epoch) for name, value in lower.items() if _is_spent(name, lower)]
    known = [span for span in resets if span is not None]
    return max(known) if known else _advice(text)


def _is_spent(name: str, headers: Mapping[str, str]) -> bool:
    """Whether this header says when a quota comes back, and no other that there is some left."""
    if not _RESET.fullmatch(name):
        return False
    return (_number(headers.get(name.replace("reset", "remaining"), "0")) or 0) == 0


def _number(value: str) -> float | None:
    return float(value) if re.fullmatch(_NUMBER, value, re.ASCII) else None


def _seconds_or_date(value: str, now_epoch: float) -> float | None:
    if (span := _number(value)) is not None:
        return span
    try:
        return _until(parsedate_to_datetime(value), now_epoch)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _reset(value: str, now_epoch: float) -> float | None:
    """Read a vendor's reset: a span, seconds, a date in seconds or milliseconds, or a written date."""
    if (number := _number(value)) is not None:
        date = number / 1000 if number >= _EPOCHS * 1000 else number
        return max(0.0, date - now_epoch) if number >= _EPOCHS else number
    if re.fullmatch(_SPANS, value, re.IGNORECASE):
        return _sum(value)
    try:
        return _until(datetime.fromisoformat(value), now_epoch)
    except (ValueError, OverflowError):
        return _seconds_or_date(value, now_epoch)


def _until(moment: datetime, now_epoch: float) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, aware.timestamp() - now_epoch)


def _advice(text: str) -> float | None:
    found = _ADVICE.search(text[:_LONGEST_TEXT])
    return _sum(found[1]) if found else None


def _sum(spans: str) -> float:
    """Add up `1m30s`."""
    return math.fsum(float(number) * _UNITS[unit[:3]] for number, unit in re.findall(_SPAN, spans.lower()))


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
