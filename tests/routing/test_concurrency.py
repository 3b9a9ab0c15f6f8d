"""Each lock in routing is needed, and enough."""

from collections.abc import Callable
from pathlib import Path

import pytest

import routing
from routing.health import CircuitBreaker
from routing.load_balancer import LoadBalancer
from routing.policy import RetryPolicy
from routing.retry_budget import RetryBudget
from routing.strategy import RoundRobinStrategy, WeightedStrategy
from tests.routing.scenes import EU1, US1, Clock, in_flight, rows
from tests.support.interleaving import Scenario, is_enough, is_needed, locks_in


def balancer() -> Scenario:
    """No request is waiting when all were answered."""
    subject = LoadBalancer({"m": [EU1]})
    leases = [subject.acquire("m") for _ in range(3)]
    law = lambda: subject._members[EU1]._waiting == 0  # noqa: E731 - named for its line
    return Scenario(subject._lock, "lock", [each.answered for each in leases], law)


def lease() -> Scenario:
    """A slot is freed once."""
    subject = LoadBalancer({"m": [EU1]})
    taken = subject.acquire("m")
    law = lambda: in_flight(subject) == {EU1: 0}  # noqa: E731 - named for its line
    return Scenario(taken, "_lock", [taken.close] * 3, law, others=[(subject._lock, "lock")])


def breaker() -> Scenario:
    """A half-open circuit admits one."""
    clock = Clock()
    subject = CircuitBreaker(failure_threshold=1, timeout=1, clock=clock)
    subject.failed(subject.enter())
    clock.now = 1
    permits: list[object] = []
    task = lambda: permits.append(subject.enter())  # noqa: E731 - named for its list
    return Scenario(subject, "_lock", [task] * 3, lambda: len([each for each in permits if each]) == 1)


def round_robin() -> Scenario:
    """Two endpoints take turns."""
    subject, chosen = RoundRobinStrategy(), []
    task = lambda: chosen.append(subject.select_endpoint(rows(EU1, US1)))  # noqa: E731 - named for its list
    return Scenario(subject, "_lock", [task] * 4, lambda: chosen.count(EU1) == chosen.count(US1) == 2)


def weighted() -> Scenario:
    """What is paid is what was earned."""
    subject, chosen = WeightedStrategy(), []
    task = lambda: chosen.append(subject.select_endpoint(rows(EU1, US1)))  # noqa: E731 - named for its list
    return Scenario(
        subject,
        "_lock",
        [task] * 4,
        lambda: chosen.count(EU1) == 2 and not sum(subject._purses["m"].owed.values()),
    )


def budget() -> Scenario:
    """One retry that is left is granted once."""
    subject = RetryBudget(RetryPolicy(budget_reserve=1, budget_ratio=0), clock=Clock())
    granted: list[bool] = []
    task = lambda: granted.append(subject.spend("m"))  # noqa: E731 - named for its list
    return Scenario(subject, "_lock", [task] * 3, lambda: granted.count(True) == 1)


SCENARIOS: list[Callable[[], Scenario]] = [balancer, lease, breaker, round_robin, weighted, budget]


@pytest.mark.parametrize("build", SCENARIOS)
def test_the_lock_is_enough(build):
    assert is_enough(build)


@pytest.mark.parametrize("build", SCENARIOS)
def test_removing_the_lock_breaks_the_law(build):
    assert is_needed(build)


def test_no_lock_in_routing_is_without_a_scenario():
    scenarios = [build() for build in SCENARIOS]

    assert locks_in(Path(routing.__file__).parent) == {(type(each.owner).__name__, each.lock) for each in scenarios}
