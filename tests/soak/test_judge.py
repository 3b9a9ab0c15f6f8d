"""What the judge of the soak lets pass, and what it does not."""

import json
import os
import time
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.soak import disturbances
from tests.soak.answers import judged
from tests.soak.asks import Ask, asks, talk
from tests.soak.outcomes import Outcome, Result, Window, explanation, unexplained
from tests.soak.report import Verdict, lost_results, problems_in_log, unslowed
from tests.soak.samples import MIB, Sample, rest, sampled, slope, trends, worst
from tests.soak.served import at_rest
from tests.support.running import HttpAnswer

SUPERVISOR = 7
ERRORS = frozenset({Result.ERROR, Result.STREAM_ERROR})
FAILED = Outcome("chat text", 10.0, 12.0, Result.ERROR, "gpt-5", 503)


def sample(at: float, pid: int = SUPERVISOR, **more: int) -> Sample:
    return replace(Sample(at, pid, threads=4, descriptors=20, sockets=8, rss=60 * MIB, pss=30 * MIB), **more)


def grown(samples: list[Sample]) -> list[tuple[str, str]]:
    """What grows, of all that is measured after two minutes."""
    found = trends(samples, SUPERVISOR, 120.0, worker_warm=20.0)
    return [(each.of, each.measure) for each in worst(found) if not each.is_good]


def lives(*rss: int, seconds: int = 60) -> list[Sample]:
    """One worker after another, each with so many MiB."""
    return [
        sample(at=seconds * number + age, pid=100 + number, rss=size * MIB)
        for number, size in enumerate(rss)
        for age in range(0, seconds, 5)
    ]


def test_processes_that_hold_what_they_held_do_not_grow() -> None:
    steady = [sample(float(at), rss=60 * MIB + at % 3 * MIB) for at in range(0, 600, 5)]

    assert grown([*steady, *lives(*[70] * 10)]) == []


def test_what_grows_in_the_warm_up_alone_does_not_count() -> None:
    rising = [sample(float(at), rss=min(60, 10 + at) * MIB, descriptors=min(40, at)) for at in range(0, 600, 5)]

    assert grown(rising) == []


@pytest.mark.parametrize(
    ("measure", "each_second"), [("threads", 0.01), ("descriptors", 0.04), ("sockets", 0.04), ("rss", 0.05 * MIB)]
)
def test_a_supervisor_that_leaks_is_seen(measure: str, each_second: float) -> None:
    leaking = [sample(float(at), **{measure: int(20 + at * each_second)}) for at in range(0, 600, 5)]

    assert grown(leaking) == [("supervisor", measure)]


def test_a_worker_that_leaks_in_its_life_is_seen() -> None:
    leaking = [sample(float(at), 100, rss=(60 + at // 5) * MIB) for at in range(0, 600, 5)]

    assert grown(leaking) == [("worker 1 in its life", "rss")]


def test_workers_each_of_which_begins_with_more_are_seen() -> None:
    assert grown(lives(*range(60, 90, 3))) == [("workers of the same age", "rss")]


def test_a_process_that_holds_far_too_much_is_seen_although_it_does_not_grow() -> None:
    assert grown([sample(float(at), rss=900 * MIB) for at in range(0, 600, 5)]) == [("supervisor", "rss")]


@pytest.mark.parametrize("measure", ["threads", "descriptors", "sockets"])
def test_a_worker_that_holds_at_rest_what_its_load_has_needed_is_seen(measure: str) -> None:
    resting = rest([sample(0.0), sample(0.0, 100), sample(0.0, 101, **{measure: 90})], SUPERVISOR)

    assert [(each.of, each.measure) for each in resting if not each.is_good] == [("worker 101 at rest", measure)]


def test_the_slope_is_that_of_the_line_through_the_points() -> None:
    assert slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) == 2.0
    assert slope([(1.0, 3.0)]) == 0.0


def test_this_process_can_be_measured() -> None:
    [found, *_] = sampled(os.getpid(), time.monotonic)

    assert found.threads >= 1
    assert found.descriptors >= 3
    assert found.rss > MIB


@pytest.mark.parametrize(
    ("window", "is_explained"),
    [
        (Window("outage", 11.0, ERRORS, frozenset({"gpt-5"}), 20.0), True),
        (Window("outage", 11.0, ERRORS, None, 20.0), True),
        (Window("too late", 12.5, ERRORS, None, 20.0), False),
        (Window("too early", 1.0, ERRORS, None, 9.5), False),
        (Window("another model", 11.0, ERRORS, frozenset({"gpt-5.5"}), 20.0), False),
        (Window("another result", 11.0, frozenset({Result.CUT}), None, 20.0), False),
        (Window("for kept answers", 11.0, ERRORS, None, 20.0, sticky_alone=True), False),
    ],
    ids=lambda value: value.name.replace(" ", "-") if isinstance(value, Window) else "",
)
def test_an_error_is_explained_by_a_window_of_its_time_its_model_and_its_kind(
    window: Window, is_explained: bool
) -> None:
    assert (explanation(FAILED, [window]) is not None) is is_explained


@pytest.mark.parametrize("result", [Result.WRONG, Result.FOREIGN, Result.LATE])
def test_no_window_explains_a_wrong_answer_or_one_that_never_ends(result: Result) -> None:
    explained = {each for name, each in vars(disturbances).items() if isinstance(each, frozenset)}

    assert not any(result in results for results in explained)


def test_an_unexplained_error_is_amiss_and_a_good_answer_is_not() -> None:
    fine = replace(FAILED, result=Result.OK)

    assert unexplained([fine, FAILED], []) == [FAILED]
    assert verdict([fine]).amiss == []
    assert verdict([fine, FAILED]).amiss == ["unexplained, 10 s after the start: chat text gpt-5: error 503 "]


def verdict(outcomes: list[Outcome], **more: Any) -> Verdict:
    usual = {"windows": [], "disturbances": {}, "trends": [], "problems": []}
    return Verdict(seconds=600.0, seed=1, outcomes=outcomes, **{**usual, **more})


def test_a_problem_and_something_that_grows_are_amiss() -> None:
    found = trends([sample(float(at), threads=at) for at in range(0, 600, 5)], SUPERVISOR, 120.0, worker_warm=20.0)
    told = verdict([], trends=found, problems=["still in flight: 1 lease"])

    assert [line.split(":")[0] for line in told.amiss] == ["still in flight", "grows"]
    assert "2 amiss:" in told.lines()
    assert told.as_json()["amiss"] == told.amiss


def chat(text: str, marker: str = "", **more: Any) -> HttpAnswer:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": marker, "choices": [choice], **more}
    return HttpAnswer(200, {"content-type": "application/json"}, json.dumps(body).encode())


def asked() -> tuple[Ask, str]:
    """A plain request in the dialect of OpenAI's chat, and what has to come back."""
    for seed in range(1000):
        ask = talk(Random(seed), "gpt-5", stream=False)
        if ask.kind == "chat text":
            return ask, ask.body["messages"][-1]["content"].removeprefix("scene:echo ")
    raise AssertionError


def result(told: HttpAnswer) -> Result:
    ask, _ = asked()
    return judged(told, shape=ask.shape, marker=ask.marker, wants=200, check=ask.check)[0]


def test_the_words_that_were_to_come_are_fine() -> None:
    assert result(chat(asked()[1])) is Result.OK


def test_words_of_another_request_are_seen_wherever_they_are() -> None:
    assert result(chat(asked()[1], "mk0123456789abq")) is Result.FOREIGN


@pytest.mark.parametrize(
    "told",
    [
        chat("something else"),
        HttpAnswer(200, {}, b"<html>"),
        HttpAnswer(204, {}, b""),
        HttpAnswer(503, {}, b"<html>Bad gateway</html>"),
        HttpAnswer(503, {}, b'{"type": "error", "error": {"type": "api_error", "message": "Anthropic\'s"}}'),
        HttpAnswer(200, {"content-type": "text/event-stream"}, b'data: {"choices": []}\n\n'),
    ],
    ids=["words", "no-json", "status", "error-without-dialect", "error-of-another-dialect", "stream-without-end"],
)
def test_what_is_no_answer_in_the_dialect_is_wrong(told: HttpAnswer) -> None:
    assert result(told) is Result.WRONG


@pytest.mark.parametrize(
    ("body", "content_type", "status", "expected"),
    [
        (b'{"error": {"message": "m", "type": "t"}}', "application/json", 503, Result.ERROR),
        (b'data: {"error": {"message": "m", "type": "t"}}\n\n', "text/event-stream", 200, Result.STREAM_ERROR),
    ],
)
def test_an_error_in_the_dialect_is_told_from_one_in_a_stream(
    body: bytes, content_type: str, status: int, expected: Result
) -> None:
    assert result(HttpAnswer(status, {"content-type": content_type}, body)) is expected


def test_a_log_with_a_traceback_an_error_a_prompt_or_a_key_is_amiss() -> None:
    fine = "2026-11-27 12:00:00,000 ERROR x worker 5 ended unexpectedly with SIGKILL; a new worker replaces it\n"
    lines = "2026-11-27 12:00:00,000 ERROR x a defect\nTraceback (most recent call last):\nsk-1 mk0123456789abq\n"

    assert problems_in_log(fine, ["sk-1"]) == []
    assert [found.split(":")[0] for found in problems_in_log(fine + lines, ["sk-1"])] == [
        "a traceback in the log", "an error in the log", "words of a prompt in the log", "a key in the log",
    ]  # fmt: skip


def test_a_kind_of_request_that_never_goes_well_is_amiss() -> None:
    assert lost_results([FAILED] * 30) == ["no request “chat text” has gone well"]
    assert lost_results([FAILED] * 30 + [replace(FAILED, result=Result.OK)]) == []


def test_wrong_keys_that_are_never_slowed_down_are_amiss() -> None:
    tried = [replace(FAILED, kind="hostile: wrong key", result=Result.REFUSED, status=401)] * 150

    assert unslowed(tried) == ["many wrong keys of one address, and no 429"]
    assert unslowed(tried[1:]) == []
    assert unslowed([*tried, replace(tried[0], status=429)]) == []


@pytest.mark.parametrize(
    ("open_requests", "streams", "leases", "left"),
    [
        (0, 0, 0, ""),
        (1, 0, 0, "worker 5: requests 1"),
        (0, 1, 0, "worker 5: requests 0"),
        (0, 0, 2, "eu/d1 gpt-5: leases 2"),
    ],
)
def test_what_is_in_flight_at_the_end_is_named(open_requests: int, streams: int, leases: int, left: str) -> None:
    used = {"requests": 0, "waiting": 0, "connections": 0, "streams": streams}
    saturation = {name: {"used": number, "most": None} for name, number in used.items()}
    worker = {"worker": 5, "open_requests": open_requests, "saturation": saturation}
    endpoint = {"subaccount": "eu", "deployment": "d1", "model": "gpt-5", "in_flight": leases}

    assert at_rest({"workers": [worker], "endpoints": [endpoint]}).startswith(left)
    assert bool(at_rest({"workers": [worker], "endpoints": [endpoint]})) is bool(left)


def test_every_request_has_a_marker_of_its_own_and_every_dialect_occurs() -> None:
    made = [each for each, _ in zip(asks(Random(1)), range(600), strict=False)]

    assert len({each.marker for each in made}) == len(made)
    assert {each.shape for each in made} == {"openai", "anthropic", "google"}
