"""One call instead of several that ask the same at the same time."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """Makes one call at a time for each key; whoever asks meanwhile waits for it and shares its outcome.

    With *keep* the first outcome is shared for good, also with whoever asks later. Holds no lock: `setdefault` and
    `pop` are one step each.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self._calls: dict[K, Future[T]] = {}

    def __call__(self, key: K, call: Callable[[], T]) -> T:
        """Give what the call for *key* returned, or raise what it raised; *call* is made if there is none yet."""
        mine = Future[T]()
        found = self._calls.setdefault(key, mine)
        if found is mine:
            self._make(key, call, mine)
        return found.result()

    def _make(self, key: K, call: Callable[[], T], mine: Future[T]) -> None:
        try:
            outcome = call()
        except BaseException as error:  # noqa: BLE001 - not swallowed: it is raised where the result is asked for
            self._forget(key)
            mine.set_exception(error)
        else:
            self._forget(key)
            mine.set_result(outcome)

    def _forget(self, key: K) -> None:
        """Have the next one call anew, before anybody learns of the outcome."""
        if not self._keep:
            self._calls.pop(key)
