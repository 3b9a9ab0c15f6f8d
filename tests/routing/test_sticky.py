"""A request that continues an answer goes to the deployment that made it, and to no other."""

import dataclasses

import pytest

from dialects.core.faults import Fault, FaultKind
from routing.availability import NoEndpointError
from routing.policy import BreakerPolicy, Policy
from routing.request_router import RequestRouter
from tests.routing.scenes import BAD, BUSY, NO_REST, OVERLOADED, all_fail, place, pool_at


def fails(router: RequestRouter, where: str, fault: Fault) -> None:
    """Let one request fail at one place."""
    next(router.attempts("gpt-5", sticky=where, retry=False)).failed(fault)


class TestPinned:
    @pytest.mark.parametrize("sticky", ["d7", "us/d7"])
    def test_what_continues_a_response_goes_where_that_was_made(self, router_of, clock, sticky):
        router = router_of(pool_at("eu/d1", "us/d7", "us/d8"))
        for _ in range(5):
            assert all_fail(router.attempts("gpt-5", sticky=sticky, retry=False), BAD) == ["us/d7"]
        assert all_fail(router.attempts("gpt-5", sticky=sticky), OVERLOADED) == ["us/d7"] * 3
        assert len(clock.slept) == 2

    def test_it_does_not_wait_for_an_endpoint_where_it_must_not_go(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "us/d7"))

        assert all_fail(router.attempts("gpt-5", sticky="d7"), BUSY) == ["us/d7"]
        assert clock.slept == []

    @pytest.mark.parametrize("sticky", ["d9", "eu/d7", "d"])
    def test_a_deployment_that_is_gone_continues_nothing(self, router_of, sticky):
        with pytest.raises(NoEndpointError) as caught:
            router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5", sticky=sticky)

        fault = caught.value.fault
        assert (fault.kind, fault.status, fault.param) == (FaultKind.NOT_FOUND, 404, "previous_response_id")
        assert fault.message == "This request continues a response of a deployment that no longer exists."

    def test_one_that_rests_for_long_is_a_429_that_says_when(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(cooldown=NO_REST))
        fails(router, "us/d7", dataclasses.replace(BUSY, retry_after=30.0))
        clock.now += 10
        with pytest.raises(NoEndpointError) as caught:
            next(router.attempts("gpt-5", sticky="us/d7"))

        fault = caught.value.fault
        assert (fault.kind, fault.status, fault.retry_after) == (FaultKind.RATE_LIMITED, 429, 20.0)
        assert clock.slept == []

    def test_one_that_is_back_soon_is_waited_for(self, router_of, clock):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(cooldown=NO_REST))
        fails(router, "us/d7", dataclasses.replace(BUSY, retry_after=1.5))

        assert place(next(router.attempts("gpt-5", sticky="us/d7"))) == "us/d7"
        assert clock.slept == [1.75]  # chance 0.5: half of what is left of the 2 s that it may wait

    def test_one_that_is_open_is_asked_as_if_there_were_no_other(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"), Policy(breaker=BreakerPolicy(failure_threshold=1)))
        fails(router, "us/d7", OVERLOADED)
        attempts = [next(router.attempts("gpt-5", sticky="us/d7")) for _ in range(3)]

        assert [(place(each), each.lease.reason) for each in attempts] == [("us/d7", "alone")] * 3
        assert place(next(router.attempts("gpt-5"))) == "eu/d1"

    def test_the_pin_is_why_it_was_chosen(self, router_of):
        attempts = router_of(pool_at("eu/d1", "us/d7")).attempts("gpt-5", sticky="us/d7")
        next(attempts).failed(OVERLOADED)
        next(attempts)

        assert attempts.reasons == ("sticky", "sticky")

    def test_who_joins_later_has_not_made_it_either(self, router_of):
        router = router_of(pool_at("eu/d1", "us/d7"))
        attempts = router.attempts("gpt-5", sticky="us/d7")
        router.balancer.replace_pools(pool_at("eu/d1", "us/d7", "us/d8"))

        assert all_fail(attempts, OVERLOADED) == ["us/d7"] * 3

    def test_one_of_several_places_that_could_have_made_it_is_as_good_as_another(self, router_of, clock):
        attempts = router_of(pool_at("eu/d7", "us/d7", "us/d8")).attempts("gpt-5", sticky="d7")

        assert all_fail(attempts, OVERLOADED) == ["eu/d7", "us/d7", "eu/d7"]
        assert len(clock.slept) == 1

    @pytest.mark.parametrize("left", [{"gpt-5": []}, pool_at("eu/d1")], ids=["with all others", "alone"])
    def test_one_that_leaves_meanwhile_continues_nothing(self, router_of, left):
        router = router_of(pool_at("eu/d1", "us/d7"))
        first, second = (router.attempts("gpt-5", sticky="us/d7") for _ in range(2))
        next(second).failed(OVERLOADED)
        router.balancer.replace_pools(left)
        with pytest.raises(NoEndpointError) as caught:
            next(first)

        assert caught.value.fault.status == 404
        assert list(second) == []
        assert OVERLOADED is second.fault
