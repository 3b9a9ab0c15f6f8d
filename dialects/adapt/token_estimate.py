"""An estimate of the number of tokens of a conversation.

No model on SAP AI Core counts tokens in advance, and each vendor has its own tokeniser. The estimate is for planning,
not for billing. It assumes 3.5 bytes of text for each token (English prose has about four bytes, code about three,
Chinese about one character), and costs by kind and size for attachments.
"""

import math

from dialects.core.conversation import (
    Conversation,
    Media,
    MediaKind,
    Opaque,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from dialects.framing.json_text import dumps

_BYTES_PER_TOKEN = 3.5
_PER_MESSAGE = 4
_FOR_HAVING_TOOLS = 300
_PER_CALL = 12
# Every vendor scales an image to about a megapixel, and charges about as many tokens for it.
_PER_IMAGE = 1500
# Bytes for each token, and the minimum number of tokens. A page of PDF has about 60 kB and 1500 tokens, a second of
# audio 4 kB and 32 tokens.
_BY_SIZE = {
    MediaKind.IMAGE: (math.inf, _PER_IMAGE),
    MediaKind.DOCUMENT: (40.0, 1500),
    MediaKind.AUDIO: (125.0, 32),
    MediaKind.VIDEO: (1000.0, 300),
}


def estimate_tokens(conversation: Conversation) -> int:
    """Estimate the number of input tokens. Raises `FaultError` if the conversation has too deeply nested JSON."""
    system = sum(_text(part.text) for part in conversation.system)
    messages = sum(_PER_MESSAGE + sum(map(_part, message.parts)) for message in conversation.messages)
    tools = sum(map(_tool, conversation.tools)) + (_FOR_HAVING_TOOLS if conversation.tools else 0)
    schema = _json(dict(conversation.output.schema)) if conversation.output and conversation.output.schema else 0
    return system + messages + tools + schema


def _part(part: Part) -> int:
    match part:
        case Text(text) | Refusal(text):
            return _text(text)
        case Media():
            return _media(part)
        case Thinking(text, _, redacted):
            return _text(text) + _text(redacted)
        case ToolCall(_, name, arguments):
            return _PER_CALL + _text(name) + _text(arguments)
        case ToolResult(_, parts):
            return _PER_CALL + sum(map(_part, parts))
        case Opaque(_, payload):
            return _json(payload)


def _media(media: Media) -> int:
    size = len(media.data) * 3 // 4
    if media.mime.startswith("text/"):
        return math.ceil(size / _BYTES_PER_TOKEN)
    per_token, least = _BY_SIZE[media.kind]
    return max(least, math.ceil(size / per_token))


def _tool(tool: ToolSpec | Opaque) -> int:
    match tool:
        case ToolSpec(name, description, parameters):
            return _PER_CALL + _text(name) + _text(description) + _json(dict(parameters))
        case Opaque(_, payload):
            return _json(payload)


def _json(value: object) -> int:
    return _text(dumps(value))


def _text(text: str) -> int:
    return math.ceil(len(text.encode("utf-8", "replace")) / _BYTES_PER_TOKEN)
