"""What many tests of routing begin with; and how many examples they try, where EXAMPLES asks for few."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

from routing.load_balancer import LoadBalancer
from routing.policy import Policy
from routing.request_router import RequestRouter
from tests.routing.scenes import FEW, SleepingClock

if FEW:
    # One process runs each test again and again, as another instance of its class each time.
    again = [HealthCheck.differing_executors]
    settings.register_profile(
        "few", max_examples=FEW, derandomize=True, database=None, deadline=None, suppress_health_check=again
    )
    settings.load_profile("few")


@pytest.fixture
def clock() -> SleepingClock:
    return SleepingClock(1000.0)


@pytest.fixture
def router_of(clock) -> Callable[..., RequestRouter]:
    """Builds routers of given pools, by the clock of the test."""

    def router_of(pools, policy: Policy | None = None, chance: float = 0.5, **more) -> RequestRouter:
        policy = policy or Policy()
        balancer = LoadBalancer(pools, policy=policy, clock=clock)
        return RequestRouter(balancer, clock=clock, rng=lambda: chance, sleep=clock.sleep, **more)

    return router_of
