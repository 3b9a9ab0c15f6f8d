import contextlib
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from routing.budget import RetryBudget
from routing.policy import RetryPolicy
from tests.routing.scenes import Clock, at_most


@pytest.fixture
def budget(clock) -> RetryBudget:
    return RetryBudget(RetryPolicy(), clock=clock)


def granted(budget: RetryBudget, model: str = "m", most: int = 100) -> int:
    count = 0
    while count < most and budget.withdraw(model):
        count += 1
    return count


def test_the_reserve_is_there_without_traffic(budget):
    assert 10 == granted(budget)


def test_the_default_policy_is_the_documented_one(clock):
    assert 10 == granted(RetryBudget(clock=clock))


def test_every_fifth_request_earns_a_retry(budget):
    for _ in range(50):
        budget.requested("m")

    assert 20 == budget.balance("m")
    assert 20 == granted(budget)


def test_looking_takes_nothing(budget):
    assert all(budget.allows("m") for _ in range(20))
    assert 10 == granted(budget)
    assert not budget.allows("m")


def test_part_of_a_retry_is_none(clock):
    budget = RetryBudget(RetryPolicy(budget_reserve=0), clock=clock)
    for _ in range(4):
        budget.requested("m")

    assert not budget.withdraw("m")
    budget.requested("m")
    assert budget.withdraw("m")
    assert not budget.withdraw("m")


def test_what_was_refused_costs_nothing(budget):
    granted(budget)
    for _ in range(100):
        budget.withdraw("m")

    assert 0 == budget.balance("m")


def test_each_model_has_its_own_budget(budget):
    granted(budget, "m")

    assert 10 == granted(budget, "n")


def test_what_was_spent_comes_back_when_the_window_has_passed(budget, clock):
    granted(budget)
    clock.now += 9
    assert 0 == granted(budget)
    clock.now += 1

    assert 10 == granted(budget)


def test_requests_earn_nothing_when_the_window_has_passed(budget, clock):
    for _ in range(50):
        budget.requested("m")
    clock.now += 9
    assert 20 == budget.balance("m")
    clock.now += 1

    assert 10 == budget.balance("m")


def test_the_window_is_the_policys(clock):
    budget = RetryBudget(RetryPolicy(budget_window=1), clock=clock)
    granted(budget)
    clock.now += 0.9
    assert 0 == granted(budget)
    clock.now += 0.1

    assert 10 == granted(budget)


def test_what_is_remembered_is_bounded_however_many_models_and_however_long(budget, clock):
    for number in range(1500):
        budget.requested(f"m{number}")
    for _ in range(100):
        clock.now += 0.7
        budget.requested("long")

    assert 1000 == len(budget._models)
    assert 10 == len(budget._models["long"])


def test_the_model_longest_unused_is_forgotten_first(budget):
    granted(budget, "first")
    granted(budget, "second")
    for number in range(998):
        budget.requested(f"m{number}")
    budget.requested("first")
    budget.requested("one more")

    assert budget.balance("first") == pytest.approx(0.2)
    assert 10 == budget.balance("second")


class BudgetAgainstALedger(RuleBasedStateMachine):
    """A ledger of everything that ever happened is too simple to be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(1000.0)
        self.budget = RetryBudget(RetryPolicy(budget_reserve=2), clock=self.clock)
        self.requests: list[int] = []
        self.retries: list[int] = []

    def expected(self) -> float:
        oldest = int(self.clock.now) - 9
        recent = [sum(at >= oldest for at in each) for each in (self.requests, self.retries)]
        return 2 + 0.2 * recent[0] - recent[1]

    @rule(count=st.integers(1, 10))
    def request(self, count):
        for _ in range(count):
            self.budget.requested("m")
            self.requests.append(int(self.clock.now))

    @rule()
    def retry(self):
        expected = self.expected() >= 1

        assert self.budget.withdraw("m") is expected
        if expected:
            self.retries.append(int(self.clock.now))

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.5, 9.0, 10.0, 60.0]))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @precondition(lambda self: self.requests or self.retries)
    @invariant()
    def the_balance_is_the_ledgers(self):
        assert self.budget.balance("m") == pytest.approx(self.expected())


TestBudgetAgainstALedger = BudgetAgainstALedger.TestCase
TestBudgetAgainstALedger.settings = settings(max_examples=at_most(40), stateful_step_count=30)


class NoLock:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class TurnstileBudget(RetryBudget):
    """Lets a second thread run between looking at the balance and spending it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(RetryPolicy(budget_reserve=1), clock=clock)
        self.meet = threading.Barrier(2)

    def _balance(self, model: str) -> float:
        balance = super()._balance(model)
        with contextlib.suppress(threading.BrokenBarrierError):
            self.meet.wait(0.2)
        return balance


@pytest.mark.parametrize("locked", [True, False])
def test_the_last_retry_is_granted_once_and_without_the_lock_twice(clock, locked):
    budget = TurnstileBudget(clock)
    if not locked:
        budget._lock = NoLock()
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(budget.withdraw("m"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == ([False, True] if locked else [True, True])
