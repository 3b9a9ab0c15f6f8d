"""What of a request's time is the proxy's own: neither an upstream's, nor a caller's, nor a pause."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.media.inline import Fetched
from gateway.observability.metrics import ExchangeRecord
from gateway.requests.exchange import Exchange, SharedResources
from gateway.requests.streaming import StreamedAnswer
from routing.endpoint import Endpoint
from routing.policy import Timeouts
from tests.routing.scenes import SleepingClock
from tests.support.scripted import HANG, Bench, flowing

EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-4.1")
ASK: dict[str, Any] = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}
MESSAGE = {"role": "assistant", "content": "Hello"}
CHOICES = [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]
WHOLE = json.dumps({"id": "up1", "object": "chat.completion", "choices": CHOICES}).encode()
DOWN = Fault(FaultKind.SERVER_ERROR, "boom", 500)


def frame(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "up1", "choices": [choice]}).encode() + b"\n\n"


ROLE, WORD, STOP, DONE = frame({"role": "assistant"}), frame({"content": "Hi"}), frame({}, "stop"), b"data: [DONE]\n\n"


@pytest.fixture
def clock() -> SleepingClock:
    return SleepingClock(1000.0)


@pytest.fixture
def passes(clock: SleepingClock) -> Callable[[float], Callable[[], None]]:
    """Gives steps of a script that take so many seconds."""

    def passes(seconds: float) -> Callable[[], None]:
        return lambda: clock.sleep(seconds)

    return passes


def told(bench: Bench) -> tuple[float, float | None]:
    """How long the one exchange took, and how much of that was the proxy's own."""
    [record] = bench.notes.records
    assert isinstance(record, ExchangeRecord)
    return pytest.approx(record.duration), pytest.approx(record.overhead)


def test_an_answer_in_one_piece_takes_what_is_left_when_the_upstream_is_taken_away(clock, passes) -> None:
    bench = Bench({EU: [passes(2), passes(3), WHOLE]}, clock=clock)
    exchange = bench.exchange("openai-chat", ASK)
    clock.now += 0.25
    exchange.whole()

    assert told(bench) == (5.25, 0.25)


def test_failures_and_the_pauses_between_them_are_taken_away_too(clock, passes) -> None:
    bench = Bench({EU: [passes(2), passes(3), DOWN]}, clock=clock)
    exchange = bench.exchange("openai-chat", ASK)
    clock.now += 0.25
    with pytest.raises(FaultError):
        exchange.whole()

    pauses = sum(clock.slept) - 3 * (2 + 3)
    assert pauses > 0
    assert told(bench) == (0.25 + 15 + pauses, 0.25)


def test_so_is_what_it_takes_to_fetch_a_picture(clock, passes) -> None:
    claude = Endpoint("eu", EU.url, "anthropic--claude-4.5-sonnet")
    picture = {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}
    ask = {"model": claude.model, "messages": [{"role": "user", "content": [picture]}]}

    def fetch(*_: object) -> Fetched:
        clock.now += 4
        return Fetched("image/png", b"png")

    bench = Bench({claude: [DOWN]}, clock=clock, shared=SharedResources(fetch=fetch))
    exchange = bench.exchange("openai-chat", ask)
    with pytest.raises(FaultError):
        exchange.whole()

    assert told(bench) == (4.0 + sum(clock.slept), 0.0)


def test_a_stream_waits_for_its_reader_as_well(clock, passes) -> None:
    bench = Bench({EU: [passes(2), ROLE, passes(3), WORD, passes(1), STOP, DONE]}, clock=clock)
    stream = StreamedAnswer(bench.exchange("openai-chat", {**ASK, "stream": True}), lambda _: b"")
    clock.now += 0.25
    stream.begin()
    clock.now += 7
    next(stream)
    clock.now += 4
    list(stream)

    assert told(bench) == (0.25 + 2 + 3 + 7 + 4 + 1, 0.25)


def test_a_reader_that_leaves_has_had_its_time(clock, passes) -> None:
    bench = Bench({EU: [passes(2), ROLE, WORD, STOP]}, clock=clock)
    stream = StreamedAnswer(bench.exchange("openai-chat", {**ASK, "stream": True}), lambda _: b"")
    clock.now += 0.25
    stream.begin()
    next(stream)
    clock.now += 7
    stream.close()

    assert told(bench) == (9.25, 0.25)


def test_a_silence_that_a_loop_ends_was_the_upstreams(clock, passes) -> None:
    bench = Bench({EU: [ROLE, WORD, HANG]}, clock=clock, timeouts=Timeouts(idle=30, keep_alive=10))
    stream = StreamedAnswer(bench.exchange("openai-chat", {**ASK, "stream": True}), lambda _: b"")
    clock.now += 0.25
    stream.begin()
    list(flowing(stream))

    assert told(bench) == (30.25, 0.25)


def test_it_begins_when_the_body_has_been_read(clock, passes) -> None:
    bench = Bench({EU: [passes(2), WHOLE]}, clock=clock)
    exchange = bench.exchange("openai-chat", ASK)
    asked = replace(exchange.incoming, began=clock.now - 0.5)
    Exchange(asked, exchange.attempts, bench.backends, bench.notes, exchange.lifetime).whole()

    assert told(bench) == (2.5, 0.5)
