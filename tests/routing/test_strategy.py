import dataclasses
import math
import random
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing import strategy as module
from routing.endpoint import Candidate, Endpoint
from routing.policy import Policy
from routing.strategy import (
    NO_CONTEXT,
    STRATEGIES,
    CacheAffinityStrategy,
    LeastConnectionsStrategy,
    LeastLatencyStrategy,
    LoadBalancingStrategy,
    PriorityStrategy,
    RoundRobinStrategy,
    SelectionContext,
    WeightedStrategy,
    make_strategy,
    register_strategy,
)
from tests.routing.scenes import EU1, EU2, US1, at_most, choose, endpoint, rows, together

ALL = sorted(STRATEGIES)
SIX = [endpoint(name, f"d{i}") for name in ("eu", "us") for i in range(3)]


def turns_in(table: Mapping[Hashable, Any]) -> dict[Hashable, tuple[int, dict[str, int]]]:
    """What a strategy remembers of turns."""
    return {key: (turns.now, dict(turns.last)) for key, turns in table.items()}


class Dice(random.Random):
    """Falls as it was told to."""

    def __init__(self, *draws: float) -> None:
        super().__init__(0)
        self.draws = list(draws)

    def random(self) -> float:
        return self.draws.pop(0)


class TestRoundRobin:
    def test_subaccounts_take_turns_and_inside_one_its_deployments(self):
        chosen = choose(RoundRobinStrategy(), rows(EU1, EU2, US1), 8)

        assert chosen == [EU1, US1, EU2, US1, EU1, US1, EU2, US1]

    def test_models_have_turns_of_their_own(self):
        strategy = RoundRobinStrategy()
        other = [endpoint("eu", "d5", "other"), endpoint("us", "d6", "other")]

        assert choose(strategy, rows(EU1, US1), 1) == [EU1]
        assert other == choose(strategy, rows(*other), 2)
        assert choose(strategy, rows(EU1, US1), 2) == [US1, EU1]

    def test_one_url_in_two_places_has_two_turns(self):
        here, there = Endpoint("eu", "https://x", "m"), Endpoint("us", "https://x", "m")

        assert [here, there, here] == choose(RoundRobinStrategy(), rows(here, there), 3)

    def test_who_drops_out_leaves_the_order_of_the_others_as_it_was(self):
        strategy = RoundRobinStrategy()
        a, b, c = (endpoint("eu", name) for name in "abc")

        assert [a] == choose(strategy, rows(a, b, c), 1)
        assert [c, a, c] == choose(strategy, rows(a, c), 3)
        assert [b, a, c, b] == choose(strategy, rows(a, b, c), 4)

    def test_ten_thousand_choices_by_sixteen_threads_are_exactly_even(self):
        strategy, given = RoundRobinStrategy(), []
        together([lambda: given.extend(choose(strategy, rows(*SIX), 625))] * 16)
        counts = Counter(given)

        assert counts.total() == 10_000
        assert sum(counts[each] for each in SIX[:3]) == 5_000
        assert set(counts.values()) == {1_666, 1_667}

    def test_all_turns_begin_anew_when_the_pool_changes(self):
        strategy = RoundRobinStrategy()
        assert choose(strategy, rows(EU1, EU2, US1), 3) == [EU1, US1, EU2]

        strategy.retain([EU1, US1])
        assert choose(strategy, rows(EU1, US1), 2) == [EU1, US1]


class TestWeighted:
    def test_five_one_one_gives_a_a_b_a_c_a_a(self):
        a, b, c = endpoint("eu", "a", weight=5), endpoint("eu", "b"), endpoint("eu", "c")

        assert choose(WeightedStrategy(), rows(a, b, c), 21) == [a, a, b, a, c, a, a] * 3

    @given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 3))
    def test_over_each_cycle_each_is_chosen_as_often_as_it_weighs(self, weights, cycles):
        strategy = WeightedStrategy()
        pool = [endpoint("eu", f"d{i}", weight=weight) for i, weight in enumerate(weights)]
        for _ in range(cycles):
            chosen = Counter(choose(strategy, rows(*pool), sum(weights)))

            assert {each: each.weight for each in pool} == chosen

    @given(st.lists(st.sets(st.sampled_from("abcd"), min_size=1), max_size=60))
    def test_credits_add_up_to_nothing_whoever_takes_part(self, rounds):
        strategy = WeightedStrategy()
        weights = {"a": 8, "b": 4, "c": 2, "d": 1}
        for names in rounds:
            choose(strategy, rows(*(endpoint("eu", name, weight=weights[name]) for name in sorted(names))), 1)
            owed = [*(strategy._purses["m"].owed.values())]

            assert sum(owed) == 0
            assert all(-15 <= each <= 15 for each in owed)

    def test_who_was_away_does_not_catch_up(self):
        strategy = WeightedStrategy()
        a, b = endpoint("eu", "a"), endpoint("eu", "b")
        choose(strategy, rows(a), 100)

        assert [a, b, a, b] == choose(strategy, rows(a, b), 4)

    def test_debt_is_never_deeper_than_all_weights_together(self):
        strategy = WeightedStrategy()
        a, b = endpoint("eu", "a"), endpoint("eu", "b")
        strategy.select_endpoint([Candidate(a, 0, 1.0), Candidate(b, 0, 1.0)])
        strategy._purses["m"].owed["eu", a.url] = -50.0
        strategy._purses["m"].owed["eu", b.url] = -60.0
        strategy.select_endpoint(rows(a, b))

        assert strategy._purses["m"].owed["eu", a.url] == -2

    def test_slow_start_makes_weights_fractions(self):
        a, b = EU1, US1
        candidates = [Candidate(a, 0, 1.0), Candidate(b, 0, 0.25)]

        assert Counter({a: 8, b: 2}) == Counter(choose(WeightedStrategy(), candidates, 10))

    def test_models_have_credits_of_their_own(self):
        strategy = WeightedStrategy()
        other = endpoint("eu", "d1", "other", weight=100)
        choose(strategy, rows(other), 1)

        assert choose(strategy, rows(EU1, US1), 2) == [EU1, US1]

    def test_all_rounds_begin_anew_when_the_pool_changes(self):
        strategy = WeightedStrategy()
        assert choose(strategy, rows(EU1, US1), 1) == [EU1]

        strategy.retain([EU1, US1])
        assert choose(strategy, rows(EU1, US1), 2) == [EU1, US1]


class TestLeastConnections:
    def test_the_least_busy_for_its_weight(self):
        heavy = endpoint("us", "d7", weight=4)
        candidates = [Candidate(EU1, 2, 1.0), Candidate(EU2, 3, 1.0), Candidate(heavy, 7, 4.0)]

        assert [heavy] == choose(LeastConnectionsStrategy(), candidates, 1)
        assert choose(LeastConnectionsStrategy(), candidates[:2], 1) == [EU1]

    def test_ties_take_turns(self):
        assert choose(LeastConnectionsStrategy(), rows(EU1, EU2, US1), 4) == [EU1, EU2, US1, EU1]

    def test_ties_take_turns_by_weight(self):
        heavy = endpoint("eu", weight=9)

        assert Counter(choose(LeastConnectionsStrategy(), rows(heavy, US1), 100)) == {heavy: 90, US1: 10}

    @pytest.mark.parametrize("at_a_time", [1, 2, 6, 20])
    def test_weights_hold_however_few_requests_are_in_flight(self, at_a_time):
        strategy, draw, got = LeastConnectionsStrategy(), random.Random(3), Counter()
        heavy, in_flight = endpoint("eu", weight=9), []
        for _ in range(2_000):
            if len(in_flight) == at_a_time:
                del in_flight[draw.randrange(at_a_time)]
            candidates = [Candidate(each, in_flight.count(each), each.weight) for each in (heavy, US1)]
            in_flight.append(strategy.select_endpoint(candidates))
            got[in_flight[-1]] += 1

        assert pytest.approx(got[heavy] / 2_000, abs=0.06) == 0.9

    @pytest.mark.parametrize(("busy", "expected"), [(8, {True, False}), (9, {False})])
    def test_one_that_would_not_be_busier_than_the_other_is_ties_with_it(self, busy, expected):
        heavy = endpoint("eu", weight=9)
        chosen = choose(LeastConnectionsStrategy(), [Candidate(heavy, busy, 9.0), Candidate(US1)], 20)

        assert {each == heavy for each in chosen} == expected

    @given(st.lists(st.integers(0, 5), max_size=60))
    def test_loads_never_differ_by_more_than_one(self, ends):
        """One comes each time; one goes sometimes, from wherever there are most."""
        strategy, load = LeastConnectionsStrategy(), dict.fromkeys(SIX, 0)
        for end in ends:
            load[strategy.select_endpoint([Candidate(each, load[each]) for each in SIX])] += 1
            if end == 0:
                load[max(load, key=load.__getitem__)] -= 1

            assert max(load.values()) - min(load.values()) <= 1

    def test_all_turns_begin_anew_when_the_pool_changes(self):
        strategy = LeastConnectionsStrategy()
        assert choose(strategy, rows(EU1, US1), 1) == [EU1]

        strategy.retain([EU1, US1])
        assert choose(strategy, rows(EU1, US1), 1) == [EU1]


class TestLeastLatency:
    def test_of_two_at_random_the_one_that_answers_sooner(self):
        slow, fast, fastest = Candidate(EU1, 0, 1, 3.0), Candidate(EU2, 0, 1, 2.0), Candidate(US1, 0, 1, 1.0)
        for draws, expected in [((0.0, 0.0), EU2), ((0.0, 0.99), US1), ((0.99, 0.0), US1), ((0.5, 0.0), EU2)]:
            strategy = LeastLatencyStrategy(Dice(*draws))

            assert choose(strategy, [slow, fast, fastest], 1) == [expected]

    @pytest.mark.parametrize(
        ("here", "there", "expected"),
        [
            (Candidate(EU1, 3, 1, 1.0), Candidate(US1, 0, 1, 3.9), US1),
            (Candidate(EU1, 3, 1, 1.0), Candidate(US1, 0, 1, 4.1), EU1),
            (Candidate(EU1, 0, 0.1, 1.0), Candidate(US1, 0, 1, 9.0), US1),
        ],
    )
    def test_requests_in_flight_and_slow_start_count(self, here, there, expected):
        assert choose(LeastLatencyStrategy(Dice(0.0, 0.0)), [here, there], 1) == [expected]

    def test_each_pair_is_as_likely(self):
        strategy, seen = LeastLatencyStrategy(random.Random(1)), Counter()
        for _ in range(3_000):
            seen[
                strategy.select_endpoint([Candidate(EU1, 0, 1, 1), Candidate(EU2, 0, 1, 2), Candidate(US1, 0, 1, 3)])
            ] += 1

        assert seen[US1] == 0
        assert 1_900 < seen[EU1] < 2_100

    @pytest.mark.parametrize("latency", [1.0, 1.25])
    def test_of_equally_fast_ones_each_gets_its_weight(self, latency):
        heavy = endpoint("eu", weight=9)
        candidates = [Candidate(heavy, 0, 9.0, latency), Candidate(EU2), Candidate(US1)]
        got = Counter(choose(LeastLatencyStrategy(random.Random(1)), candidates, 3_000))

        assert pytest.approx(got[heavy] / 3_000, abs=0.03) == 9 / 11

    @pytest.mark.parametrize(("busy", "expected"), [(0, EU1), (1, US1)])
    def test_of_equally_fast_ones_the_second_goes_if_the_first_is_busier(self, busy, expected):
        candidates = [Candidate(EU1, busy, 1, 1.0), Candidate(US1, 0, 1, 1.2)]

        assert choose(LeastLatencyStrategy(Dice(0.0, 0.0)), candidates, 1) == [expected]

    def test_a_draw_that_rounding_pushes_past_the_end_is_the_last(self):
        assert choose(LeastLatencyStrategy(Dice(1.0, 0.0)), rows(EU1, US1), 1) == [US1]

    def test_one_that_is_ten_times_slower_gets_nothing_while_nobody_is_ten_times_busier(self):
        for busy, expected in [(8, {EU1}), (10, {US1})]:
            candidates = [Candidate(EU1, busy, 1, 0.1), Candidate(US1, 0, 1, 1.0)]

            assert {*choose(LeastLatencyStrategy(random.Random(1)), candidates, 50)} == expected

    def test_the_only_one_needs_no_dice(self):
        assert choose(LeastLatencyStrategy(Dice()), rows(EU1), 1) == [EU1]

    def test_it_has_dice_of_its_own(self):
        assert choose(LeastLatencyStrategy(), rows(EU1, US1), 1)[0] in {EU1, US1}


class TestCacheAffinity:
    POOL = rows(*(endpoint(name, f"d{i}") for name in ("eu", "us", "ap", "br") for i in range(2)))

    def test_a_key_stays_in_its_subaccount_and_deployments_there_take_turns(self):
        chosen = choose(CacheAffinityStrategy(), self.POOL, 4, "conversation")

        assert len({each.subaccount for each in chosen}) == 1
        assert chosen[0] != chosen[1]
        assert chosen[:2] == chosen[2:]

    def test_every_worker_agrees_for_ever(self):
        """The hash is part of the contract: a restart must not empty the caches."""
        found = [choose(CacheAffinityStrategy(), self.POOL, 1, key)[0].subaccount for key in "abcdefgh"]

        assert found == ["ap", "br", "eu", "us", "br", "br", "ap", "ap"]

    def test_deployments_of_one_subaccount_are_chosen_by_weight(self):
        heavy = endpoint("eu", "d1", weight=9)

        assert Counter(choose(CacheAffinityStrategy(), rows(heavy, EU2), 100, "key")) == {heavy: 90, EU2: 10}

    def test_who_leaves_moves_only_its_own_keys(self):
        keys = [f"key {i}" for i in range(200)]
        before = {key: choose(CacheAffinityStrategy(), self.POOL, 1, key)[0].subaccount for key in keys}
        after = {key: choose(CacheAffinityStrategy(), self.POOL[2:], 1, key)[0].subaccount for key in keys}

        assert {before[key] for key in keys if before[key] != after[key]} == {"eu"}

    def test_keys_spread_by_weight(self):
        pool = rows(endpoint("eu", "d1", weight=3), endpoint("us", "d7"))
        found = Counter(choose(CacheAffinityStrategy(), pool, 1, f"key {i}")[0].subaccount for i in range(4_000))

        assert 2_900 < found["eu"] < 3_100

    @pytest.mark.parametrize(
        ("home", "elsewhere", "stays"),
        [
            (0, 0, True),
            (1, 0, True),  # the floor of two
            (2, 0, False),  # 3 x 1/2 x 1.25 = 1.9, floor 2: full
            (3, 2, True),  # 6 x 1/2 x 1.25 = 3.75, so 4
            (4, 2, True),  # 7 x 1/2 x 1.25 = 4.4, so 5: room for one
            (5, 2, False),  # 8 x 1/2 x 1.25 = 5: full
        ],
    )
    def test_a_subaccount_over_its_fair_share_is_passed_over(self, home, elsewhere, stays):
        key = "conversation"
        [first] = choose(CacheAffinityStrategy(), rows(EU1, US1), 1, key)
        loads = {first: home, (US1 if first == EU1 else EU1): elsewhere}
        [found] = choose(CacheAffinityStrategy(), [Candidate(each, loads[each]) for each in (EU1, US1)], 1, key)

        assert stays == (found == first)

    def test_what_a_subaccount_carries_is_what_all_its_deployments_do(self):
        keys = [f"key {i}" for i in range(9)]
        at_home = [key for key in keys if choose(CacheAffinityStrategy(), rows(EU1, EU2, US1), 1, key)[0] != US1]
        busy = [Candidate(EU1, 3), Candidate(EU2, 3), Candidate(US1, 0)]  # 7 x 2/3 x 1.25 = 5.8, so 6: full

        assert at_home
        assert {choose(CacheAffinityStrategy(), busy, 1, key)[0] for key in at_home} == {US1}

    def test_the_spill_is_sticky_too(self):
        """Over the bound the key goes to its second home, which is where it goes when the first is away."""
        for key in (f"key {i}" for i in range(30)):
            first = choose(CacheAffinityStrategy(), self.POOL, 1, key)[0].subaccount
            without = [row for row in self.POOL if row.endpoint.subaccount != first]
            second = choose(CacheAffinityStrategy(), without, 1, key)[0].subaccount
            full = [row._replace(in_flight=9) if row.endpoint.subaccount == first else row for row in self.POOL]

            assert second == choose(CacheAffinityStrategy(), full, 1, key)[0].subaccount

    @given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.floats(1, 3), st.text(min_size=1))
    def test_there_is_always_room_somewhere_and_never_too_much(self, loads, bound, key):
        pool = [Candidate(endpoint(f"s{i}", "d"), load) for i, load in enumerate(loads)]
        chosen = CacheAffinityStrategy(bound, 1).select_endpoint(pool, SelectionContext(key))
        load = next(row.in_flight for row in pool if row.endpoint == chosen)

        assert load + 1 <= math.ceil(bound * (sum(loads) + 1) / 4)

    def test_without_a_key_it_goes_where_the_fewest_requests_are(self):
        candidates = [Candidate(EU1, 1), Candidate(EU2, 0), Candidate(US1, 2)]

        assert choose(CacheAffinityStrategy(), candidates, 1) == [EU2]

    def test_the_settings_bound_it(self):
        strategy = make_strategy("cache-affinity", Policy(affinity_load=3.0, affinity_floor=7))

        assert (strategy._load, strategy._floor) == (3.0, 7)

    def test_all_turns_begin_anew_when_the_pool_changes(self):
        strategy = CacheAffinityStrategy()
        before = [choose(strategy, rows(EU1, EU2), 1, key) for key in ("key", "")]
        strategy.retain([EU1, EU2])

        assert before == [choose(strategy, rows(EU1, EU2), 1, key) for key in ("key", "")]


class TestPriority:
    FIRST, SECOND, THIRD = endpoint("eu", "a", tier=1), endpoint("us", "b", tier=1), endpoint("ap", "c", tier=2)

    def test_the_first_tier_takes_all_in_turns(self):
        pool = rows(self.THIRD, self.FIRST, self.SECOND)

        assert choose(PriorityStrategy(), pool, 3) == [self.FIRST, self.SECOND, self.FIRST]

    def test_the_next_tier_takes_what_is_left(self):
        assert choose(PriorityStrategy(), rows(self.THIRD), 1) == [self.THIRD]

    @pytest.mark.parametrize(("busy", "expected"), [(3, "eu"), (4, "ap")])
    def test_a_full_tier_is_passed_over(self, busy, expected):
        heavy = endpoint("eu", "a", tier=1, weight=2)
        pool = [Candidate(heavy, busy, 2.0), Candidate(self.THIRD, 1, 1.0)]

        assert [each.subaccount for each in choose(PriorityStrategy(full=2), pool, 1)] == [expected]

    def test_slow_start_makes_nobody_full_any_sooner(self):
        pool = [Candidate(self.FIRST, 1, 0.1), Candidate(self.THIRD, 0, 0.1)]

        assert choose(PriorityStrategy(full=2), pool, 1) == [self.FIRST]

    def test_when_all_are_full_the_least_busy_takes_it(self):
        pool = [Candidate(self.FIRST, 9), Candidate(self.THIRD, 8)]

        assert choose(PriorityStrategy(full=2), pool, 1) == [self.THIRD]

    def test_nothing_is_full_unless_a_measure_is_given(self):
        assert choose(PriorityStrategy(), [Candidate(self.FIRST, 9), Candidate(self.THIRD, 0)], 1) == [self.FIRST]

    def test_nothing_is_full_by_default(self):
        pool = [Candidate(self.FIRST, 10**9), Candidate(self.THIRD, 0)]

        assert choose(make_strategy("priority", Policy()), pool, 1) == [self.FIRST]
        assert choose(make_strategy("priority", Policy(priority_full=1)), pool, 1) == [self.THIRD]

    def test_all_turns_begin_anew_when_the_pool_changes(self):
        strategy, full = PriorityStrategy(full=1), [Candidate(EU1, 5), Candidate(US1, 5)]
        assert choose(strategy, rows(EU1, US1), 1) + choose(strategy, full, 1) == [EU1, EU1]

        strategy.retain([EU1, US1])
        assert choose(strategy, rows(EU1, US1), 1) + choose(strategy, full, 1) == [EU1, EU1]


class TestNames:
    @pytest.mark.parametrize(
        ("name", "reads"),
        [
            ("round-robin", set()),
            ("weighted", {"weight"}),
            ("least-connections", {"weight", "failure_penalty"}),
            ("least-latency", {"weight", "ewma_decay", "ewma_seed", "failure_penalty"}),
            ("cache-affinity", {"weight", "failure_penalty", "affinity_load", "affinity_floor"}),
            ("priority", {"tier", "priority_full"}),
        ],
    )
    def test_each_declares_the_settings_that_it_reads(self, name, reads):
        fields = {each.name for each in dataclasses.fields(Policy)} | {"weight", "tier"}

        assert reads == STRATEGIES[name].reads(Policy())
        assert reads <= fields

    def test_priority_reads_weights_where_an_endpoint_can_be_full(self):
        assert {"tier", "weight", "failure_penalty", "priority_full"} == PriorityStrategy.reads(Policy(priority_full=3))

    def test_one_that_does_not_declare_them_may_read_weights_and_tiers(self):
        assert {"tier", "weight", "input_tokens"} == LoadBalancingStrategy.reads(Policy())

    @pytest.mark.parametrize("name", ALL)
    def test_a_strategy_is_found_under_the_name_it_gives_itself(self, name):
        strategy = make_strategy(name, Policy(), random.Random(1))

        assert name == strategy.get_name()
        assert type(strategy) is STRATEGIES[name]

    @pytest.mark.parametrize("name", ALL)
    @settings(max_examples=at_most(20))
    @given(data=st.data())
    def test_the_choice_is_one_of_the_candidates(self, name, data):
        strategy = make_strategy(name, Policy())
        for _ in range(5):
            picked = data.draw(st.lists(st.sampled_from(SIX), min_size=1, unique=True))
            pool = [Candidate(each, data.draw(st.integers(0, 9)), data.draw(st.floats(0.1, 9))) for each in picked]

            assert strategy.select_endpoint(pool, SelectionContext(data.draw(st.text()))) in picked

    def test_an_unknown_name_is_refused_with_those_there_are(self):
        with pytest.raises(ValueError, match=rf"^strategy must be one of {', '.join(STRATEGIES)}, not 'best'$"):
            make_strategy("best", Policy())

    def test_a_registered_class_works_with_no_other_change(self, monkeypatch):
        table = dict(STRATEGIES)
        monkeypatch.setattr(module, "_STRATEGIES", table)

        @register_strategy
        class Last(LoadBalancingStrategy):
            def select_endpoint(self, candidates, context=NO_CONTEXT):
                return candidates[-1].endpoint

            def get_name(self):
                return "last"

        strategy = make_strategy("last", Policy())
        strategy.retain([EU1])

        assert strategy.select_endpoint(rows(EU1, US1)) == US1
        assert register_strategy(Last) is Last

    def test_two_strategies_cannot_have_one_name(self):
        class Impostor(RoundRobinStrategy):
            pass

        with pytest.raises(ValueError, match="a strategy named 'round-robin' exists already"):
            register_strategy(Impostor)

        assert STRATEGIES["round-robin"] is RoundRobinStrategy
