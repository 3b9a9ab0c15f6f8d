"""A rolling window of counts, divided into slices of time."""

from collections.abc import Callable
from typing import Generic, TypeVar

_SLICES = 10

_T = TypeVar("_T")


class RollingWindow(Generic[_T]):
    """A window of *seconds* in ten slices; *new* makes an empty slice. Not thread-safe."""

    def __init__(self, seconds: float, new: Callable[[], _T]) -> None:
        self._seconds = seconds
        self._new = new
        self._by_number: dict[int, _T] = {}

    def slices(self) -> list[_T]:
        """Return the slices that exist, as of the last call of `current`."""
        return list(self._by_number.values())

    def current(self, now: float) -> _T:
        """Return the slice of the time *now*, and remove the slices that are past."""
        number = int(now * _SLICES / self._seconds)
        running = self._by_number.get(number)
        if running is None:
            latest = {each: counted for each, counted in self._by_number.items() if each > number - _SLICES}
            self._by_number, running = latest, self._new()
            self._by_number[number] = running
        return running
