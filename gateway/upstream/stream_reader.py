"""The reader of one upstream answer, from requesting the token to the last byte."""

import math
from collections.abc import Callable
from typing import Final

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Interest, Lifetime
from gateway.requests.memory_budget import COPIES
from gateway.upstream.steps import Resumable, Steps, run, unless_silent, waiting_for
from gateway.upstream.tokens import NO_TOKEN_IN_TIME, WITHOUT_TOKEN, TokenSource
from gateway.upstream.transport import BODY_LIMIT, Call
from gateway.upstream.transport_faults import TOO_MUCH

_ERROR_LIMIT = 1024 * 1024
"""The maximum number of bytes that are read of an error's body."""
_OURS: Final = frozenset({FaultKind.UNAVAILABLE, FaultKind.REFUSED_CREDENTIALS})
"""The kinds of fault that keep their meaning when the request for a token fails with them."""

Send = Callable[[str], Call]
"""Prepares the call with a token."""
Judge = Callable[[Call, bytes], Fault]
"""Returns the fault that an error answer means."""


class StreamReader:
    """Gets a token, sends one request and reads its answer.

    Call `head` and then `take` until it returns None, or only `whole` (steps) or `read` (blocking). `head` and `take`
    may be called again after `StillPending`. An event loop reads what has arrived from `body`. All of them raise
    `FaultError` on any failure and as soon as the request is over, and then the connection is closed. A token that is
    refused is renewed once. Only one thread at a time may use it, and the user must close it.

    *token_limit* is the number of seconds to wait for a token. *silence* is the number of seconds for which `whole`
    waits without receiving anything.
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
        """The latest call, which must be closed."""
        self._answer: Call | None = None
        """The call for which the head of a successful answer has arrived."""
        self._held = 0
        """The bytes of memory that are reserved for the answer."""
        self._work = Resumable(self._answered())

    def head(self, seconds: float) -> None:
        """Wait for the head of a successful answer; raises `StillPending` after so many *seconds*."""
        try:
            self._work.go_on(self._lifetime, seconds)
        except FaultError:
            self.close()
            raise

    def take(self, seconds: float) -> bytes | None:
        """Return the bytes that arrived, None at the end of the body; raises `StillPending` after so many *seconds*."""
        return self._begun().take(self._lifetime, seconds)

    def read(self, limit: int = BODY_LIMIT, began: Callable[[], None] = lambda: None) -> bytes:
        """Read the whole answer as `whole` does, and block until it is there."""
        return run(self.whole(limit, began), self._lifetime)

    def whole(self, limit: int = BODY_LIMIT, began: Callable[[], None] = lambda: None) -> Steps[bytes]:
        """Read the whole answer. More than *limit* bytes, too long a silence, or too little memory raise `FaultError`.

        *began* is called when the first bytes of the body have arrived.
        """
        try:
            return (yield from unless_silent(self._whole(limit, began), self._silence, self._lifetime.clock))
        except BaseException:
            self._lifetime.memory.give_back(self._held)
            self._held = 0
            self.close()
            raise

    def _hold(self, size: int) -> None:
        self._lifetime.memory.take(COPIES * size, TOO_MUCH, held=self._held)
        self._held += COPIES * size

    def _whole(self, limit: int, began: Callable[[], None]) -> Steps[bytes]:
        yield from self._answered()
        return (yield from self._begun().rest(limit, began, self._hold))

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
        """The call whose head has arrived, for reading its body without waiting."""
        return self._begun()

    @property
    def interest(self) -> Interest | None:
        """The interest that it waits for; None if it can continue at once."""
        if self._answer is not None:
            return self._answer.interest
        return self._work.pause.interests[0] if self._work.pause else None

    @property
    def due(self) -> float:
        """The time at which `head` must be called even if the interest is not ready, because a time limit ends."""
        return self._work.pause.until if self._work.pause else math.inf

    def close(self) -> None:
        """Release the connection, which is closed unless the answer was read to its end."""
        self._work.close()
        if self._call is not None:
            self._call.close()

    def finish(self) -> None:
        """Stop reading an answer that is nearly at its end; see `Call.finish`."""
        self._work.close()
        if self._call is not None:
            self._call.finish()

    def _begun(self) -> Call:
        if self._answer is None:
            raise LookupError("the answer has no head yet")
        return self._answer

    def _answered(self) -> Steps[None]:
        """Get the head of a successful answer; a refused token is renewed once. Raises `FaultError`."""
        self._lifetime.check_deadline()
        token = yield from self._token()
        try:
            yield from self._asked(token)
        except FaultError as error:
            if not self._tokens.renew_after(error.fault, token):
                raise
            yield from self._asked((yield from self._token()))

    def _token(self) -> Steps[str]:
        """Get a token; raises a `FaultError` that puts the subaccount in cooldown, and not the endpoint."""
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
        """Send the request and read the head; for an error status, read the body and raise `FaultError`."""
        call = self._call = self._send(token)
        yield from call.answered()
        if call.status < 400:
            self._answer = call
            return
        body = yield from call.rest(_ERROR_LIMIT)
        raise FaultError(self._judge(call, body))


def _no_token(fault: Fault) -> Fault:
    """Return the fault of the subaccount for the *fault* of the token request."""
    if fault.kind in _OURS:
        return fault
    after = WITHOUT_TOKEN if fault.retry_after is None else fault.retry_after
    return Fault(FaultKind.NO_TOKEN, fault.message, retry_after=after, cause=fault.cause)
