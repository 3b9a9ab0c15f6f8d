"""Names, stop reasons and token counts of OpenAI chat completions that requests, responses and streams share."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from dialects.adapt import tool_names
from dialects.capabilities.models import ModelProfile, Vendor
from dialects.core.conversation import JSON, Citation, Media, Stop, StopReason, ToolCall, ToolForm, Usage
from dialects.interface import Envelope
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
    """Return the id of a response."""
    return f"chatcmpl-{envelope.token}"


def finish_reason(stop: Stop, calls: bool, envelope: Envelope) -> str:
    """Render why the model stopped. Clients that sent the legacy `functions` get the legacy reason."""
    reason = _FINISH[stop_for(stop, calls).reason]
    return "function_call" if reason == "tool_calls" and legacy(envelope) else reason


def parse_stop(reason: Any, calls: bool) -> Stop:
    """Parse why the model stopped. *calls* tells whether it called a tool."""
    raw = reason if isinstance(reason, str) else ""
    return stop_for(Stop(_STOP.get(raw, StopReason.END), raw), calls)


def legacy(envelope: Envelope) -> bool:
    """Return whether the client sent the legacy `functions` instead of tools."""
    return "functions" in envelope.conversation.extra


def render_usage(usage: Usage) -> JSON:
    """Render the token counts. The prompt includes cached tokens, and the output includes thinking."""
    written = {"cache_write_tokens": usage.cache_write} if usage.cache_write else {}
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, **written},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def logprobs_in(choice: JSON) -> tuple[JSON, ...]:
    """Parse the log probabilities of an answer's tokens. Malformed ones are left out."""
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
    """Render the log probabilities of tokens; return None if there are none."""
    content = list(logprobs)
    return {"content": content, "refusal": None} if content else None


def call_head(call: ToolCall, signature: str, *, custom: bool) -> JSON:
    """Render the first piece of a call, without its arguments. A custom tool has a text as its input.

    A signature of Gemini's goes where Google's own OpenAI-compatible API has it.
    """
    signed = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
    if custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": ""}, **signed}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}, **signed}


def annotations(citations: Iterable[Citation], before: int) -> list[JSON]:
    """Render the citations of a text. *before* is the number of characters of the message before the text."""
    return [{"type": "url_citation", "url_citation": url_citation(citation, before)} for citation in citations]


def is_custom(name: str, envelope: Envelope) -> bool:
    """Return whether the client declared the tool *name* as a custom tool."""
    return envelope.conversation.forms.get(name) is ToolForm.CUSTOM


def image(attached: Media) -> JSON:
    """Render an image that a model made, in the field that other vendors of this dialect use; OpenAI has none."""
    return {"type": "image_url", "image_url": {"url": data_uri(attached)}}


def accepted_call_id(id: str, profile: ModelProfile) -> str:
    """Return a call's id in a form that the model accepts.

    Mistral requires nine letters and digits; OpenAI accepts at most 40 characters.
    """
    if profile.vendor is not Vendor.MISTRAL:
        return tool_names.call_id(id, _LONGEST_ID)
    if _MISTRAL_ID.fullmatch(id):
        return id
    number = int.from_bytes(hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    return "".join(_NINE_DIGITS[number // 62**place % 62] for place in range(9))


def call_id(id: Any, token: str, number: int) -> str:
    """Return a call's id, or derive one from *token* and *number* if there is none."""
    if isinstance(id, str) and id:
        return id
    return f"call_{hashlib.sha256(f'{token}/{number}'.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"
