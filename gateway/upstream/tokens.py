"""Access tokens, which are fetched once for all requests, renewed early and dropped if they are refused."""

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.upstream.background import Task, ends_within

_log = logging.getLogger("sap_ai_proxy.tokens")

WITHOUT_TOKEN: Final = 2.0
"""The retry hint in seconds for requests without a token, unless the token service sends one."""
NO_TOKEN_IN_TIME: Final = Fault(
    FaultKind.NO_TOKEN, "The proxy did not get an access token for SAP AI Core in time.", retry_after=WITHOUT_TOKEN
)
_SHARE = 0.1
"""A token is renewed when this share of its lifetime is left, or the leeway if that is shorter."""
_JITTER = 0.2
"""A renewal starts earlier at random by up to this share of that time, so that processes do not collide."""
_LIMIT = 5.0
"""Seconds for which `token` waits, which is the default timeout of a connection."""
_MEMORY = 1.0
"""Seconds after a failed fetch in which no new fetch is started."""
_RENEWAL_PAUSE = 15.0
"""Seconds between two attempts to renew a token that is still valid."""
_BRIEFLY = 0.5
"""Seconds to wait for a token after a failed fetch. A successful fetch takes less."""
_RENEWED_FOR: Final = {FaultKind.REFUSED_CREDENTIALS: 0.0, FaultKind.DEPLOYMENT_FORBIDDEN: 60.0}
"""The kinds of fault for which a token is renewed, with the minimum age of the token in seconds."""

NewTask = Callable[[Callable[[], str]], Task[str]]
"""Makes the task that fetches a token."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token as the token service sent it."""

    value: str = field(repr=False)
    lifetime: float
    """Seconds of validity from the time of the request."""


@dataclass(frozen=True, slots=True)
class TokenState:
    """The state of a subaccount's token. Without a valid token and a fault, no fetch has ended yet."""

    good: bool
    """Whether there is a token that has not expired."""
    fault: Fault | None
    """The fault of the latest fetch; None if it succeeded."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A token with the times of fetching, renewal and expiry."""

    value: str = field(repr=False)
    fetched_at: float
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """The fault of the latest fetch, and the time until which no new fetch is started."""

    fault: Fault
    until: float


class TokenSource:
    """Returns the current access token of one subaccount. One background task at a time fetches it.

    *name* is the name of the subaccount in the log. Without a valid token, requests wait for the task; `token` waits
    for *limit* seconds at most. While a token is renewed, requests use the old one.
    `_lock` guards the token, the failure and the task; it is held for assignments only.
    """

    def __init__(
        self,
        fetch: Callable[[], Token],
        *,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
        leeway: float = 300.0,
        limit: float = _LIMIT,
        rng: Callable[[], float] = random.random,
        new_task: NewTask = Task,
    ) -> None:
        self._fetch = fetch
        self._name = name
        self._clock = clock
        self._leeway = leeway
        self._limit = limit
        self._rng = rng
        self._new_task = new_task
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._failure: _Failure | None = None
        self._fetching: Task[str] | None = None
        self._began = 0.0
        """The start of the latest fetch."""

    def token(self) -> str:
        """Return a valid token, after waiting a few seconds if necessary; raises the `FaultError` of the fetch.

        A fetch that takes longer continues in the background, for later requests.
        """
        found = self.request()
        if isinstance(found, str):
            return found
        if not ends_within(found, self.patience(self._limit)):
            raise FaultError(NO_TOKEN_IN_TIME)
        return found.result()

    def request(self) -> str | Task[str]:
        """Return a valid token, or the task that fetches one; raises the `FaultError` of a fetch that just failed."""
        while True:
            held, failure, now = self._held, self._failure, self._clock()
            if held is not None and now < held.renew_at:
                return held.value
            failed = failure is not None and now < failure.until
            if held is not None and now < held.expires_at:
                if not failed:
                    self._renew(held, failure)
                return held.value
            if failure is not None and failed:
                raise FaultError(failure.fault)
            if (task := self._task(held, failure)) is not None:
                return task

    def renew_after(self, fault: Fault, token: str) -> bool:
        """Drop *token* if *fault* means that it was refused, and return whether to repeat the request with another one.

        A deployment may be forbidden only because the token is older than the permission, so an old token is renewed
        for that, and a new one is kept. If another token has already replaced it, that one is kept.
        """
        min_age = _RENEWED_FOR.get(fault.kind)
        if min_age is None:
            return False
        now = self._clock()
        with self._lock:
            held = self._held
            if held is not None and held.value == token:
                if now - held.fetched_at < min_age:
                    return False
                self._held = None
        return True

    def patience(self, limit: float) -> float:
        """Return the seconds to wait for a fetch that began earlier and may take *limit* in all; few after a failure.

        So a token service that does not respond delays few requests, and none of them twice.
        """
        if self._failure is not None:
            return min(limit, _BRIEFLY)
        return min(limit, max(_BRIEFLY, self._began + limit - self._clock()))

    @property
    def state(self) -> TokenState:
        """The current state, without a fetch."""
        with self._lock:
            held, failure = self._held, self._failure
        good = held is not None and self._clock() < held.expires_at
        return TokenState(good, failure.fault if failure else None)

    @property
    def seconds_left(self) -> float:
        """Seconds until the current token expires; 0 without a valid one."""
        held = self._held
        return 0.0 if held is None else max(0.0, held.expires_at - self._clock())

    def _renew(self, held: _Held, failure: _Failure | None) -> None:
        """Start a renewal. If that fails, the old token is still valid for a while."""
        with suppress(FaultError):
            self._task(held, failure)

    def _task(self, held: _Held | None, failure: _Failure | None) -> Task[str] | None:
        """Return the task that fetches a token, and start it if there is none; None if one has just ended.

        *held* and *failure* are the values that the caller has read.
        """
        if (running := self._running()) is not None:
            return running
        new, now = self._new_task(self._fetched), self._clock()
        with self._lock:
            if held is not self._held or failure is not self._failure:
                return None
            running = self._running()
            if running is None:
                self._fetching, self._began = new, now
        if running is not None:
            return running
        new.start()
        return new

    def _running(self) -> Task[str] | None:
        """Return the task in progress, if any. A task that got no thread is done without having run."""
        task = self._fetching
        return None if task is None or task.done else task

    def _fetched(self) -> str:
        """Fetch a token and store it, or store the failure; raises `FaultError` on any failure."""
        asked_at = self._clock()
        try:
            token = self._fetch()
        except FaultError as error:
            if self._failure is None:
                _log.warning("no access token for %s: %s", self._name, error.fault.explained)
            self._end(None, self._failure_of(error.fault))
            raise
        except Exception as error:  # noqa: BLE001 - not swallowed: it is logged, and requests get a fault
            what = f"The proxy could not request an access token for SAP AI Core: {type(error).__name__}."
            _log.exception("an access token could not be requested")
            fault = Fault(FaultKind.SERVER_ERROR, what)
            self._end(None, self._failure_of(fault))
            raise FaultError(fault) from None
        expires_at = asked_at + token.lifetime
        span = min(self._leeway, token.lifetime * _SHARE)
        renew_at = expires_at - span * (1.0 + _JITTER * self._rng())
        self._end(_Held(token.value, asked_at, renew_at, expires_at), None)
        return token.value

    def _failure_of(self, fault: Fault) -> _Failure:
        """Return the failure with the time of the next fetch, which is later while the current token is valid."""
        now, held = self._clock(), self._held
        good_until = held.expires_at if held is not None else now
        return _Failure(fault, max(now + _MEMORY, min(now + _RENEWAL_PAUSE, good_until)))

    def _end(self, held: _Held | None, failure: _Failure | None) -> None:
        """Store the outcome of a fetch: a token or a failure."""
        with self._lock:
            if held is not None:
                self._held = held
            self._failure = failure
            self._fetching = None
