"""The spans of one request, from what its exchange says while it goes on; time passes as the test wants."""

import logging
from typing import Any, cast

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dialects.core.conversation import Usage
from dialects.core.faults import Fault, FaultKind
from gateway.observability.metrics import ExchangeRecord
from gateway.observability.telemetry.instruments import Instruments
from gateway.observability.telemetry.spans import SpanClock, TracedRequest
from routing.attempts import Attempt
from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.policy import Policy, RetryPolicy
from routing.request_router import RequestRouter
from tests.routing.scenes import Clock

EU = Endpoint("eu", "https://api.eu.example/v2/inference/deployments/d1", "gpt-5")
US = Endpoint("us", "https://api.us.example:8443/v2/inference/deployments/d2", "gpt-5")
ASKED = ExchangeRecord("r-1", "0a1b2c3d", "openai-chat", "gpt-5", "gpt-5", stream=True)
EPOCH = 1_700_000_000_000_000_000
OVERLOADED = Fault(FaultKind.OVERLOADED, "words of a provider", status=503)


class Stage:
    """A request that is traced, and attempts to tell of."""

    def __init__(self, **asked: Any) -> None:
        self.clock = Clock()
        self.exported = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exported))
        meter = MeterProvider([], shutdown_on_exit=False).get_meter("test")
        router = RequestRouter(
            LoadBalancer({"gpt-5": [EU, US]}, policy=Policy(retry=RetryPolicy(max_attempts=2))), sleep=lambda _: None
        )
        self.attempts = router.attempts("gpt-5")
        self.request = TracedRequest(
            self.provider.get_tracer("test"),
            Instruments(meter, tuple),
            asked.pop("headers", {}),
            ASKED,
            SpanClock(EPOCH, self.clock(), self.clock),
        )

    def begin(self) -> Attempt:
        attempt = next(self.attempts)
        self.request.begin_call(attempt)
        return attempt

    def over(self, last: Attempt | None, **said: Any) -> dict[str, ReadableSpan]:
        """End the request, and give its spans by where they went; that of the request itself is at "" ."""
        record = ExchangeRecord("r-1", "0a1b2c3d", "openai-chat", "gpt-5", "gpt-5", stream=True, **said)
        self.request.over(record, last)
        self.attempts.close()
        return {str(each.attributes.get("server.address", "")): each for each in self.spans()}

    def spans(self) -> list[ReadableSpan]:
        return list(self.exported.get_finished_spans())


def seconds(span: ReadableSpan) -> tuple[float, float]:
    """From when to when, in seconds since the request began."""
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.start_time - EPOCH) / 1e9, (span.end_time - EPOCH) / 1e9


def test_an_attempt_lasts_from_when_it_was_sent_until_nothing_more_is_read() -> None:
    stage = Stage()
    stage.clock.now = 1.0
    first = stage.begin()
    stage.clock.now = 3.0
    stage.request.end_call(first)
    first.failed(OVERLOADED)
    stage.clock.now = 7.0  # a pause before the next attempt is part of neither
    second = stage.begin()
    stage.clock.now = 15.0
    second.answered()
    spans = stage.over(second, duration=15.0, first_content=12.0)

    assert seconds(spans["api.eu.example"]) == (1.0, 3.0)
    assert seconds(spans["api.us.example"]) == (7.0, 15.0)
    assert seconds(spans[""]) == (0.0, 15.0)
    assert spans["api.us.example"].attributes["gen_ai.response.time_to_first_chunk"] == 5.0
    assert spans["api.us.example"].attributes["server.port"] == 8443


def test_an_attempt_that_asks_again_is_one_span() -> None:
    stage = Stage()
    attempt = stage.begin()
    before = stage.request.begin_call(attempt)
    stage.request.end_call(attempt)
    again = stage.request.begin_call(attempt)
    stage.request.end_call(attempt)
    attempt.answered()
    spans = stage.over(attempt)

    assert before == again
    assert len(spans) == 2


def test_an_error_has_its_kind_and_none_of_its_words() -> None:
    stage = Stage()
    attempt = stage.begin()
    attempt.failed(OVERLOADED)
    spans = stage.over(attempt, status=503, outcome="overloaded")

    for span in spans.values():
        assert span.attributes["error.type"] == "overloaded"
        assert span.status.description is None
        assert OVERLOADED.message not in span.to_json()


def test_tokens_are_those_of_the_attempt_that_answered() -> None:
    stage = Stage()
    attempt = stage.begin()
    attempt.answered()
    usage = Usage(fresh_input=3, cache_read=50, cache_write=7, output=11, reasoning=5)
    spans = stage.over(attempt, usage=usage, stop="max_tokens")
    counted = {
        "gen_ai.usage.input_tokens": 60,
        "gen_ai.usage.cache_read.input_tokens": 50,
        "gen_ai.usage.cache_creation.input_tokens": 7,
        "gen_ai.usage.output_tokens": 11,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.response.finish_reasons": ("max_tokens",),
    }

    for span in spans.values():
        assert {name: span.attributes[name] for name in counted} == counted


def test_a_request_in_parts_has_its_tokens_and_none_of_its_attempts_has() -> None:
    stage = Stage()
    attempt = stage.begin()
    attempt.answered()
    spans = stage.over(attempt, usage=Usage(fresh_input=3), parts=2)

    assert spans[""].attributes["gen_ai.usage.input_tokens"] == 3
    assert "gen_ai.usage.input_tokens" not in spans["api.eu.example"].attributes


@pytest.mark.parametrize(("status", "is_error"), [(200, False), (404, False), (499, False), (500, True), (503, True)])
def test_a_request_is_an_error_of_the_server_from_a_500_on(status: int, is_error: bool) -> None:
    spans = Stage().over(None, status=status, outcome="ok" if status == 200 else "other")

    assert (spans[""].status.status_code.name == "ERROR") is is_error


def test_a_trace_goes_on_with_its_state_and_without_baggage() -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "tracestate": "vendor=x", "baggage": "user=ada"}
    stage = Stage(headers=headers)
    attempt = next(stage.attempts)
    sent = stage.request.begin_call(attempt)
    stage.over(attempt)

    assert stage.request.trace == trace
    assert sorted(sent) == ["traceparent", "tracestate"]
    assert sent["tracestate"] == "vendor=x"


def test_no_request_fails_because_its_spans_do(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    stage = Stage()
    broken = cast("Attempt", object())

    assert stage.request.begin_call(broken) == {}
    stage.request.over(cast("ExchangeRecord", None), broken)
    assert [each.getMessage() for each in caplog.records] == ["a span is lost"] * 2
