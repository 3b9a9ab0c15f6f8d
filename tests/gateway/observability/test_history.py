"""The last hour of models and endpoints, minute by minute."""

import json
from dataclasses import replace

from dialects.core.conversation import Usage
from dialects.core.faults import FaultKind
from gateway.observability.history import BUCKETS, MOST_SERIES, History, merged_history
from gateway.observability.metrics import ExchangeRecord
from routing.endpoint import Endpoint
from routing.events import OutcomeRecorded, PoolsChanged

EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-5")
RECORD = ExchangeRecord(
    "r1", "f77894fd", "openai-chat", "gpt5", "gpt-5", subaccount="eu", deployment="d1", first_content=0.25,
    usage=Usage(fresh_input=10, cache_read=20, cache_write=30, output=40),
)  # fmt: skip
BEGIN = 1_800_000_000.0
"""A full minute, in seconds since the epoch."""
NOTHING = [0] * (BUCKETS - 1)


class Clock:
    """The time, which the tests set."""

    def __init__(self) -> None:
        self.time = BEGIN

    def __call__(self) -> float:
        return self.time


def test_a_minute_of_a_model_sums_its_requests_and_averages_their_first_content() -> None:
    clock = Clock()
    history = History(clock)
    history.over(RECORD)
    clock.time += 59.9
    history.over(replace(RECORD, first_content=0.75))
    history.over(replace(RECORD, first_content=None, deployment="", outcome="unavailable", usage=Usage()))

    assert merged_history([history.rows()], clock())["models"] == [
        {
            "model": "gpt-5",
            "requests": [*NOTHING, 3],
            "errors": [*NOTHING, 1],
            "first_content": [*[None] * (BUCKETS - 1), 0.5],
            "input": [*NOTHING, 80],
            "output": [*NOTHING, 80],
            "cache_read": [*NOTHING, 40],
        }
    ]


def test_a_minute_of_an_endpoint_counts_its_attempts_and_the_tokens_of_its_answers() -> None:
    """A request that failed over is an error of the endpoint that failed, and a request of the other one."""
    history = History(Clock())
    history.heard(OutcomeRecorded(EU, FaultKind.SERVER_ERROR, 0.1))
    history.heard(OutcomeRecorded(EU, FaultKind.INVALID_REQUEST, 0.1))
    history.heard(OutcomeRecorded(EU, None, 0.5))
    history.heard(PoolsChanged((EU,), ()))
    history.over(RECORD)

    assert merged_history([history.rows()], BEGIN)["endpoints"] == [
        {
            "subaccount": "eu",
            "deployment": "d1",
            "model": "gpt-5",
            "requests": [*NOTHING, 3],
            "errors": [*NOTHING, 1],
            "first_content": [*[None] * (BUCKETS - 1), 0.5],
            "input": [*NOTHING, 40],
            "output": [*NOTHING, 40],
            "cache_read": [*NOTHING, 20],
        }
    ]


def test_a_mistake_of_the_caller_is_no_error_of_the_model() -> None:
    history = History(Clock())
    for outcome in ("ok", "invalid_request", "caller_left", "defect"):
        history.over(replace(RECORD, outcome=outcome))

    assert merged_history([history.rows()], BEGIN)["models"][0]["errors"] == [*NOTHING, 1]


def test_a_request_without_a_deployed_model_is_not_counted() -> None:
    history = History(Clock())
    history.over(replace(RECORD, model="", requested="anything a caller likes"))

    assert history.rows() == []


def test_buckets_move_on_with_the_time_and_are_gone_after_an_hour() -> None:
    clock = Clock()
    history = History(clock)
    history.over(RECORD)
    clock.time += 60 * 59
    history.over(RECORD)

    told = merged_history([history.rows()], clock())

    assert (told["step"], told["end"], told["buckets"]) == (60, int(BEGIN) + 3600, 60)
    assert told["models"][0]["requests"] == [1, *[0] * 58, 1]
    assert merged_history([history.rows()], clock() + 60)["models"][0]["requests"] == [*[0] * 58, 1, 0]
    assert merged_history([history.rows()], clock() + 3600)["models"] == []


def test_the_buckets_of_all_processes_are_added_up() -> None:
    one, other = History(Clock()), History(Clock())
    one.over(RECORD)
    other.over(replace(RECORD, first_content=1.25))
    published = [json.loads(json.dumps(each.rows())) for each in (one, other)]

    [model] = merged_history(published, BEGIN)["models"]

    assert (model["requests"][-1], model["first_content"][-1], model["input"][-1]) == (2, 0.75, 80)


def test_a_clock_that_is_set_back_loses_no_request() -> None:
    clock = Clock()
    history = History(clock)
    history.over(RECORD)
    clock.time -= 600
    history.over(RECORD)

    assert merged_history([history.rows()], BEGIN)["models"][0]["requests"] == [*NOTHING, 2]


def test_memory_is_bounded_and_what_was_idle_for_longest_is_forgotten() -> None:
    clock = Clock()
    history = History(clock)
    asked = [f"model-{number:03}" for number in range(MOST_SERIES)]
    for model in [*asked, asked[0], "one too many", *[asked[2]] * 2 * BUCKETS]:
        history.over(replace(RECORD, model=model, deployment=""))
        clock.time += 60

    rows = {row["of"][2]: row["buckets"] for row in history.rows()}

    assert rows.keys() == {*asked, "one too many"} - {asked[1]}
    assert len(rows[asked[2]]) == BUCKETS
