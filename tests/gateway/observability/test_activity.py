"""What a process remembers of its decisions, and counts of its endpoints."""

import json
import tracemalloc
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from dialects.core.conversation import Usage
from dialects.core.faults import FaultKind
from gateway.observability.activity import MOST_DECISIONS, Activity
from gateway.observability.metrics import ExchangeRecord
from routing.endpoint import Endpoint
from routing.events import OutcomeRecorded, PoolsChanged

EU = Endpoint("eu", "https://secret.example/v2/inference/deployments/d1", "gpt-5")
RECORD = ExchangeRecord(
    "r1", "f77894fd", "openai-chat", "gpt5", "gpt-5", stream=True, trail="eu/d0 503 -> eu/d1 ok", subaccount="eu",
    deployment="d1", attempts=2, reasons=("round-robin", "round-robin"), first_content=0.25, duration=1.5,
    usage=Usage(10, 20, 30, 40),
)  # fmt: skip
TOKENS = {"input": 10, "cache_read": 20, "cache_write": 30, "output": 40}


def test_a_decision_says_where_a_request_went_how_it_ended_and_what_it_cost() -> None:
    activity = Activity(now=lambda: 1_000.0)
    activity.over(RECORD)

    assert activity.decisions() == [
        {
            "at": 1_000.0,
            "id": "r1",
            "caller": "f77894fd",
            "client": "openai-chat",
            "requested": "gpt5",
            "model": "gpt-5",
            "subaccount": "eu",
            "deployment": "d1",
            "stream": True,
            "reasons": ["round-robin", "round-robin"],
            "trail": "eu/d0 503 -> eu/d1 ok",
            "status": 200,
            "outcome": "ok",
            "first_content": 0.25,
            "duration": 1.5,
            "tokens": TOKENS,
        }
    ]


def test_the_latest_decisions_are_kept_the_newest_first_and_no_more() -> None:
    times = count(1.0)
    activity = Activity(now=lambda: next(times))
    for _ in range(MOST_DECISIONS + 7):
        activity.over(RECORD)

    assert [each["at"] for each in activity.decisions()] == [float(at) for at in range(MOST_DECISIONS + 7, 7, -1)]
    assert activity.outcomes() == {"ok": MOST_DECISIONS + 7}


@pytest.mark.parametrize("more", [
    {"requested": "gpt\n"}, {"trail": "eu/d1 ok"}, {"reasons": ("alone",)}, {"dropped": ("field",)},
])  # fmt: skip
def test_what_callers_and_trails_make_long_takes_little_memory(more: dict[str, Any]) -> None:
    activity = Activity()
    tracemalloc.start()
    for number in range(10, 10 + MOST_DECISIONS):
        activity.over(replace(RECORD, **{name: value * (number * 1_000) for name, value in more.items()}))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 500_000
    assert len(json.dumps(activity.decisions())) < 200_000
    assert activity.decisions()[0]["requested"].isprintable()


def test_attempts_are_counted_by_what_they_say_of_the_endpoint() -> None:
    activity = Activity()
    for fault, seconds in [
        (None, 0.5), (None, 1.0), (FaultKind.SERVER_ERROR, 3.0), (FaultKind.RATE_LIMITED, 3.0),
        (FaultKind.INVALID_REQUEST, 3.0),
    ]:  # fmt: skip
        activity.heard(OutcomeRecorded(EU, fault, seconds))
    activity.heard(PoolsChanged((EU,), ()))
    activity.over(RECORD)

    assert activity.counts(EU) == {
        "answered": 2,
        "failed": 2,
        "refused": 1,
        "first_content_seconds": 1.5,
        "tokens": TOKENS,
    }
    assert activity.counts(Endpoint("eu", EU.url, "gpt-5-mini"))["answered"] == 0


def test_a_request_that_reached_no_endpoint_counts_for_none() -> None:
    activity = Activity()
    lost = ExchangeRecord("r", "c", "openai-chat", "no-such-model", status=404, outcome="not_found", usage=Usage(5))
    activity.over(lost)

    assert activity.outcomes() == {"not_found": 1}
    assert activity.decisions()[0]["requested"] == "no-such-model"
    assert activity.counts(Endpoint("", "", "")) == activity.counts(EU)
