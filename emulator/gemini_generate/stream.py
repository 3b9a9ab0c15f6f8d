"""Renderer of `:streamGenerateContent` streams."""

from collections.abc import Iterator

from emulator.gemini_generate.response import (
    STOP_REASONS,
    render_call,
    render_foot,
    render_grounding,
    render_usage,
    thought_signature,
)
from emulator.model_io import (
    ModelResponse,
    Part,
    RedactedThought,
    StopReason,
    StreamEvent,
    Text,
    Thought,
    ToolCall,
    Usage,
    count_tokens,
    part_tokens,
    text_deltas,
)
from emulator.models import Model
from emulator.world import Json

_CHUNK = 3


def render_stream(
    model: Model, given: ModelResponse, usage: Usage, id: str, created: str, query: str = ""
) -> Iterator[StreamEvent]:
    """Render a response as a stream with growing token counts. *query* is what was searched for."""
    pieces = [] if given.stop is StopReason.REFUSAL else list(_pieces(model, given))
    thoughts = spoken = 0
    for at, (piece, part) in enumerate(pieces):
        if piece.get("thought"):
            thoughts += count_tokens(piece["text"])
        else:
            spoken += count_tokens(piece["text"]) if "text" in piece else part_tokens(part)
        last = at == len(pieces) - 1
        candidate: Json = {"content": {"role": "model", "parts": [piece]}}
        if last and isinstance(part, ToolCall):
            candidate["finishReason"] = STOP_REASONS[given.stop]
        so_far = usage.output if last else min(thoughts + spoken, usage.output)
        metadata = render_usage(usage, so_far, usage.reasoning if spoken else min(thoughts, usage.reasoning))
        yield StreamEvent(
            {"candidates": [candidate], "usageMetadata": metadata} | render_foot(model, id, created), content=True
        )
    if pieces and isinstance(pieces[-1][1], ToolCall):
        return
    end: Json = {"finishReason": STOP_REASONS[given.stop]} | render_grounding(given, query)
    if given.stop is StopReason.END and pieces:
        end["content"] = {"role": "model", "parts": [{"text": ""}]}
    yield StreamEvent({"candidates": [end], "usageMetadata": render_usage(usage)} | render_foot(model, id, created))


def _pieces(model: Model, given: ModelResponse) -> Iterator[tuple[Json, Part]]:
    """Split the parts of a response as Gemini streams them: text in large pieces, calls whole."""
    signed = False
    for part in given.parts:
        match part:
            case Thought(text):
                yield from (({"text": piece, "thought": True}, part) for piece in _larger(text))
            case Text(text):
                yield from (({"text": piece}, part) for piece in _larger(text))
            case ToolCall():
                yield render_call(part) | ({} if signed else thought_signature(model, given, part)), part
                signed = True
            case RedactedThought():
                pass


def _larger(text: str) -> Iterator[str]:
    """Join groups of deltas."""
    pieces = list(text_deltas(text))
    return ("".join(pieces[at : at + _CHUNK]) for at in range(0, len(pieces), _CHUNK))
