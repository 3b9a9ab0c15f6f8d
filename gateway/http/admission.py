"""Admission control: limits on the requests in progress, in total and for each key, and the waiting room."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Final

from dialects.core.conversation import JSON
from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Interest, Lifetime, Signal

FULL: Final = "The proxy is serving as many requests as it is allowed to. Try again in a moment."
KEY_FULL: Final = "This key has as many requests in progress as it is allowed to. Try again when some have ended."


class Place:
    """One of the places for requests in progress, held until `release`."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back = give_back
        self._lock = threading.Lock()
        self._held = True

    def release(self) -> None:
        """Give the place to the next request; a second call does nothing."""
        with self._lock:
            held, self._held = self._held, False
        if held:
            self._give_back()


class _Waiter:
    """A request in the waiting room. Once *has_place* is True it owns a place, and *turn* wakes its thread."""

    def __init__(self, caller: str) -> None:
        self.caller = caller
        self.turn = Signal()
        self.has_place = False

    def close(self) -> None:
        """Release the file descriptors of the signal."""
        self.turn.close()


class Admission:
    """Admits up to *places* requests at once. Up to *waiting* more wait for up to *seconds*.

    Waiting callers take turns: a caller with many waiting requests gets one place, then each other waiting caller gets
    one, before it gets its next. A request is refused with `Retry-After` if the room is full or if it has waited too
    long. A caller has at most *per_caller* places, and the same share of the room.

    `_lock` guards the counts, the room, and `has_place` of the requests in it. Nothing is waited for, woken, called or
    logged under it.
    """

    def __init__(self, places: int, waiting: int, seconds: float, per_caller: int | None = None) -> None:
        self._places = places
        self._waiting = waiting
        self._seconds = seconds
        self._per_caller = places if per_caller is None else min(per_caller, places)
        self._waiting_per_caller = -(-waiting * self._per_caller // places)
        self._lock = threading.Lock()
        self._working = 0
        self._working_for: dict[str, int] = {}
        """The number of requests with a place, by caller. Callers without any are not in it."""
        self._room: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    @property
    def working(self) -> int:
        """The number of requests that have a place."""
        return self._working

    @property
    def in_room(self) -> int:
        """The number of requests in the waiting room."""
        with self._lock:
            return self._seated()

    def saturation(self) -> JSON:
        """Return the number of requests in progress and of waiting requests, each with its limit."""
        return {
            "requests": {"used": self.working, "most": self._places},
            "waiting": {"used": self.in_room, "most": self._waiting},
        }

    def enter(self, caller: str, lifetime: Lifetime) -> Place:
        """Return a place, after a wait if there is none.

        Raises `FaultError` if no place is free in time, or if the client disconnects.
        """
        if not self._take(caller):
            with closing(_Waiter(caller)) as waiter:
                self._wait(waiter, lifetime)
        return Place(partial(self._give_back, caller))

    def _take(self, caller: str) -> bool:
        """Take a place if one is free and *caller* has not reached its limit; return whether it did."""
        with self._lock:
            free = self._working < self._places and self._has_own(caller)
            if free:
                self._occupy(caller)
        return free

    def _wait(self, waiter: _Waiter, lifetime: Lifetime) -> None:
        """Wait for a place in the room; raises `FaultError` as `enter` does."""
        if not self._sit_down(waiter):
            raise self._refusal(waiter.caller)
        try:
            if not waiter.has_place:
                lifetime.wait((Interest(waiter.turn),), self._seconds)
        except BaseException:
            if not self._leave_room(waiter):
                self._give_back(waiter.caller)
            raise
        if self._leave_room(waiter):
            raise self._refusal(waiter.caller)

    def _refusal(self, caller: str) -> FaultError:
        """Return the error for a request without a place: the limit of *caller* is reached, or that of all requests."""
        with self._lock:
            has_all = self._per_caller < self._places and not self._has_own(caller)
        if has_all:
            return FaultError(Fault(FaultKind.RATE_LIMITED, KEY_FULL, retry_after=self._seconds))
        return FaultError(Fault(FaultKind.UNAVAILABLE, FULL, retry_after=self._seconds))

    def _sit_down(self, waiter: _Waiter) -> bool:
        """Take a place that is free by now, or else join the waiting room; return False if the room is full, too."""
        with self._lock:
            if self._working < self._places and self._has_own(waiter.caller):
                self._occupy(waiter.caller)
                waiter.has_place = True
                return True
            seats = self._room.get(waiter.caller, ())
            if self._seated() >= self._waiting or len(seats) >= self._waiting_per_caller:
                return False
            self._room.setdefault(waiter.caller, deque()).append(waiter)
        return True

    def _leave_room(self, waiter: _Waiter) -> bool:
        """Remove a request from the waiting room; return False if it has got a place in the meantime."""
        with self._lock:
            if waiter.has_place:
                return False
            self._unseat(self._room[waiter.caller], waiter)
        return True

    def _give_back(self, caller: str) -> None:
        """Hand the place of a request of *caller* to the next waiting request, or leave it free."""
        with self._lock:
            self._working -= 1
            self._working_for[caller] -= 1
            if not self._working_for[caller]:
                del self._working_for[caller]
            waiter = self._next()
            if waiter is None:
                return
            self._occupy(waiter.caller)
            waiter.has_place = True
        waiter.turn.set()

    def _has_own(self, caller: str) -> bool:
        """Return whether *caller* is below its limit of requests in progress."""
        return self._working_for.get(caller, 0) < self._per_caller

    def _occupy(self, caller: str) -> None:
        self._working += 1
        self._working_for[caller] = self._working_for.get(caller, 0) + 1

    def _next(self) -> _Waiter | None:
        """Remove and return the oldest request of the next caller in the room, and move that caller to the end.

        Callers that have reached their limit are skipped.
        """
        caller = next(filter(self._has_own, self._room), None)
        if caller is None:
            return None
        waiters = self._room[caller]
        waiter = waiters[0]
        self._room.move_to_end(caller)
        self._unseat(waiters, waiter)
        return waiter

    def _unseat(self, waiters: "deque[_Waiter]", waiter: _Waiter) -> None:
        waiters.remove(waiter)
        if not waiters:
            del self._room[waiter.caller]

    def _seated(self) -> int:
        return sum(map(len, self._room.values()))
