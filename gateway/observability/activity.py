"""What happened in this process, for those who look at it: the latest decisions, and counts for each endpoint."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dialects.core.conversation import JSON, Usage
from gateway.observability.metrics import ExchangeRecord
from gateway.observability.request_line import plain
from routing.classification import CLASSIFICATIONS
from routing.endpoint import Endpoint
from routing.events import OutcomeRecorded, RoutingEvent

MOST_DECISIONS: Final = 100
_MOST_ENDPOINTS: Final = 10_000
"""For how many endpoints counts are kept; beyond, those that were seen first are forgotten."""
_MOST_REASONS: Final = 10
"""How many of the attempts of a decision say why they went where they did."""
_LONGEST_TRAIL: Final = 1_000
"""How many characters of a trail are kept."""

_Key = tuple[str, str, str]
"""A subaccount, a deployment and a model."""


@dataclass(slots=True)
class _Counts:
    answered: int = 0
    failed: int = 0
    refused: int = 0
    first_content: float = 0.0
    fresh_input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    @property
    def as_json(self) -> JSON:
        usage = Usage(self.fresh_input, self.cache_read, self.cache_write, self.output)
        return {
            "answered": self.answered,
            "failed": self.failed,
            "refused": self.refused,
            "first_content_seconds": round(self.first_content, 4),
            "tokens": _tokens(usage),
        }


class Activity:
    """Remembers the latest decisions, and counts what became of all of them. Never what was said.

    It observes exchanges and listens to routing events. *now* is seconds since the epoch. `_lock` guards the
    decisions and the counts, and is held for a few assignments of each request.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._decisions: deque[JSON] = deque(maxlen=MOST_DECISIONS)
        self._outcomes: dict[str, int] = {}
        self._counts: dict[_Key, _Counts] = {}

    def over(self, record: ExchangeRecord) -> None:
        """Remember an exchange that is over."""
        decision, usage = _decision(record, self._now()), record.usage
        with self._lock:
            self._decisions.append(decision)
            self._outcomes[record.outcome] = self._outcomes.get(record.outcome, 0) + 1
            if record.deployment:
                counts = self._counts_of((record.subaccount, record.deployment, record.model))
                counts.fresh_input += usage.fresh_input
                counts.cache_read += usage.cache_read
                counts.cache_write += usage.cache_write
                counts.output += usage.output

    def heard(self, event: RoutingEvent) -> None:
        """Count how an attempt went."""
        if type(event) is not OutcomeRecorded:
            return
        endpoint, fault, seconds = event
        with self._lock:
            counts = self._counts_of((endpoint.subaccount, endpoint.deployment, endpoint.model))
            if fault is None:
                counts.answered += 1
                counts.first_content += seconds
            elif CLASSIFICATIONS[fault].try_elsewhere:
                counts.failed += 1
            else:
                counts.refused += 1

    def decisions(self) -> list[JSON]:
        """List the latest decisions, the newest first."""
        with self._lock:
            latest = list(self._decisions)
        return latest[::-1]

    def outcomes(self) -> dict[str, int]:
        """Count the exchanges by their outcomes."""
        with self._lock:
            return dict(self._outcomes)

    def counts(self, endpoint: Endpoint) -> JSON:
        """Count what became of the attempts at an endpoint, and the tokens of its answers."""
        with self._lock:
            found = self._counts.get((endpoint.subaccount, endpoint.deployment, endpoint.model))
            return (found or _Counts()).as_json

    def _counts_of(self, key: _Key) -> _Counts:
        """Give the counts of an endpoint, which makes them exist; the caller holds the lock."""
        found = self._counts.get(key)
        if found is None:
            if len(self._counts) >= _MOST_ENDPOINTS:
                del self._counts[next(iter(self._counts))]
            found = self._counts[key] = _Counts()
        return found


def _decision(record: ExchangeRecord, at: float) -> JSON:
    """Write down where a request went, and how it ended."""
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
        "reasons": list(record.reasons[:_MOST_REASONS]),
        "trail": record.trail[:_LONGEST_TRAIL],
        "status": record.status,
        "outcome": record.outcome,
        "first_content": None if first is None else round(first, 4),
        "duration": round(record.duration, 4),
        "tokens": _tokens(record.usage),
    }


def _tokens(usage: Usage) -> dict[str, int]:
    return {
        "input": usage.fresh_input,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "output": usage.output,
    }
