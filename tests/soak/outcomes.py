"""What came of a request of the soak, and the windows in which an error is no surprise."""

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum


class Result(Enum):
    """What came of one request."""

    OK = "ok"
    REFUSED = "refused, as it had to be"
    LEFT = "left by its client"
    ERROR = "error"
    """An error in the client's dialect, in place of the answer."""
    STREAM_ERROR = "error in a stream"
    """An error in the client's dialect, after the answer had begun."""
    CUT = "cut off"
    LATE = "no end"
    WRONG = "wrong answer"
    FOREIGN = "words of another request"


GOOD = frozenset({Result.OK, Result.REFUSED, Result.LEFT})


@dataclass(frozen=True)
class Outcome:
    """One request: when it ran, in seconds of a monotonic clock, and how it ended."""

    kind: str
    began: float
    ended: float
    result: Result
    model: str = ""
    status: int = 0
    detail: str = ""
    is_sticky: bool = False
    """Whether one deployment alone could answer it."""
    reconnected: bool = False
    """Whether it was sent twice, because the kept connection turned out to be closed."""

    def __str__(self) -> str:
        return f"{self.kind} {self.model}: {self.result.value} {self.status or ''} {self.detail}".replace("  ", " ")


@dataclass(frozen=True)
class Window:
    """A time in which some results are explained: for these models, or for all."""

    name: str
    begins: float
    explains: frozenset[Result]
    models: frozenset[str] | None = None
    ends: float = math.inf
    sticky_alone: bool = False

    def covers(self, outcome: Outcome) -> bool:
        """Whether it explains a result that is not good."""
        return (
            outcome.result in self.explains
            and outcome.began <= self.ends
            and outcome.ended >= self.begins
            and (self.models is None or outcome.model in self.models)
            and (outcome.is_sticky or not self.sticky_alone)
        )


class Windows:
    """All windows so far. The lock guards the list."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: list[Window] = []

    def open(
        self, name: str, explains: Iterable[Result], models: Iterable[str] | None = None, *, sticky_alone: bool = False
    ) -> int:
        """Open a window; give its number."""
        named = None if models is None else frozenset(models)
        window = Window(name, self._clock(), frozenset(explains), named, sticky_alone=sticky_alone)
        with self._lock:
            self._windows.append(window)
            return len(self._windows) - 1

    def close(self, number: int, grace: float = 0.0) -> None:
        """Close a window, *grace* seconds from now."""
        ends = self._clock() + grace
        with self._lock:
            self._windows[number] = replace(self._windows[number], ends=ends)

    @property
    def all(self) -> tuple[Window, ...]:
        with self._lock:
            return tuple(self._windows)


class Ledger:
    """All outcomes, and problems that belong to no request. The lock guards both."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: list[Outcome] = []
        self._problems: list[str] = []

    def add(self, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes.append(outcome)

    def problem(self, text: str) -> None:
        with self._lock:
            self._problems.append(text)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        with self._lock:
            return tuple(self._outcomes)

    @property
    def problems(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._problems)


def explanation(outcome: Outcome, windows: Iterable[Window]) -> str | None:
    """The window that explains a result; "" for one that needs no explanation, None for one that has none."""
    if outcome.result in GOOD:
        return ""
    return next((window.name for window in windows if window.covers(outcome)), None)


def unexplained(outcomes: Iterable[Outcome], windows: Iterable[Window]) -> list[Outcome]:
    """The outcomes that nothing explains."""
    known = tuple(windows)
    return [outcome for outcome in outcomes if explanation(outcome, known) is None]
