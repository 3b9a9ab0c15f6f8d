"""The exchange that has no conversation in it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from dialects.capabilities.models import profile_for
from dialects.core.conversation import JSON, Conversation, Usage
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.embeddings.openai import parse_request
from dialects.embeddings.registry import parts_of
from dialects.interface import Envelope
from dialects.orchestration.modules import Modules
from dialects.translator import ClientRequest
from gateway.requests.embeddings import EmbeddingExchange
from gateway.requests.exchange import IncomingRequest, SharedResources
from routing.attempts import Attempt
from routing.endpoint import Endpoint
from tests.routing.scenes import SleepingClock
from tests.support.scripted import Backends, Bench, ScriptedLifetime, ScriptedReader, usage_of

GEMINI = "gemini-embedding"
TITAN = "amazon--titan-embed-text"
EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", TITAN)
US = Endpoint("us", "https://us/v2/inference/deployments/d2", TITAN)
VECTOR = json.dumps({"embedding": [0.6, 0.8], "inputTextTokenCount": 3}).encode()
DOWN = Fault(FaultKind.SERVER_ERROR, "boom", 500)


class Predicting(Backends):
    """Backends that predict for so many instances at most, and refuse more with *refusal*."""

    def __init__(self, most: int, refusal: Fault, clock: SleepingClock) -> None:
        super().__init__({}, clock)
        self.asked: list[str] = []
        self._most = most
        self._refusal = refusal

    def begin(self, attempt: Attempt, body: JSON, **rest: Any) -> ScriptedReader:
        texts = [each["content"] for each in body["instances"]]
        self.asked.append("".join(texts))
        found = [{"embeddings": {"values": [float(text)], "statistics": {"token_count": 1}}} for text in texts]
        said = json.dumps({"predictions": found}).encode() if len(texts) <= self._most else self._refusal
        self.scripts = {attempt.endpoint: [said]}
        return super().begin(attempt, body, **rest)


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
        bench.shared,
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
    eu, us = replace(EU, model=GEMINI), replace(US, model=GEMINI)
    one = {"embeddings": {"values": [0.6, 0.8]}}
    odd, good = ([json.dumps({"predictions": [one] * number}).encode()] for number in (count, 2))
    bench = Bench({eu: odd, us: good})
    answer = exchange(bench, model=GEMINI, input=["a", "b"]).whole()

    assert len(answer["data"]) == 2
    [record] = bench.notes.records
    assert (record.outcome, record.subaccount, record.attempts, record.parts) == ("ok", "us", 2, 1)


@pytest.mark.parametrize(
    "refusal",
    [
        Fault(FaultKind.CONTEXT_LENGTH_EXCEEDED, "The input token count is 27000 but model supports up to 20000.", 400),
        Fault(FaultKind.TOO_LARGE, "Payload too large.", 413),
        Fault(FaultKind.INVALID_REQUEST, "Too many tokens.", 400, code="max_tokens_per_request"),
        Fault(FaultKind.INVALID_REQUEST, "Array too long.", 400, code="array_above_max_length"),
        Fault(FaultKind.INVALID_REQUEST, "a batchSize value of 5 but the supported range is from 1 to 2", 400),
    ],
    ids=["tokens", "bytes", "openai: tokens", "openai: inputs", "google: inputs"],
)
def test_a_batch_that_is_too_large_is_halved_until_it_is_not(refusal: Fault) -> None:
    bench = Bench({replace(EU, model=GEMINI): []})
    bench.backends = Predicting(2, refusal, bench.clock)
    answer = exchange(bench, model=GEMINI, input=["1", "2", "3", "4", "5"]).whole()

    assert bench.backends.asked == ["12345", "12", "345", "3", "45"]
    assert [each["embedding"] for each in answer["data"]] == [[1.0], [2.0], [3.0], [4.0], [5.0]]
    assert answer["usage"]["prompt_tokens"] == 5
    [record] = bench.notes.records
    assert (record.outcome, record.attempts, record.parts) == ("ok", 1, 1)


@pytest.mark.parametrize("texts", [["1"], ["1", "2"]])
def test_a_text_that_is_too_large_by_itself_is_refused(texts: list[str]) -> None:
    refusal = Fault(FaultKind.CONTEXT_LENGTH_EXCEEDED, "too long", 400)
    bench = Bench({replace(EU, model=GEMINI): []})
    bench.backends = Predicting(0, refusal, bench.clock)

    with pytest.raises(FaultError) as caught:
        exchange(bench, model=GEMINI, input=texts).whole()
    assert caught.value.fault == refusal
    assert bench.backends.asked == ["".join(texts), *texts[:-1]]


def test_what_is_refused_for_another_reason_is_not_sent_in_halves() -> None:
    refusal = Fault(FaultKind.INVALID_REQUEST, "dimensions must be smaller", 400)
    bench = Bench({replace(EU, model=GEMINI): [refusal]})

    with pytest.raises(FaultError) as caught:
        exchange(bench, model=GEMINI, input=["1", "2"]).whole()
    assert caught.value.fault == refusal
    assert len(bench.backends.bodies) == 1


def test_a_part_takes_several_calls_at_an_endpoint_that_runs_a_model_with_a_smaller_limit() -> None:
    eu = replace(EU, model="my-embedder", runs=GEMINI)
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


def test_orchestration_masks_what_the_settings_have_masked_in_every_call() -> None:
    eu = replace(EU, orchestration=True)
    masking = {"providers": [{"type": "sap_data_privacy_integration"}]}
    data = [{"object": "embedding", "index": 0, "embedding": [0.6, 0.8]}]
    said = {"request_id": "r", "final_result": {"data": data, "usage": {"prompt_tokens": 3}}}
    bench = Bench({eu: [json.dumps(said).encode()]})
    bench.shared = SharedResources(modules_for=lambda model: Modules(masking=masking if model == TITAN else None))
    exchange(bench, input=["a", "b"]).whole()

    modules = [json.loads(body)["config"]["modules"] for body in bench.backends.bodies]
    assert [each["masking"] for each in modules] == [masking, masking]
    assert [sorted(each) for each in modules] == [["embeddings", "masking"]] * 2


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
