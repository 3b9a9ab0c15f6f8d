"""Access tokens: fetched once for everybody, ahead of time, and dropped when they turn out to be bad."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dialects.faults import Fault, FaultError

_SHARE = 0.1
"""A token is renewed when this share of its lifetime is left, or earlier than that by no more than the leeway."""
_MEMORY = 1.0
"""Seconds for which a failed fetch answers for the next ones."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token as the token service handed it out."""

    value: str = field(repr=False)
    lifetime: float
    """Seconds from the moment it was asked for."""


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
    """Hands out the current access token of one subaccount.

    `_fetching` says who fetches. It is held across the fetch: whoever has no token waits for it, whoever still
    has a good one does not. `_guard` makes "store" and "drop if it is still this one" whole; nothing else is
    done under it. `_guard` may be taken inside `_fetching`, never the other way round.
    """

    def __init__(
        self, fetch: Callable[[], Token], *, clock: Callable[[], float] = time.monotonic, leeway: float = 300.0
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._leeway = leeway
        self._fetching = threading.Lock()
        self._guard = threading.Lock()
        self._held: _Held | None = None
        self._failure: _Failure | None = None

    def token(self) -> str:
        """Hand out a token that is good now; raise the fault of the fetch when there is none."""
        held, now = self._held, self._clock()
        if held is not None and now < held.renew_at:
            return held.value
        if held is not None and now < held.expires_at:
            return self._renewed(held)
        with self._fetching:
            return self._fetched()

    @property
    def has_token(self) -> bool:
        """Whether a token is at hand that is good now; fetches none."""
        held = self._held
        return held is not None and self._clock() < held.expires_at

    def invalidate(self, token: str, *, min_age: float = 0.0) -> bool:
        """Drop *token*, because the service refused it, unless another one has taken its place already.

        One that is younger than *min_age* seconds is kept. Return whether another one is to be had.
        """
        with self._guard:
            held = self._held
            if held is not None and held.value == token:
                if self._clock() - held.fetched_at < min_age:
                    return False
                self._held = None
            return True

    def _renewed(self, held: _Held) -> str:
        """Fetch ahead of time, unless somebody does so or has just failed to: *held* is good meanwhile."""
        if not self._fetching.acquire(blocking=False):
            return held.value
        try:
            return self._fetched()
        except FaultError:
            return held.value
        finally:
            self._fetching.release()

    def _fetched(self) -> str:
        """Fetch, unless that was done or tried while this thread waited for its turn."""
        held, failure, now = self._held, self._failure, self._clock()
        if held is not None and now < held.renew_at:
            return held.value
        if failure is not None and now < failure.until:
            raise FaultError(failure.fault)
        try:
            token = self._fetch()
        except FaultError as error:
            self._failure = _Failure(error.fault, self._clock() + _MEMORY)
            raise
        self._failure = None
        expires_at = now + token.lifetime
        renew_at = expires_at - min(self._leeway, token.lifetime * _SHARE)
        with self._guard:
            self._held = _Held(token.value, now, renew_at, expires_at)
        return token.value
