"""Streams of OpenAI chat completions, read and written.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import Iterable, Iterator
from typing import Any

from dialects.core.conversation import JSON, Family, Media, Opaque, Refusal, Text, Thinking, ToolCall, Usage
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, Finished, Started
from dialects.core.faults import Fault, FaultKind
from dialects.core.frame_reader import FrameReader
from dialects.core.upstream_errors import fault_in_stream
from dialects.framing.frame_template import FrameTemplate
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame
from dialects.interface import Envelope
from dialects.openai_chat.response import pieces_in, thoughts_in
from dialects.openai_chat.vocabulary import (
    annotations,
    call_head,
    call_id,
    finish_reason,
    image,
    is_custom,
    legacy,
    likely,
    logprobs_in,
    parse_stop,
    render_usage,
    response_id,
)
from dialects.openai_common.response import render_fault
from dialects.openai_common.tool_forms import InputText
from dialects.openai_common.vocabulary import head_text, parse_usage

_FIELD: dict[type[Block], str] = {Text: "content", Thinking: "reasoning_content", Refusal: "refusal"}
_DONE: JSON = {"done": True}


def reader(token: str, content_type: str) -> FrameReader:
    """Return the reader of a streamed response, which is SSE whatever its content type."""
    del content_type
    return ChunkReader(token)


def writer(envelope: Envelope) -> "Writer":
    """Return the writer of a streamed response."""
    return Writer(envelope)


class ChunkReader(FrameReader):
    """Reads ``chat.completion.chunk`` frames. Only the first choice is read.

    Subclasses read streams with chunks inside other frames, or with more fields in them.
    """

    repeats = True

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self._calls: dict[Any, tuple[str, int, str]] = {}
        self._made = self._called = 0
        self._last: Any = None
        self._likely: list[JSON] = []

    def loads(self, frame: Frame) -> JSON | None:
        """Parse one frame, or the text that ends the stream."""
        return _DONE if frame.data.strip() == "[DONE]" else super().loads(frame)

    def continued(self, frame: Frame) -> str:
        """Return the text of a chunk with one choice and one field in its delta, if it continues the open block."""
        return self._only_text(frame.glance())

    def _only_text(self, message: JSON) -> str:
        (choice,) = message["choices"]
        if message.get("error") or message.get("usage") or choice.get("index"):
            return ""
        if choice.get("logprobs") or choice.get("finish_reason") or self._likely:
            return ""
        ((name, said),) = choice["delta"].items()
        kind: Any = self._open[0] if isinstance(self._open, tuple) else None
        if kind == "call" and name == "tool_calls":
            said = self._more_arguments(said)
        elif name != _FIELD.get(kind):
            return ""
        return said if isinstance(said, str) else ""

    def _more_arguments(self, calls: Any) -> Any:
        """Return the arguments of a piece without an id, if it continues the open call."""
        (call,) = calls
        place = call["index"]
        known = type(place) is int and place == self._last and self._calls[place] == self._open
        return call["function"]["arguments"] if known and not call.get("id") else ""

    def read(self, message: JSON) -> Iterator[Event]:
        """Yield the events of one chunk."""
        if message is _DONE:
            yield from self._done()
            return
        if error := message.get("error"):
            yield from self.fail(_fault(error, message))
            return
        if usage := message.get("usage"):
            self.usage = self._usage(usage)
        choices = message.get("choices") or []
        if message.get("id") or choices:
            yield from self.start(str(message.get("id") or ""), str(message.get("model") or ""))
        for choice in choices:
            if not choice.get("index"):
                yield from self._choice(choice)

    def _usage(self, usage: Any) -> Usage:
        return parse_usage(usage, "prompt", "completion")

    def _done(self) -> Iterator[Event]:
        if self._started:
            self.stop = self.stop or parse_stop(None, bool(self._called))
            yield from self.end()
        else:
            yield from self.fail(Fault(FaultKind.STREAM_BROKEN, "the stream ended before it said anything"))

    def _choice(self, choice: JSON) -> Iterator[Event]:
        # Some vendors repeat the whole answer as a `message` in the last chunk.
        delta = choice.get("delta") or {}
        yield from self._thoughts(delta)
        # A token that is only part of a character has log probabilities but no delta.
        self._likely += logprobs_in(choice)
        for kind, text in pieces_in(delta.get("content")):
            yield from self._words(kind(), text)
        if isinstance(refusal := delta.get("refusal"), str):
            yield from self._words(Refusal(), refusal)
        for call in delta.get("tool_calls") or []:
            yield from self._call(call)
        if function := delta.get("function_call"):
            yield from self._call({"index": 0, "function": function})
        if reason := choice.get("finish_reason"):
            self.stop = parse_stop(reason, bool(self._called))

    def _thoughts(self, delta: JSON) -> Iterator[Event]:
        yield from self._words(Thinking(), thoughts_in(delta))

    def _call_block(self, id: str, name: str) -> Block:
        return ToolCall(id, name)

    def _words(self, block: Block, text: str) -> Iterator[Event]:
        """Add text to the open block if it is of the same kind; otherwise open a new one."""
        if not text:
            return
        opened = self._open
        kind = type(block)
        key = opened if isinstance(opened, tuple) and opened[0] is kind else (kind, self._index + 1)
        logprobs: tuple[JSON, ...] = ()
        if kind is Text:
            logprobs, self._likely = tuple(self._likely), []
        yield from self.extend(key, block, text, logprobs)

    def _call(self, call: JSON) -> Iterator[Event]:
        """Read a piece of a call. Its index identifies the call, or its id if the vendor sends no index."""
        function = call.get("function") or {}
        said, place = call.get("id"), call.get("index")
        place = place if place is not None else said or self._last
        known = self._calls.get(place)
        if known is None or (said and function.get("name") and known[2] != said):
            known = ("call", self._made, call_id(said, self._token, self._made))
            self._calls[place] = known
            self._made += 1
            block = self._call_block(known[2], str(function["name"]))
            self._called += isinstance(block, ToolCall)
            yield from self.extend(known, block)
        self._last = place
        if arguments := function.get("arguments"):
            yield from self.extend(known, ToolCall(known[2], ""), str(arguments))


class Writer:
    """Writes ``chat.completion.chunk`` frames and the closing ``[DONE]``."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._open: Block = Text()
        self._calls = 0
        self._silent = False
        self._signature = ""
        self._pieces = FrameTemplate(self._piece)
        self._length = self._before = 0
        """The number of characters of text, with and without the open block."""
        self._input: InputText | None = None
        """Extracts the text from the arguments of a custom tool's call, while one is open."""

    def write(self, events: Iterable[Event]) -> bytes:
        """Render events as bytes."""
        return b"".join([self._write(event) for event in events])

    def _write(self, event: Event) -> bytes:
        match event:
            case BlockDelta(_, text, logprobs):
                return self._more(text, logprobs)
            case Started():
                return self._chunk({"role": "assistant", "content": "", "refusal": None})
            case BlockStarted(_, block):
                self._open, self._pieces = block, FrameTemplate(self._piece)
                return self._begin(block)
            case BlockStopped(_, signature, citations):
                cited = annotations(citations, self._before)
                self._before = self._length
                said = self._chunk({"annotations": cited}) if cited else b""
                return said + self._finish_block(signature)
            case Finished(stop, usage):
                reason = finish_reason(stop, bool(self._calls), self._envelope)
                end = self._chunk({}, reason)
                if self._envelope.conversation.stream_usage:
                    end += self._frame([], render_usage(usage))
                return end + Frame("[DONE]").encode()
            case Failed(fault):
                return Frame(dumps(render_fault(fault))).encode()

    def _begin(self, block: Block) -> bytes:
        match block:
            case ToolCall():
                custom = is_custom(block.name, self._envelope)
                head = call_head(block, self._signature, custom=custom)
                self._input = InputText() if custom else None
                self._signature, self._silent = "", not custom
                self._calls += 1
                begun = self._call(head)
            case Media():
                begun = self._chunk({"images": [{"index": 0, **image(block)}]})
            case Text() | Thinking() | Refusal() | Opaque():
                begun = b""
        text = head_text(block)
        return begun + (self._more(text) if text else b"")

    def _more(self, text: str, logprobs: tuple[JSON, ...] = ()) -> bytes:
        self._silent = False
        if isinstance(self._open, Text):
            self._length += len(text)
        if self._input is not None and isinstance(self._open, ToolCall):
            text = self._input.feed(text)
            return self._pieces.write(text) if text else b""
        return self._piece(text, logprobs) if logprobs else self._pieces.write(text)

    def _piece(self, text: str, logprobs: tuple[JSON, ...] = ()) -> bytes:
        match self._open:
            case ToolCall() if self._input is not None:
                return self._call({"custom": {"input": text}})
            case ToolCall():
                return self._call({"function": {"arguments": text}})
            case Text() | Thinking() | Refusal():
                return self._chunk({_FIELD[type(self._open)]: text}, logprobs=logprobs)
            case Media() | Opaque():
                return b""

    def _finish_block(self, signature: str) -> bytes:
        match self._open:
            case ToolCall() if self._silent:
                # Arguments are JSON. Empty ones are an empty object.
                return self._more("{}")
            case ToolCall() if self._input is not None:
                return self._pieces.write(rest) if (rest := self._input.finish()) else b""
            case Thinking(family=Family.GEMINI):
                self._signature = self._open.signature + signature
        return b""

    def _call(self, call: JSON) -> bytes:
        if not legacy(self._envelope) or "function" not in call:
            return self._chunk({"tool_calls": [{"index": self._calls - 1, **call}]})
        # The legacy form can hold only one call.
        return self._chunk({"function_call": call["function"]}) if self._calls == 1 else b""

    def _chunk(self, delta: JSON, finish: str | None = None, logprobs: tuple[JSON, ...] = ()) -> bytes:
        said = {"index": 0, "delta": delta, "logprobs": likely(logprobs), "finish_reason": finish}
        return self._frame([said], None)

    def _frame(self, choices: list[JSON], usage: JSON | None) -> bytes:
        body: JSON = {
            "id": response_id(self._envelope),
            "object": "chat.completion.chunk",
            "created": self._envelope.created,
            "model": self._envelope.model,
            "choices": choices,
        }
        if self._envelope.conversation.stream_usage:
            body["usage"] = usage
        return Frame(dumps(body)).encode()


def _fault(error: Any, message: JSON) -> Fault:
    match error:
        case {**said}:
            code = said.get("code") or said.get("type") or ""
            return fault_in_stream(str(code), str(said.get("message") or ""))
        case _:
            return fault_in_stream(str(error), str(message.get("message") or error))
