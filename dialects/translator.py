"""One request on its way from a client's dialect to a backend's, and the answer's way back.

Two classes of one shape: `Translated` goes through the neutral values,
`Forwarded` passes bodies along between two ends of one dialect.
"""

from dataclasses import dataclass
from functools import partial
from typing import Protocol

from dialects.adapt.json_root import Wrapping, wrapping
from dialects.adapt.tool_names import Renaming, renaming
from dialects.adapt.unsupported import spoken
from dialects.capabilities.models import ModelProfile, Vendor
from dialects.core.conversation import JSON, Completion
from dialects.core.relay import Passthrough, Relay, Translation
from dialects.framing.aws_event_stream import decoder_for
from dialects.interface import BackendDialect, ClientDialect, Envelope, LaneDialect, Rendered
from dialects.registry import BACKENDS, CLIENTS, LANES

_WITH_OWN_CLIENTS = (Vendor.CLAUDE, Vendor.GEMINI, Vendor.OPENAI)
"""Whose own clients know its rules, such as which names and schemas it refuses, and what it knows."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What a client asks: in which dialect, its body as it came, and what its answer will say of itself.

    *forward* is whether the body still says all there is to ask, so that it may be passed along.
    """

    client: str
    body: JSON
    envelope: Envelope
    forward: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer: the body for the client, and what it says in neutral words."""

    body: JSON
    completion: Completion


class Crossing(Protocol):
    """The way of one request to one kind of backend."""

    def ask(self, profile: ModelProfile) -> Rendered:
        """Render the request; raises `FaultError` if this backend cannot be asked this."""
        ...

    def relay(self, content_type: str) -> Relay:
        """Begin to turn the backend's stream into the client's."""
        ...

    def answer(self, body: JSON) -> Reply:
        """Turn the backend's whole answer into the client's; raises `ValueError` and the like if it makes no sense."""
        ...


class Translated:
    """The two ends speak different dialects; *wrapping* and *renaming* are what the model is told otherwise.

    *own* is the dialect in which the model knows everything, if there is one.
    """

    def __init__(
        self,
        inquiry: Inquiry,
        client: ClientDialect,
        backend: BackendDialect,
        renaming: Renaming,
        wrapping: Wrapping,
        own: str,
    ) -> None:
        self._envelope = inquiry.envelope
        self._client = client
        self._backend = backend
        self._renaming = renaming
        self._wrapping = wrapping
        self._own = own

    def ask(self, profile: ModelProfile) -> Rendered:
        """Render the request in the backend's dialect."""
        said = spoken(self._envelope.conversation, self._own)
        conversation = self._wrapping.ask(self._renaming.ask(said))
        return self._backend.render_request(conversation, profile)

    def relay(self, content_type: str) -> Relay:
        """Read the one, write the other."""
        reader = self._renaming.reader(self._backend.reader(self._envelope.token, content_type))
        return Translation(self._wrapping.reader(reader), self._client.writer(self._envelope))

    def answer(self, body: JSON) -> Reply:
        """Parse the one, render the other."""
        said = self._backend.parse_response(body, self._envelope.token)
        completion = self._wrapping.answer(self._renaming.answer(said))
        return Reply(self._client.render_response(completion, self._envelope), completion)


class Forwarded:
    """The two ends speak one dialect: only what must change does."""

    def __init__(self, inquiry: Inquiry, lane: LaneDialect, backend: BackendDialect) -> None:
        self._inquiry = inquiry
        self._lane = lane
        self._backend = backend

    def ask(self, profile: ModelProfile) -> Rendered:
        """Pass the client's body, but for what the backend refuses."""
        return self._lane.forward_request(self._inquiry.body, profile)

    def relay(self, content_type: str) -> Relay:
        """Pass frames along, and watch them."""
        envelope = self._inquiry.envelope
        return Passthrough(
            self._backend.reader(envelope.token, content_type),
            decoder_for(content_type),
            partial(self._lane.forward_frame, envelope=envelope),
            partial(self._lane.forward_fault, envelope=envelope),
        )

    def answer(self, body: JSON) -> Reply:
        """Pass the body along, and understand it only to know how it ended and what it cost."""
        envelope = self._inquiry.envelope
        return Reply(self._lane.forward_response(body, envelope), self._backend.parse_response(body, envelope.token))


def crossing(inquiry: Inquiry, backend: str, profile: ModelProfile) -> Crossing:
    """Choose the way from the inquiry's client to *backend*, both named as in `dialects.registry`.

    A model that cannot be told a schema is made to fit it in a roundabout way, whose answer must be translated back;
    so must one that is told of tools under other names, or asked for an object around the answer.
    """
    conversation, same = inquiry.envelope.conversation, inquiry.client == backend
    own = backend if profile.vendor in _WITH_OWN_CLIENTS else ""
    at_home = inquiry.client == own
    names = Renaming() if at_home else renaming(conversation, profile.odd_in_names)
    around = wrapping(conversation, profile)
    fits = (profile.native_schema or conversation.output is None) and (at_home or around.schema is None)
    if inquiry.forward and fits and not names.sent and same and backend in LANES:
        return Forwarded(inquiry, LANES[backend], BACKENDS[backend])
    return Translated(inquiry, CLIENTS[inquiry.client], BACKENDS[backend], names, around, own)
