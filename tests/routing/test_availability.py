"""What a request gets, and is told, when the pool has nothing that is well."""

from dataclasses import replace

import pytest

from dialects.core.faults import Fault, FaultKind
from routing.availability import Availability, NoEndpointError
from routing.events import Circuit
from routing.load_balancer import LoadBalancer
from routing.policy import BreakerPolicy
from tests.routing.scenes import BUSY, DOWN, EU1, EU2, GONE, POOL, REFUSED, SPENT, STEADY, US1, BalancerScene


class TestNothingAvailable:
    """What a request gets when the pool has nothing that is well."""

    def test_a_pool_of_one_is_asked_though_its_circuit_is_open(self):
        scene = BalancerScene([EU1])
        scene.fails(EU1)
        leases = [scene.acquire() for _ in range(3)]

        assert scene.availability() == [Availability.OPEN]
        assert [(lease.endpoint, lease.reason) for lease in leases] == [(EU1, "alone")] * 3

        leases[1].answered()

        assert scene.availability() == [Availability.AVAILABLE]

    def test_a_pool_of_one_that_rests_is_not_asked(self):
        scene = BalancerScene([EU1])
        scene.fails(EU1)
        scene.at(EU1).failed(replace(BUSY, retry_after=3.0))
        scene.clock.now += 1

        assert scene.refusal().fault.retry_after == 10.0 - 1.0

    def test_a_pool_of_one_that_was_tried_is_not_asked_again(self):
        error = BalancerScene([EU1]).refusal(exclude=[EU1])

        assert (error.fault.kind, error.fault.retry_after, error.wait) == (FaultKind.UNAVAILABLE, None, None)

    def test_a_pool_of_one_that_is_gone_is_asked_all_the_same(self):
        scene = BalancerScene([EU1])
        scene.fails(EU1, fault=GONE)

        assert scene.acquire().reason == "alone"

    def test_all_open_lets_one_request_through_to_each_the_longest_open_first(self):
        scene = BalancerScene()
        for each in (US1, EU2, EU1):
            scene.fails(each)
            scene.clock.now += 1
        leases = [scene.acquire() for _ in range(3)]

        assert [(each.endpoint, each.reason) for each in leases] == [(US1, "panic"), (EU2, "panic"), (EU1, "panic")]
        assert scene.refusal().fault.retry_after == 1.0

        leases[1].close()

        assert scene.acquire().endpoint == EU2

    def test_twice_as_many_get_through_for_each_second_without_a_failure(self):
        scene = BalancerScene()
        scene.fails(EU1, EU2, US1)
        held, came = [], []
        for _ in range(4):
            before = len(held)
            while True:
                try:
                    held.append(scene.acquire())
                except NoEndpointError:
                    break
            came.append(len(held) - before)
            scene.clock.now += 1

        assert came == [3, 3, 6, 12]
        assert {lease.reason for lease in held} == {"panic"}
        assert {state.in_flight for state in scene.balancer.snapshot()} == {8}

    def test_half_open_ones_are_asked_before_those_that_are_open(self):
        scene = BalancerScene()
        scene.fails(US1, EU2)
        scene.clock.now += 5
        scene.fails(EU1)
        scene.clock.now += 5
        leases = [scene.acquire() for _ in range(3)]

        assert {(each.endpoint, each.reason) for each in leases[:2]} == {(EU2, "probe"), (US1, "probe")}
        assert (leases[2].endpoint, leases[2].reason) == (EU1, "panic")

    @pytest.mark.parametrize(("a_second", "refused"), [(2, 0), (5, 8)])
    def test_an_outage_does_not_last_as_long_as_the_first_slow_answer_after_it(self, a_second, refused):
        """Both endpoints fail for 15 s; then each answer takes 45 s, and the others come meanwhile."""
        scene = BalancerScene([EU1, US1], replace(STEADY, breaker=BreakerPolicy()))
        while scene.clock.now < 115:
            scene.acquire().failed(DOWN)
            scene.clock.now += 1 / a_second
        held, late = [], []
        while scene.clock.now < 160:
            try:
                held.append(scene.acquire())
            except NoEndpointError as error:
                late.append((scene.clock.now, error.wait))
            scene.clock.now += 1 / a_second

        assert refused >= len(late)
        assert all(moment < 118 and wait <= 1 for moment, wait in late)

    def test_while_a_closed_one_is_only_excluded_it_is_no_panic(self):
        scene = BalancerScene()
        scene.fails(EU1, EU2)

        assert str(scene.refusal(exclude=[US1])) == "no other deployment of 'm' is left to try"

    def test_a_closed_one_in_cooldown_does_not_keep_others_from_being_asked(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.fails(US1, fault=replace(BUSY, retry_after=60.0))

        assert scene.acquire().reason == "panic"

    def test_a_request_in_panic_that_fails_makes_way_for_the_next(self):
        scene = BalancerScene()
        for each in (US1, EU2, EU1):
            scene.fails(each)
            scene.clock.now += 1
        order = []
        for _ in range(4):
            lease = scene.acquire()
            order.append(lease.endpoint)
            lease.failed(DOWN)
            scene.clock.now += 0.1

        assert order == [US1, EU2, EU1, US1]

    def test_a_request_in_panic_that_is_answered_closes_the_circuit(self):
        scene = BalancerScene()
        scene.fails(EU1, EU2, US1)
        lease = scene.acquire()
        lease.answered()

        assert Circuit.CLOSED is scene.balancer.breaker(lease.endpoint).state

    def test_one_that_was_tried_is_not_asked_again_in_panic(self):
        scene = BalancerScene()
        scene.fails(EU1, EU2, US1)

        assert scene.acquire(exclude=[EU1, EU2]).endpoint == US1
        assert US1 not in {scene.acquire(exclude_domains=[US1.domain]).endpoint for _ in range(2)}

    def test_no_open_one_is_asked_while_another_is_closed(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        error = scene.refusal(exclude=[US1])

        assert (error.fault.kind, error.fault.status, error.fault.retry_after) == (FaultKind.UNAVAILABLE, 503, None)
        assert str(error) == "no other deployment of 'm' is left to try"

    def test_one_that_is_gone_is_not_asked_in_panic(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1, US1, fault=GONE)
        error = scene.refusal()

        assert (
            error.fault.kind,
            error.fault.status,
            error.fault.retry_after,
            error.wait,
        ) == (FaultKind.UNAVAILABLE, 503, 60.0, 60.0)

    def test_who_is_gone_for_good_gives_no_time_to_come_back(self):
        scene = BalancerScene([EU1, US1])
        for each in (EU1, US1):
            scene.balancer.breaker(each).eject("stopped")

        assert scene.refusal().fault.retry_after is None

    def test_all_probing_says_to_come_back_soon(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1, US1)
        scene.clock.now += 10
        leases = [scene.acquire(), scene.acquire()]
        error = scene.refusal()

        assert {lease.endpoint for lease in leases} == {EU1, US1}
        assert (error.fault.status, error.fault.retry_after, error.wait) == (503, 1.0, 1.0)
        assert str(error) == "no deployment of 'm' can take the request now"

    def test_all_in_cooldown_is_told_with_the_exact_time(self):
        scene = BalancerScene()
        scene.fails(EU1, fault=replace(SPENT, retry_after=9.0))
        scene.fails(US1, fault=replace(BUSY, retry_after=4.0))
        scene.clock.now += 2.5
        error = scene.refusal()

        assert (
            error.fault.kind,
            error.fault.status,
            error.fault.retry_after,
            error.wait,
        ) == (FaultKind.RATE_LIMITED, 429, 1.5, 1.5)
        assert str(error) == "the quota of every deployment of 'm' is used up"

        scene.clock.now += 1.5

        assert scene.acquire().endpoint == US1

    def test_a_quota_that_is_used_up_beside_an_open_circuit_is_told_as_what_it_is(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(US1, fault=replace(BUSY, retry_after=4.0))
        scene.fails(EU1)
        probe = scene.acquire()
        error = scene.refusal()

        assert probe.endpoint == EU1
        assert (error.fault.kind, error.fault.status) == (FaultKind.RATE_LIMITED, 429)
        assert str(error) == "the quota of 1 of 2 deployments of 'm' is used up"

    def test_all_in_cooldown_is_so_whether_tried_or_not(self):
        scene = BalancerScene()
        scene.fails(EU1, fault=replace(SPENT, retry_after=9.0))
        scene.fails(US1, fault=replace(BUSY, retry_after=4.0))

        assert scene.refusal(exclude=POOL).wait == 4.0

    def test_open_or_in_cooldown_is_told_with_the_nearest_of_both(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1, fault=replace(BUSY, retry_after=60.0))
        scene.fails(US1)
        lease = scene.acquire()
        error = scene.refusal()

        assert lease.reason == "panic"
        assert (error.fault.status, error.fault.retry_after, error.wait) == (429, 1.0, 1.0)

    def test_an_overload_with_a_hint_is_no_quota(self):
        scene = BalancerScene([EU1])
        scene.fails(EU1, fault=Fault(FaultKind.OVERLOADED, "", 529, retry_after=3.0))
        scene.balancer.breaker(EU1).checked()
        error = scene.refusal()

        assert (
            error.fault.kind,
            error.fault.status,
            error.fault.retry_after,
            error.wait,
        ) == (FaultKind.UNAVAILABLE, 503, 3.0, 3.0)

    def test_refused_credentials_everywhere_are_not_the_callers(self):
        scene = BalancerScene()
        scene.fails(EU1, US1, fault=REFUSED)
        error = scene.refusal()

        assert (
            error.fault.kind,
            error.fault.status,
            error.fault.retry_after,
        ) == (FaultKind.REFUSED_CREDENTIALS, 502, 60.0)
        assert str(error) == "SAP AI Core refuses the proxy's credentials for every deployment of 'm'"

    def test_refused_credentials_in_one_place_are_not_all(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1, fault=REFUSED)
        scene.fails(US1, fault=GONE)

        assert FaultKind.UNAVAILABLE is scene.refusal().fault.kind

    @pytest.mark.parametrize("ask", [LoadBalancer.acquire, LoadBalancer.select, LoadBalancer.snapshot])
    def test_an_unknown_model_is_not_found(self, ask):
        with pytest.raises(ValueError, match="the model 'x' is not deployed") as error:
            ask(LoadBalancer({"m": POOL, "x": []}), "x")

        fault = error.value.fault

        assert (fault.kind, fault.status, fault.param) == (FaultKind.NOT_FOUND, 404, "model")
