"""What the metrics say of requests, of calls and of the state of endpoints."""

from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from dialects.core.conversation import Usage
from dialects.core.faults import FaultKind
from gateway.observability.metrics import ExchangeRecord
from gateway.observability.telemetry.instruments import Instruments
from routing.availability import EndpointState
from routing.endpoint import Endpoint
from routing.events import Circuit
from routing.load_balancer import LoadBalancer

EU = Endpoint("eu", "https://api.eu.example/v2/inference/deployments/d1", "gpt-5")
[CALM] = LoadBalancer({"gpt-5": [EU]}).snapshot()
RECORD = ExchangeRecord("r-1", "ada", "openai-chat", "gpt-5", "gpt-5", duration=2.0)


def measured(*states: EndpointState, records: tuple[ExchangeRecord, ...] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """The points of each metric: what tells them apart, and a value or a sum."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    instruments = Instruments(provider.get_meter("test"), lambda: states)
    for record in records:
        instruments.request_over(record)
    data = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics if data is not None else ()
    apart = ("gen_ai.token.type", "error.type", "aicore_proxy.circuit")
    return {
        metric.name: [
            (*(point.attributes[each] for each in apart if each in point.attributes), _value(point))
            for point in metric.data.data_points
        ]
        for metric in metrics
    }


def _value(point: Any) -> float:
    return float(point.sum if hasattr(point, "sum") else point.value)


def test_the_tokens_of_the_input_include_those_of_a_cache() -> None:
    record = replace(RECORD, usage=Usage(fresh_input=3, cache_read=50, cache_write=7, output=11, reasoning=5))

    assert measured(records=(record,))["gen_ai.client.token.usage"] == [("input", 60.0), ("output", 11.0)]


def test_a_request_without_tokens_counts_none() -> None:
    assert "gen_ai.client.token.usage" not in measured(records=(RECORD,))


def test_the_first_content_is_measured_of_answers_that_came_to_their_end() -> None:
    broken = replace(RECORD, outcome="stream_broken", status=502, first_content=0.5)
    found = measured(records=(replace(RECORD, first_content=0.25), broken, RECORD))

    assert found["gen_ai.server.time_to_first_token"] == [(0.25,)]
    assert found["gen_ai.server.request.duration"] == [(4.0,), ("stream_broken", 2.0)]


@pytest.mark.parametrize("circuit", list(Circuit))
def test_the_circuit_of_an_endpoint_is_in_one_of_its_states(circuit: Circuit) -> None:
    found = measured(replace(CALM, circuit=circuit))["aicore_proxy.endpoint.circuit"]

    assert found == [(each.value, float(each is circuit)) for each in Circuit]


def test_only_an_endpoint_in_cooldown_has_seconds_left_of_one() -> None:
    cooled = replace(CALM, seconds=30.0, cooldown=FaultKind.RATE_LIMITED)
    opened = replace(CALM, seconds=10.0, circuit=Circuit.OPEN)

    assert measured(cooled)["aicore_proxy.endpoint.cooldown"] == [(30.0,)]
    assert measured(opened)["aicore_proxy.endpoint.cooldown"] == [(0.0,)]


def test_an_endpoint_has_as_many_requests_in_flight_as_it_answers() -> None:
    assert measured(replace(CALM, in_flight=7))["aicore_proxy.endpoint.in_flight"] == [(7.0,)]
