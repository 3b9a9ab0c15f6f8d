"""Relays: they turn the bytes of a backend's stream into the bytes of the client's stream."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from dialects.core.conversation import Media, Opaque, Refusal, Stop, Text, Thinking, ToolCall, Usage
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, Finished, Started
from dialects.core.faults import Fault, FaultKind
from dialects.core.frame_reader import FrameReader
from dialects.core.streams import EventReader, StreamWriter
from dialects.framing.frame_template import FramePattern
from dialects.framing.json_text import dumps_or_nothing
from dialects.framing.sse import Frame, FrameDecoder

_PER_BLOCK = 1024
"""The characters that a block counts for in addition to its text."""


@dataclass(slots=True)
class Observation:
    """What is known of a stream so far.

    *committed* becomes true with the first output of the model. Until then another endpoint can answer instead, without
    the client noticing.
    """

    id: str = ""
    committed: bool = False
    over: bool = False
    fault: Fault | None = None
    stop: Stop | None = None
    usage: Usage = field(default_factory=Usage)
    keeps_text: bool = False
    """Whether a writer may keep the texts of the stream until its end."""
    size: int = 0
    """The number of characters that may have been kept of the stream: some for each block, and its texts if so."""
    items: list[str] = field(default_factory=list)
    """The backend's ids of the finished items that the client has received."""

    def observe(self, events: Iterable[Event]) -> None:
        """Update the observation from *events*."""
        for event in events:
            match event:
                case BlockDelta(_, text):
                    self.committed = True
                    if self.keeps_text:
                        self.size += len(text)
                case Started(id, _, usage):
                    self.id, self.usage = id, usage
                case BlockStarted(_, block):
                    self.committed = self.committed or _says_something(block)
                    self.size += _PER_BLOCK
                case BlockStopped():
                    pass
                case Finished(stop, usage):
                    self.committed, self.over, self.stop, self.usage = True, True, stop, usage
                case Failed(fault, usage):
                    self.over, self.fault, self.usage = True, fault, usage


class Relay(Protocol):
    """Turns the stream of a backend into the stream of a client."""

    @property
    def seen(self) -> Observation:
        """What is known of the stream so far."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Read bytes of the backend, and return the bytes for the client."""
        ...

    def finish(self) -> bytes:
        """Return the last bytes for the client, after the backend has closed the connection."""
        ...

    def abort(self, fault: Fault) -> bytes:
        """Return the bytes that report *fault* to the client in its dialect; empty if the stream is over."""
        ...


class TranslatingRelay:
    """A relay that reads one dialect and writes another."""

    def __init__(self, reader: EventReader, writer: StreamWriter) -> None:
        self.seen = Observation(keeps_text=True)
        self._reader = reader
        self._writer = writer

    def feed(self, data: bytes) -> bytes:
        """Read bytes of the backend, and return the bytes for the client."""
        return self._pass(self._reader.feed(data))

    def finish(self) -> bytes:
        """Return the last bytes for the client, after the backend has closed the connection."""
        return self._pass(self._reader.finish())

    def abort(self, fault: Fault) -> bytes:
        """Return the bytes that report *fault* to the client in its dialect; empty if the stream is over."""
        return b"" if self.seen.over else self._pass([Failed(fault, self.seen.usage)])

    def _pass(self, events: list[Event]) -> bytes:
        self.seen.observe(events)
        return self._writer.write(events)


class RenderFrame(Protocol):
    """A function that renders a frame of a backend's stream for the client."""

    def __call__(self, frame: Frame, *, usage: Usage) -> bytes:
        """Render *frame*, changing only what must change. *usage* is what the stream has reported so far."""
        ...


class PassthroughRelay:
    """A relay for a client and a backend of one dialect: it passes frames on unchanged, and observes them.

    *render_frame* renders a frame for the client, changing only what must change. *render_fault* renders a failure,
    given the fault and the id of the response. A frame that differs from the one before only in its text is not
    rendered: its text is put into the rendered form of the frame before.
    """

    def __init__(
        self,
        reader: FrameReader,
        decoder: FrameDecoder,
        render_frame: RenderFrame,
        render_fault: Callable[[Fault, str], bytes],
    ) -> None:
        self.seen = Observation(items=reader.items)
        self._reader = reader
        self._decoder = decoder
        self._pattern = FramePattern()
        self._before = self._behind = b""
        self._render_frame = render_frame
        self._render_fault = render_fault

    def feed(self, data: bytes) -> bytes:
        """Read bytes of the backend, and return the bytes for the client. A failure is rendered by `render_fault`."""
        if not self.seen.over and (texts := self._pattern.match(data)):
            return self._before + (self._behind + self._before).join(texts) + self._behind
        try:
            frames = self._decoder.feed(data)
        except ValueError as error:
            return self.abort(Fault(FaultKind.STREAM_BROKEN, f"the stream is unreadable: {error}"))
        passed = [self._pass(frame) for frame in frames]
        if self._reader.repeats:
            self._learn(frames, passed)
        return b"".join(passed)

    def finish(self) -> bytes:
        """Return the last frames, after the backend has closed the connection, and a failure if it closed too early."""
        try:
            last = b"".join(self._pass(frame) for frame in self._decoder.finish())
        except ValueError as error:
            return self.abort(Fault(FaultKind.STREAM_BROKEN, f"the stream is unreadable: {error}"))
        return last + self._observe(self._reader.finish())

    def abort(self, fault: Fault) -> bytes:
        """Return the bytes that report *fault* to the client in its dialect; empty if the stream is over."""
        return b"" if self.seen.over else self._observe([Failed(fault, self.seen.usage)])

    def _pass(self, frame: Frame) -> bytes:
        if self.seen.over:
            # The reader has stopped, so nothing has checked what follows.
            return b""
        if self._reader.continuation(frame):
            # `take` would return one delta, which only sets `committed`.
            self.seen.committed = True
            return self._render_frame(frame, usage=self.seen.usage)
        return self._observe(self._reader.take(frame)) or self._render_frame(frame, usage=self.seen.usage)

    def _learn(self, frames: list[Frame], passed: list[bytes]) -> None:
        """Remember how the last frame was rendered, if the next one may differ from it only in its text."""
        text = self._reader.continued_with
        if self._pattern.learn(frames, text, self._decoder):
            around = passed[-1].split(dumps_or_nothing(text))
            if len(around) == 2:
                self._before, self._behind = around[0] + b'"', b'"' + around[1]
            else:
                self._pattern.forget()

    def _observe(self, events: list[Event]) -> bytes:
        failed = self.seen.fault is not None
        self.seen.observe(events)
        if failed or self.seen.fault is None:
            return b""
        return self._render_fault(self.seen.fault, self.seen.id)


def _says_something(block: Block) -> bool:
    """Return whether the beginning of this block already shows something to the client."""
    match block:
        case ToolCall() | Media() | Opaque():
            return True
        case Thinking(text, _, redacted):
            return bool(text or redacted)
        case Text(text) | Refusal(text):
            return bool(text)
