"""The exchange that has no conversation in it."""

import json
from dataclasses import replace
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
from routing.endpoint import Endpoint
from tests.support.scripted import Bench, ScriptedLifetime, usage_of

TITAN = "amazon--titan-embed-text"
EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", TITAN)
US = Endpoint("us", "https://us/v2/inference/deployments/d2", TITAN)
VECTOR = json.dumps({"embedding": [0.6, 0.8], "inputTextTokenCount": 3}).encode()
DOWN = Fault(FaultKind.SERVER_ERROR, "boom", 500)


def exchange(bench: Bench, **body: Any) -> EmbeddingExchange:
    asked = {"model": TITAN, "input": "Hello", **body}
    model = asked["model"]
    request = ClientRequest("openai-embeddings", asked, Envelope("token", model, 1, Conversation(model)))
    embedding = parse_request(asked)
    [first, *_] = bench.balancer.endpoints(model)
    return EmbeddingExchange(
        embedding,
        parts_of(embedding, profile_for(first.backend)),
        IncomingRequest("id", "caller", request, bench.timeouts, bench.clock()),
        bench.router.attempts(model, client=request.client),
        bench.backends,
        bench.notes,
        ScriptedLifetime(60, bench.clock),
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


@pytest.mark.parametrize("count", [1, 3])
def test_an_answer_with_another_number_of_vectors_is_a_fault_of_its_endpoint(count: int) -> None:
    eu, us = replace(EU, model="gemini-embedding"), replace(US, model="gemini-embedding")
    one = {"embeddings": {"values": [0.6, 0.8]}}
    odd, good = ([json.dumps({"predictions": [one] * number}).encode()] for number in (count, 2))
    bench = Bench({eu: odd, us: good})
    answer = exchange(bench, model="gemini-embedding", input=["a", "b"]).whole()

    assert len(answer["data"]) == 2
    [record] = bench.notes.records
    assert (record.outcome, record.subaccount, record.attempts, record.parts) == ("ok", "us", 2, 1)


def test_a_part_takes_several_calls_at_an_endpoint_that_runs_a_model_with_a_smaller_limit() -> None:
    eu = replace(EU, model="my-embedder", runs="gemini-embedding")
    us = replace(US, model="my-embedder", runs=TITAN)
    bench = Bench({eu: [DOWN], us: [VECTOR]})
    answer = exchange(bench, model="my-embedder", input=["a"] * 251).whole()

    assert len(answer["data"]) == 251
    assert sum(endpoint is us for endpoint, _ in bench.backends.opened) == 251
    assert bench.in_flight == 0


def test_orchestration_is_asked_in_its_own_form() -> None:
    eu = replace(EU, orchestration=True)
    result = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}], "model": "t"}
    said = {"request_id": "r", "final_result": {**result, "usage": {"prompt_tokens": 3, "total_tokens": 3}}}
    bench = Bench({eu: [json.dumps(said).encode()]})
    answer = exchange(bench, dimensions=256).whole()

    params = {"encoding_format": "float", "dimensions": 256}
    model = {"name": TITAN, "max_retries": 0, "params": params}
    assert [json.loads(body) for body in bench.backends.bodies] == [
        {"config": {"modules": {"embeddings": {"model": model}}}, "input": {"text": ["Hello"]}}
    ]
    assert (answer["data"][0]["embedding"], answer["usage"]["total_tokens"]) == ([0.6, 0.8], 3)


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
