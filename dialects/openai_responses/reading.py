"""OpenAI Responses: understanding an answer that comes piece by piece.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Hashable, Iterator

from dialects.core.conversation import JSON, Family, Opaque, Refusal, Text, Thinking, ToolCall
from dialects.core.events import Block, Event
from dialects.core.frame_reader import FrameReader
from dialects.framing.sse import Frame
from dialects.openai_common.vocabulary import RESPONSES, usage_from
from dialects.openai_responses.response import content_of, fault_of, thoughts_of
from dialects.openai_responses.vocabulary import stop_of


def reader(token: str, content_type: str) -> FrameReader:
    """Begin to understand an answer that comes piece by piece; the wire gives all ids."""
    del token, content_type
    return _Reader()


class _Reader(FrameReader):
    """Reads the events of a response; what no delta said, the finished item says."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[Hashable] = set()
        self._piece: Hashable = None
        self._calls = False

    def continued(self, frame: Frame) -> str:
        """Return the text of a delta for the open item; the first delta of an item is left to `read`."""
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
        """Say what one event means."""
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
                self.usage = usage_from(message["response"].get("usage"), "input", "output")
                # Azure says the reason, if not here, in an `error` that follows.
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
        yield from self.say(key, block, text)

    def _think(self, place: Hashable, piece: Hashable, text: str) -> Iterator[Event]:
        """Thoughts come in pieces, one paragraph each."""
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
        yield from self.say(("call", message["output_index"]), ToolCall(str(item["call_id"]), str(item["name"])))

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
                yield from self.say(("other", place), Opaque(RESPONSES, dict(item)))
        yield from self.stop_block()

    def _thought(self, key: Hashable, item: JSON) -> Iterator[Event]:
        signature = str(item.get("encrypted_content") or "")
        text = "" if key in self._said else thoughts_of(item)
        if (text or signature) and key not in self._closed:
            yield from self._add(key, Thinking(family=Family.OPENAI), text)
            self.sign(signature)

    def _finish(self, response: JSON) -> Iterator[Event]:
        self.usage = usage_from(response.get("usage"), "input", "output")
        self.stop = stop_of(response, self._calls)
        yield from self.start(str(response.get("id") or ""), str(response.get("model") or ""))
        yield from self.end()
