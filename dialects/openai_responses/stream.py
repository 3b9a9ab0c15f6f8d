"""Streams of OpenAI Responses, read and written.

Each block becomes an item of its own. Several clients require every event for an item: the item added, its part added,
the deltas, the part done, the item done.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace

from dialects.core.conversation import (
    JSON,
    Citation,
    Family,
    Media,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolForm,
    WebSearch,
)
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, Finished, Started
from dialects.core.frame_reader import FrameReader
from dialects.framing.frame_template import FrameTemplate
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame, encoded
from dialects.interface import Envelope
from dialects.openai_common.tool_forms import InputText, input_text
from dialects.openai_common.vocabulary import RESPONSES, head_text, parse_usage
from dialects.openai_responses.response import content_of, fault_of, thoughts_of
from dialects.openai_responses.vocabulary import (
    ToolsDeclared,
    begun,
    finished,
    parse_stop,
    render_citation,
    render_error,
    render_item,
    render_search,
    unfinished,
)


def reader(token: str, content_type: str) -> "Reader":
    """Return the reader of a streamed response. The backend sends all ids."""
    del token, content_type
    return Reader()


class Reader(FrameReader):
    """Reads the events of a response. Content that came in no delta is read from the finished item."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[Hashable] = set()
        self._piece: Hashable = None
        self._calls = False

    def continued(self, frame: Frame) -> str:
        """Return the text of a delta for the open item. The first delta of an item is left to `read`."""
        message = frame.glance()
        kind, place, part = message["type"], message["output_index"], message.get("content_index", 0)
        match self._open:
            case ("text", _, _) if kind == "response.output_text.delta":
                key: Hashable = ("text", place, part)
            case ("think", _) if kind == "response.reasoning_summary_text.delta":
                part = message.get("summary_index", 0)
                key = ("think", place) if self._piece == ("summary", place, part) else None
            case ("call", _) if kind == "response.function_call_arguments.delta":
                key = ("call", place)
            case _:
                return ""
        known = key == self._open and key in self._said and type(place) is type(part) is int
        return message["delta"] if known and isinstance(message["delta"], str) else ""

    def read(self, message: JSON) -> Iterator[Event]:
        """Yield the neutral events of one event."""
        kind = message.get("type")
        match kind:
            case "response.created" | "response.in_progress" | "response.queued":
                response = message["response"]
                yield from self.start(str(response.get("id") or ""), str(response.get("model") or ""))
            case "response.output_item.added" if message["item"].get("type") == "function_call":
                yield from self._call(message)
            case "response.output_item.done":
                yield from self._item(message["output_index"], message["item"])
            case "response.completed" | "response.incomplete":
                yield from self._finish(message["response"])
            case "response.failed":
                self.usage = parse_usage(message["response"].get("usage"), "input", "output")
                # If Azure does not send the reason here, an `error` event with it follows.
                if error := message["response"].get("error"):
                    yield from self.fail(fault_of(error))
            case "error":
                yield from self.fail(fault_of(message.get("error") or message))
            case _ if message.get("delta"):
                yield from self._delta(str(kind), message)

    def _delta(self, kind: str, message: JSON) -> Iterator[Event]:
        place, text = message["output_index"], str(message["delta"])
        match kind:
            case "response.output_text.delta":
                yield from self._add(("text", place, message.get("content_index", 0)), Text(), text)
            case "response.refusal.delta":
                yield from self._add(("text", place, message.get("content_index", 0)), Refusal(), text)
            case "response.reasoning_summary_text.delta":
                yield from self._think(place, ("summary", place, message.get("summary_index", 0)), text)
            case "response.reasoning_text.delta":
                yield from self._think(place, ("content", place, message.get("content_index", 0)), text)
            case "response.function_call_arguments.delta" if self._open == ("call", place):
                yield from self._add(("call", place), ToolCall("", ""), text)

    def _add(self, key: Hashable, block: Block, text: str) -> Iterator[Event]:
        self._said.add(key)
        yield from self.extend(key, block, text)

    def _think(self, place: Hashable, piece: Hashable, text: str) -> Iterator[Event]:
        """Add thoughts, which come in pieces of one paragraph each."""
        key = ("think", place)
        begun = key in self._said and piece != self._piece
        self._piece = piece
        yield from self._add(key, Thinking(family=Family.OPENAI), f"\n\n{text}" if begun else text)

    def _called(self, key: tuple[str, Hashable], item: JSON) -> Iterator[Event]:
        if self._open != key and key not in self._closed:
            yield from self._call({"output_index": key[1], "item": item})
        if key not in self._said and item.get("arguments"):
            yield from self._add(key, ToolCall("", ""), str(item["arguments"]))

    def _call(self, message: JSON) -> Iterator[Event]:
        item = message["item"]
        self._calls = True
        yield from self.extend(("call", message["output_index"]), ToolCall(str(item["call_id"]), str(item["name"])))

    def _item(self, place: Hashable, item: JSON) -> Iterator[Event]:
        if isinstance(item.get("id"), str):
            self.items.append(item["id"])
        match item.get("type"):
            case "message":
                for index, content in enumerate(item["content"]):
                    key = ("text", place, index)
                    if key not in self._said and (part := content_of(content)):
                        yield from self._add(key, type(part)(), part.text)
            case "reasoning":
                yield from self._thought(("think", place), item)
            case "function_call":
                yield from self._called(("call", place), item)
            case _:
                yield from self.extend(("other", place), Opaque(RESPONSES, dict(item)))
        yield from self.stop_block()

    def _thought(self, key: Hashable, item: JSON) -> Iterator[Event]:
        signature = str(item.get("encrypted_content") or "")
        text = "" if key in self._said else thoughts_of(item)
        if (text or signature) and key not in self._closed:
            yield from self._add(key, Thinking(family=Family.OPENAI), text)
            self.sign(signature)

    def _finish(self, response: JSON) -> Iterator[Event]:
        self.usage = parse_usage(response.get("usage"), "input", "output")
        self.stop = parse_stop(response, self._calls)
        yield from self.start(str(response.get("id") or ""), str(response.get("model") or ""))
        yield from self.end()


_FIRST = b'"sequence_number":0,'
"""The placeholder for the number of an event. No text can contain it, because quotes in texts are escaped."""


def writer(envelope: Envelope) -> "Writer":
    """Return the writer of a streamed response."""
    return Writer(envelope)


class Writer:
    """Writes the events of a response, with their names, numbered from zero."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._number = 0
        self._output: list[JSON] = []
        self._open: Block = Text()
        self._item: JSON | None = None
        self._texts: list[str] = []
        self._logprobs: list[JSON] = []
        self._tools = ToolsDeclared(envelope.conversation)
        self._input = InputText()
        self._pieces = FrameTemplate(self._piece)

    def write(self, events: Iterable[Event]) -> bytes:
        """Render events as bytes."""
        return b"".join(frame for event in events for frame in self._write(event))

    def _write(self, event: Event) -> Iterator[bytes]:
        match event:
            case Started():
                yield from self._start()
            case BlockStarted(_, block):
                yield from self._begin(block)
            case BlockDelta(_, text, logprobs):
                yield from self._more(text, logprobs)
            case BlockStopped(_, signature, citations):
                yield from self._finish_block(signature, citations)
            case Finished(stop, usage, search):
                if search:
                    yield from self._searched(search)
                response = finished(self._envelope, self._output, stop, usage)
                yield self._event(f"response.{response['status']}", response=response)
            case Failed(fault):
                if not self._number:
                    # OpenAI's SDK ignores the failure of a response that was never created.
                    yield from self._start()
                response = unfinished(self._envelope, "failed", self._output)
                yield self._event("response.failed", response={**response, "error": render_error(fault)})

    def _start(self) -> Iterator[bytes]:
        response = unfinished(self._envelope, "in_progress", [])
        yield self._event("response.created", response=response)
        yield self._event("response.in_progress", response=response)

    def _begin(self, block: Block) -> Iterator[bytes]:
        self._open, self._texts, self._logprobs, self._input = block, [], [], InputText()
        self._pieces = FrameTemplate(self._piece)
        item = render_item(block, len(self._output), self._envelope, self._tools)
        self._item = item
        if item is None:
            return
        yield self._event("response.output_item.added", output_index=len(self._output), item=begun(item))
        match block:
            case Text():
                part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
                yield self._place("response.content_part.added", content_index=0, part=part)
            case Refusal():
                yield self._place("response.content_part.added", content_index=0, part=_refusal(""))
            case Thinking() | ToolCall() | Media() | Opaque():
                pass
        if text := head_text(block):
            yield from self._more(text)

    def _more(self, text: str, logprobs: tuple[JSON, ...] = ()) -> Iterator[bytes]:
        first = not self._texts
        self._texts.append(text)
        self._logprobs += logprobs
        match self._open:
            case Text() if logprobs:
                likely = _brief(logprobs)
                yield self._place("response.output_text.delta", content_index=0, delta=text, logprobs=likely)
            case Thinking() if first:
                yield self._place("response.reasoning_summary_part.added", summary_index=0, part=_summary(""))
                yield self._next_piece(text)
            case Text() | Refusal() | Thinking():
                yield self._next_piece(text)
            case ToolCall(name=name):
                yield from self._more_arguments(self._tools.form(name), text)
            case Media() | Opaque():
                pass

    def _next_piece(self, text: str) -> bytes:
        """Write a text of the open item. Its frames differ only in the text and the number."""
        numbered = self._pieces.write(text).replace(_FIRST, b'"sequence_number":%d,' % self._number, 1)
        self._number += 1
        return numbered

    def _piece(self, text: str) -> bytes:
        """Render a text of the open item as the event with the number 0."""
        match self._open:
            case Text():
                kind, said = "response.output_text.delta", {"content_index": 0, "delta": text, "logprobs": []}
            case Thinking():
                kind, said = "response.reasoning_summary_text.delta", {"summary_index": 0, "delta": text}
            case ToolCall():
                kind, said = "response.function_call_arguments.delta", {"delta": text}
            case _:
                kind, said = "response.refusal.delta", {"content_index": 0, "delta": text}
        return _rendered(kind, 0, self._placed(said))

    def _more_arguments(self, form: ToolForm, text: str) -> Iterator[bytes]:
        match form:
            case ToolForm.FUNCTION:
                yield self._next_piece(text)
            case ToolForm.CUSTOM:
                if said := self._input.feed(text):
                    yield self._place("response.custom_tool_call_input.delta", delta=said)
            case ToolForm.SEARCH:
                # The arguments are sent whole, with the finished item.
                pass

    def _finish_arguments(self, call: ToolCall, text: str) -> Iterator[bytes]:
        match self._tools.form(call.name):
            case ToolForm.FUNCTION:
                if not text:
                    # Arguments are JSON. Empty ones are an empty object.
                    text = "{}"
                    yield self._place("response.function_call_arguments.delta", delta=text)
                name = self._item["name"] if self._item else call.name
                yield self._place("response.function_call_arguments.done", name=name, arguments=text)
            case ToolForm.CUSTOM:
                if said := self._input.finish():
                    yield self._place("response.custom_tool_call_input.delta", delta=said)
                yield self._place("response.custom_tool_call_input.done", input=input_text(text))
            case ToolForm.SEARCH:
                pass

    def _searched(self, search: WebSearch) -> Iterator[bytes]:
        """Write the events of a web search. What was searched for is known only at the end."""
        item = render_search(search, len(self._output), self._envelope)
        self._item = item
        yield self._event("response.output_item.added", output_index=len(self._output), item=begun(item))
        for stage in ("in_progress", "searching", "completed"):
            yield self._place(f"response.web_search_call.{stage}")
        yield self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)

    def _cited(self, citations: tuple[Citation, ...]) -> Iterator[bytes]:
        for number, citation in enumerate(citations):
            place = {"content_index": 0, "annotation_index": number}
            yield self._place("response.output_text.annotation.added", **place, annotation=render_citation(citation))

    def _finish_block(self, signature: str, citations: tuple[Citation, ...]) -> Iterator[bytes]:
        if self._item is None:
            return
        text = "".join(self._texts)
        match self._open:
            case Text():
                yield from self._cited(citations)
                likely = _brief(self._logprobs)
                yield self._place("response.output_text.done", content_index=0, text=text, logprobs=likely)
                cited = [render_citation(citation) for citation in citations]
                part = {"type": "output_text", "text": text, "annotations": cited, "logprobs": self._logprobs}
                yield self._place("response.content_part.done", content_index=0, part=part)
            case Refusal():
                yield self._place("response.refusal.done", content_index=0, refusal=text)
                yield self._place("response.content_part.done", content_index=0, part=_refusal(text))
            case Thinking() if text:
                yield self._place("response.reasoning_summary_text.done", summary_index=0, text=text)
                yield self._place("response.reasoning_summary_part.done", summary_index=0, part=_summary(text))
            case ToolCall() as call:
                yield from self._finish_arguments(call, text)
            case Thinking() | Media() | Opaque():
                pass
        whole = _whole(self._open, text, signature, tuple(self._logprobs))
        whole = replace(whole, citations=citations) if isinstance(whole, Text) else whole
        item = render_item(whole, len(self._output), self._envelope, self._tools) or self._item
        yield self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)

    def _place(self, kind: str, **fields: object) -> bytes:
        """Write an event of the open item."""
        return self._event(kind, **self._placed(fields))

    def _placed(self, fields: JSON) -> JSON:
        return {"item_id": self._item["id"] if self._item else "", "output_index": len(self._output), **fields}

    def _event(self, kind: str, **fields: object) -> bytes:
        self._number += 1
        return _rendered(kind, self._number - 1, fields)


def _rendered(kind: str, number: int, fields: JSON) -> bytes:
    return encoded(dumps({"type": kind, "sequence_number": number, **fields}), kind)


def _refusal(text: str) -> JSON:
    return {"type": "refusal", "refusal": text}


def _summary(text: str) -> JSON:
    return {"type": "summary_text", "text": text}


def _brief(logprobs: Iterable[JSON]) -> list[JSON]:
    """Render log probabilities as in the events of a stream: without the bytes of the tokens."""
    return [
        {**_without_bytes(each), "top_logprobs": [_without_bytes(other) for other in each["top_logprobs"]]}
        for each in logprobs
    ]


def _without_bytes(token: JSON) -> JSON:
    return {"token": token["token"], "logprob": token["logprob"]}


def _whole(block: Block, text: str, signature: str, logprobs: tuple[JSON, ...]) -> Block:
    """Return the complete block for the open one."""
    match block:
        case Text():
            return replace(block, text=text, logprobs=logprobs)
        case Refusal():
            return replace(block, text=text)
        case Thinking():
            return replace(block, text=text, signature=block.signature + signature)
        case ToolCall():
            return replace(block, arguments=text)
        case Media() | Opaque():
            return block
