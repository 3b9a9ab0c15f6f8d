"""OpenAI Responses: saying an answer piece by piece.

Each block becomes an item of its own. Several clients need every event of the
grammar: the item added, its part added, the deltas, the part done, the item done.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dialects.core.conversation import JSON, Media, Opaque, Refusal, Text, Thinking, ToolCall
from dialects.core.events import Block, BlockDelta, BlockStarted, BlockStopped, Event, Failed, Finished, Started
from dialects.framing.json_text import dumps
from dialects.framing.sse import Frame
from dialects.interface import Envelope
from dialects.openai_common.vocabulary import head_text
from dialects.openai_responses.vocabulary import finished, item_for, render_error, unfinished


def writer(envelope: Envelope) -> "Writer":
    """Begin to say an answer piece by piece."""
    return Writer(envelope)


class Writer:
    """Writes the events of a response, each under its name, numbered from zero."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._number = 0
        self._output: list[JSON] = []
        self._open: Block = Text()
        self._item: JSON | None = None
        self._texts: list[str] = []
        self._logprobs: list[JSON] = []

    def write(self, events: Iterable[Event]) -> bytes:
        """Render events for the wire."""
        return b"".join(frame for event in events for frame in self._write(event))

    def _write(self, event: Event) -> Iterator[bytes]:
        match event:
            case Started():
                yield from self._start()
            case BlockStarted(_, block):
                yield from self._begin(block)
            case BlockDelta(_, text, logprobs):
                yield from self._more(text, logprobs)
            case BlockStopped(_, signature):
                yield from self._finish_block(signature)
            case Finished(stop, usage):
                response = finished(self._envelope, self._output, stop, usage)
                yield self._say(f"response.{response['status']}", response=response)
            case Failed(fault):
                if not self._number:
                    # OpenAI's own SDK takes nothing for a failure of a response that was never created.
                    yield from self._start()
                response = unfinished(self._envelope, "failed", self._output)
                yield self._say("response.failed", response={**response, "error": render_error(fault)})

    def _start(self) -> Iterator[bytes]:
        response = unfinished(self._envelope, "in_progress", [])
        yield self._say("response.created", response=response)
        yield self._say("response.in_progress", response=response)

    def _begin(self, block: Block) -> Iterator[bytes]:
        self._open, self._texts, self._logprobs = block, [], []
        item = item_for(block, len(self._output), self._envelope)
        self._item = item
        if item is None:
            return
        yield self._say("response.output_item.added", output_index=len(self._output), item=_begun(item))
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
            case Text():
                likely = _brief(logprobs)
                yield self._place("response.output_text.delta", content_index=0, delta=text, logprobs=likely)
            case Refusal():
                yield self._place("response.refusal.delta", content_index=0, delta=text)
            case Thinking():
                if first:
                    yield self._place("response.reasoning_summary_part.added", summary_index=0, part=_summary(""))
                yield self._place("response.reasoning_summary_text.delta", summary_index=0, delta=text)
            case ToolCall():
                yield self._place("response.function_call_arguments.delta", delta=text)
            case Media() | Opaque():
                pass

    def _finish_block(self, signature: str) -> Iterator[bytes]:
        if self._item is None:
            return
        text = "".join(self._texts)
        match self._open:
            case Text():
                likely = _brief(self._logprobs)
                yield self._place("response.output_text.done", content_index=0, text=text, logprobs=likely)
                part = {"type": "output_text", "text": text, "annotations": [], "logprobs": self._logprobs}
                yield self._place("response.content_part.done", content_index=0, part=part)
            case Refusal():
                yield self._place("response.refusal.done", content_index=0, refusal=text)
                yield self._place("response.content_part.done", content_index=0, part=_refusal(text))
            case Thinking() if text:
                yield self._place("response.reasoning_summary_text.done", summary_index=0, text=text)
                yield self._place("response.reasoning_summary_part.done", summary_index=0, part=_summary(text))
            case ToolCall():
                if not text:
                    # Arguments are JSON: none at all is an object without any.
                    text = "{}"
                    yield self._place("response.function_call_arguments.delta", delta=text)
                name = self._item["name"]
                yield self._place("response.function_call_arguments.done", name=name, arguments=text)
            case Thinking() | Media() | Opaque():
                pass
        whole = _whole(self._open, text, signature, tuple(self._logprobs))
        item = item_for(whole, len(self._output), self._envelope) or self._item
        yield self._say("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)

    def _place(self, kind: str, **fields: object) -> bytes:
        """Say something about the open item."""
        name = self._item["id"] if self._item else ""
        return self._say(kind, item_id=name, output_index=len(self._output), **fields)

    def _say(self, kind: str, **fields: object) -> bytes:
        message = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return Frame(dumps(message), kind).encode()


def _begun(item: JSON) -> JSON:
    """Say an item that has only just begun."""
    empty: JSON = {
        "message": {"status": "in_progress", "content": []},
        "reasoning": {"summary": []},
        "function_call": {"status": "in_progress", "arguments": ""},
        "image_generation_call": {"status": "in_progress", "result": None},
    }
    return {**item, **empty[item["type"]]}


def _refusal(text: str) -> JSON:
    return {"type": "refusal", "refusal": text}


def _summary(text: str) -> JSON:
    return {"type": "summary_text", "text": text}


def _brief(logprobs: Iterable[JSON]) -> list[JSON]:
    """Say how likely tokens are as events of a stream do: without their bytes."""
    return [
        {**_without_bytes(each), "top_logprobs": [_without_bytes(other) for other in each["top_logprobs"]]}
        for each in logprobs
    ]


def _without_bytes(token: JSON) -> JSON:
    return {"token": token["token"], "logprob": token["logprob"]}


def _whole(block: Block, text: str, signature: str, logprobs: tuple[JSON, ...]) -> Block:
    """Put the open block together."""
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
