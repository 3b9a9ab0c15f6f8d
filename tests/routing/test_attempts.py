"""Where the attempts at one request go, how many there are, and what is left of them."""

import dataclasses

import pytest

from dialects.core.faults import Fault, FaultKind, Quota
from routing.availability import NoEndpointError
from routing.classification import CLASSIFICATIONS
from routing.policy import CooldownPolicy, Policy, RetryPolicy
from routing.protocols import OpenAIChatProtocol
from tests.routing.scenes import (
    BAD,
    BUSY,
    DOWN,
    NO_REST,
    OPEN,
    OVERLOADED,
    SPENT,
    all_fail,
    endpoint,
    nothing_in_flight,
    place,
    pool_at,
)


class Ended:
    """The lifetime of a request that may take no longer."""

    def left(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


class TestParts:
    def test_attempts_at_another_part_go_where_the_first_may_go_and_know_nothing_of_its_faults(self, router_of):
        first = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5", sticky="eu/d1")
        next(first).failed(DOWN)
        second = first.again(Ended())
        attempt = next(second)
        attempt.answered()

        assert (place(attempt), attempt.number, second.resolution) == ("eu/d1", 1, first.resolution)
        assert (first.trail, second.trail) == ("eu/d1 500", "eu/d1 ok")
        first.close()
        second.close()

    def test_attempts_at_another_part_have_a_lifetime_of_their_own(self, router_of):
        first = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5")
        second = first.again(Ended())

        assert [all_fail(attempts, DOWN) for attempts in (second, first)] == [["eu/d1"], ["us/d7", "eu/d1", "us/d7"]]


class TestOneAttemptAfterAnother:
    def test_the_first_that_answers_is_the_last(self, router_of):
        attempts = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5")
        went = []
        for attempt in attempts:
            attempt.answered()
            attempt.lease.close()
            went.append((attempt.number, place(attempt), attempt.fault))

        assert went == [(1, "eu/d1", None)]
        assert attempts.fault is None
        assert attempts.trail == "eu/d1 ok"

    def test_the_cause_of_a_failure_is_logged_and_its_message_is_not(self, router_of, caplog):
        caplog.set_level("INFO", "routing.attempts")
        attempts = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5")
        next(attempts).failed(dataclasses.replace(DOWN, message="secret", cause="the connection was refused"))
        next(attempts).failed(dataclasses.replace(DOWN, message="secret"))

        assert [each for each in caplog.messages if "failed" in each] == [
            "attempt 1 at eu/d1 failed: the connection was refused"
        ]

    def test_the_next_goes_elsewhere_at_once(self, router_of, clock):
        attempts = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5")
        first = next(attempts)
        first.failed(OVERLOADED)
        second = next(attempts)
        second.answered()

        assert [(first.number, place(first)), (second.number, place(second))] == [(1, "eu/d1"), (2, "us/d7")]
        assert attempts.trail == "eu/d1 503 → us/d7 ok"
        assert clock.slept == []
        with pytest.raises(StopIteration):
            next(attempts)

    def test_no_endpoint_is_tried_twice_while_there_is_another(self, router_of):
        policy = Policy(retry=RetryPolicy(max_attempts=5))
        went = all_fail(
            router_of(pool_at("eu/d1", "eu/d2", "us/d3", "us/d4", "us/d5"), policy).attempts("gpt-5"), OVERLOADED
        )

        assert sorted(went) == ["eu/d1", "eu/d2", "us/d3", "us/d4", "us/d5"]

    def test_there_are_three_attempts_at_most(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "eu/d2", "us/d3", "us/d4"))
        attempts = router.attempts("gpt-5")

        assert len(all_fail(attempts, OVERLOADED)) == 3
        assert attempts.fault == OVERLOADED
        assert clock.slept == []
        assert nothing_in_flight(router)

    def test_the_last_fault_is_what_is_left(self, router_of):
        attempts = router_of(pool_at("eu/d1", "us/d7", "ap/d9")).attempts("gpt-5")
        last = Fault(FaultKind.SERVER_ERROR, "boom", 500)

        all_fail(attempts, OVERLOADED, OVERLOADED, last)

        assert attempts.fault is last

    @pytest.mark.parametrize("kind", FaultKind)
    def test_only_what_may_go_better_elsewhere_is_tried_elsewhere(self, router_of, kind):
        attempts = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5")
        next(attempts).failed(Fault(kind, "x", quota=Quota.ENDPOINT))

        assert len(list(attempts)) == CLASSIFICATIONS[kind].try_elsewhere

    def test_a_callers_mistake_costs_one_call(self, router_of):
        attempts = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5")

        assert all_fail(attempts, BAD) == ["eu/d1"]
        assert BAD is attempts.fault

    def test_an_attempt_that_nothing_was_said_of_is_the_last(self, router_of):
        attempts = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5")
        next(attempts)

        assert list(attempts) == []
        assert attempts.trail == "eu/d1 open"

    def test_without_retries_there_is_one(self, router_of):
        assert len(all_fail(router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5", retry=False), OVERLOADED)) == 1

    def test_what_is_over_stays_over(self, router_of):
        attempts = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5")
        first = next(attempts)
        assert list(attempts) == []
        first.failed(OVERLOADED)

        assert list(attempts) == []

    def test_a_probe_is_not_taken_by_the_last_attempt_of_several(self, router_of, monkeypatch):
        router = router_of(pool_at("eu/d1", "us/d7", "ap/d9"))
        acquire, asked = router.balancer.acquire, []
        monkeypatch.setattr(
            router.balancer, "acquire", lambda *a, **k: asked.append(k["can_fail_over"]) or acquire(*a, **k)
        )
        all_fail(router.attempts("gpt-5"), OVERLOADED)
        all_fail(router.attempts("gpt-5", retry=False), OVERLOADED)

        assert asked == [True, True, False, True]

    @pytest.mark.parametrize(("most", "retry"), [(1, True), (1, False), (3, False)])
    def test_where_no_request_can_fail_over_a_healed_endpoint_is_found_all_the_same(
        self, router_of, clock, most, retry
    ):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(retry=RetryPolicy(max_attempts=most)))
        broken = router.balancer.endpoints("gpt-5")[0]
        for _ in range(10):
            attempt = next(router.attempts("gpt-5", retry=False))
            attempt.failed(DOWN) if attempt.endpoint == broken else attempt.answered()
            attempt.lease.close()
        assert OPEN is router.balancer.breaker(broken).state
        clock.now += 15
        went = []
        for _ in range(10):
            with router.attempts("gpt-5", retry=retry) as attempts:
                attempt = next(attempts)
                attempt.answered()
                attempt.lease.close()
                went.append(place(attempt))
            clock.now += 30

        assert (went[0], went.count("eu/d1")) == ("eu/d1", 5)


class TestQuotas:
    def test_after_a_429_of_ai_core_the_whole_domain_is_left_alone(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "eu/d2", "us/d7"), Policy(cooldown=NO_REST))
        went = all_fail(router.attempts("gpt-5"), dataclasses.replace(SPENT, retry_after=0), OVERLOADED)

        assert went[:2] == ["eu/d1", "us/d7"]
        assert clock.slept == [0.125]

    def test_after_a_429_of_the_provider_only_the_endpoint_is(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "eu/d2"), Policy(cooldown=NO_REST, retry=RetryPolicy(max_attempts=2)))
        fault = dataclasses.replace(BUSY, retry_after=0)

        assert all_fail(router.attempts("gpt-5"), fault) == ["eu/d1", "eu/d2"]
        assert clock.slept == []

    def test_another_fault_does_not_spend_the_domain(self, router_of, clock):
        fault = dataclasses.replace(OVERLOADED, quota=Quota.MODEL)
        router = router_of(pool_at("eu/d1", "eu/d2"), Policy(retry=RetryPolicy(max_attempts=2)))

        assert all_fail(router.attempts("gpt-5"), fault) == ["eu/d1", "eu/d2"]
        assert clock.slept == []

    def test_after_the_pause_a_domain_may_be_asked_again(self, router_of):
        router = router_of(pool_at("eu/d1"), Policy(cooldown=NO_REST))

        assert all_fail(router.attempts("gpt-5"), dataclasses.replace(SPENT, retry_after=0)) == ["eu/d1"] * 3


class TestTheRefusal:
    """What a caller is told when no attempt is left."""

    def refusal(self, router_of, *faults: Fault, policy: Policy | None = None, places=("eu/d1", "us/d7")) -> Fault:
        attempts = router_of(pool_at(*places), policy or Policy(cooldown=NO_REST)).attempts("gpt-5")
        all_fail(attempts, *faults)
        return attempts.final_fault

    def test_it_says_when_the_first_of_all_is_back(self, router_of):
        near, far = (dataclasses.replace(BUSY, retry_after=seconds) for seconds in (15.0, 200.0))

        assert dataclasses.replace(far, retry_after=15.0) == self.refusal(router_of, near, far)
        assert dataclasses.replace(near, retry_after=15.0) == self.refusal(router_of, far, near)

    def test_it_says_so_without_a_hint_too(self, router_of):
        policy = Policy(cooldown=dataclasses.replace(NO_REST, base=7.0))

        assert dataclasses.replace(SPENT, retry_after=7.0) == self.refusal(router_of, SPENT, policy=policy)

    def test_a_request_a_moment_later_is_told_the_same(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(cooldown=CooldownPolicy(jitter=0.1)))
        attempts = router.attempts("gpt-5")
        all_fail(attempts, SPENT)
        clock.now += 0.25
        with pytest.raises(NoEndpointError) as caught:
            next(router.attempts("gpt-5"))

        assert attempts.final_fault.retry_after == caught.value.fault.retry_after
        assert 4.75 < caught.value.fault.retry_after < 5.25

    def test_where_somebody_could_take_it_the_time_is_now(self, router_of):
        fault = dataclasses.replace(BUSY, retry_after=60.0)
        policy = Policy(cooldown=NO_REST, retry=RetryPolicy(max_attempts=1))

        assert self.refusal(router_of, fault, policy=policy).retry_after == 0.0

    def test_refused_credentials_and_hinted_overloads_rest_as_well(self, router_of):
        overloaded = dataclasses.replace(OVERLOADED, retry_after=40.0)
        refused = Fault(FaultKind.REFUSED_CREDENTIALS, "no", 401)

        assert dataclasses.replace(overloaded, retry_after=40.0) == self.refusal(router_of, refused, overloaded)
        assert dataclasses.replace(refused, retry_after=40.0) == self.refusal(router_of, overloaded, refused)

    @pytest.mark.parametrize("fault", [OVERLOADED, BAD, Fault(FaultKind.SERVER_ERROR, "boom", 500)])
    def test_a_fault_that_rests_nobody_is_told_as_it_is(self, router_of, fault):
        assert fault is self.refusal(router_of, dataclasses.replace(BUSY, retry_after=60.0), fault)

    def test_it_is_only_of_where_the_request_may_go(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(cooldown=NO_REST))
        attempts = router.attempts("gpt-5", sticky="us/d7")
        all_fail(attempts, dataclasses.replace(BUSY, retry_after=60.0))

        assert attempts.final_fault.retry_after == 60.0

    def test_a_model_that_has_left_has_no_time_to_come_back(self, router_of):
        router = router_of(pool_at("eu/d1"), Policy(cooldown=NO_REST))
        attempts = router.attempts("gpt-5")
        next(attempts).failed(SPENT)
        router.balancer.replace_pools({})

        assert SPENT is attempts.final_fault

    def test_without_attempts_there_is_none(self, router_of):
        assert router_of(pool_at("eu/d1")).attempts("gpt-5").final_fault is None


class TestOwnership:
    def test_a_protocol_that_raises_whatever_it_likes_leaves_no_lease_behind(self, router_of):
        class Moody(OpenAIChatProtocol):
            asked = 0

            def speaks(self, *asked: object) -> bool:
                self.asked += 1
                if self.asked > 1:
                    raise RuntimeError("a defect of an extension")
                return super().speaks(*asked)

        pool = {"gpt-5": [endpoint("eu", "d1", "gpt-5"), endpoint("us", "d7", "gpt-5", runs="gpt-4.1")]}
        router = router_of(pool, protocols=[Moody()])
        attempts = router.attempts("gpt-5")
        next(attempts).failed(OVERLOADED)
        with pytest.raises(RuntimeError) as caught:
            next(attempts)

        assert nothing_in_flight(router)
        assert caught.tb, "while this lives, nothing that was forgotten is collected"

    def test_callers_that_leave_in_mid_stream_make_no_broken_endpoint_good(self, router_of):
        router = router_of(pool_at("eu/d1"))
        left = Fault(FaultKind.CALLER_LEFT, "left")
        for fault in (DOWN, left, DOWN, left, DOWN, left, DOWN, left, DOWN):
            attempt = next(router.attempts("gpt-5"))
            attempt.answered()
            attempt.failed(fault)

        assert [state.circuit for state in router.balancer.snapshot()] == [OPEN]

    def test_closing_gives_back_a_lease_that_nothing_became_of(self, router_of):
        router = router_of(pool_at("eu/d1"))
        with router.attempts("gpt-5") as attempts:
            next(attempts)
            assert not nothing_in_flight(router)

        assert nothing_in_flight(router)
        assert list(attempts) == []

    def test_closing_before_the_first_attempt_makes_none(self, router_of):
        router = router_of(pool_at("eu/d1"))
        attempts = router.attempts("gpt-5")
        attempts.close()
        attempts.close()

        assert list(attempts) == []
        assert attempts.trail == ""
        assert nothing_in_flight(router)


class TestTheTrail:
    @pytest.mark.parametrize(
        ("fault", "outcome"),
        [
            (OVERLOADED, "503"),
            (Fault(FaultKind.SERVER_ERROR, "x", 400), "400"),
            (Fault(FaultKind.TIMEOUT, "x"), "timeout"),
            (Fault(FaultKind.STREAM_BROKEN, "x", 200), "stream_broken"),
        ],
    )
    def test_it_tells_what_became_of_each_attempt(self, router_of, fault, outcome):
        attempts = router_of(pool_at("eu/d1")).attempts("gpt-5")
        next(attempts).failed(fault)

        assert attempts.trail == f"eu/d1 {outcome}"

    def test_a_stream_that_broke_after_it_answered_did_not_end_well(self, router_of):
        attempts = router_of(pool_at("eu/d1")).attempts("gpt-5")
        attempt = next(attempts)
        attempt.answered()
        attempt.failed(Fault(FaultKind.STREAM_BROKEN, "cut"))

        assert attempts.trail == "eu/d1 stream_broken"
