"""The response of Converse, for Claude and for Nova."""

import base64
import json
from typing import Any

from emulator.claude_invoke.signatures import seal, sign
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
    """Write the whole answer."""
    body: Json = {
        "output": {"message": {"role": "assistant", "content": [_block(part) for part in given.parts]}},
        "stopReason": STOP_REASONS[given.stop],
        "usage": render_usage(usage),
        "metrics": {"latencyMs": 900},
    }
    return body | additional_fields(given, paths)


def call_id(call: ToolCall) -> str:
    """Name a tool call."""
    return f"tooluse_{call.seed[:22]}"


def _block(part: Part) -> Json:
    """Write a part as a block."""
    match part:
        case Thought(text):
            return {"reasoningContent": {"reasoningText": {"text": text, "signature": sign(text)}}}
        case RedactedThought(seed):
            return {"reasoningContent": {"redactedContent": sealed_bytes(seed)}}
        case Text(text):
            return {"text": text}
        case ToolCall(name, arguments, _):
            return {"toolUse": {"toolUseId": call_id(part), "name": name, "input": json.loads(arguments)}}


def sealed_bytes(seed: str) -> bytes:
    """Write a redacted thought as the bytes behind its base64."""
    return base64.b64decode(seal(seed))


def render_usage(usage: Usage) -> Json:
    """Write token counts; cached ones stand beside the input."""
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
    """Answer with the model's own fields that were asked for."""
    if "/stop_sequence" not in (paths or []):
        return {}
    return {"additionalModelResponseFields": {"stop_sequence": given.stop_string}}
