"""Work in steps: it says what it waits for, and whoever drives it may stop at any time and go on later."""

import math
from collections.abc import Generator
from dataclasses import replace
from typing import Final, Generic, NamedTuple, TypeVar

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Clock, Interest, Lifetime
from gateway.upstream import transport_faults
from gateway.upstream.background import Task

T = TypeVar("T")

NO_ANSWER_IN_TIME: Final = replace(transport_faults.NO_ANSWER_IN_TIME, unanswered=True)
_CLOSED: Final = Fault(FaultKind.STREAM_BROKEN, "The proxy stopped reading the response of SAP AI Core.")


class StillPending(Exception):  # noqa: N818 - nothing is wrong: it goes on later
    """The work has not come to its end within the seconds it was given; asking again goes on where it stopped."""


class Pause(NamedTuple):
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


def unless_silent(steps: Steps[T], silence: float, clock: Clock) -> Steps[T]:
    """Do a piece of work; raises `FaultError` once nothing that it waits for has come for *silence* seconds."""
    until = clock() + silence
    try:
        pause = next(steps)
        while True:
            try:
                yield pause if pause.until <= until else Pause(pause.interests, until)
            except TimeoutError:
                if until < pause.until:
                    raise FaultError(NO_ANSWER_IN_TIME) from None
                pause = steps.throw(TimeoutError())
            else:
                until = clock() + silence
                pause = next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


def run(steps: Steps[T], lifetime: Lifetime) -> T:
    """Do a piece of work to its end, and wait for whatever it waits for.

    Raises `FaultError` for what fails, or as soon as the request is over.
    """
    work = Resumable(steps)
    try:
        return work.go_on(lifetime, math.inf)
    finally:
        work.close()


class Resumable(Generic[T]):
    """Drives one piece of work; `close` ends it where it stands. One thread at a time uses it."""

    def __init__(self, steps: Steps[T]) -> None:
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
            pause = self._pause
            if pause is None or lifetime.wait(pause.interests, max(0.0, min(until, pause.until) - lifetime.clock())):
                self._step()
            elif lifetime.clock() >= pause.until:
                self._step(late=True)
            elif lifetime.clock() >= until:
                raise StillPending
        return self._result[0]

    def close(self) -> None:
        """End the work; what it holds is let go."""
        self._closed = True
        self._pause = None
        self._steps.close()

    def _step(self, *, late: bool = False) -> None:
        """Take a step, once there is what the work waits for, or it is too *late* for that."""
        if self._closed:
            raise FaultError(_CLOSED)
        try:
            self._pause = self._steps.throw(TimeoutError()) if late else next(self._steps)
        except StopIteration as end:
            self._pause, self._result = None, (end.value,)
