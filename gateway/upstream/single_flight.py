"""Single flight: concurrent callers with the same key share one call."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """Makes one call at a time for each key. Concurrent callers wait for it and share its outcome.

    With *keep*, the first outcome is also shared with all later callers. Thread-safe without a lock, because
    `setdefault` and `pop` are atomic.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._calls: dict[K, Future[T]] = {}

    def __call__(self, key: K, call: Callable[[], T]) -> T:
        """Return or raise the outcome of the call for *key*; make *call* if none is in progress."""
        mine = Future[T]()
        found = self._calls.setdefault(key, mine)
        if found is mine:
            self._make(key, call, mine)
        return found.result()

    def _make(self, key: K, call: Callable[[], T], mine: Future[T]) -> None:
        try:
            outcome = call()
        except BaseException as error:  # noqa: BLE001 - not swallowed: it is raised by `result`
            self._forget(key)
            mine.set_exception(error)
        else:
            self._forget(key)
            mine.set_result(outcome)

    def _forget(self, key: K) -> None:
        """Remove the call unless outcomes are kept; before its outcome is set, so that later callers start anew."""
        if not self._keep:
            self._calls.pop(key)
