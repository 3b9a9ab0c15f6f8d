"""Media that a request names by URL: fetched once, and while the request holds no lease."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from dialects.core.conversation import JSON
from dialects.core.faults import Fault, FaultError, FaultKind, invalid
from gateway.media.inline import Fetched
from gateway.requests.exchange import SharedResources
from gateway.requests.lifetime import CLIENT_LEFT, Lifetime
from gateway.requests.streaming import StreamedAnswer
from routing.endpoint import Endpoint
from tests.support.scripted import Bench, Steps

CLAUDE, GPT = "anthropic--claude-4.5-sonnet", "gpt-4.1"
EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", GPT)
US = Endpoint("us", "https://us/v2/inference/deployments/d2", GPT)
ORCHESTRATED = Endpoint("eu", "https://eu/v2/inference/deployments/d3", GPT, orchestration=True)
CONVERSE = [replace(each, model=CLAUDE) for each in (EU, US)]
DOWN = Fault(FaultKind.SERVER_ERROR, "boom", 500)
URL = "https://pictures.example/a.png"
CONTENT = [{"type": "image_url", "image_url": {"url": URL}}]
ANSWER = {
    "id": "up1",
    "model": GPT,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
}
WHOLE = [json.dumps(ANSWER).encode()]
IN_CONVERSE = [
    json.dumps(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
            "metrics": {"latencyMs": 1},
        }
    ).encode()
]
BY_ORCHESTRATION = [json.dumps({"request_id": "r", "final_result": ANSWER}).encode()]


class Shelf:
    """A fetcher that notes how many leases are held while it fetches. It fails with *fault* if that is given."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.leases: list[int] = []
        self.bench: Bench
        self._fault = fault

    def __call__(self, _: str, __: int, ___: Lifetime) -> Fetched:
        self.leases.append(self.bench.in_flight)
        if self._fault is not None:
            raise FaultError(self._fault)
        return Fetched("image/png", b"png")


def bench_of(scripts: Mapping[Endpoint, Steps], fault: Fault | None = None) -> tuple[Bench, Shelf]:
    shelf = Shelf(fault)
    bench = shelf.bench = Bench(scripts, shared=SharedResources(fetch=shelf))
    return bench, shelf


def asked(bench: Bench, content: Any = CONTENT) -> JSON:
    model = next(iter(bench.backends.scripts)).model
    return bench.exchange("openai-chat", {"model": model, "messages": [{"role": "user", "content": content}]}).whole()


def text_of(answer: JSON) -> str:
    return answer["choices"][0]["message"]["content"]


def streamed(bench: Bench) -> bytes:
    body = {"model": CLAUDE, "stream": True, "messages": [{"role": "user", "content": CONTENT}]}
    stream = StreamedAnswer(bench.exchange("openai-chat", body), lambda fault: f"fault: {fault.message}".encode())
    stream.begin()
    return b"".join(stream)


@pytest.mark.parametrize(
    ("scripts", "places"),
    [
        ({CONVERSE[0]: IN_CONVERSE}, ["eu/d1"]),
        ({CONVERSE[0]: [DOWN], CONVERSE[1]: IN_CONVERSE}, ["eu/d1", "us/d2"]),
        ({ORCHESTRATED: BY_ORCHESTRATION}, ["eu/d3"]),
        ({ORCHESTRATED: BY_ORCHESTRATION, replace(US, weight=0.0): []}, ["eu/d3"]),
        ({EU: [DOWN], replace(ORCHESTRATED, subaccount="us"): BY_ORCHESTRATION}, ["eu/d1", "us/d3"]),
    ],
    ids=["alone", "failing over", "orchestrated", "mixed", "mixed and failing over"],
)
def test_media_are_fetched_once_and_while_no_lease_is_held(scripts: dict[Endpoint, Steps], places: list[str]) -> None:
    bench, shelf = bench_of(scripts)
    answer = asked(bench)

    assert text_of(answer) == "Hello"
    assert shelf.leases == [0]
    assert [f"{each.subaccount}/{each.deployment}" for each, _ in bench.backends.opened] == places
    assert b"cG5n" in bench.backends.bodies[-1]
    [record] = bench.notes.records
    assert (record.attempts, record.outcome, bench.in_flight) == (len(places), "ok", 0)


@pytest.mark.parametrize("content", ["hi", CONTENT])
def test_endpoints_that_fetch_by_themselves_get_the_url(content: Any) -> None:
    bench, shelf = bench_of({EU: WHOLE, US: WHOLE, replace(ORCHESTRATED, standby=True): BY_ORCHESTRATION})
    for _ in range(4):
        asked(bench, content)

    assert shelf.leases == []
    assert {each for each, _ in bench.backends.opened} == {EU, US}
    assert (URL.encode() in bench.backends.bodies[0]) == (content == CONTENT)


@pytest.mark.parametrize("ask", [asked, streamed], ids=["whole", "stream"])
def test_media_that_are_not_fetched_are_nobodys_failure(ask: Callable[[Bench], object]) -> None:
    bench, shelf = bench_of({CONVERSE[0]: IN_CONVERSE, CONVERSE[1]: IN_CONVERSE}, invalid("Cannot fetch it.").fault)
    before = bench.balancer.snapshot()
    with pytest.raises(FaultError, match="Cannot fetch it"):
        ask(bench)

    assert (shelf.leases, bench.backends.opened) == ([0], [])
    assert bench.balancer.snapshot() == before
    [record] = bench.notes.records
    assert (record.attempts, record.trail, record.subaccount, record.status) == (0, "", "", 400)


@pytest.mark.parametrize("fault", [None, invalid("Cannot fetch it.").fault])
def test_a_lease_that_is_given_back_for_a_fetch_is_on_no_record_and_affects_no_health(fault: Fault | None) -> None:
    bench, shelf = bench_of({ORCHESTRATED: BY_ORCHESTRATION, US: WHOLE}, fault)
    asked(bench)

    assert (shelf.leases, bench.in_flight) == ([0], 0)
    [record] = bench.notes.records
    assert (record.attempts, record.trail, record.reasons) == (1, "us/d2 ok", ("round-robin",))
    assert {each.last_error for each in bench.balancer.snapshot()} == {None}


def test_a_request_fails_over_to_an_endpoint_that_fetches_by_itself_if_the_proxy_cannot() -> None:
    orchestrated = replace(ORCHESTRATED, subaccount="us", standby=True)
    bench, shelf = bench_of({EU: [DOWN], US: WHOLE, orchestrated: []}, invalid("Cannot fetch it.").fault)
    answer = asked(bench)

    assert text_of(answer) == "Hello"
    assert shelf.leases == [0]
    assert [each for each, _ in bench.backends.opened] == [EU, US]


def test_an_endpoint_that_needs_what_was_not_fetched_is_not_to_blame() -> None:
    orchestrated = replace(ORCHESTRATED, subaccount="us", standby=True)
    bench, shelf = bench_of({EU: [DOWN], orchestrated: []}, invalid("Cannot fetch it.").fault)
    with pytest.raises(FaultError, match="Cannot fetch it"):
        asked(bench)

    assert (shelf.leases, bench.in_flight) == ([0], 0)
    assert [each for each, _ in bench.backends.opened] == [EU]
    [row] = [each for each in bench.balancer.snapshot() if each.endpoint == orchestrated]
    assert (row.last_error, row.why) == (None, "never failed")


@pytest.mark.parametrize(
    ("scripts", "opened"),
    [
        ({EU: [DOWN], US: WHOLE, replace(ORCHESTRATED, subaccount="us", standby=True): []}, [EU]),
        ({ORCHESTRATED: BY_ORCHESTRATION, US: WHOLE}, []),
    ],
    ids=["before the second attempt", "after the first lease"],
)
def test_a_client_that_leaves_during_a_fetch_ends_the_request(
    scripts: dict[Endpoint, Steps], opened: list[Endpoint]
) -> None:
    bench, _ = bench_of(scripts, CLIENT_LEFT)
    with pytest.raises(FaultError) as caught:
        asked(bench)

    assert caught.value.fault == CLIENT_LEFT
    assert [each for each, _ in bench.backends.opened] == opened
    [record] = bench.notes.records
    assert record.subaccount == ("eu" if opened else "")
