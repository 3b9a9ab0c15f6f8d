"""What strategies that take turns give to an endpoint that starts slowly."""

from collections import Counter

import pytest

from routing.endpoint import Candidate, Endpoint
from routing.lease import Lease
from routing.policy import BreakerPolicy, Policy
from routing.strategy import LeastConnectionsStrategy, PriorityStrategy, RoundRobinStrategy
from tests.routing.scenes import DOWN, EU1, EU2, US1, BalancerScene, choose, endpoint, rows


class TestRoundRobin:
    def test_who_starts_slowly_waits_as_much_longer_as_its_share_is_smaller(self):
        a, b = endpoint("eu", weight=5), endpoint("us", weight=2)
        chosen = choose(RoundRobinStrategy(), [Candidate(a, 0, 1.25), Candidate(b, 0, 2.0)], 10)

        assert chosen == [b, b, b, b, a] * 2

    @pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 0.5])
    @pytest.mark.parametrize("others", [1, 2, 5, 9])
    def test_its_part_of_the_turns_is_its_share_of_all(self, share, others):
        pool = [Candidate(EU1, 0, share), *rows(*(endpoint("eu", f"e{n}") for n in range(others)))]
        chosen = Counter(choose(RoundRobinStrategy(), pool, 1_000))

        assert pytest.approx(chosen[EU1], rel=0.04, abs=1) == 1_000 * share / (share + others)
        assert max(chosen.values()) - min(chosen[row.endpoint] for row in pool[1:]) <= 1

    def test_it_waits_no_longer_once_its_share_has_grown(self):
        strategy = RoundRobinStrategy()
        choose(strategy, [Candidate(EU1, 0, 0.1), Candidate(US1)], 3)

        assert choose(strategy, rows(EU1, US1), 2) == [EU1, US1]

    def test_all_that_start_slowly_together_take_turns(self):
        slow = [Candidate(each, 0, 0.3) for each in (EU1, EU2, US1)]

        assert choose(RoundRobinStrategy(), slow, 8) == [EU1, US1, EU2, US1] * 2

    def test_a_deployment_that_starts_slowly_takes_nothing_from_its_subaccount(self):
        chosen = Counter(choose(RoundRobinStrategy(), [Candidate(EU1, 0, 0.1), *rows(EU2, US1)], 220))

        assert chosen == {EU1: 10, EU2: 100, US1: 110}

    def test_what_other_models_do_does_not_shorten_its_wait(self):
        strategy = RoundRobinStrategy()
        other = rows(endpoint("eu", "d5", "other"), endpoint("us", "d6", "other"))
        found = []
        for _ in range(110):
            found += choose(strategy, [Candidate(EU1, 0, 0.1), Candidate(US1)], 1)
            choose(strategy, other, 7)

        assert found.count(EU1) == 10


class TestFailingAtOnce:
    """What fails at once has nothing in flight, and attracts no requests by that."""

    def chosen(self, scene: BalancerScene, count: int) -> Counter[Endpoint]:
        """Make requests of which EU1 refuses each at once, and US1 is still at work on each."""
        got: Counter[Endpoint] = Counter()
        for _ in range(count):
            lease = scene.acquire()
            got[lease.endpoint] += 1
            if lease.endpoint == EU1:
                lease.failed(DOWN)
            else:
                self.open.append(lease)
        return got

    def test_what_failed_lately_counts_as_in_flight(self):
        candidates = [Candidate(EU1, 1, failed_lately=2), Candidate(EU2, 2)]

        assert choose(LeastConnectionsStrategy(), candidates, 1) == [EU2]

    def test_it_gets_no_more_than_its_share_for_as_long_as_a_failure_counts(self):
        self.open: list[Lease] = []
        never = BreakerPolicy(failure_threshold=1_000, failure_rate=2)
        scene = BalancerScene([EU1, US1], Policy(breaker=never, strategy="least-connections", failure_penalty=5))

        assert self.chosen(scene, 10) == {EU1: 5, US1: 5}
        scene.clock.now += 4.9
        assert self.chosen(scene, 2) == {EU1: 1, US1: 1}
        scene.clock.now += 0.1
        assert self.chosen(scene, 5) == {EU1: 5}


class TestLeastConnections:
    def test_ties_with_one_that_starts_slowly_give_it_its_share(self):
        chosen = choose(LeastConnectionsStrategy(), [Candidate(EU1, 0, 0.1), Candidate(US1)], 110)

        assert chosen.count(EU1) == 10


class TestPriority:
    FIRST, SECOND, THIRD = endpoint("eu", "a", tier=1), endpoint("us", "b", tier=1), endpoint("ap", "c", tier=2)

    def test_a_tier_that_starts_slowly_takes_turns_with_the_next(self):
        far = endpoint("br", "d", tier=3)
        pool = [Candidate(self.FIRST, 0, 0.1), *rows(self.THIRD, far)]

        assert Counter(choose(PriorityStrategy(), pool, 110)) == {self.FIRST: 10, self.THIRD: 100}

    def test_one_that_is_well_keeps_the_traffic_in_its_tier(self):
        pool = [Candidate(self.FIRST, 0, 0.1), *rows(self.SECOND, self.THIRD)]

        assert Counter(choose(PriorityStrategy(), pool, 110)) == {self.FIRST: 10, self.SECOND: 100}

    def test_if_all_start_slowly_the_first_tier_takes_all(self):
        pool = [Candidate(each, 0, 0.1) for each in (self.FIRST, self.THIRD)]

        assert {self.FIRST} == set(choose(PriorityStrategy(), pool, 3))
