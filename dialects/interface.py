"""What a dialect must be able to do, on either side of the gateway.

A dialect is a module of functions plus, for streams, two small classes. The
tables that list them are checked against these protocols by the type checker.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, NO_USAGE, Completion, Conversation, Usage
from dialects.core.events import Event
from dialects.core.faults import Fault
from dialects.core.frame_reader import FrameReader
from dialects.framing.sse import Frame


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an answer says about itself: decided once a request, the same in every chunk.

    *token* is random text that a dialect puts behind its own prefix to mint ids,
    *model* the name the client asked for, *created* in seconds since the epoch,
    *conversation* the request that is answered.
    """

    token: str
    model: str
    created: int
    conversation: Conversation


@dataclass(frozen=True, slots=True)
class Rendered:
    """A body for a backend, and the names of what could not be carried in it."""

    body: JSON
    dropped: tuple[str, ...] = ()


class StreamReader(Protocol):
    """Bytes in, events out. Never raises: bytes that make no sense end the stream as `Failed`."""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere; give the events they complete."""
        ...

    def finish(self) -> list[Event]:
        """The wire has closed: say how the stream ended."""
        ...


class Retelling(ABC):
    """Tells otherwise what another reader reads; a subclass says how."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader

    @abstractmethod
    def told(self, event: Event) -> Iterator[Event]:
        """Say what is told instead of one event."""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes, cut anywhere; give the events they complete."""
        return [told for event in self._reader.feed(data) for told in self.told(event)]

    def finish(self) -> list[Event]:
        """The wire has closed: say how the stream ended."""
        return [told for event in self._reader.finish() for told in self.told(event)]


class StreamWriter(Protocol):
    """Events in, bytes out."""

    def write(self, events: Iterable[Event]) -> bytes:
        """Render events for the wire."""
        ...


class ClientDialect(Protocol):
    """A language clients speak to the gateway."""

    def parse_request(self, body: JSON) -> Conversation:
        """Understand a request; raises `FaultError` for one that makes no sense."""
        ...

    def render_response(self, completion: Completion, envelope: Envelope) -> JSON:
        """Say a whole answer."""
        ...

    def render_fault(self, fault: Fault) -> JSON:
        """Say a failure, as the body of an HTTP error."""
        ...

    def writer(self, envelope: Envelope) -> StreamWriter:
        """Begin to say an answer piece by piece."""
        ...


class BackendDialect(Protocol):
    """A language models on SAP AI Core are asked in."""

    def render_request(self, conversation: Conversation, profile: ModelProfile) -> Rendered:
        """Ask; raises `FaultError` if leaving something out would change the meaning."""
        ...

    def parse_response(self, body: JSON, token: str) -> Completion:
        """Understand a whole answer; *token* seeds ids the wire does not give."""
        ...

    def reader(self, token: str, content_type: str) -> FrameReader:
        """Begin to understand an answer that comes piece by piece."""
        ...


class LaneDialect(Protocol):
    """A dialect spoken on both sides, whose bodies may pass without being translated."""

    def forward_request(self, body: JSON, profile: ModelProfile) -> Rendered:
        """Change of a client's own body only what the backend refuses."""
        ...

    def forward_response(self, body: JSON, envelope: Envelope) -> JSON:
        """Change of a backend's own body only what the client must not see."""
        ...

    def forward_frame(self, frame: Frame, envelope: Envelope, usage: Usage = NO_USAGE) -> bytes:
        """Render one frame of a backend's stream for the client; empty to swallow it.

        *usage* is what the stream has told so far, for clients that want it repeated.
        """
        ...

    def forward_fault(self, fault: Fault, id: str, envelope: Envelope) -> bytes:
        """Say a failure in a stream that was passed through; *id* is what the backend called the answer."""
        ...
