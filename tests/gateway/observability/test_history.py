"""The last hour of models and endpoints, minute by minute."""

import json
from dataclasses import replace

from dialects.core.conversation import Usage
from dialects.core.faults import FaultKind
from gateway.observability.activity import Activity
from gateway.observability.history import BUCKETS, MOST_SERIES, MOST_TOTALS, merged_history
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
    activity = Activity(clock)
    activity.over(RECORD)
    clock.time += 59.9
    activity.over(replace(RECORD, first_content=0.75))
    activity.over(replace(RECORD, first_content=None, deployment="", outcome="unavailable", usage=Usage()))

    assert merged_history([activity.rows()], clock())["models"] == [
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
    activity = Activity(Clock())
    activity.heard(OutcomeRecorded(EU, FaultKind.SERVER_ERROR, 0.1))
    activity.heard(OutcomeRecorded(EU, FaultKind.INVALID_REQUEST, 0.1))
    activity.heard(OutcomeRecorded(EU, None, 0.5))
    activity.heard(PoolsChanged((EU,), ()))
    activity.over(RECORD)

    assert merged_history([activity.rows()], BEGIN)["endpoints"] == [
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
    activity = Activity(Clock())
    for outcome in ("ok", "invalid_request", "caller_left", "defect"):
        activity.over(replace(RECORD, outcome=outcome))

    assert merged_history([activity.rows()], BEGIN)["models"][0]["errors"] == [*NOTHING, 1]


def test_a_request_without_a_deployed_model_is_not_counted() -> None:
    activity = Activity(Clock())
    activity.over(replace(RECORD, model="", requested="anything a caller likes"))

    assert activity.rows() == []


def test_buckets_move_on_with_the_time_and_are_gone_after_an_hour() -> None:
    clock = Clock()
    activity = Activity(clock)
    activity.over(RECORD)
    clock.time += 60 * 59
    activity.over(RECORD)

    told = merged_history([activity.rows()], clock())

    assert (told["step"], told["end"], told["buckets"]) == (60, int(BEGIN) + 3600, 60)
    assert told["models"][0]["requests"] == [1, *[0] * 58, 1]
    assert merged_history([activity.rows()], clock() + 60)["models"][0]["requests"] == [*[0] * 58, 1, 0]
    assert merged_history([activity.rows()], clock() + 3600)["models"] == []


def test_the_buckets_of_all_processes_are_added_up() -> None:
    one, other = Activity(Clock()), Activity(Clock())
    one.over(RECORD)
    other.over(replace(RECORD, first_content=1.25))
    published = [json.loads(json.dumps(each.rows())) for each in (one, other)]

    [model] = merged_history(published, BEGIN)["models"]

    assert (model["requests"][-1], model["first_content"][-1], model["input"][-1]) == (2, 0.75, 80)


def test_a_clock_that_is_set_back_loses_no_request() -> None:
    clock = Clock()
    activity = Activity(clock)
    activity.over(RECORD)
    clock.time -= 600
    activity.over(RECORD)

    assert merged_history([activity.rows()], BEGIN)["models"][0]["requests"] == [*NOTHING, 2]


def test_memory_is_bounded_and_what_was_idle_for_longest_is_forgotten() -> None:
    clock = Clock()
    activity = Activity(clock)
    asked = [f"model-{number:03}" for number in range(MOST_SERIES)]
    for model in [*asked, asked[0], "one too many", *[asked[2]] * 2 * BUCKETS]:
        activity.over(replace(RECORD, model=model, deployment=""))
        clock.time += 60

    rows = {row["of"][2]: row["buckets"] for row in activity.rows()}

    assert rows.keys() == {*asked, "one too many"} - {asked[1]}
    assert len(rows[asked[2]]) == BUCKETS


def test_totals_go_on_when_the_buckets_of_their_minutes_are_gone() -> None:
    clock = Clock()
    activity = Activity(clock)
    for _ in range(BUCKETS + 3):
        activity.heard(OutcomeRecorded(EU, None, 0.5))
        activity.heard(OutcomeRecorded(EU, FaultKind.SERVER_ERROR, 0.5))
        activity.over(RECORD)
        clock.time += 60
    for number in range(MOST_SERIES):
        activity.heard(OutcomeRecorded(Endpoint("us", f"https://us/deployments/d{number}", "gpt-5"), None, 0.5))

    assert all(row["of"][0] == "us" for row in activity.rows())
    assert activity.counts(EU) == {
        "answered": 63,
        "failed": 63,
        "refused": 0,
        "first_content_seconds": 31.5,
        "tokens": {"input": 630, "cache_read": 1260, "cache_write": 1890, "output": 2520},
    }


def test_totals_of_endpoints_that_were_idle_for_longest_are_forgotten_first() -> None:
    activity = Activity(Clock())
    most = MOST_SERIES + MOST_TOTALS
    endpoints = [Endpoint("eu", f"https://x/deployments/d{number}", "gpt-5") for number in range(most + 1)]
    for endpoint in endpoints:
        activity.heard(OutcomeRecorded(endpoint, None, 0.1))

    assert [activity.counts(endpoints[at])["answered"] for at in (0, 1, most)] == [0, 1, 1]
