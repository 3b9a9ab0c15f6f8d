"""Renderers for what both of OpenAI's dialects have: answered calls, the user's name, documents as text."""

import base64
import binascii
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from dialects.adapt.attachments import as_text, is_text
from dialects.adapt.tool_names import lost_with
from dialects.adapt.turn_order import NO_RESULT
from dialects.core.conversation import (
    JSON,
    Conversation,
    Family,
    MarkablePart,
    Media,
    MediaKind,
    Message,
    Opaque,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolSpec,
)


def tool_fields(
    conversation: Conversation,
    dropped: set[str],
    declare: Callable[[ToolSpec], JSON],
    render_choice: Callable[[ToolChoice], JSON],
) -> JSON:
    """Render the functions and the choice among them. SAP AI Core accepts no tools of other kinds."""
    tools: list[JSON] = []
    for tool in conversation.tools:
        match tool:
            case ToolSpec():
                if tool.cache:
                    dropped.add("cache_control")
                tools.append(declare(tool))
            case Opaque():
                dropped |= lost_with(tool)
    if not tools:
        return {}
    choice = conversation.tool_choice
    return {"tools": tools, **(render_choice(choice) if choice else {})}


def plain_text(attached: Media) -> str | None:
    """Return the text of a document that is plain text; None for any other."""
    if attached.kind is not MediaKind.DOCUMENT or not is_text(attached.mime) or not attached.data:
        return None
    try:
        text = base64.b64decode(attached.data).decode()
    except (binascii.Error, ValueError):
        return None
    return as_text(text, name=attached.name)


def own_thinking(part: Thinking) -> bool:
    """Return whether an OpenAI model signed this thinking, so that it may be sent back."""
    return part.family is Family.OPENAI and bool(part.signature)


AS_JSON = Text("Answer with one JSON object.")
"""The instruction added for clients whose dialect does not require it.

OpenAI refuses JSON output without the word JSON.
"""
_LONGEST_USER = 64


def user_of(conversation: Conversation) -> JSON:
    """Render the name of the user, for which OpenAI allows 64 characters.

    A longer name, such as Claude Code's, is replaced by its SHA-256 digest. It only has to distinguish users.
    """
    user = conversation.user
    if len(user) > _LONGEST_USER:
        user = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    return {"user": user} if user else {}


def texts_of(conversation: Conversation) -> Iterator[Text]:
    """Return the texts in the messages."""
    return (part for message in conversation.messages for part in message.parts if isinstance(part, Text))


def says_json(conversation: Conversation, texts: Iterable[Text]) -> bool:
    """Return whether one of *texts* has the word JSON, or none needs it.

    The word is needed only if the answer must be JSON and has no schema.
    """
    output = conversation.output
    return output is None or output.schema is not None or any("json" in text.text.lower() for text in texts)


def record_cache_marks(parts: Iterable[Part], dropped: set[str]) -> None:
    """Report cache marks as dropped, because OpenAI caches without being asked."""
    for part in parts:
        if isinstance(part, ToolResult):
            record_cache_marks(part.parts, dropped)
        if isinstance(part, MarkablePart) and part.cache:
            dropped.add("cache_control")


def answered(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Give each call one result directly after it, and turn results without a call into text. OpenAI requires both."""
    settled: list[Message] = []
    held: list[Message] = []
    open_calls = Counter[str]()
    for message in _calls_joined(messages):
        match message.role:
            case Role.SYSTEM if open_calls:
                # Nothing may stand between a call and its result.
                held.append(message)
            case Role.USER:
                settled.append(Message(Role.USER, _settled(message.parts, open_calls)))
            case Role.ASSISTANT:
                settled += [*_unanswered(open_calls), *held]
                held, open_calls = [], Counter(_calls_in(message))
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
    """Join the model's turns with calls into one, because nothing may stand between a call and its result."""
    joined: list[tuple[Role, list[Part]]] = []
    # The calls in the last turn.
    before: set[str] = set()
    for message in messages:
        calls = _calls_in(message)
        if before and message.role is Role.ASSISTANT and before.isdisjoint(calls):
            joined[-1] = Role.ASSISTANT, joined[-1][1]
            joined[-1][1].extend(message.parts)
            before.update(calls)
        else:
            joined.append((message.role, [*message.parts]))
            before = {*calls}
    return [Message(role, tuple(parts)) for role, parts in joined]


def _settled(parts: tuple[Part, ...], open_calls: Counter[str]) -> tuple[Part, ...]:
    """Keep the results in a user's turn that answer open calls, and remove these calls from *open_calls*."""
    said: list[Part] = []
    for part in parts:
        if not isinstance(part, ToolResult):
            said.append(part)
        elif part.call_id in open_calls:
            _close(part.call_id, open_calls)
            said.append(part)
        else:
            said += part.parts
    if any(isinstance(part, ToolResult) for part in said) or not open_calls:
        return tuple(said)
    # The user continued without the result: the call was interrupted.
    missing = _no_results(open_calls)
    open_calls.clear()
    return (*missing, *said)


def _close(call: str, open_calls: Counter[str]) -> None:
    open_calls[call] -= 1
    if not open_calls[call]:
        del open_calls[call]


def _no_results(open_calls: Counter[str]) -> tuple[ToolResult, ...]:
    return tuple(ToolResult(call, (Text(NO_RESULT),)) for call in open_calls.elements())


def _unanswered(open_calls: Counter[str]) -> list[Message]:
    results = _no_results(open_calls)
    return [Message(Role.USER, results)] if results else []
