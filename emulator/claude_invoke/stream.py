"""Renderer of the events of `/invoke-with-response-stream`."""

from collections.abc import Iterator
from dataclasses import replace

from emulator.claude_invoke.response import (
    STOP_REASONS,
    render_block,
    render_output_usage,
    render_response,
    render_usage,
)
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
from emulator.models import Model
from emulator.world import Json


def render_stream(model: Model, given: ModelResponse, usage: Usage, id: str) -> Iterator[StreamEvent]:
    """Render a response as a stream."""
    start = render_response(model, replace(given, parts=()), usage, id)
    start |= {
        "stop_reason": None,
        "stop_sequence": None,
        "usage": render_usage(model, replace(usage, output=1, reasoning=0)),
    }
    yield StreamEvent({"type": "message_start", "message": start})
    for index, part in enumerate(given.parts):
        yield from _block_events(index, part)
    delta = {"stop_reason": STOP_REASONS[given.stop], "stop_sequence": given.stop_string}
    yield StreamEvent({"type": "message_delta", "delta": delta, "usage": render_output_usage(model, usage)})
    metrics = {
        "inputTokenCount": usage.fresh,
        "outputTokenCount": usage.output,
        "invocationLatency": 900,
        "firstByteLatency": 400,
        "cacheReadInputTokenCount": usage.read,
        "cacheWriteInputTokenCount": usage.written,
    }
    yield StreamEvent({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics})


def _block_events(index: int, part: Part) -> Iterator[StreamEvent]:
    """Render a part as the events of a block."""

    def delta(kind: str, key: str, value: str) -> StreamEvent:
        body = {"type": "content_block_delta", "index": index, "delta": {"type": kind, key: value}}
        return StreamEvent(body, content=True)

    block = render_block(part)
    empty: dict[str, Json] = {
        "thinking": {"thinking": "", "signature": ""},
        "text": {"text": ""},
        "tool_use": {"input": {}},
    }
    opening = block | empty.get(block["type"], {})
    shown = block["type"] in ("tool_use", "redacted_thinking")
    yield StreamEvent({"type": "content_block_start", "index": index, "content_block": opening}, content=shown)
    match part:
        case Thought(text):
            for piece in text_deltas(text):
                yield delta("thinking_delta", "thinking", piece)
            yield delta("signature_delta", "signature", sign(text))
        case Text(text):
            for piece in text_deltas(text):
                yield delta("text_delta", "text", piece)
        case ToolCall(_, arguments, _):
            yield delta("input_json_delta", "partial_json", "")
            for piece in json_deltas("" if arguments == "{}" else arguments):
                yield delta("input_json_delta", "partial_json", piece)
        case RedactedThought():
            pass
    yield StreamEvent({"type": "content_block_stop", "index": index})
