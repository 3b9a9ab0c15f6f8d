"""Renderer of the events of `/converse-stream`."""

from collections.abc import Iterator
from typing import Any

from emulator.bedrock_converse.response import STOP_REASONS, additional_fields, call_id, redacted_bytes, render_usage
from emulator.claude_invoke.signatures import sign
from emulator.model_io import (
    ModelResponse,
    Part,
    RedactedThought,
    StreamEvent,
    Text,
    Thought,
    ToolCall,
    Usage,
    json_deltas,
    text_deltas,
)
from emulator.world import Json


def render_stream(given: ModelResponse, usage: Usage, paths: Any = None) -> Iterator[StreamEvent]:
    """Render a response as a stream."""
    yield _event("messageStart", {"role": "assistant"})
    for index, part in enumerate(given.parts):
        yield from _block_events(index, part)
        yield _event("contentBlockStop", {"contentBlockIndex": index})
    yield _event("messageStop", {"stopReason": STOP_REASONS[given.stop]} | additional_fields(given, paths))
    yield _event("metadata", {"usage": render_usage(usage), "metrics": {"latencyMs": 900}})


def _event(name: str, value: Json, *, content: bool = False) -> StreamEvent:
    """Build an event, an object with a single member."""
    return StreamEvent({name: value}, content, name)


def _block_events(index: int, part: Part) -> Iterator[StreamEvent]:
    """Render a part as events. Only tool calls have an event that starts their block."""

    def delta(value: Json) -> StreamEvent:
        return _event("contentBlockDelta", {"delta": value, "contentBlockIndex": index}, content=True)

    match part:
        case Thought(text):
            for piece in text_deltas(text):
                yield delta({"reasoningContent": {"text": piece}})
            yield delta({"reasoningContent": {"signature": sign(text)}})
        case RedactedThought(seed):
            yield delta({"reasoningContent": {"redactedContent": redacted_bytes(seed)}})
        case Text(text):
            for piece in text_deltas(text):
                yield delta({"text": piece})
        case ToolCall(name, arguments, _):
            start = {"toolUse": {"toolUseId": call_id(part), "name": name}}
            yield _event("contentBlockStart", {"start": start, "contentBlockIndex": index}, content=True)
            for piece in json_deltas("" if arguments == "{}" else arguments):
                yield delta({"toolUse": {"input": piece}})
