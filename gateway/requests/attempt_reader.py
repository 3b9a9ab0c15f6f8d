"""The reader of one attempt, which repeats the request once without a field that the endpoint rejects."""

from collections.abc import Callable, Iterable
from typing import Protocol

from dialects.adapt.tool_choice import nothing_to_call
from dialects.core.conversation import JSON, Opaque
from dialects.core.faults import Fault, FaultError
from gateway.requests.lifetime import Interest
from gateway.requests.rejected_fields import RejectedFields
from gateway.upstream.steps import Steps
from gateway.upstream.stream_reader import StreamReader


class ArrivingBody(Protocol):
    """The body of an answer, for an event loop that reads it as it arrives."""

    def arrived(self) -> bytes | None:
        """Return what has arrived, without waiting: b"" if there is nothing, None at the end; raises `FaultError`."""
        ...

    @property
    def interest(self) -> Interest | None:
        """The interest to wait for before reading more; None if more is there already, or the body has ended."""
        ...


class AttemptReader:
    """Reads the answer of one attempt. If the endpoint rejects a field by name, it sends the request again without it.

    *begin* sends a body. *drop* is called with the names of the fields that are left out. *insists* says that the
    client requires a tool call, so that tools must not be left out. *ended* is called when reading has ended.
    """

    def __init__(
        self,
        begin: Callable[[JSON], StreamReader],
        model: str,
        body: JSON,
        rejected: RejectedFields,
        drop: Callable[[Iterable[str]], None],
        *,
        insists: bool = False,
        ended: Callable[[], object] | None = None,
    ) -> None:
        self._ended = ended
        self._insists = insists
        self._begin = begin
        self._model = model
        self._body = body
        self._rejected = rejected
        self._drop = drop
        self._learnt = False
        self._sent = body
        self._reader = self._send()

    @property
    def content_type(self) -> str:
        """The media type of the body, in lower case and without parameters, after `head` has returned."""
        return self._reader.content_type

    def head(self, seconds: float) -> None:
        """Wait for the head of a successful answer; raises `FaultError`, or `StillPending` after so many *seconds*."""
        try:
            self._reader.head(seconds)
        except FaultError as error:
            if not self._learn(error.fault):
                raise
            self._reader.head(seconds)

    def take(self, seconds: float) -> bytes | None:
        """Return what has arrived, None at the end; raises `FaultError`, or `StillPending` after so many *seconds*."""
        return self._reader.take(seconds)

    @property
    def body(self) -> "ArrivingBody":
        """The body for reading without waiting, after `head` has returned."""
        return self._reader.body

    def whole(self, began: Callable[[], None]) -> Steps[bytes]:
        """Read the whole answer, and call *began* when its first bytes have arrived; raises `FaultError`."""
        try:
            return (yield from self._reader.whole(began=began))
        except FaultError as error:
            if not self._learn(error.fault):
                raise
        return (yield from self._reader.whole(began=began))

    def finish(self) -> None:
        """Stop reading a complete answer, so that its connection may be used again."""
        self._reader.finish()
        if self._ended is not None:
            self._ended()

    def close(self) -> None:
        """Release the connection, which is closed if the answer is incomplete."""
        self._reader.close()
        if self._ended is not None:
            self._ended()

    def _learn(self, fault: Fault) -> bool:
        """Send the request again, once, without the field that *fault* rejects; return whether it did so."""
        if self._learnt or not self._rejected.learn(self._model, self._sent, fault):
            return False
        self._learnt = True
        self._reader = self._send()
        return True

    def _send(self) -> StreamReader:
        self._sent = self._rejected.without(self._model, self._body)
        dropped = self._body.keys() - self._sent.keys()
        if self._insists and "tools" in dropped:
            raise nothing_to_call((Opaque("", tool) for tool in self._body["tools"]), self._model)
        self._drop(dropped)
        return self._begin(self._sent)
