"""JSON as people write it, with comments and commas at the end: read, and edited so that all the rest stays."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.tool_settings.tool import Edits

_TOKEN: Final = re.compile(
    r'(?P<blank>\s+|//[^\n]*|/\*.*?\*/)|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<mark>[{}\[\],:])|(?P<word>[^\s{}\[\],:"/]+)',
    re.DOTALL,
)
_INDENT: Final = "  "


@dataclass(frozen=True, slots=True)
class _Node:
    """A value, and from where to where it stands in the text."""

    value: Any
    start: int
    end: int
    members: dict[str, "_Node"] = field(default_factory=dict)


class _Reader:
    """Reads one value; raises `ValueError` where the text is no JSON."""

    def __init__(self, text: str) -> None:
        self._tokens: list[re.Match[str]] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise ValueError(f"line {text.count(chr(10), 0, at) + 1}: {text[at]!r} is out of place")
            at = found.end()
            if found.lastgroup != "blank":
                self._tokens.append(found)
        self._text = text
        self._at = 0

    def document(self) -> _Node:
        node = self._value()
        if self._at < len(self._tokens):
            raise self._misplaced()
        return node

    def _value(self) -> _Node:
        token = self._next()
        match token.group():
            case "{":
                return self._object(token.start())
            case "[":
                return self._list(token.start())
            case text:
                if token.lastgroup == "mark":
                    self._at -= 1
                    raise self._misplaced()
                return _Node(json.loads(text), *token.span())

    def _object(self, start: int) -> _Node:
        members: dict[str, _Node] = {}
        while not self._has("}"):
            name = json.loads(self._next().group())
            if not isinstance(name, str) or not self._has(":"):
                raise self._misplaced()
            members[name] = self._value()
            if not self._has(","):
                if not self._has("}"):
                    raise self._misplaced()
                break
        return _Node({name: each.value for name, each in members.items()}, start, self._end, members)

    def _list(self, start: int) -> _Node:
        items: list[Any] = []
        while not self._has("]"):
            items.append(self._value().value)
            if not self._has(","):
                if not self._has("]"):
                    raise self._misplaced()
                break
        return _Node(items, start, self._end)

    @property
    def _end(self) -> int:
        return self._tokens[self._at - 1].end()

    def _next(self) -> re.Match[str]:
        if self._at == len(self._tokens):
            raise ValueError("it ends too soon")
        self._at += 1
        return self._tokens[self._at - 1]

    def _has(self, mark: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at].group() == mark
        self._at += found
        return found

    def _misplaced(self) -> ValueError:
        if self._at == len(self._tokens):
            return ValueError("it ends too soon")
        token = self._tokens[self._at]
        line = self._text.count("\n", 0, token.start()) + 1
        return ValueError(f"line {line}: {token.group()!r} is out of place")


def parse_object(text: str) -> dict[str, Any]:
    """Read an object of JSON with comments; raise `ValueError` if it is none."""
    value = _Reader(text).document().value
    if not isinstance(value, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - of the text, as all that is wrong with it
    return value


def edit(text: str, edits: Edits) -> str:
    """Set values where they stand, or as first members of the objects they belong to; nothing else changes."""
    for path, value in edits.items():
        text = _set(text, path, value)
    return text


def _set(text: str, path: tuple[str, ...], value: object) -> str:
    node, depth = _Reader(text).document(), 0
    while depth < len(path) and path[depth] in node.members:
        node, depth = node.members[path[depth]], depth + 1
    if depth == len(path):
        return text[: node.start] + _written(value, depth) + text[node.end :]
    if not isinstance(node.value, dict):
        return text  # whoever compares what came out with what was wanted sees it
    for name in reversed(path[depth + 1 :]):
        value = {name: value}
    member = f"\n{_INDENT * (depth + 1)}{json.dumps(path[depth])}: {_written(value, depth + 1)}"
    rest = text[node.start + 1 :]
    end = "," if node.members else "" if rest.lstrip(" \t\r").startswith("\n") else f"\n{_INDENT * depth}"
    return text[: node.start + 1] + member + end + rest


def _written(value: object, depth: int) -> str:
    return json.dumps(value, indent=len(_INDENT), ensure_ascii=False).replace("\n", "\n" + _INDENT * depth)
