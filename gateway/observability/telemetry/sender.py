"""Sends traces and metrics to a collector by OTLP over HTTP, from threads of its own; `OTEL_*` variables say where."""

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
"""The logger of the library, and the beginning of the names of all its loggers."""
_EXPORTERS: Final = f"{_LIBRARY}.exporter"
_SCOPE: Final = "sap_ai_proxy"
_SERVICE: Final = "sap-ai-core-llm-proxy"
_MOST_MESSAGES: Final = 100
_NONE: Final = "none"
_LITTLE_HOPE: Final = 0.5
"""Seconds in which the rest is sent to a collector that did not take what it was sent last."""


class Telemetry:
    """Traces requests and counts them, for a collector. It belongs to the process that made it: make it after a fork.

    *snapshot* gives the state of every endpoint, *clock* is that of the lifetimes of requests, and *now* seconds since
    the epoch. If the collector does not answer, spans and metrics are lost; no request waits for it.
    """

    def __init__(self, snapshot: Snapshot, clock: Callable[[], float], now: Callable[[], float] = time.time) -> None:
        _log_once_what_the_library_says()
        self._clock = clock
        self._now = now
        self._is_closed = False
        resource = _resource()
        self.exporters: list[_SpanExporter | _MetricExporter] = []
        """What sends traces, and what sends metrics, unless the environment switches one of them off."""
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
        """Begin the spans of a request that came with *headers*; *began* is when, on the clock.

        None where that fails, which is logged: the request is then not traced.
        """
        epoch = int((self._now() - (self._clock() - began)) * 1e9)
        try:
            return TracedRequest(self._tracer, self._instruments, headers, asked, SpanClock(epoch, began, self._clock))
        except Exception:  # noqa: BLE001 - whatever it is, the request goes on
            _log.exception("a request is not traced")
            return None

    def close(self, seconds: float) -> None:
        """Send what is left, for at most so many *seconds*, and end; a second time does nothing.

        A collector that did not take what it was sent last is given up sooner.
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
            exporter.shutdown()  # one that still tries gives up now


class _Health:
    """Says once that the collector does not take *what*, and once that it does again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.failed = False
        """Whether the last batch was not taken."""

    def record(self, *, is_taken: bool) -> None:
        """Record whether a batch was taken."""
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
    """Passes on the first line of each kind that the library logs, and none about a batch: `_Health` says that."""

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
    """Keep the library from logging the same line for each batch; at the level debug it logs all."""
    library = logging.getLogger(_LIBRARY)
    if not _log.isEnabledFor(logging.DEBUG):
        library.propagate = False
    if not any(isinstance(each, _OncePerMessage) for each in library.handlers):
        library.addHandler(_OncePerMessage())


def _resource() -> Resource:
    """Describe this process, as far as the environment does not."""
    said = OTELResourceDetector().detect().attributes
    own = {"service.name": _SERVICE, "service.version": VERSION, "service.instance.id": str(uuid.uuid4())}
    return Resource.create({name: value for name, value in own.items() if name not in said})


def _is_wanted(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() != _NONE


def _quietly(end: Callable[[], object]) -> None:
    try:
        end()
    except Exception:  # noqa: BLE001 - what cannot be sent at the end is lost
        _log.debug("telemetry did not end well", exc_info=True)
