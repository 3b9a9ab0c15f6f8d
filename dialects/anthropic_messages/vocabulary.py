"""Names, stop reasons and token counts of Anthropic messages that requests, responses and streams share."""

from typing import Any

from dialects.core.conversation import JSON, Stop, StopReason, Usage, WebSearch, token_count

DIALECT = "anthropic-messages"
STOP_OUT = {
    StopReason.END: "end_turn",
    StopReason.LENGTH: "max_tokens",
    StopReason.CONTEXT_FULL: "model_context_window_exceeded",
    StopReason.TOOL_USE: "tool_use",
    StopReason.STOP_SEQUENCE: "stop_sequence",
    StopReason.FILTERED: "refusal",
    StopReason.PAUSED: "pause_turn",
}
_STOP_IN = {name: reason for reason, name in STOP_OUT.items()}


def parse_stop(said: JSON) -> Stop:
    """Parse why the model stopped. A message and a ``message_delta`` have the same fields for it."""
    raw = str(said.get("stop_reason") or "")
    return Stop(_STOP_IN.get(raw, StopReason.END), raw, str(said.get("stop_sequence") or ""))


def parse_usage(said: JSON, before: Usage) -> Usage:
    """Parse the token counts. A stream may repeat them, or report only those that have changed since *before*."""
    by_life = said.get("cache_creation") or {}
    details = said.get("output_tokens_details") or {}
    return Usage(
        fresh_input=_count(said, "input_tokens", before.fresh_input),
        cache_read=_count(said, "cache_read_input_tokens", before.cache_read),
        cache_write=_count(said, "cache_creation_input_tokens", before.cache_write),
        output=_count(said, "output_tokens", before.output),
        reasoning=_count(details, "thinking_tokens", before.reasoning),
        cache_write_1h=_count(by_life, "ephemeral_1h_input_tokens", before.cache_write_1h),
    )


def render_usage(usage: Usage, search: WebSearch | None = None) -> JSON:
    """Render all token counts, because clients read the last they receive; add the number of web searches."""
    by_life = {
        "ephemeral_5m_input_tokens": usage.cache_write - usage.cache_write_1h,
        "ephemeral_1h_input_tokens": usage.cache_write_1h,
    }
    counted: JSON = {
        "input_tokens": usage.fresh_input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": by_life,
        "output_tokens": usage.output,
    }
    if usage.reasoning:
        counted["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if search is not None:
        counted["server_tool_use"] = {"web_search_requests": len(search.queries), "web_fetch_requests": 0}
    return counted


def _count(said: Any, name: str, otherwise: int) -> int:
    value = said.get(name)
    return otherwise if value is None else token_count(value)
