"""What each kind of failure does to the endpoint that met it, and to those that share its quota or its key."""

from dataclasses import replace

import pytest

from dialects.core.faults import Fault, FaultKind, Quota
from routing.availability import Availability
from routing.classification import CLASSIFICATIONS, Effect, Scope, scope_of
from routing.events import Circuit
from routing.load_balancer import LoadBalancer
from routing.policy import CooldownPolicy
from tests.routing.scenes import (
    BUSY,
    DOWN,
    EU1,
    GONE,
    POOL,
    REFUSED,
    SPENT,
    STEADY,
    US1,
    BalancerScene,
    Clock,
    endpoint,
)


class TestOutcomes:
    """What each kind of failure does to the endpoint that met it."""

    @pytest.mark.parametrize("kind", list(FaultKind))
    def test_the_classification_is_carried_out(self, kind):
        scene = BalancerScene()
        fault = Fault(kind, "", retry_after=7.0, quota=Quota.MODEL)
        scene.fails(EU1, fault=fault)
        effect, scope = CLASSIFICATIONS[kind].effect, scope_of(fault)
        state = scene.state(EU1)

        assert (Circuit.OPEN if effect in {Effect.FAILURE, Effect.EJECT} else Circuit.CLOSED) is state.circuit
        assert (scope is not Scope.NONE) == (state.availability is Availability.COOLDOWN)
        assert (kind if CLASSIFICATIONS[kind].try_elsewhere else None) is state.last_error
        assert state.in_flight == 0

    def test_ok_ends_the_cooldown(self):
        scene = BalancerScene()
        for expected in (5.0, 10.0):
            scene.fails(EU1, fault=SPENT)
            assert scene.state(EU1).seconds == expected
            scene.clock.now += expected
        scene.at(EU1).answered()
        scene.fails(EU1, fault=SPENT)

        assert scene.state(EU1).seconds == 5.0

    def test_an_answer_to_a_request_from_before_ends_no_cooldown(self):
        scene = BalancerScene()
        early = scene.at(EU1)
        scene.clock.now += 1
        scene.fails(EU1, fault=SPENT)
        scene.clock.now += 1
        early.answered()

        assert scene.state(EU1).seconds == 4.0

    def test_a_quota_of_the_model_rests_its_sisters_too(self):
        scene = BalancerScene()
        scene.fails(EU1, fault=SPENT)

        assert scene.availability() == [Availability.COOLDOWN, Availability.COOLDOWN, Availability.AVAILABLE]
        assert scene.balancer.snapshot("m")[1].why == "quota: rate_limited"

    def test_a_quota_of_another_model_does_not(self):
        other = endpoint("eu", "d5", "other")
        balancer = LoadBalancer({"m": [EU1], "other": [other]}, policy=STEADY)
        balancer.acquire("m").failed(SPENT)

        assert other == balancer.acquire("other").endpoint

    def test_a_providers_quota_rests_the_endpoint_alone(self):
        scene = BalancerScene()
        scene.fails(EU1, fault=BUSY)

        assert scene.availability() == [Availability.COOLDOWN, Availability.AVAILABLE, Availability.AVAILABLE]
        assert scene.balancer.snapshot("m")[0].why == "endpoint: rate_limited"

    def test_refused_credentials_rest_the_subaccount_with_all_its_models(self):
        other = endpoint("eu", "d5", "other")
        balancer = LoadBalancer({"m": POOL, "other": [other]}, policy=STEADY, clock=Clock())
        balancer.acquire("m", exclude=[US1]).failed(REFUSED)

        assert [row.seconds for row in balancer.snapshot("m")] == [60.0, 60.0, 0.0]
        assert balancer.snapshot("other")[0].why == "subaccount: refused_credentials"

    def test_a_failure_makes_nobody_rest(self):
        scene = BalancerScene()
        scene.fails(EU1, fault=DOWN)

        assert scene.balancer._cooldowns._known == {}

    def test_how_much_longer_than_its_hint_a_cooldown_lasts_is_drawn_from_the_given_chance(self):
        scenes = [BalancerScene(policy=replace(STEADY, cooldown=CooldownPolicy(jitter=1))) for _ in range(2)]
        for scene in scenes:
            scene.fails(EU1, fault=SPENT)

        assert scenes[0].state(EU1).seconds == scenes[1].state(EU1).seconds

    def test_who_was_gone_before_the_circuit_closed_anew_is_not_gone_now(self):
        scene = BalancerScene()
        early = scene.at(EU1)
        scene.fails(EU1)
        scene.clock.now += 10
        scene.at(EU1).answered()
        early.failed(GONE)

        assert Circuit.CLOSED is scene.state(EU1).circuit

    def test_cooldown_never_opens_a_circuit(self):
        scene = BalancerScene()
        for _ in range(30):
            scene.fails(EU1, fault=BUSY)
            scene.clock.now += 61

        assert Circuit.CLOSED is scene.balancer.breaker(EU1).state

    def test_gone_is_open_until_the_next_discovery(self):
        scene = BalancerScene()
        scene.fails(EU1, fault=GONE)

        assert (
            scene.state(EU1).availability,
            scene.state(EU1).why,
            scene.state(EU1).seconds,
        ) == (Availability.GONE, "the deployment is gone", 60.0)

    def test_without_discovery_gone_is_tried_again_some_day(self):
        scene = BalancerScene(policy=replace(STEADY, discovery_interval=0))
        scene.fails(EU1, fault=GONE)

        assert scene.state(EU1).seconds == 300.0
