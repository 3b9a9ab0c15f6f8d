"""The spans of a request: a server span, and below it a client span for each attempt that calls a deployment."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from dialects.core.conversation import Usage
from gateway.observability.metrics import ExchangeRecord
from gateway.observability.request_line import plain
from gateway.observability.telemetry import names
from gateway.observability.telemetry.instruments import Instruments
from routing.attempts import Attempt

_log = logging.getLogger("sap_ai_proxy.telemetry")
_PROPAGATOR: Final = TraceContextTextMapPropagator()
"""Propagates `traceparent` and `tracestate`. Baggage is not propagated, because it is not meant for the upstream."""
_LONGEST: Final = 1000
"""The maximum length of an attribute, in characters."""
_MOST_URLS: Final = 1024


class _NeverRaising:
    """A context manager that logs every exception and suppresses it, so that tracing never fails a request."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        _log.error("a span is lost", exc_info=error)
        return True


_NEVER_RAISING: Final = _NeverRaising()


@dataclass(frozen=True, slots=True)
class SpanClock:
    """The start of a request: *epoch* in nanoseconds since 1970, and *began* on the *clock* of its lifetime."""

    epoch: int
    began: float
    clock: Callable[[], float]

    def at(self, moment: float) -> int:
        """Convert a moment on the clock to nanoseconds since 1970."""
        return self.epoch + int((moment - self.began) * 1e9)


class _Call:
    """The span of one attempt. It starts when the attempt first sends its request."""

    __slots__ = ("began", "ended", "headers", "span")

    def __init__(self, span: Span, began: float) -> None:
        self.span = span
        self.began = began
        self.ended: float | None = None
        self.headers: dict[str, str] = {}
        _PROPAGATOR.inject(self.headers, set_span_in_context(span, Context()))


class TracedRequest:
    """The spans of one request, as `RequestSpans` defines them; *asked* is the part of its record that is known so far.

    Only one thread at a time may use it: the thread of its exchange.
    """

    def __init__(
        self,
        tracer: Tracer,
        instruments: Instruments,
        headers: Mapping[str, str],
        asked: ExchangeRecord,
        clock: SpanClock,
    ) -> None:
        self._tracer = tracer
        self._instruments = instruments
        self._clock = clock
        self._stream = asked.stream
        self._operation = names.operation_of(asked.client)
        attributes: dict[str, AttributeValue] = {
            names.OPERATION: self._operation,
            names.REQUEST_ID: asked.id,
            names.CALLER: asked.caller,
            names.DIALECT: asked.client,
        }
        if asked.model:
            attributes[names.REQUEST_MODEL] = plain(asked.requested)[:_LONGEST]
            attributes[names.REQUEST_STREAM] = asked.stream
        self._span = tracer.start_span(
            f"{self._operation} {asked.model}".strip(),
            _PROPAGATOR.extract(headers, Context()),
            SpanKind.SERVER,
            attributes,
            start_time=clock.epoch,
        )
        self._context = set_span_in_context(self._span, Context())
        self._calls: dict[Attempt, _Call] = {}

    @property
    def trace(self) -> str:
        """The id of the trace, in hexadecimal."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def begin_call(self, attempt: Attempt) -> Mapping[str, str]:
        """Begin the span of an attempt, unless it has begun; return the headers that pass the trace upstream."""
        with _NEVER_RAISING:
            call = self._calls.get(attempt)
            if call is None:
                call = self._calls[attempt] = self._begun(attempt)
            return call.headers
        return {}

    def end_call(self, attempt: Attempt) -> None:
        """Record that the answer of an attempt has been read or given up.

        The attempt may still send another request.
        """
        call = self._calls.get(attempt)
        if call is not None:
            call.ended = self._clock.clock()

    def over(self, record: ExchangeRecord, last: Attempt | None) -> None:
        """End all spans; *last* is the attempt that answered, if any did."""
        with _NEVER_RAISING:
            for attempt, call in self._calls.items():
                self._end(attempt, call, record if attempt is last else None)
            if self._span.is_recording():
                self._span.set_attributes(_of_request(record, last))
                if record.status >= 500:
                    self._span.set_status(StatusCode.ERROR)
            self._span.end(self._clock.at(self._clock.began + record.duration))
            self._instruments.request_over(record)

    def _begun(self, attempt: Attempt) -> _Call:
        endpoint, now = attempt.endpoint, self._clock.clock()
        host, port = _host_and_port(endpoint.url)
        attributes: dict[str, AttributeValue] = {
            names.OPERATION: self._operation,
            names.PROVIDER: names.provider_of(endpoint.backend),
            names.REQUEST_MODEL: endpoint.backend,
            names.REQUEST_STREAM: self._stream,
            names.SERVER_ADDRESS: host,
            names.SERVER_PORT: port,
            names.SUBACCOUNT: endpoint.subaccount,
            names.DEPLOYMENT: endpoint.deployment,
            names.REASON: attempt.lease.reason,
            names.PROTOCOL: attempt.protocol.name,
        }
        name = f"{self._operation} {endpoint.backend}"
        span = self._tracer.start_span(name, self._context, SpanKind.CLIENT, attributes, start_time=self._clock.at(now))
        return _Call(span, now)

    def _end(self, attempt: Attempt, call: _Call, record: ExchangeRecord | None) -> None:
        """End the span of an attempt. If it is the one that answered, *record* adds the values of the answer."""
        fault = attempt.fault
        ended = self._clock.clock() if call.ended is None else call.ended
        failed = fault.kind.value if fault is not None else "ok"
        if fault is None and record is not None:
            failed = record.outcome
        if call.span.is_recording():
            if record is not None and record.parts == 1:
                call.span.set_attributes(_of_answer(record))
                if record.stream and record.first_content is not None:
                    first = self._clock.began + record.first_content - call.began
                    call.span.set_attribute(names.TIME_TO_FIRST_CHUNK, first)
            if fault is not None and fault.status is not None:
                call.span.set_attribute(names.STATUS, fault.status)
            if failed != "ok":
                call.span.set_attribute(names.ERROR_TYPE, failed)
                call.span.set_status(StatusCode.ERROR)
        call.span.end(self._clock.at(ended))
        self._instruments.call_over(self._operation, attempt.endpoint, ended - call.began, failed)


def _of_request(record: ExchangeRecord, last: Attempt | None) -> dict[str, AttributeValue]:
    """Return the attributes of a completed request."""
    found: dict[str, AttributeValue] = {names.STATUS: record.status, names.ATTEMPTS: record.attempts}
    if last is not None:
        found |= _of_answer(record)
        found[names.PROVIDER] = names.provider_of(last.endpoint.backend)
        found[names.SUBACCOUNT] = record.subaccount
        found[names.DEPLOYMENT] = record.deployment
        found[names.TRAIL] = record.trail[:_LONGEST]
    if record.overhead is not None:
        found[names.OVERHEAD] = record.overhead
    if record.outcome != "ok":
        found[names.ERROR_TYPE] = record.outcome
    return found


def _of_answer(record: ExchangeRecord) -> dict[str, AttributeValue]:
    """Return the attributes of an answer, complete or not."""
    found = _tokens(record.usage)
    if record.first_content is not None:
        found[names.RESPONSE_MODEL] = record.model
    if record.stop:
        found[names.FINISH_REASONS] = (record.stop,)
    return found


def _tokens(usage: Usage) -> dict[str, AttributeValue]:
    counted = {
        names.INPUT_TOKENS: usage.prompt,
        names.OUTPUT_TOKENS: usage.output,
        names.CACHE_READ_TOKENS: usage.cache_read,
        names.CACHE_WRITE_TOKENS: usage.cache_write,
        names.REASONING_TOKENS: usage.reasoning,
    }
    return {name: tokens for name, tokens in counted.items() if tokens}


@lru_cache(_MOST_URLS)
def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
