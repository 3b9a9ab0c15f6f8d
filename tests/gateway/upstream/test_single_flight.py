"""Calls that several threads ask for at the same time."""

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from traceback import walk_stack

import pytest

from gateway.upstream.single_flight import SingleFlight
from tests.support.processes import until


class Call:
    """A call that lasts until it is let go, and counts how often it is made; *ends* is how."""

    def __init__(self, ends: Callable[[int], int]) -> None:
        self.begun, self.let_go, self.made = threading.Event(), threading.Event(), 0
        self._ends = ends

    def __call__(self) -> int:
        self.made += 1
        self.begun.set()
        self.let_go.wait(60)
        return self._ends(self.made)


class Asker(threading.Thread):
    """A thread that asks *flight* for "a", and what it is given."""

    def __init__(self, flight: SingleFlight[str, int], call: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self.flight, self.call, self.given = flight, call, Future[int]()
        self.start()

    def run(self) -> None:
        try:
            self.given.set_result(self.flight("a", self.call))
        except ConnectionError as error:
            self.given.set_exception(error)

    def waits(self) -> bool:
        """Whether it waits for what another has begun."""
        stack = walk_stack(sys._current_frames()[self.ident or 0])  # noqa: SLF001 - Python documents it
        return any(frame.f_code is Future.result.__code__ for frame, _ in stack)

    @property
    def outcome(self) -> int | BaseException:
        return self.given.exception(60) or self.given.result()


def fail(_: int) -> int:
    raise ConnectionError


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("ends", [lambda made: made, fail], ids=["returns", "raises"])
def test_whoever_asks_meanwhile_shares_what_the_call_returns_or_raises(ends: Callable[[int], int], keep: bool) -> None:
    call, flight = Call(ends), SingleFlight[str, int](keep=keep)
    first = Asker(flight, call)
    call.begun.wait(60)
    others = [Asker(flight, call) for _ in range(2)]
    for each in others:
        until(each.waits)
    elsewhere = flight("b", lambda: 7)
    call.let_go.set()

    assert [each.outcome for each in others] == [first.outcome] * 2
    assert (call.made, elsewhere) == (1, 7)


@pytest.mark.parametrize(("keep", "expected"), [(False, [0, 1]), (True, [0, 0])])
def test_an_outcome_is_for_those_who_waited_for_it_unless_it_is_kept(keep: bool, expected: list[int]) -> None:
    flight, made = SingleFlight[str, int](keep=keep), count()

    assert [flight("a", made.__next__) for _ in range(2)] == expected


@pytest.mark.parametrize(("keep", "expected"), [(False, 2), (True, 1)])
def test_a_call_that_failed_is_made_again_unless_its_outcome_is_kept(keep: bool, expected: int) -> None:
    call, flight = Call(fail), SingleFlight[str, int](keep=keep)
    call.let_go.set()
    for _ in range(2):
        with pytest.raises(ConnectionError):
            flight("a", call)

    assert call.made == expected
