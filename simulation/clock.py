"""A virtual clock, which simulates hours of traffic in seconds, with the same result each time."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from functools import partial

Action = Callable[[], object]


class _Ended(BaseException):
    """Raised in a waiting thread when the simulation is over."""


class VirtualClock:
    """Runs actions in the order of their times, one at a time. Between two actions, the time jumps.

    A process is an iterator that yields the seconds it waits. Code called by an action may also `sleep`, as the router
    does between two attempts: the call keeps its thread, and another thread runs the other actions meanwhile. Only one
    thread runs at any time, so the order of actions depends only on their times.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()
        self._waiting: dict[int, threading.Lock] = {}
        """The lock that each waiting thread waits for."""
        self._parked: list[threading.Lock] = []
        """The locks of those waiting threads that are free to run the next actions."""
        self._threads: list[threading.Thread] = []
        self._home = 0
        self._over = False
        self._error: BaseException | None = None

    def __call__(self) -> float:
        """Return the seconds since the start of the simulation."""
        return self.now

    def later(self, seconds: float, action: Action) -> None:
        """Run *action* after some *seconds*. Actions of the same time run in the order in which they were added."""
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), action))

    def start(self, process: Iterator[float], seconds: float = 0.0) -> None:
        """Start *process* after some *seconds*. Each value that it yields is the seconds it waits."""
        self.later(seconds, partial(self._resume, process))

    def run(self) -> None:
        """Run until no actions are left; raises the exception of an action."""
        self._home = threading.get_ident()
        try:
            self._run_actions()
        except _Ended:
            pass  # an action failed in another thread
        finally:
            self._over = True
            for lock in tuple(self._waiting.values()):
                lock.release()
            for thread in self._threads:
                thread.join()
        if self._error is not None:
            raise self._error

    def sleep(self, seconds: float) -> None:
        """Wait inside an action while other actions run."""
        mine = self._wait_later()
        self.later(seconds, partial(self._hand_over, mine))
        if self._parked:
            self._parked.pop().release()
        else:
            thread = threading.Thread(target=self._serve, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._wait(mine)

    def _resume(self, process: Iterator[float]) -> None:
        seconds = next(process, None)
        if seconds is not None:
            self.later(seconds, partial(self._resume, process))

    def _run_actions(self) -> None:
        while self._due:
            self.now, _, action = heapq.heappop(self._due)
            action()

    def _serve(self) -> None:
        """Run the actions in another thread than that of `run`, and return control to `run` at the end."""
        try:
            self._run_actions()
        except _Ended:
            return
        except BaseException as error:  # noqa: BLE001 - not swallowed: `run` raises it
            self._error, self._over = error, True
        self._waiting.pop(self._home).release()

    def _hand_over(self, sleeper: threading.Lock) -> None:
        """Let a sleeping action continue in its own thread, and keep this thread for later use."""
        mine = self._wait_later()
        self._parked.append(mine)
        sleeper.release()
        self._wait(mine)

    def _wait_later(self) -> threading.Lock:
        """Return a new lock for this thread to wait for."""
        lock = self._waiting[threading.get_ident()] = threading.Lock()
        lock.acquire()
        return lock

    def _wait(self, lock: threading.Lock) -> None:
        lock.acquire()
        self._waiting.pop(threading.get_ident(), None)
        if self._over:
            raise _Ended
