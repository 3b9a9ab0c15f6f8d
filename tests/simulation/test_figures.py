"""What is said of a run follows from what happened in it."""

from collections.abc import Sequence

import pytest

from dialects.core.faults import Fault, FaultKind
from simulation.figures import measure
from simulation.records import CallRecord, Records, RequestRecord
from simulation.scenarios import Scenario
from simulation.upstream import BROKEN, CUT, Kind, Trouble
from simulation.workloads import CHAT

POOL = ("a1", "b1")
OUTAGE = Scenario("outage", "", "a1 b1", CHAT, 1.0, (Trouble(Kind.DOWN, 60.0, 75.0, ("a1",)),), start=60.0)
THROTTLED = Fault(FaultKind.RATE_LIMITED, "busy", 429)


def calls(since: float, until: float, *turns: str, fault: Fault | None = None) -> list[CallRecord]:
    """Ten calls a second, which go to places in turn."""
    count = round((until - since) * 10)
    return [CallRecord(turns[n % len(turns)], since + n / 10, fault) for n in range(count)]


def figures_of(
    calls: Sequence[CallRecord] = (), requests: Sequence[RequestRecord] = (), scenario: Scenario = OUTAGE, **ejected
):
    return measure(scenario, Records(list(requests), list(calls), ejected), POOL)


def test_what_came_before_the_trouble_counts_only_for_the_usual_shares() -> None:
    figures = figures_of(calls(20.0, 60.0, "a1", "a1", "b1", fault=BROKEN), [RequestRecord(59.0)])

    assert (figures.requests, figures.errors, figures.wasted) == (0, 0, 0)
    assert pytest.approx(figures.spread, rel=0.01) == 4 / 3


def test_errors_are_before_the_first_word_and_cuts_after_it() -> None:
    requests = [
        RequestRecord(60.0, 61.0, 65.0),
        RequestRecord(60.0, 61.0, 62.0, CUT),
        RequestRecord(60.0, None, 77.5, BROKEN),
        RequestRecord(60.0, None, 61.0, BROKEN),
    ]
    figures = figures_of(requests=requests)

    assert (figures.requests, figures.errors, figures.cut, figures.error_share) == (4, 2, 1, 0.5)
    assert figures.errors_end == 2.5


def test_calls_are_counted_for_each_request_that_came_meanwhile() -> None:
    figures = figures_of(calls(60.0, 75.0, "a1", "b1", "b1"), [RequestRecord(60.0 + n / 10) for n in range(100)])

    assert figures.amplification == 1.5
    assert pytest.approx(figures.share) == 1 / 3


def test_wasted_calls_are_those_of_the_endpoint_that_failed_most() -> None:
    made = calls(60.0, 61.0, "a1", fault=BROKEN) + calls(60.0, 60.5, "b1", fault=CUT) + calls(61.0, 70.0, "a1")

    assert figures_of(made).wasted == 10


def test_an_endpoint_is_back_when_it_has_had_most_of_its_usual_share_for_five_seconds() -> None:
    usual, away = calls(20.0, 60.0, "a1", "b1"), calls(60.0, 90.0, "b1")
    some, most = calls(90.0, 100.0, "a1", "b1", "b1", "b1"), calls(100.0, 135.0, "a1", "a1", "b1")

    assert figures_of([*usual, *away, *some, *most]).readmitted == 27.0
    assert figures_of([*usual, *away, *some]).readmitted is None


def test_an_outage_is_detected_when_its_last_endpoint_is_ejected() -> None:
    both = Scenario("outage", "", "a1 b1", CHAT, 1.0, (Trouble(Kind.DOWN, 60.0, 75.0, POOL),), start=60.0)

    assert figures_of(scenario=both, a1=61.0, b1=64.0).detected == 4.0
    assert figures_of(scenario=both, a1=61.0).detected is None


def test_most_clients_get_the_first_word_within_the_p95() -> None:
    requests = [RequestRecord(60.0, 60.0 + n, 90.0) for n in range(1, 101)]

    assert figures_of(requests=requests).p95 == 95.0
    assert figures_of().p95 is None


def test_answers_and_refusals_are_counted_by_the_minute() -> None:
    made = calls(60.0, 70.0, "a1", fault=THROTTLED) + calls(60.0, 70.0, "a1", fault=BROKEN)
    figures = figures_of(made, [RequestRecord(60.0, 61.0) for _ in range(150)])

    assert (figures.carried, figures.refused) == (120.0, 80.0)
