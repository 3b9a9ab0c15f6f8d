"""How many retries are left, so that an outage is not made worse by repeating every request."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from routing.policy import RetryPolicy
from routing.rolling_window import RollingWindow

LEAST_RESERVE = 10
"""Retries that are there without any traffic, however few endpoints a model has."""
_ROUNDING = 1e-9


@dataclass(slots=True)
class _Slice:
    """What happened in one part of the window."""

    requests: int = 0
    retries: float = 0.0
    """How many were paid for by requests, and not by the reserve."""


@dataclass(slots=True)
class _Account:
    """The budget of one model."""

    window: RollingWindow[_Slice]
    refilled: float
    """When the reserve was refilled last."""
    missing: float = 0.0
    """How much of the reserve is spent and not refilled yet."""


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
        self._accounts: dict[str, _Account] = {}

    def deposit(self, model: str) -> None:
        """Count one request, which makes the budget larger."""
        with self._lock:
            now = self._clock()
            self._account(model, now).window.current(now).requests += 1

    def allows(self, model: str) -> bool:
        """Whether a retry is left; nothing is spent."""
        return self.balance(model) >= 1 - _ROUNDING

    def spend(self, model: str) -> bool:
        """Take one retry that is about to be made, if there is any left."""
        size = self._size(model)
        with self._lock:
            now = self._clock()
            account = self._account(model, now)
            share, reserve = self._parts(account, now, size)
            if share + reserve < 1 - _ROUNDING:
                return False
            paid = min(1.0, share)
            account.window.current(now).retries += paid
            account.missing += 1 - paid
            return True

    def balance(self, model: str) -> float:
        """Count the retries that are left."""
        size = self._size(model)
        with self._lock:
            now = self._clock()
            return sum(self._parts(self._account(model, now), now, size))

    def _size(self, model: str) -> float:
        """How large the reserve of *model* is when nothing of it is spent."""
        configured = self._policy.budget_reserve
        return self._reserve(model) if configured is None else configured

    def _parts(self, account: _Account, now: float, size: float) -> tuple[float, float]:
        """Count what is left of a model's share, and of its reserve of that *size*."""
        account.window.current(now)  # forgets what is past
        slices, policy = account.window.slices(), self._policy
        earned = policy.budget_ratio * sum(each.requests for each in slices) - sum(each.retries for each in slices)
        account.missing = max(0.0, account.missing - (now - account.refilled) * size / policy.budget_window)
        account.refilled = now
        return max(0.0, earned), max(0.0, size - account.missing)

    def _account(self, model: str, now: float) -> _Account:
        """Return a model's account; a new one has its whole reserve."""
        account = self._accounts.get(model)
        if account is None:
            account = self._accounts[model] = _Account(RollingWindow(self._policy.budget_window, _Slice), now)
        return account
