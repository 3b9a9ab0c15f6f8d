"""The neutral stream: the events of a model's answer, in order.

Every stream follows one grammar, whatever its dialect::

    stream = Started block* (Finished | Failed)
    block  = BlockStarted BlockDelta* BlockStopped

`Failed` may end a stream at any point. Readers return only streams of this grammar, and writers rely on it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from dialects.core.conversation import (
    JSON,
    Citation,
    Completion,
    Media,
    Opaque,
    Part,
    Refusal,
    Stop,
    Text,
    Thinking,
    ToolCall,
    Usage,
    WebSearch,
)
from dialects.core.faults import Fault, FaultError

Block = Text | Thinking | ToolCall | Refusal | Media | Opaque
"""The content of a block. `Media` and `Opaque` are complete in `BlockStarted`, without deltas."""


@dataclass(frozen=True, slots=True)
class Started:
    """The beginning of an answer. *usage* is what is known about the prompt so far."""

    id: str = ""
    model: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class BlockStarted:
    """The beginning of a block. Deltas add text to what *block* already contains."""

    index: int
    block: Block


@dataclass(frozen=True, slots=True)
class BlockDelta:
    """More text for the open block: part of an answer, of a thought, or of the JSON arguments of a call.

    *logprobs* has the log probabilities of its tokens, as in `Text`.
    """

    index: int
    text: str
    logprobs: tuple[JSON, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockStopped:
    """The end of the open block, with the signature of a thinking block or the citations of a text."""

    index: int
    signature: str = ""
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a complete answer. *search* is the web search that was made for it, if any."""

    stop: Stop
    usage: Usage
    search: WebSearch | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The end of an answer that failed. *usage* is what was known until then."""

    fault: Fault
    usage: Usage = field(default_factory=Usage)


Event = Started | BlockStarted | BlockDelta | BlockStopped | Finished | Failed


class UngrammaticalError(Exception):
    """A stream that violates the grammar, because of a bug in a reader."""


@dataclass(slots=True)
class Grammar:
    """Checks in tests that the events of a reader follow the grammar."""

    _state: str = "new"
    _index: int = 0

    def accept(self, event: Event) -> None:
        """Check the next event. Raises `UngrammaticalError` if the grammar does not allow it."""
        match self._state, event:
            case "new", Started():
                self._state = "between"
            case "new" | "between" | "inside", Failed():
                self._state = "over"
            case "between", BlockStarted(index) if index == self._index:
                self._state = "inside"
            case "inside", BlockDelta(index, text) if index == self._index and text:
                pass
            case "inside", BlockStopped(index) if index == self._index:
                self._state, self._index = "between", index + 1
            case "between", Finished():
                self._state = "over"
            case _:
                raise UngrammaticalError(f"{event} when {self._state}")


def checked(events: Iterable[Event]) -> Iterator[Event]:
    """Yield *events* unchanged. Raises `UngrammaticalError` at an event that the grammar does not allow."""
    grammar = Grammar()
    for event in events:
        grammar.accept(event)
        yield event


def unfold(completion: Completion) -> Iterator[Event]:
    """Turn a response that was not streamed into events, with the text of each block in one delta."""
    yield Started(completion.id, completion.model, replace(completion.usage, output=0, reasoning=0))
    for index, part in enumerate(completion.parts):
        head, text, signature = _taken_apart(part)
        yield BlockStarted(index, head)
        if text:
            yield BlockDelta(index, text, part.logprobs if isinstance(part, Text) else ())
        yield BlockStopped(index, signature, part.citations if isinstance(part, Text) else ())
    yield Finished(completion.stop, completion.usage, completion.search)


def fold(events: Iterable[Event]) -> Completion:
    """Combine the events of a stream into one response. Raises `FaultError` if the stream failed."""
    completion, open_block, texts, logprobs = Completion(), None, list[str](), list[JSON]()
    parts: list[Part] = []
    for event in events:
        match event:
            case Started(id, model):
                completion = replace(completion, id=id, model=model)
            case BlockStarted(_, block):
                open_block, texts, logprobs = block, [], []
            case BlockDelta(_, text, more):
                texts.append(text)
                logprobs += more
            case BlockStopped(_, signature, citations) if open_block is not None:
                part = _put_together(open_block, "".join(texts), signature)
                if isinstance(part, Text):
                    part = replace(part, logprobs=tuple(logprobs), citations=citations)
                parts.append(part)
            case BlockStopped():
                raise UngrammaticalError("a block stopped that never started")
            case Finished(stop, usage, search):
                completion = replace(completion, stop=stop, usage=usage, search=search)
            case Failed(fault):
                raise FaultError(fault)
    return replace(completion, parts=tuple(parts))


def _taken_apart(part: Part) -> tuple[Block, str, str]:
    """Split a part into an opening block, the text of its deltas, and its signature."""
    match part:
        case Text(text):
            return Text(), text, ""
        case Refusal(text):
            return Refusal(), text, ""
        case Thinking(text, signature):
            return replace(part, text="", signature=""), text, signature
        case ToolCall(_, _, arguments):
            return replace(part, arguments=""), arguments, ""
        case Media() | Opaque():
            return part, "", ""
        case _:
            raise UngrammaticalError(f"a model does not say {type(part).__name__}")


def _put_together(block: Block, text: str, signature: str) -> Part:
    """Undo `_taken_apart`."""
    match block:
        case Text() | Refusal():
            return replace(block, text=block.text + text)
        case Thinking():
            return replace(block, text=block.text + text, signature=block.signature + signature)
        case ToolCall():
            return replace(block, arguments=block.arguments + text)
        case Media() | Opaque():
            return block
