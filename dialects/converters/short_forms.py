"""Short forms of rendered bodies, which the callers of `Converters` expect and backends accept.

A single text needs no list around it, and Google also accepts names in snake case. The proxy itself sends the long
forms.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from dialects.core.conversation import JSON, Conversation, Message, Part, Text
from dialects.openai_common.vocabulary import CHAT

_NEW_TURN = "\n\n"
_GOOGLES = {"generationConfig": "generation_config", "safetySettings": "safety_settings"}


def joined(conversation: Conversation, between: str) -> Conversation:
    """Join neighbouring texts. *between* separates texts within a message; a blank line separates turns of one role."""
    turns: list[Message] = []
    for message in conversation.messages:
        parts = _one_text(message.parts, between)
        if turns and turns[-1].role is message.role:
            parts = _one_text((*turns.pop().parts, *parts), _NEW_TURN)
        turns.append(Message(message.role, parts))
    return replace(conversation, messages=tuple(turns))


def unchanged(body: JSON, _conversation: Conversation) -> JSON:
    """Return a rendered body unchanged."""
    return body


def anthropic(body: JSON, _conversation: Conversation) -> JSON:
    """Replace contents and the system prompt with strings where they are a single text; add an empty system prompt."""
    messages = [message | {"content": _bare_text(message["content"])} for message in body["messages"]]
    return body | {"system": _bare_text(body.get("system", "")), "messages": messages}


def converse(body: JSON, conversation: Conversation) -> JSON:
    """Remove a default length that the client did not request, unless thinking needs one."""
    if conversation.sampling.max_tokens is not None or "thinking" in body.get("additionalModelRequestFields", {}):
        return body
    inference = {name: value for name, value in body.get("inferenceConfig", {}).items() if name != "maxTokens"}
    rest = {name: value for name, value in body.items() if name != "inferenceConfig"}
    return rest | ({"inferenceConfig": inference} if inference else {})


def gemini(body: JSON, conversation: Conversation) -> JSON:
    """Replace lists of one with the single item, and use snake case for the names of settings."""
    out = {_GOOGLES.get(name, name): value for name, value in body.items()}
    contents = [content | {"parts": _lone_text(content["parts"])} for content in body["contents"]]
    out["contents"] = contents[0] if len(contents) == 1 and conversation.dialect == CHAT else contents
    out.setdefault("safety_settings", [])
    if "tools" in out:
        out["tools"] = [_declaring(tool) for tool in out["tools"]]
    return out


def anthropic_blocks(body: JSON) -> JSON:
    """Replace contents of messages that are strings with lists of blocks."""
    messages = [message | {"content": _in_blocks(message["content"])} for message in body["messages"]]
    return body | {"messages": messages}


def _one_text(parts: Iterable[Part], between: str) -> tuple[Part, ...]:
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Text) and isinstance(last, Text):
            gap = between if part.text and last.text else ""
            joined[-1] = Text(last.text + gap + part.text, part.cache or last.cache)
        else:
            joined.append(part)
    return tuple(joined)


def _bare_text(content: Any) -> Any:
    match content:
        case [{"type": "text", "text": str(text), **more}] if not more:
            return text
        case _:
            return content


def _in_blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _lone_text(parts: list[JSON]) -> list[JSON] | JSON:
    return parts[0] if len(parts) == 1 and parts[0].keys() == {"text"} else parts


def _declaring(tool: JSON) -> JSON:
    return {"function_declarations" if name == "functionDeclarations" else name: tool[name] for name in tool}
