import contextlib
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from routing.policy import RetryPolicy
from routing.retry_budget import RetryBudget
from tests.routing.scenes import Clock, at_most


@pytest.fixture
def budget(clock) -> RetryBudget:
    return RetryBudget(RetryPolicy(), clock=clock)


def granted(budget: RetryBudget, model: str = "m", most: int = 100) -> int:
    count = 0
    while count < most and budget.spend(model):
        count += 1
    return count


def test_the_reserve_is_there_without_traffic(budget):
    assert granted(budget) == 10


def test_the_default_policy_is_the_documented_one(clock):
    assert granted(RetryBudget(clock=clock)) == 10


def test_every_fifth_request_earns_a_retry(budget):
    for _ in range(50):
        budget.deposit("m")

    assert budget.balance("m") == 20
    assert granted(budget) == 20


def test_looking_takes_nothing(budget):
    assert all(budget.allows("m") for _ in range(20))
    assert granted(budget) == 10
    assert not budget.allows("m")


def test_part_of_a_retry_is_none(clock):
    budget = RetryBudget(RetryPolicy(budget_reserve=0), clock=clock)
    for _ in range(4):
        budget.deposit("m")

    assert not budget.spend("m")
    budget.deposit("m")
    assert budget.spend("m")
    assert not budget.spend("m")


def test_what_was_refused_costs_nothing(budget):
    granted(budget)
    for _ in range(100):
        budget.spend("m")

    assert budget.balance("m") == 0


def test_each_model_has_its_own_budget(budget):
    granted(budget, "m")

    assert granted(budget, "n") == 10


def test_the_reserve_flows_back_evenly_over_a_window(budget, clock):
    granted(budget)
    counts = []
    for seconds in (0.9, 0.1, 2.5, 2.5, 10, 100):
        clock.now += seconds
        counts.append(granted(budget))

    assert counts == [0, 1, 2, 3, 10, 10]


def test_requests_pay_before_the_reserve_does(budget, clock):
    for _ in range(50):
        budget.deposit("m")
    assert granted(budget, most=12) == 12
    assert budget.balance("m") == 8
    clock.now += 5
    assert budget.balance("m") == 10
    clock.now += 5

    assert budget.balance("m") == 10


def test_retries_that_outlive_their_requests_leave_the_reserve_alone(budget, clock):
    for _ in range(50):
        budget.deposit("m")
    clock.now += 5
    assert granted(budget, most=10) == 10
    clock.now += 5

    assert budget.balance("m") == 10


def test_the_size_of_the_reserve_may_depend_on_the_model_and_on_the_moment(clock):
    sizes = {"m": 20, "n": 40}
    budget = RetryBudget(reserve=sizes.__getitem__, clock=clock)
    assert [granted(budget, model) for model in "mn"] == [20, 40]
    sizes["m"] = 25
    assert granted(budget) == 5
    clock.now += 2

    assert [granted(budget, model) for model in "mn"] == [5, 8]


def test_a_reserve_that_is_configured_is_the_same_for_all(clock):
    budget = RetryBudget(RetryPolicy(budget_reserve=3), reserve=lambda _: 40, clock=clock)

    assert [granted(budget, model) for model in "mn"] == [3, 3]


def test_requests_earn_nothing_when_the_window_has_passed(budget, clock):
    for _ in range(50):
        budget.deposit("m")
    clock.now += 9
    assert budget.balance("m") == 20
    clock.now += 1

    assert budget.balance("m") == 10


def test_the_window_is_the_policys(clock):
    budget = RetryBudget(RetryPolicy(budget_window=1), clock=clock)
    for _ in range(50):
        budget.deposit("m")
    granted(budget)
    clock.now += 0.9
    assert granted(budget) == 9
    clock.now += 0.1

    assert granted(budget) == 1


def test_what_is_remembered_of_a_model_is_bounded_however_long_it_is_asked(budget, clock):
    for _ in range(100):
        clock.now += 0.7
        budget.deposit("long")

    assert len(budget._accounts["long"].window.slices()) == 10


class BudgetAgainstARecord(RuleBasedStateMachine):
    """A record of everything that ever happened, played anew each time, is too simple to be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(1000.0)
        self.budget = RetryBudget(RetryPolicy(budget_reserve=2), clock=self.clock)
        self.requests: list[int] = []
        self.paid: list[tuple[int, float]] = []
        """What requests paid for retries, and in which second."""
        self.reserve = 2.0

    def share(self) -> float:
        oldest = int(self.clock.now) - 9
        earned = 0.2 * sum(at >= oldest for at in self.requests)
        return max(0.0, earned - sum(part for at, part in self.paid if at >= oldest))

    @rule(count=st.integers(1, 10))
    def request(self, count):
        for _ in range(count):
            self.budget.deposit("m")
            self.requests.append(int(self.clock.now))

    @rule()
    def retry(self):
        share = self.share()
        expected = share + self.reserve >= 1 - 1e-6

        assert self.budget.spend("m") is expected
        if expected:
            self.paid.append((int(self.clock.now), min(1.0, share)))
            self.reserve -= 1 - min(1.0, share)

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.5, 9.0, 10.0, 60.0]))
    def time_passes(self, seconds):
        self.clock.now += seconds
        self.reserve = min(2.0, self.reserve + 0.2 * seconds)

    @precondition(lambda self: self.requests or self.paid)
    @invariant()
    def the_balance_is_the_records(self):
        assert self.budget.balance("m") == pytest.approx(self.share() + self.reserve)


TestBudgetAgainstARecord = BudgetAgainstARecord.TestCase
TestBudgetAgainstARecord.settings = settings(max_examples=at_most(40), stateful_step_count=30)


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

    def _parts(self, account, now, size):
        parts = super()._parts(account, now, size)
        with contextlib.suppress(threading.BrokenBarrierError):
            self.meet.wait(0.2)
        return parts


@pytest.mark.parametrize("locked", [True, False])
def test_the_last_retry_is_granted_once_and_without_the_lock_twice(clock, locked):
    budget = TurnstileBudget(clock)
    if not locked:
        budget._lock = NoLock()
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(budget.spend("m"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == ([False, True] if locked else [True, True])
