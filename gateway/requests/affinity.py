"""What tells one conversation from another, so that its prompt stays in one provider's cache.

The strongest sign wins: a header that says it outright, the dialect's own
cache key, a session id that a client sends, and at last the stable beginning
of the prompt itself.
"""

import hashlib
from collections.abc import Iterable, Mapping

from dialects.core.conversation import Conversation, Message, Role, Text, ToolSpec

_EXPLICIT = "x-affinity-key"
_SESSIONS = (
    "x-claude-code-session-id",
    "x-session-affinity",
    "x-session-id",
    "session-id",
    "x-amzn-bedrock-agent-session-id",
)
_AGENTS = ("x-claude-code-agent-id", "thread-id", "x-agent-id")
_TAGS = "x-request-tags"
_LONGEST_TAGS = 1024
"""How many characters of tags are read."""
_LONGEST = 128
"""How many characters of a name stand in a key as they are."""
_MOST = 4096
"""How many characters of each text count: enough to tell prompts apart."""


def affinity_key(conversation: Conversation, headers: Mapping[str, str]) -> str:
    """Name the conversation; two requests of one conversation have the same name.

    The names of *headers* are in lower case.
    """
    if explicit := headers.get(_EXPLICIT):
        return f"header:{_short(explicit)}"
    if conversation.cache_key:
        return f"key:{_short(conversation.cache_key)}"
    if session := _first(headers, _SESSIONS):
        agent = _first(headers, _AGENTS)
        # Subagents share their session's id, not its prompt: without this they would all meet in one place.
        return f"session:{_short(session)}:{_short(agent)}:{_digest(_instructions(conversation))}"
    return f"prompt:{_digest([conversation.model, *_instructions(conversation), _first_words(conversation)])}"


def tags_in(headers: Mapping[str, str]) -> frozenset[str]:
    """Read the words that a request is tagged with, for strategies: `x-request-tags`, separated by commas."""
    tags = (tag.strip() for tag in headers.get(_TAGS, "")[:_LONGEST_TAGS].split(","))
    return frozenset(tag for tag in tags if tag)


def _first(headers: Mapping[str, str], names: Iterable[str]) -> str:
    for name in names:
        if value := headers.get(name):
            return value
    return ""


def _short(name: str) -> str:
    """Give *name*, or its digest: keys are remembered, so a caller must not choose how much that takes."""
    return name if len(name) <= _LONGEST else _digest([name])


def _instructions(conversation: Conversation) -> list[str]:
    tools = [tool.name for tool in conversation.tools if isinstance(tool, ToolSpec)]
    return [*tools, *(text.text[:_MOST] for text in conversation.system)]


def _first_words(conversation: Conversation) -> str:
    first = next((message for message in conversation.messages if message.role is Role.USER), Message(Role.USER, ()))
    said = (part.text for part in first.parts if isinstance(part, Text))
    return next(said, "")[:_MOST]


def _digest(pieces: list[str]) -> str:
    text = "".join([f"{piece}\0" for piece in pieces])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
