"""Renderer of the numbered events of `/responses`."""

from collections.abc import Iterator

from emulator.model_io import ModelResponse, StreamEvent, Usage, json_deltas, text_deltas
from emulator.models import Model
from emulator.openai_responses.response import render_opening, render_response
from emulator.world import Json


def render_stream(
    model: Model, body: Json, given: ModelResponse, usage: Usage, id: str, created: int, deployment: str
) -> Iterator[StreamEvent]:
    """Render a response as a stream of numbered events."""
    opening = render_opening(model, body, id, created)
    whole = render_response(model, body, given, usage, id, created, deployment)
    ending = {"type": f"response.{whole['status']}", "response": whole}
    unnumbered = [
        StreamEvent({"type": "response.created", "response": opening}),
        StreamEvent({"type": "response.in_progress", "response": opening}),
    ]
    for index, item in enumerate(whole["output"]):
        unnumbered.extend(_item_events(index, item))
    unnumbered.append(StreamEvent(ending))
    for number, event in enumerate(unnumbered):
        if isinstance(event.data, dict):
            kind = event.data["type"]
            yield StreamEvent({"type": kind, "sequence_number": number, **event.data}, event.content)


def _item_events(index: int, item: Json) -> Iterator[StreamEvent]:
    """Render an item as events."""
    added: Json = {"reasoning": {"summary": []}, "message": {"content": []}, "function_call": {"arguments": ""}}
    begun = item | added[item["type"]] | ({} if item["type"] == "reasoning" else {"status": "in_progress"})
    is_call = item["type"] == "function_call"
    yield StreamEvent({"type": "response.output_item.added", "output_index": index, "item": begun}, content=is_call)
    place = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "reasoning":
            for at, part in enumerate(item["summary"]):
                yield from _text_events("reasoning_summary", place | {"summary_index": at}, part)
        case "message":
            yield from _text_events("output", place | {"content_index": 0}, item["content"][0])
        case _:
            kind = "response.function_call_arguments"
            for piece in json_deltas(item["arguments"]):
                yield StreamEvent(
                    {"type": f"{kind}.delta", **place, "delta": piece, "obfuscation": _noise(piece)}, content=True
                )
            yield StreamEvent({"type": f"{kind}.done", **place, "name": item["name"], "arguments": item["arguments"]})
    yield StreamEvent({"type": "response.output_item.done", "output_index": index, "item": item})


def _text_events(kind: str, place: Json, part: Json) -> Iterator[StreamEvent]:
    """Render a text part as events."""
    extra: Json = {"logprobs": []} if kind == "output" else {}
    around = "response.content_part" if kind == "output" else f"response.{kind}_part"
    yield StreamEvent({"type": f"{around}.added", **place, "part": part | {"text": ""}})
    for piece in text_deltas(part["text"]):
        body = {"type": f"response.{kind}_text.delta", **place, "delta": piece, **extra, "obfuscation": _noise(piece)}
        yield StreamEvent(body, content=True)
    yield StreamEvent({"type": f"response.{kind}_text.done", **place, "text": part["text"], **extra})
    yield StreamEvent({"type": f"{around}.done", **place, "part": part})


def _noise(piece: str) -> str:
    """Return padding for a delta, so that its length reveals nothing."""
    return "obfuscation1"[: max(1, 12 - len(piece))]
