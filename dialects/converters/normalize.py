"""Normalization of bodies written by hand into the form that the parsers accept.

Malformed parts are left out and listed. The proxy itself does not use this module: it refuses malformed requests.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dialects.core.conversation import JSON

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_ANSWERS = {"tool": "tool_call_id", "function": "name"}
"""The roles that answer a call, and the field that holds the id or name of the call."""
_BLOCKS = {"text": "text", "thinking": "thinking"}
_DELTAS = {
    "text": "text_delta",
    "thinking": "thinking_delta",
    "signature": "signature_delta",
    "partial_json": "input_json_delta",
}
"""The field by which a block or delta without a type is recognised, and its type."""
_NO_CONTENT = "its content is neither text nor parts"


@dataclass(frozen=True, slots=True)
class Normalized:
    """A normalized body, and sentences about what was left out of it. They quote nothing of the body."""

    body: JSON
    problems: tuple[str, ...] = ()


def chat_request(body: JSON, numbers_as_text: bool = False) -> Normalized:
    """Normalize an OpenAI chat request. If *numbers_as_text*, content that is a number becomes text."""
    return _Normalizer(_CHAT_SETTINGS, numbers_as_text).request(body)


def anthropic_request(body: JSON, numbers_as_text: bool = False) -> Normalized:
    """Normalize an Anthropic request. If *numbers_as_text*, content that is a number becomes text."""
    return _Normalizer(_ANTHROPIC_SETTINGS, numbers_as_text).request(body)


def anthropic_response(body: JSON) -> JSON:
    """Add the missing types of blocks in an Anthropic message."""
    content = body.get("content")
    return body | {"content": [_typed(block, _BLOCKS) for block in content]} if isinstance(content, list) else body


def anthropic_event(message: JSON) -> JSON:
    """Add a missing type of a delta, and a missing block index, in an event of an Anthropic stream."""
    if message.get("type") != "content_block_delta":
        return message
    return {"index": 0, **message, "delta": _typed(message.get("delta"), _DELTAS)}


def converse_response(body: JSON) -> JSON:
    """Rename the count of tokens written to a cache, for which callers use Anthropic's name, to that of Converse."""
    usage = body.get("usage")
    if not isinstance(usage, dict) or "cacheCreationInputTokens" not in usage:
        return body
    return body | {"usage": {"cacheWriteInputTokens": usage["cacheCreationInputTokens"], **usage}}


def gemini_response(body: JSON) -> JSON:
    """Replace a single object that stands for a list of one with the list, as Google's JSON allows."""
    match body:
        case {"candidates": [{"content": {"parts": dict() as part, **content}, **candidate}, *others]}:
            return body | {"candidates": [candidate | {"content": content | {"parts": [part]}}, *others]}
        case _:
            return body


def _typed(block: Any, types: Mapping[str, str]) -> Any:
    if not isinstance(block, dict) or "type" in block:
        return block
    kind = next((kind for name, kind in types.items() if isinstance(block.get(name), str)), None)
    return block if kind is None else {"type": kind, **block}


def _whole(value: Any) -> int | float:
    return _number(int(value) if isinstance(value, str) else value)


def _number(value: Any) -> int | float:
    number = float(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise TypeError("no number")
    return number


def _texts(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise TypeError("no texts")
    return texts


_CHAT_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "max_tokens": _whole,
    "max_completion_tokens": _whole,
    "temperature": _number,
    "top_p": _number,
    "stop": _texts,
}
_ANTHROPIC_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "max_tokens": _whole,
    "temperature": _number,
    "top_p": _number,
    "top_k": _whole,
    "stop_sequences": _texts,
}
"""The optional settings of a request, and the function that reads each."""


@dataclass(slots=True)
class _Normalizer:
    """Normalizes one request. *problems* collects what is left out."""

    settings: Mapping[str, Callable[[Any], Any]]
    numbers_as_text: bool
    problems: list[str] = field(default_factory=list)

    def request(self, body: JSON) -> Normalized:
        out = {name: value for name, value in body.items() if name not in self.settings} | self.settled(body)
        if isinstance(body.get("system"), list | dict):
            out["system"] = self.blocks(body["system"], "system")
        if isinstance(body.get("messages"), list):
            messages = (self.message(each, f"messages[{index}]") for index, each in enumerate(body["messages"]))
            out["messages"] = [message for message in messages if message is not None]
        return Normalized(out, tuple(self.problems))

    def settled(self, body: JSON) -> JSON:
        """Read the settings; leave out those that cannot be read."""
        settled: JSON = {}
        for name, read in self.settings.items():
            if name in body:
                try:
                    settled[name] = read(body[name])
                except (ValueError, TypeError, OverflowError):
                    self.left_out(name, "its value is not valid")
        return settled

    def message(self, message: Any, where: str) -> Any:
        """Normalize a message; return None for one that is left out."""
        if not isinstance(message, dict):
            return message
        if why := _why_useless(message):
            return self.left_out(where, why)
        content = self.content(message.get("content"), f"{where}.content")
        if content is not None:
            return message | {"content": content}
        if not _says_more(message):
            return self.left_out(where, _NO_CONTENT)
        if message.get("content") is not None:
            self.left_out(f"{where}.content", _NO_CONTENT)
        return message | {"content": None}

    def left_out(self, where: str, why: str) -> None:
        self.problems.append(f"{where} is left out: {why}")

    def content(self, content: Any, where: str) -> str | list[Any] | None:
        """Normalize content; return None if it is empty."""
        match content:
            case str():
                return content
            case list() | dict():
                return self.blocks(content, where) or ([] if content == [] else None)
            case int() | float() if self.numbers_as_text and not isinstance(content, bool):
                return str(content)
            case _:
                return None

    def blocks(self, content: list[Any] | JSON, where: str) -> list[Any]:
        """Normalize a list of blocks, or a single block."""
        blocks: list[Any] = []
        for index, block in enumerate([content] if isinstance(content, dict) else content):
            match {"type": "text", "text": block} if isinstance(block, str) else _typed(block, _BLOCKS):
                case {"type": _} as known:
                    blocks.append(known)
                case _:
                    self.left_out(f"{where}[{index}]", "it is not a content part")
        return blocks


def _why_useless(message: JSON) -> str:
    """Return why a message cannot be used, whatever its content is; return an empty string if it can."""
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        return "its role is unknown"
    if role in _ANSWERS and not isinstance(message.get(_ANSWERS[role]), str):
        return f"it answers no call, because it has no {_ANSWERS[role]}"
    return ""


def _says_more(message: JSON) -> bool:
    """Return whether a message has more than content, such as calls."""
    return any(value for name, value in message.items() if name not in ("role", "content", "name"))
