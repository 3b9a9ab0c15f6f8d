"""The frame reader, base of all stream readers: it decodes frames, tracks open blocks, and turns errors into events."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from typing import ClassVar

from dialects.core.conversation import JSON, Citation, Stop, Thinking, Usage, WebSearch
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, Finished, Started
from dialects.core.faults import UNREADABLE, Fault, FaultKind
from dialects.core.redaction import redacted
from dialects.framing.frame_template import FramePattern
from dialects.framing.json_text import unquote
from dialects.framing.sse import Frame, FrameDecoder, SSEDecoder


class FrameReader(ABC):
    """Reads one stream of a backend. A subclass for each dialect interprets the messages.

    The events always follow the grammar of `dialects.core.events`, whatever the bytes are. Blocks that the backend left
    open are closed, text outside of any block opens one, and bytes that cannot be read end the stream with `Failed`.

    A subclass sets `stop`, `usage` and `search` when the stream reports them. It adds to `items` the ids of finished
    items, to which later requests may refer. `signed` adds to the signatures of thinking blocks which deployment
    made them; by default it leaves them unchanged.
    """

    repeats: ClassVar[bool] = False
    """Whether most text frames of this dialect differ from the frame before them only in their text.

    Such frames are not parsed. This requires that `continued` changes no state, and that a passthrough renders a frame
    from nothing but its content.
    """

    def __init__(self, decoder: FrameDecoder | None = None) -> None:
        self.stop: Stop | None = None
        self.usage = Usage()
        self.search: WebSearch | None = None
        self.items: list[str] = []
        self.signed: Callable[[str], str] = str
        self.continued_with = ""
        """The text of the last frame, if it only added text to the open block; otherwise empty."""
        self._pattern = FramePattern()
        self._decoder = decoder or SSEDecoder()
        self._started = False
        self._over = False
        self._open: Hashable = None
        self._closed: set[Hashable] = set()
        self._index = -1
        self._signature: list[str] = []
        self._citations: tuple[Citation, ...] = ()

    @abstractmethod
    def read(self, message: JSON) -> Iterator[Event]:
        """Yield the events of one message."""

    def feed(self, data: bytes) -> list[Event]:
        """Read more bytes, which may end anywhere in a frame, and return the events that they complete."""
        if not self._over and (texts := self._pattern.match(data)):
            return [BlockDelta(self._index, unquote(text)) for text in texts]
        try:
            frames = self._decoder.feed(data)
        except ValueError as error:
            return self._unreadable(str(error))
        events: list[Event] = []
        for frame in frames:
            events += self.take(frame)
        if self.repeats:
            self._pattern.learn(frames, self.continued_with, self._decoder)
        return events

    def finish(self) -> list[Event]:
        """Return the last events, after the backend has closed the connection."""
        try:
            events = [event for frame in self._decoder.finish() for event in self.take(frame)]
        except ValueError as error:
            return self._unreadable(str(error))
        if self._over:
            return events
        return [*events, *(self.end() if self.stop else self.fail(_broken("the stream ended early")))]

    def take(self, frame: Frame) -> list[Event]:
        """Return the events of one frame. After the end of the stream there are none."""
        if text := self.continuation(frame):
            return [BlockDelta(self._index, text)]
        if self._over or not frame.data:
            return []
        events: list[Event] = []
        try:
            message = self.loads(frame)
            if message is not None:
                events.extend(self.read(message))
        except UNREADABLE:
            events.extend(self._unreadable("a frame that cannot be read"))
        return events

    def continuation(self, frame: Frame) -> str:
        """Return the text of a frame that only adds text to the open block, as nearly all frames of a stream do.

        The result is empty for any other frame, which must then be read by `read`.
        """
        self.continued_with = ""
        if self._over or self._open is None:
            return ""
        try:
            self.continued_with = self.continued(frame)
        except UNREADABLE:
            return ""
        return self.continued_with

    def continued(self, frame: Frame) -> str:  # noqa: ARG002 - for dialects to use
        """Return the text of a frame for which `read` would yield one delta and change no other state.

        A dialect overrides this method, and inspects the JSON of `Frame.glance()`, in which integers beyond 64 bits are
        floats. After an exception or an empty text the frame is read by `read`, so the method must not change any state
        before it is certain of the text.
        """
        return ""

    def loads(self, frame: Frame) -> JSON | None:
        """Parse the JSON object of one frame; None for a frame without content. Dialects may override it."""
        loaded = frame.loads()
        if not isinstance(loaded, dict):
            raise TypeError("not an object")
        return loaded

    def start(self, id: str = "", model: str = "") -> Iterator[Event]:
        """Yield `Started` at the first call, and nothing at later calls."""
        if not self._started:
            self._started = True
            yield Started(id, model, self.usage)

    def extend(self, key: Hashable, block: Block, text: str = "", logprobs: tuple[JSON, ...] = ()) -> Iterator[Event]:
        """Add *text* to the block that the backend identifies by *key*, and open the block if it is not open.

        Raises `ValueError` if the block is already closed, because reopening it would split it in two.
        """
        yield from self.start()
        if key != self._open:
            yield from self.stop_block()
            if key in self._closed:
                raise ValueError("text for a block that is closed")
            self._open, self._index = key, self._index + 1
            if isinstance(block, Thinking) and block.redacted:
                block = replace(block, redacted=self.signed(block.redacted))
            yield BlockStarted(self._index, block)
        if text:
            yield BlockDelta(self._index, text, logprobs)

    def sign(self, signature: str) -> None:
        """Add *signature*, or a piece of it, to the signature of the open block."""
        self._signature.append(signature)

    def cite(self, citations: tuple[Citation, ...]) -> None:
        """Set the citations of the open text block."""
        self._citations = citations

    def stop_block(self) -> Iterator[Event]:
        """Close the block that is open, if any."""
        if self._open is not None:
            self._closed.add(self._open)
            self._open = None
            signature, self._signature = "".join(self._signature), []
            citations, self._citations = self._citations, ()
            yield BlockStopped(self._index, signature and self.signed(signature), citations)

    def end(self) -> Iterator[Event]:
        """End the stream with `Finished`."""
        self._over = True
        yield from self.start()
        yield from self.stop_block()
        yield Finished(self.stop or Stop(), self.usage, self.search)

    def fail(self, fault: Fault) -> Iterator[Event]:
        """End the stream with `Failed`."""
        self._over = True
        yield Failed(fault, self.usage)

    def _unreadable(self, what: str) -> list[Event]:
        return [] if self._over else list(self.fail(_broken(f"the stream is unreadable: {what}")))


def _broken(message: str) -> Fault:
    return Fault(FaultKind.STREAM_BROKEN, redacted(message))
