"""Work in steps: it says what it waits for, and whoever drives it may stop at any time and go on later."""

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Interest, Lifetime
from gateway.upstream.background import Task

T = TypeVar("T")

_CLOSED: Final = Fault(FaultKind.STREAM_BROKEN, "The answer of SAP AI Core was given up.")


class StillPending(Exception):  # noqa: N818 - nothing is wrong: it goes on later
    """The work has not come to its end within the seconds it was given; asking again goes on where it stopped."""


@dataclass(frozen=True, slots=True, eq=False)
class Pause:
    """What a piece of work waits for: one interest at most, in the tuple that `Lifetime.wait` takes, until a moment.

    At that moment, `TimeoutError` is raised in the work.
    """

    interests: tuple[Interest, ...]
    until: float = math.inf


Steps = Generator[Pause, None, T]
"""Work that gives a `Pause` whenever it has to wait, and returns what it is for."""


def waiting_for(task: Task[T], until: float) -> Steps[T]:
    """Wait for a task; give or raise its result."""
    pause = Pause((Interest(task),), until)
    while not task.done:
        yield pause
    return task.result()


class Resumable(Generic[T]):
    """Drives one piece of work; `close` ends it where it stands. One thread at a time uses it.

    `moved` is when it last got on, by the clock of whoever drives it: silence is counted from there.
    """

    def __init__(self, steps: Steps[T], now: float) -> None:
        self.moved = now
        self._steps = steps
        self._pause: Pause | None = None
        self._result: tuple[T] | None = None
        self._closed = False

    @property
    def done(self) -> bool:
        """Whether the work has come to its end."""
        return self._result is not None

    @property
    def pause(self) -> Pause | None:
        """What it waits for; nothing if it has not begun, or is at its end."""
        return self._pause

    def go_on(self, lifetime: Lifetime, seconds: float) -> T:
        """Go on to the end and give the result.

        Raises `StillPending` if that is not reached within so many *seconds*, and `FaultError` for what fails, or
        as soon as the request is over.
        """
        until = lifetime.clock() + seconds
        while self._result is None:
            if self._closed:
                raise FaultError(_CLOSED)
            self._go(lifetime, until)
        return self._result[0]

    def run_to_end(self, lifetime: Lifetime, silence: float) -> T:
        """Go on to the end, however long it takes; raises `StillPending` if there was *silence* for so many seconds."""
        while True:
            try:
                return self.go_on(lifetime, max(0.0, self.moved + silence - lifetime.clock()))
            except StillPending:
                if lifetime.clock() - self.moved >= silence:
                    raise

    def close(self) -> None:
        """End the work; what it holds is let go."""
        self._closed = True
        self._pause = None
        self._steps.close()

    def _go(self, lifetime: Lifetime, until: float) -> None:
        """Wait for what the work waits for, and take a step."""
        try:
            if self._pause is None:
                self._pause = next(self._steps)
            elif lifetime.wait(self._pause.interests, max(0.0, min(until, self._pause.until) - lifetime.clock())):
                self.moved = lifetime.clock()
                self._pause = next(self._steps)
            elif lifetime.clock() >= self._pause.until:
                self._pause = self._steps.throw(TimeoutError())
            elif lifetime.clock() >= until:
                raise StillPending
        except StopIteration as end:
            self._pause, self._result = None, (end.value,)
