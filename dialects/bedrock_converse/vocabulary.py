"""Names, stop reasons and token counts of Bedrock Converse that responses and streams share."""

import base64
from typing import Any

from dialects.core.conversation import JSON, Stop, StopReason, Usage, token_count

DIALECT = "bedrock-converse"
STOP_REASONS = {
    "end_turn": StopReason.END,
    "max_tokens": StopReason.LENGTH,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "tool_use": StopReason.TOOL_USE,
    "content_filtered": StopReason.FILTERED,
    "guardrail_intervened": StopReason.FILTERED,
    "model_context_window_exceeded": StopReason.CONTEXT_FULL,
    "malformed_model_output": StopReason.END,
    "malformed_tool_use": StopReason.END,
}


def parse_stop(said: JSON) -> Stop:
    """Parse why the model stopped. A response and a ``messageStop`` have the same fields for it."""
    raw = str(said.get("stopReason") or "")
    fields = said.get("additionalModelResponseFields")
    sequence = fields.get("stop_sequence") if isinstance(fields, dict) else None
    return Stop(STOP_REASONS.get(raw, StopReason.END), raw, str(sequence or ""))


def parse_usage(said: JSON) -> Usage:
    """Parse the token counts. Converse does not include cached tokens in its input tokens."""
    details = said.get("cacheDetails") or []
    return Usage(
        fresh_input=_count(said, "inputTokens"),
        cache_read=_count(said, "cacheReadInputTokens"),
        cache_write=_count(said, "cacheWriteInputTokens"),
        output=_count(said, "outputTokens"),
        cache_write_1h=sum(_count(detail, "inputTokens") for detail in details if detail.get("ttl") == "1h"),
    )


def _count(said: JSON, name: str) -> int:
    return token_count(said.get(name))


def as_base64(data: Any) -> str:
    """Return bytes as base64 text. They are base64 already in JSON, and bytes in Python's ``repr``."""
    return base64.b64encode(data).decode() if isinstance(data, bytes) else str(data)
