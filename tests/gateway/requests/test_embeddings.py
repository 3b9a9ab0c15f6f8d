"""The exchange that has no conversation in it."""

import json
from typing import Any

import pytest

from dialects.capabilities.models import profile_for
from dialects.core.conversation import Conversation, Usage
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.embeddings.openai import parse_request
from dialects.embeddings.registry import parts_of
from dialects.interface import Envelope
from dialects.translator import ClientRequest
from gateway.requests.embeddings import EmbeddingExchange
from gateway.requests.exchange import IncomingRequest
from gateway.requests.lifetime import Lifetime
from routing.endpoint import Endpoint
from tests.support.scripted import Bench, usage_of

TITAN = "amazon--titan-embed-text"
EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", TITAN)
US = Endpoint("us", "https://us/v2/inference/deployments/d2", TITAN)
VECTOR = json.dumps({"embedding": [0.6, 0.8], "inputTextTokenCount": 3}).encode()
DOWN = Fault(FaultKind.SERVER_ERROR, "boom", 500)


def exchange(bench: Bench, **body: Any) -> EmbeddingExchange:
    asked = {"model": TITAN, "input": "Hello", **body}
    envelope = Envelope("token", TITAN, 1, Conversation(TITAN))
    request = ClientRequest("openai-embeddings", asked, envelope)
    attempts = bench.router.attempts(TITAN, client=request.client)
    embedding = parse_request(asked)
    return EmbeddingExchange(
        embedding,
        parts_of(embedding, profile_for(TITAN)),
        IncomingRequest("id", "caller", request, bench.timeouts, bench.clock()),
        attempts,
        bench.backends,
        bench.notes,
        Lifetime(60, clock=bench.clock),
    )


def test_each_text_is_a_call_where_a_vendor_takes_one_and_the_tokens_add_up() -> None:
    bench = Bench({EU: [VECTOR]})
    answer = exchange(bench, input=["a", "b"], dimensions=256).whole()

    expected = [{"inputText": "a", "dimensions": 256}, {"inputText": "b", "dimensions": 256}]
    assert [json.loads(body) for body in bench.backends.bodies] == expected
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.6, 0.8]},
            {"object": "embedding", "index": 1, "embedding": [0.6, 0.8]},
        ],
        "model": TITAN,
        "usage": {"prompt_tokens": 6, "total_tokens": 6},
    }
    assert usage_of(bench.notes) == Usage(fresh_input=6)
    assert bench.in_flight == 0


@pytest.mark.parametrize(
    "failure",
    [[DOWN], [b"<html>"], [b"{}"], [b"[]"], [b'{"embedding": 7}'], [b""]],
    ids=["refused", "html", "nothing", "list", "odd", "empty"],
)
def test_an_endpoint_that_fails_is_not_noticed(failure: list) -> None:
    bench = Bench({EU: failure, US: [VECTOR]})
    answer = exchange(bench).whole()

    assert answer["data"][0]["embedding"] == [0.6, 0.8]
    [record] = bench.notes.records
    assert (record.outcome, record.subaccount, record.attempts, record.stop) == ("ok", "us", 2, "end")
    assert bench.in_flight == 0


def test_what_cannot_be_said_is_dropped_and_named() -> None:
    bench = Bench({EU: [VECTOR]})
    asked = exchange(bench, user="me", truncate="END")
    asked.whole()

    assert asked.headers()["x-proxy-dropped"] == "truncate, user"


def test_tokens_for_a_model_that_takes_text_are_refused_without_a_call() -> None:
    bench = Bench({EU: [VECTOR], US: [VECTOR]})

    with pytest.raises(FaultError) as caught:
        exchange(bench, input=[1, 2]).whole()
    assert (caught.value.fault.kind, caught.value.fault.param) == (FaultKind.INVALID_REQUEST, "input")
    assert bench.backends.bodies == []
    assert bench.in_flight == 0
