"""Questions at the same time: in order, so many at once, and waited for only as long as anybody wants the answers."""

import threading

import pytest

from gateway.cli.side_by_side import side_by_side


def test_results_come_in_the_order_of_the_items_however_many_are_asked_at_once() -> None:
    assert side_by_side(str, range(5), 2) == ["0", "1", "2", "3", "4"]
    assert side_by_side(str, (), 2) == []


def test_so_many_are_asked_at_the_same_time() -> None:
    both = threading.Barrier(2)

    assert sorted(side_by_side(lambda _: both.wait(10), range(4), 2)) == [0, 0, 1, 1]


def test_whoever_stops_waits_for_no_call_that_has_begun_and_no_other_begins() -> None:
    begun, hold, called = threading.Event(), threading.Event(), []

    def call(item: int) -> None:
        called.append(item)
        if item == 0:
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        hold.wait(10)

    with pytest.raises(KeyboardInterrupt):
        side_by_side(call, range(9), 2)
    held = [each for each in threading.enumerate() if each.name == "question"]
    hold.set()
    for each in held:
        each.join(10)

    assert [each.daemon for each in held if each.name == "question"][:1] == [True]
    assert len(called) <= 4
