"""Simulated deployments: what is wrong with them, and when."""

import math
import random

import pytest

from dialects.core.faults import FaultKind, Quota
from simulation.upstream import BROKEN, CUT, Answer, Kind, Latency, Place, RequestQuota, Trouble, Upstream, places

A1, A2, B1 = places("a1 a2 | b1")
EXACT = Latency(first=1.0, rest=4.0, sigma=0.0)


def ask(place: Place, now: float, *troubles: Trouble) -> Answer:
    return Upstream(EXACT, troubles).ask(place, now, random.Random(1))


def refusals(quota: RequestQuota, *moments: float) -> list[float | None]:
    """What requests of subaccount a are told to wait, None where they go through."""
    upstream, rng = Upstream(EXACT, quotas=(quota,)), random.Random(1)
    answers = [upstream.ask(A1, moment, rng) for moment in moments]
    return [answer.refusal and answer.refusal.retry_after for answer in answers]


def test_a_layout_names_places_with_their_tiers() -> None:
    assert (Place("a1", 0), Place("a2", 0), Place("b1", 1)) == (A1, A2, B1)
    assert [place.subaccount for place in (A1, A2, B1)] == ["a", "a", "b"]


def test_a_healthy_endpoint_answers_after_its_latency() -> None:
    assert ask(A1, 0.0) == Answer(1.0, 4.0)


@pytest.mark.parametrize("kind", Kind)
def test_a_check_is_answered_by_what_fails_requests_alone(kind) -> None:
    upstream = Upstream(EXACT, [Trouble(kind, 10.0, 20.0, ("a1",))])
    answered = [upstream.is_alive(A1, 9.9), upstream.is_alive(A1, 10.0), upstream.is_alive(A2, 10.0)]

    assert answered == [True, kind not in (Kind.DOWN, Kind.HANGS), True]


def test_latencies_are_spread_around_their_median() -> None:
    rng = random.Random(1)
    drawn = sorted(Latency(first=2.0, sigma=0.3).draw(rng)[0] for _ in range(1001))

    assert pytest.approx(drawn[500], rel=0.05) == 2.0
    assert pytest.approx(drawn[950], rel=0.1) == 2.0 * math.exp(1.645 * 0.3)


@pytest.mark.parametrize(("place", "now"), [(B1, 15.0), (A1, 3.0), (A1, 20.0)])
def test_trouble_befalls_its_own_places_in_its_own_time(place, now) -> None:
    trouble = Trouble(Kind.DOWN, 10.0, 20.0, ("a1",))

    assert ask(A1, 10.0, trouble).refusal == BROKEN
    assert ask(place, now, trouble) == Answer(1.0, 4.0)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.DOWN, Answer(0.1, refusal=BROKEN)),
        (Kind.FAILS, Answer(0.1, refusal=BROKEN)),
        (Kind.HANGS, Answer(math.inf)),
        (Kind.CUTS, Answer(1.0, 1.2, cut=CUT)),
        (Kind.SLOW, Answer(10.0, 40.0)),
    ],
)
def test_each_kind_of_trouble_has_its_own_answer(kind, expected) -> None:
    assert ask(A1, 15.0, Trouble(kind, 10.0, 20.0, ("a1",), factor=10.0)) == expected


def test_what_is_in_flight_breaks_off_when_an_endpoint_goes_down_and_not_when_it_only_fails() -> None:
    assert ask(A1, 9.5, Trouble(Kind.DOWN, 10.0, 20.0, ("a1",))) == Answer(0.5, refusal=CUT)
    assert ask(A1, 7.0, Trouble(Kind.DOWN, 10.0, 20.0, ("a1",))) == Answer(1.0, 2.0, cut=CUT)
    assert ask(A1, 9.5, Trouble(Kind.FAILS, 10.0, 20.0, ("a1",))) == Answer(1.0, 4.0)


def test_trouble_with_a_chance_befalls_that_share_of_requests() -> None:
    upstream, rng = Upstream(EXACT, [Trouble(Kind.FAILS, 0.0, 10.0, ("a1",), chance=0.3)]), random.Random(1)
    failed = sum(upstream.ask(A1, 5.0, rng).refusal is not None for _ in range(2000))

    assert pytest.approx(failed, rel=0.1) == 600


def test_a_quota_by_the_clock_is_whole_again_with_the_next_minute() -> None:
    assert refusals(RequestQuota(2, ("a",)), 30.0, 35.0, 40.0, 60.0, 61.0, 61.5) == [None, None, 20.0, None, None, 59.0]


def test_a_rolling_quota_frees_a_place_a_minute_after_each_request() -> None:
    quota = RequestQuota(2, ("a",), rolling=True)

    assert refusals(quota, 30.0, 35.0, 40.0, 90.0, 91.5, 95.0) == [None, None, 50.0, None, 4.0, None]


def test_a_refused_request_uses_nothing_up_and_another_subaccount_is_free() -> None:
    quota, rng = RequestQuota(1, ("a",), hints=False), random.Random(1)
    upstream = Upstream(EXACT, quotas=(quota,))
    first, second, sister, other = (upstream.ask(place, 1.0, rng).refusal for place in (A1, A1, A2, B1))

    assert first is None
    assert other is None
    for refusal in (second, sister):
        assert refusal is not None
        assert (refusal.kind, refusal.quota, refusal.retry_after) == (FaultKind.RATE_LIMITED, Quota.MODEL, None)
