"""A defect of the proxy's own is told and counted, and blamed on nobody else."""

from typing import Any

import pytest

from dialects.core.faults import FaultError, FaultKind
from gateway.requests.exchange import Exchange
from gateway.requests.streaming import StreamedAnswer
from routing.availability import Availability
from routing.endpoint import Endpoint
from tests.support.scripted import Bench, ScriptedReader

EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-4.1")
US = Endpoint("us", "https://us/v2/inference/deployments/d2", "gpt-4.1")
ASK: dict[str, Any] = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}


def too_deep(*, stream: bool) -> dict[str, Any]:
    """A body that the writer of JSON refuses."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    return {**ASK, "stream": stream, "logit_bias": deep}


def begin(exchange: Exchange, *, stream: bool) -> None:
    if stream:
        StreamedAnswer(exchange, lambda _: b"").begin()
    else:
        exchange.whole()


def standings(bench: Bench) -> set[Availability]:
    return {row.availability for row in bench.balancer.snapshot("gpt-4.1")}


@pytest.mark.parametrize("stream", [True, False])
def test_a_body_that_cannot_be_written_is_the_callers_mistake_and_opens_no_circuit(stream: bool) -> None:
    bench = Bench({EU: [], US: []}, threshold=1)
    with pytest.raises(FaultError) as caught:
        begin(bench.exchange("openai-chat", too_deep(stream=stream)), stream=stream)

    assert FaultKind.INVALID_REQUEST is caught.value.fault.kind
    assert standings(bench) == {Availability.AVAILABLE}
    assert bench.backends.opened == []
    assert bench.in_flight == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_defect_opens_no_circuit_is_not_tried_elsewhere_and_is_counted_once(stream: bool) -> None:
    bench = Bench({EU: [], US: []}, threshold=1)

    def stumble(*_: Any, **__: Any) -> ScriptedReader:
        raise ZeroDivisionError

    bench.backends.__class__ = type("Stumbling", (type(bench.backends),), {"begin": stumble})
    with pytest.raises(ZeroDivisionError):
        begin(bench.exchange("openai-chat", {**ASK, "stream": stream}), stream=stream)

    assert standings(bench) == {Availability.AVAILABLE}
    assert bench.in_flight == 0
    [record] = bench.notes.records
    assert (record.outcome, record.attempts) == ("defect", 1)
