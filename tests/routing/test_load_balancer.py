"""Who gets the next request: circuits, exclusion, strategies, and pools that change."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from dialects.core.faults import FaultKind
from routing.availability import Availability
from routing.endpoint import Endpoint
from routing.events import Circuit, PoolsChanged
from routing.load_balancer import LoadBalancer
from routing.policy import BreakerPolicy, CooldownPolicy, ModelPolicy, Policy
from routing.strategy import (
    NO_CONTEXT,
    STRATEGIES,
    LoadBalancingStrategy,
    RoundRobinStrategy,
    SelectionContext,
    make_strategy,
)
from tests.routing.scenes import (
    BAD,
    BUSY,
    EU1,
    EU2,
    GONE,
    POOL,
    STEADY,
    US1,
    BalancerScene,
    endpoint,
    in_flight,
    rows,
    together,
)

EJECTED_FOR_LONG = BreakerPolicy(failure_threshold=1, timeout=1_000, timeout_cap=1_000, timeout_jitter=0)


class TestBreakers:
    def test_who_is_open_is_not_chosen(self):
        scene = BalancerScene()
        scene.fails(EU1)

        assert {scene.acquire().endpoint for _ in range(4)} == {EU2, US1}

    def test_a_request_that_can_fail_over_may_be_the_probe(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        last = [scene.acquire(can_fail_over=False).endpoint for _ in range(3)]
        leases = [scene.acquire() for _ in range(3)]

        assert last == [US1, US1, US1]
        assert [(lease.endpoint, lease.reason) for lease in leases] == [
            (EU1, "probe"),
            (US1, "round-robin"),
            (US1, "round-robin"),
        ]
        assert scene.availability() == [Availability.PROBING, Availability.AVAILABLE]

    @pytest.mark.parametrize("name", STRATEGIES)
    def test_who_is_no_strategys_first_choice_is_probed_before_it_is_needed(self, name):
        spare = endpoint("us", "d8", weight=0.001, tier=9)
        scene = BalancerScene([EU1, EU2, spare], strategy=make_strategy(name, Policy()))
        scene.fails(spare)
        scene.clock.now += 10
        with scene.acquire(can_fail_over=False) as lease:
            assert spare != lease.endpoint
        with scene.acquire() as probe, scene.acquire() as beside:
            probe.answered()

        assert (spare, "probe") == (probe.endpoint, probe.reason)
        assert spare != beside.endpoint
        assert scene.availability() == [Availability.AVAILABLE] * 3

    def test_what_a_request_brings_along_goes_before_a_probe(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10

        assert scene.acquire(context=SelectionContext(preferred=US1)).endpoint == US1
        assert scene.acquire(context=SelectionContext(preferred=EU1)).endpoint == EU1

    def test_the_last_attempt_may_be_the_probe_if_there_is_nobody_else(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10

        assert scene.acquire(can_fail_over=False, exclude=[US1]).endpoint == EU1

    def test_a_probe_that_is_answered_closes_the_circuit_while_it_streams(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        probe = scene.at(EU1)
        probe.answered()

        assert in_flight(scene.balancer)[EU1] == 1
        assert scene.availability() == [Availability.AVAILABLE, Availability.AVAILABLE]

    @pytest.mark.parametrize("end", ["close", "caller"])
    def test_a_probe_that_taught_nothing_gives_its_permit_back(self, end):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        probe = scene.at(EU1)
        if end == "close":
            probe.close()
        else:
            probe.failed(BAD)

        assert scene.availability() == [Availability.PROBE, Availability.AVAILABLE]

    def test_a_used_up_quota_opens_a_probed_circuit_for_as_long_as_before(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        scene.fails(EU1, fault=replace(BUSY, retry_after=1.0))

        assert (scene.state(EU1).circuit, scene.state(EU1).k, scene.state(EU1).seconds) == (Circuit.OPEN, 0, 10.0)

    def test_a_circuit_that_closed_gets_its_weight_little_by_little(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10
        scene.at(EU1).answered()
        scene.clock.now += 6
        scene.balancer.use("weighted")
        chosen = Counter(scene.acquire().endpoint for _ in range(12))

        assert chosen == {EU1: 2, US1: 10}
        assert [row.weight for row in scene.balancer.snapshot("m")] == [0.2, 1.0]

    def test_a_choice_that_is_overtaken_is_made_again(self):
        """Between the survey and the permit another thread may open the circuit."""
        scene = BalancerScene([EU1, US1])

        class Overtaken(RoundRobinStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                scene.balancer._members[candidates[0].endpoint].breaker.eject("overtaken")
                return candidates[0].endpoint

        scene.balancer.use(Overtaken())
        error = scene.refusal()

        assert FaultKind.UNAVAILABLE is error.fault.kind
        assert scene.availability() == [Availability.GONE, Availability.GONE]


class TestExclusion:
    def test_who_was_tried_is_not_chosen_again(self):
        scene = BalancerScene()

        assert {scene.acquire(exclude=[EU1, US1]).endpoint for _ in range(3)} == {EU2}

    def test_nor_is_who_draws_on_the_same_quota(self):
        scene = BalancerScene()

        assert {scene.acquire(exclude_domains=[EU1.domain]).endpoint for _ in range(3)} == {US1}

    def test_so_is_why_an_endpoint_has_to_prove_itself(self):
        scene = BalancerScene()
        scene.fails(EU1)
        scene.clock.now += 10

        row = scene.balancer.snapshot("m")[0]

        assert (row.availability, row.why) == (Availability.PROBE, "its open time has passed")


class TestPeek:
    def test_it_takes_turns_and_counts_nothing(self):
        scene = BalancerScene()

        assert [scene.balancer.select("m") for _ in range(3)] == [EU1, US1, EU2]
        assert in_flight(scene.balancer) == {EU1: 0, EU2: 0, US1: 0}

    def test_it_goes_where_the_request_would_like_to_go(self):
        strategy = make_strategy("cache-affinity", STEADY)
        homes = [strategy.select_endpoint(rows(EU1, US1), SelectionContext(f"key {i}")) for i in range(20)]
        scene = BalancerScene([EU1, US1], strategy=make_strategy("cache-affinity", STEADY))

        assert homes == [scene.balancer.select("m", context=SelectionContext(f"key {i}")) for i in range(20)]
        assert {*homes} == {EU1, US1}

    def test_it_never_probes_if_it_can_be_helped(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1)
        scene.clock.now += 10

        assert {scene.balancer.select("m") for _ in range(3)} == {US1}
        assert Availability.PROBE is scene.availability()[0]

    def test_the_only_endpoint_is_named_though_its_circuit_is_open(self):
        scene = BalancerScene([EU1])
        scene.fails(EU1)

        assert scene.balancer.select("m") == EU1

    def test_all_open_is_an_error(self):
        scene = BalancerScene([EU1, US1])
        scene.fails(EU1, US1)
        with pytest.raises(ValueError, match="no deployment of 'm' can take the request now"):
            scene.balancer.select("m")


class TestStrategies:
    def test_the_settings_name_one_for_all_and_one_for_a_model(self):
        other = endpoint("eu", "d5", "other")
        policy = Policy(strategy="weighted", models={"m": ModelPolicy(strategy="priority"), "other": ModelPolicy()})
        balancer = LoadBalancer({"m": POOL, "other": [other]}, policy=policy)

        assert [balancer.snapshot(model)[0].strategy for model in ("m", "other")] == ["priority", "weighted"]
        assert balancer.acquire("m").reason == "priority"

    def test_it_can_be_changed_at_run_time(self):
        scene = BalancerScene()
        scene.balancer.use("weighted")
        assert scene.acquire().reason == "weighted"
        scene.balancer.use(RoundRobinStrategy(), "m")
        assert scene.acquire().reason == "round-robin"
        scene.balancer.use("priority")
        assert scene.acquire().reason == "round-robin"

    def test_an_unknown_name_is_refused(self):
        with pytest.raises(ValueError, match="strategy must be one of"):
            LoadBalancer({}, policy=Policy(models={"m": ModelPolicy(strategy="best")}))
        with pytest.raises(ValueError, match="strategy must be one of"):
            BalancerScene().balancer.use("best")

    def test_it_sees_what_may_be_chosen_and_what_the_request_says(self):
        seen = []

        class Watch(LoadBalancingStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                seen.append(([(row.endpoint, row.in_flight, row.weight) for row in candidates], context))
                return candidates[-1].endpoint

            def get_name(self):
                return "watch"

        scene = BalancerScene([endpoint("eu", "d1", weight=2), EU2, US1], strategy=Watch())
        scene.fails(EU2)
        seen.clear()
        held = [scene.acquire(context=SelectionContext("key")), scene.acquire()]

        assert len(held) == 2
        assert seen == [
            ([(EU1, 0, 2), (US1, 0, 1)], SelectionContext("key")),
            ([(EU1, 0, 2), (US1, 1, 1)], SelectionContext()),
        ]

    def test_round_robin_over_ten_thousand_leases_of_sixteen_threads_is_exact(self):
        pool = [endpoint(name, f"d{i}") for name in ("eu", "us") for i in range(3)]
        balancer, given = LoadBalancer({"m": pool}), []

        def work() -> None:
            for _ in range(625):
                with balancer.acquire("m") as lease:
                    given.append(lease.endpoint)

        together([work] * 16)
        counts = Counter(given)

        assert set(counts.values()) == {1_666, 1_667}
        assert sum(counts[each] for each in pool[:3]) == 5_000

    def test_least_latency_draws_from_the_given_chance(self):
        drawn = [
            [LoadBalancer({"m": POOL}, policy=Policy(strategy="least-latency"), rng=random.Random(5)).select("m")]
            for _ in range(5)
        ]

        assert len({tuple(each) for each in drawn}) == 1

    def test_so_does_that_of_one_model(self):
        policy = replace(STEADY, models={"m": ModelPolicy(strategy="least-latency")})
        one, other = BalancerScene(policy=policy).balancer, BalancerScene(policy=policy).balancer

        assert [one.select("m") for _ in range(20)] == [other.select("m") for _ in range(20)]


class TestPools:
    def test_who_stays_keeps_its_history_and_who_joins_starts_slowly(self):
        scene = BalancerScene([EU1, EU2])
        busy = scene.at(EU2)
        scene.clock.now += 31
        scene.fails(EU1)
        scene.told.clear()
        heavier = endpoint("eu", "d2", weight=4)
        scene.balancer.replace_pools({"m": [EU1, heavier, US1]})

        assert scene.availability() == [Availability.OPEN, Availability.AVAILABLE, Availability.AVAILABLE]
        assert in_flight(scene.balancer) == {EU1: 0, EU2: 1, US1: 0}
        assert [row.weight for row in scene.balancer.snapshot("m")] == [1.0, 4.0, 0.1]
        assert scene.told == [PoolsChanged((US1,), ())]

        busy.close()

        assert in_flight(scene.balancer)[EU2] == 0

    @pytest.mark.parametrize(("age", "share"), [(0.0, 1.0), (29.9, 1.0), (30.0, 0.1)])
    def test_who_joins_those_as_new_has_nobody_to_be_slow_against(self, age, share):
        scene = BalancerScene([EU1])
        scene.clock.now += age
        scene.balancer.replace_pools({"m": POOL})

        assert [row.weight for row in scene.balancer.snapshot("m")] == [1.0, share, share]

    def test_who_is_first_of_its_model_has_neither(self):
        scene = BalancerScene([EU1])
        scene.clock.now += 100
        other = endpoint("us", "d8", "other")
        scene.balancer.replace_pools({"m": [EU1], "other": [other]})

        assert [row.weight for row in scene.balancer.snapshot("other")] == [1.0]

    @pytest.mark.parametrize(("away", "known"), [(599.9, True), (600.0, False)])
    def test_what_is_known_of_an_endpoint_survives_ten_minutes_of_absence(self, away, known):
        """A listing that lacks a deployment once does not make its circuit closed or its quota full."""
        policy = replace(STEADY, cooldown=CooldownPolicy(cap=1_000, jitter=0), breaker=EJECTED_FOR_LONG)
        scene = BalancerScene([EU1, US1], policy)
        scene.fails(EU1)
        scene.fails(US1, fault=replace(BUSY, retry_after=900.0))
        scene.balancer.replace_pools({"m": [EU2]})
        scene.clock.now += away
        scene.balancer.replace_pools({"m": [EU1, US1]})

        assert scene.availability() == [Availability.OPEN if known else Availability.AVAILABLE, Availability.COOLDOWN]
        assert (FaultKind.SERVER_ERROR if known else None) is scene.state(EU1).last_error

    def test_one_that_is_back_after_a_short_absence_does_not_start_slowly(self):
        scene = BalancerScene([EU1, US1])
        scene.clock.now += 100
        scene.balancer.replace_pools({"m": [EU1]})
        scene.clock.now += 100
        scene.balancer.replace_pools({"m": [EU1, US1, EU2]})

        assert [state.weight for state in scene.balancer.snapshot("m")] == [1.0, 1.0, 0.1]

    def test_who_leaves_ends_its_requests_in_peace(self):
        scene = BalancerScene([EU1, US1])
        lease = scene.at(US1)
        scene.balancer.replace_pools({"m": [EU1]})
        lease.answered()
        lease.close()
        scene.balancer.replace_pools({"m": [EU1, US1]})

        assert scene.availability() == [Availability.AVAILABLE, Availability.AVAILABLE]
        assert in_flight(scene.balancer) == {EU1: 0, US1: 0}
        assert [event for event in scene.told if isinstance(event, PoolsChanged)] == [
            PoolsChanged((), (US1,)),
            PoolsChanged((US1,), ()),
        ]

    def test_the_same_pools_are_no_news(self):
        scene = BalancerScene()
        scene.balancer.replace_pools({"m": POOL})

        assert scene.told == []

    def test_who_was_gone_stays_so_until_somebody_knows_that_it_runs(self):
        scene = BalancerScene()
        scene.fails(EU1, fault=GONE)
        scene.balancer.breaker(EU2).eject("stopped")
        scene.balancer.replace_pools({"m": [*POOL, endpoint("us", "d8")]})

        assert scene.availability()[:2] == [Availability.GONE, Availability.GONE]

        scene.balancer.breaker(EU2).readmit()

        assert scene.availability()[:2] == [Availability.GONE, Availability.PROBE]

    def test_strategies_forget_who_left(self):
        scene = BalancerScene()
        own = RoundRobinStrategy()
        common = RoundRobinStrategy()
        scene.balancer.use(common)
        scene.acquire()
        scene.balancer.use(own, "m")
        scene.acquire()
        scene.balancer.replace_pools({"m": [US1]})

        assert (own._subaccounts, common._subaccounts) == ({}, {})

    def test_an_endpoint_in_two_pools_is_one_endpoint(self):
        balancer = LoadBalancer({"m": [EU1, EU1], "alias": [EU1]})
        with balancer.acquire("m"):
            assert in_flight(balancer) == {EU1: 1}

        assert (EU1,) == balancer.endpoints("m") == balancer.endpoints("alias")

    def test_it_says_what_it_has(self):
        balancer = LoadBalancer({"m": POOL, "empty": []})

        assert balancer.models() == ("m",)
        assert balancer.endpoints("m") == (EU1, EU2, US1)
        assert balancer.endpoints("x") == ()
        with pytest.raises(KeyError):
            balancer.breaker(endpoint("ap"))


def test_who_made_what_a_request_brings_along_is_asked_before_the_strategy_is():
    pool = [Endpoint("eu", f"https://eu/v2/inference/deployments/d{number}", "gpt-5") for number in range(3)]
    balancer = LoadBalancer({"gpt-5": pool})
    context = SelectionContext(preferred=pool[2])

    assert {balancer.acquire("gpt-5", context=context).endpoint for _ in range(5)} == {pool[2]}
    assert pool[2] != balancer.acquire("gpt-5", exclude=[pool[2]], context=context).endpoint
    assert balancer.acquire("gpt-5", context=context).reason == "preferred"
    stranger = SelectionContext(preferred=Endpoint("us", "https://us/v2/inference/deployments/d9", "gpt-5"))
    assert balancer.acquire("gpt-5", context=stranger).endpoint in pool
