"""Requests that cannot be written for orchestration, or for it alone: they go where they can, or say why none can."""

from collections import Counter
from dataclasses import replace

import pytest

from dialects.core.faults import Fault, FaultKind
from routing.availability import NoEndpointError
from routing.policy import CooldownPolicy, Policy
from routing.strategy import SelectionContext
from tests.routing.scenes import BUSY, DOWN, EU1, OVERLOADED, US1, all_fail, endpoint, nothing_in_flight, place

SPARE = endpoint("eu", "orchestration", orchestration=True, standby=True)
FAR_SPARE = endpoint("us", "orchestration", orchestration=True, standby=True)
UNWRITABLE = Fault(FaultKind.INVALID_REQUEST, "orchestration embeds text, not tokens", 400, unasked=True)
AT_ONCE = Policy(cooldown=CooldownPolicy(wait_at_most=0, jitter=0, floor=0))


def outcome(attempts, *, fault=DOWN):
    """Let every endpoint fail that is asked, and orchestration not be asked; where it went."""
    went = []
    for attempt in attempts:
        attempt.failed(UNWRITABLE if attempt.endpoint.orchestration else fault)
        went.append(place(attempt))
    return went


def test_what_failed_where_it_could_be_asked_is_what_the_caller_is_told(router_of):
    attempts = router_of({"m": [EU1, SPARE, FAR_SPARE]}).attempts("m")
    went = outcome(attempts, fault=OVERLOADED)

    assert went[:2] == ["eu/d1", "us/orchestration"]
    assert "eu/orchestration" not in went
    assert attempts.final_fault.kind is FaultKind.OVERLOADED


def test_a_refusal_that_is_ours_does_not_hide_a_quota_that_is_used_up(router_of):
    attempts = router_of({"m": [EU1, SPARE]}, AT_ONCE).attempts("m")

    assert outcome(attempts, fault=replace(BUSY, retry_after=40)) == ["eu/d1", "eu/orchestration"]
    assert attempts.final_fault.kind is FaultKind.RATE_LIMITED
    assert attempts.final_fault.retry_after == 40


def test_where_it_can_be_asked_it_is_asked_again_as_often_as_without_orchestration(router_of):
    alone = all_fail(router_of({"m": [EU1]}).attempts("m"), DOWN)
    beside = outcome(router_of({"m": [EU1, SPARE]}).attempts("m"))

    assert [where for where in beside if where == "eu/d1"] == alone


def test_the_time_until_it_can_be_asked_is_told_where_only_orchestration_is_available(router_of, clock):
    router = router_of({"m": [EU1, US1, SPARE]}, AT_ONCE)
    for each in ("eu/d1", "us/d7"):
        next(router.attempts("m", sticky=each, retry=False)).failed(replace(BUSY, retry_after=40))
    attempts = router.attempts("m")
    next(attempts).failed(UNWRITABLE)
    with pytest.raises(NoEndpointError) as error:
        next(attempts)

    assert (error.value.fault.kind, error.value.fault.retry_after) == (FaultKind.RATE_LIMITED, 40)
    assert nothing_in_flight(router)


def test_it_waits_for_where_it_can_be_asked_as_any_request_does(router_of, clock):
    router = router_of({"m": [EU1, SPARE]})
    next(router.attempts("m", sticky="d1", retry=False)).failed(replace(BUSY, retry_after=1))
    attempts = router.attempts("m")
    next(attempts).failed(UNWRITABLE)

    assert place(next(attempts)) == "eu/d1"
    assert sum(clock.slept) >= 1


def test_without_another_kind_of_deployment_the_caller_is_told_what_cannot_be_asked(router_of):
    attempts = router_of({"m": [SPARE, FAR_SPARE]}).attempts("m")

    assert outcome(attempts) == ["eu/orchestration"]
    assert attempts.final_fault == UNWRITABLE


def test_what_is_drained_does_not_help(router_of):
    attempts = router_of({"m": [replace(EU1, weight=0), SPARE]}).attempts("m")

    assert outcome(attempts) == ["eu/orchestration"]
    assert attempts.final_fault == UNWRITABLE


def test_of_those_where_it_can_be_asked_the_strategy_selects_and_that_is_why(router_of):
    router = router_of({"m": [EU1, replace(US1, weight=3), SPARE]}, Policy(strategy="weighted"))
    went = []
    for _ in range(8):
        attempts = router.attempts("m", context=SelectionContext(preferred=SPARE))
        next(attempts).failed(UNWRITABLE)
        attempt = next(attempts)
        went.append(place(attempt))
        attempt.lease.close()

        assert attempts.reasons == ("preferred", "weighted")
    assert Counter(went) == {"us/d7": 6, "eu/d1": 2}


def test_nothing_is_learnt_of_what_was_not_asked(router_of):
    router = router_of({"m": [SPARE]})
    outcome(router.attempts("m"))

    assert [(state.circuit.value, state.seconds) for state in router.balancer.snapshot()] == [("closed", 0.0)]
