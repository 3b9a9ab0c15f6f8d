"""A streamed answer: failover before the first word, honesty after it, and nothing left behind."""

import json
import threading

import pytest

from dialects.faults import Fault, FaultError, FaultKind
from gateway.requests.streaming import StreamedAnswer
from routing.policy import Timeouts
from routing.strategy import Endpoint
from tests.support.scripted import HANG, Bench, Steps

EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-4.1")
US = Endpoint("us", "https://us/v2/inference/deployments/d2", "gpt-4.1", "team-a")
ASK = {"model": "gpt-4.1", "stream": True, "messages": [{"role": "user", "content": "hi"}]}


def frame(delta: dict, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "up1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1-dated", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


ROLE = frame({"role": "assistant", "content": ""})
WORD = frame({"content": "Hello"})
MORE = frame({"content": " world"})
STOP = frame({}, "stop")
DONE = b"data: [DONE]\n\n"
WHOLE = [ROLE, WORD, MORE, STOP, DONE]
DOWN = Fault(FaultKind.SERVER_ERROR, "boom", 500)
THROTTLED = b'data: {"error": {"code": "429", "message": "Too many requests"}}\n\n'


def stream_of(bench: Bench, ask: dict = ASK) -> StreamedAnswer:
    def say_fault(fault: Fault) -> bytes:
        return f"fault: {fault.message}".encode()

    return StreamedAnswer(bench.exchange("openai-chat", ask), say_fault)


def text_of(stream: StreamedAnswer) -> str:
    frames = [line[6:] for line in b"".join(stream).decode().split("\n") if line.startswith("data: {")]
    choices = [choice for each in frames for choice in json.loads(each).get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_a_stream_arrives_whole() -> None:
    bench = Bench({EU: WHOLE})
    stream = stream_of(bench)
    stream.begin()

    assert "Hello world" == text_of(stream)
    assert 0 == bench.in_flight
    [record] = bench.notes.records
    assert ("ok", "eu", "d1", 1, "end") == (
        record.outcome, record.subaccount, record.deployment, record.attempts, record.stop
    )  # fmt: skip


@pytest.mark.parametrize(
    "opening",
    [
        [DOWN],
        [],
        [ROLE],
        [ROLE, DOWN],
        [THROTTLED],
        [ROLE, THROTTLED],
        [b"data: {garbage\n\n"],
        [b"<html>not a stream</html>"],
        [ROLE, HANG],
        [HANG],
    ],
    ids=[
        "refused", "empty", "dead-after-role", "cut-after-role", "throttled", "throttled-after-role", "garbage", "html",
        "silent-after-role", "silent",
    ],
)  # fmt: skip
def test_a_failure_before_the_first_word_is_never_seen(opening: Steps) -> None:
    timeouts = Timeouts(first_event=0.1)
    clean = Bench({US: WHOLE})
    expected_stream = stream_of(clean)
    expected_stream.begin()
    expected = b"".join(expected_stream)
    bench = Bench({EU: opening, US: WHOLE}, timeouts=timeouts)
    stream = stream_of(bench)
    stream.begin()

    assert expected == b"".join(stream)
    assert 0 == bench.in_flight
    [record] = bench.notes.records
    assert ("ok", "us", 2) == (record.outcome, record.subaccount, record.attempts)
    for _, upstream in bench.backends.opened:
        assert upstream.closed or upstream.shut.is_set()


PRELUDE = frame({"role": "assistant", "content": "", "padding": "x" * (64 * 1024)})


@pytest.mark.parametrize(
    ("prelude", "held"),
    [
        ([ROLE] * 63, True),
        ([ROLE] * 64, False),
        ([b"".join([ROLE] * 64)], False),
        ([PRELUDE] * 3, True),
        ([PRELUDE] * 4, False),
    ],
    ids=["63-events", "64-events", "64-at-once", "192-kilobytes", "256-kilobytes"],
)
def test_so_much_of_a_prelude_is_held_back_and_no_more(prelude: Steps, held: bool) -> None:
    bench = Bench({EU: [*prelude, DOWN], US: WHOLE})
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(stream)

    assert held == told.endswith(DONE)
    assert held == (b'"error"' not in told)
    assert (["d1", "d2"] if held else ["d1"]) == [endpoint.deployment for endpoint, _ in bench.backends.opened]
    assert 0 == bench.in_flight


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ([DOWN], "server_error"),
        ([], "stream_broken"),
        ([b"data: {garbage\n\n"], "stream_broken"),
        ([THROTTLED], "rate_limited"),
        ([HANG], "timeout"),
    ],
)
def test_a_failure_after_the_first_word_is_told_and_not_tried_elsewhere(ending: Steps, kind: str) -> None:
    heard = threading.Event()
    bench = Bench({EU: [ROLE, WORD, heard, *ending], US: WHOLE}, timeouts=Timeouts(idle=0.1))
    stream = stream_of(bench)
    stream.begin()
    heard.set()
    told = b"".join(stream)

    assert b"Hello" in told
    assert b'"error"' in told
    assert b"[DONE]" not in told
    assert ["d1"] == [endpoint.deployment for endpoint, _ in bench.backends.opened]
    assert 0 == bench.in_flight
    [record] = bench.notes.records
    assert kind == record.outcome


def test_a_caller_that_waits_long_gets_headers_and_comments_and_then_its_answer() -> None:
    timeouts = Timeouts(keep_alive=0.05, first_event=0.3)
    bench = Bench({EU: [HANG], US: WHOLE}, timeouts=timeouts)
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(stream)

    assert told.startswith(b": ping\n\n")
    assert b"Hello" in told
    assert told.endswith(DONE)


def test_a_stream_that_has_begun_but_says_nothing_yet_is_no_reason_for_a_comment() -> None:
    """Gemini's clients get calls whole: the stream is theirs before there are bytes for them."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "run", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": "{}"}}
    said = threading.Event()
    bench = Bench({EU: [ROLE, frame({"tool_calls": [call]}), said, frame({"tool_calls": [more]}), STOP, DONE]})
    ask = {**ASK, "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    stream = StreamedAnswer(bench.exchange("gemini", ask), lambda _: b"")
    stream.begin()
    threading.Timer(0.05, said.set).start()

    assert next(stream).startswith(b"data: {")


def test_google_s_clients_get_blank_lines_for_comments() -> None:
    timeouts = Timeouts(keep_alive=0.05, first_event=0.3)
    bench = Bench({EU: [HANG], US: WHOLE}, timeouts=timeouts)
    ask = {**ASK, "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    stream = StreamedAnswer(bench.exchange("gemini", ask), lambda _: b"")
    stream.begin()
    told = b"".join(stream)

    assert told.startswith(b"\n\n")
    assert all(line.startswith(b"data: {") for line in told.split(b"\n") if line)


def test_a_stream_that_only_prepares_is_kept_alive_too() -> None:
    """Lifecycle events reach nobody before the first word, so they are no sign of life to the caller."""

    class Preparing:
        """One lifecycle event after another, and at last the answer."""

        def __iter__(self):
            for _ in range(12):
                yield pause
                yield ROLE
            yield from WHOLE

    class Pause(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(0.02)

    pause = Pause()
    bench = Bench({EU: list(Preparing())}, timeouts=Timeouts(keep_alive=0.1))
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(stream)

    assert told.count(b": ping") >= 2
    assert told.endswith(DONE)


def test_a_failure_of_all_before_the_headers_is_an_error_of_its_own() -> None:
    bench = Bench({EU: [DOWN], US: [DOWN]})

    with pytest.raises(FaultError, match="boom"):
        stream_of(bench).begin()
    assert 0 == bench.in_flight
    [record] = bench.notes.records
    assert "server_error" == record.outcome


def test_a_failure_of_all_after_the_headers_is_said_in_the_stream() -> None:
    bench = Bench({EU: [HANG], US: [DOWN]}, timeouts=Timeouts(keep_alive=0.05, first_event=0.12))
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(stream)

    assert told.startswith(b": ping\n\n")
    assert b"fault: " in told
    assert 0 == bench.in_flight


def test_the_callers_own_mistake_is_passed_on_after_one_call() -> None:
    wrong = Fault(FaultKind.INVALID_REQUEST, "no such tool", 400)
    bench = Bench({EU: [wrong], US: [wrong]})

    with pytest.raises(FaultError, match="no such tool"):
        stream_of(bench).begin()
    assert 1 == len(bench.backends.bodies)


@pytest.mark.parametrize("read", [0, 1, 2])
def test_a_caller_that_leaves_frees_its_slot_and_closes_the_connection(read: int) -> None:
    bench = Bench({EU: [ROLE, WORD, MORE, HANG]})
    stream = stream_of(bench)
    stream.begin()
    for _ in range(min(read, 1)):
        next(stream)
    assert 1 == bench.in_flight
    stream.close()
    stream.close()

    assert 0 == bench.in_flight
    [(_, upstream)] = bench.backends.opened
    assert upstream.shut.wait(5)
    [record] = bench.notes.records
    assert "caller_left" == record.outcome
    assert [] == list(stream)


def test_a_stream_that_was_never_read_still_frees_its_slot() -> None:
    bench = Bench({EU: WHOLE})
    stream = stream_of(bench)
    stream.begin()
    stream.close()

    assert 0 == bench.in_flight


def test_every_attempt_renders_the_same_body() -> None:
    bench = Bench({EU: [ROLE], US: WHOLE})
    stream = stream_of(bench)
    stream.begin()
    list(stream)

    first, second = bench.backends.bodies
    assert first == second
