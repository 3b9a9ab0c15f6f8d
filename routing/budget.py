"""How many retries are left, so that an outage is not made worse by repeating every request."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from routing.policy import RetryPolicy

_SLICES = 10
"""Into how many parts the window is cut; the oldest is forgotten whole."""
_MODELS = 1000
"""How many models are kept in mind; the one longest unused is forgotten first."""


@dataclass(slots=True)
class _Slice:
    """What happened in one part of the window."""

    number: int
    requests: int = 0
    retries: int = 0


class RetryBudget:
    """Grants retries to each model: a share of its recent requests, and a reserve for quiet times.

    The lock guards the counts. It is held to add and to compare, never across
    a callback, and no other lock is taken inside it.
    """

    def __init__(self, policy: RetryPolicy | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy or RetryPolicy()
        self._clock = clock
        self._lock = threading.Lock()
        self._models: OrderedDict[str, deque[_Slice]] = OrderedDict()

    def requested(self, model: str) -> None:
        """Count one request, which makes the budget larger."""
        with self._lock:
            self._now(model).requests += 1

    def allows(self, model: str) -> bool:
        """Whether a retry is left; whoever makes it withdraws it then."""
        return self.balance(model) >= 1

    def withdraw(self, model: str) -> bool:
        """Take one retry that is about to be made, if there is any left."""
        with self._lock:
            now = self._now(model)
            granted = self._balance(model) >= 1
            now.retries += granted
            return granted

    def balance(self, model: str) -> float:
        """Say how many retries are left."""
        with self._lock:
            self._now(model)
            return self._balance(model)

    def _balance(self, model: str) -> float:
        slices = self._models[model]
        requests, retries = sum(each.requests for each in slices), sum(each.retries for each in slices)
        return self._policy.budget_reserve + self._policy.budget_ratio * requests - retries

    def _now(self, model: str) -> _Slice:
        """Give the slice of the window that is running; forget those past."""
        number = int(self._clock() * _SLICES / self._policy.budget_window)
        slices = self._models.setdefault(model, deque[_Slice]())
        self._models.move_to_end(model)
        if len(self._models) > _MODELS:
            self._models.popitem(last=False)
        while slices and slices[0].number <= number - _SLICES:
            slices.popleft()
        if not slices or slices[-1].number != number:
            slices.append(_Slice(number))
        return slices[-1]
