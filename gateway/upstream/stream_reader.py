"""One answer of SAP AI Core, read from the token to the last byte by whoever waits for it."""

import math
from collections.abc import Callable
from typing import Final

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Interest, Lifetime
from gateway.upstream.steps import Resumable, Steps, run, unless_silent, waiting_for
from gateway.upstream.tokens import NO_TOKEN_IN_TIME, WITHOUT_TOKEN, TokenSource
from gateway.upstream.transport import BODY_LIMIT, Call

_ERROR_LIMIT = 1024 * 1024
"""How many bytes of an error's body are read."""
_OURS: Final = frozenset({FaultKind.UNAVAILABLE, FaultKind.REFUSED_CREDENTIALS})
"""Kinds that say the same of a fetch of a token as of any other call."""

Send = Callable[[str], Call]
"""Prepares the call with a token."""
Judge = Callable[[Call, bytes], Fault]
"""Says what an error answer means."""


class StreamReader:
    """Reads one upstream, from getting a token to the last byte of its answer.

    First `head`, then `take` until there is no more, or `whole` alone, which `read` drives. `head` and `take` may be
    called again after they raised `StillPending`; whoever waits for many at once takes what has arrived from `body`.
    Every one raises `FaultError` for whatever fails, and as soon as the request is over; then the connection is closed.
    A token that is refused is renewed once. One thread at a time uses it, and closes it.

    *token_limit* is how many seconds a token is waited for, *silence* how many `whole` waits for something to come.
    """

    def __init__(
        self,
        send: Send,
        judge: Judge,
        tokens: TokenSource,
        lifetime: Lifetime,
        *,
        token_limit: float,
        silence: float,
    ) -> None:
        self._send = send
        self._judge = judge
        self._tokens = tokens
        self._lifetime = lifetime
        self._token_limit = token_limit
        self._silence = silence
        self._call: Call | None = None
        self._is_answered = False
        """Whether `_call` is one whose answer is no failure, and its head is there."""
        self._work = Resumable(self._answered())

    def head(self, seconds: float) -> None:
        """Return when an answer has begun that is none of failure; raises `StillPending` after so many *seconds*."""
        try:
            self._work.go_on(self._lifetime, seconds)
        except FaultError:
            self.close()
            raise

    def take(self, seconds: float) -> bytes | None:
        """Give all that has arrived of the body, and None at its end; raises `StillPending` after so many *seconds*."""
        return self._begun().take(self._lifetime, seconds)

    def read(self, limit: int = BODY_LIMIT, began: Callable[[], None] = lambda: None) -> bytes:
        """Read the whole answer, and wait for it; see `whole`."""
        return run(self.whole(limit, began), self._lifetime)

    def whole(self, limit: int = BODY_LIMIT, began: Callable[[], None] = lambda: None) -> Steps[bytes]:
        """Read the whole answer; more than *limit* bytes of it, or silence for too long, are a fault.

        *began* is called when the first of its body has come.
        """
        try:
            return (yield from unless_silent(self._whole(limit, began), self._silence, self._lifetime.clock))
        except BaseException:
            self.close()
            raise

    def _whole(self, limit: int, began: Callable[[], None]) -> Steps[bytes]:
        yield from self._answered()
        return (yield from self._begun().rest(limit, began))

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self._begun().status

    @property
    def content_type(self) -> str:
        """The media type of the body, in lower case and without parameters."""
        return self._begun().content_type

    @property
    def body(self) -> Call:
        """The answer that has begun, for whoever takes what has arrived of its body without waiting."""
        return self._begun()

    @property
    def interest(self) -> Interest | None:
        """What it waits for, so that several can be waited for at once; nothing if it can go on now."""
        if not self._is_answered:
            return self._work.pause.interests[0] if self._work.pause else None
        return self._begun().interest

    @property
    def due(self) -> float:
        """The moment at which `head` has to be called even if the interest is not ready: a limit ends then."""
        return self._work.pause.until if self._work.pause else math.inf

    def close(self) -> None:
        """Let go of the connection, which is closed at once unless the answer was read to its end."""
        self._work.close()
        if self._call is not None:
            self._call.close()

    def finish(self) -> None:
        """Want nothing more of an answer that is all but at its end; see `Call.finish`."""
        self._work.close()
        if self._call is not None:
            self._call.finish()

    def _begun(self) -> Call:
        if self._call is None or not self._is_answered:
            raise LookupError("the answer has no head yet")
        return self._call

    def _answered(self) -> Steps[None]:
        """Get an answer that is no failure; a refused token is renewed once."""
        self._lifetime.check_deadline()
        token = yield from self._token()
        try:
            yield from self._asked(token)
        except FaultError as error:
            if not self._tokens.renew_after(error.fault, token):
                raise
            yield from self._asked((yield from self._token()))

    def _token(self) -> Steps[str]:
        """Get a token; without one it is no endpoint that fails, but its subaccount. Raises `FaultError`."""
        try:
            found = self._tokens.request()
            if isinstance(found, str):
                return found
            limit = self._tokens.patience(self._token_limit)
            return (yield from waiting_for(found, self._lifetime.clock() + limit))
        except TimeoutError:
            raise FaultError(NO_TOKEN_IN_TIME) from None
        except FaultError as error:
            raise FaultError(_no_token(error.fault)) from None

    def _asked(self, token: str) -> Steps[None]:
        """Send the request, and read what comes as far as it is an error; raises `FaultError`."""
        call = self._call = self._send(token)
        yield from call.answered()
        if call.status < 400:
            self._is_answered = True
            return
        body = yield from call.rest(_ERROR_LIMIT)
        raise FaultError(self._judge(call, body))


def _no_token(fault: Fault) -> Fault:
    """Say of the subaccount why there is no token for it."""
    if fault.kind in _OURS:
        return fault
    after = WITHOUT_TOKEN if fault.retry_after is None else fault.retry_after
    return Fault(FaultKind.NO_TOKEN, fault.message, retry_after=after, cause=fault.cause)
