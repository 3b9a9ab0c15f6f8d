"""Renderer of Claude's responses, in Anthropic messages."""

import json
from dataclasses import replace

from emulator.claude_invoke.signatures import redact, sign
from emulator.model_io import ModelResponse, Part, RedactedThought, StopReason, Text, Thought, ToolCall, Usage
from emulator.models import Model, Thinking
from emulator.world import Json

STOP_REASONS = {
    StopReason.END: "end_turn",
    StopReason.LENGTH: "max_tokens",
    StopReason.STRING: "stop_sequence",
    StopReason.TOOLS: "tool_use",
    StopReason.REFUSAL: "refusal",
}


def without_omitted_thoughts(given: ModelResponse, body: Json) -> ModelResponse:
    """Empty the text of thoughts if the request asks to omit it."""
    if (body.get("thinking") or {}).get("display") != "omitted":
        return given
    parts: tuple[Part, ...] = tuple(Thought("") if isinstance(part, Thought) else part for part in given.parts)
    return replace(given, parts=parts)


def render_response(model: Model, given: ModelResponse, usage: Usage, id: str) -> Json:
    """Render a whole response."""
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model.answers_as,
        "content": [render_block(part) for part in given.parts],
        "stop_reason": STOP_REASONS[given.stop],
        "stop_sequence": given.stop_string,
        "usage": render_usage(model, usage),
    }


def call_id(call: ToolCall) -> str:
    """Return the id of a tool call."""
    return f"toolu_bdrk_01{call.seed[:22]}"


def render_block(part: Part) -> Json:
    """Render a part as a block."""
    match part:
        case Thought(text):
            return {"type": "thinking", "thinking": text, "signature": sign(text)}
        case RedactedThought(seed):
            return {"type": "redacted_thinking", "data": redact(seed)}
        case Text(text):
            return {"type": "text", "text": text}
        case ToolCall(name, arguments, _):
            return {"type": "tool_use", "id": call_id(part), "name": name, "input": json.loads(arguments)}


def render_usage(model: Model, usage: Usage) -> Json:
    """Render the token counts. The input tokens do not include those read from or written to the cache."""
    five = usage.written - usage.written_1h
    return {
        "input_tokens": usage.fresh,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.read,
        "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": usage.written_1h},
        **render_output_usage(model, usage),
    }


def render_output_usage(model: Model, usage: Usage) -> Json:
    """Render the output tokens. Newer models also report how many of them were thoughts."""
    counted: Json = {"output_tokens": usage.output}
    if model.thinking in (Thinking.ADAPTIVE, Thinking.EITHER) and usage.reasoning:
        counted["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return counted
