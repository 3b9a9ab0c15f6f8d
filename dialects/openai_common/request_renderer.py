"""What requests in both of OpenAI's dialects hold alike: answered calls, the name of the user, documents as text."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator

from dialects.adapt.attachments import as_text, is_text
from dialects.adapt.turn_order import NO_RESULT
from dialects.core.conversation import (
    JSON,
    Conversation,
    Family,
    MarkablePart,
    Media,
    MediaKind,
    Message,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)


def plain_text(attached: Media) -> str | None:
    """Read a document that is nothing but text; None for any other."""
    if attached.kind is not MediaKind.DOCUMENT or not is_text(attached.mime) or not attached.data:
        return None
    try:
        text = base64.b64decode(attached.data).decode()
    except (binascii.Error, ValueError):
        return None
    return as_text(text, name=attached.name)


def own_thinking(part: Thinking) -> bool:
    """Whether a model of OpenAI signed this, hence may be shown it."""
    return part.family is Family.OPENAI and bool(part.signature)


AS_JSON = Text("Answer with one JSON object.")
"""What is said to a GPT for clients that need not say it: without the word, OpenAI gives no JSON object."""
_LONGEST_USER = 64


def user_of(conversation: Conversation) -> JSON:
    """Name the user, in the 64 characters OpenAI has for it: Claude Code's users have more.

    A longer name becomes its digest, which is as good: nobody reads it, it only
    tells users apart.
    """
    user = conversation.user
    if len(user) > _LONGEST_USER:
        user = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    return {"user": user} if user else {}


def texts_of(conversation: Conversation) -> Iterator[Text]:
    """Give the texts among the messages."""
    return (part for message in conversation.messages for part in message.parts if isinstance(part, Text))


def says_json(conversation: Conversation, texts: Iterable[Text]) -> bool:
    """Whether one of *texts* has the word JSON, or need not, as the answer may be anything or has a schema."""
    output = conversation.output
    return output is None or output.schema is not None or any("json" in text.text.lower() for text in texts)


def record_cache_marks(parts: Iterable[Part], dropped: set[str]) -> None:
    """Name the marks of what is worth caching: OpenAI caches by itself."""
    for part in parts:
        if isinstance(part, ToolResult):
            record_cache_marks(part.parts, dropped)
        if isinstance(part, MarkablePart) and part.cache:
            dropped.add("cache_control")


def answered(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Give each call one answer, right behind it, and turn answers to no call into text: OpenAI insists on both."""
    settled: list[Message] = []
    held: list[Message] = []
    open_calls: list[str] = []
    for message in _calls_joined(messages):
        match message.role:
            case Role.SYSTEM if open_calls:
                # Nothing may stand between a call and its answer.
                held.append(message)
            case Role.USER:
                parts, open_calls = _settled(message.parts, open_calls)
                settled.append(Message(Role.USER, parts))
            case Role.ASSISTANT:
                settled += [*_unanswered(open_calls), *held]
                held, open_calls = [], _calls_in(message)
                settled.append(message)
            case Role.SYSTEM:
                settled.append(message)
        if not open_calls:
            settled += held
            held = []
    return (*settled, *_unanswered(open_calls), *held)


def _calls_in(message: Message) -> list[str]:
    return [part.id for part in message.parts if isinstance(part, ToolCall)]


def _calls_joined(messages: tuple[Message, ...]) -> list[Message]:
    """Make one turn of a model's turns with calls: nothing may stand between a call and its answer."""
    joined: list[Message] = []
    for message in messages:
        before = joined[-1] if joined else None
        calls = set(_calls_in(before)) if before is not None else set()
        if before is not None and calls and message.role is Role.ASSISTANT and not calls & set(_calls_in(message)):
            joined[-1] = Message(Role.ASSISTANT, (*before.parts, *message.parts))
        else:
            joined.append(message)
    return joined


def _settled(parts: tuple[Part, ...], open_calls: list[str]) -> tuple[tuple[Part, ...], list[str]]:
    """Answer in a user's turn what it answers, and say which calls are still open."""
    said: list[Part] = []
    left = list(open_calls)
    for part in parts:
        if not isinstance(part, ToolResult):
            said.append(part)
        elif part.call_id in left:
            left.remove(part.call_id)
            said.append(part)
        else:
            said += part.parts
    if any(isinstance(part, ToolResult) for part in said) or not left:
        return tuple(said), left
    # The user went on without an answer: the call was interrupted.
    return (*(ToolResult(call, (Text(NO_RESULT),)) for call in left), *said), []


def _unanswered(open_calls: list[str]) -> list[Message]:
    results = tuple(ToolResult(call, (Text(NO_RESULT),)) for call in open_calls)
    return [Message(Role.USER, results)] if results else []
