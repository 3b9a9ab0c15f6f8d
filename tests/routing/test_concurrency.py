"""Each lock in routing is needed, and enough."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import routing
from routing.health import CircuitBreaker
from routing.load_balancer import LoadBalancer
from routing.policy import RetryPolicy
from routing.retry_budget import RetryBudget
from routing.strategy import RoundRobinStrategy, WeightedStrategy
from tests.routing.scenes import EU1, US1, Clock, rows
from tests.support.interleaving import Scenario, is_enough, is_needed, locks_in


def balancer() -> Scenario:
    """As many requests are in flight as leases were granted."""
    subject = LoadBalancer({"m": [EU1]})
    task = lambda: subject.acquire("m")  # noqa: E731 - named for its list
    return Scenario(subject._ledger, "lock", [task] * 3, lambda: subject.in_flight() == {EU1: 3})


def lease() -> Scenario:
    """A slot is freed once."""
    subject = LoadBalancer({"m": [EU1]})
    taken = subject.acquire("m")
    law = lambda: subject.in_flight() == {EU1: 0}  # noqa: E731 - named for its line
    return Scenario(taken, "_lock", [taken.close] * 3, law, others=[(subject._ledger, "lock")])


def breaker() -> Scenario:
    """A half-open circuit admits one."""
    clock = Clock()
    subject = CircuitBreaker(failure_threshold=1, timeout=1, clock=clock)
    subject.failed(subject.enter())
    clock.now = 1
    permits: list[object] = []
    task = lambda: permits.append(subject.enter())  # noqa: E731 - named for its list
    return Scenario(subject, "_lock", [task] * 3, lambda: len([each for each in permits if each]) == 1)


def breaker_counts() -> Scenario:
    """Three failures in a row are three."""
    subject = CircuitBreaker(failure_threshold=4, clock=Clock())
    tasks = [partial(subject.failed, subject.enter()) for _ in range(3)]
    return Scenario(subject, "_lock", tasks, lambda: (len(subject._runs), subject._slices[-1].bad) == (4, 3))


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


SCENARIOS: list[Callable[[], Scenario]] = [balancer, lease, breaker, breaker_counts, round_robin, weighted, budget]


@pytest.mark.parametrize("build", SCENARIOS)
def test_the_lock_is_enough(build):
    assert is_enough(build)


@pytest.mark.parametrize("build", SCENARIOS)
def test_removing_the_lock_breaks_the_law(build):
    assert is_needed(build)


def test_no_lock_in_routing_is_without_a_scenario():
    scenarios = [build() for build in SCENARIOS]

    assert locks_in(Path(routing.__file__).parent) == {(type(each.owner).__name__, each.lock) for each in scenarios}
