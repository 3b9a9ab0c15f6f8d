"""The frame reader: what every stream reader shares, which is framing, block bookkeeping, and never raising."""

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
    """Reads one stream; a dialect need only say what each message means.

    Whatever the bytes say, what comes out is grammatical: blocks that were
    left open are closed, text that no block announced opens one, and bytes
    that make no sense end the stream as `Failed`.

    A dialect sets `stop`, `usage` and `search` as it learns them, and adds to `items` the
    ids of what is finished and may be referred to later. `seal` writes into the
    signatures of thoughts who made them; as it is, they stay as they came.
    """

    repeats: ClassVar[bool] = False
    """Whether a frame that `continued` gives the text of is mostly followed by one that differs in its text alone.

    Such frames are not even parsed. It takes that `continued` notes nothing, and that a passthrough renders a frame by
    what it holds.
    """

    def __init__(self, decoder: FrameDecoder | None = None) -> None:
        self.stop: Stop | None = None
        self.usage = Usage()
        self.search: WebSearch | None = None
        self.items: list[str] = []
        self.seal: Callable[[str], str] = str
        self.continued_with = ""
        """The text of the last frame, if that only extended the open block."""
        self._pattern = FramePattern()
        self._decoder = decoder or SSEDecoder()
        self._started = False
        self._over = False
        self._open: Hashable = None
        self._closed: set[Hashable] = set()
        self._index = -1
        self._signature = ""
        self._citations: tuple[Citation, ...] = ()

    @abstractmethod
    def read(self, message: JSON) -> Iterator[Event]:
        """Give the events of one message."""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere; give the events they complete."""
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
        """Give the events that are left when the connection has closed: how the stream ended."""
        try:
            events = [event for frame in self._decoder.finish() for event in self.take(frame)]
        except ValueError as error:
            return self._unreadable(str(error))
        if self._over:
            return events
        return [*events, *(self.end() if self.stop else self.fail(_broken("the stream ended early")))]

    def take(self, frame: Frame) -> list[Event]:
        """Give the events of one frame; after the end there are none."""
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
        """Return the text of a frame that only extends the open block, as nearly all frames of a stream do.

        Empty for any other frame and for anything unusual: `read` decides what those mean.
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
        """Return the text of a frame for which `read` would yield one delta and change nothing but what is noted here.

        A dialect overrides this and tests `Frame.glance()`: any JSON, with floats for integers beyond 64 bits. An
        exception, like an empty text, leaves the frame to `read`, so nothing may be noted before the text is certain.
        """
        return ""

    def loads(self, frame: Frame) -> JSON | None:
        """Parse one frame; None for one that says nothing. A dialect with a quirk overrides this."""
        loaded = frame.loads()
        if not isinstance(loaded, dict):
            raise TypeError("not an object")
        return loaded

    def start(self, id: str = "", model: str = "") -> Iterator[Event]:
        """The answer begins; saying so twice is harmless."""
        if not self._started:
            self._started = True
            yield Started(id, model, self.usage)

    def extend(self, key: Hashable, block: Block, text: str = "", logprobs: tuple[JSON, ...] = ()) -> Iterator[Event]:
        """Add *text* to the block that the backend calls *key*; open it if need be.

        Raises `ValueError` for text of a block that is closed already: to open
        it once more would tear it in two.
        """
        yield from self.start()
        if key != self._open:
            yield from self.stop_block()
            if key in self._closed:
                raise ValueError("text for a block that is closed")
            self._open, self._index = key, self._index + 1
            if isinstance(block, Thinking) and block.redacted:
                block = replace(block, redacted=self.seal(block.redacted))
            yield BlockStarted(self._index, block)
        if text:
            yield BlockDelta(self._index, text, logprobs)

    def sign(self, signature: str) -> None:
        """The open block is signed; further pieces are appended."""
        self._signature += signature

    def cite(self, citations: tuple[Citation, ...]) -> None:
        """Note where the open text comes from."""
        self._citations = citations

    def stop_block(self) -> Iterator[Event]:
        """Whatever block is open is complete."""
        if self._open is not None:
            self._closed.add(self._open)
            self._open = None
            signature, self._signature = self._signature, ""
            citations, self._citations = self._citations, ()
            yield BlockStopped(self._index, signature and self.seal(signature), citations)

    def end(self) -> Iterator[Event]:
        """The answer is complete."""
        self._over = True
        yield from self.start()
        yield from self.stop_block()
        yield Finished(self.stop or Stop(), self.usage, self.search)

    def fail(self, fault: Fault) -> Iterator[Event]:
        """The answer broke off."""
        self._over = True
        yield Failed(fault, self.usage)

    def _unreadable(self, what: str) -> list[Event]:
        return [] if self._over else list(self.fail(_broken(f"the stream is unreadable: {what}")))


def _broken(message: str) -> Fault:
    return Fault(FaultKind.STREAM_BROKEN, redacted(message))
