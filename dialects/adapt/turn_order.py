"""Turn order: a conversation in the order that Claude insists on.

Turns alternate and the user begins; what answers a turn's calls stands first
in the next, and answers all of them; no text is blank.
https://docs.claude.com/en/docs/agents-and-tools/tool-use/implement-tool-use
"""

from collections.abc import Iterable
from dataclasses import replace

from dialects.core.conversation import Conversation, Message, Opaque, Part, Refusal, Role, Text, ToolCall, ToolResult
from dialects.core.faults import invalid

NO_RESULT = "No result was given for this call."
"""What a call is answered with that the client left unanswered: an interrupted turn, say."""
FAILED = "The call failed:"
"""What stands before the result of a call that failed, where there is no field that says so."""
BEGINNING = "(The assistant speaks first.)"


def ordered(conversation: Conversation) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """Give the system's texts and the turns.

    System messages at the beginning join the system's texts; a later one
    becomes part of the user's turn, marked as the system's.
    """
    system, rest = _hoisted(conversation)
    turns = _answered(_merged(rest))
    if not turns:
        raise invalid(f"messages contains nothing to answer for model {conversation.model}", "messages")
    if turns[0].role is Role.ASSISTANT and not all(isinstance(part, Opaque) for part in turns[0].parts):
        turns.insert(0, Message(Role.USER, (Text(BEGINNING),)))
    return tuple(text for text in system if text.text.strip()), tuple(turns)


def failure_in_words(result: ToolResult) -> ToolResult:
    """Let the text of a result say that the call failed, for models that can be told in no other way."""
    return replace(result, parts=(Text(FAILED), *result.parts), is_error=False) if result.is_error else result


def wrapped(text: str) -> str:
    """Mark a text as the system's within a user's turn."""
    return f"<system>\n{text}\n</system>"


def _hoisted(conversation: Conversation) -> tuple[list[Text], list[Message]]:
    """Take the system messages at the beginning away from the others."""
    system, messages = list(conversation.system), list(conversation.messages)
    while messages and messages[0].role is Role.SYSTEM:
        system += [part for part in messages.pop(0).parts if isinstance(part, Text)]
    return system, messages


def _merged(messages: Iterable[Message]) -> list[Message]:
    """Let turns alternate, and leave out what says nothing."""
    turns: list[Message] = []
    for message in messages:
        role = Role.ASSISTANT if message.role is Role.ASSISTANT else Role.USER
        parts = tuple(part for part in message.parts if not is_blank(part))
        if message.role is Role.SYSTEM:
            parts = tuple(Text(wrapped(part.text), part.cache) if isinstance(part, Text) else part for part in parts)
        if turns and turns[-1].role is role:
            turns[-1] = Message(role, (*turns[-1].parts, *parts))
        elif parts:
            turns.append(Message(role, parts))
    return turns


def is_blank(part: Part) -> bool:
    """Whether a part is text that says nothing: Claude refuses it."""
    return isinstance(part, Text | Refusal) and not part.text.strip()


def _answered(turns: list[Message]) -> list[Message]:
    """Put results first, give one to each call, and turn those that answer none into text."""
    calls: list[str] = []
    settled: list[Message] = []
    for turn in turns:
        if turn.role is Role.USER:
            settled.append(Message(Role.USER, tuple(_with_results_first(turn.parts, calls))))
        else:
            settled.append(turn)
        calls = [part.id for part in turn.parts if isinstance(part, ToolCall)]
    if calls:
        settled.append(Message(Role.USER, tuple(_with_results_first((), calls))))
    return settled


def _with_results_first(parts: Iterable[Part], calls: list[str]) -> list[Part]:
    answers: dict[str, ToolResult] = {}
    others: list[Part] = []
    for part in parts:
        if not isinstance(part, ToolResult):
            others.append(part)
        elif part.call_id in calls and part.call_id not in answers:
            answers[part.call_id] = part
        else:
            others += [inner for inner in part.parts if not is_blank(inner)] or [Text("(an empty tool result)")]
    missing = {call: ToolResult(call, (Text(NO_RESULT),), is_error=True) for call in calls}
    return [*(missing | answers).values(), *others]
