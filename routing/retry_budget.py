"""How many retries are left, so that an outage is not made worse by repeating every request."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from routing.policy import RetryPolicy

LEAST_RESERVE = 10
"""Retries that are there without any traffic, however few endpoints a model has."""
_SLICES = 10
"""Into how many parts the window is cut; the oldest is forgotten whole."""
_MODELS = 1000
"""How many models are remembered; the one longest unused is forgotten first."""
_ROUNDING = 1e-9


@dataclass(slots=True)
class _Slice:
    """What happened in one part of the window."""

    number: int
    requests: int = 0
    retries: float = 0.0
    """How many were paid for by requests, and not by the reserve."""


@dataclass(slots=True)
class _Account:
    """The budget of one model."""

    slices: deque[_Slice] = field(default_factory=deque)
    missing: float = 0.0
    """How much of the reserve is spent and not refilled yet."""
    refilled: float = 0.0
    """When it was refilled last."""

    def refill(self, now: float, per_second: float) -> None:
        """Give back to the reserve what has flowed in since the last time."""
        self.missing = max(0.0, self.missing - (now - self.refilled) * per_second)
        self.refilled = now

    def share(self, ratio: float) -> float:
        """How many retries the requests of the window pay for, beyond those that they have."""
        return max(0.0, ratio * sum(each.requests for each in self.slices) - sum(each.retries for each in self.slices))


class RetryBudget:
    """Grants retries to each model: a share of its recent requests, and when that is spent, a reserve.

    The reserve is there without any traffic; what is spent of it flows back evenly, all of it within one window.
    *reserve* gives its size for a model, in retries. The lock guards the accounts. It is held to add and to compare,
    never across a callback, and no other lock is taken inside it.
    """

    def __init__(
        self,
        policy: RetryPolicy | None = None,
        *,
        reserve: Callable[[str], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy or RetryPolicy()
        self._reserve = reserve or (lambda _: LEAST_RESERVE)
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def deposit(self, model: str) -> None:
        """Count one request, which makes the budget larger."""
        with self._lock:
            self._account(model).slices[-1].requests += 1

    def allows(self, model: str) -> bool:
        """Whether a retry is left; nothing is spent."""
        return self.balance(model) >= 1 - _ROUNDING

    def spend(self, model: str) -> bool:
        """Take one retry that is about to be made, if there is any left."""
        size = self._size(model)
        with self._lock:
            account = self._account(model)
            share, reserve = self._parts(account, size)
            if share + reserve < 1 - _ROUNDING:
                return False
            paid = min(1.0, share)
            account.slices[-1].retries += paid
            account.missing += 1 - paid
            return True

    def balance(self, model: str) -> float:
        """Count the retries that are left."""
        size = self._size(model)
        with self._lock:
            return sum(self._parts(self._account(model), size))

    def _size(self, model: str) -> float:
        """How large the reserve of *model* is when nothing of it is spent."""
        configured = self._policy.budget_reserve
        return self._reserve(model) if configured is None else configured

    def _parts(self, account: _Account, size: float) -> tuple[float, float]:
        """Count what is left of a model's share, and of its reserve of that *size*."""
        account.refill(self._clock(), size / self._policy.budget_window)
        return account.share(self._policy.budget_ratio), max(0.0, size - account.missing)

    def _account(self, model: str) -> _Account:
        """Give a model's account, with the running slice of the window at its end and those past forgotten."""
        now = self._clock()
        number = int(now * _SLICES / self._policy.budget_window)
        account = self._accounts.setdefault(model, _Account(refilled=now))
        self._accounts.move_to_end(model)
        if len(self._accounts) > _MODELS:
            self._accounts.popitem(last=False)
        slices = account.slices
        while slices and slices[0].number <= number - _SLICES:
            slices.popleft()
        if not slices or slices[-1].number != number:
            slices.append(_Slice(number))
        return account
