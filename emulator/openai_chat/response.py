"""Renderer of `/chat/completions` responses."""

from emulator.model_io import ModelResponse, StopReason, Text, ToolCall, Usage, text_deltas
from emulator.models import Model
from emulator.openai_common.vocabulary import call_id
from emulator.world import Json

STOP_REASONS = {
    StopReason.END: "stop",
    StopReason.LENGTH: "length",
    StopReason.STRING: "stop",
    StopReason.TOOLS: "tool_calls",
    StopReason.REFUSAL: "content_filter",
}
_HARMS = ("hate", "self_harm", "sexual", "violence")
SAFE = {harm: {"filtered": False, "severity": "safe"} for harm in _HARMS}
FINGERPRINT = "fp_6f2eadacda"


def render_response(model: Model, body: Json, givens: list[ModelResponse], usage: Usage, id: str, created: int) -> Json:
    """Render a whole response."""
    choices = [_choice(index, given, body) for index, given in enumerate(givens)]
    return {
        "choices": choices,
        "created": created,
        "id": id,
        "model": model.answers_as,
        "object": "chat.completion",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}],
        "system_fingerprint": FINGERPRINT,
        "usage": render_usage(usage),
    }


def render_usage(usage: Usage) -> Json:
    """Render the token counts. The prompt includes cached tokens; the completion includes reasoning."""
    return {
        "completion_tokens": usage.output,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": 0,
            "reasoning_tokens": usage.reasoning,
            "rejected_prediction_tokens": 0,
        },
        "prompt_tokens": usage.prompt,
        "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": usage.read},
        "total_tokens": usage.prompt + usage.output,
    }


def _choice(index: int, given: ModelResponse, body: Json) -> Json:
    """Render one choice."""
    text = joined_text(given)
    calls = [
        {"id": call_id(part), "type": "function", "function": {"name": part.name, "arguments": part.arguments}}
        for part in given.parts
        if isinstance(part, ToolCall)
    ]
    message: Json = {"annotations": [], "content": text, "refusal": None, "role": "assistant"}
    if calls:
        message |= {"content": text or None, "tool_calls": calls}
    return {
        "content_filter_results": {} if calls else SAFE,
        "finish_reason": STOP_REASONS[given.stop],
        "index": index,
        "logprobs": render_logprobs(list(text_deltas(text)), body),
        "message": message,
    }


def render_logprobs(pieces: list[str], body: Json) -> Json | None:
    """Render plausible log probabilities, if the request asks for them."""
    if not body.get("logprobs"):
        return None
    top = body.get("top_logprobs") or 0
    content = []
    for piece in pieces:
        alternatives = [_token(piece if rank == 0 else f"{piece}{rank}", -0.1 - 2 * rank) for rank in range(top)]
        content.append(_token(piece, -0.1) | {"top_logprobs": alternatives})
    return {"content": content, "refusal": None}


def _token(piece: str, logprob: float) -> Json:
    """Render one token and its log probability."""
    return {"token": piece, "logprob": logprob, "bytes": list(piece.encode("utf-8", "surrogatepass"))}


def joined_text(given: ModelResponse) -> str:
    """Join the texts of a response."""
    return "".join(part.text for part in given.parts if isinstance(part, Text))
