"""Endpoints on standby: asked only where no other endpoint of the model can take the request."""

from dataclasses import replace

import pytest

from routing.endpoint import Endpoint
from routing.health import Circuit
from routing.policy import Policy
from routing.strategy import NO_CONTEXT, STRATEGIES, SelectionContext
from tests.routing.scenes import (
    BUSY,
    DOWN,
    EU1,
    EU2,
    SPENT,
    STEADY,
    US1,
    BalancerScene,
    all_fail,
    endpoint,
    place,
)

SPARE = endpoint("eu", "orchestration", orchestration=True, standby=True)
FAR_SPARE = endpoint("us", "orchestration", orchestration=True, standby=True)


def asked(scene: BalancerScene, times: int = 6, **wish) -> set[Endpoint]:
    """Where so many requests go that are all under way."""
    leases = [scene.acquire(**wish) for _ in range(times)]
    return {lease.endpoint for lease in leases}


class TestWhoIsAsked:
    @pytest.mark.parametrize("strategy", sorted(STRATEGIES))
    @pytest.mark.parametrize("tier", [-1, 0, 1])
    def test_no_strategy_is_offered_one_on_standby_while_others_are_available(self, strategy, tier):
        spare = replace(SPARE, tier=tier, weight=1_000)
        scene = BalancerScene([spare, EU1, US1], replace(STEADY, strategy=strategy))

        assert asked(scene, 60, context=SelectionContext("key")) <= {EU1, US1}
        assert {scene.balancer.select("m") for _ in range(60)} <= {EU1, US1}

    @pytest.mark.parametrize("strategy", sorted(STRATEGIES))
    def test_alone_they_are_as_others(self, strategy):
        scene = BalancerScene([SPARE, FAR_SPARE], replace(STEADY, strategy=strategy))

        assert {scene.balancer.acquire("m", context=SelectionContext(str(n))).endpoint for n in range(40)} == {
            SPARE,
            FAR_SPARE,
        }

    @pytest.mark.parametrize("fault", [DOWN, BUSY])
    def test_one_on_standby_answers_while_the_others_are_out(self, fault):
        scene = BalancerScene([SPARE, EU1, US1])
        scene.fails(EU1, US1, fault=fault)

        assert asked(scene) == {SPARE}
        assert scene.balancer.select("m") == SPARE

    def test_one_that_is_back_is_asked_again(self):
        scene = BalancerScene([SPARE, EU1])
        scene.fails(EU1)
        scene.clock.now += 10
        probe = scene.acquire()
        meanwhile = asked(scene)
        probe.answered()
        probe.close()

        assert (probe.endpoint, probe.reason) == (EU1, "probe")
        assert meanwhile == {SPARE}
        assert asked(scene) == {EU1}

    def test_a_request_that_cannot_fail_over_is_no_probe_of_what_stands_ahead(self):
        scene = BalancerScene([SPARE, EU1])
        scene.fails(EU1)
        scene.clock.now += 10

        assert asked(scene, can_fail_over=False) == {SPARE}

    def test_none_on_standby_is_probed_while_others_are_available(self):
        scene = BalancerScene([EU1, US1, SPARE])
        scene.fails(SPARE)
        scene.clock.now += 10

        assert scene.state(SPARE).circuit is Circuit.HALF_OPEN
        assert asked(scene, exclude=[US1]) == {EU1}
        assert asked(scene, exclude=[EU1, US1], times=1) == {SPARE}

    def test_what_is_drained_leaves_its_requests_to_standby(self):
        assert asked(BalancerScene([replace(EU1, weight=0), SPARE])) == {SPARE}

    def test_in_panic_those_on_standby_come_last(self):
        scene = BalancerScene([SPARE, EU1, US1])
        scene.fails(SPARE)
        scene.clock.now += 1
        scene.fails(US1)
        scene.clock.now += 1
        scene.fails(EU1)

        leases = [scene.acquire() for _ in range(3)]

        assert [lease.endpoint for lease in leases] == [US1, EU1, SPARE]

    @pytest.mark.parametrize("pool", [[EU1, SPARE], [EU1, EU2, SPARE]])
    def test_what_continues_its_own_answers_prefers_it(self, pool):
        scene = BalancerScene(pool)
        preferring = replace(NO_CONTEXT, preferred=SPARE)

        assert asked(scene, context=preferring) == {SPARE}
        assert asked(scene) <= {EU1, EU2}
        scene.fails(EU1)
        assert asked(scene, context=preferring) == {SPARE}

    def test_what_is_no_longer_on_standby_is_asked_with_the_others(self):
        scene = BalancerScene([EU1, SPARE])
        scene.balancer.replace_pools({"m": [EU1, replace(SPARE, standby=False)]})

        assert asked(scene) == {EU1, SPARE}


class TestFailover:
    @pytest.mark.parametrize("strategy", sorted(STRATEGIES))
    def test_a_sibling_comes_before_standby_elsewhere(self, router_of, strategy):
        router = router_of({"m": [FAR_SPARE, EU1, EU2]}, Policy(strategy=strategy))
        went = all_fail(router.attempts("m"), DOWN)

        assert (sorted(went[:2]), went[2]) == (["eu/d1", "eu/d2"], "us/orchestration")

    def test_of_those_on_standby_the_one_elsewhere_comes_first(self, router_of):
        router = router_of({"m": [SPARE, FAR_SPARE, EU1]})

        assert all_fail(router.attempts("m"), DOWN) == ["eu/d1", "us/orchestration", "eu/orchestration"]

    def test_a_used_up_quota_is_that_of_standby_in_the_same_subaccount_too(self, router_of):
        router = router_of({"m": [SPARE, FAR_SPARE, EU1]})
        attempts = router.attempts("m")
        next(attempts).failed(SPENT)

        assert place(next(attempts)) == "us/orchestration"

    def test_the_first_attempt_goes_ahead_of_standby_and_the_next_one_to_it(self, router_of):
        router = router_of({"m": [FAR_SPARE, EU1]})

        assert all_fail(router.attempts("m"), DOWN)[:2] == ["eu/d1", "us/orchestration"]
