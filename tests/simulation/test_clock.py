"""The virtual clock: order, waits, and waits within an action."""

import threading
from collections.abc import Iterator

import pytest

from simulation.clock import VirtualClock


class Scene:
    """A clock, and what happened on it at what time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.seen: list[tuple[float, str]] = []

    def note(self, what: str) -> None:
        self.seen.append((self.clock(), what))

    def sleeper(self, name: str, seconds: float) -> None:
        """An action that sleeps."""
        self.note(f"{name} sleeps")
        self.clock.sleep(seconds)
        self.note(f"{name} wakes")


def test_actions_run_in_the_order_of_their_times() -> None:
    scene = Scene()
    for seconds in (3.0, 1.0, 2.0):
        scene.clock.later(seconds, lambda seconds=seconds: scene.note(f"after {seconds}"))
    scene.clock.run()

    assert scene.seen == [(1.0, "after 1.0"), (2.0, "after 2.0"), (3.0, "after 3.0")]


def test_actions_of_one_moment_run_in_the_order_in_which_they_were_given() -> None:
    scene = Scene()
    for name in "abc":
        scene.clock.later(1.0, lambda name=name: scene.note(name))
    scene.clock.run()

    assert [what for _, what in scene.seen] == ["a", "b", "c"]


def test_a_process_waits_for_the_seconds_that_it_yields() -> None:
    scene = Scene()

    def process() -> Iterator[float]:
        yield 1.5
        scene.note("later")
        yield 0.5
        scene.note("last")

    scene.clock.start(process(), 1.0)
    scene.clock.run()

    assert scene.seen == [(2.5, "later"), (3.0, "last")]


def test_an_action_that_sleeps_wakes_on_time_whoever_sleeps_longer() -> None:
    """A loop that is run within the sleep would wake the first only when the second is through."""
    scene = Scene()
    scene.clock.later(0.0, lambda: scene.sleeper("short", 2.0))
    scene.clock.later(1.0, lambda: scene.sleeper("long", 10.0))
    scene.clock.later(3.0, lambda: scene.sleeper("third", 1.0))
    scene.clock.run()

    expected = [
        (0.0, "short sleeps"),
        (1.0, "long sleeps"),
        (2.0, "short wakes"),
        (3.0, "third sleeps"),
        (4.0, "third wakes"),
        (11.0, "long wakes"),
    ]

    assert scene.seen == expected


def test_a_process_may_sleep_in_what_it_calls() -> None:
    scene = Scene()

    def process() -> Iterator[float]:
        scene.sleeper("process", 1.0)
        yield 1.0
        scene.sleeper("process", 1.0)

    scene.clock.start(process())
    scene.clock.start(process(), 0.5)
    scene.clock.run()

    assert [moment for moment, _ in scene.seen] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]


def test_hundreds_that_sleep_at_once_leave_no_thread_behind() -> None:
    scene, before = Scene(), threading.active_count()
    for number in range(300):
        scene.clock.later(number / 1000, lambda: scene.sleeper("one", 1.0))
    scene.clock.run()

    assert len(scene.seen) == 600
    assert before == threading.active_count()


@pytest.mark.parametrize("when", [0.5, 1.0, 5.0, 20.0])
def test_what_an_action_raises_is_raised_by_run_whichever_thread_it_is_in(when) -> None:
    scene, before = Scene(), threading.active_count()

    def fail() -> None:
        raise LookupError("defect")

    for number in range(3):
        scene.clock.later(float(number), lambda: scene.sleeper("one", 3.0))
    scene.clock.later(when, fail)

    with pytest.raises(LookupError, match="defect"):
        scene.clock.run()
    assert before == threading.active_count()
