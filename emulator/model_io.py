"""What a request asks of a model and what the model answers, in no protocol's shape."""

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
    """Estimate the tokens of a text."""
    return math.ceil(len(text) / _CHARACTERS_PER_TOKEN)


def digest(*words: object) -> str:
    """Turn words into hexadecimal digits that are always the same."""
    return hashlib.sha256("\x1f".join(map(str, words)).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class PromptSegment:
    """A stretch of the prompt, in the order the model reads it; `ttl` when a cache mark ends it."""

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
    """What a tool gave back."""

    text: str
    failed: bool = False
    images: int = 0


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call."""

    name: str
    schema: Json


class ToolChoice(Enum):
    """Whether tools may, must or must not be called."""

    AUTO = "auto"
    REQUIRED = "required"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a request asks of a model, whatever protocol it came over."""

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
        """Digits that only the same request gives again."""
        return digest(self.model.name, *(segment.text for segment in self.prompt))


@dataclass(frozen=True, slots=True)
class Thought:
    """A stretch of visible reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class RedactedThought:
    """A stretch of reasoning nobody may read."""

    seed: str


@dataclass(frozen=True, slots=True)
class Text:
    """A stretch of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call; `seed` makes its id."""

    name: str
    arguments: str
    seed: str


Part = Thought | RedactedThought | Text | ToolCall


class StopReason(Enum):
    """Why the model stopped."""

    END = "end"
    LENGTH = "length"
    STRING = "string"
    TOOLS = "tools"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """What the model says, and how fast."""

    parts: tuple[Part, ...]
    stop: StopReason
    stop_string: str | None = None
    delay: float = 0.0
    hidden: int = 0
    """Tokens of reasoning that are counted and never shown."""

    @property
    def reasoning(self) -> int:
        """Tokens spent thinking."""
        return self.hidden + sum(
            part_tokens(part) for part in self.parts if isinstance(part, Thought | RedactedThought)
        )

    @property
    def lasts(self) -> float:
        """Seconds the model takes to say it all."""
        said = (
            part.arguments if isinstance(part, ToolCall) else part.text
            for part in self.parts
            if not isinstance(part, RedactedThought)
        )
        return self.delay * sum(1 for text in said for _ in text_deltas(text)) if self.delay else 0.0

    @property
    def visible(self) -> int:
        """Tokens of text and calls."""
        return sum(part_tokens(part) for part in self.parts if isinstance(part, Text | ToolCall))

    @property
    def tokens(self) -> int:
        """Everything that is billed as output."""
        return max(1, self.reasoning + self.visible)


@dataclass(frozen=True, slots=True)
class Usage:
    """The token counts of one exchange; `read` and `written` are parts of the prompt."""

    prompt: int
    output: int
    reasoning: int = 0
    read: int = 0
    written: int = 0
    written_1h: int = 0

    @property
    def fresh(self) -> int:
        """Prompt tokens that no cache had a part in."""
        return self.prompt - self.read - self.written


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of a stream; `content` when a reader would call it part of the answer."""

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
    """Cut a text the way a model streams it."""
    return (found.group() for found in _DELTA.finditer(text))


def json_deltas(text: str) -> Iterator[str]:
    """Cut the JSON of a tool call the way a model streams it."""
    return (text[start : start + _JSON_DELTA] for start in range(0, len(text), _JSON_DELTA))
