"""Conversations and completions: requests and responses as neutral values, independent of any dialect.

All values are frozen, so that a request can be rendered for several endpoints without being changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

JSON = dict[str, Any]
"""A JSON object as it was received."""


class Role(Enum):
    """The author of a message."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    """An instruction among the messages. Those before the first message are in `Conversation.system`."""


class MediaKind(Enum):
    """The kind of an attachment."""

    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class CacheMark:
    """A mark that asks the provider to cache the prompt up to this point.

    *ttl* is how long to keep it ("5m" or "1h"); None is the provider's default.
    """

    ttl: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A web page that a model has read."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """The source of a part of a text. *start* and *end* are offsets in characters, *text* is the cited part."""

    source: Source
    start: int
    end: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A text. *logprobs* has the log probability of each token of a model's text, in OpenAI's format."""

    text: str = ""
    cache: CacheMark | None = None
    logprobs: tuple[JSON, ...] = ()
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Media:
    """An attachment: either *data* is its content in base64, or *url* is its address. Exactly one is set."""

    kind: MediaKind
    mime: str
    data: str = ""
    url: str = ""
    name: str = ""
    detail: str = ""
    cache: CacheMark | None = None


class Family(Enum):
    """The vendor whose models made a thinking block. Only these models can verify its signature."""

    CLAUDE = "claude"
    GEMINI = "gemini"
    OPENAI = "openai"


@dataclass(frozen=True, slots=True)
class Thinking:
    """A thinking block of a model.

    *signature* proves to models of the same *family* that one of them made the block. *redacted* replaces the text if
    the provider hides it. Both are opaque, and are passed on verbatim. Gemini signs the part that follows: its
    `Thinking`, whose text may be empty, comes before the part that it signs.
    """

    text: str = ""
    signature: str = ""
    redacted: str = ""
    family: Family | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A request of the model to call a function. *arguments* is the model's JSON text, verbatim."""

    id: str
    name: str
    arguments: str = ""
    cache: CacheMark | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a function call."""

    call_id: str
    parts: "tuple[Text | Media | Opaque, ...]" = ()
    is_error: bool = False
    cache: CacheMark | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The text in which a model refuses to answer."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A part that only *dialect* has, with its JSON in *payload*.

    Renderers of *dialect* write the payload unchanged. For any other dialect the part is replaced by its
    *approximation*, if it has one. *where* is its place in the client's body, such as ``messages[2].content[0]``; it is
    empty if the client did not send the part as content. *rejection*, if set, is why a model of another dialect
    cannot use the part: the request is then rejected with this reason.
    """

    dialect: str
    payload: JSON
    approximation: "tuple[Part, ...]" = ()
    where: str = field(default="", compare=False)
    rejection: str = field(default="", compare=False)

    @property
    def kind(self) -> str:
        """The name of its type in its dialect. In Google's dialect that is the name of its only field."""
        return str(self.payload.get("type") or next(iter(self.payload), "unknown content"))


Part = Text | Media | Thinking | ToolCall | ToolResult | Refusal | Opaque
ResultPart = Text | Media | Opaque
"""The parts that the result of a tool can contain."""
MarkablePart = Text | Media | ToolCall | ToolResult
"""The parts that can have a cache mark."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation."""

    role: Role
    parts: tuple[Part, ...]


class ToolForm(Enum):
    """The form in which a client declares a tool and receives calls of it. Models see every tool as a function."""

    FUNCTION = "function"
    CUSTOM = "custom"
    """A tool that is called with a single text, which may have to follow a grammar."""
    SEARCH = "tool_search"
    """A search for further tools, done by the client. The tools that it finds are declared in later requests."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function that the model may ask to call. *parameters* is a JSON Schema.

    *form* is the form in which the client declared the tool. *declared* is that declaration, if it was not a function.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    cache: CacheMark | None = None
    form: ToolForm = ToolForm.FUNCTION
    declared: Mapping[str, Any] | None = field(default=None, compare=False)


class ToolMode(Enum):
    """Whether the model may, must or must not call a function."""

    AUTO = "auto"
    REQUIRED = "required"
    NAMED = "named"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """The client's choice of whether and which functions the model must call.

    *name* is the function to call if the mode is `NAMED`. *parallel* is whether several calls may be made at once; None
    is the provider's default.
    """

    mode: ToolMode = ToolMode.AUTO
    name: str = ""
    parallel: bool | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """The sampling parameters and the limits of the answer. None is the provider's default."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class Effort(Enum):
    """How much the model should think, from least to most."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Whether and how much the model should think before it answers. None is the provider's default.

    *budget* is in tokens. *adaptive* leaves the amount to the model. *shown* asks for the thoughts, or a summary of
    them, in the answer. `Effort.NONE` asks the model not to think. *for_answer* is whether the effort applies to the
    answer only, so that it does not ask the model to think.
    """

    effort: Effort | None = None
    budget: int | None = None
    adaptive: bool = False
    shown: bool | None = None
    summary: str = ""
    for_answer: bool = False


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A request for an answer in JSON that fits *schema*; None accepts any JSON object."""

    schema: Mapping[str, Any] | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


@dataclass(frozen=True)
class Conversation:
    """One request: the messages so far, the tools, and the settings for the answer.

    *model* is the name that the client used; backends are sent a name of their own. *extra* holds the fields that only
    *dialect* has, unchanged.
    """

    model: str
    dialect: str = ""
    system: tuple[Text, ...] = ()
    messages: tuple[Message, ...] = ()
    tools: tuple[ToolSpec | Opaque, ...] = ()
    tool_choice: ToolChoice | None = None
    sampling: Sampling = field(default_factory=Sampling)
    reasoning: Reasoning | None = None
    output: OutputFormat | None = None
    stream: bool = False
    stream_usage: bool = False
    user: str = ""
    cache_key: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def forms(self) -> Mapping[str, ToolForm]:
        """The form of each callable tool that was not declared as a function, by its name."""
        tools = (tool for tool in self.tools if isinstance(tool, ToolSpec))
        return {tool.name: tool.form for tool in tools if tool.form is not ToolForm.FUNCTION}

    @cached_property
    def other_tools(self) -> tuple[Opaque, ...]:
        """The tools that are not callable by a name of their own, such as hosted tools and groups of tools."""
        return tuple(tool for tool in self.tools if isinstance(tool, Opaque))


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of a response. Each token is counted in one field, except in *reasoning* and *cache_write_1h*.

    *reasoning* is the part of *output* that was spent on thinking.
    """

    fresh_input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    cache_write_1h: int = 0
    """The part of *cache_write* that is kept for an hour."""

    @property
    def prompt(self) -> int:
        """The number of tokens of the prompt."""
        return self.fresh_input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        """The number of tokens of the prompt and the answer."""
        return self.prompt + self.output


NO_USAGE = Usage()
_MOST_TOKENS = 1_000_000_000
"""A larger number of tokens is a mistake of the model's endpoint."""


def token_count(said: Any) -> int:
    """Read a number of tokens of an answer. Everything that cannot be one, such as a negative number, counts as 0."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return 0
    return int(said) if 0 < said <= _MOST_TOKENS else 0


"""The usage of a response that reports none."""


class StopReason(Enum):
    """The reason why an answer ended."""

    END = "end"
    LENGTH = "length"
    CONTEXT_FULL = "context_full"
    TOOL_USE = "tool_use"
    STOP_SEQUENCE = "stop_sequence"
    FILTERED = "filtered"
    PAUSED = "paused"
    """A tool that the provider runs needs another turn."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The reason why an answer ended, with the provider's name for it in *raw*.

    *sequence* is the stop sequence that was hit, if any.
    """

    reason: StopReason = StopReason.END
    raw: str = ""
    sequence: str = ""


@dataclass(frozen=True, slots=True)
class WebSearch:
    """The web searches that a provider made while its model answered, and the pages that it found."""

    queries: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """A response that is not streamed. *search* is the web search that was made for it, if any."""

    id: str = ""
    model: str = ""
    parts: tuple[Part, ...] = ()
    stop: Stop = field(default_factory=Stop)
    usage: Usage = field(default_factory=Usage)
    search: WebSearch | None = None
