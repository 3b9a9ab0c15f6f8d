"""OpenAI chat completions: names, stop reasons and token counts that requests, responses and streams share."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from dialects.adapt import tool_names
from dialects.capabilities.models import ModelProfile, Vendor
from dialects.core.conversation import JSON, Citation, Media, Stop, StopReason, ToolCall, ToolForm, Usage
from dialects.interface import Envelope
from dialects.openai_common.tool_forms import forms_of
from dialects.openai_common.vocabulary import CHAT, data_uri, stop_for, url_citation

DIALECT = CHAT
_FINISH = {
    StopReason.END: "stop",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.PAUSED: "stop",
    StopReason.LENGTH: "length",
    StopReason.CONTEXT_FULL: "length",
    StopReason.TOOL_USE: "tool_calls",
    StopReason.FILTERED: "content_filter",
}
_STOP = {
    "stop": StopReason.END,
    "length": StopReason.LENGTH,
    "model_length": StopReason.CONTEXT_FULL,
    "tool_calls": StopReason.TOOL_USE,
    "function_call": StopReason.TOOL_USE,
    "content_filter": StopReason.FILTERED,
}
_LONGEST_ID = 40
_MISTRAL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_NINE_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def response_id(envelope: Envelope) -> str:
    """Mint the id of an answer."""
    return f"chatcmpl-{envelope.token}"


def finish_reason(stop: Stop, calls: bool, envelope: Envelope) -> str:
    """Render why the model stopped; whoever asked with the legacy `functions` gets the legacy reason."""
    reason = _FINISH[stop_for(stop, calls).reason]
    return "function_call" if reason == "tool_calls" and legacy(envelope) else reason


def parse_stop(reason: Any, calls: bool) -> Stop:
    """Parse why the model stopped."""
    raw = reason if isinstance(reason, str) else ""
    return stop_for(Stop(_STOP.get(raw, StopReason.END), raw), calls)


def legacy(envelope: Envelope) -> bool:
    """Whether the client sent `functions`, as it was done before there were tools."""
    return "functions" in envelope.conversation.extra


def render_usage(usage: Usage) -> JSON:
    """Render what the response cost: here the prompt includes what came from a cache, the output the thinking."""
    written = {"cache_write_tokens": usage.cache_write} if usage.cache_write else {}
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, **written},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def logprobs_in(choice: JSON) -> tuple[JSON, ...]:
    """Read how likely each token of an answer's text was; what makes no sense is left out."""
    match choice.get("logprobs"):
        case {"content": [*tokens]}:
            return tuple(_likely(token) for token in tokens if _is_likely(token))
        case _:
            return ()


def _likely(token: JSON) -> JSON:
    others = token.get("top_logprobs")
    others = [_token(other) for other in others if _is_likely(other)] if isinstance(others, list) else []
    return {**_token(token), "top_logprobs": others}


def _token(token: JSON) -> JSON:
    written = token.get("bytes")
    if not isinstance(written, list):
        written = list(token["token"].encode("utf-8", "surrogatepass"))
    return {"token": token["token"], "logprob": token["logprob"], "bytes": written}


def _is_likely(token: Any) -> bool:
    match token:
        case {"token": str(), "logprob": int() | float()}:
            return True
        case _:
            return False


def likely(logprobs: Iterable[JSON]) -> JSON | None:
    """Render how likely each token was; None if nobody asked."""
    content = list(logprobs)
    return {"content": content, "refusal": None} if content else None


def call_head(call: ToolCall, signature: str, *, custom: bool) -> JSON:
    """Render what is called: a function, or a custom tool, which is given a text.

    A signature of Gemini's stands where Google's own compatible API puts it.
    """
    signed = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
    if custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": ""}, **signed}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}, **signed}


def annotations(citations: Iterable[Citation], before: int) -> list[JSON]:
    """Render where a text comes from that *before* characters of the message stand before."""
    return [{"type": "url_citation", "url_citation": url_citation(citation, before)} for citation in citations]


def is_custom(name: str, envelope: Envelope) -> bool:
    """Whether the client declared a tool as a custom one."""
    return forms_of(envelope.conversation).get(name) is ToolForm.CUSTOM


def image(attached: Media) -> JSON:
    """Show an image a model made: OpenAI has no field for it, other vendors of this dialect use this one."""
    return {"type": "image_url", "image_url": {"url": data_uri(attached)}}


def accepted_call_id(id: str, profile: ModelProfile) -> str:
    """Write a call's id as the model takes it: Mistral wants nine letters and digits, OpenAI no more than 40."""
    if profile.vendor is not Vendor.MISTRAL:
        return tool_names.call_id(id, _LONGEST_ID)
    if _MISTRAL_ID.fullmatch(id):
        return id
    number = int.from_bytes(hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    return "".join(_NINE_DIGITS[number // 62**place % 62] for place in range(9))


def call_id(id: Any, token: str, number: int) -> str:
    """Keep a call's id, or mint one that does not change."""
    if isinstance(id, str) and id:
        return id
    return f"call_{hashlib.sha256(f'{token}/{number}'.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
