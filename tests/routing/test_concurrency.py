"""Each lock in routing is needed, and enough.

Threads that merely run at once hardly ever meet in the few instructions that a lock
guards, so a test that hammers passes without the lock as well. Here one thread runs at a
time, and after any instruction of the guarded file it may have to hand over to another,
as a seed says. With the lock the law holds for every seed; without it, some seed breaks it.
"""

import ast
import random
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

import routing.breaker
import routing.budget
import routing.lease
import routing.strategy
from routing.budget import RetryBudget
from routing.health import CircuitBreaker
from routing.load_balancer import LoadBalancer
from routing.policy import RetryPolicy
from routing.strategy import RoundRobinStrategy, WeightedStrategy
from tests.routing.scenes import EU1, US1, Clock, rows

SEEDS = range(12)


class Stage:
    """Runs threads one at a time, and makes them hand over within *file* as *seed* says."""

    def __init__(self, file: str, seed: int) -> None:
        self.file = file
        self.rng = random.Random(seed)
        self.turns: dict[int, threading.Semaphore] = {}
        self.living: list[int] = []
        self.me = threading.local()
        self.errors: list[BaseException] = []

    def run(self, tasks: Sequence[Callable[[], object]]) -> None:
        self.living = list(range(len(tasks)))
        self.turns = {number: threading.Semaphore(0) for number in self.living}
        threads = [threading.Thread(target=self.play, args=each) for each in enumerate(tasks)]
        for thread in threads:
            thread.start()
        self.turns[0].release()
        for thread in threads:
            thread.join(30)
        assert not self.errors, self.errors

    def play(self, number: int, task: Callable[[], object]) -> None:
        self.me.number = number
        self.wait()
        before = sys.gettrace()
        sys.settrace(self.trace)
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - the test that started it looks at it
            self.errors.append(error)
        finally:
            sys.settrace(before)
            self.living.remove(number)
            if self.living:
                self.turns[self.rng.choice(self.living)].release()

    def trace(self, frame: FrameType, event: str, argument: object):
        if frame.f_code.co_filename != self.file:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and self.rng.random() < 0.25:
            self.hand_over()
        return self.trace

    def hand_over(self) -> None:
        other = self.rng.choice(self.living)
        if other != self.me.number:
            self.turns[other].release()
            self.wait()

    def wait(self) -> None:
        if not self.turns[self.me.number].acquire(timeout=20):
            raise TimeoutError


class Lock:
    """A lock that hands over instead of blocking."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.held = False

    def __enter__(self) -> None:
        while self.held:
            self.stage.hand_over()
        self.held = True

    def __exit__(self, *error: object) -> None:
        self.held = False


class NoLock:
    """A lock that somebody has removed."""

    def __init__(self, stage: Stage) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


@dataclass
class Scenario:
    """Something whose lock can be replaced, what threads do with it, and the law that must hold afterwards."""

    owner: object
    lock: str
    tasks: list[Callable[[], object]]
    law: Callable[[], bool]


def balancer() -> Scenario:
    """As many requests are in flight as leases were granted."""
    subject = LoadBalancer({"m": [EU1]})
    task = lambda: subject.acquire("m")  # noqa: E731 - named for its list
    return Scenario(subject._ledger, "lock", [task] * 3, lambda: subject.in_flight() == {EU1: 3})


def lease() -> Scenario:
    """A slot is freed once."""
    subject = LoadBalancer({"m": [EU1]})
    taken = subject.acquire("m")
    return Scenario(taken, "_lock", [taken.close] * 3, lambda: subject.in_flight() == {EU1: 0})


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
    return Scenario(subject, "_lock", tasks, lambda: (subject._streak, subject._slices[-1].bad) == (3, 3))


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
    task = lambda: granted.append(subject.withdraw("m"))  # noqa: E731 - named for its list
    return Scenario(subject, "_lock", [task] * 3, lambda: granted.count(True) == 1)


SCENARIOS = [
    (balancer, routing.lease, "Ledger"),
    (lease, routing.lease, "Lease"),
    (breaker, routing.breaker, "CircuitBreaker"),
    (breaker_counts, routing.breaker, "CircuitBreaker"),
    (round_robin, routing.strategy, "RoundRobinStrategy"),
    (weighted, routing.strategy, "WeightedStrategy"),
    (budget, routing.budget, "RetryBudget"),
]


def holds(build: Callable[[], Scenario], file: str, seed: int, lock: type[Lock] | type[NoLock]) -> bool:
    """Whether the law holds after the threads met as *seed* says."""
    stage = Stage(file, seed)
    scenario = build()
    ledger = getattr(scenario.owner, "_ledger", None)
    if ledger is not None:
        ledger.lock = Lock(stage)
    setattr(scenario.owner, scenario.lock, lock(stage))
    stage.run(scenario.tasks)
    return scenario.law()


@pytest.mark.parametrize(("build", "module", "owner"), SCENARIOS, ids=lambda value: getattr(value, "__name__", value))
def test_the_lock_is_enough(build, module, owner):
    assert all(holds(build, module.__file__, seed, Lock) for seed in SEEDS)


@pytest.mark.parametrize(("build", "module", "owner"), SCENARIOS, ids=lambda value: getattr(value, "__name__", value))
def test_removing_the_lock_breaks_the_law(build, module, owner):
    assert not all(holds(build, module.__file__, seed, NoLock) for seed in range(200))


def test_no_lock_in_routing_is_without_a_scenario():
    found = set()
    for file in Path(routing.lease.__file__).parent.rglob("*.py"):
        for each in ast.walk(ast.parse(file.read_text())):
            if isinstance(each, ast.ClassDef) and any(
                isinstance(node, ast.Attribute) and node.attr in {"Lock", "RLock", "Condition", "Semaphore"}
                for node in ast.walk(each)
            ):
                found.add(each.name)

    assert found == {owner for _, _, owner in SCENARIOS}
