"""Public helpers: `Detector` recognises models by their names, and `Converters` converts bodies between dialects.

`Converters` is for callers that have a single body or chunk. It keeps no state and does not change its arguments. It
accepts incomplete bodies, logs what it could not convert, and writes the forms that existing callers expect. The proxy
itself is strict, and converts streams with readers and writers, which keep the state of a stream.
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
"""The logger of what could not be converted. Its messages do not quote bodies."""

_VERSION = re.compile(r"(?<!\d)(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
"""A major and an optional minor version. A date has too many digits to match."""
_FAILED = "proxy_conversion_error"
_NO_RESPONSE = "Failed to convert the answer: Invalid response from the model."
_NO_CHUNK = "PROXY ERROR: Failed to convert a chunk, which contradicts itself."
_NO_JSON = "PROXY ERROR: Failed to convert a chunk: Invalid JSON."
_ANYTHING: JSON = {"role": "user", "content": "."}


class ConversionError(FaultError, ValueError):
    """The error for a request that is invalid, or that the other dialect cannot express without a change of meaning."""


class Detector:
    """Recognises the family of a model by any spelling of its name."""

    @staticmethod
    def is_claude_model(model: str | None) -> bool:
        """Return whether this is one of Anthropic's Claude models."""
        return profile_for(model or "").vendor is Vendor.CLAUDE

    @staticmethod
    def is_claude_37_or_4(model: str | None) -> bool:
        """Return whether this is Claude 3.7 or later. A Claude name without a version is assumed to be the latest."""
        if not Detector.is_claude_model(model):
            return False
        found = _VERSION.search(canonical(model or "").partition("[")[0])
        return found is None or (int(found[1]), int(found[2] or 0)) >= (3, 7)

    @staticmethod
    def is_gemini_model(model: str | None) -> bool:
        """Return whether this is one of Google's Gemini models."""
        return profile_for(model or "").vendor is Vendor.GEMINI


@contextmanager
def _converting(request: object) -> Iterator[None]:
    """Turn each `FaultError` into a `ConversionError`. Raises `ConversionError` if *request* is not an object."""
    try:
        if not isinstance(request, dict):
            raise invalid("the request must be an object")
        yield
    except FaultError as error:
        raise ConversionError(error.fault) from error


def _failure(message: str) -> JSON:
    return {"message": message, "type": _FAILED, "param": None, "code": None}


def _openai_failure(message: str) -> JSON:
    """Render the failure of a conversion for OpenAI's clients, and in the fields that older callers read."""
    return {"object": "error", "error": message, **_failure(message)}


def _anthropic_failure(message: str) -> JSON:
    """Render the failure of a conversion as an error of Anthropic's API."""
    return {"type": "error", "error": {"type": _FAILED, "message": message}}


@dataclass(frozen=True, slots=True)
class _Client:
    """A client's dialect, for the conversion of single bodies.

    *normalized* completes and corrects a request. *between* is put between the texts of a message if they become one
    text, *joint* between a backend's name and the rest of an id. *failure* renders the error for a response that could
    not be converted.
    """

    dialect: ClientDialect
    normalized: Callable[[JSON, bool], normalize.Normalized]
    between: str
    joint: str
    failure: Callable[[str], JSON]

    def envelope(self, model: str, backend: str = "") -> Envelope:
        """Return the envelope of a response, with a new id and the current time."""
        token = (f"{backend}{self.joint}" if backend else "") + uuid.uuid4().hex
        return Envelope(token, model, int(time.time()), Conversation(model))


@dataclass(frozen=True, slots=True)
class _Backend:
    """A backend's dialect, for the conversion of single bodies and chunks.

    *vendors* are the vendors of its models. *model* is used if a request names none of their models. *chunks* reads
    single chunks of a stream. *name* is part of ids. *turns* is the body's field for messages, and *one_text* is
    whether the texts of a message become one. *written* changes a body into the form that callers expect. *usage* is
    the response's field for token counts. *normalized* completes and corrects a response. *answers_unreadable* is
    whether the client receives an error for a chunk that is not JSON.
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
        """Return the profile of *model*, or that of the default model if this backend does not serve *model*."""
        profile = profile_for(model if isinstance(model, str) and model else self.model)
        return profile if profile.vendor in self.vendors else profile_for(self.model)

    def render_request(self, payload: JSON, client: _Client) -> JSON:
        """Convert a client's request. Raises `ConversionError` if it cannot be converted."""
        with _converting(payload):
            request = _read(client.normalized(payload, self.one_text))
            if payload.get("messages") and request["messages"] == []:
                # All messages were left out as invalid, so only the settings are rendered.
                return self._rendered(request | {"messages": [_ANYTHING]}, client) | {self.turns: []}
            return self._rendered(request, client)

    def _rendered(self, request: JSON, client: _Client) -> JSON:
        conversation = client.dialect.parse_request(request | {"model": request.get("model") or self.model})
        if self.one_text:
            conversation = short_forms.joined(conversation, client.between)
        body = self.dialect.render_request(approximate_or_reject(conversation), self.profile(conversation.model)).body
        return self.written(body, conversation)

    def render_response(self, response: JSON, client: _Client, model: str) -> JSON:
        """Convert a backend's response, or render an error if that is not possible. The response keeps its id."""
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
        """Convert a backend's response for an OpenAI client, with the older name of the cache write count as well."""
        answer = self.render_response(response, _CHAT_CLIENT, model)
        match answer:
            case {"usage": {"prompt_tokens_details": {"cache_write_tokens": written, **others}, **usage}}:
                details = {**others, "cache_write_tokens": written, "cache_creation_tokens": written}
                return answer | {"usage": {**usage, "prompt_tokens_details": details}}
            case _:
                return answer

    def chunk(self, chunk: JSON | str, model: str, stream_id: str | None = None) -> str | None:
        """Convert one chunk for an OpenAI client, without events that only other chunks imply.

        Returns None if the chunk has no content for the client.
        """
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
        """Convert the text of one chunk for an Anthropic client; None if it has no text."""
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
    """Return *completion*. Raises `ValueError` if it has only parts that other dialects do not have."""
    if completion.parts and all(isinstance(part, Opaque) for part in completion.parts):
        raise ValueError("nothing but unknown parts")
    return completion


def _field(body: object, name: str) -> object:
    """Return a field of *body*; None if *body* is not an object."""
    return body.get(name) if isinstance(body, dict) else None


def _read(request: normalize.Normalized) -> JSON:
    """Return the body of a request, and log what was left out of it."""
    for problem in request.problems:
        logger.warning("a request: %s", problem)
    return request.body


def _event(message: JSON) -> str:
    """Render one server-sent event."""
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
    """Converts bodies and chunks from one dialect to another.

    Invalid settings, parts and messages of a request are left out and logged. A converter of requests raises
    `ConversionError`, which is a `ValueError`, if leaving something out would change the meaning. A response that
    cannot be read becomes an error object of the target dialect.
    """

    @staticmethod
    def str_to_int(s: str) -> int:
        """Parse an integer. Raises `ValueError` if *s* is not one."""
        try:
            return int(s)
        except ValueError:
            raise ValueError(f"Cannot convert {s!r} to int.") from None

    @staticmethod
    def convert_openai_to_claude(payload: JSON) -> JSON:
        """Convert an OpenAI chat request to Bedrock's Invoke."""
        return _INVOKE.render_request(payload, _CHAT_CLIENT)

    @staticmethod
    def convert_openai_to_claude37(payload: JSON) -> JSON:
        """Convert an OpenAI chat request to Bedrock's Converse."""
        return _CONVERSE.render_request(payload, _CHAT_CLIENT)

    @staticmethod
    def convert_openai_to_gemini(payload: JSON) -> JSON:
        """Convert an OpenAI chat request to Gemini."""
        return _GEMINI.render_request(payload, _CHAT_CLIENT)

    @staticmethod
    def convert_openai_to_responses(payload: JSON) -> JSON:
        """Convert an OpenAI chat request to OpenAI Responses."""
        return _RESPONSES.render_request(payload, _CHAT_CLIENT)

    @staticmethod
    def convert_openai_to_orchestration(payload: JSON) -> JSON:
        """Convert an OpenAI chat request to SAP AI Core's orchestration."""
        return _ORCHESTRATION.render_request(payload, _CHAT_CLIENT)

    @staticmethod
    def convert_openai_to_openai(payload: JSON) -> JSON:
        """Return an OpenAI chat request without the fields that its model refuses."""
        with _converting(payload):
            return openai_chat.passthrough_request(payload, _CHAT.profile(payload.get("model"))).body

    @staticmethod
    def convert_claude_request_to_openai(payload: JSON) -> JSON:
        """Convert an Anthropic request to OpenAI chat. The result names the same model, or None if there is none."""
        body = _CHAT.render_request(payload, _ANTHROPIC_CLIENT)
        if "max_tokens" in body and _CHAT.profile(payload.get("model")).vendor is Vendor.OPENAI:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return {**body, "model": payload.get("model")}

    @staticmethod
    def convert_claude_request_to_gemini(payload: JSON) -> JSON:
        """Convert an Anthropic request to Gemini."""
        return _GEMINI.render_request(payload, _ANTHROPIC_CLIENT)

    @staticmethod
    def convert_claude_request_for_bedrock(payload: JSON) -> JSON:
        """Convert an Anthropic request to Bedrock's Invoke. It keeps `model`, which Bedrock refuses in a body."""
        with _converting(payload):
            request = _read(normalize.anthropic_request(payload))
            body = anthropic_messages.passthrough_request(request, _INVOKE.profile(payload.get("model"))).body
        return ({"model": payload["model"]} if "model" in payload else {}) | short_forms.anthropic_blocks(body)

    @staticmethod
    def convert_claude_to_openai(response: JSON, model: str) -> JSON:
        """Convert a response of Claude, from Invoke or Converse, to an OpenAI chat completion."""
        if _field(response, "output") is not None:
            logger.info("an answer of Converse, as Claude 3.7/4 gives")
            return _CONVERSE.chat_answer(response, model)
        return _INVOKE.chat_answer(response, model)

    @staticmethod
    def convert_claude37_to_openai(response: JSON, model_name: str = "claude-3.7") -> JSON:
        """Convert a Converse response to an OpenAI chat completion."""
        return _CONVERSE.chat_answer(response, model_name)

    @staticmethod
    def convert_gemini_to_openai(response: JSON, model_name: str = "gemini-pro") -> JSON:
        """Convert a Gemini response to an OpenAI chat completion."""
        return _GEMINI.chat_answer(response, model_name)

    @staticmethod
    def convert_responses_to_openai(response: JSON, model_name: str = "gpt-5") -> JSON:
        """Convert an OpenAI Responses object to an OpenAI chat completion."""
        return _RESPONSES.chat_answer(response, model_name)

    @staticmethod
    def convert_orchestration_to_openai(response: JSON, model_name: str = "gpt-5") -> JSON:
        """Convert a response of SAP AI Core's orchestration to an OpenAI chat completion."""
        return _ORCHESTRATION.chat_answer(response, model_name)

    @staticmethod
    def convert_openai_response_to_openai(response: JSON, model_name: str = "gpt-5") -> JSON:
        """Return an OpenAI chat completion with *model_name* as its model."""
        return openai_chat.passthrough_response(response, _CHAT_CLIENT.envelope(model_name))

    @staticmethod
    def convert_gemini_response_to_claude(response: JSON, model_name: str = "gemini-pro") -> JSON:
        """Convert a Gemini response to an Anthropic message."""
        return _GEMINI.render_response(response, _ANTHROPIC_CLIENT, model_name)

    @staticmethod
    def convert_openai_response_to_claude(response: JSON) -> JSON:
        """Convert an OpenAI chat completion to an Anthropic message."""
        return _CHAT.render_response(response, _ANTHROPIC_CLIENT, str(_field(response, "model") or ""))

    @staticmethod
    def convert_claude_chunk_to_openai(chunk: str, model: str) -> str | None:
        """Convert one event of an Invoke stream to OpenAI chunks; None if it has no content for the client."""
        return _INVOKE.chunk(chunk, model)

    @staticmethod
    def convert_claude37_chunk_to_openai(
        chunk: JSON | str, model_name: str, stream_id: str | None = None
    ) -> str | None:
        """Convert one event of a Converse stream to OpenAI chunks; None if it has no content for the client."""
        return _CONVERSE.chunk(chunk, model_name, stream_id)

    @staticmethod
    def convert_gemini_chunk_to_openai(chunk: JSON | str, model_name: str) -> str | None:
        """Convert one chunk of a Gemini stream to OpenAI chunks; None if it has no content for the client."""
        return _GEMINI.chunk(chunk, model_name)

    @staticmethod
    def convert_gemini_chunk_to_claude_delta(chunk: JSON) -> JSON | None:
        """Convert the text of one Gemini chunk to an Anthropic delta of the first block; None if it has no text."""
        return _GEMINI.text_delta(chunk)

    @staticmethod
    def convert_openai_chunk_to_claude_delta(chunk: JSON) -> JSON | None:
        """Convert the text of one OpenAI chunk to an Anthropic delta of the first block; None if it has no text."""
        return _CHAT.text_delta(chunk)
