"""Retry hints: after how many seconds a request may be tried again, by the headers or the text of an answer."""

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
"""The number of characters of an error's text that are searched. A hint is near the beginning."""
_EPOCHS = 1e9
"""A reset of at least this many seconds, which is thirty years, is taken for a date."""


def retry_after(headers: Mapping[str, str], text: str = "", now: float | None = None) -> float | None:
    """Return the hint in seconds from the most exact source that the answer has, or None without a hint.

    Header names may be in any case. A date is compared with the answer's own `Date`, because the sender's clock may be
    wrong. Without a `Date` it is compared with *now*, in seconds since the epoch. Without both, a date is ignored.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    sent = _moment(lower.get("date", ""))
    now = now if sent is None else sent
    for name in _MILLISECONDS:
        if (seconds := _number(lower.get(name, ""))) is not None:
            return seconds / 1000
    for name in _SECONDS:
        if (seconds := _seconds_or_date(lower.get(name, ""), now)) is not None:
            return seconds
    resets = [_reset(value, now) for name, value in lower.items() if _is_used_up(name, lower)]
    known = [seconds for seconds in resets if seconds is not None]
    return max(known) if known else advice(text)


def advice(text: str) -> float | None:
    """Return the hint in seconds from a text such as `Please try again in 1m30s`, or None without a hint."""
    found = _ADVICE.search(text[:_LONGEST_TEXT])
    return _sum(found[1]) if found else None


def _is_used_up(name: str, headers: Mapping[str, str]) -> bool:
    """Return whether *name* is the header for the reset of a quota, and nothing is left by the header for the rest."""
    if not _RESET.fullmatch(name):
        return False
    return (_number(headers.get(name.replace("reset", "remaining"), "0")) or 0) == 0


def _number(value: str) -> float | None:
    return float(value) if re.fullmatch(_NUMBER, value, re.ASCII) else None


def _seconds_or_date(value: str, now: float | None) -> float | None:
    if (seconds := _number(value)) is not None:
        return seconds
    return _until(_moment(value), now)


def _moment(value: str) -> float | None:
    """Parse an HTTP date, in seconds since the epoch; None if it is not one."""
    try:
        return _since_epoch(parsedate_to_datetime(value))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _reset(value: str, now: float | None) -> float | None:
    """Return the seconds until a reset.

    Vendors write it as a duration such as `1m30s`, as a number of seconds, as seconds or milliseconds since the epoch,
    or as a date.
    """
    if (number := _number(value)) is not None:
        return number if number < _EPOCHS else _until(number / 1000 if number >= _EPOCHS * 1000 else number, now)
    if re.fullmatch(_SPANS, value, re.IGNORECASE):
        return _sum(value)
    try:
        return _until(_since_epoch(datetime.fromisoformat(value)), now)
    except (ValueError, OverflowError):
        return _seconds_or_date(value, now)


def _since_epoch(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _until(moment: float | None, now: float | None) -> float | None:
    return None if moment is None or now is None else max(0.0, moment - now)


def _sum(spans: str) -> float:
    """Return the seconds of a duration such as `1m30s`."""
    return math.fsum(float(number) * _UNITS[unit[:3]] for number, unit in re.findall(_SPAN, spans.lower()))
