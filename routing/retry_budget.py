"""The retry budget, which keeps retries from making an outage worse."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from routing.policy import RetryPolicy
from routing.rolling_window import RollingWindow

LEAST_RESERVE = 10
"""The smallest default reserve of a model, in retries."""
_ROUNDING = 1e-9


@dataclass(slots=True)
class _Slice:
    """The counts of one slice of the window."""

    requests: int = 0
    retries: float = 0.0
    """The retries that requests paid for, without those from the reserve."""


@dataclass(slots=True)
class _Account:
    """The budget of one model."""

    window: RollingWindow[_Slice]
    refilled: float
    """When the reserve was last refilled."""
    missing: float = 0.0
    """The retries of the reserve that are spent and not refilled yet."""


class RetryBudget:
    """Limits the retries of each model to a share of its recent requests, plus a reserve.

    The reserve is available without any traffic. It is refilled evenly, at a rate that fills it within one window.
    *reserve* returns its size for a model, in retries. The lock guards the accounts. It is held to add and to compare,
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
        """Count one request, which increases the budget."""
        with self._lock:
            now = self._clock()
            self._account(model, now).window.current(now).requests += 1

    def allows(self, model: str) -> bool:
        """Return whether a retry is left, without spending it."""
        return self.balance(model) >= 1 - _ROUNDING

    def spend(self, model: str) -> bool:
        """Spend one retry; return False if none is left."""
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
        """Return the number of retries that are left, with fractions."""
        size = self._size(model)
        with self._lock:
            now = self._clock()
            return sum(self._parts(self._account(model, now), now, size))

    def _size(self, model: str) -> float:
        """Return the size of the full reserve of *model*, in retries."""
        configured = self._policy.budget_reserve
        return self._reserve(model) if configured is None else configured

    def _parts(self, account: _Account, now: float, size: float) -> tuple[float, float]:
        """Return the retries that are left of the share of requests, and of the reserve of that *size*."""
        account.window.current(now)  # removes slices that are past
        slices, policy = account.window.slices(), self._policy
        earned = policy.budget_ratio * sum(each.requests for each in slices) - sum(each.retries for each in slices)
        account.missing = max(0.0, account.missing - (now - account.refilled) * size / policy.budget_window)
        account.refilled = now
        return max(0.0, earned), max(0.0, size - account.missing)

    def _account(self, model: str, now: float) -> _Account:
        """Return the account of a model; a new one has its full reserve."""
        account = self._accounts.get(model)
        if account is None:
            account = self._accounts[model] = _Account(RollingWindow(self._policy.budget_window, _Slice), now)
        return account
