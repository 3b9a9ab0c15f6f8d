"""The last hour of models and endpoints in buckets of one minute: requests, errors, first content and tokens."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from dialects.core.conversation import JSON
from dialects.core.faults import FaultKind
from gateway.observability.metrics import ExchangeRecord
from routing.classification import CLASSIFICATIONS
from routing.events import OutcomeRecorded, RoutingEvent

STEP: Final = 60
"""The length of one bucket, in seconds."""
BUCKETS: Final = 60
"""The number of buckets that are kept for each model and each endpoint. The last one is the current one."""
MOST_SERIES: Final = 600
"""The maximum number of models and endpoints with buckets. The one that was idle longest is forgotten first."""

_FAULTS_OF_ENDPOINTS: Final = frozenset(kind for kind, row in CLASSIFICATIONS.items() if row.try_elsewhere)
_ERRORS: Final = frozenset(kind.value for kind in (*_FAULTS_OF_ENDPOINTS, FaultKind.UNAVAILABLE, FaultKind.DEFECT))
"""The outcomes of a request that are not the fault of its caller."""

_Key = tuple[str, str, str]
"""A subaccount, a deployment id, and a model. The first two are empty for the model as a whole."""
_Bucket = list[Any]
_MINUTE, _REQUESTS, _ERRORS_AT, _FIRST_SECONDS, _FIRST_COUNT, _INPUT, _OUTPUT, _CACHE_READ = range(8)
"""The indexes of a bucket: the number of its minute since the epoch, then counts and sums."""


class History:
    """Counts requests, errors and tokens in each minute of the last hour. Only minutes with traffic take memory.

    It observes exchanges, which are the source of the counts of models and of all tokens. It listens to routing events,
    which are the source of the attempts at each endpoint. *now* returns seconds since the epoch. `_lock` guards the
    buckets, and is held for a few assignments of each request.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._series: dict[_Key, deque[_Bucket]] = {}

    def over(self, record: ExchangeRecord) -> None:
        """Count a completed exchange, if its model is deployed."""
        if not record.model:
            return
        minute, first, usage = int(self._now() // STEP), record.first_content, record.usage
        with self._lock:
            whole = self._bucket(("", "", record.model), minute)
            whole[_REQUESTS] += 1
            whole[_ERRORS_AT] += record.outcome in _ERRORS
            if first is not None:
                whole[_FIRST_SECONDS] += first
                whole[_FIRST_COUNT] += 1
            buckets = [whole]
            if record.deployment:
                buckets.append(self._bucket((record.subaccount, record.deployment, record.model), minute))
            for bucket in buckets:
                bucket[_INPUT] += usage.fresh_input + usage.cache_write
                bucket[_OUTPUT] += usage.output
                bucket[_CACHE_READ] += usage.cache_read

    def heard(self, event: RoutingEvent) -> None:
        """Count the outcome of an attempt at an endpoint."""
        if type(event) is not OutcomeRecorded:
            return
        endpoint, fault, seconds = event
        minute = int(self._now() // STEP)
        with self._lock:
            bucket = self._bucket((endpoint.subaccount, endpoint.deployment, endpoint.model), minute)
            bucket[_REQUESTS] += 1
            if fault is None:
                bucket[_FIRST_SECONDS] += seconds
                bucket[_FIRST_COUNT] += 1
            else:
                bucket[_ERRORS_AT] += fault in _FAULTS_OF_ENDPOINTS

    def rows(self) -> list[JSON]:
        """Return all buckets of this process as JSON, for `merged_history`."""
        with self._lock:
            return [{"of": [*key], "buckets": [[*each] for each in series]} for key, series in self._series.items()]

    def _bucket(self, key: _Key, minute: int) -> _Bucket:
        """Return the current bucket, and create it if it does not exist. The caller holds the lock."""
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= MOST_SERIES:
                del self._series[min(self._series, key=lambda each: self._series[each][-1][_MINUTE])]
            series = self._series[key] = deque(maxlen=BUCKETS)
        # If the clock is set back, the latest bucket stays the current one.
        if not series or series[-1][_MINUTE] < minute:
            series.append([minute, 0, 0, 0.0, 0, 0, 0, 0])
        return series[-1]


def merged_history(of_processes: Iterable[Sequence[JSON]], now: float) -> JSON:
    """Merge the rows of several processes into one history of the hour that ends with the minute of *now*.

    *now* is in seconds since the epoch. Models and endpoints without traffic in that hour are left out.
    """
    last = int(now // STEP)
    sums: dict[_Key, dict[int, _Bucket]] = defaultdict(dict)
    for rows in of_processes:
        for row in rows:
            for bucket in row["buckets"]:
                if (at := bucket[_MINUTE] - last + BUCKETS - 1) in range(BUCKETS):
                    summed = sums[tuple(row["of"])]
                    known = summed.get(at)
                    summed[at] = bucket if known is None else [a + b for a, b in zip(known, bucket, strict=True)]
    return {
        "step": STEP,
        "end": (last + 1) * STEP,
        "buckets": BUCKETS,
        "models": [{"model": key[2], **_arrays(sums[key])} for key in sorted(sums) if not key[0]],
        "endpoints": [
            {"subaccount": key[0], "deployment": key[1], "model": key[2], **_arrays(sums[key])}
            for key in sorted(sums)
            if key[0]
        ],
    }


def _arrays(buckets: dict[int, _Bucket]) -> JSON:
    """Return one list for each counted quantity, with a number for each bucket of the hour."""
    none: _Bucket = [0] * 8
    hour = [buckets.get(at, none) for at in range(BUCKETS)]
    return {
        "requests": [each[_REQUESTS] for each in hour],
        "errors": [each[_ERRORS_AT] for each in hour],
        "first_content": [
            round(each[_FIRST_SECONDS] / each[_FIRST_COUNT], 4) if each[_FIRST_COUNT] else None for each in hour
        ],
        "input": [each[_INPUT] for each in hour],
        "output": [each[_OUTPUT] for each in hour],
        "cache_read": [each[_CACHE_READ] for each in hour],
    }
