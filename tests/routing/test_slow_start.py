"""How much of its weight an endpoint has, while its circuit has just closed or it has just joined."""

import random
from dataclasses import replace

import pytest

from routing.endpoint import Endpoint
from routing.policy import Policy
from routing.strategy import STRATEGIES, SelectionContext, make_strategy
from tests.routing.scenes import CLOSED, EU1, HALF_OPEN, STEADY, US1, BalancerScene, CircuitScene, endpoint, rows


class TestSlowStart:
    @pytest.mark.parametrize(
        ("age", "share"), [(0, 0.1), (2.9, 0.1), (3.0, 0.1), (15, 0.5), (29.9, 29.9 / 30), (30, 1), (99, 1)]
    )
    def test_weight_comes_back_over_thirty_seconds(self, age, share):
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10
        scene.succeed()
        scene.clock.now += age

        assert share == pytest.approx(scene.breaker.snapshot().share)
        assert (age >= 30) == scene.breaker.well

    def test_a_circuit_that_is_not_closed_has_not_begun_to(self):
        """It gets one request at a time, or none."""
        scene = CircuitScene(failure_threshold=1)
        scene.fail()
        scene.clock.now = 10

        assert (HALF_OPEN, 1.0) == (scene.breaker.state, scene.breaker.snapshot().share)
        assert not scene.breaker.well

    def test_who_was_always_there_has_all_of_it(self):
        assert 1.0 == CircuitScene().breaker.snapshot().share

    def test_who_joins_starts_slowly(self):
        scene = CircuitScene()
        scene.clock.now = 100
        scene.breaker.start_slowly()
        scene.clock.now = 106

        assert 0.2 == scene.breaker.snapshot().share
        assert not scene.breaker.well

    def test_it_can_be_switched_off(self):
        scene = CircuitScene(failure_threshold=1, slow_start=0)
        scene.breaker.start_slowly()

        assert (1.0, True) == (scene.breaker.snapshot().share, scene.breaker.well)

        scene.fail()
        scene.clock.now = 10
        scene.succeed()

        assert (1.0, True) == (scene.breaker.snapshot().share, scene.breaker.well)

    def test_half_a_second_of_it_is_not_none(self):
        scene = CircuitScene(failure_threshold=1, slow_start=0.5)
        scene.fail()
        scene.clock.now = 10
        scene.succeed()

        assert (0.1, False) == (scene.breaker.snapshot().share, scene.breaker.well)

    def test_a_circuit_that_closes_without_it_is_well_at_once(self):
        scene = CircuitScene(failure_threshold=1, slow_start=0)
        scene.fail()
        scene.clock.now = 10
        scene.succeed()

        assert scene.breaker.well

    def test_an_open_circuit_is_not_well_for_having_joined(self):
        scene = CircuitScene(failure_threshold=1, slow_start=0)
        scene.fail()
        scene.breaker.start_slowly()

        assert not scene.breaker.well


PAIR = [EU1, US1]
SIX = [endpoint(name, f"d{number}") for name in ("eu", "us") for number in (1, 2, 3)]


def at_home(wanted: Endpoint, pool: list[Endpoint]) -> SelectionContext:
    """A conversation that `cache-affinity` takes to where *wanted* is, but not if that weighed a tenth."""

    def is_home(key: SelectionContext, share: float) -> bool:
        candidates = [
            replace(row, weight=share if row.endpoint.subaccount == wanted.subaccount else 1.0) for row in rows(*pool)
        ]
        chosen = make_strategy("cache-affinity", Policy()).select_endpoint(candidates, key)
        return chosen.subaccount == wanted.subaccount

    keys = (SelectionContext(f"key {number}") for number in range(100))
    return next(key for key in keys if is_home(key, 1.0) and not is_home(key, 0.1))


class Recovery(BalancerScene):
    """The first endpoint of a pool was open for its time, while the others served one request after another."""

    def __init__(self, strategy: str, pool: list[Endpoint]) -> None:
        super().__init__(pool, strategy=make_strategy(strategy, STEADY, random.Random(1)))
        self.context = at_home(pool[0], pool)
        self.fails(pool[0])
        until = self.clock.now + 10
        while self.clock.now < until:
            self.serve()

    def serve(self, seconds: float = 0.25, context: SelectionContext | None = None) -> Endpoint:
        """Answer one request, and say who did."""
        with self.acquire(context=context or self.context) as lease:
            self.clock.now += seconds
            lease.answered()
        return lease.endpoint

    def hundred(self) -> int:
        """How many of a hundred requests within a second, each of another conversation, the first endpoint gets."""
        served = [self.serve(0.01, SelectionContext(f"key {number}")) for number in range(100)]
        return served.count(self.balancer.endpoints("m")[0])

    def until_closed(self, most: int) -> int:
        """How many requests it takes until the first endpoint's circuit is closed."""
        breaker = self.balancer.breaker(self.balancer.endpoints("m")[0])
        return next((count for count in range(most) if breaker.state is CLOSED or not self.serve()), most)


@pytest.mark.parametrize("pool", [PAIR, SIX], ids=["two", "six"])
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_whatever_the_strategy_a_recovered_endpoint_is_probed_within_a_few_requests(strategy, pool):
    scene = Recovery(strategy, pool)

    assert HALF_OPEN is scene.state(pool[0]).circuit
    assert scene.until_closed(10) < 10


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_whatever_the_strategy_a_recovered_endpoint_starts_slowly(strategy):
    scene = Recovery(strategy, PAIR)
    scene.until_closed(10)

    assert scene.hundred() <= 12

    scene.clock.now += 14

    assert scene.hundred() <= 38


@pytest.mark.parametrize("strategy", sorted({*STRATEGIES} - {"least-latency"}))
def test_and_is_not_left_out_meanwhile(strategy):
    scene = Recovery(strategy, PAIR)
    scene.until_closed(10)

    assert scene.hundred() >= 8


def test_a_first_tier_that_comes_back_starts_slowly():
    scene = Recovery("priority", [endpoint("eu", "d1", tier=0), endpoint("us", "d7", tier=1)])
    scene.until_closed(10)

    assert 8 <= scene.hundred() <= 12

    scene.clock.now += 30

    assert 100 == scene.hundred()
