"""Parser of chat completions requests."""

from collections.abc import Iterator
from typing import Any

from emulator.body_fields import base64_size, content_blocks, parse_data_uri, prompt_segment
from emulator.model_io import Media, ModelRequest, PromptSegment, Tool, ToolResult
from emulator.models import Model
from emulator.openai_common.vocabulary import SYSTEM_ROLES, parse_tool_choice
from emulator.world import Json


def parse_request(model: Model, body: Json) -> ModelRequest:
    """Parse a valid body."""
    turns = [message for message in body["messages"] if message["role"] not in SYSTEM_ROLES]
    results = _results(turns)
    said = content_blocks(turns[-1].get("content"), type="text") if turns and turns[-1]["role"] == "user" else []
    system = [_text(message.get("content")) for message in body["messages"] if message["role"] in SYSTEM_ROLES]
    choice, forced = parse_tool_choice(body.get("tool_choice"))
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    stop = body.get("stop")
    return ModelRequest(
        model,
        system="\n".join(system),
        text="\n".join(part["text"] for part in said if part["type"] == "text"),
        media=tuple(_media(part) for part in said if part["type"] != "text"),
        results=results,
        tools=tuple(_tool(tool["function"]) for tool in body.get("tools") or []),
        choice=choice,
        forced=forced,
        parallel=body.get("parallel_tool_calls", True) is not False,
        schema=_schema(body.get("response_format") or {}),
        stops=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        limit=limit,
        prompt=tuple(_prompt(body)),
    )


def _tool(function: Json) -> Tool:
    """Parse a tool."""
    return Tool(function["name"], function.get("parameters") or {"type": "object", "properties": {}})


def _schema(wanted: Json) -> Json | None:
    """Return the schema of the answer. An empty one means any JSON; None means text."""
    match wanted.get("type"):
        case "json_schema":
            schema: Json = wanted["json_schema"].get("schema") or {}
            return schema
        case "json_object":
            return {}
        case _:
            return None


def _text(content: Any) -> str:
    """Join the texts of a content."""
    return "\n".join(part["text"] for part in content_blocks(content, type="text") if part.get("type") == "text")


def _results(messages: list[Json]) -> tuple[ToolResult, ...]:
    """Return the tool results at the end of the conversation."""
    found: list[ToolResult] = []
    for message in reversed(messages):
        if message["role"] not in ("tool", "function"):
            break
        found.insert(0, ToolResult(_text(message.get("content"))))
    return tuple(found)


def _media(part: Json) -> Media:
    """Parse an image or a file."""
    if part["type"] == "image_url":
        given = part["image_url"]
        uri = parse_data_uri(given["url"] if isinstance(given, dict) else given)
        return Media("image", uri[0], base64_size(uri[1])) if uri else Media("image", "image/*", 0)
    uri = parse_data_uri(part["file"].get("file_data"))
    return Media("document", uri[0], base64_size(uri[1])) if uri else Media("document", "application/pdf", 0)


def _prompt(body: Json) -> Iterator[PromptSegment]:
    """Yield the prompt's segments in the order of the cache."""
    for tool in body.get("tools") or []:
        yield prompt_segment("tool", tool)
    for message in body["messages"]:
        for part in content_blocks(message.get("content"), type="text"):
            text = part.get("text") if part.get("type") == "text" else None
            yield prompt_segment(message["role"], part, text=text, media=text is None)
        for call in message.get("tool_calls") or []:
            yield prompt_segment("call", call)
