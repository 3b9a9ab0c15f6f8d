"""The parts of one request, which one thread sends concurrently."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Generic, NoReturn, TypeVar

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Lifetime
from gateway.upstream.steps import Pause, Steps
from routing.attempts import Attempt

T = TypeVar("T")

MOST_AT_ONCE: Final = 4
"""The maximum number of parts of a request in progress at the same time.

Four parts are a thousand texts for Gemini. SAP AI Core allows some dozens of requests a minute for a model. More parts
at once would use up that quota for other requests before the first 429, and save little time.
"""


class _Pausing(Exception):  # noqa: N818 - not an error: the next attempt is made later
    """Raised if the next attempt must wait until the time *until*; asking for it again continues from there."""

    def __init__(self, until: float) -> None:
        super().__init__(until)
        self.until = until


class Part(Generic[T]):
    """One part of a request, with its attempts until one has answered.

    *next_attempt* returns the next attempt, and raises `FaultError` if there is none. *ask* sends the part to its
    endpoint. *failed* is called with the fault of each failed attempt.

    ===========  =========================  ==================================
    state        `pause`                    go_on
    ===========  =========================  ==================================
    new          none                       `begin` makes the first attempt
    asking       that of the attempt        the attempt continues, or the next
    between      a time limit only          the next attempt
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
        """Whether the part pauses before its next attempt."""
        return self.pause is not None and self._under_way is None

    def begin(self) -> None:
        """Make attempts until one waits, has answered, or must be delayed; raises `FaultError` if none is left."""
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
        """Continue after a pause, then as `begin` does; *late* says that the time limit of the pause has passed."""
        self._step(late=late)
        self.begin()

    def end(self, fault: Fault | None = None) -> None:
        """End the attempt in progress, if there is one; it fails with *fault* if that is given."""
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
    """Sends the parts of a request in order, at most *most* at the same time, all in one thread.

    If a part fails, only this part is sent to another endpoint. While a part pauses before its next attempt, no new
    part begins. Each 429 halves the number of parts in progress. If no endpoint is left for a part, or the request is
    over, all parts are cancelled. *waiting* is entered while all parts wait.
    """

    def __init__(
        self, lifetime: Lifetime, waiting: Callable[[], AbstractContextManager[None]], most: int = MOST_AT_ONCE
    ) -> None:
        self._lifetime = lifetime
        self._waiting = waiting
        self._most = most
        self._active: list[Part[T]] = []
        """The parts in progress."""

    def part(self, next_attempt: Callable[[], Attempt], ask: Callable[[Attempt], Steps[T]]) -> Part[T]:
        """Return a new part for `answers`."""
        return Part(next_attempt, ask, self._slow_down)

    def answers(self, parts: Iterable[Part[T]]) -> list[T]:
        """Send all *parts* and return their answers in order; raises `FaultError` if one gets no answer."""
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
        """Return the seconds that remain."""
        return self._lifetime.left()

    def sleep(self, seconds: float) -> NoReturn:
        """Suspend the part that asks for its next attempt for so many *seconds*, while the others continue."""
        raise _Pausing(self._lifetime.clock() + seconds)

    def _may_begin(self) -> bool:
        return len(self._active) < self._most and not any(part.is_between_attempts for part in self._active)

    def _drive(self) -> None:
        """Wait until a part can continue, and continue all that can; raises `FaultError`."""
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
