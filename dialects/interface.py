"""What a dialect must be able to do, on either side of the gateway.

A dialect is a module of functions plus, for streams, two small classes. The
type checker holds its row of the registry against these protocols.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dialects.adapt.signatures import Open
from dialects.capabilities.model_info import ModelInfo
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, NO_USAGE, Completion, Conversation, Usage
from dialects.core.faults import Fault
from dialects.core.frame_reader import FrameReader
from dialects.core.streams import StreamWriter
from dialects.framing.sse import Frame


@dataclass(frozen=True, slots=True)
class Origin:
    """Writes who made an answer into what the client sends again: the ids of kept responses, and signatures.

    Each is a function of the text alone.
    """

    id: Callable[[str], str] = str
    seal: Callable[[str], str] = str


AS_MADE = Origin()
"""Leaves ids and signatures as the backend wrote them."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a response says about itself: decided once a request, the same in every chunk.

    *token* is random text that a dialect puts behind its own prefix to mint ids,
    *model* the name the client asked for, *created* in seconds since the epoch,
    *conversation* the request that is answered. Only *origin*, who answers, is that of an attempt.
    """

    token: str
    model: str
    created: int
    conversation: Conversation
    origin: Origin = AS_MADE


@dataclass(frozen=True, slots=True)
class Rendered:
    """A body for a backend, and the names of what could not be carried in it."""

    body: JSON
    dropped: tuple[str, ...] = ()


class ClientDialect(Protocol):
    """A dialect in which clients send requests to the gateway."""

    def parse_request(self, body: JSON) -> Conversation:
        """Parse a request; raises `FaultError` for one that makes no sense."""
        ...

    def render_response(self, completion: Completion, envelope: Envelope) -> JSON:
        """Render a whole response."""
        ...

    def render_fault(self, fault: Fault) -> JSON:
        """Render a failure as the body of an HTTP error."""
        ...

    def render_model(self, model: ModelInfo, created: int) -> JSON:
        """Describe one model; *created* is in seconds since the epoch."""
        ...

    def render_models(self, models: Sequence[ModelInfo], created: int) -> JSON:
        """List all models."""
        ...

    def writer(self, envelope: Envelope) -> StreamWriter:
        """Begin to write a streamed response."""
        ...


class BackendDialect(Protocol):
    """A dialect in which models on SAP AI Core are asked."""

    def render_request(self, conversation: Conversation, profile: ModelProfile) -> Rendered:
        """Render a request; raises `FaultError` if leaving something out would change the meaning."""
        ...

    def parse_response(self, body: JSON, token: str) -> Completion:
        """Parse a whole response; *token* seeds ids that the backend does not give."""
        ...

    def reader(self, token: str, content_type: str) -> FrameReader:
        """Begin to read a streamed response."""
        ...


class PassthroughDialect(Protocol):
    """A dialect of clients and backends, whose bodies may pass between two ends of it without being translated."""

    def open_seals(self, body: JSON, open: Open) -> JSON:
        """Open the signatures in a client's own body; one that may not be sent is left out and named later."""
        ...

    def passthrough_request(
        self, body: JSON, profile: ModelProfile, conversation: Conversation | None = None
    ) -> Rendered:
        """Change of a client's own body only what the backend refuses.

        *conversation* is what has been parsed of the body, which is parsed again where it must be and none is given.
        """
        ...

    def passthrough_response(self, body: JSON, envelope: Envelope) -> JSON:
        """Change of a backend's own body only what the client must not see."""
        ...

    def parse_outcome(self, body: JSON) -> Completion:
        """Parse of a whole response only how it ended and what it cost; raises `FaultError` for a failure."""
        ...

    def passthrough_frame(self, frame: Frame, envelope: Envelope, usage: Usage = NO_USAGE) -> bytes:
        """Render one frame of a backend's stream for the client; empty to swallow it.

        *usage* is what the stream has reported so far, for clients that want it repeated.
        """
        ...

    def passthrough_fault(self, fault: Fault, id: str, envelope: Envelope) -> bytes:
        """Render a failure in a stream that passed through; *id* is what the backend called the response."""
        ...
