"""Observers of completed exchanges and of routing events: the log line of a request, and Prometheus counters."""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram

from dialects.core.conversation import Usage
from gateway.observability.log_writer import FIELDS
from gateway.observability.request_line import RequestLine, plain
from routing.events import CircuitChanged, CooldownStarted, OutcomeRecorded, PoolsChanged, RoutingEvent

_log = logging.getLogger("sap_ai_proxy.exchange")
_routing_log = logging.getLogger("sap_ai_proxy.routing")
_BRIEF = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_MOST_SERIES = 10_000
"""The number of label combinations whose time series are cached."""
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class ExchangeRecord:
    """The record of one exchange: caller, model, attempts, outcome, durations and tokens, without prompts and answers.

    *requested* is the model in the request, or the method and path of a request without a model. Durations are in
    seconds and start when the body has been read. *first_content* is None if there was no content. *overhead* is the
    part of *duration* that the proxy itself spent: parsing, selecting, rendering, translating and waiting for the CPU.
    It excludes the time that the upstream takes after a request is sent, fetching tokens and media, pauses between
    attempts, and the time in which the client does not read. It is None if no exchange began. *trail* reads ``eu/d1 503
    -> us/d7 ok``, *reasons* says why each endpoint was selected, and *unaffordable* whether the retry budget refused a
    retry. A request that is sent upstream in several *parts* has a trail for each. Its first *parts* attempts are no
    retries.
    """

    id: str
    caller: str
    client: str
    requested: str
    model: str = ""
    stream: bool = False
    trail: str = ""
    subaccount: str = ""
    deployment: str = ""
    attempts: int = 0
    parts: int = 1
    reasons: tuple[str, ...] = ()
    unaffordable: bool = False
    status: int = 200
    outcome: str = "ok"
    stop: str = ""
    first_content: float | None = None
    duration: float = 0.0
    overhead: float | None = None
    usage: Usage = field(default_factory=Usage)
    dropped: tuple[str, ...] = ()
    trace: str = ""


class Observer(Protocol):
    """An observer that is called once for each completed exchange, outside all locks."""

    def over(self, record: ExchangeRecord) -> None:
        """Process the record of a completed exchange."""
        ...


class LogObserver:
    """Logs one line for each exchange."""

    def over(self, record: ExchangeRecord) -> None:
        """Log the line."""
        _log.info(RequestLine(record), extra={FIELDS: partial(_fields, record)})


class _Metrics:
    """The Prometheus metrics of exchanges."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("client", "model")
        self.exchanges = Counter("aicore_proxy_exchanges", "Requests answered", (*labels, "outcome"), registry=registry)
        self.attempts = Counter("aicore_proxy_attempts", "Calls to deployments", ("model",), registry=registry)
        self.decisions = Counter(
            "aicore_proxy_decisions", "Deployments chosen, by why", ("model", "reason"), registry=registry
        )
        self.retries = Counter(
            "aicore_proxy_retries", "Retries asked of the retry budget", ("model", "budget"), registry=registry
        )
        self.retried = Counter(
            "aicore_proxy_retried_exchanges",
            "Requests that took more than one attempt, by how they ended",
            ("model", "outcome"),
            registry=registry,
        )
        self.tokens = Counter("aicore_proxy_tokens", "Tokens, each in one kind", ("model", "kind"), registry=registry)
        self.of_callers = Counter(
            "aicore_proxy_caller_exchanges", "Requests answered, by caller", ("caller", "outcome"), registry=registry
        )
        self.tokens_of_callers = Counter(
            "aicore_proxy_caller_tokens", "Tokens, each in one kind, by caller", ("caller", "kind"), registry=registry
        )
        self.dropped = Counter(
            "aicore_proxy_dropped", "Fields that could not be carried to a backend", ("client",), registry=registry
        )
        self.first = Histogram(
            "aicore_proxy_first_content_seconds", "Until the first content", labels, buckets=_SECONDS, registry=registry
        )
        self.duration = Histogram(
            "aicore_proxy_duration_seconds", "Until the last byte", labels, buckets=_SECONDS, registry=registry
        )
        self.overhead = Histogram(
            "aicore_proxy_overhead_seconds",
            "What the proxy itself took: neither waiting for an upstream or a caller, nor a pause",
            labels,
            buckets=_BRIEF,
            registry=registry,
        )


class _TokenSeries:
    """The time series for the tokens of one model or caller, one for each kind of tokens."""

    def __init__(self, counter: Counter, name: str) -> None:
        self._input, self._cache_read, self._cache_write, self._output = (
            counter.labels(name, kind) for kind in ("input", "cache_read", "cache_write", "output")
        )

    def add(self, usage: Usage) -> None:
        """Add the tokens of an exchange."""
        _add(self._input, usage.fresh_input)
        _add(self._cache_read, usage.cache_read)
        _add(self._cache_write, usage.cache_write)
        _add(self._output, usage.output)


class _Series:
    """The time series of one client, model and outcome.

    Each is created when it is first needed, because a lookup creates it.
    """

    def __init__(self, metrics: _Metrics, client: str, model: str, outcome: str) -> None:
        self._metrics = metrics
        self._labels = client, model
        self._model = model
        self._outcome = outcome
        self._decisions: dict[str, Counter] = {}
        self.exchanges = metrics.exchanges.labels(client, model, outcome)
        self.attempts = metrics.attempts.labels(model)
        self.duration = metrics.duration.labels(client, model)
        self.dropped = metrics.dropped.labels(client)
        self.tokens = _TokenSeries(metrics.tokens, model)

    @cached_property
    def first(self) -> Histogram:
        """The histogram of the seconds to first content."""
        return self._metrics.first.labels(*self._labels)

    @cached_property
    def overhead(self) -> Histogram:
        """The histogram of the seconds that the proxy itself spent."""
        return self._metrics.overhead.labels(*self._labels)

    @cached_property
    def retries(self) -> tuple[Counter, Counter]:
        """The counters of retries that the budget allowed, and of those that it refused."""
        return self._metrics.retries.labels(self._model, "spent"), self._metrics.retries.labels(self._model, "refused")

    @cached_property
    def retried(self) -> Counter:
        """The counter of requests that took more than one attempt."""
        return self._metrics.retried.labels(self._model, self._outcome)

    def decisions(self, reason: str) -> Counter:
        """Return the counter of endpoints that were selected for *reason*."""
        found = self._decisions.get(reason)
        if found is None:
            found = self._decisions[reason] = self._metrics.decisions.labels(self._model, reason)
        return found


class _CallerSeries:
    """The time series of one caller and outcome."""

    def __init__(self, metrics: _Metrics, caller: str, outcome: str) -> None:
        self.exchanges = metrics.of_callers.labels(caller, outcome)
        self.tokens = _TokenSeries(metrics.tokens_of_callers, caller)


class MetricsObserver:
    """Counts exchanges for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        metrics = _Metrics(registry)
        self._series = lru_cache(_MOST_SERIES)(partial(_Series, metrics))
        self._of_callers = lru_cache(_MOST_SERIES)(partial(_CallerSeries, metrics))

    def over(self, record: ExchangeRecord) -> None:
        """Count one exchange."""
        series = self._series(record.client, record.model or "unknown", record.outcome)
        series.exchanges.inc()
        series.duration.observe(record.duration)
        for reason in record.reasons:
            series.decisions(reason).inc()
        if record.attempts:
            series.attempts.inc(record.attempts)
            spent, refused = series.retries
            if record.attempts > record.parts:
                spent.inc(record.attempts - record.parts)
                series.retried.inc()
            _add(refused, int(record.unaffordable))
        if record.overhead is not None:
            series.overhead.observe(record.overhead)
        if record.first_content is not None:
            series.first.observe(record.first_content)
        series.tokens.add(record.usage)
        _add(series.dropped, len(record.dropped))
        of_caller = self._of_callers(record.caller, record.outcome)
        of_caller.exchanges.inc()
        of_caller.tokens.add(record.usage)


class RoutingObserver:
    """Counts routing events for Prometheus, and logs changes of the pools, which `routing` does not log itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        where = ("subaccount", "deployment")
        self._transitions = Counter(
            "aicore_proxy_circuit_transitions", "Circuits that changed", (*where, "now"), registry=registry
        )
        self._cooldowns = [
            Counter(name, help_text, (*where, "why"), registry=registry)
            for name, help_text in (
                ("aicore_proxy_cooldowns", "Cooldowns begun"),
                ("aicore_proxy_coolings", "Deprecated: aicore_proxy_cooldowns under its former name"),
            )
        ]
        outcomes = Counter("aicore_proxy_outcomes", "Leases settled", (*where, "outcome"), registry=registry)
        self._outcomes = lru_cache(_MOST_SERIES)(outcomes.labels)

    def heard(self, event: RoutingEvent) -> None:
        """Count or log one event."""
        match event:
            case CircuitChanged(endpoint, change):
                self._transitions.labels(endpoint.subaccount, endpoint.deployment, change.now.value).inc()
            case CooldownStarted(endpoint, _, _, why):
                for counter in self._cooldowns:
                    counter.labels(endpoint.subaccount, endpoint.deployment, why.value).inc()
            case OutcomeRecorded(endpoint, fault, _):
                outcome = fault.value if fault else "ok"
                self._outcomes(endpoint.subaccount, endpoint.deployment, outcome).inc()
            case PoolsChanged(joined, left):
                _routing_log.info("endpoints: %d joined, %d left", len(joined), len(left))
            case _:
                pass


class DroppedLines:
    """Counts the log lines of this process that could not be written."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self._counter = Counter(
            "aicore_proxy_log_lines_dropped", "Log lines that could not be written", registry=registry
        )
        self._known = 0

    def count(self, dropped: int) -> None:
        """Set the counter to *dropped*, the number of lines lost so far."""
        self._counter.inc(dropped - self._known)
        self._known = dropped


class Observers:
    """Calls several observers. An exception in one does not affect the others."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)

    def over(self, record: ExchangeRecord) -> None:
        """Call all observers."""
        for observer in self._observers:
            try:
                observer.over(record)
            except Exception:  # noqa: BLE001 - no error of an observer may affect the answer
                _log.exception("an observer failed")


def _add(counter: Counter, amount: int) -> None:
    if amount:
        counter.inc(amount)


def _fields(record: ExchangeRecord) -> dict[str, Any]:
    """Return the fields of a record by name. Names that come from a caller are shortened and made printable."""
    dropped = plain(",".join(record.dropped))
    return {**asdict(record), "requested": plain(record.requested), "dropped": dropped}
