"""Ways to make requests, conversations and streams long, whatever the dialect."""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from dialects.core.conversation import (
    CacheMark,
    Conversation,
    Family,
    Media,
    MediaKind,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
)

_NUMBERED = frozenset(
    {"call_id", "contentBlockIndex", "id", "index", "item_id", "name", "output_index", "sequence_number"}
    | {"tool_call_id", "tool_use_id", "toolUseId"}
)
"""The fields in which an element differs from others of its kind."""
_WORD, _NUMBER = "<number>", 987_654_321
"""Marks for a number in an element's JSON."""
Path = tuple[str | int, ...]


def lists_in(value: Any, path: Path = ()) -> Iterator[Path]:
    """Find the places of all lists with elements."""
    if isinstance(value, list) and value:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from lists_in(each, (*path, key))


def at(value: Any, path: Path) -> Any:
    """Return the value at a place."""
    for key in path:
        value = value[key]
    return value


def with_list(body: Any, path: Path, elements: list[Any]) -> Any:
    """Copy a body with other elements in one of its lists."""
    changed = copy.deepcopy(body)
    at(changed, path[:-1])[path[-1]] = elements
    return changed


def many(element: Any, times: int) -> list[Any]:
    """Copy an element many times, each with other ids and names."""
    text = json.dumps(_marked(element))
    if str(_NUMBER) not in text and _WORD not in text:
        return orjson.loads(f"[{','.join([text] * times)}]")  # type: ignore[no-any-return]
    copies = (text.replace(_WORD, str(number)).replace(str(_NUMBER), str(number)) for number in range(times))
    return orjson.loads(f"[{','.join(copies)}]")  # type: ignore[no-any-return]


def _marked(value: Any) -> Any:
    if isinstance(value, list):
        return [_marked(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: _numbered(each) if key in _NUMBERED else _marked(each) for key, each in value.items()}


def _numbered(value: Any) -> Any:
    if isinstance(value, str):
        return f"{value}_{_WORD}"
    return _NUMBER if type(value) is int else _marked(value)


def together(elements: list[Any], times: int) -> list[Any]:
    """Copy each element many times, one after the other; every second one in the reverse order, as of late results."""
    copies = [many(each, times)[:: -1 if place % 2 else 1] for place, each in enumerate(elements)]
    return [each for some in copies for each in some]


def in_turn(elements: list[Any], times: int) -> list[Any]:
    """Copy all elements many times, in their order."""
    return [each for some in zip(*(many(each, times) for each in elements), strict=True) for each in some]


# --- Conversations

_LONG = "a tool with a long name, of which the first and the last characters are the same " * 2
_NOTE = Media(MediaKind.DOCUMENT, "text/plain", "aGk=", name="notes")
_PICTURE = Media(MediaKind.IMAGE, "image/png", "AAAA")
USER, MODEL, SYSTEM = Role.USER, Role.ASSISTANT, Role.SYSTEM
_ASKED = Message(USER, (Text("hi"),))


def _call(number: int) -> ToolCall:
    return ToolCall(f"call {number}", f"f{number % 7}", f'{{"$a": {number}, "${number}": 1}}')


def _result(number: int) -> ToolResult:
    return ToolResult(f"call {number}", (Text("ok"),))


def _calls(number: int) -> tuple[Part, ...]:
    return tuple(map(_call, range(number)))


def _results(number: int) -> tuple[Part, ...]:
    return tuple(map(_result, reversed(range(number))))


def _apart(role: Role, parts: tuple[Part, ...]) -> tuple[Message, ...]:
    return tuple(Message(role, (part,)) for part in parts)


def _said(*messages: Message) -> Conversation:
    return Conversation("m", messages=(_ASKED, *messages))


def _declared(*tools: ToolSpec) -> Conversation:
    return Conversation("m", messages=(_ASKED,), tools=tools)


def _tool(name: str, keys: int = 1) -> ToolSpec:
    properties = {f"${key}": {"type": "string"} for key in range(keys)}
    return ToolSpec(name, "", {"type": "object", "properties": properties, "required": [*properties]})


CONVERSATIONS: Mapping[str, Callable[[int], Conversation]] = {
    "turns": lambda n: _said(*[Message(MODEL, (Text("b"),)), _ASKED] * n),
    "turns of one role": lambda n: _said(*[_ASKED] * n, *[Message(MODEL, (Text("b"),))] * n, _ASKED),
    "parts": lambda n: _said(Message(USER, (Text("a"),) * n)),
    "instructions first": lambda n: replace(_said(), messages=(*[Message(SYSTEM, (Text("a"),))] * n, _ASKED)),
    "late instructions": lambda n: _said(*[Message(SYSTEM, (Text("a"),))] * n),
    "calls and results in pairs": lambda n: _said(
        *[each for i in range(n) for each in (Message(MODEL, (_call(i),)), Message(USER, (_result(i),)))]
    ),
    "parallel calls": lambda n: _said(Message(MODEL, _calls(n)), Message(USER, _results(n))),
    "results one by one": lambda n: _said(Message(MODEL, _calls(n)), *_apart(USER, _results(n))),
    "calls one by one": lambda n: _said(*_apart(MODEL, _calls(n)), Message(USER, _results(n))),
    "instructions among calls": lambda n: _said(
        Message(MODEL, _calls(n)), *[Message(SYSTEM, (Text("a"),)), Message(USER, (_result(1),))] * n
    ),
    "calls without results": lambda n: _said(*_apart(MODEL, _calls(n)), _ASKED),
    "results without calls": lambda n: _said(*_apart(USER, _results(n))),
    "thoughts": lambda n: _said(
        Message(MODEL, tuple(Thinking("a", f"behind:{i:04}", family=[*Family][i % 3]) for i in range(n))), _ASKED
    ),
    "calls before their thoughts": lambda n: _said(
        Message(MODEL, (*_calls(n), *(Thinking("", f"behind:{i:04}", family=Family.GEMINI) for i in range(n))))
    ),
    "documents of one name": lambda n: _said(Message(USER, tuple(replace(_NOTE, cache=CacheMark()) for _ in range(n)))),
    "pictures of the model": lambda n: _said(*[Message(MODEL, (_PICTURE,))] * n, _ASKED),
    "marks": lambda n: _said(Message(USER, (Text("a", CacheMark()),) * n)),
    "tools": lambda n: _declared(*(_tool(f"{_LONG}{i}{_LONG}") for i in range(n))),
    "tools of one name": lambda n: _declared(*(_tool("f", 1 + i % 2) for i in range(n))),
    "odd keys": lambda n: replace(_said(*_apart(MODEL, _calls(n))), tools=(_tool("f", n),)),
}
"""Long conversations, by what there is much of."""
