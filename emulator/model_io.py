"""Requests to a model and its responses, independent of any protocol."""

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from emulator.models import Model
from emulator.world import Json

_DELTA = re.compile(r"\s*\S{1,16}|\s+")
_JSON_DELTA = 12
_CHARACTERS_PER_TOKEN = 4
MEDIA_TOKENS = 258


def count_tokens(text: str) -> int:
    """Estimate the number of tokens in a text."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def digest(*words: object) -> str:
    """Return a hexadecimal digest of some values. Equal values have equal digests."""
    return hashlib.sha256("\x1f".join(map(str, words)).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class PromptSegment:
    """A segment of the prompt, in the order in which the model reads it.

    `ttl`, in seconds, is set if a cache mark ends it.
    """

    text: str
    tokens: int
    ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """An image or a document in the last user message."""

    kind: str
    mime: str
    size: int


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool call."""

    text: str
    failed: bool = False
    images: int = 0


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    schema: Json


class ToolChoice(Enum):
    """Whether tools may, must or must not be called."""

    AUTO = "auto"
    REQUIRED = "required"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request to a model, independent of the protocol."""

    model: Model
    system: str = ""
    text: str = ""
    media: tuple[Media, ...] = ()
    results: tuple[ToolResult, ...] = ()
    tools: tuple[Tool, ...] = ()
    choice: ToolChoice = ToolChoice.AUTO
    forced: tuple[str, ...] = ()
    parallel: bool = True
    schema: Json | None = None
    thinks: bool = False
    stops: tuple[str, ...] = ()
    limit: int | None = None
    prompt: tuple[PromptSegment, ...] = ()

    @property
    def seed(self) -> str:
        """A digest that identifies the request."""
        return digest(self.model.name, *(segment.text for segment in self.prompt))


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of visible reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class RedactedThought:
    """A piece of hidden reasoning."""

    seed: str


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call. Its id is derived from `seed`."""

    name: str
    arguments: str
    seed: str


Part = Thought | RedactedThought | Text | ToolCall


class StopReason(Enum):
    """The reason why the model stopped."""

    END = "end"
    LENGTH = "length"
    STRING = "string"
    TOOLS = "tools"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """The response of the model, and the seconds between its deltas."""

    parts: tuple[Part, ...]
    stop: StopReason
    stop_string: str | None = None
    delay: float = 0.0
    hidden: int = 0
    """Reasoning tokens that are counted but never shown."""

    @property
    def reasoning(self) -> int:
        """The number of reasoning tokens."""
        return self.hidden + sum(
            part_tokens(part) for part in self.parts if isinstance(part, Thought | RedactedThought)
        )

    @property
    def lasts(self) -> float:
        """The seconds that the model takes for the whole response."""
        said = (
            part.arguments if isinstance(part, ToolCall) else part.text
            for part in self.parts
            if not isinstance(part, RedactedThought)
        )
        return self.delay * sum(1 for text in said for _ in text_deltas(text)) if self.delay else 0.0

    @property
    def visible(self) -> int:
        """The number of tokens of text and calls."""
        return sum(part_tokens(part) for part in self.parts if isinstance(part, Text | ToolCall))

    @property
    def tokens(self) -> int:
        """The number of tokens billed as output."""
        return max(1, self.reasoning + self.visible)


@dataclass(frozen=True, slots=True)
class Usage:
    """The token counts of one exchange. `read` and `written` are parts of the prompt."""

    prompt: int
    output: int
    reasoning: int = 0
    read: int = 0
    written: int = 0
    written_1h: int = 0

    @property
    def fresh(self) -> int:
        """The prompt tokens that were neither read from nor written to a cache."""
        return self.prompt - self.read - self.written


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of a stream. `content` tells whether it is part of the answer."""

    data: Json | str
    content: bool = False
    name: str = ""


def part_tokens(part: Part) -> int:
    """Count the tokens of a part."""
    match part:
        case Thought(text) | Text(text):
            return count_tokens(text)
        case RedactedThought():
            return 32
        case ToolCall(name, arguments, _):
            return 8 + count_tokens(name) + count_tokens(arguments)


def text_deltas(text: str) -> Iterator[str]:
    """Split a text into the deltas in which a model streams it."""
    return (found.group() for found in _DELTA.finditer(text))


def json_deltas(text: str) -> Iterator[str]:
    """Split the JSON of a tool call into the deltas in which a model streams it."""
    return (text[start : start + _JSON_DELTA] for start in range(0, len(text), _JSON_DELTA))
