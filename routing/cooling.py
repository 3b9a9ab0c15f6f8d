"""When to come back: hints read from answers."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

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
