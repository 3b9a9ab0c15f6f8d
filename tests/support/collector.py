"""An OpenTelemetry collector in this process: it takes OTLP over HTTP, and keeps what came."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


@dataclass
class SentSpan:
    """A span as it came."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    begun: float
    ended: float
    """Seconds since 1970."""
    attributes: dict[str, Any]
    is_error: bool
    resource: dict[str, Any]

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return round(self.ended - self.begun, 6)


@dataclass
class Collector:
    """What was sent so far."""

    url: str
    status: int = 200
    raw: list[tuple[str, bytes]] = field(default_factory=list)
    """The path and the body of each request that was taken."""
    refused: int = 0
    """How many requests were not."""

    def spans(self) -> list[SentSpan]:
        """The spans in the order in which they ended."""
        return [
            SentSpan(
                span.name,
                span.kind,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.start_time_unix_nano / 1e9,
                span.end_time_unix_nano / 1e9,
                _attributes(span.attributes),
                span.status.code == 2,
                _attributes(batch.resource.attributes),
            )
            for path, body in self.raw
            if path == "/v1/traces"
            for batch in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in batch.scope_spans
            for span in scope.spans
        ]

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The attributes and the value of each point of a metric, as they were sent last."""
        bodies = [body for path, body in self.raw if path == "/v1/metrics"]
        found: list[tuple[dict[str, Any], Any]] = []
        for batch in ExportMetricsServiceRequest.FromString(bodies[-1]).resource_metrics if bodies else ():
            for scope in batch.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        points = getattr(metric, metric.WhichOneof("data")).data_points
                        found += [(_attributes(point.attributes), point) for point in points]
        return found

    def metrics(self) -> dict[str, str]:
        """The unit of each metric, as they were sent last."""
        bodies = [body for path, body in self.raw if path == "/v1/metrics"]
        return {
            metric.name: metric.unit
            for batch in ExportMetricsServiceRequest.FromString(bodies[-1]).resource_metrics
            for scope in batch.scope_metrics
            for metric in scope.metrics
        }


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Run a collector on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if collector.status == 200:
                collector.raw.append((self.path, body))
            else:
                collector.refused += 1
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs if isinstance(pair, KeyValue)}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)
