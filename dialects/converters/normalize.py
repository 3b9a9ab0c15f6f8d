"""Normalization: bodies as callers write them by hand, put into the form that parsers take.

What makes no sense is left out and named. The proxy itself reads nothing this
way: it refuses what its clients' dialects do not know.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dialects.core.conversation import JSON

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_ANSWERS = {"tool": "tool_call_id", "function": "name"}
"""The roles that answer a call, and the field that says which."""
_BLOCKS = {"text": "text", "thinking": "thinking"}
_DELTAS = {
    "text": "text_delta",
    "thinking": "thinking_delta",
    "signature": "signature_delta",
    "partial_json": "input_json_delta",
}
"""The type of a block or a delta without one, by the field it has."""
_NO_CONTENT = "its content is neither text nor parts"


@dataclass(frozen=True, slots=True)
class Normalized:
    """A body in form, and what was left out of it: sentences for a log that quote nothing of the body."""

    body: JSON
    problems: tuple[str, ...] = ()


def chat_request(body: JSON, numbers_as_text: bool = False) -> Normalized:
    """Put an OpenAI chat request into form; a content that is a number is text if *numbers_as_text*."""
    return _Normalizer(_CHAT_SETTINGS, numbers_as_text).request(body)


def anthropic_request(body: JSON, numbers_as_text: bool = False) -> Normalized:
    """Put an Anthropic request into form; a content that is a number is text if *numbers_as_text*."""
    return _Normalizer(_ANTHROPIC_SETTINGS, numbers_as_text).request(body)


def anthropic_response(body: JSON) -> JSON:
    """Give each block of an Anthropic message its type."""
    content = body.get("content")
    return body | {"content": [_typed(block, _BLOCKS) for block in content]} if isinstance(content, list) else body


def anthropic_event(message: JSON) -> JSON:
    """Give the delta of an Anthropic stream its type, and its block a number."""
    if message.get("type") != "content_block_delta":
        return message
    return {"index": 0, **message, "delta": _typed(message.get("delta"), _DELTAS)}


def converse_response(body: JSON) -> JSON:
    """Call the tokens written to a cache as Converse does: callers know Anthropic's name for them."""
    usage = body.get("usage")
    if not isinstance(usage, dict) or "cacheCreationInputTokens" not in usage:
        return body
    return body | {"usage": {"cacheWriteInputTokens": usage["cacheCreationInputTokens"], **usage}}


def gemini_response(body: JSON) -> JSON:
    """Put lists where a lone object stands for one, as Google's own reading of JSON does."""
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
"""What a request may do without, and how it is read."""


@dataclass(slots=True)
class _Normalizer:
    """Puts one request into form; *problems* collects what is left out."""

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
        """Read the settings that can be read."""
        settled: JSON = {}
        for name, read in self.settings.items():
            if name in body:
                try:
                    settled[name] = read(body[name])
                except (ValueError, TypeError, OverflowError):
                    self.left_out(name, "its value is not valid")
        return settled

    def message(self, message: Any, where: str) -> Any:
        """Put a message into form; None for one that is left out."""
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
        """Put a content into form; None for one that says nothing."""
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
        """Put blocks into form, of which one may stand alone."""
        blocks: list[Any] = []
        for index, block in enumerate([content] if isinstance(content, dict) else content):
            match {"type": "text", "text": block} if isinstance(block, str) else _typed(block, _BLOCKS):
                case {"type": _} as known:
                    blocks.append(known)
                case _:
                    self.left_out(f"{where}[{index}]", "it is not a content part")
        return blocks


def _why_useless(message: JSON) -> str:
    """Name why nobody could make sense of a message, whatever its content."""
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        return "its role is unknown"
    if role in _ANSWERS and not isinstance(message.get(_ANSWERS[role]), str):
        return f"it answers no call, because it has no {_ANSWERS[role]}"
    return ""


def _says_more(message: JSON) -> bool:
    """Whether a message says something beside its content, such as calls."""
    return any(value for name, value in message.items() if name not in ("role", "content", "name"))
