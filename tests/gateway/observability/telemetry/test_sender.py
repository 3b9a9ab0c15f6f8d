"""How telemetry leaves the process: to a collector that answers, to one that refuses, and to none at all."""

import logging
import time
from collections.abc import Iterator
from typing import cast

import pytest

from dialects.core.conversation import Usage
from gateway.observability.metrics import ExchangeRecord
from gateway.observability.telemetry.sender import Telemetry
from tests.support.collector import Collector, running_collector
from tests.support.processes import free_port, until

ASKED = ExchangeRecord("r-1", "0a1b2c3d", "openai-chat", "gpt-5", "gpt-5")
DONE = ExchangeRecord("r-1", "0a1b2c3d", "openai-chat", "gpt-5", "gpt-5", duration=0.5, usage=Usage(fresh_input=3))
LOGGER = "sap_ai_proxy.telemetry"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with running_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        yield collector


@pytest.fixture
def lines() -> Iterator[list[tuple[str, str]]]:
    """What reaches the handlers of the root: the names of loggers, and their lines."""
    found: list[tuple[str, str]] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append((record.name, record.getMessage()))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)


def make() -> Telemetry:
    return Telemetry(tuple, time.monotonic)


def request(telemetry: Telemetry) -> None:
    spans = telemetry.begin({}, ASKED, time.monotonic())
    assert spans is not None
    spans.over(DONE, None)


def test_what_is_left_at_the_end_is_sent(collector: Collector) -> None:
    telemetry = make()
    request(telemetry)
    telemetry.close(30.0)
    [span] = collector.spans()

    assert (span.name, span.seconds) == ("chat gpt-5", 0.5)
    assert set(collector.metrics()) >= {"gen_ai.server.request.duration", "gen_ai.client.token.usage"}


def test_the_environment_describes_the_service(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway-of-search")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.instance.id=pod-7")
    telemetry = make()
    request(telemetry)
    telemetry.close(30.0)
    [span] = collector.spans()

    assert span.resource["service.name"] == "gateway-of-search"
    assert span.resource["deployment.environment.name"] == "test"
    assert span.resource["service.instance.id"] == "pod-7"


def test_each_process_has_an_instance_id_of_its_own(collector: Collector) -> None:
    for telemetry in (make(), make()):
        request(telemetry)
        telemetry.close(30.0)

    assert len({span.resource["service.instance.id"] for span in collector.spans()}) == 2


@pytest.mark.parametrize(
    ("variable", "path"), [("OTEL_TRACES_EXPORTER", "/v1/metrics"), ("OTEL_METRICS_EXPORTER", "/v1/traces")]
)
def test_traces_or_metrics_alone_are_switched_off_by_their_variable(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, variable: str, path: str
) -> None:
    monkeypatch.setenv(variable, "none")
    telemetry = make()
    request(telemetry)
    telemetry.close(30.0)

    assert {each for each, _ in collector.raw} == {path}


def test_a_collector_that_refuses_is_named_once_in_the_log_and_once_when_it_takes_again(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, lines: list[tuple[str, str]]
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    collector.status = 400
    telemetry = make()
    for _ in range(3):
        seen = collector.refused
        request(telemetry)
        until(lambda: collector.refused > seen)  # noqa: B023 - it is called before the next round
    collector.status = 200
    request(telemetry)
    until(collector.spans)
    telemetry.close(30.0)

    assert lines == [
        (LOGGER, "the OpenTelemetry collector does not take traces; they are lost until it does, and requests go on"),
        (LOGGER, "the OpenTelemetry collector takes traces again"),
    ]


def test_no_collector_holds_the_end_of_the_process(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, lines: list[tuple[str, str]]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    telemetry = make()
    request(telemetry)
    began = time.monotonic()
    telemetry.close(0.1)

    assert time.monotonic() - began < 5.0  # the exporter itself tries for ten seconds
    assert {name for name, _ in lines} <= {LOGGER}


def test_a_collector_that_took_nothing_before_is_given_little_time_at_the_end(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    collector.status = 400
    telemetry = make()
    request(telemetry)
    until(lambda: collector.refused)
    until(lambda: any(exporter.health.failed for exporter in telemetry.exporters))
    collector.status = 503  # which the exporter answers with further tries
    request(telemetry)
    began = time.monotonic()
    telemetry.close(60.0)

    assert time.monotonic() - began < 5.0


def test_a_request_whose_span_cannot_begin_goes_on_without(collector: Collector, lines: list[tuple[str, str]]) -> None:
    telemetry = make()
    began = telemetry.begin(cast("dict[str, str]", None), ASKED, time.monotonic())
    telemetry.close(30.0)

    assert began is None
    assert lines == [(LOGGER, "a request is not traced")]


def test_a_line_of_the_library_is_logged_once(collector: Collector, lines: list[tuple[str, str]]) -> None:
    telemetry = make()
    library = logging.getLogger("opentelemetry.sdk.test")
    for number in range(3):
        library.warning("queue %s is full", number)
    telemetry.close(30.0)

    assert lines == [(LOGGER, "OpenTelemetry: queue 0 is full")]
