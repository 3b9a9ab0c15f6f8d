"""Names of tools and ids of calls, which are replaced if a model does not accept them; and dropped and duplicate tools.

MCP clients make names such as ``mcp__server__tool``. Anthropic accepts 128 characters, most others 64, and the accepted
characters differ. A name that the model does not accept is replaced by another one, which is the same in every turn so
that prompt caches keep working. The client sees only its own names.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeVar

from dialects.core.conversation import JSON, Completion, Conversation, Message, Opaque, ToolCall, ToolChoice, ToolSpec
from dialects.core.events import BlockStarted, Event
from dialects.core.faults import invalid
from dialects.core.streams import EventReader, EventRewriter, RewritingReader
from dialects.framing.json_text import dumps, object_around, object_from

LONGEST = 64
"""The longest name that every model accepts. Claude accepts 128 characters, but not through Converse."""
_HEAD = 20
"""The number of characters kept from the beginning of a long name. More are kept of its end, where names differ."""

_Any = TypeVar("_Any")


def fitting_name(name: str, odd: re.Pattern[str]) -> str:
    """Return a name without *odd* characters and of at most 64 characters. Different names stay different."""
    return name if _fits(name, odd) else next(rewritten_name(name, odd))


def call_id(id: str, longest: int, odd: re.Pattern[str] | None = None) -> str:
    """Return the id of a call without *odd* characters and of at most *longest* characters.

    Different ids stay different. The result depends on the id alone, so that calls and their results keep matching.
    """
    plain = odd.sub("_", id) if odd else id
    if plain == id and 0 < len(id) <= longest:
        return id
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{plain[: longest - 17]}_{digest}"


def tool_names_for(conversation: Conversation, odd: re.Pattern[str]) -> "ToolNames":
    """Choose new names for tools whose names have *odd* characters or are too long. No two tools get the same name."""
    names = set(_names(conversation))
    strange = sorted(name for name in names if not _fits(name, odd))
    taken, sent = names.difference(strange), dict[str, str]()
    for name in strange:
        sent[name] = next(other for other in rewritten_name(name, odd) if other not in taken)
        taken.add(sent[name])
    return ToolNames(sent)


@dataclass(frozen=True, slots=True)
class ToolNames:
    """The adaptation that renames tools.

    *sent* has the names that are sent to the model, by the client's names; other names stay.
    """

    sent: Mapping[str, str] = field(default_factory=dict)

    def to_model(self, conversation: Conversation) -> Conversation:
        """Replace the client's names of tools by those that the model accepts."""
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
        """Restore the client's names of tools in a response."""
        if not self.sent:
            return completion
        own = self._own
        return replace(completion, parts=tuple(_called(part, own) for part in completion.parts))

    def reader(self, reader: EventReader) -> EventReader:
        """Return a reader that restores the client's names of tools in a stream."""
        return RewritingReader(reader, _Rewriter(self._own)) if self.sent else reader

    @property
    def _own(self) -> Mapping[str, str]:
        return {sent: own for own, sent in self.sent.items()}


class _Rewriter(EventRewriter):
    """Restores the client's names of tools in events."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def rewrite(self, event: Event) -> Iterator[Event]:
        """Yield the event with the client's name, if it is the beginning of a call."""
        yield replace(event, block=_called(event.block, self._names)) if isinstance(event, BlockStarted) else event


def named_once(tools: Sequence[JSON], mark: str = "") -> tuple[list[JSON], set[str]]:
    """Leave only the last tool of each name, in the position of the first. Only GPT models accept two.

    Clients that combine several lists of tools may declare the same tool twice. If the two differ, such a client runs
    the last one, and the names of the others are returned as dropped. *mark* is a field that is not compared, and that
    is kept if either tool has it.
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
    """Leave only the last tool of each name, as `named_once` does, and return the names of those that differed."""
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


def narrowed(
    tools: tuple[ToolSpec | Opaque, ...], names: AbstractSet[str], where: str
) -> tuple[ToolSpec | Opaque, ...]:
    """Leave out functions that are not in *names*, the client's list of allowed tools.

    *where* is the place of that list, for the `FaultError` that is raised if no tool is left.
    """
    kept = tuple(tool for tool in tools if isinstance(tool, Opaque) or tool.name in names)
    if tools and not kept:
        raise invalid(f"{where} allows none of the functions in tools", where)
    return kept


def arguments_of(call: ToolCall, dropped: set[str]) -> JSON:
    """Return the arguments of a call in the history as an object, which most models require.

    The arguments of a call that was cut off by the length limit are not valid JSON, and stay in the client's history.
    They are wrapped in an object and reported as dropped, because an error would block the rest of the conversation.
    """
    loaded = object_from(call.arguments)
    if loaded is None:
        dropped.add("broken arguments")
    return object_around(call.arguments) if loaded is None else loaded


def lost_with(tool: Opaque) -> set[str]:
    """Return the names of what is lost if a tool of another dialect is left out.

    The callable tools of a namespace are not lost, because each of them is declared as a tool of its own.
    """
    match tool.payload:
        case {"type": "namespace", "name": str(), "tools": [*members]}:
            others = [member for member in members if not is_callable(member)]
            return {f"tool {Opaque(tool.dialect, _object(member)).kind}" for member in others}
        case _:
            return {f"tool {tool.kind}"}


def is_callable(tool: Any) -> bool:
    """Return whether a member of a namespace is a function or custom tool with a name by which it can be called."""
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
    """Yield an endless series of new names for *name*, each of an accepted length, without *odd* characters."""
    plain, room = odd.sub("_", name), LONGEST - 9
    short = plain if len(plain) <= room else plain[:_HEAD] + plain[_HEAD - room :]
    for number in count():
        digest = hashlib.sha256(f"{name}{number}".encode("utf-8", "surrogatepass")).hexdigest()
        yield f"{short}_{digest[:8]}"


def _called(thing: _Any, names: Mapping[str, str]) -> _Any:
    """Return *thing* with its tool name replaced, if *names* has a replacement."""
    if isinstance(thing, ToolSpec | ToolCall | ToolChoice) and thing.name in names:
        return replace(thing, name=names[thing.name])
    return thing
