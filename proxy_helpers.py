"""Public helpers: what a model's name says about it, and converters from any dialect to another.

`Converters` are for callers that hold one body or one chunk. They keep no
state and change nothing they are given. They accept careless bodies, log what could
not be converted, and write the forms such callers know; the proxy itself is
strict, and streams through readers and writers, which know what came before.
"""

import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dialects import anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses, orchestration
from dialects.adapt.unsupported import approximate_or_reject
from dialects.capabilities.models import ModelProfile, Vendor, canonical, profile_for
from dialects.converters import normalize, short_forms, single_chunks
from dialects.converters.single_chunks import ChunkError, ChunkEvent, ChunkReader
from dialects.core.conversation import JSON, Completion, Conversation, Opaque, Text
from dialects.core.events import BlockDelta, BlockStarted
from dialects.core.faults import FaultError, invalid
from dialects.interface import BackendDialect, ClientDialect, Envelope

logger = logging.getLogger(__name__)
"""Gets what could not be converted, in sentences that quote nothing of it."""

_VERSION = re.compile(r"(?<!\d)(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
"""A major and perhaps a minor version; a date has too many digits to be one."""
_FAILED = "proxy_conversion_error"
_NO_RESPONSE = "Failed to convert the answer: Invalid response from the model."
_NO_CHUNK = "PROXY ERROR: Failed to convert a chunk, which contradicts itself."
_NO_JSON = "PROXY ERROR: Failed to convert a chunk: Invalid JSON."
_ANYTHING: JSON = {"role": "user", "content": "."}


class ConversionError(FaultError, ValueError):
    """A request cannot be said in the other dialect: leaving something out would change its meaning."""


class Detector:
    """What a model's name says about it, however it is written."""

    @staticmethod
    def is_claude_model(model: str | None) -> bool:
        """Whether this is one of Anthropic's models, by any part of their names."""
        return profile_for(model or "").vendor is Vendor.CLAUDE

    @staticmethod
    def is_claude_37_or_4(model: str | None) -> bool:
        """Whether this is Claude 3.7 or later; a Claude without a version is taken for the latest."""
        if not Detector.is_claude_model(model):
            return False
        found = _VERSION.search(canonical(model or "").partition("[")[0])
        return found is None or (int(found[1]), int(found[2] or 0)) >= (3, 7)

    @staticmethod
    def is_gemini_model(model: str | None) -> bool:
        """Whether this is one of Google's Gemini models."""
        return profile_for(model or "").vendor is Vendor.GEMINI


@contextmanager
def _converting(request: object) -> Iterator[None]:
    """Raise `ConversionError` for what is wrong with a request."""
    try:
        if not isinstance(request, dict):
            raise invalid("the request must be an object")
        yield
    except FaultError as error:
        raise ConversionError(error.fault) from error


def _failure(message: str) -> JSON:
    return {"message": message, "type": _FAILED, "param": None, "code": None}


def _openai_failure(message: str) -> JSON:
    """Render that a response could not be converted, where OpenAI's clients and callers of old look for it."""
    return {"object": "error", "error": message, **_failure(message)}


def _anthropic_failure(message: str) -> JSON:
    """Render that a response could not be converted, as Anthropic says an error."""
    return {"type": "error", "error": {"type": _FAILED, "message": message}}


@dataclass(frozen=True, slots=True)
class _Client:
    """One client's dialect, for bodies that come alone.

    *normalized* puts a request into form. *between* stands between the texts of a
    message where they become one, *joint* between a backend's name and the rest
    of an id. *failure* says that an answer could not be converted.
    """

    dialect: ClientDialect
    normalized: Callable[[JSON, bool], normalize.Normalized]
    between: str
    joint: str
    failure: Callable[[str], JSON]

    def envelope(self, model: str, backend: str = "") -> Envelope:
        """Decide what an answer says about itself."""
        token = (f"{backend}{self.joint}" if backend else "") + uuid.uuid4().hex
        return Envelope(token, model, int(time.time()), Conversation(model))


@dataclass(frozen=True, slots=True)
class _Backend:
    """One backend's dialect, for bodies and chunks that come alone.

    *vendors* made the models it asks; *model*, or any of a family, is meant where a
    request names none of them, and *name* stands in ids. *turns* is where a body holds what
    was said, *one_text* whether as one text, *written* gives it the form that
    callers know. *usage* is where an answer counts its tokens, *normalized* puts one
    into form. *answers_unreadable* says whether the client hears of a chunk
    that is no JSON.
    """

    dialect: BackendDialect
    vendors: Collection[Vendor]
    model: str
    chunks: ChunkReader
    name: str = ""
    turns: str = "messages"
    one_text: bool = False
    written: Callable[[JSON, Conversation], JSON] = short_forms.unchanged
    usage: str = "usage"
    normalized: Callable[[JSON], JSON] = dict
    answers_unreadable: bool = False

    def profile(self, model: object) -> ModelProfile:
        """Look up what the model accepts, if it can be asked here at all."""
        profile = profile_for(model if isinstance(model, str) and model else self.model)
        return profile if profile.vendor in self.vendors else profile_for(self.model)

    def render_request(self, payload: JSON, client: _Client) -> JSON:
        """Render a client's request; raises `ConversionError`."""
        with _converting(payload):
            request = _read(client.normalized(payload, self.one_text))
            if payload.get("messages") and request["messages"] == []:
                # All that was said is left out: what can be rendered is the settings.
                return self._rendered(request | {"messages": [_ANYTHING]}, client) | {self.turns: []}
            return self._rendered(request, client)

    def _rendered(self, request: JSON, client: _Client) -> JSON:
        conversation = client.dialect.parse_request(request | {"model": request.get("model") or self.model})
        if self.one_text:
            conversation = short_forms.joined(conversation, client.between)
        body = self.dialect.render_request(approximate_or_reject(conversation), self.profile(conversation.model)).body
        return self.written(body, conversation)

    def render_response(self, response: JSON, client: _Client, model: str) -> JSON:
        """Render a backend's answer, or what is wrong with it; one that has an id keeps it."""
        try:
            completion = _translatable(self.dialect.parse_response(self.normalized(response), uuid.uuid4().hex))
        except (FaultError, ValueError, LookupError, TypeError, AttributeError) as error:
            if isinstance(error, FaultError) and "error" in response:
                return client.dialect.render_fault(error.fault)
            logger.error("an answer that cannot be read")  # noqa: TRY400 - a traceback would quote it
            return client.failure(_NO_RESPONSE)
        if self.usage not in response:
            logger.warning("an answer that counts no tokens")
        answer = client.dialect.render_response(completion, client.envelope(model, self.name))
        return answer | ({"id": response["id"]} if isinstance(response.get("id"), str) else {})

    def chat_answer(self, response: JSON, model: str) -> JSON:
        """Render a backend's answer for an OpenAI client; what was written to a cache has a name of old, too."""
        answer = self.render_response(response, _CHAT_CLIENT, model)
        match answer:
            case {"usage": {"prompt_tokens_details": {"cache_write_tokens": written, **others}, **usage}}:
                details = {**others, "cache_write_tokens": written, "cache_creation_tokens": written}
                return answer | {"usage": {**usage, "prompt_tokens_details": details}}
            case _:
                return answer

    def chunk(self, chunk: JSON | str, model: str, stream_id: str | None = None) -> str | None:
        """Render one chunk for an OpenAI client, but for what other chunks hold too."""
        match events := self._events_of(chunk):
            case ChunkError.BROKEN:
                return _event({"error": _failure(_NO_CHUNK)})
            case ChunkError.UNREADABLE if self.answers_unreadable:
                return _event({"error": _failure(_NO_JSON)})
            case ChunkError():
                return None
        writer = openai_chat.writer(_CHAT_CLIENT.envelope(model))
        said = b""
        for each in events:
            written = writer.write([each.event])
            said += b"" if each.is_implied else written
        frames = (frame.removeprefix("data: ") for frame in said.decode().split("\n\n"))
        messages = (json.loads(data) for data in frames if data not in ("", "[DONE]"))
        named = {} if stream_id is None else {"id": stream_id}
        return "".join(_event(message | named if "id" in message else message) for message in messages) or None

    def text_delta(self, chunk: JSON) -> JSON | None:
        """Render the text of one chunk for an Anthropic client."""
        text, in_text = "", False
        events = self._events_of(chunk)
        for each in [] if isinstance(events, ChunkError) else events:
            match each.event:
                case BlockStarted(_, block):
                    in_text = isinstance(block, Text)
                case BlockDelta(_, more) if in_text:
                    text += more
        if not text:
            return None
        return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}

    def _events_of(self, chunk: object) -> list[ChunkEvent] | ChunkError:
        events = self.chunks.read(chunk)
        if events is ChunkError.UNKNOWN:
            logger.warning("a chunk of an unknown kind")
        elif isinstance(events, ChunkError):
            logger.error("a chunk that cannot be read")
        return events


def _translatable(completion: Completion) -> Completion:
    """Raise `ValueError` for an answer of which no other dialect has anything."""
    if completion.parts and all(isinstance(part, Opaque) for part in completion.parts):
        raise ValueError("nothing but unknown parts")
    return completion


def _field(body: object, name: str) -> object:
    """Read a field of what ought to be an object."""
    return body.get(name) if isinstance(body, dict) else None


def _read(request: normalize.Normalized) -> JSON:
    """Log what was left out of a request."""
    for problem in request.problems:
        logger.warning("a request: %s", problem)
    return request.body


def _event(message: JSON) -> str:
    """Write one event of a stream."""
    return f"data: {json.dumps(message)}\n\n"


_CHAT_CLIENT = _Client(openai_chat, normalize.chat_request, between="", joint="-", failure=_openai_failure)
_ANTHROPIC_CLIENT = _Client(
    anthropic_messages, normalize.anthropic_request, between=" ", joint="_", failure=_anthropic_failure
)

_BEDROCK = frozenset({Vendor.CLAUDE, Vendor.NOVA})
_OPENAI = frozenset(Vendor) - _BEDROCK - {Vendor.TITAN, Vendor.GEMINI}
_CONVERSE = _Backend(
    bedrock_converse,
    _BEDROCK,
    "anthropic--claude-4.5-sonnet",
    ChunkReader(bedrock_converse, context=single_chunks.within_converse, kinds=single_chunks.CONVERSE_KINDS),
    name="claude",
    written=short_forms.converse,
    normalized=normalize.converse_response,
)
_INVOKE = _Backend(
    anthropic_messages,
    {Vendor.CLAUDE},
    "anthropic--claude-4.5-sonnet",
    ChunkReader(
        anthropic_messages,
        normalized=normalize.anthropic_event,
        context=single_chunks.within_invoke,
        end={"type": "message_stop"},
    ),
    name="claude",
    written=short_forms.anthropic,
    normalized=normalize.anthropic_response,
    answers_unreadable=True,
)
_GEMINI = _Backend(
    gemini,
    {Vendor.GEMINI},
    "gemini",
    ChunkReader(gemini, announces=False, normalized=normalize.gemini_response),
    name="gemini",
    turns="contents",
    one_text=True,
    written=short_forms.gemini,
    usage="usageMetadata",
    normalized=normalize.gemini_response,
)
_CHAT = _Backend(openai_chat, _OPENAI, "gpt", ChunkReader(openai_chat), name="openai")
_ORCHESTRATION = _Backend(orchestration, frozenset(Vendor), "gpt-5", ChunkReader(orchestration), usage="final_result")
_RESPONSES = _Backend(openai_responses, {Vendor.OPENAI}, "gpt-5", ChunkReader(openai_responses), turns="input")


class Converters:
    """One dialect's bodies and chunks, said in another.

    Settings, parts and messages that make no sense are left out of a request,
    and logged; it raises `ConversionError`, a `ValueError`, where leaving
    something out would change its meaning. Responses that make no sense become
    an error object of the dialect asked for.
    """

    @staticmethod
    def str_to_int(s: str) -> int:
        """Read a whole number."""
        try:
            return int(s)
        except ValueError:
            raise ValueError(f"Cannot convert {s!r} to int.") from None

    @staticmethod
    def convert_openai_to_claude(payload: JSON) -> JSON:
        """An OpenAI chat request, as Bedrock's Invoke wants it."""
        return _INVOKE.render_request(payload, _CHAT_CLIENT)

    @staticmethod
    def convert_openai_to_claude37(payload: JSON) -> JSON:
        """An OpenAI chat request, as Bedrock's Converse wants it."""
        return _CONVERSE.render_request(payload, _CHAT_CLIENT)

    @staticmethod
    def convert_openai_to_gemini(payload: JSON) -> JSON:
        """An OpenAI chat request, as Gemini wants it."""
        return _GEMINI.render_request(payload, _CHAT_CLIENT)

    @staticmethod
    def convert_openai_to_responses(payload: JSON) -> JSON:
        """An OpenAI chat request, as Responses wants it."""
        return _RESPONSES.render_request(payload, _CHAT_CLIENT)

    @staticmethod
    def convert_openai_to_orchestration(payload: JSON) -> JSON:
        """An OpenAI chat request, as SAP AI Core's orchestration wants it."""
        return _ORCHESTRATION.render_request(payload, _CHAT_CLIENT)

    @staticmethod
    def convert_openai_to_openai(payload: JSON) -> JSON:
        """An OpenAI chat request, without what its model refuses."""
        with _converting(payload):
            return openai_chat.passthrough_request(payload, _CHAT.profile(payload.get("model"))).body

    @staticmethod
    def convert_claude_request_to_openai(payload: JSON) -> JSON:
        """An Anthropic request, as OpenAI chat wants it; it names the model that was given, None if none was."""
        body = _CHAT.render_request(payload, _ANTHROPIC_CLIENT)
        if "max_tokens" in body and _CHAT.profile(payload.get("model")).vendor is Vendor.OPENAI:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return {**body, "model": payload.get("model")}

    @staticmethod
    def convert_claude_request_to_gemini(payload: JSON) -> JSON:
        """An Anthropic request, as Gemini wants it."""
        return _GEMINI.render_request(payload, _ANTHROPIC_CLIENT)

    @staticmethod
    def convert_claude_request_for_bedrock(payload: JSON) -> JSON:
        """An Anthropic request, as Bedrock's Invoke wants it; but `model` is kept, which Bedrock refuses in a body."""
        with _converting(payload):
            request = _read(normalize.anthropic_request(payload))
            body = anthropic_messages.passthrough_request(request, _INVOKE.profile(payload.get("model"))).body
        return ({"model": payload["model"]} if "model" in payload else {}) | short_forms.anthropic_blocks(body)

    @staticmethod
    def convert_claude_to_openai(response: JSON, model: str) -> JSON:
        """An answer of Claude, by Invoke or by Converse, as an OpenAI chat completion."""
        if _field(response, "output") is not None:
            logger.info("an answer of Converse, as Claude 3.7/4 gives")
            return _CONVERSE.chat_answer(response, model)
        return _INVOKE.chat_answer(response, model)

    @staticmethod
    def convert_claude37_to_openai(response: JSON, model_name: str = "claude-3.7") -> JSON:
        """A Converse answer, as an OpenAI chat completion."""
        return _CONVERSE.chat_answer(response, model_name)

    @staticmethod
    def convert_gemini_to_openai(response: JSON, model_name: str = "gemini-pro") -> JSON:
        """A Gemini answer, as an OpenAI chat completion."""
        return _GEMINI.chat_answer(response, model_name)

    @staticmethod
    def convert_responses_to_openai(response: JSON, model_name: str = "gpt-5") -> JSON:
        """A Responses object, as an OpenAI chat completion."""
        return _RESPONSES.chat_answer(response, model_name)

    @staticmethod
    def convert_orchestration_to_openai(response: JSON, model_name: str = "gpt-5") -> JSON:
        """An answer of SAP AI Core's orchestration, as an OpenAI chat completion."""
        return _ORCHESTRATION.chat_answer(response, model_name)

    @staticmethod
    def convert_openai_response_to_openai(response: JSON, model_name: str = "gpt-5") -> JSON:
        """An OpenAI chat completion, under the name that was asked for."""
        return openai_chat.passthrough_response(response, _CHAT_CLIENT.envelope(model_name))

    @staticmethod
    def convert_gemini_response_to_claude(response: JSON, model_name: str = "gemini-pro") -> JSON:
        """A Gemini answer, as an Anthropic message."""
        return _GEMINI.render_response(response, _ANTHROPIC_CLIENT, model_name)

    @staticmethod
    def convert_openai_response_to_claude(response: JSON) -> JSON:
        """An OpenAI chat completion, as an Anthropic message."""
        return _CHAT.render_response(response, _ANTHROPIC_CLIENT, str(_field(response, "model") or ""))

    @staticmethod
    def convert_claude_chunk_to_openai(chunk: str, model: str) -> str | None:
        """One event of an Invoke stream, as OpenAI chunks; None if it says nothing to the client."""
        return _INVOKE.chunk(chunk, model)

    @staticmethod
    def convert_claude37_chunk_to_openai(
        chunk: JSON | str, model_name: str, stream_id: str | None = None
    ) -> str | None:
        """One event of a Converse stream, as OpenAI chunks; None if it says nothing to the client."""
        return _CONVERSE.chunk(chunk, model_name, stream_id)

    @staticmethod
    def convert_gemini_chunk_to_openai(chunk: JSON | str, model_name: str) -> str | None:
        """One chunk of a Gemini stream, as OpenAI chunks; None if it says nothing to the client."""
        return _GEMINI.chunk(chunk, model_name)

    @staticmethod
    def convert_gemini_chunk_to_claude_delta(chunk: JSON) -> JSON | None:
        """The text of one Gemini chunk, as an Anthropic delta of the first block."""
        return _GEMINI.text_delta(chunk)

    @staticmethod
    def convert_openai_chunk_to_claude_delta(chunk: JSON) -> JSON | None:
        """The text of one OpenAI chunk, as an Anthropic delta of the first block."""
        return _CHAT.text_delta(chunk)
