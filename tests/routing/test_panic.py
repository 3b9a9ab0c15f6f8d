"""A request that finds no room while no circuit of its model is closed."""

import pytest

from dialects.core.faults import FaultKind
from routing.availability import NoEndpointError
from routing.lease import Lease
from routing.load_balancer import LoadBalancer
from routing.policy import CooldownPolicy, Policy
from routing.request_router import RequestRouter
from tests.routing.scenes import DOWN, EU1, STEADY, US1, SleepingClock, place


class Crowd:
    """Both endpoints fail, and others take all the room there is: now, and after each of so many pauses."""

    def __init__(self, pauses: int) -> None:
        self.clock = SleepingClock(1000.0)
        self.pauses = pauses
        self.policy = Policy(breaker=STEADY.breaker, cooldown=CooldownPolicy(jitter=0))
        self.balancer = LoadBalancer({"m": [EU1, US1]}, policy=self.policy, clock=self.clock)
        for _ in range(2):
            self.balancer.acquire("m").failed(DOWN)
        self.held: list[Lease] = []
        self.take_all_room()
        self.router = RequestRouter(self.balancer, policy=self.policy, clock=self.clock, sleep=self.sleep)

    def take_all_room(self) -> None:
        while True:
            try:
                self.held.append(self.balancer.acquire("m"))
            except NoEndpointError:
                return

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        if self.pauses:
            self.pauses -= 1
            self.take_all_room()


def test_it_waits_until_there_is_room():
    crowd = Crowd(pauses=0)

    assert place(next(crowd.router.attempts("m"))) in {"eu/d1", "us/d7"}
    assert crowd.clock.slept == [1.0]


def test_it_waits_again_where_others_were_quicker():
    crowd = Crowd(pauses=1)

    assert place(next(crowd.router.attempts("m"))) in {"eu/d1", "us/d7"}
    assert crowd.clock.slept == [1.0, 1.0]


def test_after_two_seconds_in_all_it_is_a_503_that_says_when_to_come_back():
    crowd = Crowd(pauses=9)
    with pytest.raises(NoEndpointError) as caught:
        next(crowd.router.attempts("m"))

    fault = caught.value.fault
    assert (fault.kind, fault.status, fault.retry_after) == (FaultKind.UNAVAILABLE, 503, 1.0)
    assert crowd.clock.slept == [1.0, 1.0]
