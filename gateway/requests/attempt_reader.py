"""The answer of one attempt, which is asked once more where its endpoint rejects a field by name."""

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
    """The body of an answer that is read as it arrives, by whoever waits for many at once."""

    def arrived(self) -> bytes | None:
        """Give what has arrived without waiting: no bytes if nothing has, None at the end; raises `FaultError`."""
        ...

    @property
    def interest(self) -> Interest | None:
        """What more of it needs; nothing if there is some already, or no more."""
        ...


class AttemptReader:
    """Reads the answer of one attempt; a field that the endpoint rejects by name is left out, once.

    *begin* sends a body, and *drop* is told of the fields that are left out; not the tools of a client that *insists*
    on one. *ended* is called when nothing more is read.
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
        """The media type of the body, in lower case and without parameters; once `head` has returned."""
        return self._reader.content_type

    def head(self, seconds: float) -> None:
        """Wait for a good answer to begin; raises `FaultError`, or `StillPending` after so many *seconds*."""
        try:
            self._reader.head(seconds)
        except FaultError as error:
            if not self._learn(error.fault):
                raise
            self._reader.head(seconds)

    def take(self, seconds: float) -> bytes | None:
        """Take what has arrived, None at the end; raises `FaultError`, or `StillPending` after so many *seconds*."""
        return self._reader.take(seconds)

    @property
    def body(self) -> "ArrivingBody":
        """What gives the answer as it arrives; once `head` has returned."""
        return self._reader.body

    def whole(self, began: Callable[[], None]) -> Steps[bytes]:
        """Read the whole answer, and call *began* when the first of it has come; raises `FaultError`."""
        try:
            return (yield from self._reader.whole(began=began))
        except FaultError as error:
            if not self._learn(error.fault):
                raise
        return (yield from self._reader.whole(began=began))

    def finish(self) -> None:
        """Want nothing more of an answer that is complete; its connection may be used again."""
        self._reader.finish()
        if self._ended is not None:
            self._ended()

    def close(self) -> None:
        """Let go of the connection, which ends an answer that is not complete."""
        self._reader.close()
        if self._ended is not None:
            self._ended()

    def _learn(self, fault: Fault) -> bool:
        """Learn from a fault which field is rejected, and send the request without it; False where that helps not."""
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
