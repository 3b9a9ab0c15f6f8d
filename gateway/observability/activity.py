"""The recent activity of this process: the latest decisions, and counts of its models and endpoints."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from dialects.core.conversation import JSON
from gateway.observability.history import STEP, Counters
from gateway.observability.metrics import ExchangeRecord
from gateway.observability.request_line import plain
from routing.endpoint import Endpoint
from routing.events import OutcomeRecorded, RoutingEvent

MOST_DECISIONS: Final = 100
_MOST_REASONS: Final = 10
"""The maximum number of attempts of a decision whose reasons are kept."""
_LONGEST_NAME: Final = 200
_LONGEST_TRAIL: Final = 1_000
"""The maximum lengths, in characters, of a name and of a trail."""


class Activity:
    """Keeps the latest decisions, and counts the outcomes of all. It contains no prompts and no answers.

    It observes exchanges and listens to routing events. *now* returns seconds since the epoch. `_lock` guards the
    decisions and the counters, and is held for a few assignments of each request.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._decisions: deque[tuple[float, ExchangeRecord]] = deque(maxlen=MOST_DECISIONS)
        self._outcomes: dict[str, int] = {}
        self._counters = Counters()

    def over(self, record: ExchangeRecord) -> None:
        """Record a completed exchange."""
        now, bounded = self._now(), _bounded(record)
        with self._lock:
            self._decisions.append((now, bounded))
            self._outcomes[record.outcome] = self._outcomes.get(record.outcome, 0) + 1
            self._counters.add_exchange(record, int(now // STEP))

    def heard(self, event: RoutingEvent) -> None:
        """Count the outcome of an attempt."""
        if type(event) is OutcomeRecorded:
            minute = int(self._now() // STEP)
            with self._lock:
                self._counters.add_attempt(event, minute)

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
            return self._counters.total(endpoint)

    def rows(self) -> list[JSON]:
        """Return the counts of each minute of the last hour, for `merged_history`."""
        with self._lock:
            return self._counters.rows()


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
        "tokens": {
            "input": record.usage.fresh_input,
            "cache_read": record.usage.cache_read,
            "cache_write": record.usage.cache_write,
            "output": record.usage.output,
        },
    }
