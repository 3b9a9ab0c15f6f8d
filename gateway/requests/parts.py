"""The parts of one request, several asked at the same time by the one thread that the request has."""

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing
from typing import Final, Generic, TypeVar

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.exchange import AttemptReader
from gateway.requests.lifetime import Clock, Lifetime
from gateway.upstream.steps import Pause, StillPending
from gateway.upstream.transport import BODY_LIMIT, NO_ANSWER_IN_TIME, TOO_MUCH
from routing.attempts import Attempt

T = TypeVar("T")

MOST_AT_ONCE: Final = 4
"""How many parts of a request are asked at the same time.

That is a thousand texts for Gemini. SAP AI Core counts requests by the minute, some dozens for a model: more at once
would spend what others need before the first 429 says so, and make a long wait little shorter.
"""

Work = Generator[Pause, bool | None, T]
"""Asks one endpoint. It gives a `Pause` whenever it has to wait, and is sent whether what it waits for is ready."""


class Part(Generic[T]):
    """One part of a request: one attempt after another, until one has answered.

    *next_attempt* gives where to ask, after a pause where there has to be one, and raises `FaultError` where nobody
    is left; *ask* asks there. *failed* hears of the fault of each attempt. `pause` is what the attempt under way waits
    for; there is none before, between and after attempts.
    """

    def __init__(
        self, next_attempt: Callable[[], Attempt], ask: Callable[[Attempt], Work[T]], failed: Callable[[Fault], None]
    ) -> None:
        self.pause: Pause | None = None
        self.answer: tuple[()] | tuple[T] = ()
        self._next_attempt = next_attempt
        self._ask = ask
        self._failed = failed
        self._under_way: tuple[Attempt, Work[T]] | None = None

    def begin(self) -> None:
        """Make attempts until one has to wait, or has answered; raises `FaultError` if none is left."""
        while self._under_way is None and not self.answer:
            attempt = self._next_attempt()
            self._under_way = attempt, self._ask(attempt)
            self._step(ready=None)

    def go_on(self, *, ready: bool) -> None:
        """Go on with what it waited for, which is *ready* or late, as `begin` does."""
        self._step(ready=ready)
        self.begin()

    def end(self, fault: Fault | None = None) -> None:
        """Let go of the attempt under way, which *fault* is blamed on, if there is one."""
        under_way, self._under_way, self.pause = self._under_way, None, None
        if under_way is not None:
            attempt, work = under_way
            work.close()
            if fault is None:
                attempt.lease.close()
            else:
                attempt.failed(fault)

    def _step(self, ready: bool | None) -> None:
        if self._under_way is None:
            return
        attempt, work = self._under_way
        self.pause = None
        try:
            self.pause = work.send(ready)
        except StopIteration as end:
            self._under_way, self.answer = None, (end.value,)
            attempt.answered(whole=True)
            attempt.lease.close()
        except FaultError as error:
            self._under_way = None
            attempt.failed(error.fault)
            self._failed(error.fault)


class Parts(Generic[T]):
    """Asks the parts of a request in their order, at most *most* at the same time, all in one thread.

    A part that fails is asked again elsewhere, and no other. As long as it pauses before, those under way go on and
    none begins; each 429 halves how many may be under way. Once a part can be asked nowhere, or the request is over,
    all others are given up. *waiting* is entered while nothing can go on.
    """

    def __init__(
        self, lifetime: Lifetime, waiting: Callable[[], AbstractContextManager[None]], most: int = MOST_AT_ONCE
    ) -> None:
        self._lifetime = lifetime
        self._waiting = waiting
        self._most = most
        self._active: list[Part[T]] = []
        """Those that have begun and are not answered."""

    def part(self, next_attempt: Callable[[], Attempt], ask: Callable[[Attempt], Work[T]]) -> Part[T]:
        """Make a part, to be asked with others."""
        return Part(next_attempt, ask, self._slow_down)

    def answers(self, parts: Iterable[Part[T]]) -> list[T]:
        """Ask all *parts*, and give their answers in their order; raises `FaultError` if there is none to one."""
        left, begun = iter(parts), []
        try:
            while True:
                if len(self._active) < self._most and (part := next(left, None)) is not None:
                    begun.append(part)
                    self._active.append(part)
                    part.begin()
                    self._forget_answered()
                elif self._active:
                    self._drive(math.inf)
                else:
                    return [each for part in begun for each in part.answer]
        finally:
            for part in self._active:
                part.end()

    def left(self) -> float:
        """How many seconds remain."""
        return self._lifetime.left()

    def sleep(self, seconds: float) -> None:
        """Let a pause of one part pass, within which the others under way go on; raises `FaultError`."""
        until = self._lifetime.clock() + seconds
        while (left := until - self._lifetime.clock()) > 0:
            self._drive(left)

    def _drive(self, seconds: float) -> None:
        """Wait at most so many *seconds* until parts under way can go on, and let them; raises `FaultError`."""
        pauses = [(part, part.pause) for part in self._active if part.pause is not None]
        ready = self._ready([pause for _, pause in pauses], seconds)
        for part, pause in pauses:
            is_ready = pause.interests[0] in ready
            # A part that pauses lets others go on: this one may have done so already.
            if part.pause is pause and (is_ready or self._lifetime.clock() >= pause.until):
                part.go_on(ready=is_ready)
        self._forget_answered()

    def _ready(self, pauses: Sequence[Pause], seconds: float) -> tuple[object, ...]:
        clock = self._lifetime.clock
        until = min((pause.until for pause in pauses), default=math.inf)
        interests = tuple(pause.interests[0] for pause in pauses)
        try:
            with self._waiting():
                return self._lifetime.wait(interests, max(0.0, min(seconds, until - clock())))
        except FaultError as error:
            for part in self._active:
                part.end(error.fault)
            raise

    def _forget_answered(self) -> None:
        self._active = [part for part in self._active if not part.answer]

    def _slow_down(self, fault: Fault) -> None:
        if fault.kind is FaultKind.RATE_LIMITED:
            self._most = max(1, self._most // 2)


def read_whole(reader: AttemptReader, silence: float, clock: Clock, began: Callable[[], None]) -> Work[bytes]:
    """Read a whole answer; more than it may have, or *silence* for so many seconds, are a fault.

    *began* is called when the first of it has come.
    """
    pieces: list[bytes] = []
    size = 0
    with closing(reader):
        moved = clock()
        while not _has_head(reader):
            moved = yield from _moved(reader, moved, silence, clock)
        while (data := reader.arrived()) is not None:
            if not data:
                moved = yield from _moved(reader, moved, silence, clock)
                continue
            if not pieces:
                began()
            pieces.append(data)
            size += len(data)
            if size > BODY_LIMIT:
                raise FaultError(TOO_MUCH)
    return b"".join(pieces)


def _has_head(reader: AttemptReader) -> bool:
    """Go on until the answer has a head, as far as that goes without waiting."""
    try:
        reader.head(0.0)
    except StillPending:
        return False
    return True


def _moved(reader: AttemptReader, moved: float, silence: float, clock: Clock) -> Work[float]:
    """Wait for the reader, which *moved* at that time; give when it did last. Raises `FaultError` after *silence*."""
    if (interest := reader.interest) is None:
        return moved
    if (yield Pause((interest,), min(reader.due, moved + silence))):
        return clock()
    if clock() >= moved + silence:
        raise FaultError(NO_ANSWER_IN_TIME)
    return moved
