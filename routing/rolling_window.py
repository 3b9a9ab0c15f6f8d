"""Counts of what happened lately, in slices of time of which the oldest is forgotten whole."""

from collections.abc import Callable
from typing import Generic, TypeVar

_SLICES = 10

_T = TypeVar("_T")


class RollingWindow(Generic[_T]):
    """The latest ten slices of so many *seconds* together; *new* makes an empty one. Nothing guards it."""

    def __init__(self, seconds: float, new: Callable[[], _T]) -> None:
        self._seconds = seconds
        self._new = new
        self._by_number: dict[int, _T] = {}

    def slices(self) -> list[_T]:
        """List the slices in which anything was counted, as of the last call of `current`."""
        return list(self._by_number.values())

    def current(self, now: float) -> _T:
        """Return the slice that is running, and forget those that are past."""
        number = int(now * _SLICES / self._seconds)
        running = self._by_number.get(number)
        if running is None:
            latest = {each: counted for each, counted in self._by_number.items() if each > number - _SLICES}
            self._by_number, running = latest, self._new()
            self._by_number[number] = running
        return running
