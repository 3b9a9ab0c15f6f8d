"""What the matrix asks, in no vendor's words, and what must come of it."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from emulator.simulated_model import QUIRKS


class End(Enum):
    """Why an answer ended."""

    DONE = "done"
    CALLS = "calls"
    LENGTH = "length"
    STRING = "stop string"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call."""

    name: str
    description: str
    schema: dict[str, Any]
    custom: bool = False
    """Whether it is declared as a tool that is called with a text, where a dialect has such tools."""


@dataclass(frozen=True, slots=True)
class File:
    """Something attached to the user's words."""

    kind: str
    mime: str
    data: bytes
    name: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, and the answers to the calls it leads to."""

    text: str
    system: str = ""
    history: tuple[tuple[str, str], ...] = ()
    """What the user said before, each with what the model answered."""
    file: File | None = None
    tools: tuple[Tool, ...] = ()
    forced: str = ""
    """The tool that must be called."""
    results: tuple[str, ...] = ()
    """What the called tools give back, in the order of the calls; then it is asked again."""
    schema: dict[str, Any] | None = None
    stop: str = ""
    limit: int | None = None
    thinks: bool = False
    searches: bool = False
    """Whether the provider is to search the web."""
    marked: bool = False
    """Whether the system prompt is marked as worth caching; then the same is asked twice."""


@dataclass(frozen=True, slots=True)
class Expect:
    """What one answer must be."""

    end: End = End.DONE
    text: str = ""
    """What the words must hold."""
    exact: str | None = None
    """What the words must be."""
    calls: tuple[str, ...] = ()
    fits: bool = False
    """Whether the words must be JSON that fits the schema that was asked for."""
    thoughts: bool | None = False
    """Whether thoughts must be shown; None is either."""
    reasoning: bool = False
    """Whether thinking must be counted."""
    cached: bool = False
    cited: bool = False
    """Whether pages of the web must be cited."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Something a gateway must carry: what is asked, what each answer must be, what the backend must be told."""

    name: str
    what: str
    ask: Ask
    expect: tuple[Expect, ...]
    sent: tuple[str, ...] = ()
    """Strings that must reach the backend whole."""
    clients: tuple[str, ...] = ()
    """The dialects whose clients have a word for it; all, if none is named."""


SYSTEM = 'You are terse.\nNever say "no"; use C:\\paths and émojis \U0001f680.'
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Say what the weather is like.", CITY)
TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
PATCH = Tool("apply_patch", "Edit a file.", TEXT, custom=True)
ORDERS = Tool(
    "query_orders",
    "Find orders.",
    {
        "type": "object",
        "properties": {
            "$filter": {"type": "string"},
            "@odata.type": {"type": "object", "properties": {"Sold-To Party": {"type": "string"}}},
        },
        "required": ["$filter", "@odata.type"],
    },
)
TIME = Tool("get_time", "Say how late it is.", CITY)
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "In full."},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
IMAGE = File(
    "image",
    "image/png",
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82",
    "dot.png",
)
DOCUMENT = File("document", "application/pdf", b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n%%EOF\n", "report 1.pdf")
ODD = "'é' \"世界\" \\n \U0001f680 \u2028 \u200b data: None"
LONG = 800

SCENES = (
    Scene("plain", "a question and its answer", Ask("Hello there"), (Expect(text='"Hello there"'),), ("Hello there",)),
    Scene(
        "system",
        "a system prompt",
        Ask("Hello there", system=SYSTEM),
        (Expect(text=f"My instructions are {len(SYSTEM)} characters long."),),
        (SYSTEM,),
    ),
    Scene(
        "multi-turn",
        "a conversation of three turns",
        Ask("And now?", history=(("I am Ada.", "Hello, Ada."), ("Remember 4711.", "I will."))),
        (Expect(text='"And now?"'),),
        ("I am Ada.", "Hello, Ada.", "Remember 4711.", "I will.", "And now?"),
    ),
    Scene(
        "tools, forced",
        "two tools, of which one must be called",
        Ask("Tell me.", tools=(TIME, WEATHER), forced="get_weather"),
        (Expect(End.CALLS, calls=("get_weather",)),),
        ("get_time", "Say what the weather is like."),
    ),
    Scene(
        "tool round trip",
        "a call, and an answer that reads its result",
        Ask("Please use get_weather.", tools=(TIME, WEATHER), results=("22 °C, 'sunny'",)),
        (Expect(End.CALLS, calls=("get_weather",)), Expect(text="The tool answered: 22 °C, 'sunny'")),
    ),
    Scene(
        "parallel tools",
        "two calls at once, and an answer that reads both results",
        Ask("scene:parallel", tools=(TIME, WEATHER), results=("half past two", "22 °C")),
        (
            Expect(End.CALLS, calls=("get_time", "get_weather")),
            Expect(text="The tool answered: half past two The tool answered: 22 °C"),
        ),
    ),
    Scene(
        "odd keys",
        "a tool with properties such as `$filter`, its call under those keys, and an answer that reads its result",
        Ask("Please use query_orders.", tools=(TIME, ORDERS), results=("two orders",)),
        (Expect(End.CALLS, calls=("query_orders",)), Expect(text="The tool answered: two orders")),
        ("Find orders.",),
    ),
    Scene(
        "tool twice",
        "a tool that is offered twice, as some clients do, its call, and an answer that reads its result",
        Ask("Please use get_weather.", tools=(WEATHER, TIME, WEATHER), results=("22 °C",)),
        (Expect(End.CALLS, calls=("get_weather",)), Expect(text="The tool answered: 22 °C")),
    ),
    Scene(
        "custom tool",
        "a tool that is called with a text alone, and an answer that reads its result",
        Ask("Please use apply_patch.", tools=(TIME, PATCH), results=("it applied",)),
        (Expect(End.CALLS, calls=("apply_patch",)), Expect(text="The tool answered: it applied")),
        ("Edit a file.",),
        ("openai-chat", "openai-responses"),
    ),
    Scene(
        "web search",
        "a search of the web that the provider makes, and the pages it found",
        Ask("What is new?", searches=True),
        (Expect(text='"What is new?"', cited=True),),
    ),
    Scene(
        "image",
        "a PNG in the question",
        Ask("What is this?", file=IMAGE),
        (Expect(text=f"I see an image (image/png, {len(IMAGE.data)} bytes)."),),
        ("What is this?",),
    ),
    Scene(
        "document",
        "a PDF in the question",
        Ask("What is this?", file=DOCUMENT),
        (Expect(text=f"I see a document (application/pdf, {len(DOCUMENT.data)} bytes)."),),
        ("What is this?",),
    ),
    Scene(
        "schema",
        "an answer that must fit a JSON Schema",
        Ask("Describe Ada.", schema=PERSON),
        (Expect(fits=True),),
        ("In full.",),
    ),
    Scene(
        "stop sequence",
        "an answer that ends where a word would stand",
        Ask("scene:echo alpha beta HALT gamma", stop="HALT"),
        (Expect(End.STRING, exact="alpha beta "),),
    ),
    Scene(
        "length limit",
        "an answer that is cut off at its length",
        Ask("scene:long 400", limit=100),
        (Expect(End.LENGTH, text="word0 word1 "),),
    ),
    Scene(
        "thinking",
        "thoughts that are asked for and shown",
        Ask("Think hard.", thinks=True),
        (Expect(text='"Think hard."', thoughts=True),),
    ),
    Scene(
        "thinking, then tools",
        "thoughts and a call, both of which go back with the result, signatures intact",
        Ask("Please use get_weather.", tools=(WEATHER,), results=("22 °C",), thinks=True),
        (
            Expect(End.CALLS, calls=("get_weather",), thoughts=True),
            Expect(text="The tool answered: 22 °C", thoughts=None),
        ),
    ),
    Scene(
        "cache marks",
        "a long system prompt, marked where the dialect can, that is read from the cache the second time",
        Ask("Hello there", system="word " * 1500, marked=True),
        (Expect(text='"Hello there"'), Expect(text='"Hello there"', cached=True)),
    ),
    Scene("refusal", "an answer that is withheld", Ask("scene:refusal"), (Expect(End.REFUSED),)),
    Scene(
        "unicode and quirks",
        "quotes, backslashes, `data: `, U+2028, emoji and Python's words, byte for byte, both ways",
        Ask(f"scene:quirks {ODD}"),
        (Expect(exact=QUIRKS),),
        (ODD,),
    ),
    Scene(
        "long",
        f"an answer of {LONG} words",
        Ask(f"scene:long {LONG}", limit=8000),
        (Expect(exact=" ".join(f"word{number}" for number in range(LONG))),),
    ),
)
