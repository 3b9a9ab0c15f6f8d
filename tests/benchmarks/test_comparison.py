"""Two versions are told apart where their rounds tell them apart, and not otherwise."""

import random
from statistics import median

import pytest

from benchmarks.comparison import FEWEST, Compared, compared, comparison_table, interval
from benchmarks.targets import Rows

COST = "16 connections: CPU s per 1,000 requests"


def rows(base: list[float | None], new: list[float | None], row: str = COST) -> Rows:
    return {row: {"base": dict(enumerate(base, 1)), "new": dict(enumerate(new, 1))}}


@pytest.mark.parametrize(("rounds", "left_out"), [(6, 0), (8, 0), (9, 1), (12, 2), (15, 3), (20, 5)])
def test_the_interval_is_between_the_order_statistics_of_the_sign_test(rounds: int, left_out: int) -> None:
    """As in tables of the sign test: at 5 %, how many smallest and greatest values are left out."""
    ratios = [float(n) for n in range(rounds)]

    assert interval(ratios) == (left_out, rounds - 1 - left_out)


def test_no_interval_is_claimed_from_a_handful_of_rounds() -> None:
    assert interval([1.0] * (FEWEST - 1)) is None
    assert interval([]) is None


def test_the_interval_holds_the_true_median_as_often_as_it_says() -> None:
    """1,000 times 9 rounds whose true median is 1; 96.1 % is what the sign test gives."""
    rng = random.Random(7)
    within = [interval([rng.lognormvariate(0, 0.2) for _ in range(9)]) for _ in range(1_000)]

    assert sum(low <= 1 <= high for low, high in within) == pytest.approx(961, abs=20)


def test_ratios_are_taken_within_each_round() -> None:
    """The second round met a slow minute; the medians alone would say 0.5."""
    [row] = compared(rows([1.0, 100.0, 4.0], [3.0, 200.0, 2.0]), "base", "new")

    assert row == Compared(COST, 4.0, 3.0, 2.0, None)
    assert row.finding == "fewer than 6 rounds"


@pytest.mark.parametrize(
    ("row", "factor", "finding"),
    [
        (COST, 0.9, "better"),
        (COST, 1.1, "worse"),
        ("16 connections: requests/s", 1.1, "better"),
        ("passed through: chunks/s", 0.9, "worse"),
        ("50 streams: share of the ideal", 0.9, "worse"),
        ("start: cold start, s", 1.0, "not distinguishable"),
    ],
)
def test_what_is_better_depends_on_the_figure(row: str, factor: float, finding: str) -> None:
    base = [1.0, 1.2, 0.9, 1.1, 1.0, 1.3]
    [found] = compared(rows(list(base), [factor * each for each in base], row), "base", "new")

    assert found.finding == finding


def test_a_difference_that_rounds_do_not_agree_on_is_none() -> None:
    new = [0.8, 0.9, 0.8, 0.9, 0.8, 0.7, 0.8, 1.1, 1.2]
    [found] = compared(rows([1.0] * 9, list(new)), "base", "new")

    assert found.ratio == median(new)
    assert found.finding == "not distinguishable"


def test_who_was_not_measured_in_a_round_is_not_compared_in_it() -> None:
    [row] = compared(rows([1.0, None, 2.0, 0.0], [2.0, 3.0, None, 1.0]), "base", "new")

    assert row.ratio == 2.0
    assert list(compared({COST: {"base": {1: 1.0}}}, "base", "new")) == []


def test_nothing_is_said_of_what_has_no_ratio() -> None:
    """All streams ended, in both."""
    [row] = compared(rows([0.0] * 9, [0.0] * 9), "base", "new")

    assert (row.ratio, row.finding) == (None, "")
    assert comparison_table([row], "a", "b").splitlines()[2] == f"| {COST} | 0 | 0 | - | - |  |"


def test_the_table_has_both_the_ratio_and_its_interval() -> None:
    written = comparison_table(compared(rows([1.0] * 9, [0.9] * 8 + [1.2]), "base", "new"), "base", "new")

    assert written.splitlines()[0] == "|  | base | new | ratio | with 95 % confidence |  |"
    assert written.splitlines()[2] == f"| {COST} | 1.00 | 0.900 | 0.900 | 0.900 to 0.900 | better |"
