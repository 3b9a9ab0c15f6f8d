"""An answer in one piece: failover, honesty, and the record of it."""

import json
from dataclasses import replace

import pytest

from dialects.core.conversation import Usage
from dialects.core.faults import Fault, FaultError, FaultKind, Quota
from gateway.media.inline import Fetched
from gateway.requests.exchange import SharedResources
from routing.endpoint import Endpoint
from routing.policy import Timeouts
from tests.support.scripted import HANG, After, Bench

EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-4.1")
US = Endpoint("us", "https://us/v2/inference/deployments/d2", "gpt-4.1", "team-a")
ASK = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {
    "id": "up1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4.1-dated",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 4},
    },
}
WHOLE = [json.dumps(ANSWER).encode()]
DOWN = Fault(FaultKind.SERVER_ERROR, "boom", 500)


def test_an_answer_comes_back_under_the_name_that_was_asked_for() -> None:
    bench = Bench({EU: WHOLE})
    answer = bench.exchange("openai-chat", ASK).whole()

    assert answer["model"] == "gpt-4.1"
    assert answer["choices"][0]["message"]["content"] == "Hello"
    [record] = bench.notes.records
    assert record.usage == Usage(fresh_input=6, cache_read=4, output=2)
    assert bench.in_flight == 0


@pytest.mark.parametrize(
    "failure",
    [[DOWN], [b"<html>"], [b"[]"], [b""], [b'{"choices": 7}']],
    ids=["refused", "html", "list", "empty", "odd"],
)
def test_an_endpoint_that_fails_is_not_noticed(failure: list) -> None:
    bench = Bench({EU: failure, US: WHOLE})
    answer = bench.exchange("openai-chat", ASK).whole()

    assert answer["choices"][0]["message"]["content"] == "Hello"
    [record] = bench.notes.records
    assert (record.outcome, record.subaccount, record.attempts) == ("ok", "us", 2)
    assert bench.in_flight == 0


def test_an_answer_in_one_piece_is_as_late_as_its_first_byte() -> None:
    bench = Bench({EU: [After(2.0), WHOLE[0][:9], After(40.0), WHOLE[0][9:]]})
    bench.exchange("openai-chat", ASK).whole()

    assert pytest.approx(bench.balancer.snapshot()[0].latency) == 2.0


def test_headers_tell_how_the_answer_came_to_be() -> None:
    bench = Bench({EU: [DOWN], US: WHOLE})
    exchange = bench.exchange("openai-chat", {**ASK, "model": "gpt-4.1-2025-04-14"})
    exchange.whole()
    headers = exchange.headers()

    assert headers["x-proxy-deployment"] == "us/d2"
    assert headers["x-proxy-attempts"] == "2"
    assert headers["x-proxy-reason"] == "round-robin"
    assert headers["x-proxy-trail"] == "eu/d1 500 -> us/d2 ok"
    assert headers["x-proxy-model"] == "gpt-4.1"
    assert "x-proxy-fallback" not in headers


def test_why_each_deployment_was_chosen_is_in_the_record() -> None:
    bench = Bench({EU: [DOWN], US: [DOWN]}, threshold=1)
    for _ in range(2):
        with pytest.raises(FaultError, match="boom"):
            (exchange := bench.exchange("openai-chat", ASK)).whole()

    assert [*bench.notes.records[0].reasons] == ["round-robin", "round-robin", "panic"]
    assert [*bench.notes.records[1].reasons] == ["panic"] * 3
    assert exchange.headers()["x-proxy-reason"] == "panic"
    assert {record.unaffordable for record in bench.notes.records} == {False}


def test_it_is_on_record_that_the_budget_refused_a_retry() -> None:
    bench = Bench({EU: [DOWN], US: [DOWN]})
    for _ in range(10):
        with pytest.raises(FaultError, match="boom"):
            bench.exchange("openai-chat", ASK).whole()

    told = {(record.attempts == 3, record.unaffordable) for record in bench.notes.records}
    assert told == {(True, False), (False, True)}


def test_a_fallback_is_named_in_a_header() -> None:
    bench = Bench({EU: WHOLE})
    exchange = bench.exchange("openai-chat", {**ASK, "model": "gpt-4o"})
    exchange.whole()

    assert exchange.headers()["x-proxy-fallback"] == "gpt-4o -> gpt-4.1"


def test_what_was_dropped_is_named_in_a_header_and_in_the_record() -> None:
    claude = Endpoint("eu", "https://eu/v2/inference/deployments/d3", "anthropic--claude-4.5-sonnet")
    completion = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "metrics": {"latencyMs": 1},
    }
    bench = Bench({claude: [json.dumps(completion).encode()]})
    ask = {**ASK, "model": claude.model, "logit_bias": {"1": 2}}
    exchange = bench.exchange("openai-chat", ask)
    exchange.whole()

    assert "logit_bias" in exchange.headers()["x-proxy-dropped"]
    [record] = bench.notes.records
    assert "logit_bias" in record.dropped


def test_all_failing_gives_the_last_fault() -> None:
    throttled = Fault(FaultKind.RATE_LIMITED, "quota", 429, 30.0, Quota.MODEL)
    bench = Bench({EU: [DOWN], US: [throttled]})

    with pytest.raises(FaultError) as caught:
        bench.exchange("openai-chat", ASK).whole()
    assert caught.value.fault.kind in {FaultKind.RATE_LIMITED, FaultKind.SERVER_ERROR}
    assert bench.in_flight == 0
    assert len(bench.notes.records) == 1


def test_a_model_that_says_nothing_for_too_long_is_asked_twice_and_not_a_third_time() -> None:
    """It may still be at work on the first two, and be paid for them."""
    third = Endpoint("jp", "https://jp/v2/inference/deployments/d3", "gpt-4.1")
    bench = Bench({EU: [HANG], US: [HANG], third: WHOLE}, timeouts=Timeouts(answer=60))

    with pytest.raises(FaultError, match="in time"):
        bench.exchange("openai-chat", ASK).whole()
    assert len(bench.backends.opened) == 2
    assert bench.in_flight == 0


def test_the_callers_own_mistake_makes_one_call() -> None:
    wrong = Fault(FaultKind.INVALID_REQUEST, "temperature must be …", 400)
    bench = Bench({EU: [wrong], US: WHOLE})

    with pytest.raises(FaultError, match="temperature"):
        bench.exchange("openai-chat", ASK).whole()
    assert len(bench.backends.bodies) == 1


def test_a_header_holds_one_line_whatever_the_value() -> None:
    bench = Bench({EU: WHOLE})
    exchange = bench.exchange("openai-chat", {**ASK, "x\r\nSet-Cookie: y": 1})
    exchange.whole()

    assert exchange.headers()["x-proxy-dropped"] == "x  Set-Cookie: y"
    assert all("\n" not in value and "\r" not in value for value in exchange.headers().values())


def test_an_answer_that_drips_for_ever_ends_with_the_time_of_the_request() -> None:
    bench = Bench({EU: [b" ", After(1)] * 1000 + WHOLE})

    with pytest.raises(FaultError) as caught:
        bench.exchange("openai-chat", ASK).whole()
    assert FaultKind.TIMEOUT is caught.value.fault.kind
    assert bench.in_flight == 0


def test_what_a_request_points_at_is_fetched_once_however_many_endpoints_are_tried() -> None:
    fetched: list[str] = []

    def fetch(address: str, *_: object) -> Fetched:
        fetched.append(address)
        return Fetched("image/png", b"png")

    places = [replace(each, model="anthropic--claude-4.5-sonnet") for each in (EU, US)]
    bench = Bench({each: [DOWN] for each in places}, shared=SharedResources(fetch=fetch))
    image = {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}
    exchange = bench.exchange(
        "openai-chat", {"model": places[0].model, "messages": [{"role": "user", "content": [image]}]}
    )
    with pytest.raises(FaultError, match="boom"):
        exchange.whole()

    assert len(bench.backends.bodies) > 1
    assert fetched == ["https://pictures.example/a.png"]
