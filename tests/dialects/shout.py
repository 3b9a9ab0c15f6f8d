"""Shout, a language nobody speaks: all that a dialect must have, on both sides, in one file.

It knows turns of words and nothing else::

    {"to": "model", "said": [{"me": "words"}, {"you": "words"}], "at_most": 100, "live": true}
    {"shout": "words", "why": "done", "ears": 3, "mouth": 5}

A live answer says its words piece by piece and the rest in the last frame.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dialects.capabilities.model_info import ModelInfo
from dialects.capabilities.models import ModelProfile
from dialects.core.conversation import (
    JSON,
    Completion,
    Conversation,
    Media,
    Message,
    Opaque,
    Part,
    Refusal,
    Role,
    Sampling,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, Finished, Started
from dialects.core.faults import Fault, FaultError, invalid
from dialects.core.frame_reader import FrameReader
from dialects.core.upstream_errors import fault_in_stream
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame
from dialects.interface import Envelope, Rendered

DIALECT = "shout"
_SPEAKER = {Role.USER: "me", Role.ASSISTANT: "you", Role.SYSTEM: "me"}
_WHY = {
    StopReason.END: "done",
    StopReason.LENGTH: "breathless",
    StopReason.CONTEXT_FULL: "breathless",
    StopReason.TOOL_USE: "done",
    StopReason.STOP_SEQUENCE: "done",
    StopReason.FILTERED: "gagged",
    StopReason.PAUSED: "done",
}
_STOP = {"done": StopReason.END, "breathless": StopReason.LENGTH, "gagged": StopReason.FILTERED}


def parse_request(body: JSON) -> Conversation:
    """Understand a request; raises `FaultError` for one that makes no sense."""
    match body:
        case {"to": str(model), "said": [*said]} if said:
            pass
        case _:
            raise invalid("to and said must say who is asked, and what", "said")
    return Conversation(
        model=model,
        dialect=DIALECT,
        messages=tuple(_message(turn) for turn in said),
        sampling=Sampling(max_tokens=body.get("at_most")),
        stream=body.get("live") is True,
        stream_usage=True,
    )


def render_request(conversation: Conversation, profile: ModelProfile) -> Rendered:
    """Ask; raises `FaultError` if leaving something out would change the meaning."""
    if conversation.tools:
        raise invalid(f"tools cannot be used with model {profile.name}", "tools")
    dropped: set[str] = set()
    turns = (Message(Role.SYSTEM, conversation.system), *conversation.messages)
    said = [{_SPEAKER[turn.role]: words} for turn in turns if (words := _words(turn.parts, dropped))]
    body: JSON = {"to": profile.name, "said": said}
    if conversation.sampling.max_tokens is not None:
        body["at_most"] = conversation.sampling.max_tokens
    if conversation.sampling.temperature is not None:
        dropped.add("temperature")
    if conversation.stream:
        body["live"] = True
    return Rendered(body, tuple(sorted(dropped)))


def parse_response(body: JSON, token: str) -> Completion:
    """Parse a whole response; *token* seeds ids that the backend does not give."""
    if "ouch" in body:
        raise FaultError(fault_in_stream("", str(body["ouch"])))
    return Completion(token, "", (Text(str(body["shout"])),), _stop(body), _usage(body))


def render_response(completion: Completion, envelope: Envelope) -> JSON:
    """Say a whole answer; nothing but its words has a word here."""
    del envelope
    return {"shout": _words(completion.parts, set()), **_last(completion.stop, completion.usage)}


def render_fault(fault: Fault) -> JSON:
    """Say a failure, as the body of an HTTP error or a frame of a stream."""
    return {"ouch": fault.message}


def render_model(model: ModelInfo, created: int) -> JSON:
    """Describe one model."""
    return {"who": model.name, "since": created}


def render_models(models: Sequence[ModelInfo], created: int) -> JSON:
    """List all models."""
    return {"all": [render_model(model, created) for model in models]}


def reader(token: str, content_type: str) -> FrameReader:
    """Begin to understand an answer that comes piece by piece."""
    del content_type
    return Reader(token)


def writer(envelope: Envelope) -> "Writer":
    """Begin to say an answer piece by piece."""
    del envelope
    return Writer()


class Reader(FrameReader):
    """Reads pieces of a shout."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token

    def read(self, message: JSON) -> Iterator[Event]:
        """Say what one message means."""
        match message:
            case {"ouch": str(words)}:
                yield from self.fail(fault_in_stream("", words))
            case {"why": _}:
                yield from self.start(self._token)
                self.stop, self.usage = _stop(message), _usage(message)
                yield from self.end()
            case {"shout": str(text)}:
                yield from self.start(self._token)
                yield from self.extend("words", Text(), text)


class Writer:
    """Writes pieces of a shout; what is not words is left out."""

    def __init__(self) -> None:
        self._aloud = False

    def write(self, events: Iterable[Event]) -> bytes:
        """Render events as bytes."""
        return b"".join(Frame(dumps(message)).encode() for event in events for message in self._write(event))

    def _write(self, event: Event) -> Iterator[JSON]:
        match event:
            case BlockStarted(_, block):
                self._aloud = _is_words(block)
            case BlockDelta(_, text):
                if self._aloud:
                    yield {"shout": text}
            case Finished(stop, usage):
                yield _last(stop, usage)
            case Failed(fault):
                yield render_fault(fault)
            case Started() | BlockStopped():
                pass


def _is_words(block: Block) -> bool:
    match block:
        case Text() | Refusal():
            return True
        case Thinking() | ToolCall() | Media() | Opaque():
            return False


def _message(turn: Any) -> Message:
    match turn:
        case {"me": str(words)}:
            return Message(Role.USER, (Text(words),))
        case {"you": str(words)}:
            return Message(Role.ASSISTANT, (Text(words),))
        case _:
            raise invalid("said must hold what me or you said", "said")


def _words(parts: Iterable[Part], dropped: set[str]) -> str:
    """Join the words, naming what has none."""
    said: list[str] = []
    for part in parts:
        match part:
            case Text(text) | Refusal(text):
                said.append(text)
            case Media(kind):
                raise invalid(f"messages hold {kind.value} content, which cannot be shouted", "messages")
            case Thinking():
                dropped.add("thinking")
            case ToolCall() | ToolResult():
                dropped.add("tool call")
            case Opaque(dialect):
                dropped.add(f"{dialect} part")
    return "".join(said)


def _last(stop: Stop, usage: Usage) -> JSON:
    return {"why": _WHY[stop.reason], "ears": usage.prompt, "mouth": usage.output}


def _stop(body: JSON) -> Stop:
    raw = str(body.get("why") or "")
    return Stop(_STOP.get(raw, StopReason.END), raw)


def _usage(body: JSON) -> Usage:
    return Usage(fresh_input=int(body.get("ears") or 0), output=int(body.get("mouth") or 0))
