"""Streams in Anthropic messages, read and written.

https://docs.claude.com/en/docs/build-with-claude/streaming
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from dialects.adapt.claude_tools import JSON_TOOL, settled
from dialects.adapt.signatures import pack
from dialects.adapt.unasked_thinking import UnaskedThinking, asks_to_think
from dialects.anthropic_messages.response import render_block, render_citation, render_fault, render_search
from dialects.anthropic_messages.vocabulary import DIALECT, STOP_OUT, parse_stop, parse_usage, render_usage
from dialects.core.conversation import JSON, Citation, Family, Media, Opaque, Refusal, Stop, Text, Thinking, ToolCall
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, Finished, Started
from dialects.core.frame_reader import FrameReader
from dialects.core.upstream_errors import fault_in_stream
from dialects.framing.aws_event_stream import decoder_for
from dialects.framing.frame_template import FrameTemplate
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame
from dialects.interface import Envelope

METRICS = "amazon-bedrock-invocationMetrics"
_TEXT_OF = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""The field that holds the text, for each type of delta that has only text."""


def reader(token: str, content_type: str) -> FrameReader:
    """Return the reader of a streamed response."""
    return Reader(token, content_type)


def writer(envelope: Envelope) -> "Writer":
    """Return the writer of a streamed response."""
    return Writer(envelope)


class Reader(FrameReader):
    """Reads a stream of ``/invoke-with-response-stream``, as SSE or as Amazon's event stream."""

    repeats = True

    def __init__(self, token: str, content_type: str = "") -> None:
        super().__init__(decoder_for(content_type))
        self._token = token
        self._pending: Stop | None = None
        self._calls: list[ToolCall] = []
        self._held: JSON | None = None
        self._pieces: list[str] = []
        self._silent_call = False

    def loads(self, frame: Frame) -> JSON | None:
        """Parse one frame. An exception of Amazon's becomes an ``error`` message."""
        message = super().loads(frame)
        if message is None or "type" in message or frame.event in (None, "chunk"):
            return message
        error = {"type": message.get("code") or frame.event, "message": message.get("message") or frame.event}
        return {"type": "error", "error": error}

    def continued(self, frame: Frame) -> str:
        """Return the text of a delta for the open block. The first arguments of a call are left to `read`."""
        message = frame.glance()
        index, delta = message["index"], message["delta"]
        if message["type"] != "content_block_delta" or type(index) is not int or index != self._open:
            return ""
        text = delta[_TEXT_OF[delta["type"]]]
        return text if isinstance(text, str) and self._held is None and not self._silent_call else ""

    def read(self, message: JSON) -> Iterator[Event]:
        """Yield the events of one message."""
        match message:
            case {"type": "message_start", "message": dict() as said}:
                self.usage = parse_usage(said.get("usage") or {}, self.usage)
                yield from self.start(str(said.get("id") or f"msg_{self._token}"), str(said.get("model") or ""))
            case {"type": "content_block_start", "index": int(index), "content_block": dict() as block}:
                yield from self._open_block(index, block)
            case {"type": "content_block_delta", "index": int(index), "delta": dict() as delta}:
                yield from self._delta(index, delta)
            case {"type": "content_block_stop", "index": int(index)}:
                yield from self._close_block(index)
            case {"type": "message_delta", "delta": dict() as said}:
                self._pending = parse_stop(said) if said.get("stop_reason") else self._pending
                self.usage = parse_usage(message.get("usage") or {}, self.usage)
            case {"type": "message_stop"}:
                yield from self._stop_message(message)
            case {"type": "error"} | {"error": _}:
                code, text = _said(message)
                yield from self.fail(fault_in_stream(code, text))

    def _open_block(self, index: int, block: JSON) -> Iterator[Event]:
        if index == self._open:
            raise ValueError("a block that is open already")
        self._held = None
        match block:
            case {"type": "text"}:
                yield from self.extend(index, Text(), str(block.get("text") or ""))
            case {"type": "thinking"}:
                yield from self.extend(index, Thinking(family=Family.CLAUDE), str(block.get("thinking") or ""))
                self.sign(str(block.get("signature") or ""))
            case {"type": "redacted_thinking", "data": str(data)}:
                yield from self.extend(index, Thinking(redacted=data, family=Family.CLAUDE))
            case {"type": "tool_use", "id": str(id), "name": str(name)}:
                call = ToolCall(id, name)
                self._silent_call = True
                if name != JSON_TOOL:
                    self._calls.append(call)
                yield from self.extend(index, Text() if name == JSON_TOOL else call)
                if whole := block.get("input"):
                    yield from self._arguments(index, dumps(whole))
            case {"type": str()}:
                yield from self.stop_block()
                self._held, self._pieces = block, []
            case _:
                raise ValueError("a block without a type")

    def _delta(self, index: int, delta: JSON) -> Iterator[Event]:
        match delta:
            case {"type": "text_delta", "text": str(text)}:
                yield from self.extend(index, Text(), text)
            case {"type": "thinking_delta", "thinking": str(text)}:
                yield from self.extend(index, Thinking(family=Family.CLAUDE), text)
            case {"type": "signature_delta", "signature": str(signature)}:
                yield from self.extend(index, Thinking(family=Family.CLAUDE))
                self.sign(signature)
            case {"type": "input_json_delta", "partial_json": str(text)} if self._held is not None:
                self._pieces.append(text)
            case {"type": "input_json_delta", "partial_json": str(text)}:
                if index != self._open:
                    raise ValueError("arguments of a call that is not open")
                yield from self._arguments(index, text)

    def _arguments(self, index: int, text: str) -> Iterator[Event]:
        self._silent_call = self._silent_call and not text
        yield from self.extend(index, Text(), text)

    def _close_block(self, index: int) -> Iterator[Event]:
        if self._held is not None:
            whole = self._held | ({"input": json.loads("".join(self._pieces))} if any(self._pieces) else {})
            self._held = None
            yield from self.extend(index, Opaque(DIALECT, whole))
        elif self._silent_call and index == self._open:
            # A call without arguments may be streamed without any JSON.
            yield from self.extend(index, Text(), "{}")
        self._silent_call = False
        yield from self.stop_block()

    def _stop_message(self, message: JSON) -> Iterator[Event]:
        if not self._pending:
            raise ValueError("the message stopped without a reason")
        if not self.usage.output and isinstance(metrics := message.get(METRICS), dict):
            self.usage = parse_usage(
                {
                    "input_tokens": metrics.get("inputTokenCount"),
                    "output_tokens": metrics.get("outputTokenCount"),
                    "cache_read_input_tokens": metrics.get("cacheReadInputTokenCount"),
                    "cache_creation_input_tokens": metrics.get("cacheWriteInputTokenCount"),
                },
                self.usage,
            )
        self.stop = settled(self._pending, bool(self._calls))
        yield from self.end()


class Writer:
    """Writes a stream, from ``message_start`` to ``message_stop``.

    Blocks are numbered anew, so that blocks which are left out leave no gap: those this dialect does not have, and
    thinking that the client did not ask for.
    """

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._unasked = None if asks_to_think(envelope.conversation) else UnaskedThinking()
        self._index = -1
        self._block: Block | None = None
        self._pieces = FrameTemplate(self._delta)

    def write(self, events: Iterable[Event]) -> bytes:
        """Render events as bytes."""
        if self._unasked is not None:
            events = self._unasked.rewritten(events)
        return b"".join([self._write(event) for event in events])

    def _write(self, event: Event) -> bytes:
        match event:
            case BlockDelta(_, text):
                return self._pieces.write(text)
            case Started(_, _, usage):
                return self._start(render_usage(usage))
            case BlockStarted(_, block):
                return self._open_block(block)
            case BlockStopped(_, signature, citations):
                return self._cite(citations) + self._close_block(signature)
            case Finished(stop, usage, search):
                searched = b"".join(map(self._whole_block, render_search(search, self._envelope)))
                delta = {"stop_reason": STOP_OUT[stop.reason], "stop_sequence": stop.sequence or None}
                last = frame({"type": "message_delta", "delta": delta, "usage": render_usage(usage, search)})
                return searched + last + frame({"type": "message_stop"})
            case Failed(fault):
                return frame(render_fault(fault))

    def _cite(self, citations: tuple[Citation, ...]) -> bytes:
        deltas = ({"type": "citations_delta", "citation": render_citation(citation)} for citation in citations)
        return b"".join(
            frame({"type": "content_block_delta", "index": self._index, "delta": delta}) for delta in deltas
        )

    def _whole_block(self, block: JSON) -> bytes:
        """Write a block that has no deltas. Only the input of a call goes into a delta, where clients expect it."""
        self._index += 1
        head = {**block, "input": {}} if "input" in block else block
        written = frame({"type": "content_block_start", "index": self._index, "content_block": head})
        if "input" in block:
            delta = {"type": "input_json_delta", "partial_json": dumps(block["input"])}
            written += frame({"type": "content_block_delta", "index": self._index, "delta": delta})
        return written + frame({"type": "content_block_stop", "index": self._index})

    def _start(self, usage: JSON) -> bytes:
        message: JSON = {
            "id": f"msg_{self._envelope.token}",
            "type": "message",
            "role": "assistant",
            "model": self._envelope.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }
        return frame({"type": "message_start", "message": message})

    def _open_block(self, block: Block) -> bytes:
        text, head = _taken_apart(block)
        self._block, self._pieces = block if head else None, FrameTemplate(self._delta)
        if head is None:
            return b""
        self._index += 1
        opening = frame({"type": "content_block_start", "index": self._index, "content_block": head})
        return opening + (self._delta(text) if text else b"")

    def _delta(self, text: str) -> bytes:
        match self._block:
            case Thinking(redacted=redacted):
                delta = None if redacted else {"type": "thinking_delta", "thinking": text}
            case ToolCall():
                delta = {"type": "input_json_delta", "partial_json": text}
            case Text() | Refusal() | Media():
                delta = {"type": "text_delta", "text": text}
            case Opaque() | None:
                delta = None
        return frame({"type": "content_block_delta", "index": self._index, "delta": delta}) if delta else b""

    def _close_block(self, signature: str) -> bytes:
        block, self._block = self._block, None
        if block is None:
            return b""
        signed = b""
        if isinstance(block, Thinking) and not block.redacted:
            packed = pack(block.signature + signature, block.family, Family.CLAUDE)
            delta = {"type": "signature_delta", "signature": packed}
            signed = frame({"type": "content_block_delta", "index": self._index, "delta": delta}) if packed else b""
        return signed + frame({"type": "content_block_stop", "index": self._index})


def frame(message: JSON) -> bytes:
    """Write one event with its ``event:`` line, which Anthropic's clients require."""
    return Frame(dumps(message), message["type"]).encode()


def _taken_apart(block: Block) -> tuple[str, JSON | None]:
    """Split a block into its text, which follows in a delta, and the empty block that opens it."""
    head = render_block(block)
    match block:
        case Text(text) | Refusal(text):
            return text, {"type": "text", "text": ""}
        case Thinking(text, redacted=redacted):
            return text, head if redacted else {"type": "thinking", "thinking": "", "signature": ""}
        case ToolCall(id, name, arguments):
            return arguments, {"type": "tool_use", "id": id, "name": name, "input": {}}
        case Media():
            return (head or {})["text"], {"type": "text", "text": ""}
        case Opaque():
            return "", head


def _said(message: JSON) -> tuple[str, str]:
    """Return the code and the message of an error: an object, a code beside a message, or a message alone."""
    error: Any = message.get("error")
    match error:
        case {**inner}:
            return str(inner.get("type") or inner.get("code") or ""), str(inner.get("message") or "")
        case str(code):
            return code, str(message.get("message") or code)
        case _:
            return "", str(message.get("message") or "")
