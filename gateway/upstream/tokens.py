"""Access tokens: fetched once for everybody, ahead of time, and dropped when they turn out to be bad."""

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
"""Seconds after which to look whether there is a token now, unless the token service says when."""
NO_TOKEN_IN_TIME: Final = Fault(
    FaultKind.NO_TOKEN, "The proxy did not get an access token for SAP AI Core in time.", retry_after=WITHOUT_TOKEN
)
_SHARE = 0.1
"""A token is renewed when this share of its lifetime is left, or earlier than that by no more than the leeway."""
_JITTER = 0.2
"""By how much of that span a renewal may come earlier, so that processes that started together do not ask together."""
_LIMIT = 5.0
"""Seconds for which `token` waits: as long as a connection may take to come about."""
_MEMORY = 1.0
"""Seconds for which a failed fetch answers for the next ones."""
_RENEWAL_PAUSE = 15.0
"""Seconds between two tries to renew a token that is good still."""
_BRIEFLY = 0.5
"""Seconds to wait for a token where others have waited in vain: a fetch that works takes less."""
_RENEWED_FOR: Final = {FaultKind.REFUSED_CREDENTIALS: 0.0, FaultKind.DEPLOYMENT_FORBIDDEN: 60.0}
"""What a token is renewed for, and how old in seconds it must be for that."""

NewTask = Callable[[Callable[[], str]], Task[str]]
"""Makes the task in which a token is fetched."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token as the token service handed it out."""

    value: str = field(repr=False)
    lifetime: float
    """Seconds from the moment it was asked for."""


@dataclass(frozen=True, slots=True)
class TokenState:
    """What is known of a subaccount's token; if there is neither a good one nor a fault, nobody has had an answer."""

    good: bool
    """Whether there is a token that has not expired."""
    fault: Fault | None
    """What the last fetch failed with; nothing after one that succeeded."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A token with the moments that matter."""

    value: str = field(repr=False)
    fetched_at: float
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """What the last fetch ended in, and until when that is taken for an answer."""

    fault: Fault
    until: float


class TokenSource:
    """Hands out the current access token of one subaccount; it is fetched in the background, by one task at a time.

    *name* is what the log calls the subaccount. Whoever has no token waits for that task; `token` does so for *limit*
    seconds at most. Whoever has one that is near its end goes on with it meanwhile.
    `_lock` guards the token, the failure and the task; nothing else is done under it.
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
        """When it was begun to fetch a token."""

    def token(self) -> str:
        """Give a token that is good now, after waiting for it a few seconds if need be; raise the fault of the fetch.

        What takes longer goes on, and serves whoever comes later.
        """
        found = self.request()
        if isinstance(found, str):
            return found
        if not ends_within(found, self.patience(self._limit)):
            raise FaultError(NO_TOKEN_IN_TIME)
        return found.result()

    def request(self) -> str | Task[str]:
        """Give a token that is good now, or the task that fetches one; raise the fault of a fetch that has failed."""
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
        """Drop *token* if *fault* is its refusal, unless another one has taken its place already.

        What is forbidden may be so to a token alone that is older than the right to it; a young one is kept. Return
        whether another one is to be had, with which to ask again.
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
        """How many seconds to wait for a fetch that may last *limit*: what is left of them, or little after a failure.

        So a token service that is out of order holds up few requests, and none of them twice.
        """
        if self._failure is not None:
            return min(limit, _BRIEFLY)
        return min(limit, max(_BRIEFLY, self._began + limit - self._clock()))

    @property
    def state(self) -> TokenState:
        """What is known, without asking anybody."""
        with self._lock:
            held, failure = self._held, self._failure
        good = held is not None and self._clock() < held.expires_at
        return TokenState(good, failure.fault if failure else None)

    @property
    def seconds_left(self) -> float:
        """Seconds until the token that is held expires; 0 without a good one."""
        held = self._held
        return 0.0 if held is None else max(0.0, held.expires_at - self._clock())

    def _renew(self, held: _Held, failure: _Failure | None) -> None:
        """Have the token renewed; where that cannot even begin, the old one is good for a while."""
        with suppress(FaultError):
            self._task(held, failure)

    def _task(self, held: _Held | None, failure: _Failure | None) -> Task[str] | None:
        """Give the task that fetches a token, and begin it if there is none; nothing if one has ended meanwhile.

        *held* and *failure* are what the caller has seen.
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
        """The task that is under way; one that got no thread is done without having run."""
        task = self._fetching
        return None if task is None or task.done else task

    def _fetched(self) -> str:
        """Fetch a token and keep it, or keep why there is none; raises `FaultError` for whatever fails."""
        asked_at = self._clock()
        try:
            token = self._fetch()
        except FaultError as error:
            if self._failure is None:
                _log.warning("no access token for %s: %s", self._name, error.fault.explained)
            self._end(None, self._failure_of(error.fault))
            raise
        except Exception as error:  # noqa: BLE001 - not swallowed: whoever asks is told, and the log says more
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
        """Say for how long a fetch that failed keeps others from asking: longer where a good token is there."""
        now, held = self._clock(), self._held
        good_until = held.expires_at if held is not None else now
        return _Failure(fault, max(now + _MEMORY, min(now + _RENEWAL_PAUSE, good_until)))

    def _end(self, held: _Held | None, failure: _Failure | None) -> None:
        """Note what the fetch has brought: a token, or why there is no new one."""
        with self._lock:
            if held is not None:
                self._held = held
            self._failure = failure
            self._fetching = None
