"""Names that OpenAI's two dialects share: stop reasons, token counts, tool choices, data URIs."""

from dataclasses import replace
from typing import Any

from dialects.adapt.attachments import official_type
from dialects.core.conversation import (
    JSON,
    Citation,
    Media,
    Opaque,
    Part,
    Stop,
    StopReason,
    Text,
    ToolCall,
    ToolMode,
    Usage,
    token_count,
)
from dialects.core.events import Block

CHAT = "openai-chat"
RESPONSES = "openai-responses"
MESSAGES = "messages[]"
"""The path prefix of fields in a message."""
LOGPROBS = "message.output_text.logprobs"
"""The value of `include` in Responses for what is `logprobs` in chat completions."""
CHOICE = {ToolMode.AUTO: "auto", ToolMode.REQUIRED: "required", ToolMode.NONE: "none"}
"""The tool choices that are strings. A choice by name is an object."""


def head_text(block: Block) -> str:
    """Return the text that a block starts with."""
    match block:
        case ToolCall(arguments=text):
            return text
        case Media() | Opaque():
            return ""
        case _:
            return block.text


def stop_for(stop: Stop, calls: bool) -> Stop:
    """Correct the stop reason by whether the model called tools."""
    if calls and stop.reason in (StopReason.END, StopReason.STOP_SEQUENCE, StopReason.PAUSED):
        return replace(stop, reason=StopReason.TOOL_USE)
    if not calls and stop.reason is StopReason.TOOL_USE:
        return replace(stop, reason=StopReason.END)
    return stop


def parse_usage(body: Any, prompt: str, output: str) -> Usage:
    """Parse ``usage``. *prompt* and *output* are the dialect's names of the two counts.

    OpenAI includes cached tokens in the prompt, and thinking in the output.
    """
    if not isinstance(body, dict):
        return Usage()
    read = _details(body, prompt, "cached_tokens")
    written = _details(body, prompt, "cache_write_tokens", "cache_creation_tokens")
    return Usage(
        fresh_input=max(0, token_count(body.get(f"{prompt}_tokens")) - read - written),
        cache_read=read,
        cache_write=written,
        output=token_count(body.get(f"{output}_tokens")),
        reasoning=_details(body, output, "reasoning_tokens"),
    )


def _details(body: JSON, which: str, *names: str) -> int:
    details = body.get(f"{which}_tokens_details")
    if isinstance(details, dict):
        for name in names:
            if name in details:
                return token_count(details[name])
    return 0


def merged_text(parts: tuple[Part, ...]) -> str:
    """Join the texts in *parts*."""
    return "".join(part.text for part in parts if isinstance(part, Text))


def data_uri(attached: Media) -> str:
    """Render an attachment as one string: its URL, or a data URI."""
    return attached.url or f"data:{official_type(attached.mime) or 'application/octet-stream'};base64,{attached.data}"


def url_citation(citation: Citation, before: int = 0) -> JSON:
    """Render where a stretch of text comes from. *before* is the number of characters before the text."""
    place = {"start_index": before + citation.start, "end_index": before + citation.end}
    return {**place, "url": citation.source.url, "title": citation.source.title}
