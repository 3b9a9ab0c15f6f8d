"""Short forms of rendered bodies, which the callers of `Converters` expect and backends accept.

A single text needs no list around it, and Google also accepts names in snake case. The proxy itself sends the long
forms.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, groupby
from typing import Any

from dialects.core.conversation import JSON, Conversation, Message, Part, Text
from dialects.openai_common.vocabulary import CHAT

_NEW_TURN = "\n\n"
_GOOGLES = {"generationConfig": "generation_config", "safetySettings": "safety_settings"}


def joined(conversation: Conversation, between: str) -> Conversation:
    """Join neighbouring texts. *between* separates texts within a message; a blank line separates turns of one role."""
    turns: list[Message] = []
    for role, run in groupby(conversation.messages, lambda message: message.role):
        contents = (_one_text(message.parts, between) for message in run)
        turns.append(Message(role, _one_text(chain.from_iterable(contents), _NEW_TURN)))
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
    for is_text, run in groupby(parts, lambda part: isinstance(part, Text)):
        neighbours = list(run)
        if not is_text or len(neighbours) == 1:
            joined += neighbours
            continue
        texts = [part for part in neighbours if isinstance(part, Text)]
        marks = [text.cache for text in texts if text.cache]
        joined.append(Text(between.join(text.text for text in texts if text.text), marks[-1] if marks else None))
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
