"""The template of a request to orchestration, and why no text of a user is taken for a placeholder.

Orchestration wants a template of at least one message beside tools and formats, and puts it behind the history.
Only the template is searched for placeholders such as ``{{?name}}``: one without a value refuses the request, and so
does a malformed one. Therefore the conversation is the history, but for its last message, which is the template; and
a text of that with braces as placeholders have them is the value of one of ours. Values are not searched again.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from dialects.core.conversation import JSON

_MARKUP = re.compile(r"\{\s*[{%#]")
"""What could begin a placeholder, or a statement of the language in which templates are written."""
_BRACES = str.maketrans("{}", "()")
TEXT = "text"
"""How the names of our placeholders begin; a number follows."""
_FINDINGS = "Documents that were found for this:\n{}"
_FINDINGS_LATER = "Documents that were found for the question {}:\n{}"


def laid_out(messages: list[JSON]) -> tuple[list[JSON], list[JSON], dict[str, str]]:
    """Divide messages into the history and the template, whose placeholders have these values."""
    *history, last = messages
    values: dict[str, str] = {}

    def held(text: str) -> str:
        if not _MARKUP.search(text):
            return text
        name = f"{TEXT}{len(values) + 1}"
        values[name] = text
        return placeholder(name)

    return history, [_with_texts(last, held)], values


def placeholder(name: str) -> str:
    """Write the place where a value goes."""
    return f"{{{{?{name}}}}}"


def messages_of(prompt: Mapping[str, Any], values: Mapping[str, str]) -> list[JSON]:
    """Undo `laid_out`: give the messages of a template with the values in their places."""
    own = {placeholder(name): value for name, value in values.items()}
    return [_with_texts(message, lambda text: own.get(text, text)) for message in prompt.get("template", [])]


def last_text(messages: list[JSON]) -> str:
    """Find what the user said last."""
    for message in reversed(messages):
        if message["role"] == "user" and (texts := [text for text in _texts(message["content"]) if text]):
            return texts[-1]
    return ""


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content if part["type"] == "text"]


def _with_texts(message: JSON, held: Callable[[str], str]) -> JSON:
    """Write each text of a message in another way; names of files, which may be any, are given no braces."""
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": held(content)}
    return {**message, "content": [_part(part, held) for part in content]}


def _part(part: JSON, held: Callable[[str], str]) -> JSON:
    match part:
        case {"type": "text", "text": str(text)}:
            return {**part, "text": held(text)}
        case {"type": "file", "file": {"filename": str(name), **file}}:
            return {**part, "file": {**file, "filename": name.translate(_BRACES)}}
        case _:
            return part


def grounded(
    history: list[JSON], template: list[JSON], values: Mapping[str, str], question: str, findings: str
) -> tuple[list[JSON], dict[str, str]] | None:
    """Make what the user said last the value of the placeholder *question*, and put *findings* behind it.

    Where the last message is a tool's, both stand in a message behind it. None where the user said nothing, or where
    an answer has been begun for the model.
    """
    last = template[-1]
    if last["role"] == "tool":
        asked = last_text(history)
        text = _FINDINGS_LATER.format(placeholder(question), placeholder(findings))
        return ([*template, {"role": "user", "content": text}], {**values, question: asked}) if asked else None
    if last["role"] != "user":
        return None
    parts = _as_parts(last["content"])
    place = next((at for at in reversed(range(len(parts))) if parts[at]["type"] == "text" and parts[at]["text"]), None)
    if place is None:
        return None
    own = {placeholder(name): name for name in values}
    text = parts[place]["text"]
    name = own.get(text)
    parts[place] = {**parts[place], "text": placeholder(question)}
    parts.append({"type": "text", "text": _FINDINGS.format(placeholder(findings))})
    others = {other: value for other, value in values.items() if other != name}
    asked = values[name] if name is not None else text
    return [*template[:-1], {**last, "content": parts}], {**others, question: asked}


def _as_parts(content: str | list[JSON]) -> list[JSON]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
