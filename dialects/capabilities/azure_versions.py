"""Azure's API versions, and the choice of one that supports a given request body.

https://learn.microsoft.com/en-us/azure/ai-foundry/openai/api-version-lifecycle
"""

from typing import Any

from dialects.core.conversation import JSON

PLAIN_VERSION = "2023-05-15"
"""The version for messages of text, sampling and embeddings. It refuses other fields as unrecognized arguments."""
FULL_VERSION = "2024-12-01-preview"
"""The version for requests with tools, images, schemas or usage in streams, and for reasoning models."""

_KNOWN_TO_PLAIN = frozenset(
    {
        "model",
        "messages",
        "input",
        "temperature",
        "top_p",
        "n",
        "stream",
        "stop",
        "max_tokens",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "user",
    }
)
_PLAIN_ROLES = frozenset({"system", "user", "assistant"})


def with_version_for(url: str, body: JSON) -> str:
    """Return *url* with its API version, or with a newer one if *body* needs it."""
    return url if _is_plain(body) else url.replace(f"api-version={PLAIN_VERSION}", f"api-version={FULL_VERSION}")


def _is_plain(body: JSON) -> bool:
    messages = body.get("messages", [])
    return body.keys() <= _KNOWN_TO_PLAIN and isinstance(messages, list) and all(map(_is_plain_message, messages))


def _is_plain_message(message: Any) -> bool:
    match message:
        case {"role": str(role), "content": str(), **rest}:
            return role in _PLAIN_ROLES and rest.keys() <= {"name"}
        case _:
            return False
