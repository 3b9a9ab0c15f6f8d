"""How much of its weight an endpoint has, while its circuit has just closed or it has just joined."""

import random
from dataclasses import replace

import pytest

from routing.endpoint import Endpoint
from routing.policy import BreakerPolicy, Policy
from routing.slow_start import SlowStart
from routing.strategy import STRATEGIES, SelectionContext, make_strategy
from tests.routing.scenes import (
    BUSY,
    CLOSED,
    EU1,
    EU2,
    HALF_OPEN,
    REFUSED,
    SPENT,
    STEADY,
    US1,
    BalancerScene,
    endpoint,
    rows,
)


class TestSlowStart:
    @pytest.mark.parametrize(
        ("age", "share"), [(-5, 0.1), (0, 0.1), (2.9, 0.1), (3.0, 0.1), (15, 0.5), (29.9, 29.9 / 30), (30, 1), (99, 1)]
    )
    def test_weight_comes_back_over_thirty_seconds(self, age, share):
        assert share == pytest.approx(SlowStart(BreakerPolicy()).share(age))

    def test_it_can_be_switched_off(self):
        assert SlowStart(BreakerPolicy(slow_start=0)).share(0) == 1.0

    def test_without_it_an_endpoint_that_is_not_back_yet_has_the_least_weight(self):
        assert SlowStart(BreakerPolicy(slow_start=0)).share(-5) == 0.1

    def test_half_a_second_of_it_is_not_none(self):
        assert SlowStart(BreakerPolicy(slow_start=0.5)).share(0) == 0.1


class TestWhoStartsSlowly:
    def weight(self, scene: BalancerScene, after: float = 0.0) -> float:
        scene.clock.now += after
        return round(scene.state(EU1).weight, 6)

    def test_an_endpoint_that_was_always_there_has_all_of_its_weight(self):
        assert self.weight(BalancerScene()) == 1.0

    def test_one_whose_circuit_has_closed(self):
        scene = BalancerScene()
        scene.fails(EU1)

        assert self.weight(scene, after=10) == 1.0

        with scene.at(EU1) as lease:
            lease.answered()

        assert self.weight(scene, after=6) == 0.2

    @pytest.mark.parametrize("fault", [BUSY, SPENT, REFUSED], ids=["endpoint", "quota", "subaccount"])
    def test_one_that_comes_back_from_a_cooldown(self, fault):
        scene = BalancerScene()
        scene.fails(EU2, fault=replace(fault, retry_after=60.0))
        scene.clock.now += 60

        def weights(after: float) -> list[float]:
            scene.clock.now += after
            return [round(state.weight, 6) for state in scene.balancer.snapshot("m")]

        sister = 1.0 if fault is BUSY else 0.1
        assert weights(after=1) == [sister, 0.1, 1.0]
        assert weights(after=14) == [1.0 if fault is BUSY else 0.5, 0.5, 1.0]
        assert weights(after=15) == [1.0, 1.0, 1.0]

    def test_an_answer_meanwhile_does_not_give_it_all_at_once(self):
        scene = BalancerScene()
        scene.fails(EU1, fault=replace(BUSY, retry_after=10.0))
        scene.clock.now += 10
        with scene.at(EU1) as lease:
            scene.clock.now += 1
            lease.answered()

        assert self.weight(scene, after=5) == 0.2


PAIR = [EU1, US1]
SIX = [endpoint(name, f"d{number}") for name in ("eu", "us") for number in (1, 2, 3)]


def at_home(wanted: Endpoint, pool: list[Endpoint]) -> SelectionContext:
    """A conversation that `cache-affinity` takes to where *wanted* is, but not if that weighed a tenth."""

    def is_home(key: SelectionContext, share: float) -> bool:
        candidates = [
            row._replace(weight=share if row.endpoint.subaccount == wanted.subaccount else 1.0) for row in rows(*pool)
        ]
        chosen = make_strategy("cache-affinity", Policy()).select_endpoint(candidates, key)
        return chosen.subaccount == wanted.subaccount

    keys = (SelectionContext(f"key {number}") for number in range(100))
    return next(key for key in keys if is_home(key, 1.0) and not is_home(key, 0.1))


class AfterCooldown(BalancerScene):
    """The first endpoint of a pair was in cooldown for a minute."""

    def __init__(self, strategy: str) -> None:
        super().__init__(PAIR, strategy=make_strategy(strategy, STEADY, random.Random(1)))
        self.fails(EU1, fault=replace(BUSY, retry_after=60.0))
        self.clock.now += 60

    def share(self) -> float:
        """The share that the first endpoint gets of a thousand requests at once."""
        chosen = [self.balancer.select("m", context=SelectionContext(f"key {number}")) for number in range(1_000)]
        return chosen.count(EU1) / 1_000


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_whatever_the_strategy_an_endpoint_starts_slowly_after_a_cooldown(strategy):
    scene = AfterCooldown(strategy)

    assert scene.share() <= 0.12

    scene.clock.now += 15

    assert scene.share() <= 0.38


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

    assert scene.hundred() == 100
