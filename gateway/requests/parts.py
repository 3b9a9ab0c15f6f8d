"""The parts of one request, several asked at the same time by the one thread that the request has."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Generic, NoReturn, TypeVar

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Lifetime
from gateway.upstream.steps import Pause, Steps
from routing.attempts import Attempt

T = TypeVar("T")

MOST_AT_ONCE: Final = 4
"""How many parts of a request are asked at the same time.

That is a thousand texts for Gemini. SAP AI Core counts requests by the minute, some dozens for a model: more at once
would spend what others need before the first 429 says so, and make a long wait little shorter.
"""


class _Pausing(Exception):  # noqa: N818 - nothing is wrong: the next attempt is made later
    """There is to be a pause before the next attempt; asking for that again after *until* goes on from there."""

    def __init__(self, until: float) -> None:
        super().__init__(until)
        self.until = until


class Part(Generic[T]):
    """One part of a request: one attempt after another, until one has answered.

    *next_attempt* gives where to ask, and raises `FaultError` where nobody is left; *ask* asks there. *failed* hears
    of the fault of each attempt.

    ===========  =========================  ==================================
    state        `pause`                    go_on
    ===========  =========================  ==================================
    new          none                       `begin` makes the first attempt
    asking       what the attempt waits for the attempt goes on, or the next
    between      a moment alone             the next attempt
    answered     none                       nothing
    ===========  =========================  ==================================
    """

    def __init__(
        self, next_attempt: Callable[[], Attempt], ask: Callable[[Attempt], Steps[T]], failed: Callable[[Fault], None]
    ) -> None:
        self.pause: Pause | None = None
        self.answer: tuple[()] | tuple[T] = ()
        self._next_attempt = next_attempt
        self._ask = ask
        self._failed = failed
        self._under_way: tuple[Attempt, Steps[T]] | None = None

    @property
    def is_between_attempts(self) -> bool:
        """Whether it pauses before its next attempt."""
        return self.pause is not None and self._under_way is None

    def begin(self) -> None:
        """Make attempts until one waits or has answered, or is to wait; raises `FaultError` if none is left."""
        if self._under_way is None:
            self.pause = None
        while self._under_way is None and not self.answer:
            try:
                attempt = self._next_attempt()
            except _Pausing as pausing:
                self.pause = Pause((), pausing.until)
                return
            self._under_way = attempt, self._ask(attempt)
            self._step()

    def go_on(self, *, late: bool) -> None:
        """Go on with what it waited for, or now that it is too *late* for that, as `begin` does."""
        self._step(late=late)
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

    def _step(self, *, late: bool = False) -> None:
        if self._under_way is None:
            return
        attempt, work = self._under_way
        self.pause = None
        try:
            self.pause = work.throw(TimeoutError()) if late else next(work)
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

    def part(self, next_attempt: Callable[[], Attempt], ask: Callable[[Attempt], Steps[T]]) -> Part[T]:
        """Make a part, to be asked with others."""
        return Part(next_attempt, ask, self._slow_down)

    def answers(self, parts: Iterable[Part[T]]) -> list[T]:
        """Ask all *parts*, and give their answers in their order; raises `FaultError` if there is none to one."""
        left, begun = iter(parts), []
        try:
            while True:
                if self._may_begin() and (part := next(left, None)) is not None:
                    begun.append(part)
                    self._active.append(part)
                    part.begin()
                    self._forget_answered()
                elif self._active:
                    self._drive()
                else:
                    return [each for part in begun for each in part.answer]
        finally:
            for part in self._active:
                part.end()

    def left(self) -> float:
        """How many seconds remain."""
        return self._lifetime.left()

    def sleep(self, seconds: float) -> NoReturn:
        """Have the part that asks for its next attempt pause for so long, while the others go on."""
        raise _Pausing(self._lifetime.clock() + seconds)

    def _may_begin(self) -> bool:
        return len(self._active) < self._most and not any(part.is_between_attempts for part in self._active)

    def _drive(self) -> None:
        """Wait until some part can go on, and let all that can; raises `FaultError`."""
        pauses = [(part, part.pause) for part in self._active if part.pause is not None]
        ready = self._ready([pause for _, pause in pauses])
        for part, pause in pauses:
            is_ready = any(interest in ready for interest in pause.interests)
            if is_ready or self._lifetime.clock() >= pause.until:
                part.go_on(late=not is_ready)
        self._forget_answered()

    def _ready(self, pauses: Sequence[Pause]) -> tuple[object, ...]:
        until = min(pause.until for pause in pauses)
        interests = tuple(interest for pause in pauses for interest in pause.interests)
        try:
            with self._waiting():
                return self._lifetime.wait(interests, max(0.0, until - self._lifetime.clock()))
        except FaultError as error:
            for part in self._active:
                part.end(error.fault)
            raise

    def _forget_answered(self) -> None:
        self._active = [part for part in self._active if not part.answer]

    def _slow_down(self, fault: Fault) -> None:
        if fault.kind is FaultKind.RATE_LIMITED:
            self._most = max(1, self._most // 2)
