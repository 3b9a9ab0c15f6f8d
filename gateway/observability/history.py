"""Counts of models and endpoints: minute by minute for the last hour, and in total. Merged, they are one history."""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from dialects.core.conversation import JSON
from dialects.core.faults import FaultKind
from gateway.observability.metrics import ExchangeRecord
from routing.classification import CLASSIFICATIONS
from routing.endpoint import Endpoint
from routing.events import OutcomeRecorded

STEP: Final = 60
"""The length of one bucket, in seconds."""
BUCKETS: Final = 60
"""The number of buckets that are kept for each model and each endpoint. The last one is the current one."""
MOST_SERIES: Final = 600
"""The maximum number of models and endpoints with buckets. The one that was idle longest is forgotten first."""
MOST_TOTALS: Final = 10_000
"""The maximum number of models and endpoints with totals, which take less memory and are kept for longer."""

_FAULTS_OF_ENDPOINTS: Final = frozenset(kind for kind, row in CLASSIFICATIONS.items() if row.try_elsewhere)
_ERRORS: Final = frozenset(kind.value for kind in (*_FAULTS_OF_ENDPOINTS, FaultKind.UNAVAILABLE, FaultKind.DEFECT))
"""The outcomes of a request that are not the fault of its caller."""

_Key = tuple[str, str, str]
"""A subaccount, a deployment id, and a model. The first two are empty for the model as a whole."""
_Bucket = list[Any]
_REQUESTS, _FAILED, _FIRST_SECONDS, _FIRST_COUNT, _FRESH, _CACHE_WRITE, _CACHE_READ, _OUTPUT, _MINUTE = range(9)
"""The indexes of a bucket: counts and sums, then the number of its minute since the epoch, which sums do not have."""
_NOTHING: Final = (0, 0, 0.0, 0, 0, 0, 0, 0)


class Counters:
    """Counts requests, errors, seconds to first content, and tokens. Only minutes with traffic take memory.

    Exchanges are the source of the counts of models and of all tokens. Routing events are the source of the attempts at
    each endpoint. A *minute* is numbered from the epoch. Not thread-safe: the owner has a lock.
    """

    def __init__(self) -> None:
        self._series: dict[_Key, deque[_Bucket]] = {}
        """The buckets of the last hour. The series that began a bucket last is the last one."""
        self._past: dict[_Key, Sequence[Any]] = {}
        """The sums of all buckets before the current ones."""

    def add_exchange(self, record: ExchangeRecord, minute: int) -> None:
        """Count a completed exchange, if its model is deployed."""
        if not record.model:
            return
        first, usage = record.first_content, record.usage
        whole = self._bucket(("", "", record.model), minute)
        whole[_REQUESTS] += 1
        whole[_FAILED] += record.outcome in _ERRORS
        if first is not None:
            whole[_FIRST_SECONDS] += first
            whole[_FIRST_COUNT] += 1
        buckets = [whole]
        if record.deployment:
            buckets.append(self._bucket((record.subaccount, record.deployment, record.model), minute))
        for bucket in buckets:
            bucket[_FRESH] += usage.fresh_input
            bucket[_CACHE_WRITE] += usage.cache_write
            bucket[_CACHE_READ] += usage.cache_read
            bucket[_OUTPUT] += usage.output

    def add_attempt(self, outcome: OutcomeRecorded, minute: int) -> None:
        """Count the outcome of an attempt at an endpoint."""
        endpoint, fault, seconds = outcome
        bucket = self._bucket(_key(endpoint), minute)
        bucket[_REQUESTS] += 1
        if fault is None:
            bucket[_FIRST_SECONDS] += seconds
            bucket[_FIRST_COUNT] += 1
        else:
            bucket[_FAILED] += fault in _FAULTS_OF_ENDPOINTS

    def total(self, endpoint: Endpoint) -> JSON:
        """Return the number of all attempts at an endpoint by outcome, and the tokens of its answers."""
        key = _key(endpoint)
        counts, series = self._past.get(key, _NOTHING), self._series.get(key)
        if series is not None:
            counts = _sum(counts, series[-1])
        return {
            "answered": counts[_FIRST_COUNT],
            "failed": counts[_FAILED],
            "refused": counts[_REQUESTS] - counts[_FIRST_COUNT] - counts[_FAILED],
            "first_content_seconds": round(counts[_FIRST_SECONDS], 4),
            "tokens": {
                "input": counts[_FRESH],
                "cache_read": counts[_CACHE_READ],
                "cache_write": counts[_CACHE_WRITE],
                "output": counts[_OUTPUT],
            },
        }

    def rows(self) -> list[JSON]:
        """Return all buckets as JSON, for `merged_history`."""
        return [{"of": [*key], "buckets": [[*each] for each in series]} for key, series in self._series.items()]

    def _bucket(self, key: _Key, minute: int) -> _Bucket:
        """Return the current bucket, and begin it if it does not exist."""
        series = self._series.get(key)
        # If the clock is set back, the latest bucket stays the current one.
        if series is None or series[-1][_MINUTE] < minute:
            series = self._begin(key, minute)
        return series[-1]

    def _begin(self, key: _Key, minute: int) -> deque[_Bucket]:
        """Begin a bucket of a model or an endpoint, and return its series."""
        series = self._series.pop(key, None)
        if series is not None:
            self._complete(key, series[-1])
        else:
            series = deque(maxlen=BUCKETS)
            if len(self._series) >= MOST_SERIES:
                idle = next(iter(self._series))
                self._complete(idle, self._series.pop(idle)[-1])
        series.append([*_NOTHING, minute])
        self._series[key] = series
        return series

    def _complete(self, key: _Key, bucket: _Bucket) -> None:
        """Add a bucket that is complete to the past, which begins with those that were idle for longest."""
        past = self._past.pop(key, _NOTHING)
        if len(self._past) >= MOST_TOTALS:
            del self._past[next(iter(self._past))]
        self._past[key] = _sum(past, bucket)


def merged_history(of_processes: Iterable[Sequence[JSON]], now: float) -> JSON:
    """Merge the rows of several processes into one history of the hour that ends with the minute of *now*.

    *now* is in seconds since the epoch. Models and endpoints without traffic in that hour are left out.
    """
    last = int(now // STEP)
    sums: dict[_Key, dict[int, Sequence[Any]]] = defaultdict(dict)
    for rows in of_processes:
        for row in rows:
            for bucket in row["buckets"]:
                if (at := bucket[_MINUTE] - last + BUCKETS - 1) in range(BUCKETS):
                    summed = sums[tuple(row["of"])]
                    summed[at] = _sum(summed.get(at, _NOTHING), bucket)
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


def _key(endpoint: Endpoint) -> _Key:
    return endpoint.subaccount, endpoint.deployment, endpoint.model


def _sum(counts: Sequence[Any], bucket: _Bucket) -> Sequence[Any]:
    return [a + b for a, b in zip(counts, bucket[:_MINUTE], strict=True)]


def _arrays(buckets: dict[int, Sequence[Any]]) -> JSON:
    """Return one list for each counted quantity, with a number for each bucket of the hour."""
    hour = [buckets.get(at, _NOTHING) for at in range(BUCKETS)]
    return {
        "requests": [each[_REQUESTS] for each in hour],
        "errors": [each[_FAILED] for each in hour],
        "first_content": [
            round(each[_FIRST_SECONDS] / each[_FIRST_COUNT], 4) if each[_FIRST_COUNT] else None for each in hour
        ],
        "input": [each[_FRESH] + each[_CACHE_WRITE] for each in hour],
        "output": [each[_OUTPUT] for each in hour],
        "cache_read": [each[_CACHE_READ] for each in hour],
    }
