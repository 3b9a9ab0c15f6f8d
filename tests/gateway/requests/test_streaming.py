"""A streamed answer: failover before the first word, honesty after it, and nothing left behind."""

import json
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.core.relay import PassthroughRelay
from gateway.requests.lifetime import Signal
from gateway.requests.streaming import StreamedAnswer
from routing.availability import Availability
from routing.endpoint import Endpoint
from routing.policy import Timeouts
from tests.support.scripted import HANG, After, Bench, Steps, flowing

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


Hear = Callable[[StreamedAnswer], Iterable[bytes]]


@pytest.fixture(params=[iter, flowing], ids=["iterated", "flowing"])
def hear(request: pytest.FixtureRequest) -> Hear:
    """Takes all that a stream gives: in a thread that waits for it, or as a loop does that waits for many."""
    heard: Hear = request.param
    return heard


def text_of(told: bytes) -> str:
    frames = [line[6:] for line in told.decode().split("\n") if line.startswith("data: {")]
    choices = [choice for each in frames for choice in json.loads(each).get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def test_a_stream_arrives_whole(hear: Hear) -> None:
    bench = Bench({EU: WHOLE})
    stream = stream_of(bench)
    stream.begin()

    assert text_of(b"".join(hear(stream))) == "Hello world"
    assert bench.in_flight == 0
    [record] = bench.notes.records
    assert (
        record.outcome, record.subaccount, record.deployment, record.attempts, record.stop
    ) == ("ok", "eu", "d1", 1, "end")  # fmt: skip


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
def test_a_failure_before_the_first_word_is_never_seen(opening: Steps, hear: Hear) -> None:
    clean = Bench({US: WHOLE})
    expected_stream = stream_of(clean)
    expected_stream.begin()
    expected = b"".join(expected_stream)
    bench = Bench({EU: opening, US: WHOLE}, timeouts=Timeouts(keep_alive=1000))
    stream = stream_of(bench)
    stream.begin()

    assert b"".join(hear(stream)) == expected
    assert bench.in_flight == 0
    [record] = bench.notes.records
    assert (record.outcome, record.subaccount, record.attempts) == ("ok", "us", 2)
    for _, reader in bench.backends.opened:
        assert reader.closed or reader.finished


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
def test_so_much_of_a_prelude_is_held_back_and_no_more(prelude: Steps, held: bool, hear: Hear) -> None:
    bench = Bench({EU: [*prelude, DOWN], US: WHOLE})
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(hear(stream))

    assert held == told.endswith(DONE)
    assert held == (b'"error"' not in told)
    assert (["d1", "d2"] if held else ["d1"]) == [endpoint.deployment for endpoint, _ in bench.backends.opened]
    assert bench.in_flight == 0


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
def test_a_failure_after_the_first_word_is_told_and_not_tried_elsewhere(ending: Steps, kind: str, hear: Hear) -> None:
    bench = Bench({EU: [ROLE, WORD, *ending], US: WHOLE})
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(hear(stream))

    assert b"Hello" in told
    assert b'"error"' in told
    assert b"[DONE]" not in told
    assert [endpoint.deployment for endpoint, _ in bench.backends.opened] == ["d1"]
    assert bench.in_flight == 0
    [record] = bench.notes.records
    assert kind == record.outcome


def test_a_caller_that_waits_long_gets_headers_and_comments_and_then_its_answer(hear: Hear) -> None:
    bench = Bench({EU: [HANG], US: WHOLE})
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(hear(stream))

    assert told.startswith(b": ping\n\n")
    assert b"Hello" in told
    assert told.endswith(DONE)


def test_a_stream_that_has_begun_but_says_nothing_yet_is_no_reason_for_a_comment() -> None:
    """Gemini's clients get calls whole: the stream is theirs before there are bytes for them."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "run", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": "{}"}}
    bench = Bench({EU: [ROLE, frame({"tool_calls": [call]}), After(1), frame({"tool_calls": [more]}), STOP, DONE]})
    ask = {**ASK, "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    stream = StreamedAnswer(bench.exchange("gemini", ask), lambda _: b"")
    stream.begin()

    assert next(stream).startswith(b"data: {")


def test_google_s_clients_get_blank_lines_for_comments(hear: Hear) -> None:
    bench = Bench({EU: [HANG], US: WHOLE})
    ask = {**ASK, "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    stream = StreamedAnswer(bench.exchange("gemini", ask), lambda _: b"")
    stream.begin()
    told = b"".join(hear(stream))

    assert told.startswith(b"\n\n")
    assert all(line.startswith(b"data: {") for line in told.split(b"\n") if line)


def test_a_stream_that_only_prepares_is_kept_alive_too(hear: Hear) -> None:
    """Lifecycle events reach nobody before the first word, so they are no sign of life to the caller."""

    bench = Bench({EU: [*[After(3), ROLE] * 8, *WHOLE]})
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(hear(stream))

    assert told.count(b": ping") >= 2
    assert told.endswith(DONE)


def test_a_failure_of_all_before_the_headers_is_an_error_of_its_own() -> None:
    bench = Bench({EU: [DOWN], US: [DOWN]})

    with pytest.raises(FaultError, match="boom"):
        stream_of(bench).begin()
    assert bench.in_flight == 0
    [record] = bench.notes.records
    assert record.outcome == "server_error"


def test_a_failure_of_all_after_the_headers_is_said_in_the_stream(hear: Hear) -> None:
    bench = Bench({EU: [HANG], US: [DOWN]})
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(hear(stream))

    assert told.startswith(b": ping\n\n")
    assert b"fault: " in told
    assert bench.in_flight == 0


def test_the_callers_own_mistake_is_passed_on_after_one_call() -> None:
    wrong = Fault(FaultKind.INVALID_REQUEST, "no such tool", 400)
    bench = Bench({EU: [wrong], US: [wrong]})

    with pytest.raises(FaultError, match="no such tool"):
        stream_of(bench).begin()
    assert len(bench.backends.bodies) == 1


@pytest.mark.parametrize("read", [0, 1, 2])
def test_a_caller_that_leaves_frees_its_slot_and_closes_the_connection(read: int) -> None:
    bench = Bench({EU: [ROLE, WORD, MORE, HANG]})
    stream = stream_of(bench)
    stream.begin()
    for _ in range(min(read, 1)):
        next(stream)
    assert bench.in_flight == 1
    stream.close()
    stream.close()

    assert bench.in_flight == 0
    [(_, reader)] = bench.backends.opened
    assert reader.closed == 1
    [record] = bench.notes.records
    assert record.outcome == "caller_left"
    assert list(stream) == []


def test_a_stream_that_was_never_read_still_frees_its_slot() -> None:
    bench = Bench({EU: WHOLE})
    stream = stream_of(bench)
    stream.begin()
    stream.close()

    assert bench.in_flight == 0


def test_every_attempt_renders_the_same_body(hear: Hear) -> None:
    bench = Bench({EU: [ROLE], US: WHOLE})
    stream = stream_of(bench)
    stream.begin()
    list(hear(stream))

    first, second = bench.backends.bodies
    assert first == second


@pytest.mark.parametrize(
    ("opening", "outcome"),
    [
        ([After(59), WORD, STOP, DONE], "d1"),
        ([After(61), WORD, STOP, DONE], "d2"),
        ([After(59), ROLE, After(119), WORD, STOP, DONE], "d1"),
        ([After(59), ROLE, After(121), WORD, STOP, DONE], "d2"),
        ([After(59), b": ping\n\n", After(119), WORD, STOP, DONE], "d1"),
    ],
    ids=["in-time", "too-late", "thinks-after-a-role", "thinks-too-long", "a-comment-is-a-sign-of-life"],
)
def test_the_clock_of_the_first_event_runs_only_while_nothing_arrives(opening: Steps, outcome: str, hear: Hear) -> None:
    bench = Bench({EU: opening, US: WHOLE})
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(hear(stream))

    assert told.endswith(DONE)
    [record] = bench.notes.records
    assert outcome == record.deployment


def test_a_model_that_says_nothing_is_asked_twice_and_not_a_third_time(hear: Hear) -> None:
    third = Endpoint("jp", "https://jp/v2/inference/deployments/d3", "gpt-4.1")
    bench = Bench({EU: [HANG], US: [HANG], third: [HANG]})
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(hear(stream))

    assert b"fault: The model's endpoint sent nothing for too long." in told
    assert len(bench.backends.opened) == 2
    assert bench.clock.now - 1000 == 120
    [record] = bench.notes.records
    assert (record.outcome, record.attempts) == ("timeout", 2)
    assert bench.in_flight == 0


@pytest.mark.parametrize("words", [[], [WORD]], ids=["before-the-first-word", "after-it"])
def test_a_request_ends_with_its_time_however_much_an_upstream_says(words: Steps, hear: Hear) -> None:
    bench = Bench({EU: [ROLE, *words, *[After(5), b": ping\n\n"] * 200]})
    stream = stream_of(bench)
    stream.begin()
    told = b"".join(hear(stream))

    assert b"The request took longer than the proxy allows." in told
    assert Timeouts().total == bench.clock.now - 1000
    assert bench.in_flight == 0
    [(_, reader)] = bench.backends.opened
    assert reader.closed == 1


@pytest.mark.parametrize("said", [[], [ROLE], [ROLE, WORD]], ids=["head", "first-word", "stream"])
def test_a_client_that_leaves_is_noticed_while_the_model_is_silent(said: Steps, hear: Hear) -> None:
    """The client's socket is watched by the very wait that is for the model."""
    ours, theirs = socket.socketpair()
    bench = Bench({EU: [*said, theirs.close, HANG], US: WHOLE})
    with ours:
        stream = StreamedAnswer(bench.exchange("openai-chat", ASK, client=ours), lambda _: b"")
        with suppress(FaultError):
            stream.begin()
        list(hear(stream))

    [record] = bench.notes.records
    assert (record.outcome, record.deployment, record.attempts) == ("caller_left", "d1", 1)
    assert bench.in_flight == 0
    [(_, reader)] = bench.backends.opened
    assert reader.closed


def test_the_end_of_the_drain_is_told_in_the_stream_and_blamed_on_nobody(hear: Hear) -> None:
    drain = Signal()
    bench = Bench({EU: [ROLE, WORD, drain.set, WORD, STOP, DONE], US: WHOLE}, threshold=1)
    stream = StreamedAnswer(bench.exchange("openai-chat", ASK, drain=drain), lambda _: b"")
    stream.begin()
    told = b"".join(hear(stream))
    drain.close()

    assert b"Hello" in told
    assert b'"message":"The proxy is shutting down."' in told
    assert b"[DONE]" not in told
    [record] = bench.notes.records
    assert (record.outcome, record.deployment) == ("unavailable", "d1")
    assert {row.availability for row in bench.balancer.snapshot("gpt-4.1")} == {Availability.AVAILABLE}


def test_the_end_of_the_drain_is_an_error_of_its_own_before_the_first_word() -> None:
    drain = Signal()
    bench = Bench({EU: [ROLE, drain.set, HANG], US: WHOLE})
    stream = StreamedAnswer(bench.exchange("openai-chat", ASK, drain=drain), lambda _: b"")
    with pytest.raises(FaultError) as refusal:
        stream.begin()
    drain.close()

    assert (refusal.value.fault.kind, refusal.value.fault.retry_after) == (FaultKind.UNAVAILABLE, 1.0)
    assert bench.in_flight == 0


# A stream that a loop goes on with


def flowing_stream(script: Steps, **timeouts: float) -> tuple[Bench, StreamedAnswer]:
    """A stream whose first word has been given to its client."""
    bench = Bench({EU: [ROLE, WORD, *script], US: WHOLE}, timeouts=Timeouts(**timeouts), threshold=1)
    stream = stream_of(bench)
    stream.begin()
    assert b"Hello" in next(stream)
    assert stream.is_flowing
    return bench, stream


def ending(bench: Bench) -> tuple[str, int, int]:
    """How the one exchange ended, what is in flight after it, and how often its connection was let go."""
    [record] = bench.notes.records
    [(_, reader)] = bench.backends.opened
    return record.outcome, bench.in_flight, reader.closed + reader.finished


def test_a_silent_model_gives_nothing_until_a_sign_of_life_is_due() -> None:
    bench, stream = flowing_stream([HANG], keep_alive=10)
    heard = []
    for _ in range(3):
        assert (stream.flow(), stream.check()) == (b"", b"")
        assert stream.due == bench.clock.now + 10
        bench.clock.now = stream.due
        heard.append(stream.check())

    assert heard == [b": ping\n\n"] * 3


def test_a_piece_puts_the_next_sign_of_life_off() -> None:
    bench, stream = flowing_stream([After(7), MORE, HANG], keep_alive=10)
    bench.clock.now += 7

    assert b"world" in stream.flow()
    assert stream.due == bench.clock.now + 10


@pytest.mark.parametrize(
    ("timeouts", "after", "told"),
    [
        ({"keep_alive": 500, "idle": 120, "total": 1000}, 120, b"sent nothing for too long"),
        ({"keep_alive": 500, "idle": 120, "total": 50}, 50, b"took longer than the proxy allows"),
    ],
    ids=["idle", "total"],
)
def test_a_silence_ends_when_it_is_due(timeouts: dict[str, float], after: float, told: bytes) -> None:
    bench, stream = flowing_stream([HANG], **timeouts)
    bench.clock.now = stream.due - 0.01
    assert (stream.flow(), stream.check()) == (b"", b"")
    bench.clock.now = stream.due

    assert told in stream.check()
    assert after == pytest.approx(bench.clock.now - 1000)
    assert ending(bench) == ("timeout", 0, 1)


def test_what_came_while_nobody_looked_is_no_silence() -> None:
    bench, stream = flowing_stream([After(1), MORE, After(1000), STOP, DONE], idle=120, keep_alive=1000, total=5000)
    bench.clock.now += 500
    assert b"world" in stream.flow()

    assert stream.check() == b""
    assert not stream.is_over


def test_the_end_may_come_with_the_last_words_and_is_given_once() -> None:
    bench, stream = flowing_stream([MORE + STOP + DONE])

    assert stream.flow().endswith(DONE)
    assert stream.is_over
    assert (stream.flow(), stream.check(), stream.upstream) == (b"", b"", None)
    stream.close()
    assert ending(bench) == ("ok", 0, 1)


def test_what_was_ready_before_it_flowed_comes_first() -> None:
    bench = Bench({EU: [ROLE, WORD, MORE, HANG]})
    stream = stream_of(bench)
    stream.begin()

    assert text_of(stream.flow() + stream.flow()) == "Hello world"


def stumble() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("step", ["flow", "check"])
def test_a_defect_while_it_flows_ends_the_stream_and_is_blamed_on_nobody(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, stream = flowing_stream([stumble] if step == "flow" else [HANG], idle=5)
    monkeypatch.setattr(PassthroughRelay, "abort", lambda *_: stumble())
    bench.clock.now = stream.due
    with pytest.raises(ZeroDivisionError):
        getattr(stream, step)()
    stream.close()

    assert ending(bench) == ("defect", 0, 1)
    assert {state.availability for state in bench.balancer.snapshot("gpt-4.1")} == {Availability.AVAILABLE}


def test_a_defect_in_telling_that_the_upstream_broke_off_ends_the_stream_too(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, stream = flowing_stream([DOWN])
    monkeypatch.setattr(PassthroughRelay, "abort", lambda *_: stumble())
    with pytest.raises(ZeroDivisionError):
        stream.flow()

    assert ending(bench) == ("defect", 0, 1)


def test_a_client_that_leaves_a_flowing_stream_frees_everything_once() -> None:
    bench, stream = flowing_stream([MORE, HANG])
    stream.flow()
    stream.close()
    stream.close()

    assert (stream.flow(), stream.check()) == (b"", b"")
    assert ending(bench) == ("caller_left", 0, 1)
