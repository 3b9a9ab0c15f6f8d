"""Parser of Responses requests."""

from collections.abc import Iterator
from typing import Any

from emulator.body_fields import base64_size, content_blocks, parse_data_uri, prompt_segment
from emulator.model_io import Media, ModelRequest, PromptSegment, Tool, ToolResult
from emulator.models import Model
from emulator.openai_common.vocabulary import SYSTEM_ROLES, parse_tool_choice
from emulator.world import Json

_TEXTS = ("input_text", "output_text")


def parse_request(model: Model, body: Json, items: tuple[Json, ...]) -> ModelRequest:
    """Parse a valid body. *items* are all items of the conversation."""
    turns = tuple(item for item in items if item.get("role") not in SYSTEM_ROLES)
    said = (
        content_blocks(turns[-1].get("content"), type="input_text") if turns and turns[-1].get("role") == "user" else []
    )
    system = [_text(item) for item in items if item.get("role") in SYSTEM_ROLES]
    choice, forced = parse_tool_choice(body.get("tool_choice"))
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


def _text(item: Json) -> str:
    """Join the texts of an item."""
    parts = content_blocks(item.get("content"), type="input_text")
    return "\n".join(part["text"] for part in parts if part["type"] in _TEXTS)


def _results(items: tuple[Json, ...]) -> tuple[ToolResult, ...]:
    """Return the tool results at the end of the conversation."""
    found: list[ToolResult] = []
    for item in reversed(items):
        if item.get("type") not in ("function_call_output", "custom_tool_call_output"):
            break
        parts = content_blocks(item.get("output"), type="input_text")
        text = "\n".join(part["text"] for part in parts if part.get("type") in _TEXTS)
        found.insert(0, ToolResult(text, images=sum(part.get("type") == "input_image" for part in parts)))
    return tuple(found)


def _media(part: Json) -> Media:
    """Parse an image or a file."""
    kind = "image" if part["type"] == "input_image" else "document"
    uri = parse_data_uri(part.get("image_url") or part.get("file_data"))
    return Media(kind, uri[0], base64_size(uri[1])) if uri else Media(kind, f"{kind}/*", 0)


def _schema(wanted: Json) -> Json | None:
    """Return the schema of the answer. An empty one means any JSON; None means text."""
    match wanted.get("type"):
        case "json_schema":
            schema: Json = wanted["schema"]
            return schema
        case "json_object":
            return {}
        case _:
            return None


def _prompt(body: Json, items: tuple[Json, ...]) -> Iterator[PromptSegment]:
    """Yield the prompt's segments in the order of the cache."""
    for tool in body.get("tools") or []:
        yield prompt_segment("tool", tool)
    if body.get("instructions"):
        yield prompt_segment("system", None, text=body["instructions"])
    for item in items:
        yield from _item_segments(item)


def _item_segments(item: Json) -> Iterator[PromptSegment]:
    """Yield the segments of one item."""
    if item.get("type", "message") != "message":
        yield prompt_segment("item", {key: value for key, value in item.items() if key not in ("id", "status")})
        return
    for part in content_blocks(item.get("content"), type="input_text"):
        text: Any = part.get("text") if part["type"] in _TEXTS else None
        yield prompt_segment(item.get("role", "user"), part, text=text, media=text is None)
