"""Unsupported features: content that only the client's dialect has, and fields that only one server understands.

Content is replaced by its approximation, if it has one. Otherwise a request is rejected if the model would miss the
content. All other content is left to the renderers, which leave it out and report it as dropped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dialects.adapt.tool_choice import check_choice
from dialects.core.conversation import JSON, Conversation, Message, Opaque, Part, ResultPart, Role, ToolResult
from dialects.core.faults import FaultError, invalid

_STORED_ELSEWHERE = {
    "previous_response_id": "the conversation is stored elsewhere; send all of it as input",
    "conversation": "the conversation is stored elsewhere; send all of it as input",
    "prompt": "stored prompts are not supported; send the instructions and the input themselves",
    "background": "responses in the background are not supported; leave it out, or stream the response",
    "cachedContent": "the cached prompt is stored elsewhere; send all of it as contents",
}
"""Fields that refer to data on one server, and the advice for clients."""
_ANSWER_COUNTS = ("n", "generationConfig.candidateCount")
"""The fields that request several answers."""


def approximate_or_reject(
    conversation: Conversation, own: str = "", has: Callable[[Opaque], bool] | None = None
) -> Conversation:
    """Replace content that the model does not support by approximations.

    Raises `FaultError` if the model would miss content that has none, or if a field or the tool choice is not
    supported. *own* is the model's native dialect. *has* returns whether the model has a tool that is not a function;
    without it, the model has no such tools.
    """
    _check_fields(conversation)
    check_choice(conversation, has or (lambda _: False))
    approximation = _Approximation(conversation.model, own)
    if not any(_has_opaque(message.parts) for message in conversation.messages):
        return conversation
    messages = tuple(
        Message(message.role, tuple(approximation.parts(message.parts, message.role)))
        for message in conversation.messages
    )
    return replace(conversation, messages=messages)


def _has_opaque(parts: Iterable[Part]) -> bool:
    return any(isinstance(part, Opaque) or (isinstance(part, ToolResult) and _has_opaque(part.parts)) for part in parts)


def reject_stored(fields: Mapping[str, Any], model: str, names: Iterable[str] = tuple(_STORED_ELSEWHERE)) -> None:
    """Raise `FaultError` if *fields* has one of *names*, which refer to data that is stored on another server."""
    for name in names:
        if fields.get(name):
            raise invalid(f"{name} cannot be used with model {model}: {_STORED_ELSEWHERE[name]}", name)


def unknown(kind: str, where: str, model: str) -> FaultError:
    """Build the error for content of the user, of a *kind* that the model does not support."""
    return invalid(f"{where} is of the type {kind}, which model {model} does not support: send it as text", where)


def by_id(where: str, model: str) -> FaultError:
    """Build the error for a file that the user refers to by an id, which the model cannot look up."""
    why = f"which model {model} cannot look up: send the data itself, as base64"
    return invalid(f"{where} refers to a file by its id, {why}", where)


def _check_fields(conversation: Conversation) -> None:
    reject_stored(conversation.extra, conversation.model)
    for name in _ANSWER_COUNTS:
        many = conversation.extra.get(name)
        if isinstance(many, int | float) and many > 1:
            raise invalid(f"{name} must be 1 with model {conversation.model}: it gives one response at a time", name)


@dataclass(frozen=True, slots=True)
class _Approximation:
    """Approximates or rejects parts for *model*, whose native dialect is *own*."""

    model: str
    own: str

    def parts(self, parts: tuple[Part, ...], role: Role) -> Iterator[Part]:
        for part in parts:
            match part:
                case ToolResult():
                    said = self.parts(part.parts, Role.USER)
                    yield replace(part, parts=tuple(each for each in said if isinstance(each, ResultPart)))
                case Opaque() if part.dialect == self.own:
                    yield part
                case Opaque(approximation=approximation) if approximation:
                    yield from self.parts(approximation, role)
                case Opaque():
                    self.check(part, role)
                    yield part
                case _:
                    yield part

    def check(self, part: Opaque, role: Role) -> None:
        """Raise `FaultError` for a part with a rejection, and for content of the user without an approximation."""
        if part.rejection:
            why = f"which model {self.model} {part.rejection}"
            raise invalid(f"{part.where} is of the type {part.kind}, {why}", part.where)
        if role is not Role.USER or not part.where:
            return
        raise by_id(part.where, self.model) if _is_by_id(part.payload) else unknown(part.kind, part.where, self.model)


def _is_by_id(payload: JSON) -> bool:
    """Return whether this is a reference to an uploaded file by an id, which only the server of the upload knows."""
    match payload:
        case {"file_id": str()} | {"file": {"file_id": str()}} | {"source": {"type": "file"}}:
            return True
        case _:
            return False
