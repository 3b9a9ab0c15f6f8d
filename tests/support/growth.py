"""How the time of a function grows with its input: measured for an input, and for one of 4 and of 16 times its size.

Times are of the processor, and the least of several rounds, since other programs of the machine only add to them.
A linear function takes 16 times as long for the largest input, a quadratic one 256 times.
"""

import gc
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

FACTORS = (1, 4, 16)
_ROUNDS = (3, 1, 1)
_MARGIN = 3
"""How many times longer than a linear function one may take: for caches of the processor, and costs at the start."""
_TRIES = 6
_SHORTEST = 5e-5
"""A time in seconds. Shorter ones say little, and count as this one."""


@dataclass(frozen=True, slots=True)
class Case:
    """A function that takes foreign input: *build* makes an input of a size, of which *run* takes all.

    *size* is that of the smallest input: one for which *run* takes about half a millisecond.
    """

    name: str
    size: int
    build: Callable[[int], Any]
    run: Callable[[Any], object]


def groups_of(cases: Iterable[Case], words: int = 1) -> list[Any]:
    """Group cases by the first words of their names, as parameters of a test."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(" ".join(case.name.split()[:words]), []).append(case)
    return [pytest.param(some, id=name) for name, some in groups.items()]


def must_all_be_linear(cases: Iterable[Case]) -> None:
    """Fail with all cases that are not linear."""
    found = []
    for case in cases:
        try:
            must_be_linear(case)
        except AssertionError as error:
            found.append(str(error))

    assert found == []


def must_be_linear(case: Case) -> None:
    """Fail if the time grows clearly faster than the input. A suspicious result is measured again before."""
    inputs = [case.build(case.size * factor) for factor in FACTORS]
    best = [math.inf] * len(FACTORS)
    with _without_collection():
        for _ in range(_TRIES):
            best = [min(known, _time_of(case, *each)) for known, *each in zip(best, inputs, _ROUNDS, strict=True)]
            if _is_linear(best):
                return
    shown = ", ".join(f"{seconds * 1000:.2f} ms" for seconds in best)
    raise AssertionError(f"{case.name}: sizes of {case.size} times {FACTORS} take {shown}")


def _is_linear(seconds: Sequence[float]) -> bool:
    *smaller, largest = seconds
    least = [
        _MARGIN * FACTORS[-1] / factor * max(each, _SHORTEST) for each, factor in zip(smaller, FACTORS, strict=False)
    ]
    return largest <= min(least)


def _time_of(case: Case, given: Any, rounds: int) -> float:
    """Return the least processor time in seconds of so many rounds."""
    best = math.inf
    for _ in range(rounds):
        before = time.thread_time()
        case.run(given)
        best = min(best, time.thread_time() - before)
    return best


@contextmanager
def _without_collection() -> Iterator[None]:
    """Collect no garbage in the block: when it is collected, and how much, has nothing to do with the function."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
