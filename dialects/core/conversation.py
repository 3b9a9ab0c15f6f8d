"""Conversations and completions: what is asked and answered, as neutral values.

Everything here is a frozen value: however often a request is rendered, for
however many endpoints, it says the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

JSON = dict[str, Any]
"""A JSON object as it was received."""


class Role(Enum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    """An instruction that stands among the messages, not before them."""


class MediaKind(Enum):
    """What sort of thing is attached."""

    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class CacheMark:
    """The prompt up to here is worth caching, for *ttl* ("5m", "1h") or the provider's default."""

    ttl: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A page of the web that a model has read."""

    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a stretch of a text comes from: *start* and *end* are in characters, *text* is the stretch itself."""

    source: Source
    start: int
    end: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """Words for the other side; *logprobs* is how likely a model's own were, token by token, as OpenAI says it."""

    text: str = ""
    cache: CacheMark | None = None
    logprobs: tuple[JSON, ...] = ()
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Media:
    """Something attached: *data* is base64 text, or *url* says where it lies; exactly one is set."""

    kind: MediaKind
    mime: str
    data: str = ""
    url: str = ""
    name: str = ""
    detail: str = ""
    cache: CacheMark | None = None


class Family(Enum):
    """Whose models made a thinking block: a signature means nothing to any other."""

    CLAUDE = "claude"
    GEMINI = "gemini"
    OPENAI = "openai"


@dataclass(frozen=True, slots=True)
class Thinking:
    """Words the model said to itself.

    *signature* proves to models of the same *family* that the thoughts are theirs,
    *redacted* replaces the text where the provider hides them; both are
    verbatim and opaque. Gemini signs the part that follows: there, a `Thinking`
    whose text may be empty stands before the part it signs.
    """

    text: str = ""
    signature: str = ""
    redacted: str = ""
    family: Family | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the model asks to have called; *arguments* is JSON text, verbatim."""

    id: str
    name: str
    arguments: str = ""
    cache: CacheMark | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a called function gave back."""

    call_id: str
    parts: "tuple[Text | Media | Opaque, ...]" = ()
    is_error: bool = False
    cache: CacheMark | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model's text of why it will not answer."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A part that only *dialect* has: given back to it, and in any other replaced by its *approximation*, if any.

    *where* it stands among what the client said; empty for a remark that was never content. *rejection* says what a
    model of any other dialect cannot do with it, where it stands for what the model would miss.
    """

    dialect: str
    payload: JSON
    approximation: "tuple[Part, ...]" = ()
    where: str = field(default="", compare=False)
    rejection: str = field(default="", compare=False)

    @property
    def kind(self) -> str:
        """What its dialect calls it; Google says that in the name of its one field."""
        return str(self.payload.get("type") or next(iter(self.payload), "unknown content"))


Part = Text | Media | Thinking | ToolCall | ToolResult | Refusal | Opaque
ResultPart = Text | Media | Opaque
"""What a tool's result holds."""
MarkablePart = Text | Media | ToolCall | ToolResult
"""What can bear a cache mark."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation."""

    role: Role
    parts: tuple[Part, ...]


class ToolForm(Enum):
    """What a client declares a tool as, and is given its calls back as; to models each is a function."""

    FUNCTION = "function"
    CUSTOM = "custom"
    """A tool that is called with one text, which may have to follow a grammar."""
    SEARCH = "tool_search"
    """A search for further tools that the client carries out; those it finds are declared from then on."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function the model may ask to have called; *parameters* is a JSON Schema.

    *form* is what the client declared, and *declared* how, if it was no function.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None
    cache: CacheMark | None = None
    form: ToolForm = ToolForm.FUNCTION
    declared: Mapping[str, Any] | None = field(default=None, compare=False)


class ToolMode(Enum):
    """How free the model is to call functions."""

    AUTO = "auto"
    REQUIRED = "required"
    NAMED = "named"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """How free the model is to call functions; *name* goes with `NAMED`, *parallel* None is the provider's default."""

    mode: ToolMode = ToolMode.AUTO
    name: str = ""
    parallel: bool | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn, and when to stop; None is the provider's default."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class Effort(Enum):
    """How hard to think, least first."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Whether and how hard to think before the answer.

    *budget* is in tokens; *adaptive* leaves the amount to the model; *shown*
    asks for the thoughts, or a summary of them, in the answer. `Effort.NONE`
    asks not to think. *for_answer* says that the effort is for the answer, and
    does not ask to think. None is the provider's default.
    """

    effort: Effort | None = None
    budget: int | None = None
    adaptive: bool = False
    shown: bool | None = None
    summary: str = ""
    for_answer: bool = False


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """The answer must be JSON; *schema* None means any JSON object."""

    schema: Mapping[str, Any] | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """One request: what was said so far, and how to go on.

    *model* is the name the client used; a backend gets its own. *extra*
    holds the fields only *dialect* knows, as they came.
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


def has_forms(conversation: Conversation) -> bool:
    """Whether the client declared tools that are no functions, though models are declared them as such."""
    tools = (tool for tool in conversation.tools if isinstance(tool, ToolSpec))
    return any(tool.form is not ToolForm.FUNCTION for tool in tools)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, each counted in exactly one field, but *reasoning*, which is the part of *output* spent thinking."""

    fresh_input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    cache_write_1h: int = 0
    """The part of *cache_write* that is kept for an hour."""

    @property
    def prompt(self) -> int:
        """Everything the model read."""
        return self.fresh_input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        """Everything that is paid for."""
        return self.prompt + self.output


NO_USAGE = Usage()
"""Nothing is known of any tokens."""


class StopReason(Enum):
    """Why the model stopped talking."""

    END = "end"
    LENGTH = "length"
    CONTEXT_FULL = "context_full"
    TOOL_USE = "tool_use"
    STOP_SEQUENCE = "stop_sequence"
    FILTERED = "filtered"
    PAUSED = "paused"
    """A tool that runs at the provider needs another turn."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the model stopped, with the provider's own name for it and the stop sequence that was hit."""

    reason: StopReason = StopReason.END
    raw: str = ""
    sequence: str = ""


@dataclass(frozen=True, slots=True)
class WebSearch:
    """What a provider searched the web for while its model answered, and what it found."""

    queries: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """One whole answer; *search* is what was searched for on the way to it."""

    id: str = ""
    model: str = ""
    parts: tuple[Part, ...] = ()
    stop: Stop = field(default_factory=Stop)
    usage: Usage = field(default_factory=Usage)
    search: WebSearch | None = None
