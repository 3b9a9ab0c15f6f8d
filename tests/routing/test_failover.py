"""Where a request goes after a failure: away from what is likely to fail as well."""

import dataclasses

import pytest

from dialects.core.faults import Fault, FaultKind
from routing.health import Circuit
from routing.load_balancer import NoEndpointError
from routing.policy import BreakerPolicy, Policy, RetryPolicy
from routing.strategy import STRATEGIES, SelectionContext
from tests.routing.scenes import (
    BAD,
    BUSY,
    DOWN,
    FORBIDDEN,
    NO_REST,
    OVERLOADED,
    all_fail,
    endpoint,
    in_flight,
    place,
    pool_at,
)

SILENT = Fault(FaultKind.TIMEOUT, "no answer in time", unanswered=True)


def tiered(*places: str) -> dict:
    """One model at places such as `0:eu/d1`, with their tiers."""
    pool = []
    for each in places:
        tier, _, where = each.partition(":")
        pool.append(endpoint(*where.split("/"), "gpt-5", tier=int(tier)))
    return {"gpt-5": pool}


class TestAnotherSubaccount:
    @pytest.mark.parametrize("strategy", sorted(set(STRATEGIES) - {"priority"}))
    @pytest.mark.parametrize("siblings", [2, 3, 4])
    def test_broken_siblings_do_not_use_up_the_attempts(self, router_of, clock, strategy, siblings):
        broken = [f"eu/d{number}" for number in range(siblings)]
        router = router_of(pool_at(*broken, "us/d7"), Policy(strategy=strategy))
        for number in range(30):
            clock.now += 0.2
            with router.attempts("gpt-5", context=SelectionContext(f"k{number}")) as attempts:
                for attempt in attempts:
                    attempt.failed(DOWN) if place(attempt) in broken else attempt.answered()

            assert attempts.trail.endswith("us/d7 ok")
            assert attempts.trail.count("→") <= 1

    def test_each_failure_leads_to_a_subaccount_that_has_not_failed(self, router_of):
        router = router_of(pool_at("eu/d1", "eu/d2", "us/d3", "us/d4", "ap/d5", "ap/d6"))

        assert [went.partition("/")[0] for went in all_fail(router.attempts("gpt-5"), DOWN)] == ["eu", "us", "ap"]

    def test_tiers_do_not_matter_where_the_strategy_reads_none(self, router_of):
        router = router_of(tiered("0:eu/d1", "0:us/d2", "0:ap/d3", "1:eu/d4"))

        assert [went.partition("/")[0] for went in all_fail(router.attempts("gpt-5"), DOWN)] == ["eu", "us", "ap"]

    def test_a_sibling_is_asked_where_no_other_subaccount_is_available(self, router_of):
        router = router_of(pool_at("eu/d1", "eu/d2", "us/d3"), Policy(cooldown=NO_REST))
        next(router.attempts("gpt-5", sticky="us/d3", retry=False)).failed(dataclasses.replace(BUSY, retry_after=60))

        assert all_fail(router.attempts("gpt-5"), DOWN, Fault(FaultKind.INVALID_REQUEST, "x")) == ["eu/d1", "eu/d2"]

    def test_an_open_circuit_elsewhere_is_not_forced_while_a_sibling_is_closed(self, router_of):
        router = router_of(pool_at("eu/d1", "eu/d2", "us/d3"), Policy(breaker=BreakerPolicy(failure_threshold=1)))
        next(router.attempts("gpt-5", sticky="us/d3", retry=False)).failed(DOWN)
        attempts = router.attempts("gpt-5")
        next(attempts).failed(DOWN)

        assert place(next(attempts)) == "eu/d2"

    def test_after_the_pause_all_are_equal_again(self, router_of, clock):
        policy = Policy(retry=RetryPolicy(max_attempts=5))
        went = all_fail(router_of(pool_at("eu/d1", "eu/d2", "us/d3"), policy).attempts("gpt-5"), OVERLOADED)

        assert went[:3] == ["eu/d1", "us/d3", "eu/d2"]
        assert {each.partition("/")[0] for each in went[3:]} == {"eu", "us"}
        assert len(clock.slept) == 1


class TestAnotherTier:
    PRIORITY = Policy(strategy="priority")

    def test_a_tier_is_left_once_it_has_failed_twice(self, router_of):
        router = router_of(tiered("0:eu/d1", "0:eu/d2", "0:eu/d3", "1:us/d7"), self.PRIORITY)

        assert all_fail(router.attempts("gpt-5"), DOWN) == ["eu/d1", "eu/d2", "us/d7"]

    def test_a_failure_alone_leaves_no_tier(self, router_of):
        router = router_of(tiered("0:eu/d1", "0:us/d2", "1:us/d7"), self.PRIORITY)

        assert all_fail(router.attempts("gpt-5"), DOWN)[:2] == ["eu/d1", "us/d2"]

    def test_the_last_tier_is_asked_again_where_there_is_no_other(self, router_of):
        router = router_of(tiered("3:eu/d1", "3:eu/d2", "3:us/d3"), self.PRIORITY)

        assert sorted(all_fail(router.attempts("gpt-5"), DOWN)) == ["eu/d1", "eu/d2", "us/d3"]

    def test_no_caller_sees_an_error_while_the_next_tier_is_well(self, router_of, clock):
        router = router_of(tiered("0:eu/d1", "0:eu/d2", "0:eu/d3", "0:eu/d4", "1:us/d7"), self.PRIORITY)
        for _ in range(30):
            clock.now += 0.2
            with router.attempts("gpt-5") as attempts:
                for attempt in attempts:
                    attempt.answered() if attempt.endpoint.tier else attempt.failed(DOWN)

            assert attempts.trail.endswith("us/d7 ok")

    def test_within_one_tier_another_subaccount_comes_first(self, router_of):
        router = router_of(tiered("0:eu/d1", "0:eu/d2", "0:us/d7", "1:us/d8"), self.PRIORITY)

        assert all_fail(router.attempts("gpt-5"), DOWN) == ["eu/d1", "us/d7", "us/d8"]

    def test_a_refusal_asks_another_subaccount_whatever_its_tier(self, router_of):
        router = router_of(tiered("0:eu/d1", "0:eu/d2", "1:us/d7"), self.PRIORITY)

        assert all_fail(router.attempts("gpt-5"), FORBIDDEN) == ["eu/d1", "us/d7"]

    def test_under_other_strategies_tiers_mean_nothing(self, router_of):
        router = router_of(tiered("0:eu/d1", "1:eu/d2", "1:us/d3", "1:us/d4"))

        assert all_fail(router.attempts("gpt-5"), DOWN) == ["eu/d1", "us/d3", "eu/d2"]


class TestNoToken:
    NO_TOKEN = Fault(FaultKind.NO_TOKEN, "no token", retry_after=2.0)

    def test_all_endpoints_of_its_subaccount_are_passed_over_together(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "eu/d2", "us/d7"), Policy(cooldown=NO_REST))
        next(router.attempts("gpt-5", sticky="eu/d1", retry=False)).failed(self.NO_TOKEN)
        went = [place(next(router.attempts("gpt-5"))) for _ in range(4)]
        clock.now += 2

        assert went == ["us/d7"] * 4
        assert "eu" in {place(next(router.attempts("gpt-5"))).partition("/")[0] for _ in range(20)}

    def test_no_circuit_opens_however_often_there_is_none(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(cooldown=NO_REST))
        for _ in range(20):
            next(router.attempts("gpt-5", sticky="eu/d1", retry=False)).failed(self.NO_TOKEN)
            clock.now += 2

        assert {state.circuit for state in router.balancer.snapshot()} == {Circuit.CLOSED}

    def test_a_request_goes_elsewhere_at_once_and_waits_where_there_is_no_elsewhere(self, router_of, clock):
        two, one = (router_of(pool_at(*places), Policy(cooldown=NO_REST)) for places in (["eu/d1", "us/d7"], ["eu/d1"]))

        assert all_fail(two.attempts("gpt-5"), self.NO_TOKEN, BAD) == ["eu/d1", "us/d7"]
        assert clock.slept == []
        assert all_fail(one.attempts("gpt-5"), self.NO_TOKEN, BAD) == ["eu/d1", "eu/d1"]
        assert clock.slept == [2.0]

    def test_the_trail_says_so(self, router_of):
        attempts = router_of(pool_at("eu/d1")).attempts("gpt-5", retry=False)
        all_fail(attempts, self.NO_TOKEN)

        assert attempts.trail == "eu/d1 no_token"
        assert attempts.final_fault.retry_after >= 2.0


class TestSilence:
    @pytest.mark.parametrize(
        ("faults", "attempts"),
        [
            ((SILENT,), 2),
            ((SILENT, DOWN), 2),
            ((DOWN, SILENT), 3),
            ((DOWN, DOWN, SILENT), 4),
            ((Fault(FaultKind.TIMEOUT, "no connection in time"),), 5),
        ],
        ids=["silence", "silence-then-failure", "failure-then-silence", "silence-third", "no-connection"],
    )
    def test_after_an_answer_that_did_not_come_one_more_attempt_is_made(self, router_of, faults, attempts):
        places = [f"s{number}/d{number}" for number in range(6)]
        router = router_of(pool_at(*places), Policy(retry=RetryPolicy(max_attempts=5)))

        assert attempts == len(all_fail(router.attempts("gpt-5"), *faults))

    def test_the_last_attempt_that_is_left_takes_no_probe(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "us/d7", "ap/d9"), Policy(breaker=BreakerPolicy(failure_threshold=1)))
        next(router.attempts("gpt-5", sticky="ap/d9", retry=False)).failed(DOWN)
        clock.now += 15
        attempts = router.attempts("gpt-5", context=SelectionContext(preferred=router.balancer.endpoints("gpt-5")[0]))
        first = next(attempts)
        first.failed(SILENT)

        assert [place(first), place(next(attempts))] == ["eu/d1", "us/d7"]

    def test_it_is_no_more_than_there_may_be_anyway(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"))

        assert len(all_fail(router.attempts("gpt-5", retry=False), SILENT)) == 1


class TestLeases:
    def test_every_lease_that_nobody_took_over_is_closed(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"))
        with router.attempts("gpt-5") as attempts:
            next(attempts).failed(DOWN)
            next(attempts).answered()
            before = sum(in_flight(router.balancer).values())

        assert (before, sum(in_flight(router.balancer).values())) == (1, 0)

    def test_so_it_is_when_an_error_ends_it(self, router_of):
        router = router_of(pool_at("eu/d1"))

        def err() -> None:
            with router.attempts("gpt-5") as attempts:
                next(attempts).answered()
                router.attempts("mistral")

        with pytest.raises(NoEndpointError):
            err()

        assert not any(in_flight(router.balancer).values())

    def test_one_that_was_taken_over_is_its_new_owners(self, router_of):
        router = router_of(pool_at("eu/d1"))
        with router.attempts("gpt-5") as attempts:
            attempt = next(attempts)
            attempt.answered()
            lease = attempt.take_over()
        before = sum(in_flight(router.balancer).values())
        attempts.close()
        lease.close()

        assert lease is attempt.lease
        assert (before, sum(in_flight(router.balancer).values())) == (1, 0)
