"""Leases: a slot that is freed once, and what an endpoint's answers say of its latency."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from routing.availability import NoEndpointError
from routing.endpoint import Endpoint
from routing.events import OutcomeRecorded
from routing.load_balancer import LoadBalancer
from routing.policy import BreakerPolicy, Policy
from routing.strategy import NO_CONTEXT, STRATEGIES, RoundRobinStrategy, SelectionContext
from tests.routing.scenes import (
    BAD,
    BUSY,
    DOWN,
    EU1,
    EU2,
    POOL,
    STEADY,
    US1,
    BalancerScene,
    at_most,
    in_flight,
    together,
)


class TestInFlight:
    ENDS = (
        ("end of the body", lambda lease: (lease.answered(), lease.close())),
        ("a fault before", lambda lease: lease.failed(DOWN)),
        ("a fault after", lambda lease: (lease.answered(), lease.failed(DOWN))),
        ("the caller left", lambda lease: lease.close()),
        ("everything twice", lambda lease: (lease.close(), lease.failed(DOWN), lease.answered(), lease.close())),
        ("leaving a block", lambda lease: lease.__exit__(None, None, None)),
    )

    @pytest.mark.parametrize("end", [end for _, end in ENDS], ids=[name for name, _ in ENDS])
    def test_a_slot_is_freed_once_however_it_ends(self, end):
        scene = BalancerScene()
        kept, lease = scene.at(EU1), scene.at(EU1)
        end(lease)
        end(lease)

        assert 1 == in_flight(scene.balancer)[EU1] == scene.state(EU1).in_flight
        assert scene.balancer._members[EU1]._waiting == 1
        kept.close()
        assert in_flight(scene.balancer)[EU1] == 0

    def test_a_block_frees_it_even_by_an_error(self):
        scene = BalancerScene()
        with pytest.raises(ZeroDivisionError), scene.acquire():
            1 / sum(in_flight(scene.balancer).values()) / 0

        assert sum(in_flight(scene.balancer).values()) == 0

    def test_a_stream_counts_until_its_last_byte(self):
        scene = BalancerScene([EU1, US1])
        scene.balancer.use("least-connections")
        stream = scene.acquire()
        stream.answered()

        assert [self.once(scene) for _ in range(3)] == [US1] * 3

    def once(self, scene: BalancerScene) -> Endpoint:
        with scene.acquire() as lease:
            return lease.endpoint

    @pytest.mark.parametrize("name", sorted(STRATEGIES))
    def test_whatever_sixteen_threads_do_nothing_stays_in_flight(self, name):
        balancer = LoadBalancer({"m": POOL}, policy=replace(STEADY, strategy=name))

        def work(seed: int) -> None:
            rng = random.Random(seed)
            for _ in range(40):
                try:
                    lease = balancer.acquire("m", context=SelectionContext(str(seed)))
                except NoEndpointError:
                    continue
                for _ in range(rng.randint(0, 3)):
                    rng.choice([lease.answered, lease.close, lambda lease=lease: lease.failed(DOWN)])()
                lease.close()

        together([lambda seed=seed: work(seed) for seed in range(16)])

        assert in_flight(balancer) == {EU1: 0, EU2: 0, US1: 0}
        assert [member._waiting for member in balancer._members.values()] == [0, 0, 0]


class TestLatency:
    def latency(self, scene: BalancerScene, after: float = 0.0) -> float:
        scene.clock.now += after
        return round(scene.state(EU1).latency, 4)

    def test_it_begins_with_the_seed(self):
        assert self.latency(BalancerScene()) == 1.0

    def answer(self, scene: BalancerScene, seconds: float):
        lease = scene.at(EU1)
        scene.clock.now += seconds
        lease.answered()
        return lease

    def test_a_peak_counts_at_once_and_a_better_time_little_by_little(self):
        scene = BalancerScene()
        self.answer(scene, 3.0)

        assert self.latency(scene) == 3.0

        self.answer(scene, 1.0)

        assert round(3 * 2.718281828**-0.1 + 1 * (1 - 2.718281828**-0.1), 4) == self.latency(scene)

    def test_it_fades_while_nobody_waits_and_not_while_someone_does(self):
        scene = BalancerScene()
        self.answer(scene, 4.0)

        assert round(4 * 2.718281828**-1, 4) == self.latency(scene, after=10)

        lease = scene.at(EU1)

        assert self.latency(scene, after=10) == 4.0

        lease.close()

        assert self.latency(scene, after=1_000) == 0.001

    @pytest.mark.parametrize(
        ("fault", "seconds"),
        [(DOWN, 5.0), (replace(BUSY, retry_after=42.0), 42.0), (replace(DOWN, retry_after=900.0), 300.0), (BAD, 1.0)],
    )
    def test_a_failure_counts_as_five_seconds_or_its_hint(self, fault, seconds):
        scene = BalancerScene()
        scene.fails(EU1, fault=fault)

        assert seconds == self.latency(scene)

    def test_an_answer_in_one_piece_counts_from_its_first_byte(self):
        scene = BalancerScene()
        lease = scene.at(EU1)
        scene.clock.now += 3
        lease.first_byte()
        scene.clock.now += 42
        lease.first_byte()
        lease.answered(whole=True)

        assert self.latency(scene) == 3.0

    def test_one_of_which_nobody_knows_when_it_began_does_not_count(self):
        scene = BalancerScene()
        lease = scene.at(EU1)
        scene.clock.now += 45
        lease.answered(whole=True)
        lease.close()

        assert round(2.718281828**-4.5, 4) == self.latency(scene)
        assert scene.state(EU1).answered == 0.0

    def test_strategies_see_it_fade(self):
        seen = []

        class Watch(RoundRobinStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                seen.append(round(candidates[0].latency, 3))
                return candidates[0].endpoint

        scene = BalancerScene([EU1], strategy=Watch())
        for wait in (0.0, 0.05, 0.1, 9.9):
            scene.clock.now += wait
            scene.balancer.select("m")

        assert seen == [1.0, 1.0, 0.985, 0.366]


class LeaseModel(RuleBasedStateMachine):
    """Leases against the table in their docstring."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.scene = BalancerScene([EU1], Policy(breaker=BreakerPolicy(failure_threshold=10**3, failure_rate=2)))
        self.stages: dict[object, str] = {}
        self.settled = 0

    @rule(target=leases)
    def acquire(self):
        lease = self.scene.acquire()
        self.stages[lease] = "open"
        return lease

    @rule(lease=leases)
    def answered(self, lease) -> None:
        lease.answered()
        if self.stages[lease] == "open":
            self.stages[lease] = "answered"
            self.settled += 1

    @rule(lease=leases, fault=st.sampled_from([DOWN, BAD]))
    def failed(self, lease, fault) -> None:
        lease.failed(fault)
        self.settled += self.stages[lease] != "closed"
        self.stages[lease] = "closed"

    @rule(lease=leases)
    def close(self, lease) -> None:
        lease.close()
        self.stages[lease] = "closed"

    @invariant()
    def they_agree(self) -> None:
        stages = Counter(self.stages.values())
        member = self.scene.balancer._members[EU1]

        assert (stages["open"] + stages["answered"], stages["open"]) == (member._in_flight, member._waiting)
        assert self.settled == len([event for event in self.scene.told if isinstance(event, OutcomeRecorded)])


class TestLeaseModel(LeaseModel.TestCase):
    settings = settings(max_examples=at_most(40), stateful_step_count=30)
