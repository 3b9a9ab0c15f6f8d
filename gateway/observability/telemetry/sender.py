"""The sender of traces and metrics to a collector by OTLP over HTTP. `OTEL_*` variables configure it.

It sends from background threads.
"""

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from gateway.observability.metrics import ExchangeRecord
from gateway.observability.telemetry.instruments import Instruments, Snapshot
from gateway.observability.telemetry.spans import SpanClock, TracedRequest
from gateway.version import VERSION

_log = logging.getLogger("sap_ai_proxy.telemetry")
_LIBRARY: Final = "opentelemetry"
"""The library's logger, whose name is the prefix of all its loggers' names."""
_EXPORTERS: Final = f"{_LIBRARY}.exporter"
_SCOPE: Final = "sap_ai_proxy"
_SERVICE: Final = "sap-ai-core-llm-proxy"
_MOST_MESSAGES: Final = 100
_NONE: Final = "none"
_LITTLE_HOPE: Final = 0.5
"""The time limit at the end, in seconds, for a collector that did not accept the latest batch."""


class Telemetry:
    """Traces requests and records metrics for a collector. Create it after a fork, in the process that uses it.

    *snapshot* returns the state of every endpoint, *clock* is the clock of the requests' lifetimes, and *now* returns
    seconds since the epoch. If the collector does not respond, spans and metrics are lost. No request waits for it.
    """

    def __init__(self, snapshot: Snapshot, clock: Callable[[], float], now: Callable[[], float] = time.time) -> None:
        _log_once_what_the_library_says()
        self._clock = clock
        self._now = now
        self._is_closed = False
        resource = _resource()
        self.exporters: list[_SpanExporter | _MetricExporter] = []
        """The exporters of traces and metrics, except those that the environment switches off."""
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        if _is_wanted("OTEL_TRACES_EXPORTER"):
            spans = _SpanExporter()
            self.exporters.append(spans)
            self._traces.add_span_processor(BatchSpanProcessor(spans))
        readers = []
        if _is_wanted("OTEL_METRICS_EXPORTER"):
            metrics = _MetricExporter()
            self.exporters.append(metrics)
            readers.append(PeriodicExportingMetricReader(metrics))
        self._metrics = MeterProvider(readers, resource, shutdown_on_exit=False)
        self._tracer = self._traces.get_tracer(_SCOPE, VERSION)
        self._instruments = Instruments(self._metrics.get_meter(_SCOPE, VERSION), snapshot)

    def begin(self, headers: Mapping[str, str], asked: ExchangeRecord, began: float) -> TracedRequest | None:
        """Begin the spans of a request with these *headers*, which started at *began* on the clock.

        If that fails, log the error and return None. The request is then not traced.
        """
        epoch = int((self._now() - (self._clock() - began)) * 1e9)
        try:
            return TracedRequest(self._tracer, self._instruments, headers, asked, SpanClock(epoch, began, self._clock))
        except Exception:  # noqa: BLE001 - after any error, the request continues
            _log.exception("a request is not traced")
            return None

    def close(self, seconds: float) -> None:
        """Send the remaining data, for at most *seconds*, and stop. A second call does nothing.

        The time limit is shorter if the collector did not accept the latest batch.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if any(exporter.health.failed for exporter in self.exporters):
            seconds = min(seconds, _LITTLE_HOPE)
        until = time.monotonic() + seconds
        ending = [
            threading.Thread(target=_quietly, args=(each,), name="telemetry", daemon=True)
            for each in (self._traces.shutdown, self._metrics.shutdown)
        ]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join(max(0.0, until - time.monotonic()))
        for exporter in self.exporters:
            exporter.shutdown()  # an exporter that is still retrying gives up now


class _Health:
    """Logs once when the collector stops accepting *what*, and once when it accepts it again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.failed = False
        """Whether the latest batch was refused or lost."""

    def record(self, *, is_taken: bool) -> None:
        """Record whether a batch was accepted."""
        if is_taken and self.failed:
            _log.warning("the OpenTelemetry collector takes %s again", self._what)
        elif not is_taken and not self.failed:
            what = "the OpenTelemetry collector does not take %s; they are lost until it does, and requests go on"
            _log.warning(what, self._what)
        self.failed = not is_taken


class _SpanExporter(OTLPSpanExporter):
    def __init__(self) -> None:
        super().__init__()
        self.health = _Health("traces")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        self.health.record(is_taken=result is SpanExportResult.SUCCESS)
        return result


class _MetricExporter(OTLPMetricExporter):
    def __init__(self) -> None:
        super().__init__()
        self.health = _Health("metrics")

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        result = super().export(metrics_data, timeout_millis, **kwargs)
        self.health.record(is_taken=result is MetricExportResult.SUCCESS)
        return result


class _OncePerMessage(logging.Handler):
    """Logs the first message of each kind from the library, except those about batches, which `_Health` logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._known: set[tuple[str, str]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.name, str(record.msg)
        if record.name.startswith(_EXPORTERS) or kind in self._known or len(self._known) >= _MOST_MESSAGES:
            return
        self._known.add(kind)
        _log.warning("OpenTelemetry: %s", record.getMessage())


def _log_once_what_the_library_says() -> None:
    """Keep the library from logging the same message for each batch. At the level debug, all are logged."""
    library = logging.getLogger(_LIBRARY)
    if not _log.isEnabledFor(logging.DEBUG):
        library.propagate = False
    if not any(isinstance(each, _OncePerMessage) for each in library.handlers):
        library.addHandler(_OncePerMessage())


def _resource() -> Resource:
    """Return the attributes of this process; those in the environment take precedence."""
    said = OTELResourceDetector().detect().attributes
    own = {"service.name": _SERVICE, "service.version": VERSION, "service.instance.id": str(uuid.uuid4())}
    return Resource.create({name: value for name, value in own.items() if name not in said})


def _is_wanted(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() != _NONE


def _quietly(end: Callable[[], object]) -> None:
    try:
        end()
    except Exception:  # noqa: BLE001 - data that cannot be sent at the end is lost
        _log.debug("telemetry did not end well", exc_info=True)
