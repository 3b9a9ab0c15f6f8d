"""What becomes of a request that a provider refuses, and of the endpoint that did."""

import dataclasses

import pytest

from dialects.core.faults import Fault, FaultKind
from routing.attempts import Attempt, Attempts
from routing.availability import NoEndpointError
from routing.health import CircuitBreaker
from routing.policy import BreakerPolicy, Policy, RetryPolicy
from routing.request_router import RequestRouter
from tests.routing.scenes import (
    BAD,
    CLOSED,
    DOWN,
    FORBIDDEN,
    HALF_OPEN,
    MISSING,
    OPEN,
    CircuitScene,
    all_fail,
    endpoint,
    nothing_in_flight,
    place,
    pool_at,
)

KEEN = Policy(breaker=BreakerPolicy(failure_threshold=3, timeout_jitter=0), retry=RetryPolicy(budget_reserve=1_000))
TWO = pool_at("eu/d1", "us/d7")


def circuits(router: RequestRouter) -> dict[str, str]:
    """How each endpoint's circuit stands, or that it rests."""
    return {
        f"{state.endpoint.subaccount}/{state.endpoint.deployment}": state.availability.value
        for state in router.balancer.snapshot()
    }


def refused_by(router: RequestRouter, *refusing: str, fault: Fault = FORBIDDEN) -> Attempts:
    """Make one request, which these places refuse and any other takes."""
    attempts = router.attempts("gpt-5")
    for attempt in attempts:
        if place(attempt) in refusing:
            attempt.failed(fault)
        else:
            attempt.answered()
            attempt.lease.close()
    return attempts


class TestTheRequest:
    @pytest.mark.parametrize("fault", [FORBIDDEN, MISSING], ids=lambda fault: fault.kind.value)
    def test_one_other_subaccount_is_asked_and_then_the_caller_is_told(self, router_of, clock, fault):
        router = router_of(pool_at("eu/d1", "eu/d2", "us/d7", "ap/d9"))
        attempts = router.attempts("gpt-5")
        went = all_fail(attempts, fault)

        assert went == ["eu/d1", "us/d7"]
        assert fault is attempts.final_fault
        assert clock.slept == []
        assert nothing_in_flight(router)

    def test_another_subaccount_is_asked_before_another_deployment_whatever_the_strategy(self, router_of):
        pool = [endpoint("eu", "d1", "gpt-5"), endpoint("eu", "d2", "gpt-5"), endpoint("us", "d7", "gpt-5", tier=9)]
        attempts = router_of({"gpt-5": pool}, Policy(strategy="priority")).attempts("gpt-5")

        assert all_fail(attempts, FORBIDDEN) == ["eu/d1", "us/d7"]

    def test_it_need_not_be_refused_in_the_same_words(self, router_of):
        attempts = router_of(pool_at("eu/d1", "us/d7", "ap/d9")).attempts("gpt-5")

        assert len(all_fail(attempts, FORBIDDEN, MISSING)) == 2
        assert MISSING is attempts.final_fault

    def test_where_there_is_no_other_subaccount_another_deployment_is_asked(self, router_of):
        attempts = router_of(pool_at("eu/d1", "eu/d2", "eu/d3")).attempts("gpt-5")

        assert all_fail(attempts, FORBIDDEN) == ["eu/d1", "eu/d2"]

    def test_where_there_is_no_other_endpoint_nobody_waits(self, router_of, clock):
        attempts = router_of(pool_at("eu/d1")).attempts("gpt-5")

        assert all_fail(attempts, FORBIDDEN) == ["eu/d1"]
        assert FORBIDDEN is attempts.final_fault
        assert clock.slept == []

    def test_what_continues_something_is_not_asked_of_others(self, router_of):
        attempts = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5", sticky="us/d7")

        assert all_fail(attempts, MISSING) == ["us/d7"]

    def test_a_failure_on_the_way_is_no_second_opinion(self, router_of):
        places = pool_at("eu/d1", "us/d7", "ap/d9")

        assert len(all_fail(router_of(places).attempts("gpt-5"), FORBIDDEN, DOWN, FORBIDDEN)) == 3
        assert len(all_fail(router_of(places).attempts("gpt-5"), DOWN, FORBIDDEN, FORBIDDEN)) == 3

    def test_who_refused_is_not_asked_again_after_a_pause(self, router_of, clock):
        attempts = router_of(TWO).attempts("gpt-5")

        assert all_fail(attempts, FORBIDDEN, DOWN) == ["eu/d1", "us/d7", "us/d7"]
        assert len(clock.slept) == 1


class TestTheEndpoint:
    @pytest.mark.parametrize("fault", [FORBIDDEN, MISSING], ids=lambda fault: fault.kind.value)
    def test_however_often_both_refuse_nobody_rests_and_no_circuit_opens(self, router_of, fault):
        router = router_of(TWO, KEEN)
        for _ in range(20):
            assert refused_by(router, "eu/d1", "us/d7", fault=fault).trail.count("→") == 1

        assert circuits(router) == {"eu/d1": "ready", "us/d7": "ready"}

    def test_one_that_refuses_what_others_take_opens_as_any_that_fails(self, router_of, clock):
        router = router_of(TWO, KEEN)
        went = [refused_by(router, "eu/d1").trail for _ in range(8)]

        assert sum("eu/d1 403" in trail for trail in went) == 3
        assert all(trail.endswith("us/d7 ok") for trail in went)
        assert circuits(router) == {"eu/d1": "open", "us/d7": "ready"}

        clock.now += 10

        assert refused_by(router, "eu/d1").trail == "eu/d1 403 → us/d7 ok"
        assert circuits(router) == {"eu/d1": "open", "us/d7": "ready"}

    def test_an_answer_between_two_refusals_proves_that_it_does_not_refuse_everything(self, router_of):
        router = router_of(TWO, KEEN)
        for _ in range(20):
            refused_by(router, "eu/d1")
            refused_by(router)
            refused_by(router)

        assert circuits(router) == {"eu/d1": "ready", "us/d7": "ready"}

    @pytest.mark.parametrize("said", [BAD, DOWN])
    def test_another_one_that_fails_overrules_nobody(self, router_of, said):
        router = router_of(TWO, KEEN)
        for _ in range(2):
            all_fail(router.attempts("gpt-5"), FORBIDDEN, said)

        assert router.balancer.breaker(router.balancer.endpoints("gpt-5")[0]).snapshot().reason == "never failed"

    def test_an_answer_overrules_once_however_often_it_is_said(self, router_of):
        router = router_of(TWO, KEEN)
        attempts = router.attempts("gpt-5")
        next(attempts).failed(FORBIDDEN)
        second = next(attempts)
        for _ in range(9):
            second.answered()

        assert circuits(router) == {"eu/d1": "ready", "us/d7": "ready"}

    def test_it_is_not_taken_for_slow_or_fast(self, router_of):
        router = router_of(TWO, KEEN)
        before = [state.latency for state in router.balancer.snapshot()]
        refused_by(router, "eu/d1", "us/d7")

        assert before == [state.latency for state in router.balancer.snapshot()]


class TestTheBreaker:
    def overruled(self, scene: CircuitScene, times: int = 1) -> None:
        for _ in range(times):
            permit = scene.breaker.enter()
            scene.breaker.released(permit)
            scene.breaker.failed(permit, "no", refusal=True)

    def test_as_many_in_a_row_as_failures_open_it(self):
        scene = CircuitScene()
        self.overruled(scene, 4)
        scene.succeed()
        self.overruled(scene, 4)

        assert CLOSED is scene.breaker.state

        self.overruled(scene)

        assert OPEN is scene.breaker.state
        assert scene.breaker.snapshot().reason == "5 requests in a row were refused that others accept: no"

    def test_a_probe_that_is_overruled_opens_it_for_longer(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10
        self.overruled(scene)

        assert (scene.breaker.state, scene.breaker.snapshot().k) == (OPEN, 1)
        assert scene.breaker.snapshot().reason == "the deployment refused a probe that others accept: no"

    @pytest.mark.parametrize("later", [CircuitBreaker.failed, CircuitBreaker.succeeded])
    def test_one_of_an_earlier_generation_counts_for_nothing(self, later):
        scene = CircuitScene(failure_threshold=1)
        old = scene.breaker.enter()
        scene.fail()
        scene.breaker.failed(old, refusal=True)
        scene.clock.now = 10
        assert HALF_OPEN is scene.breaker.state
        later(scene.breaker, scene.breaker.enter())
        before = scene.breaker.snapshot()
        scene.breaker.failed(old, refusal=True)

        assert before == scene.breaker.snapshot()

    def test_one_that_was_forced_into_an_open_circuit_leaves_it_as_it_is(self):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        permit = scene.breaker.enter(panic=True)
        scene.breaker.released(permit)
        before = scene.breaker.snapshot()
        scene.breaker.failed(permit, refusal=True)

        assert before == scene.breaker.snapshot()


AI_CORE_FORBIDS = Fault(FaultKind.DEPLOYMENT_FORBIDDEN, "no", 403)


def test_the_deployment_alone_is_blamed_for_what_ai_core_forbids(router_of):
    router = router_of(pool_at("eu/d1", "eu/d2", "us/d7"), KEEN)
    for _ in range(9):
        assert refused_by(router, "eu/d1", fault=AI_CORE_FORBIDS).trail.endswith(" ok")

    assert circuits(router) == {"eu/d1": "open", "eu/d2": "ready", "us/d7": "ready"}


class TestForbiddenSubaccount:
    """A subaccount of which every endpoint is forbidden is left alone as one whose credentials are refused."""

    def shut(self, router_of, *places: str) -> RequestRouter:
        router = router_of(pool_at(*places), KEEN)
        for _ in range(2):
            all_fail(router.attempts("gpt-5", retry=False), AI_CORE_FORBIDS)
        return router

    def test_it_is_in_cooldown_once_its_last_endpoint_said_so(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "eu/d2", "us/d7"), KEEN)
        refused_by(router, "eu/d1", fault=AI_CORE_FORBIDS)
        assert circuits(router) == {"eu/d1": "ready", "eu/d2": "ready", "us/d7": "ready"}

        refused_by(router, "eu/d1", "eu/d2", fault=AI_CORE_FORBIDS)
        refused_by(router, "eu/d1", "eu/d2", fault=AI_CORE_FORBIDS)
        assert circuits(router) == {"eu/d1": "cooling", "eu/d2": "cooling", "us/d7": "ready"}
        assert router.balancer.snapshot()[0].why == "subaccount: deployment_forbidden"
        assert 60.0 <= router.balancer.snapshot()[0].seconds <= 66.0

    def test_a_deployment_speaks_for_every_model_that_it_serves(self, router_of):
        pools = {model: [endpoint("eu", "orchestration", model, orchestration=True)] for model in ("gpt-5", "other")}
        pools["gpt-5"].append(endpoint("eu", "d1", "gpt-5"))
        router = router_of(pools, KEEN)
        all_fail(router.attempts("gpt-5"), AI_CORE_FORBIDS)

        assert {state.availability.value for state in router.balancer.snapshot()} == {"cooling"}

    def test_callers_are_told_that_the_proxy_is_refused_and_when_to_come_back(self, router_of):
        router = self.shut(router_of, "eu/d1", "eu/d2")
        with pytest.raises(NoEndpointError) as raised:
            next(router.attempts("gpt-5"))

        fault = raised.value.fault
        assert (fault.kind, fault.status) == (FaultKind.REFUSED_CREDENTIALS, 502)
        assert 60.0 <= (fault.retry_after or 0) <= 66.0

    def test_an_endpoint_that_answers_or_fails_otherwise_speaks_for_it(self, router_of):
        for outcome in (Attempt.answered, lambda attempt: attempt.failed(DOWN)):
            router = router_of(pool_at("eu/d1", "eu/d2"), KEEN)
            first, second, again = (next(router.attempts("gpt-5", retry=False)) for _ in range(3))
            first.failed(AI_CORE_FORBIDS)
            outcome(again)
            second.failed(AI_CORE_FORBIDS)

            assert "cooling" not in circuits(router).values()

    def test_a_caller_that_leaves_speaks_for_no_endpoint(self, router_of):
        router = router_of(pool_at("eu/d1", "eu/d2"), KEEN)
        first, second, again = (next(router.attempts("gpt-5", retry=False)) for _ in range(3))
        first.failed(AI_CORE_FORBIDS)
        again.failed(Fault(FaultKind.CALLER_LEFT, "left"))
        second.failed(AI_CORE_FORBIDS)

        assert set(circuits(router).values()) == {"cooling"}

    def test_a_drained_endpoint_is_not_waited_for(self, router_of):
        drained = dataclasses.replace(pool_at("eu/d3")["gpt-5"][0], weight=0)
        router = router_of({"gpt-5": [*pool_at("eu/d1", "eu/d2")["gpt-5"], drained]}, KEEN)
        for _ in range(2):
            next(router.attempts("gpt-5", retry=False)).failed(AI_CORE_FORBIDS)

        assert [circuits(router)[where] for where in ("eu/d1", "eu/d2")] == ["cooling", "cooling"]

    def test_an_endpoint_that_has_no_other_beside_it_is_blamed_alone(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"), KEEN)
        refused_by(router, "eu/d1", fault=AI_CORE_FORBIDS)

        assert circuits(router) == {"eu/d1": "ready", "us/d7": "ready"}

    def test_an_answer_ends_it(self, router_of, clock):
        router = self.shut(router_of, "eu/d1", "eu/d2")
        clock.now += 70
        next(router.attempts("gpt-5", retry=False)).answered()
        next(router.attempts("gpt-5", retry=False)).failed(AI_CORE_FORBIDS)

        assert "cooling" not in circuits(router).values()
