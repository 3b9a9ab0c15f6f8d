"""How long a request waits to be tried again, and when it gives up: pauses, the deadline, the budget."""

import dataclasses

import pytest

from dialects.core.faults import Fault, FaultKind
from routing.availability import NoEndpointError
from routing.load_balancer import LoadBalancer
from routing.policy import BreakerPolicy, CooldownPolicy, ModelPolicy, Policy, RetryPolicy, Timeouts
from routing.request_router import RequestRouter
from tests.routing.scenes import (
    BAD,
    BUSY,
    NO_REST,
    OVERLOADED,
    SPENT,
    all_fail,
    nothing_in_flight,
    place,
    pool_at,
)


class TestNoElsewhere:
    @pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
    def test_the_same_endpoints_are_tried_again_after_a_pause_of_full_jitter(self, router_of, clock, chance):
        policy = Policy(retry=RetryPolicy(max_attempts=5, backoff_cap=1.0))
        went = all_fail(router_of(pool_at("eu/d1"), policy, chance).attempts("gpt-5"), OVERLOADED)

        assert went == ["eu/d1"] * 5
        assert clock.slept == [0.25 * chance, 0.5 * chance, 1.0 * chance, 1.0 * chance]

    def test_what_was_paused_is_known(self, router_of):
        attempts = router_of(pool_at("eu/d1"), Policy(retry=RetryPolicy(max_attempts=3))).attempts("gpt-5")
        next(attempts).failed(OVERLOADED)
        before = attempts.paused
        all_fail(attempts, OVERLOADED)

        assert (before, attempts.paused) == (0.0, 0.125 + 0.25)

    def test_a_pause_that_is_left_to_others_is_gone_on_from(self, router_of, clock):
        class LaterError(Exception):
            pass

        class Interrupted:
            def left(self):
                return 60.0

            def sleep(self, seconds):
                raise LaterError(seconds)

        fault = dataclasses.replace(OVERLOADED, retry_after=4.0)
        policy = Policy(cooldown=NO_REST, retry=RetryPolicy(max_attempts=3))
        attempts = router_of(pool_at("eu/d1"), policy).attempts("gpt-5", lifetime=Interrupted())
        attempt, paused = next(attempts), []
        for _ in range(2):
            attempt.failed(fault)
            with pytest.raises(LaterError, match="4"):
                next(attempts)
            clock.now += 4.0
            attempt = next(attempts)
            paused.append(attempts.paused)
        attempt.failed(fault)

        assert paused == [4.0, 8.0]
        assert next(attempts, None) is None
        assert attempts.trail == "eu/d1 503 → eu/d1 503 → eu/d1 503"

    def test_pauses_and_new_rounds_alternate(self, router_of, clock):
        policy = Policy(retry=RetryPolicy(max_attempts=5))
        went = all_fail(router_of(pool_at("eu/d1", "us/d7"), policy).attempts("gpt-5"), OVERLOADED)

        assert sorted(went[:2]) == sorted(went[2:4]) == ["eu/d1", "us/d7"]
        assert clock.slept == [0.125, 0.25]

    def test_a_hint_is_waited_for(self, router_of, clock):
        fault = dataclasses.replace(OVERLOADED, retry_after=10.0)
        policy = Policy(cooldown=NO_REST, retry=RetryPolicy(max_attempts=2))

        assert all_fail(router_of(pool_at("eu/d1"), policy).attempts("gpt-5"), fault) == ["eu/d1", "eu/d1"]
        assert clock.slept == [10.0]

    def test_a_hint_that_is_too_long_is_passed_on(self, router_of, clock):
        fault = dataclasses.replace(OVERLOADED, retry_after=10.5)
        attempts = router_of(pool_at("eu/d1"), Policy(cooldown=NO_REST)).attempts("gpt-5")

        assert all_fail(attempts, fault) == ["eu/d1"]
        assert clock.slept == []
        assert attempts.fault is fault

    def test_the_jitter_on_a_cooling_is_waited_for_too(self, router_of, clock):
        fault = dataclasses.replace(BUSY, retry_after=4.0)
        policy = Policy(cooldown=CooldownPolicy(jitter=0.1), retry=RetryPolicy(max_attempts=2))

        assert all_fail(router_of(pool_at("eu/d1"), policy).attempts("gpt-5"), fault) == ["eu/d1", "eu/d1"]
        assert len(clock.slept) == 1
        assert 4.0 < clock.slept[0] <= 4.4

    def test_so_is_the_jitter_on_the_longest_hint_that_is_waited_for(self, router_of, clock):
        fault = dataclasses.replace(BUSY, retry_after=10.0)
        policy = Policy(cooldown=CooldownPolicy(jitter=0.1), retry=RetryPolicy(max_attempts=2))

        assert all_fail(router_of(pool_at("eu/d1"), policy).attempts("gpt-5"), fault) == ["eu/d1", "eu/d1"]
        assert 10.0 < clock.slept[0] <= 11.0

    @pytest.mark.parametrize("short", [0.75, 1.5])
    def test_a_short_cooling_without_a_hint_is_waited_for(self, router_of, clock, short):
        policy = Policy(cooldown=dataclasses.replace(NO_REST, base=short), retry=RetryPolicy(max_attempts=2))

        assert all_fail(router_of(pool_at("eu/d1"), policy).attempts("gpt-5"), BUSY) == ["eu/d1", "eu/d1"]
        assert clock.slept == [short + (2.0 - short) / 2]

    def test_a_request_that_says_nothing_of_itself_has_no_home(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(strategy="cache-affinity"))

        assert {place(next(router.attempts("gpt-5"))) for _ in range(2)} == {"eu/d1", "us/d7"}

    def test_open_circuits_are_no_obstacle_where_all_are_open(self, router_of, clock):
        policy = Policy(breaker=BreakerPolicy(failure_threshold=1))
        went = all_fail(router_of(pool_at("eu/d1", "us/d7"), policy).attempts("gpt-5"), OVERLOADED)

        assert went == ["eu/d1", "us/d7", "eu/d1"]
        assert clock.slept == [0.125]

    @pytest.mark.parametrize(
        "fault",
        [
            SPENT,
            BUSY,
            Fault(FaultKind.REFUSED_CREDENTIALS, "no", 401),
            Fault(FaultKind.REFUSED_CREDENTIALS, "no", 401, retry_after=1),
            Fault(FaultKind.GONE, "gone", 404),
        ],
    )
    def test_nobody_waits_for_a_long_cooling(self, router_of, clock, fault):
        attempts = router_of(pool_at("eu/d1", "eu/d2")).attempts("gpt-5")
        all_fail(attempts, fault)

        assert attempts.fault is fault
        assert clock.slept == []


class TestAllCooling:
    def cooled(self, router_of, seconds: float, **more) -> RequestRouter:
        """Build a router whose one endpoint cools for so many seconds."""
        router = router_of(pool_at("eu/d1"), Policy(cooldown=NO_REST), **more)
        next(router.attempts("gpt-5", retry=False)).failed(dataclasses.replace(BUSY, retry_after=seconds))
        return router

    def test_what_ends_soon_is_waited_for_once_with_jitter(self, router_of, clock):
        policy = Policy(cooldown=CooldownPolicy(jitter=0.1))
        router = router_of(pool_at("eu/d1"), policy, chance=0.5)
        next(router.attempts("gpt-5", retry=False)).failed(dataclasses.replace(BUSY, retry_after=1.5))
        [row] = router.balancer.snapshot("gpt-5")

        assert place(next(router.attempts("gpt-5"))) == "eu/d1"
        assert clock.slept == [pytest.approx(row.seconds + (2.0 - row.seconds) / 2)]

    def test_what_ends_later_is_a_429_that_says_when(self, router_of, clock):
        router = self.cooled(router_of, 2.1)
        with pytest.raises(NoEndpointError) as caught:
            next(router.attempts("gpt-5"))

        assert FaultKind.RATE_LIMITED is caught.value.fault.kind
        assert caught.value.fault.retry_after == pytest.approx(2.1)
        assert clock.slept == []

    def test_nobody_waits_twice(self, router_of, clock):
        router = self.cooled(router_of, 2.0)
        others = router.attempts("gpt-5", retry=False)

        def meanwhile(seconds: float) -> None:
            clock.sleep(seconds)
            if len(clock.slept) == 1:
                next(others).failed(dataclasses.replace(BUSY, retry_after=1.0))

        router._environment = dataclasses.replace(router._environment, sleep=meanwhile)
        attempts = router.attempts("gpt-5")
        with pytest.raises(NoEndpointError):
            next(attempts)

        assert clock.slept == [2.0]
        assert list(attempts) == []

    def test_the_faults_of_earlier_attempts_come_before_a_want_of_endpoints(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(cooldown=NO_REST))
        next(router.attempts("gpt-5", retry=False)).failed(dataclasses.replace(BUSY, retry_after=60))
        attempts = router.attempts("gpt-5")
        fault = dataclasses.replace(BUSY, retry_after=20)

        assert all_fail(attempts, fault) == ["us/d7"]
        assert attempts.fault is fault


class TestTheDeadline:
    def test_no_attempt_begins_after_it(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(timeouts=Timeouts(total=30)))
        attempts = router.attempts("gpt-5")
        first = next(attempts)
        clock.now += 30
        first.failed(OVERLOADED)

        assert list(attempts) == []
        assert OVERLOADED is attempts.fault

    def test_an_attempt_may_begin_just_before_it(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(timeouts=Timeouts(total=30)))
        attempts = router.attempts("gpt-5")
        first = next(attempts)
        clock.now += 29.9
        first.failed(OVERLOADED)

        assert place(next(attempts)) == "us/d7"

    def test_nobody_sleeps_past_it(self, router_of, clock):
        policy = Policy(cooldown=NO_REST, timeouts=Timeouts(total=5))
        attempts = router_of(pool_at("eu/d1"), policy).attempts("gpt-5")

        assert all_fail(attempts, dataclasses.replace(OVERLOADED, retry_after=5)) == ["eu/d1"]
        assert clock.slept == []

    def test_a_model_may_have_its_own(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(models={"gpt-5": ModelPolicy(total=10)}))
        attempts = router.attempts("gpt-5")
        first = next(attempts)
        clock.now += 11
        first.failed(OVERLOADED)

        assert list(attempts) == []


class TestTheBudget:
    def test_an_outage_is_not_amplified(self, router_of):
        policy = Policy(retry=RetryPolicy(budget_reserve=3, budget_ratio=0.2))
        router = router_of(pool_at("eu/d1", "us/d7", "ap/d9"), policy)
        calls = sum(len(all_fail(router.attempts("gpt-5"), OVERLOADED)) for _ in range(20))

        assert calls == 20 + 3 + 4

    def test_an_empty_budget_gives_the_real_fault(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(retry=RetryPolicy(budget_reserve=0)))
        attempts = router.attempts("gpt-5")

        assert all_fail(attempts, OVERLOADED) == ["eu/d1"]
        assert OVERLOADED is attempts.fault

    def test_a_callers_mistake_takes_nothing_from_it(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(retry=RetryPolicy(budget_reserve=1, budget_ratio=0)))
        all_fail(router.attempts("gpt-5"), BAD)

        assert len(all_fail(router.attempts("gpt-5"), OVERLOADED)) == 2

    @pytest.mark.parametrize("fault", [dataclasses.replace(BUSY, retry_after=200.0), SPENT])
    def test_a_retry_that_is_not_made_for_want_of_an_elsewhere_takes_nothing_from_it(self, router_of, fault):
        router = router_of(pool_at("eu/d1", "eu/d2"), Policy(retry=RetryPolicy(budget_ratio=0)))
        attempts = router.attempts("gpt-5", sticky="eu/d1")

        assert all_fail(attempts, fault) == ["eu/d1"]
        assert router._environment.budget.balance("gpt-5") == 10
        assert not attempts.unaffordable

    def test_each_retry_takes_one(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7", "ap/d9"), Policy(retry=RetryPolicy(budget_ratio=0)))
        all_fail(router.attempts("gpt-5"), OVERLOADED)

        assert router._environment.budget.balance("gpt-5") == 15 - 2

    @pytest.mark.parametrize(("endpoints", "threshold", "reserve"), [(1, 5, 10), (2, 5, 10), (6, 5, 30), (6, 2, 12)])
    def test_there_is_enough_to_find_every_broken_endpoint_once(self, router_of, endpoints, threshold, reserve):
        policy = Policy(breaker=BreakerPolicy(failure_threshold=threshold), retry=RetryPolicy(budget_ratio=0))
        router = router_of(pool_at(*(f"eu/d{number}" for number in range(endpoints))), policy)

        assert reserve == router._environment.budget.balance("gpt-5")

    def test_it_is_known_that_it_was_empty(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(retry=RetryPolicy(budget_reserve=1, budget_ratio=0)))
        attempts = router.attempts("gpt-5")
        first = next(attempts)
        first.failed(OVERLOADED)
        next(attempts).failed(OVERLOADED)
        before = attempts.unaffordable

        assert list(attempts) == []
        assert (before, attempts.unaffordable) == (False, True)

    def test_of_two_that_would_take_the_last_retry_one_goes_without(self, router_of, clock):
        """Both find one left; while the first pauses, the second takes it."""
        policy = Policy(retry=RetryPolicy(budget_reserve=1, budget_ratio=0))
        router = router_of(pool_at("eu/d1"), policy)
        others = router.attempts("gpt-5")
        next(others).failed(OVERLOADED)

        def meanwhile(seconds: float) -> None:
            clock.sleep(seconds)
            if len(clock.slept) == 1:
                next(others).lease.close()

        router._environment = dataclasses.replace(router._environment, sleep=meanwhile)
        others._environment = dataclasses.replace(others._environment, sleep=clock.sleep)
        attempts = router.attempts("gpt-5")

        assert all_fail(attempts, OVERLOADED) == ["eu/d1"]
        assert attempts.unaffordable
        assert nothing_in_flight(router)


def test_by_default_a_pause_is_a_real_one():
    policy = Policy(retry=RetryPolicy(max_attempts=2, backoff_base=0.001))
    attempts = RequestRouter(LoadBalancer(pool_at("eu/d1"), policy=policy)).attempts("gpt-5")

    assert all_fail(attempts, OVERLOADED) == ["eu/d1", "eu/d1"]
