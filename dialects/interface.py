"""The interface of a dialect, on the client's side and on the backend's side of the gateway.

A dialect is a module of functions and, for streams, two small classes. The type checker checks the dialect's row in
the registry against these protocols.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dialects.adapt.signatures import Verify
from dialects.capabilities.model_info import ModelInfo
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, NO_USAGE, Completion, Conversation, Usage
from dialects.core.faults import Fault
from dialects.core.frame_reader import FrameReader
from dialects.core.streams import StreamWriter
from dialects.framing.sse import Frame


@dataclass(frozen=True, slots=True)
class Origin:
    """Two functions that add which deployment made an answer, to text that the client sends back in later requests.

    *id* signs the id of a stored response, *signature* the signature of a thought. The result of each depends on its
    argument alone.
    """

    id: Callable[[str], str] = str
    signature: Callable[[str], str] = str


AS_MADE = Origin()
"""The origin that leaves ids and signatures as the backend wrote them."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The metadata of a response, decided once for each request and the same in every chunk.

    *token* is random text from which a dialect makes ids, by putting its own prefix before it. *model* is the model
    name in the client's request. *created* is in seconds since the epoch. *conversation* is the parsed request.
    *origin* marks the deployment that answers. Between attempts, only *origin* and the signatures in *conversation* can
    differ.
    """

    token: str
    model: str
    created: int
    conversation: Conversation
    origin: Origin = AS_MADE


@dataclass(frozen=True, slots=True)
class Rendered:
    """A request body for a backend, and the names of the features that it could not express."""

    body: JSON
    dropped: tuple[str, ...] = ()


class ClientDialect(Protocol):
    """A dialect in which clients send requests to the gateway."""

    def parse_request(self, body: JSON) -> Conversation:
        """Parse a request. Raises `FaultError` if it is invalid."""
        ...

    def render_response(self, completion: Completion, envelope: Envelope) -> JSON:
        """Render a response that is not streamed."""
        ...

    def render_fault(self, fault: Fault) -> JSON:
        """Render a failure as the body of an HTTP error."""
        ...

    def render_model(self, model: ModelInfo, created: int) -> JSON:
        """Render the description of one model. *created* is in seconds since the epoch."""
        ...

    def render_models(self, models: Sequence[ModelInfo], created: int) -> JSON:
        """Render the list of all models. *created* is in seconds since the epoch."""
        ...

    def writer(self, envelope: Envelope) -> StreamWriter:
        """Return a writer for one streamed response."""
        ...


class BackendDialect(Protocol):
    """A dialect in which the gateway sends requests to models on SAP AI Core."""

    def render_request(self, conversation: Conversation, profile: ModelProfile) -> Rendered:
        """Render a request. Raises `FaultError` if leaving out an unsupported feature would change the meaning."""
        ...

    def parse_response(self, body: JSON, token: str) -> Completion:
        """Parse a response that is not streamed. *token* is used to make ids that the backend does not return."""
        ...

    def reader(self, token: str, content_type: str) -> FrameReader:
        """Return a reader for one streamed response. *token* is used to make ids that the backend does not return."""
        ...


class PassthroughDialect(Protocol):
    """A dialect of clients and of backends, in which bodies can be passed between the two without a translation."""

    def verify_signatures(self, body: JSON, verify: Verify) -> JSON:
        """Restore the signatures in a client's body to what the backend wrote.

        A signature that must not be sent to the endpoint is left out, and reported as dropped later.
        """
        ...

    def passthrough_request(
        self, body: JSON, profile: ModelProfile, conversation: Conversation | None = None
    ) -> Rendered:
        """Return the client's body, changed only where the backend would refuse it.

        *conversation* is the parsed body. Without it, the body is parsed again if that is necessary.
        """
        ...

    def passthrough_response(self, body: JSON, envelope: Envelope) -> JSON:
        """Return the backend's body, changed only where the client must not see what it says."""
        ...

    def parse_outcome(self, body: JSON) -> Completion:
        """Parse only the stop reason and the usage of a response. Raises `FaultError` if the response is a failure."""
        ...

    def passthrough_frame(self, frame: Frame, envelope: Envelope, usage: Usage = NO_USAGE) -> bytes:
        """Render one frame of a backend's stream for the client. An empty result means that the frame is left out.

        *usage* is the usage that the stream has reported so far, for clients that want it repeated.
        """
        ...

    def passthrough_fault(self, fault: Fault, id: str, envelope: Envelope) -> bytes:
        """Render a failure at the end of a passed-through stream. *id* is the backend's id of the response."""
        ...
