"""Translators: a request on its way from a client's dialect to a backend's, and the response on its way back.

Classes of one shape: `HubTranslator` goes through the neutral values of `dialects.core`, and `UnfoldingTranslator` does
so for a model that is not streamed; `PassthroughTranslator` passes bodies between two ends of one dialect.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from dialects.adapt.hosted_tools import hosted_tool
from dialects.adapt.json_root import json_root_for
from dialects.adapt.media_turns import has_misplaced_media
from dialects.adapt.property_keys import property_keys_for
from dialects.adapt.signatures import Open, opened, sealed
from dialects.adapt.tool_names import ToolNames, tool_names_for, without_duplicates
from dialects.adapt.unsupported import approximate_or_reject
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, Completion, Conversation, Opaque, has_forms
from dialects.core.relay import PassthroughRelay, Relay, RenderFrame, TranslatingRelay
from dialects.core.streams import EventReader, UnfoldingReader
from dialects.framing.aws_event_stream import decoder_for
from dialects.interface import BackendDialect, ClientDialect, Envelope, Origin, PassthroughDialect, Rendered
from dialects.registry import BACKENDS, CLIENTS, DIALECTS, PASSTHROUGHS


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request as a client sent it: its dialect, its body, and what the response will say about itself.

    *may_pass* is whether the body still holds the whole request, so that it may pass without being translated.
    """

    client: str
    body: JSON
    envelope: Envelope
    may_pass: bool = True

    def opened(self, open: Open) -> "ClientRequest":
        """Open the signatures that it brings along, for the endpoint that is asked."""
        passthrough = PASSTHROUGHS.get(self.client)
        body = passthrough.open_seals(self.body, open) if passthrough and self.may_pass else self.body
        about = self.envelope
        conversation = opened(about.conversation, open)
        envelope = Envelope(about.token, about.model, about.created, conversation, about.origin)
        return ClientRequest(self.client, body, envelope, self.may_pass)

    def answered_by(self, origin: Origin) -> "ClientRequest":
        """Say who answers: it is written into what the client sends again."""
        about = self.envelope
        envelope = Envelope(about.token, about.model, about.created, about.conversation, origin)
        return ClientRequest(self.client, self.body, envelope, self.may_pass)


@dataclass(frozen=True, slots=True)
class ClientResponse:
    """A whole response: its body in the client's dialect, and its neutral value.

    Of one that passed, the neutral value holds only how it ended and what it cost.
    """

    body: JSON
    completion: Completion


_VENDORS = frozenset(row.vendor for row in DIALECTS.values())
"""Whose models know everything that can be said in their own dialect."""


class Translator(Protocol):
    """Translates one request to one kind of backend, and its response back."""

    def render_request(self, profile: ModelProfile) -> Rendered:
        """Render the request for the backend; raises `FaultError` if it cannot be asked this."""
        ...

    def relay(self, content_type: str) -> Relay:
        """Begin to turn the backend's stream into the client's."""
        ...

    def render_response(self, body: JSON) -> ClientResponse:
        """Translate the backend's whole response; raises `ValueError` and the like if it makes no sense."""
        ...


class Adaptation(Protocol):
    """One way in which the request to the model differs from that of the client; it is undone in the response."""

    def to_model(self, conversation: Conversation) -> Conversation:
        """Ask the model in its way."""
        ...

    def to_client(self, completion: Completion) -> Completion:
        """Give the client a whole response in its own way."""
        ...

    def reader(self, reader: EventReader) -> EventReader:
        """Read a stream in the client's way."""
        ...


class HubTranslator:
    """Translates between two dialects, through the neutral values.

    *adaptations* are made of the request in order, and undone in the response the other way round. *own* is the dialect
    in which the model knows everything, if there is one.
    """

    def __init__(
        self,
        request: ClientRequest,
        client: ClientDialect,
        backend: BackendDialect,
        adaptations: Sequence[Adaptation],
        own: str,
    ) -> None:
        self._envelope = request.envelope
        self._client = client
        self._backend = backend
        self._adaptations = adaptations
        self._own = own

    def render_request(self, profile: ModelProfile) -> Rendered:
        """Render the request in the backend's dialect."""
        return self._rendered(self._envelope.conversation, profile)

    def _rendered(self, conversation: Conversation, profile: ModelProfile) -> Rendered:
        conversation, differing = without_duplicates(conversation)
        conversation = approximate_or_reject(conversation, self._own, self._has)
        for adaptation in self._adaptations:
            conversation = adaptation.to_model(conversation)
        rendered = self._backend.render_request(conversation, profile)
        return replace(rendered, dropped=tuple(sorted({*rendered.dropped, *differing}))) if differing else rendered

    def _has(self, tool: Opaque) -> bool:
        """Whether the model has a tool that is no function."""
        if tool.dialect == self._own:
            return DIALECTS[self._own].other_tools
        return bool(self._own) and hosted_tool(tool) in DIALECTS[self._own].hosted_tools

    def relay(self, content_type: str) -> Relay:
        """Read the one dialect, write the other."""
        frames = self._backend.reader(self._envelope.token, content_type)
        frames.seal = self._envelope.origin.seal
        reader: EventReader = frames
        for adaptation in reversed(self._adaptations):
            reader = adaptation.reader(reader)
        return TranslatingRelay(reader, self._client.writer(self._envelope))

    def render_response(self, body: JSON) -> ClientResponse:
        """Parse the one dialect, render the other."""
        completion = self._completion(body)
        return ClientResponse(self._client.render_response(completion, self._envelope), completion)

    def _completion(self, body: JSON) -> Completion:
        """Parse a whole response, and give it in the client's way."""
        completion = sealed(self._backend.parse_response(body, self._envelope.token), self._envelope.origin.seal)
        for adaptation in reversed(self._adaptations):
            completion = adaptation.to_client(completion)
        return completion


class UnfoldingTranslator(HubTranslator):
    """Asks for a whole response, and unfolds it into the stream that the client wants."""

    def render_request(self, profile: ModelProfile) -> Rendered:
        """Render the request in the backend's dialect, for an answer in one piece."""
        return self._rendered(replace(self._envelope.conversation, stream=False), profile)

    def relay(self, content_type: str) -> Relay:  # noqa: ARG002 - a whole response comes in one form
        """Read a whole response, write a stream."""
        return TranslatingRelay(UnfoldingReader(self._completion), self._client.writer(self._envelope))


class PassthroughTranslator:
    """Passes bodies and frames between two ends of one dialect: only what must change does."""

    def __init__(self, request: ClientRequest, dialect: PassthroughDialect, backend: BackendDialect) -> None:
        self._request = request
        self._dialect = dialect
        self._backend = backend

    def render_request(self, profile: ModelProfile) -> Rendered:
        """Pass the client's body, but for what the backend refuses."""
        return self._dialect.passthrough_request(self._request.body, profile, self._request.envelope.conversation)

    def relay(self, content_type: str) -> Relay:
        """Pass frames along, and observe them."""
        envelope = self._request.envelope
        reader = self._backend.reader(envelope.token, content_type)
        render_fault = partial(self._dialect.passthrough_fault, envelope=envelope)
        return PassthroughRelay(reader, decoder_for(content_type), self._frames(envelope), render_fault)

    def _frames(self, envelope: Envelope) -> RenderFrame:
        """Choose how frames are rendered for the client."""
        formed = DIALECTS[self._request.client].formed_frames
        if formed is not None and has_forms(envelope.conversation):
            return formed(envelope)
        return partial(self._dialect.passthrough_frame, envelope=envelope)

    def render_response(self, body: JSON) -> ClientResponse:
        """Pass the body along, and parse of it only how it ended and what it cost."""
        outcome = self._dialect.parse_outcome(body)
        return ClientResponse(self._dialect.passthrough_response(body, self._request.envelope), outcome)


def translator_for(
    request: ClientRequest, backend: str, profile: ModelProfile, *, unfolding: bool = False
) -> Translator:
    """Choose the translator from the request's client to *backend*, the name of a dialect.

    *unfolding* is for a stream from a model that answers in one piece.

    A model that cannot be given a schema is made to answer in its form by other means, which must be undone in the
    response; so must other names of tools, other keys of properties, an object around the answer, and functions in
    place of other tools. Where media stand in turns that can hold none, nothing passes: they are moved.
    """
    conversation = request.envelope.conversation
    asked, client = DIALECTS[backend], DIALECTS[request.client]
    profile = asked.model(profile)
    own = backend if profile.vendor in _VENDORS else ""
    at_home = request.client == own
    keys = property_keys_for(conversation, profile.odd_in_keys)
    tool_names = ToolNames() if at_home else tool_names_for(conversation, profile.odd_in_names)
    root = json_root_for(conversation, profile)
    fits = _takes_format(conversation, profile) and (at_home or root.schema is None)
    fits = fits and (client.formed_frames is not None or not has_forms(conversation))
    passes = request.may_pass and fits and request.client == backend
    passes = passes and not (unfolding or tool_names.sent or keys.sent)
    if passes and asked.passthrough and not has_misplaced_media(conversation, asked.media_roles):
        return PassthroughTranslator(request, asked.passthrough, BACKENDS[backend])
    # What is asked for within an object has properties as well: their keys come last.
    adaptations = (tool_names, root, keys)
    translator = UnfoldingTranslator if unfolding else HubTranslator
    return translator(request, CLIENTS[request.client], BACKENDS[backend], adaptations, own)


def _takes_format(conversation: Conversation, profile: ModelProfile) -> bool:
    """Whether a model takes the format that is wanted of its answer as it is."""
    output = conversation.output
    return output is None or (profile.native_schema and (profile.json_object or output.schema is not None))
