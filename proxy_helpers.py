"""Public helpers: what a model's name tells, and any dialect said in another.

`Converters` are for callers that hold one body or one chunk. They keep no
state and change nothing they are given; the proxy itself streams through
readers and writers, which know what came before.
"""

import ast
import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from dialects import anthropic_messages, bedrock_converse, gemini, openai_chat, openai_responses
from dialects.conversation import JSON, Conversation, Text
from dialects.dialect import BackendDialect, ClientDialect, Envelope
from dialects.events import BlockDelta, BlockStarted, Event, Failed, Finished, Started
from dialects.faults import Fault, FaultError, FaultKind
from dialects.foreign import spoken
from dialects.models import ModelProfile, Vendor, canonical, profile_for

_log = logging.getLogger(__name__)

_VERSION = re.compile(r"(?<!\d)(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
"""A major and perhaps a minor version; a date has too many digits to be one."""
_EVENT = re.compile(r"^(?:event:[^\n]*\n)?data:")
"""What stands before the JSON of one event of a stream."""


class Detector:
    """What a model's name tells about it, however it is written."""

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


def _within_converse(message: JSON) -> JSON | None:
    """What must have come before an event of Converse that speaks of a call."""
    match message:
        case {"contentBlockDelta": {"delta": {"toolUse": _}, **block}}:
            index = block.get("contentBlockIndex", 0)
        case {"messageStop": {"stopReason": "tool_use"}}:
            index = 0
        case _:
            return None
    return {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "?", "name": "?"}}, "contentBlockIndex": index}}


def _within_invoke(message: JSON) -> JSON | None:
    """What must have come before an event of Invoke that speaks of a call."""
    match message:
        case {"type": "content_block_delta", "delta": {"type": "input_json_delta"}, **block}:
            index = block.get("index", 0)
        case {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}:
            index = 0
        case _:
            return None
    call = {"type": "tool_use", "id": "?", "name": "?", "input": {}}
    return {"type": "content_block_start", "index": index, "content_block": call}


def _within_nothing(_message: JSON) -> None:
    """Every chunk of this dialect stands for itself."""


def _loaded(chunk: object) -> JSON:
    """Read one chunk, be it an object, its JSON, its Python text or an event of a stream; {} if it makes no sense."""
    if isinstance(chunk, str):
        text = _EVENT.sub("", chunk.strip())
        try:
            chunk = json.loads(text)
        except ValueError:
            chunk = _literal(text)
    if isinstance(chunk, dict):
        return chunk
    _log.error("a chunk that makes no sense")
    return {}


def _literal(text: str) -> object:
    """SAP AI Core has been seen to send Python's `repr` of the object instead of JSON."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _framed(message: JSON) -> bytes:
    """Write one event of a stream."""
    return f"data: {json.dumps(message)}\n\n".encode()


@dataclass(frozen=True, slots=True)
class _Backend:
    """One backend's dialect, for bodies and chunks that come alone.

    *vendors* made the models it asks; *model* is meant where a request names
    none of them. *announces* says whether a chunk may hold nothing but the
    beginning, *context* what a chunk takes for granted, *end* closes a stream.
    """

    dialect: BackendDialect
    vendors: Collection[Vendor]
    model: str
    announces: bool = True
    context: Callable[[JSON], JSON | None] = _within_nothing
    end: JSON = field(default_factory=dict)

    def profile(self, model: object) -> ModelProfile:
        """Say what the model accepts, if it can be asked here at all."""
        profile = profile_for(model if isinstance(model, str) and model else self.model)
        return profile if profile.vendor in self.vendors else profile_for(self.model)

    def ask(self, payload: JSON, client: ClientDialect) -> JSON:
        """Render a client's request."""
        conversation = client.parse_request(payload if payload.get("model") else payload | {"model": self.model})
        return self.dialect.render_request(spoken(conversation), self.profile(conversation.model)).body

    def answer(self, response: JSON, client: ClientDialect, model: str) -> JSON:
        """Render a backend's answer, or what is wrong with it."""
        envelope = _envelope(model)
        try:
            completion = self.dialect.parse_response(response, envelope.token)
        except FaultError as error:
            return client.render_fault(error.fault)
        except (ValueError, LookupError, TypeError, AttributeError):
            _log.error("an answer that makes no sense")
            return client.render_fault(Fault(FaultKind.SERVER_ERROR, "The model's answer makes no sense."))
        return client.render_response(completion, envelope)

    def chunk(self, chunk: JSON | str, model: str, stream_id: str | None = None) -> str | None:
        """Render one chunk for an OpenAI client, but for what it leaves unsaid."""
        envelope = _envelope(model)
        writer = openai_chat.writer(envelope)
        said = b""
        for event, is_implied in self._heard(chunk):
            written = writer.write([event])
            said += b"" if is_implied else written
        text = said.decode().removesuffix("data: [DONE]\n\n")
        if stream_id is not None:
            text = text.replace(f"chatcmpl-{envelope.token}", json.dumps(stream_id)[1:-1])
        return text or None

    def text_delta(self, chunk: JSON) -> JSON | None:
        """Render the text of one chunk for an Anthropic client."""
        text, in_text = "", False
        for event, _ in self._heard(chunk):
            match event:
                case BlockStarted(_, block):
                    in_text = isinstance(block, Text)
                case BlockDelta(_, more) if in_text:
                    text += more
        if not text:
            return None
        return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}

    def _heard(self, chunk: object) -> list[tuple[Event, bool]]:
        """Read one chunk as if it were all; say of each event whether other chunks imply it."""
        message = _loaded(chunk)
        if message == self.end:
            return []
        before = self.context(message)
        reader = self.dialect.reader(uuid.uuid4().hex, "text/event-stream")
        implied = reader.feed(_framed(before)) if before else []
        events = reader.feed(_framed(message))
        if any(isinstance(event, Failed) and event.fault.kind is FaultKind.STREAM_BROKEN for event in events):
            _log.error("a chunk that makes no sense")
            return []
        ends = [event for event in (*reader.feed(_framed(self.end)), *reader.finish()) if isinstance(event, Finished)]
        alone = self.announces and len(events) == 1
        return [
            *((event, True) for event in implied),
            *((event, isinstance(event, Started) and not alone) for event in events),
            *((event, False) for event in ends),
        ]


def _envelope(model: str) -> Envelope:
    """Decide what an answer says about itself."""
    return Envelope(uuid.uuid4().hex, model, int(time.time()), Conversation(model))


_BEDROCK = frozenset({Vendor.CLAUDE, Vendor.NOVA})
_OPENAI = frozenset(Vendor) - _BEDROCK - {Vendor.TITAN, Vendor.GEMINI}
_CONVERSE = _Backend(bedrock_converse, _BEDROCK, "anthropic--claude-3.7-sonnet", context=_within_converse)
_INVOKE = _Backend(
    anthropic_messages,
    {Vendor.CLAUDE},
    "anthropic--claude-3.7-sonnet",
    context=_within_invoke,
    end={"type": "message_stop"},
)
_GEMINI = _Backend(gemini, {Vendor.GEMINI}, "gemini-2.5-pro", announces=False)
_CHAT = _Backend(openai_chat, _OPENAI, "gpt-4.1")
_RESPONSES = _Backend(openai_responses, {Vendor.OPENAI}, "gpt-5")


class Converters:
    """One dialect's bodies and chunks, said in another.

    Requests raise `FaultError` where leaving something out would change their
    meaning. Responses that make no sense become an error object of the dialect asked for.
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
        return _INVOKE.ask(payload, openai_chat)

    @staticmethod
    def convert_openai_to_claude37(payload: JSON) -> JSON:
        """An OpenAI chat request, as Bedrock's Converse wants it."""
        return _CONVERSE.ask(payload, openai_chat)

    @staticmethod
    def convert_openai_to_gemini(payload: JSON) -> JSON:
        """An OpenAI chat request, as Gemini wants it."""
        return _GEMINI.ask(payload, openai_chat)

    @staticmethod
    def convert_openai_to_responses(payload: JSON) -> JSON:
        """An OpenAI chat request, as Responses wants it."""
        return _RESPONSES.ask(payload, openai_chat)

    @staticmethod
    def convert_openai_to_openai(payload: JSON) -> JSON:
        """An OpenAI chat request, without what its model refuses."""
        return openai_chat.forward_request(payload, _CHAT.profile(payload.get("model"))).body

    @staticmethod
    def convert_claude_request_to_openai(payload: JSON) -> JSON:
        """An Anthropic request, as OpenAI chat wants it."""
        return _CHAT.ask(payload, anthropic_messages)

    @staticmethod
    def convert_claude_request_to_gemini(payload: JSON) -> JSON:
        """An Anthropic request, as Gemini wants it."""
        return _GEMINI.ask(payload, anthropic_messages)

    @staticmethod
    def convert_claude_request_for_bedrock(payload: JSON) -> JSON:
        """An Anthropic request, as Bedrock's Invoke wants it."""
        return anthropic_messages.forward_request(payload, _INVOKE.profile(payload.get("model"))).body

    @staticmethod
    def convert_claude_to_openai(response: JSON, model: str) -> JSON:
        """An answer of Claude, by Invoke or by Converse, as an OpenAI chat completion."""
        return (_CONVERSE if "output" in response else _INVOKE).answer(response, openai_chat, model)

    @staticmethod
    def convert_claude37_to_openai(response: JSON, model_name: str = "claude-3.7") -> JSON:
        """A Converse answer, as an OpenAI chat completion."""
        return _CONVERSE.answer(response, openai_chat, model_name)

    @staticmethod
    def convert_gemini_to_openai(response: JSON, model_name: str = "gemini-pro") -> JSON:
        """A Gemini answer, as an OpenAI chat completion."""
        return _GEMINI.answer(response, openai_chat, model_name)

    @staticmethod
    def convert_responses_to_openai(response: JSON, model_name: str = "gpt-5") -> JSON:
        """A Responses object, as an OpenAI chat completion."""
        return _RESPONSES.answer(response, openai_chat, model_name)

    @staticmethod
    def convert_openai_response_to_openai(response: JSON, model_name: str = "gpt-4.1") -> JSON:
        """An OpenAI chat completion, under the name that was asked for."""
        return openai_chat.forward_response(response, _envelope(model_name))

    @staticmethod
    def convert_gemini_response_to_claude(response: JSON, model_name: str = "gemini-pro") -> JSON:
        """A Gemini answer, as an Anthropic message."""
        return _GEMINI.answer(response, anthropic_messages, model_name)

    @staticmethod
    def convert_openai_response_to_claude(response: JSON) -> JSON:
        """An OpenAI chat completion, as an Anthropic message."""
        return _CHAT.answer(response, anthropic_messages, str(response.get("model") or ""))

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
