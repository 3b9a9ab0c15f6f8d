"""Work in steps: generators that yield what they wait for, so that their driver can suspend and resume them."""

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


class StillPending(Exception):  # noqa: N818 - not an error: the work continues later
    """Raised if work has not ended within the given seconds; a further call resumes it."""


class Pause(NamedTuple):
    """What work waits for: at most one interest, as a tuple for `Lifetime.wait`, and a time limit.

    At the time *until*, `TimeoutError` is raised in the work.
    """

    interests: tuple[Interest, ...]
    until: float = math.inf


Steps = Generator[Pause, None, T]
"""Work that yields a `Pause` whenever it has to wait, and returns its result."""


def waiting_for(task: Task[T], until: float) -> Steps[T]:
    """Wait for a task; return or raise its outcome."""
    pause = Pause((Interest(task),), until)
    while not task.done:
        yield pause
    return task.result()


def unless_silent(steps: Steps[T], silence: float, clock: Clock) -> Steps[T]:
    """Run *steps*; raises `FaultError` once one of its pauses has lasted *silence* seconds."""
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


def ends_by(steps: Steps[T], until: float, clock: Clock) -> Steps[T]:
    """Run *steps*; raises `TimeoutError` if they have not ended at the time *until*, however often they pause."""
    try:
        pause = next(steps)
        while True:
            is_late = False
            try:
                yield pause if pause.until <= until else Pause(pause.interests, until)
            except TimeoutError:
                is_late = True
            if clock() >= until:
                raise TimeoutError
            pause = steps.throw(TimeoutError()) if is_late else next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


def run(steps: Steps[T], lifetime: Lifetime) -> T:
    """Run *steps* to their end, waiting at each pause, and return the result.

    Raises `FaultError` on any failure, and as soon as the request is over.
    """
    work = Resumable(steps)
    try:
        return work.go_on(lifetime, math.inf)
    finally:
        work.close()


class Resumable(Generic[T]):
    """Runs *steps* with interruptions. Only one thread at a time may use it."""

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps
        self._pause: Pause | None = None
        self._result: tuple[T] | None = None
        self._closed = False

    @property
    def done(self) -> bool:
        """Whether the work has ended with a result."""
        return self._result is not None

    @property
    def pause(self) -> Pause | None:
        """The current pause; None before the work has begun and after its end."""
        return self._pause

    def go_on(self, lifetime: Lifetime, seconds: float) -> T:
        """Resume the work, run it to its end and return the result.

        Raises `StillPending` if it does not end within so many *seconds*, and `FaultError` on any failure and as soon
        as the request is over.
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
        """End the work and release its resources."""
        self._closed = True
        self._pause = None
        self._steps.close()

    def _step(self, *, late: bool = False) -> None:
        """Run the work to its next pause; *late* raises `TimeoutError` in it."""
        if self._closed:
            raise FaultError(_CLOSED)
        try:
            self._pause = self._steps.throw(TimeoutError()) if late else next(self._steps)
        except StopIteration as end:
            self._pause, self._result = None, (end.value,)
