"""Renderer of the chunks of `/chat/completions`."""

from collections.abc import Iterator

from emulator.model_io import ModelResponse, StreamEvent, Text, ToolCall, Usage, json_deltas, text_deltas
from emulator.models import Model
from emulator.openai_chat.response import FINGERPRINT, SAFE, STOP_REASONS, render_logprobs, render_usage
from emulator.openai_common.vocabulary import call_id
from emulator.world import Json


def render_stream(
    model: Model, body: Json, givens: list[ModelResponse], usage: Usage, id: str, created: int
) -> Iterator[StreamEvent]:
    """Render a response as a stream, with the chunk without choices that Azure sends first."""
    filters = [{"prompt_index": 0, "content_filter_results": SAFE}]
    yield StreamEvent(
        {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": filters}
    )
    foot = {
        "created": created,
        "id": id,
        "model": model.answers_as,
        "object": "chat.completion.chunk",
        "system_fingerprint": FINGERPRINT,
    }
    counts = bool((body.get("stream_options") or {}).get("include_usage"))
    for index, given in enumerate(givens):
        for choice, content in _deltas(index, given, body):
            yield StreamEvent({"choices": [choice]} | foot | ({"usage": None} if counts else {}), content)
    if counts:
        yield StreamEvent({"choices": []} | foot | {"usage": render_usage(usage)})
    yield StreamEvent("[DONE]")


def _deltas(index: int, given: ModelResponse, body: Json) -> Iterator[tuple[Json, bool]]:
    """Yield the chunks of one choice, each with whether it is part of the answer."""

    def chunk(delta: Json, reason: str | None = None, piece: str | None = None) -> Json:
        filters = SAFE if piece is not None else {}
        logprobs = render_logprobs([piece], body) if piece is not None else None
        return {
            "content_filter_results": filters,
            "delta": delta,
            "finish_reason": reason,
            "index": index,
            "logprobs": logprobs,
        }

    calls = [part for part in given.parts if isinstance(part, ToolCall)]
    if not calls:
        yield chunk({"content": "", "refusal": None, "role": "assistant"}), False
    for part in given.parts:
        if isinstance(part, Text):
            yield from ((chunk({"content": piece}, piece=piece), True) for piece in text_deltas(part.text))
    for at, call in enumerate(calls):
        function = {"arguments": "", "name": call.name}
        opening = {"function": function, "id": call_id(call), "index": at, "type": "function"}
        first = {"content": None, "refusal": None, "role": "assistant"} if at == 0 else {}
        yield chunk(first | {"tool_calls": [opening]}), True
        for piece in json_deltas(call.arguments):
            yield chunk({"tool_calls": [{"function": {"arguments": piece}, "index": at}]}), True
    yield chunk({}, STOP_REASONS[given.stop]), False
