"""Responses on Azure: what `/responses` reads and writes, and what it remembers."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from emulator import signatures
from emulator.body_fields import base64_size, content_blocks, parse_data_uri, prompt_segment
from emulator.errors import azure
from emulator.model_io import (
    Media,
    ModelRequest,
    ModelResponse,
    PromptSegment,
    StopReason,
    StreamEvent,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    json_deltas,
    text_deltas,
)
from emulator.models import Model
from emulator.openai_chat import SYSTEM, call_id, tool_choice
from emulator.openai_rules import ENCRYPTED
from emulator.world import Json

_KEPT = 500
_INCOMPLETE = {StopReason.LENGTH: "max_output_tokens", StopReason.REFUSAL: "content_filter"}
_TEXTS = ("input_text", "output_text")


@dataclass(frozen=True, slots=True)
class Kept:
    """A response that was stored, with every item of the conversation up to it."""

    response: Json
    items: tuple[Json, ...] = field(default=())


class Store:
    """The responses a deployment remembers; its lock guards the shelf, and takes no other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def get(self, id: str) -> Kept | None:
        """Find a response."""
        with self._lock:
            return self._kept.get(id)

    def put(self, id: str, kept: Kept) -> None:
        """Keep a response, and forget the oldest if there are too many."""
        with self._lock:
            self._kept[id] = kept
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def drop(self, id: str) -> bool:
        """Forget a response; whether there was one."""
        with self._lock:
            return self._kept.pop(id, None) is not None

    def item_ids(self) -> set[str]:
        """Name every item that is remembered."""
        with self._lock:
            kept = list(self._kept.values())
        return {item["id"] for one in kept for item in one.items if "id" in item}


def missing(id: str) -> Exception:
    """Say that a response is not there."""
    return azure(f"Response with id '{id}' not found.", status=404)


def conversation(body: Json, store: Store) -> tuple[Json, ...]:
    """Lay out all items of the conversation: what is remembered, then what was sent."""
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    previous = body.get("previous_response_id")
    if previous is None:
        return tuple(items)
    kept = store.get(previous)
    if kept is None:
        message = f"Previous response with id '{previous}' not found."
        raise azure(message, "previous_response_id", "previous_response_not_found")
    return (*kept.items, *items)


def ask(model: Model, body: Json, items: tuple[Json, ...]) -> ModelRequest:
    """Read a body that broke no rule."""
    turns = tuple(item for item in items if item.get("role") not in SYSTEM)
    said = (
        content_blocks(turns[-1].get("content"), type="input_text") if turns and turns[-1].get("role") == "user" else []
    )
    system = [_text(item) for item in items if item.get("role") in SYSTEM]
    choice, forced = tool_choice(body.get("tool_choice"))
    return ModelRequest(
        model,
        system="\n".join(filter(None, [body.get("instructions") or "", *system])),
        text="\n".join(part["text"] for part in said if part["type"] == "input_text"),
        media=tuple(_media(part) for part in said if part["type"] in ("input_image", "input_file")),
        results=_results(turns),
        tools=tuple(Tool(tool["name"], tool.get("parameters") or {}) for tool in body.get("tools") or []),
        choice=choice,
        forced=forced,
        parallel=body.get("parallel_tool_calls") is not False,
        schema=_schema((body.get("text") or {}).get("format") or {}),
        thinks=bool((body.get("reasoning") or {}).get("summary")),
        limit=body.get("max_output_tokens"),
        prompt=tuple(_prompt(body, items)),
    )


def response(model: Model, body: Json, given: ModelResponse, usage: Usage, id: str, created: int) -> Json:
    """Write the whole answer."""
    reason = _INCOMPLETE.get(given.stop)
    finished = {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output(given, body, id),
        "usage": _counted(usage),
        "completed_at": created,
    }
    return _opening(model, body, id, created) | finished


def output(given: ModelResponse, body: Json, id: str) -> list[Json]:
    """Write the items of an answer."""
    items: list[Json] = []
    tail = id.removeprefix("resp_")
    if given.reasoning:
        items.append(_reasoning(given, body, f"rs_{tail}"))
    for at, part in enumerate(given.parts):
        match part:
            case Text(text):
                items.append(_message(text, f"msg_{tail}{at}", given.stop))
            case ToolCall(name, arguments, _):
                call: Json = {"id": f"fc_{tail}{at}", "type": "function_call", "status": "completed"}
                items.append(call | {"call_id": call_id(part), "name": name, "arguments": arguments})
            case _:
                pass
    return items


def events(
    model: Model, body: Json, given: ModelResponse, usage: Usage, id: str, created: int
) -> Iterator[StreamEvent]:
    """Write the answer as a stream, its events numbered."""
    opening = _opening(model, body, id, created)
    whole = response(model, body, given, usage, id, created)
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


def _opening(model: Model, body: Json, id: str, created: int) -> Json:
    """Write a response that has only begun."""
    thought = body.get("reasoning") or {}
    text = body.get("text") or {}
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "content_filters": None,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": None,
        "metadata": body.get("metadata") or {},
        "model": f"{model.answers_as}-dz-std",
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": thought.get("effort", "medium"), "summary": thought.get("summary")},
        "safety_identifier": None,
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": 1.0,
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [
            {"strict": True, "description": None, "parameters": None, **tool} for tool in body.get("tools") or []
        ],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        "user": body.get("user"),
    }


def _reasoning(given: ModelResponse, body: Json, id: str) -> Json:
    """Write the item of the reasoning: its summary if wanted, its substance only sealed."""
    thoughts = [{"type": "summary_text", "text": part.text} for part in given.parts if isinstance(part, Thought)]
    item: Json = {"id": id, "type": "reasoning", "summary": thoughts}
    if "reasoning.encrypted_content" in (body.get("include") or []):
        item["encrypted_content"] = ENCRYPTED + signatures.sign("openai", id)
    return item


def _message(text: str, id: str, stop: StopReason) -> Json:
    """Write the item of a text."""
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    status = "incomplete" if stop in _INCOMPLETE else "completed"
    return {"id": id, "type": "message", "status": status, "role": "assistant", "content": [part]}


def _item_events(index: int, item: Json) -> Iterator[StreamEvent]:
    """Write an item as events."""
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
    """Write a text part as events."""
    extra: Json = {"logprobs": []} if kind == "output" else {}
    around = "response.content_part" if kind == "output" else f"response.{kind}_part"
    yield StreamEvent({"type": f"{around}.added", **place, "part": part | {"text": ""}})
    for piece in text_deltas(part["text"]):
        body = {"type": f"response.{kind}_text.delta", **place, "delta": piece, **extra, "obfuscation": _noise(piece)}
        yield StreamEvent(body, content=True)
    yield StreamEvent({"type": f"response.{kind}_text.done", **place, "text": part["text"], **extra})
    yield StreamEvent({"type": f"{around}.done", **place, "part": part})


def _noise(piece: str) -> str:
    """Pad a delta so that its length says nothing."""
    return "obfuscation1"[: max(1, 12 - len(piece))]


def _counted(usage: Usage) -> Json:
    """Write token counts: the cache within the input, reasoning within the output."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.output,
    }


def _text(item: Json) -> str:
    """Read an item as a text."""
    parts = content_blocks(item.get("content"), type="input_text")
    return "\n".join(part["text"] for part in parts if part["type"] in _TEXTS)


def _results(items: tuple[Json, ...]) -> tuple[ToolResult, ...]:
    """Read what the tools gave back at the end of the conversation."""
    found: list[ToolResult] = []
    for item in reversed(items):
        if item.get("type") != "function_call_output":
            break
        parts = content_blocks(item.get("output"), type="input_text")
        text = "\n".join(part["text"] for part in parts if part.get("type") in _TEXTS)
        found.insert(0, ToolResult(text, images=sum(part.get("type") == "input_image" for part in parts)))
    return tuple(found)


def _media(part: Json) -> Media:
    """Read an image or a file."""
    kind = "image" if part["type"] == "input_image" else "document"
    uri = parse_data_uri(part.get("image_url") or part.get("file_data"))
    return Media(kind, uri[0], base64_size(uri[1])) if uri else Media(kind, f"{kind}/*", 0)


def _schema(wanted: Json) -> Json | None:
    """Read the schema the answer must fit; an empty one stands for any JSON."""
    match wanted.get("type"):
        case "json_schema":
            schema: Json = wanted["schema"]
            return schema
        case "json_object":
            return {}
        case _:
            return None


def _prompt(body: Json, items: tuple[Json, ...]) -> Iterator[PromptSegment]:
    """Lay the prompt out in the order the cache sees it."""
    for tool in body.get("tools") or []:
        yield prompt_segment("tool", tool)
    if body.get("instructions"):
        yield prompt_segment("system", None, text=body["instructions"])
    for item in items:
        yield from _item_segments(item)


def _item_segments(item: Json) -> Iterator[PromptSegment]:
    """Lay one item out."""
    if item.get("type", "message") != "message":
        yield prompt_segment("item", {key: value for key, value in item.items() if key not in ("id", "status")})
        return
    for part in content_blocks(item.get("content"), type="input_text"):
        text: Any = part.get("text") if part["type"] in _TEXTS else None
        yield prompt_segment(item.get("role", "user"), part, text=text, media=text is None)
