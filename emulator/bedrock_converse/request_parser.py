"""Parser of Converse requests."""

import json
from collections.abc import Iterator
from dataclasses import replace

from emulator.body_fields import base64_size, prompt_segment
from emulator.model_io import Media, ModelRequest, PromptSegment, Tool, ToolChoice, ToolResult
from emulator.models import Model
from emulator.world import Json

_DOCUMENTS = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}
_DEFAULT_LIMIT = 4096
_TTL = {"5m": 300.0, "1h": 3600.0}


def parse_request(model: Model, body: Json) -> ModelRequest:
    """Parse a valid body."""
    users = [message for message in body["messages"] if message["role"] == "user"]
    last = users[-1]["content"]
    config = body.get("inferenceConfig") or {}
    tools = body.get("toolConfig") or {}
    extra = body.get("additionalModelRequestFields") or {}
    choice, forced = _choice(tools.get("toolChoice") or {})
    system = [block["text"] for block in body.get("system") or [] if "text" in block]
    return ModelRequest(
        model,
        system="\n".join(system),
        text="\n".join(block["text"] for block in last if "text" in block),
        media=tuple(_media(block) for block in last if "image" in block or "document" in block),
        results=tuple(_result(block["toolResult"]) for block in last if "toolResult" in block),
        tools=tuple(_tool(entry["toolSpec"]) for entry in tools.get("tools") or [] if "toolSpec" in entry),
        choice=choice,
        forced=forced,
        parallel=not (extra.get("tool_choice") or {}).get("disable_parallel_tool_use", False),
        schema=_schema(body, extra),
        thinks=(extra.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
        stops=tuple(config.get("stopSequences") or ()),
        limit=config.get("maxTokens", _DEFAULT_LIMIT),
        prompt=tuple(_prompt(body)),
    )


def _choice(choice: Json) -> tuple[ToolChoice, tuple[str, ...]]:
    """Parse the tool choice."""
    if "tool" in choice:
        return ToolChoice.REQUIRED, (choice["tool"]["name"],)
    return (ToolChoice.REQUIRED if "any" in choice else ToolChoice.AUTO), ()


def _tool(spec: Json) -> Tool:
    """Parse a tool."""
    return Tool(spec["name"], spec["inputSchema"]["json"])


def _schema(body: Json, extra: Json) -> Json | None:
    """Return the schema of the answer, from either of its two places; None if there is none."""
    wanted = (body.get("outputConfig") or {}).get("textFormat")
    if wanted:
        schema: Json = json.loads(wanted["structure"]["jsonSchema"]["schema"])
        return schema
    return ((extra.get("output_config") or {}).get("format") or {}).get("schema")


def _media(block: Json) -> Media:
    """Parse an image or a document."""
    if "image" in block:
        return Media("image", f"image/{block['image']['format']}", base64_size(block["image"]["source"]["bytes"]))
    document = block["document"]
    kind = document.get("format", "txt")
    source = document["source"]
    length = base64_size(source["bytes"]) if "bytes" in source else len(str(source.get("text", "")).encode())
    return Media("document", _DOCUMENTS.get(kind, f"application/{kind}"), length)


def _result(result: Json) -> ToolResult:
    """Parse the result of a tool."""
    said = [
        item["text"] if "text" in item else json.dumps(item["json"], ensure_ascii=False) for item in _worded(result)
    ]
    images = sum("image" in item for item in result["content"])
    return ToolResult("\n".join(said), result.get("status") == "error", images)


def _worded(result: Json) -> list[Json]:
    """Return the items of a result that can be rendered as text."""
    return [item for item in result["content"] if "text" in item or "json" in item]


def _prompt(body: Json) -> Iterator[PromptSegment]:
    """Yield the prompt's segments in the order of the cache. A cache point marks the segment before it."""
    lists: list[tuple[str, list[Json]]] = [
        ("tool", (body.get("toolConfig") or {}).get("tools") or []),
        ("system", body.get("system") or []),
        *((message["role"], message["content"]) for message in body["messages"]),
    ]
    held: PromptSegment | None = None
    for label, entries in lists:
        for entry in entries:
            if "cachePoint" in entry:
                held = replace(held, ttl=_TTL[entry["cachePoint"].get("ttl", "5m")]) if held else None
                continue
            if held:
                yield held
            held = prompt_segment(label, entry, text=entry.get("text"), media="image" in entry or "document" in entry)
    if held:
        yield held
