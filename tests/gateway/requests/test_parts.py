"""A request in parts: several at the same time, each failing over by itself, all within one lifetime."""

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.capabilities.models import profile_for
from dialects.core.conversation import JSON, Conversation, Usage
from dialects.core.faults import Fault, FaultError, FaultKind, Quota
from dialects.embeddings.openai import parse_request
from dialects.embeddings.registry import parts_of
from dialects.interface import Envelope
from dialects.translator import ClientRequest
from gateway.observability.metrics import ExchangeRecord
from gateway.requests.embeddings import EmbeddingExchange
from gateway.requests.exchange import IncomingRequest
from gateway.requests.lifetime import Lifetime
from gateway.requests.parts import MOST_AT_ONCE
from routing.attempts import Attempt
from routing.endpoint import Endpoint
from routing.policy import Timeouts
from tests.support.scripted import HANG, After, Backends, Bench, ScriptedLifetime, ScriptedReader, Steps, usage_of

TITAN = "amazon--titan-embed-text"
EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", TITAN)
US = Endpoint("us", "https://us/v2/inference/deployments/d2", TITAN)
DOWN = Fault(FaultKind.SERVER_ERROR, "boom", 500)
THROTTLED = Fault(FaultKind.RATE_LIMITED, "slow down", 429, retry_after=30.0, quota=Quota.MODEL)
Say = Callable[[Endpoint, str, int], Steps]
"""What an endpoint says to a text, of which it is the n-th call for it."""


def vector(text: str) -> bytes:
    """The answer to a text: its vector names it."""
    return json.dumps({"embedding": [float(text)], "inputTextTokenCount": 2}).encode()


class Calls(Backends):
    """Backends that are asked for one text a call; who was asked for what, and how many at the same time."""

    def __init__(self, say: Say, bench: Bench) -> None:
        super().__init__({}, bench.clock)
        self.asked: list[tuple[str, str]] = []
        self.most = 0
        self._say = say

    def begin(
        self,
        attempt: Attempt,
        body: JSON,
        *,
        stream: bool,
        timeouts: Timeouts,
        lifetime: Lifetime,
        headers: Mapping[str, str],
    ) -> ScriptedReader:
        text = body["inputText"]
        self.asked.append((attempt.endpoint.subaccount, text))
        count = sum(each == text for _, each in self.asked)
        self.scripts = {attempt.endpoint: self._say(attempt.endpoint, text, count)}
        reader = super().begin(attempt, body, stream=stream, timeouts=timeouts, lifetime=lifetime, headers=headers)
        self.most = max(self.most, sum(not each.closed for _, each in self.opened))
        return reader


class Scene:
    """One request for the numbers below *count*, each a part of its own."""

    def __init__(self, count: int, say: Say, *places: Endpoint, total: float = 600.0, **ends: Any) -> None:
        self.bench = Bench({place: [] for place in places or (EU, US)}, timeouts=Timeouts(total=total, answer=50.0))
        self.calls = Calls(say, self.bench)
        body = {"model": TITAN, "input": [str(number) for number in range(count)]}
        asked = parse_request(body)
        request = ClientRequest("openai-embeddings", body, Envelope("token", TITAN, 1, Conversation(TITAN)))
        self.exchange = EmbeddingExchange(
            asked,
            parts_of(asked, profile_for(TITAN)),
            IncomingRequest("id", "caller", request, self.bench.timeouts, self.bench.clock()),
            self.bench.router.attempts(TITAN, client=request.client),
            self.calls,
            self.bench.notes,
            ScriptedLifetime(total, self.bench.clock, **ends),
        )

    def vectors(self) -> list[float]:
        """The vectors that the client gets, each of which names its text."""
        answer = self.exchange.whole()
        assert [each["index"] for each in answer["data"]] == list(range(len(answer["data"])))
        return [each["embedding"][0] for each in answer["data"]]

    def fault(self) -> Fault:
        """What the client is told instead of an answer."""
        with pytest.raises(FaultError) as caught:
            self.exchange.whole()
        return caught.value.fault

    @property
    def record(self) -> ExchangeRecord:
        [record] = self.bench.notes.records
        return record

    @property
    def held(self) -> tuple[int, int]:
        """How many leases and connections are still held."""
        return self.bench.in_flight, sum(not reader.closed for _, reader in self.calls.opened)


def test_parts_are_answered_in_the_order_of_their_texts_whenever_they_come() -> None:
    scene = Scene(9, lambda _, text, __: [After(20.0 - 2 * int(text)), vector(text)])

    assert scene.vectors() == [float(number) for number in range(9)]
    assert scene.record.usage == Usage(fresh_input=18)
    assert scene.held == (0, 0)


@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0, 40)), min_size=2, max_size=14))
def test_a_few_parts_are_asked_at_the_same_time_and_each_once(delays: list[tuple[float, float]]) -> None:
    scene = Scene(
        len(delays), lambda _, text, __: [After(delays[int(text)][0]), vector(text), After(delays[int(text)][1])]
    )

    assert scene.vectors() == [float(number) for number in range(len(delays))]
    assert [text for _, text in scene.calls.asked] == [str(number) for number in range(len(delays))]
    assert scene.calls.most <= MOST_AT_ONCE
    assert scene.held == (0, 0)


def test_time_passes_for_all_parts_together() -> None:
    scene = Scene(8, lambda _, text, __: [After(10.0), vector(text)])
    began = scene.bench.clock.now

    scene.vectors()

    assert scene.calls.most == 4
    assert scene.bench.clock.now - began == pytest.approx(20.0)
    assert scene.record.first_content == pytest.approx(20.0)
    assert scene.record.overhead == pytest.approx(0.0)


@pytest.mark.parametrize(
    "failure",
    [
        [DOWN],
        [b"<html>"],
        [b"{}"],
        [After(1.0), DOWN],
        [b'{"embedding": [1', DOWN],
        [HANG],
        [b'{"embedding"', HANG],
        [b'{"data": []}'],
    ],
    ids=["refused", "html", "nothing", "late", "cut", "silent", "stalled", "another's"],
)
def test_a_part_that_fails_goes_elsewhere_and_no_other_is_asked_again(failure: list) -> None:
    scene = Scene(6, lambda _, text, count: failure if (text, count) == ("2", 1) else [vector(text)])

    assert scene.vectors() == [float(number) for number in range(6)]
    texts = [text for _, text in scene.calls.asked]
    assert {text: texts.count(text) for text in "012345"} == {"0": 1, "1": 1, "2": 2, "3": 1, "4": 1, "5": 1}
    [first, second] = [place for place, text in scene.calls.asked if text == "2"]
    assert first != second
    assert (scene.record.outcome, scene.record.attempts, scene.record.parts) == ("ok", 7, 6)
    assert len(scene.record.reasons) == 7
    assert scene.held == (0, 0)


def test_the_trail_says_how_many_parts_went_the_same_path() -> None:
    scene = Scene(5, lambda _, text, count: [DOWN] if (text, count) == ("0", 1) else [vector(text)])
    scene.vectors()

    assert scene.record.trail == "eu/d1 500 → us/d2 ok, eu/d1 ok x2, us/d2 ok x2"
    headers = scene.exchange.headers()
    assert headers["x-proxy-attempts"] == "6"
    assert headers["x-proxy-trail"] == "eu/d1 500 -> us/d2 ok, eu/d1 ok x2, us/d2 ok x2"
    assert headers["x-proxy-reason"] == "round-robin"


def test_a_part_that_can_be_asked_nowhere_ends_the_request_and_gives_up_the_others() -> None:
    scene = Scene(9, lambda _, text, __: [After(1.0), DOWN] if text == "1" else [After(45.0), vector(text)])

    fault = scene.fault()

    assert (fault.kind, fault.status) == (FaultKind.SERVER_ERROR, 500)
    assert {text for _, text in scene.calls.asked} == {"0", "1", "2", "3"}
    assert scene.record.outcome == "server_error"
    assert [state.last_error for state in scene.bench.balancer.snapshot()] == [FaultKind.SERVER_ERROR] * 2
    assert scene.held == (0, 0)


def test_what_was_answered_before_a_part_failed_has_been_used() -> None:
    invalid = Fault(FaultKind.INVALID_REQUEST, "too long", 400)
    scene = Scene(6, lambda _, text, __: [invalid] if text == "5" else [vector(text)])

    assert scene.fault() == invalid
    assert (scene.record.status, usage_of(scene.bench.notes)) == (400, Usage(fresh_input=10))
    assert [text for _, text in scene.calls.asked] == ["0", "1", "2", "3", "4", "5"]


def test_a_quota_that_is_used_up_is_left_alone_by_the_rest() -> None:
    def say(endpoint: Endpoint, text: str, _: int) -> Steps:
        return [THROTTLED] if endpoint is EU and text != "0" else [After(1.0), vector(text)]

    scene = Scene(20, say)

    assert scene.vectors() == [float(number) for number in range(20)]
    assert scene.calls.asked.count(("eu", "2")) == 1
    assert sum(place == "eu" for place, _ in scene.calls.asked) == 2
    assert (scene.record.attempts, scene.record.parts) == (21, 20)


@pytest.mark.parametrize(("refusals", "most"), [(0, 4), (1, 2), (2, 1), (3, 1)])
def test_each_429_halves_how_many_parts_are_asked_at_the_same_time(refusals: int, most: int) -> None:
    once = replace(THROTTLED, retry_after=0.0, quota=Quota.ENDPOINT)
    alone: list[int] = []

    def say(_: Endpoint, text: str, count: int) -> Steps:
        open_now = sum(not reader.closed for _, reader in scene.calls.opened)
        alone.append(1 + open_now)
        return [once] if int(text) < refusals and count == 1 else [After(5.0), vector(text)]

    scene = Scene(24, say)

    assert scene.vectors() == [float(number) for number in range(24)]
    assert max(alone[-8:]) == most


def test_a_quota_that_is_used_up_everywhere_ends_the_request_and_no_more_is_asked() -> None:
    scene = Scene(50, lambda _, text, __: [vector(text)] if int(text) < 10 else [THROTTLED])

    fault = scene.fault()

    assert (fault.kind, fault.retry_after is not None) == (FaultKind.RATE_LIMITED, True)
    assert len(scene.calls.asked) <= 10 + MOST_AT_ONCE
    assert scene.record.usage == Usage(fresh_input=20)
    assert scene.held == (0, 0)


def test_parts_under_way_go_on_while_one_pauses_and_none_begins() -> None:
    began: list[tuple[str, float]] = []
    read: dict[str, float] = {}

    def say(_: Endpoint, text: str, count: int) -> Steps:
        now = scene.bench.clock.now - start
        began.append((text, now))
        if text == "0" and count == 1:
            return [After(1.0), replace(DOWN, retry_after=8.0)]
        return [After(5.0), vector(text), lambda: read.update({text: scene.bench.clock.now - start})]

    scene = Scene(6, say, EU)
    start = scene.bench.clock.now

    assert scene.vectors() == [float(number) for number in range(6)]
    assert [text for text, now in began if now == 0.0] == ["0", "1", "2", "3"]
    assert sorted(began[4:]) == [("0", 9.0), ("4", 9.0), ("5", 9.0)]
    assert read == {"1": 5.0, "2": 5.0, "3": 5.0, "0": 14.0, "4": 14.0, "5": 14.0}
    assert scene.record.overhead == pytest.approx(0.0)


def test_a_part_is_asked_again_when_its_own_pause_is_over_however_long_that_of_another_is() -> None:
    began: dict[str, list[float]] = {}

    def say(_: Endpoint, text: str, count: int) -> Steps:
        began.setdefault(text, []).append(scene.bench.clock.now - start)
        after, pause = {"0": (1.0, 1.0), "1": (1.5, 10.0), "2": (1.75, 5.0)}.get(text, (0.0, 0.0))
        if pause and count == 1:
            return [After(after), replace(DOWN, retry_after=pause)]
        return [After(3.0), vector(text)]

    scene = Scene(4, say, EU)
    start = scene.bench.clock.now

    assert scene.vectors() == [float(number) for number in range(4)]
    assert began == {"0": [0.0, 2.0], "1": [0.0, 11.5], "2": [0.0, 6.75], "3": [0.0]}
    assert scene.bench.clock.now - start == pytest.approx(14.5)
    assert scene.record.overhead == pytest.approx(0.0)
    assert scene.held == (0, 0)


def test_a_caller_that_leaves_while_parts_pause_ends_the_request() -> None:
    client, peer = socket.socketpair()
    with client, peer:
        leaves: list = [After(1.0), peer.close, replace(DOWN, retry_after=8.0)]
        busy = replace(DOWN, retry_after=8.0)
        scene = Scene(2, lambda _, text, __: leaves if text == "0" else [busy], EU, client=client)

        assert scene.fault().kind is FaultKind.CALLER_LEFT
    assert len(scene.calls.asked) == 2
    assert scene.held == (0, 0)


def test_several_parts_may_pause_at_the_same_time() -> None:
    def say(_: Endpoint, text: str, count: int) -> Steps:
        pause = {"0": 8.0, "1": 4.0, "2": 2.0}.get(text)
        return [After(1.0), replace(DOWN, retry_after=pause)] if pause and count == 1 else [After(5.0), vector(text)]

    scene = Scene(5, say, EU)
    start = scene.bench.clock.now

    assert scene.vectors() == [float(number) for number in range(5)]
    assert scene.bench.clock.now - start == pytest.approx(14.0)
    assert scene.held == (0, 0)


def test_a_part_is_silent_for_as_long_as_it_is_whoever_pauses_meanwhile() -> None:
    asked_at: list[float] = []

    def say(_: Endpoint, text: str, count: int) -> Steps:
        if text == "1":
            asked_at.append(scene.bench.clock.now - start)
        if count > 1:
            return [vector(text)]
        return [After(1.0), replace(DOWN, retry_after=8.0)] if text == "0" else [After(1.0), b'{"embedding"', HANG]

    scene = Scene(2, say, EU)
    start = scene.bench.clock.now

    assert scene.vectors() == [0.0, 1.0]
    assert asked_at == [0.0, pytest.approx(51.0, abs=0.3)]


def test_an_endpoint_is_free_once_its_part_is_answered_and_its_latency_is_that_of_the_first_byte() -> None:
    seen: list[int] = []

    def say(_: Endpoint, text: str, __: int) -> Steps:
        first, rest = vector(text)[:5], vector(text)[5:]
        return [After(2.0), first, After(10.0 + int(text)), lambda: seen.append(scene.bench.in_flight), rest]

    scene = Scene(3, say)
    scene.vectors()

    assert seen == [3, 2, 1]
    assert scene.bench.balancer.snapshot()[0].latency == pytest.approx(2.0)


def test_a_request_that_takes_too_long_ends_all_its_parts() -> None:
    scene = Scene(9, lambda _, text, __: [After(5.0), vector(text)] if int(text) < 4 else [HANG], total=30.0)

    assert scene.fault().kind is FaultKind.TIMEOUT
    assert scene.bench.clock.now == pytest.approx(1030.0)
    assert (scene.record.outcome, scene.record.usage) == ("timeout", Usage(fresh_input=8))
    assert len(scene.calls.asked) == 8
    assert {state.last_error for state in scene.bench.balancer.snapshot()} == {FaultKind.TIMEOUT}
    assert scene.held == (0, 0)


def test_a_caller_that_leaves_ends_all_parts_and_blames_nobody() -> None:
    client, peer = socket.socketpair()
    with client, peer:
        scene = Scene(9, lambda _, text, __: [After(5.0), *([peer.close] if text == "1" else []), HANG], client=client)

        assert scene.fault().kind is FaultKind.CALLER_LEFT
    assert len(scene.calls.asked) == 4
    assert scene.bench.clock.now == pytest.approx(1005.0)
    assert [state.last_error for state in scene.bench.balancer.snapshot()] == [None, None]
    assert scene.held == (0, 0)


def test_a_defect_ends_all_parts_and_blames_nobody() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    scene = Scene(9, lambda _, text, __: [After(1.0), fail] if text == "2" else [After(5.0), vector(text)])

    with pytest.raises(ZeroDivisionError):
        scene.exchange.whole()
    assert scene.record.outcome == "defect"
    assert [state.last_error for state in scene.bench.balancer.snapshot()] == [None, None]
    assert scene.held == (0, 0)
