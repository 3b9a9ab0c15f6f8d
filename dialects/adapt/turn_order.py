"""Turn order: it rearranges a conversation into the order that Claude requires.

The user's and the assistant's turns alternate, and the user begins. The turn after tool calls begins with the results
of all of them. No text is blank.
https://docs.claude.com/en/docs/agents-and-tools/tool-use/implement-tool-use
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import dropwhile, takewhile

from dialects.core.conversation import Conversation, Message, Opaque, Part, Refusal, Role, Text, ToolCall, ToolResult
from dialects.core.faults import invalid

NO_RESULT = "No result was given for this call."
"""The result of a call for which the client sent none, for example because the turn was interrupted."""
FAILED = "The call failed:"
"""The text before the result of a failed call, in dialects without a field for failures."""
BEGINNING = "(The assistant speaks first.)"


def ordered(conversation: Conversation) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """Return the system texts and the turns of a conversation in the required order.

    System messages at the beginning are added to the system texts. A later one becomes part of the user's turn, in a
    `<system>` element. Raises `FaultError` if no turn is left.
    """
    system, rest = _hoisted(conversation)
    turns = _answered(_merged(rest))
    if not turns:
        raise invalid(f"messages contains nothing to answer for model {conversation.model}", "messages")
    if turns[0].role is Role.ASSISTANT and not all(isinstance(part, Opaque) for part in turns[0].parts):
        turns.insert(0, Message(Role.USER, (Text(BEGINNING),)))
    return tuple(text for text in system if text.text.strip()), tuple(turns)


def failure_in_words(result: ToolResult) -> ToolResult:
    """Mark the result of a failed call by a text, for models without a field for failures."""
    return replace(result, parts=(Text(FAILED), *result.parts), is_error=False) if result.is_error else result


def wrapped(text: str) -> str:
    """Wrap a system text in a `<system>` element, for use within a user's turn."""
    return f"<system>\n{text}\n</system>"


def _hoisted(conversation: Conversation) -> tuple[list[Text], list[Message]]:
    """Return the system texts, including system messages at the beginning, and the remaining messages."""
    first = takewhile(_is_system, conversation.messages)
    system = [part for message in first for part in message.parts if isinstance(part, Text)]
    return [*conversation.system, *system], list(dropwhile(_is_system, conversation.messages))


def _is_system(message: Message) -> bool:
    return message.role is Role.SYSTEM


def _merged(messages: Iterable[Message]) -> list[Message]:
    """Merge messages so that turns alternate, and leave out blank texts."""
    turns: list[tuple[Role, list[Part]]] = []
    for message in messages:
        role = Role.ASSISTANT if message.role is Role.ASSISTANT else Role.USER
        parts = [part for part in message.parts if not is_blank(part)]
        if message.role is Role.SYSTEM:
            parts = [Text(wrapped(part.text), part.cache) if isinstance(part, Text) else part for part in parts]
        if turns and turns[-1][0] is role:
            turns[-1][1].extend(parts)
        elif parts:
            turns.append((role, parts))
    return [Message(role, tuple(parts)) for role, parts in turns]


def is_blank(part: Part) -> bool:
    """Return whether a part is a blank text, which Claude refuses."""
    return isinstance(part, Text | Refusal) and not part.text.strip()


def _answered(turns: list[Message]) -> list[Message]:
    """Put results first, add missing ones, and turn results without a call into text."""
    calls: dict[str, None] = {}
    settled: list[Message] = []
    for turn in turns:
        if turn.role is Role.USER:
            settled.append(Message(Role.USER, tuple(_with_results_first(turn.parts, calls))))
        else:
            settled.append(turn)
        calls = dict.fromkeys(part.id for part in turn.parts if isinstance(part, ToolCall))
    if calls:
        settled.append(Message(Role.USER, tuple(_with_results_first((), calls))))
    return settled


def _with_results_first(parts: Iterable[Part], calls: Collection[str]) -> list[Part]:
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
