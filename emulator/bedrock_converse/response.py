"""Renderer of Converse responses, for Claude and Nova."""

import base64
import json
from typing import Any

from emulator.claude_invoke.signatures import redact, sign
from emulator.model_io import ModelResponse, Part, RedactedThought, StopReason, Text, Thought, ToolCall, Usage
from emulator.world import Json

STOP_REASONS = {
    StopReason.END: "end_turn",
    StopReason.LENGTH: "max_tokens",
    StopReason.STRING: "stop_sequence",
    StopReason.TOOLS: "tool_use",
    StopReason.REFUSAL: "content_filtered",
}


def render_response(given: ModelResponse, usage: Usage, paths: Any = None) -> Json:
    """Render a whole response."""
    body: Json = {
        "output": {"message": {"role": "assistant", "content": [_block(part) for part in given.parts]}},
        "stopReason": STOP_REASONS[given.stop],
        "usage": render_usage(usage),
        "metrics": {"latencyMs": 900},
    }
    return body | additional_fields(given, paths)


def call_id(call: ToolCall) -> str:
    """Return the id of a tool call."""
    return f"tooluse_{call.seed[:22]}"


def _block(part: Part) -> Json:
    """Render a part as a block."""
    match part:
        case Thought(text):
            return {"reasoningContent": {"reasoningText": {"text": text, "signature": sign(text)}}}
        case RedactedThought(seed):
            return {"reasoningContent": {"redactedContent": redacted_bytes(seed)}}
        case Text(text):
            return {"text": text}
        case ToolCall(name, arguments, _):
            return {"toolUse": {"toolUseId": call_id(part), "name": name, "input": json.loads(arguments)}}


def redacted_bytes(seed: str) -> bytes:
    """Return the bytes of a redacted thought, which are base64 in JSON."""
    return base64.b64decode(redact(seed))


def render_usage(usage: Usage) -> Json:
    """Render the token counts. The input tokens do not include cached ones."""
    counted: Json = {
        "inputTokens": usage.fresh,
        "outputTokens": usage.output,
        "totalTokens": usage.prompt + usage.output,
        "cacheReadInputTokens": usage.read,
        "cacheWriteInputTokens": usage.written,
    }
    if usage.written:
        split = (("1h", usage.written_1h), ("5m", usage.written - usage.written_1h))
        counted["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in split if tokens]
    return counted


def additional_fields(given: ModelResponse, paths: Any) -> Json:
    """Render the additional response fields that the request asked for."""
    if "/stop_sequence" not in (paths or []):
        return {}
    return {"additionalModelResponseFields": {"stop_sequence": given.stop_string}}
