"""Names of tools and ids of calls that a model takes, where those of the client do not fit; and what is lost of tools.

MCP clients make names such as ``mcp__server__tool``: Anthropic takes 128
characters of them, most others 64, and not everyone the same letters. A name
the model does not take is written in another way, the same in every turn, so
that caches of prompts stay warm; the client hears of none but its own names.
"""

import hashlib
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeVar

from dialects.core.conversation import JSON, Completion, Conversation, Message, Opaque, ToolCall, ToolChoice, ToolSpec
from dialects.core.events import BlockStarted, Event
from dialects.core.faults import invalid
from dialects.core.streams import EventReader, EventRewriter, RewritingReader
from dialects.framing.json_text import dumps, object_around, object_from

LONGEST = 64
"""How long a name may be for every model: Claude takes 128, but not through Converse; of Gemini only the docs do."""
_HEAD = 20
"""How much of the beginning of a name is kept that is too long; the rest is of its end, which tells tools apart."""

_Any = TypeVar("_Any")


def fitting_name(name: str, odd: re.Pattern[str]) -> str:
    """Write a name with no *odd* letters and at no more than 64 characters, such that two stay two."""
    return name if _fits(name, odd) else next(rewritten_name(name, odd))


def call_id(id: str, longest: int, odd: re.Pattern[str] | None = None) -> str:
    """Write a call's id with no *odd* letters and at no more than *longest* characters, such that two stay two.

    Calls and their answers are written alike, hence go on belonging together.
    """
    plain = odd.sub("_", id) if odd else id
    if plain == id and 0 < len(id) <= longest:
        return id
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{plain[: longest - 17]}_{digest}"


def tool_names_for(conversation: Conversation, odd: re.Pattern[str]) -> "ToolNames":
    """Choose other names for tools whose names hold *odd* letters or are too long: such as no other tool has."""
    names = set(_names(conversation))
    strange = sorted(name for name in names if not _fits(name, odd))
    taken, sent = names.difference(strange), dict[str, str]()
    for name in strange:
        sent[name] = next(other for other in rewritten_name(name, odd) if other not in taken)
        taken.add(sent[name])
    return ToolNames(sent)


@dataclass(frozen=True, slots=True)
class ToolNames:
    """What the tools of one request are called on the way; those that are not in *sent* keep their names."""

    sent: Mapping[str, str] = field(default_factory=dict)

    def to_model(self, conversation: Conversation) -> Conversation:
        """Rename tools as the model takes them."""
        if not self.sent:
            return conversation
        return replace(
            conversation,
            tools=tuple(_called(tool, self.sent) for tool in conversation.tools),
            tool_choice=_called(conversation.tool_choice, self.sent),
            messages=tuple(
                Message(message.role, tuple(_called(part, self.sent) for part in message.parts))
                for message in conversation.messages
            ),
        )

    def to_client(self, completion: Completion) -> Completion:
        """Give tools the client's names back."""
        if not self.sent:
            return completion
        own = self._own
        return replace(completion, parts=tuple(_called(part, own) for part in completion.parts))

    def reader(self, reader: EventReader) -> EventReader:
        """Read a stream in which tools are called as the client does."""
        return RewritingReader(reader, _Rewriter(self._own)) if self.sent else reader

    @property
    def _own(self) -> Mapping[str, str]:
        return {sent: own for own, sent in self.sent.items()}


class _Rewriter(EventRewriter):
    """Gives tools the client's names back."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def rewrite(self, event: Event) -> Iterator[Event]:
        """Give a tool the client's name back."""
        yield replace(event, block=_called(event.block, self._names)) if isinstance(event, BlockStarted) else event


def named_once(tools: Sequence[JSON], mark: str = "") -> tuple[list[JSON], set[str]]:
    """Leave one tool of each name, as no model but GPT takes two: the last, in the place of the first.

    Clients that put lists of tools together offer the same one twice. Where two differ, the last is what such a client
    runs, and the name is given. *mark* is a field in which two may differ, and which neither loses.
    """
    kept: dict[Any, JSON] = {}
    differing: set[str] = set()
    for place, tool in enumerate(tools):
        name = tool.get("name")
        key = name if isinstance(name, str) else place
        before = kept.get(key, tool)
        if before is not tool and _without(before, mark) != _without(tool, mark):
            differing.add(f"earlier tool {name}")
        kept[key] = tool | {mark: before[mark]} if mark in before and mark not in tool else tool
    return list(kept.values()), differing


def without_duplicates(conversation: Conversation) -> tuple[Conversation, set[str]]:
    """Leave one tool of each name, as `named_once` does, and name those that differed."""
    kept: dict[Any, ToolSpec | Opaque] = {}
    differing: set[str] = set()
    for tool in conversation.tools:
        if isinstance(tool, Opaque):
            kept.setdefault((tool.dialect, dumps(tool.payload)), tool)
            continue
        before = kept.get(tool.name)
        if not isinstance(before, ToolSpec):
            kept[tool.name] = tool
            continue
        if replace(before, cache=None) != replace(tool, cache=None):
            differing.add(f"earlier tool {tool.name}")
        kept[tool.name] = replace(tool, cache=tool.cache or before.cache)
    if len(kept) == len(conversation.tools):
        return conversation, set()
    return replace(conversation, tools=tuple(kept.values())), differing


def narrowed(tools: tuple[ToolSpec | Opaque, ...], names: Container[str], where: str) -> tuple[ToolSpec | Opaque, ...]:
    """Offer no other functions than those the client allows this time; *where* it says which."""
    kept = tuple(tool for tool in tools if isinstance(tool, Opaque) or tool.name in names)
    if tools and not kept:
        raise invalid(f"{where} allows none of the functions in tools", where)
    return kept


def arguments_of(call: ToolCall, dropped: set[str]) -> JSON:
    """Read the arguments of a call in the history as an object, which most models insist on.

    A call that was cut off, at the length an answer may have, is no object, and
    stays in the history of its client: refused, it would end the conversation.
    """
    loaded = object_from(call.arguments)
    if loaded is None:
        dropped.add("broken arguments")
    return object_around(call.arguments) if loaded is None else loaded


def lost_with(tool: Opaque) -> set[str]:
    """Name what is lost of a tool that only another dialect has.

    Of a namespace no tool that can be called is lost: each is a tool of its own beside it.
    """
    match tool.payload:
        case {"type": "namespace", "name": str(), "tools": [*members]}:
            others = [member for member in members if not is_callable(member)]
            return {f"tool {Opaque(tool.dialect, _object(member)).kind}" for member in others}
        case _:
            return {f"tool {tool.kind}"}


def is_callable(tool: Any) -> bool:
    """Whether a member of a namespace is a function, or a custom tool, that can be called by its name."""
    kinds = ("function", "custom")
    return isinstance(tool, dict) and tool.get("type", "function") in kinds and isinstance(tool.get("name"), str)


def _without(value: JSON, name: str) -> JSON:
    return {field: value[field] for field in value if field != name}


def _object(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def _names(conversation: Conversation) -> Iterator[str]:
    yield from (tool.name for tool in conversation.tools if isinstance(tool, ToolSpec))
    parts = [part for message in conversation.messages for part in message.parts]
    others = [inner for part in parts if isinstance(part, Opaque) for inner in part.approximation]
    yield from (part.name for part in [*parts, *others] if isinstance(part, ToolCall))
    if conversation.tool_choice is not None:
        yield conversation.tool_choice.name


def _fits(name: str, odd: re.Pattern[str]) -> bool:
    return len(name) <= LONGEST and not odd.search(name)


def rewritten_name(name: str, odd: re.Pattern[str]) -> Iterator[str]:
    """Write a name with no *odd* letters and not too long, in ways without end, each with a hash of its own."""
    plain, room = odd.sub("_", name), LONGEST - 9
    short = plain if len(plain) <= room else plain[:_HEAD] + plain[_HEAD - room :]
    for number in count():
        digest = hashlib.sha256(f"{name}{number}".encode("utf-8", "surrogatepass")).hexdigest()
        yield f"{short}_{digest[:8]}"


def _called(thing: _Any, names: Mapping[str, str]) -> _Any:
    """Give something with the name of a tool another name, if there is another for it."""
    if isinstance(thing, ToolSpec | ToolCall | ToolChoice) and thing.name in names:
        return replace(thing, name=names[thing.name])
    return thing
