"""The template of a request to orchestration, with protection of user texts that look like placeholders.

Orchestration requires a template of at least one message, which follows the history. It searches only the template for
placeholders such as ``{{?name}}``, and refuses the request if one has no value or is malformed. Therefore the last
message of the conversation is the template, and all others are the history. A text of the template with such braces
becomes the value of a placeholder of ours, because values are not searched.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from dialects.core.conversation import JSON

_MARKUP = re.compile(r"\{\s*[{%#]")
"""The possible beginning of a placeholder, or of a statement of the template language."""
_BRACES = str.maketrans("{}", "()")
TEXT = "text"
"""The prefix of the names of our placeholders, before a number."""
_FINDINGS = "Documents that were found for this:\n{}"
_FINDINGS_LATER = "Documents that were found for the question {}:\n{}"


def laid_out(messages: list[JSON]) -> tuple[list[JSON], list[JSON], dict[str, str]]:
    """Divide messages into the history and the template. Also return the values of the template's placeholders."""
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
    """Return the placeholder for the value *name*."""
    return f"{{{{?{name}}}}}"


def messages_of(prompt: Mapping[str, Any], values: Mapping[str, str]) -> list[JSON]:
    """Undo `laid_out`: return the messages of a template with the values in place of the placeholders."""
    own = {placeholder(name): value for name, value in values.items()}
    return [_with_texts(message, lambda text: own.get(text, text)) for message in prompt.get("template", [])]


def last_text(messages: list[JSON]) -> str:
    """Return the user's last text; empty if there is none."""
    for message in reversed(messages):
        if message["role"] == "user" and (texts := [text for text in _texts(message["content"]) if text]):
            return texts[-1]
    return ""


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content if part["type"] == "text"]


def _with_texts(message: JSON, held: Callable[[str], str]) -> JSON:
    """Replace each text of a message by the result of *held*, and the braces in file names by parentheses."""
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
    """Make the user's last text the value of the placeholder *question*, and add the placeholder *findings* after it.

    If the last message is a tool result, both are in a new message after it. Returns the template and the values, or
    None if there is no text of the user, or if the last message is a prefilled answer.
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
