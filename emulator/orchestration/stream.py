"""Renderer of `/v2/completion` streams: first the prompt, then chunks of a minimum length, each in two forms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from emulator.model_io import (
    ModelResponse,
    StopReason,
    StreamEvent,
    Text,
    ToolCall,
    Usage,
    json_deltas,
    text_deltas,
)
from emulator.models import Model
from emulator.openai_chat.response import STOP_REASONS
from emulator.orchestration.failures import ModuleFailure, render_error
from emulator.orchestration.response import head, render_call, render_reasoning, render_usage
from emulator.world import Json

DONE = StreamEvent("[DONE]")
_NOBODY: Json = {"id": "", "object": "", "created": 0, "model": "", "system_fingerprint": ""}


@dataclass(frozen=True, slots=True)
class Chunks:
    """Renders the chunks of one stream."""

    model: Model
    request_id: str
    created: int
    chunk_size: int

    def prompt(self, steps: Json, failures: Sequence[ModuleFailure]) -> StreamEvent:
        """Render the first chunk, which has the results of the modules before the model and no text."""
        first: Json = {
            "request_id": self.request_id,
            "intermediate_results": steps,
            "final_result": _NOBODY | {"choices": [{"index": 0, "delta": {"content": ""}}]},
        }
        if failures:
            first["intermediate_failures"] = [failure.as_json(self.request_id) for failure in failures]
        return StreamEvent(first)

    def answer(self, givens: list[ModelResponse], usage: Usage, steps: Json) -> Iterator[StreamEvent]:
        """Render the choices. The last chunk has the token counts; *steps* are the reports of other modules."""
        for index, given in enumerate(givens):
            for delta in self._deltas(given):
                yield self._chunk(index, delta, "", steps, content=True)
            last = index == len(givens) - 1
            counts = {"usage": render_usage(self.model, usage, stream=True)} if last else {}
            yield self._chunk(index, {}, STOP_REASONS[given.stop], steps, counts)
        yield DONE

    def _chunk(
        self, index: int, delta: Json, reason: str, steps: Json, counts: Json | None = None, *, content: bool = False
    ) -> StreamEvent:
        """Render a chunk. It holds the delta twice: as the model's result, and as the final result."""
        choice = {"index": index, "delta": {"role": "assistant", "content": "", **delta}, "finish_reason": reason}
        top = head(self.model, "chat.completion.chunk", self.request_id, self.created)
        result = top | {"choices": [choice]} | (counts or {})
        written = {
            "request_id": self.request_id,
            "intermediate_results": {"llm": result, **steps},
            "final_result": result,
        }
        return StreamEvent(written, content)

    def _deltas(self, given: ModelResponse) -> Iterator[Json]:
        """Yield the deltas of one choice: reasoning, then text, then calls."""
        for block in render_reasoning(self.model, given):
            for piece in text_deltas(block["content"]):
                yield {"reasoning_content": [{"content": piece, "signature": ""}]}
            if block["signature"]:
                yield {"reasoning_content": [{"content": "", "signature": block["signature"]}]}
        for part in given.parts:
            if isinstance(part, Text):
                key = "refusal" if given.stop is StopReason.REFUSAL else "content"
                yield from ({key: text} for text in _grouped(part.text, self.chunk_size))
        for at, call in enumerate(part for part in given.parts if isinstance(part, ToolCall)):
            opening = render_call(self.model, call)
            opening["function"]["arguments"] = ""
            yield {"tool_calls": [{"index": at, **opening}]}
            for piece in json_deltas(call.arguments):
                yield {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}


def failed(failures: Sequence[ModuleFailure], request_id: str, *, listed: bool) -> StreamEvent:
    """Render the error that ends a stream."""
    return StreamEvent(render_error(failures, request_id, listed=listed))


def _grouped(text: str, size: int) -> Iterator[str]:
    """Join the pieces of a text until each has at least *size* characters."""
    held = ""
    for piece in text_deltas(text):
        held += piece
        if len(held) >= size:
            yield held
            held = ""
    if held:
        yield held
