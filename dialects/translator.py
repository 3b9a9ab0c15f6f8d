"""Translators: they translate a request from a client's dialect to a backend's, and the response back.

`HubTranslator` translates through the neutral values of `dialects.core`. `UnfoldingTranslator` does the same for a
model that cannot stream. `PassthroughTranslator` is for a client and a backend that use the same dialect.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from dialects.adapt.hosted_tools import hosted_tool
from dialects.adapt.json_root import json_root_for
from dialects.adapt.media_turns import has_misplaced_media
from dialects.adapt.property_keys import property_keys_for
from dialects.adapt.signatures import Verify, signed, verified
from dialects.adapt.tool_names import ToolNames, tool_names_for, without_duplicates
from dialects.adapt.unsupported import approximate_or_reject
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import JSON, Completion, Conversation, Opaque
from dialects.core.relay import PassthroughRelay, Relay, RenderFrame, TranslatingRelay
from dialects.core.streams import EventReader, UnfoldingReader
from dialects.framing.aws_event_stream import decoder_for
from dialects.interface import BackendDialect, ClientDialect, Envelope, Origin, PassthroughDialect, Rendered
from dialects.registry import BACKENDS, CLIENTS, DIALECTS, PASSTHROUGHS


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request as a client sent it: its dialect, its body, and the envelope of its response.

    *may_pass* is whether the body still holds the whole request, so that it can be passed on without a translation.
    """

    client: str
    body: JSON
    envelope: Envelope
    may_pass: bool = True

    def verified(self, verify: Verify) -> "ClientRequest":
        """Return the request with its signatures verified for the endpoint that will be asked."""
        passthrough = PASSTHROUGHS.get(self.client)
        body = passthrough.verify_signatures(self.body, verify) if passthrough and self.may_pass else self.body
        about = self.envelope
        conversation = verified(about.conversation, verify)
        envelope = Envelope(about.token, about.model, about.created, conversation, about.origin)
        return ClientRequest(self.client, body, envelope, self.may_pass)

    def answered_by(self, origin: Origin) -> "ClientRequest":
        """Return the request with the *origin* that signs ids and signatures in the response."""
        about = self.envelope
        envelope = Envelope(about.token, about.model, about.created, about.conversation, origin)
        return ClientRequest(self.client, self.body, envelope, self.may_pass)


@dataclass(frozen=True, slots=True)
class ClientResponse:
    """A response that is not streamed: its body in the client's dialect, and its neutral value.

    For a passed-through response, the neutral value holds only the stop reason and the usage.
    """

    body: JSON
    completion: Completion


_VENDORS = frozenset(row.vendor for row in DIALECTS.values())
"""The vendors with a dialect of their own. Their models support everything in it."""


class Translator(Protocol):
    """Translates one request for one kind of backend, and its response back."""

    def render_request(self, profile: ModelProfile) -> Rendered:
        """Render the request for the backend. Raises `FaultError` if the backend does not support the request."""
        ...

    def relay(self, content_type: str) -> Relay:
        """Return a relay that turns the backend's stream into the client's."""
        ...

    def render_response(self, body: JSON) -> ClientResponse:
        """Translate the backend's response.

        Raises `FaultError` if it is a failure, and one of `dialects.core.faults.UNREADABLE` if it cannot be read.
        """
        ...


class Adaptation(Protocol):
    """A change to the client's request that the model needs, and that is undone in the response."""

    def to_model(self, conversation: Conversation) -> Conversation:
        """Return the request as it is sent to the model."""
        ...

    def to_client(self, completion: Completion) -> Completion:
        """Return the response as the client expects it."""
        ...

    def reader(self, reader: EventReader) -> EventReader:
        """Return a reader that undoes the change in the events of another reader."""
        ...


class HubTranslator:
    """Translates between two dialects, through the neutral values of `dialects.core`.

    *adaptations* are applied to the request in order, and undone in the response in reverse order. *own* is the model's
    native dialect, in which it supports everything; it is empty if the model has none.
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
        """Return whether the model has *tool*, which is not a function."""
        if tool.dialect == self._own:
            return DIALECTS[self._own].other_tools
        return bool(self._own) and hosted_tool(tool) in DIALECTS[self._own].hosted_tools

    def relay(self, content_type: str) -> Relay:
        """Return a relay that reads the backend's dialect and writes the client's."""
        frames = self._backend.reader(self._envelope.token, content_type)
        frames.signed = self._envelope.origin.signature
        reader: EventReader = frames
        for adaptation in reversed(self._adaptations):
            reader = adaptation.reader(reader)
        return TranslatingRelay(reader, self._client.writer(self._envelope))

    def render_response(self, body: JSON) -> ClientResponse:
        """Parse the response in the backend's dialect, and render it in the client's."""
        completion = self._completion(body)
        return ClientResponse(self._client.render_response(completion, self._envelope), completion)

    def _completion(self, body: JSON) -> Completion:
        """Parse a response, and undo the adaptations in it."""
        completion = signed(self._backend.parse_response(body, self._envelope.token), self._envelope.origin.signature)
        for adaptation in reversed(self._adaptations):
            completion = adaptation.to_client(completion)
        return completion


class UnfoldingTranslator(HubTranslator):
    """Asks the model for a response that is not streamed, and turns it into the stream that the client wants."""

    def render_request(self, profile: ModelProfile) -> Rendered:
        """Render the request in the backend's dialect, for a response that is not streamed."""
        return self._rendered(replace(self._envelope.conversation, stream=False), profile)

    def relay(self, content_type: str) -> Relay:  # noqa: ARG002 - a whole response comes in one form
        """Return a relay that reads a whole response and writes a stream."""
        return TranslatingRelay(UnfoldingReader(self._completion), self._client.writer(self._envelope))


class PassthroughTranslator:
    """Passes bodies and frames between a client and a backend of the same dialect, changing only what must change."""

    def __init__(self, request: ClientRequest, dialect: PassthroughDialect, backend: BackendDialect) -> None:
        self._request = request
        self._dialect = dialect
        self._backend = backend

    def render_request(self, profile: ModelProfile) -> Rendered:
        """Return the client's body without what the backend refuses."""
        return self._dialect.passthrough_request(self._request.body, profile, self._request.envelope.conversation)

    def relay(self, content_type: str) -> Relay:
        """Return a relay that passes frames on and observes them."""
        envelope = self._request.envelope
        reader = self._backend.reader(envelope.token, content_type)
        render_fault = partial(self._dialect.passthrough_fault, envelope=envelope)
        return PassthroughRelay(reader, decoder_for(content_type), self._frames(envelope), render_fault)

    def _frames(self, envelope: Envelope) -> RenderFrame:
        """Choose the function that renders frames for the client."""
        formed = DIALECTS[self._request.client].formed_frames
        if formed is not None and (envelope.conversation.forms or envelope.conversation.other_tools):
            return formed(envelope)
        return partial(self._dialect.passthrough_frame, envelope=envelope)

    def render_response(self, body: JSON) -> ClientResponse:
        """Pass the body on, and parse only its stop reason and its usage."""
        outcome = self._dialect.parse_outcome(body)
        return ClientResponse(self._dialect.passthrough_response(body, self._request.envelope), outcome)


def translator_for(
    request: ClientRequest, backend: str, profile: ModelProfile, *, unfolding: bool = False
) -> Translator:
    """Choose the translator between the request's client and *backend*, the name of a dialect.

    *unfolding* asks for a stream from a model that cannot stream.

    A request is passed through only if the response needs no change either. It is translated if the model does not
    support the output format, if tools or properties must be renamed, if the answer must be wrapped in an object, if
    the client declared tools that the model sees as functions, or if media must move to another turn.
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
    fits = fits and (client.formed_frames is not None or not conversation.forms)
    passes = request.may_pass and fits and request.client == backend
    passes = passes and not (unfolding or tool_names.sent or keys.sent)
    if passes and asked.passthrough and not has_misplaced_media(conversation, asked.media_roles):
        return PassthroughTranslator(request, asked.passthrough, BACKENDS[backend])
    # The object around the answer has properties, too, so their keys are renamed last.
    adaptations = (tool_names, root, keys)
    translator = UnfoldingTranslator if unfolding else HubTranslator
    return translator(request, CLIENTS[request.client], BACKENDS[backend], adaptations, own)


def _takes_format(conversation: Conversation, profile: ModelProfile) -> bool:
    """Return whether a model supports the requested output format natively."""
    output = conversation.output
    return output is None or (profile.native_schema and (profile.json_object or output.schema is not None))
