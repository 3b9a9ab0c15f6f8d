"""A virtual clock: hours of traffic in seconds, the same each time."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from functools import partial

Action = Callable[[], object]


class _Ended(BaseException):
    """The simulation is over; unwinds a thread that was left waiting."""


class VirtualClock:
    """Runs actions in the order of their times, one at a time; the time jumps from each to the next.

    A process is an iterator of the seconds that it waits. What it calls may also `sleep`, as the router does between
    two attempts: the call keeps its thread, and another one runs the actions meanwhile. The baton is handed over, so
    only one thread ever runs, and the order of actions depends on nothing but their times.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = itertools.count()
        self._waiting: dict[int, threading.Lock] = {}
        """What each thread that does not run waits for."""
        self._parked: list[threading.Lock] = []
        """What those of them wait for that may run the actions next."""
        self._threads: list[threading.Thread] = []
        self._home = 0
        self._over = False
        self._error: BaseException | None = None

    def __call__(self) -> float:
        """Tell the time in seconds since the simulation began."""
        return self.now

    def later(self, seconds: float, action: Action) -> None:
        """Run *action* in so many *seconds*; those of one moment run in the order in which they were given."""
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), action))

    def start(self, process: Iterator[float], seconds: float = 0.0) -> None:
        """Start *process* in so many *seconds*; it waits for what it yields."""
        self.later(seconds, partial(self._resume, process))

    def run(self) -> None:
        """Run until nothing is left to be done; raises what an action raised."""
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
        """Wait within an action while others go on."""
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
        """Run the actions in another thread than the caller's of `run`, and give the baton back to it at the end."""
        try:
            self._run_actions()
        except _Ended:
            return
        except BaseException as error:  # noqa: BLE001 - not swallowed: `run` raises it
            self._error, self._over = error, True
        self._waiting.pop(self._home).release()

    def _hand_over(self, sleeper: threading.Lock) -> None:
        """Let a sleeping action go on in its own thread, and park this one."""
        mine = self._wait_later()
        self._parked.append(mine)
        sleeper.release()
        self._wait(mine)

    def _wait_later(self) -> threading.Lock:
        """Make what this thread is about to wait for."""
        lock = self._waiting[threading.get_ident()] = threading.Lock()
        lock.acquire()
        return lock

    def _wait(self, lock: threading.Lock) -> None:
        lock.acquire()
        self._waiting.pop(threading.get_ident(), None)
        if self._over:
            raise _Ended
