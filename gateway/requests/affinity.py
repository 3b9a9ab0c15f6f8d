"""Affinity keys, which identify a conversation so that its requests use the same prompt cache of a provider.

The key is taken from the first of these that is present: an explicit header, the cache key of the dialect, a session id
of the client, the stable beginning of the prompt.
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
"""The number of characters of the tags header that are read."""
_LONGEST = 128
"""The maximum length of a name in a key; a longer name is replaced by its digest."""
_MOST = 4096
"""The number of characters of each text that are hashed, which is enough to distinguish prompts."""


def affinity_key(conversation: Conversation, headers: Mapping[str, str]) -> str:
    """Return the affinity key of a conversation, which is equal for all its requests.

    The names of *headers* are in lower case.
    """
    if explicit := headers.get(_EXPLICIT):
        return f"header:{_short(explicit)}"
    if conversation.cache_key:
        return f"key:{_short(conversation.cache_key)}"
    if session := _first(headers, _SESSIONS):
        agent = _first(headers, _AGENTS)
        # Subagents share the id of their session, but not its prompt: by the id alone all would get one subaccount.
        return f"session:{_short(session)}:{_short(agent)}:{_digest(_instructions(conversation))}"
    return f"prompt:{_digest([conversation.model, *_instructions(conversation), _first_words(conversation)])}"


def tags_in(headers: Mapping[str, str]) -> frozenset[str]:
    """Return the tags of a request for strategies, from `x-request-tags`, separated by commas."""
    tags = (tag.strip() for tag in headers.get(_TAGS, "")[:_LONGEST_TAGS].split(","))
    return frozenset(tag for tag in tags if tag)


def _first(headers: Mapping[str, str], names: Iterable[str]) -> str:
    for name in names:
        if value := headers.get(name):
            return value
    return ""


def _short(name: str) -> str:
    """Return *name*, or its digest if it is long, because keys are cached and callers must not control their size."""
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
