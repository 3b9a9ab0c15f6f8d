"""The recent activity of this process: the latest decisions, and counts for each endpoint."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from dialects.core.conversation import JSON, Usage
from gateway.observability.metrics import ExchangeRecord
from gateway.observability.request_line import plain
from routing.classification import CLASSIFICATIONS
from routing.endpoint import Endpoint
from routing.events import OutcomeRecorded, RoutingEvent

MOST_DECISIONS: Final = 100
_MOST_ENDPOINTS: Final = 10_000
"""The maximum number of endpoints with counts. The ones seen first are forgotten first."""
_MOST_REASONS: Final = 10
"""The maximum number of attempts of a decision whose reasons are kept."""
_LONGEST_NAME: Final = 200
_LONGEST_TRAIL: Final = 1_000
"""The maximum lengths, in characters, of a name and of a trail."""

_Key = tuple[str, str, str]
"""A subaccount, the URL or id of a deployment, and a model."""
_Counts = TypeVar("_Counts")


@dataclass(slots=True)
class _Attempts:
    answered: int = 0
    failed: int = 0
    refused: int = 0
    first_content: float = 0.0


@dataclass(slots=True)
class _Tokens:
    fresh_input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0


class Activity:
    """Keeps the latest decisions, and counts the outcomes of all. It contains no prompts and no answers.

    It observes exchanges and listens to routing events. *now* returns seconds since the epoch. `_lock` guards the
    decisions and the counts, and is held for a few assignments of each request.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._decisions: deque[tuple[float, ExchangeRecord]] = deque(maxlen=MOST_DECISIONS)
        self._outcomes: dict[str, int] = {}
        self._attempts: dict[_Key, _Attempts] = {}
        self._tokens: dict[_Key, _Tokens] = {}

    def over(self, record: ExchangeRecord) -> None:
        """Record a completed exchange."""
        decision, usage = (self._now(), _bounded(record)), record.usage
        with self._lock:
            self._decisions.append(decision)
            self._outcomes[record.outcome] = self._outcomes.get(record.outcome, 0) + 1
            if record.deployment:
                tokens = _counts_in(self._tokens, (record.subaccount, record.deployment, record.model), _Tokens)
                tokens.fresh_input += usage.fresh_input
                tokens.cache_read += usage.cache_read
                tokens.cache_write += usage.cache_write
                tokens.output += usage.output

    def heard(self, event: RoutingEvent) -> None:
        """Count the outcome of an attempt."""
        if type(event) is not OutcomeRecorded:
            return
        endpoint, fault, seconds = event
        with self._lock:
            attempts = _counts_in(self._attempts, (endpoint.subaccount, endpoint.url, endpoint.model), _Attempts)
            if fault is None:
                attempts.answered += 1
                attempts.first_content += seconds
            elif CLASSIFICATIONS[fault].try_elsewhere:
                attempts.failed += 1
            else:
                attempts.refused += 1

    def decisions(self) -> list[JSON]:
        """Return the latest decisions, newest first."""
        with self._lock:
            latest = list(self._decisions)
        return [_decision(record, at) for at, record in reversed(latest)]

    def outcomes(self) -> dict[str, int]:
        """Return the number of exchanges by outcome."""
        with self._lock:
            return dict(self._outcomes)

    def counts(self, endpoint: Endpoint) -> JSON:
        """Return the counts of the attempts at an endpoint, and the tokens of its answers."""
        with self._lock:
            attempts = self._attempts.get((endpoint.subaccount, endpoint.url, endpoint.model), _Attempts())
            tokens = self._tokens.get((endpoint.subaccount, endpoint.deployment, endpoint.model), _Tokens())
            return {
                "answered": attempts.answered,
                "failed": attempts.failed,
                "refused": attempts.refused,
                "first_content_seconds": round(attempts.first_content, 4),
                "tokens": _tokens(tokens),
            }


def _counts_in(counts: dict[_Key, _Counts], key: _Key, new: type[_Counts]) -> _Counts:
    """Return the counts of an endpoint, and create them if they do not exist. The caller holds the lock."""
    found = counts.get(key)
    if found is None:
        if len(counts) >= _MOST_ENDPOINTS:
            del counts[next(iter(counts))]
        found = counts[key] = new()
    return found


def _bounded(record: ExchangeRecord) -> ExchangeRecord:
    """Shorten the fields of a record that take much memory. Nearly all records are returned unchanged."""
    is_short = len(record.requested) <= _LONGEST_NAME and len(record.trail) <= _LONGEST_TRAIL
    if is_short and len(record.reasons) <= _MOST_REASONS and not record.dropped:
        return record
    return replace(
        record,
        requested=record.requested[:_LONGEST_NAME],
        trail=record.trail[:_LONGEST_TRAIL],
        reasons=record.reasons[:_MOST_REASONS],
        dropped=(),
    )


def _decision(record: ExchangeRecord, at: float) -> JSON:
    """Return a decision as JSON: where the request was sent, and its outcome."""
    first = record.first_content
    return {
        "at": round(at, 3),
        "id": record.id,
        "caller": record.caller,
        "client": record.client,
        "requested": plain(record.requested),
        "model": record.model,
        "subaccount": record.subaccount,
        "deployment": record.deployment,
        "stream": record.stream,
        "reasons": list(record.reasons),
        "trail": record.trail,
        "status": record.status,
        "outcome": record.outcome,
        "first_content": None if first is None else round(first, 4),
        "duration": round(record.duration, 4),
        "tokens": _tokens(record.usage),
    }


def _tokens(usage: Usage | _Tokens) -> dict[str, int]:
    return {
        "input": usage.fresh_input,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "output": usage.output,
    }
