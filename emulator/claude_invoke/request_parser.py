"""Parser of requests to Claude, in Anthropic messages."""

from collections.abc import Iterator

from emulator.body_fields import base64_size, content_blocks, prompt_segment
from emulator.model_io import Media, ModelRequest, PromptSegment, Tool, ToolChoice, ToolResult
from emulator.models import Model
from emulator.world import Json

_CHOICES = {"auto": ToolChoice.AUTO, "any": ToolChoice.REQUIRED, "tool": ToolChoice.REQUIRED, "none": ToolChoice.NONE}
_TTL = {"5m": 300.0, "1h": 3600.0}


def parse_request(model: Model, body: Json) -> ModelRequest:
    """Parse a valid body."""
    messages = body["messages"]
    users = [message for message in messages if message["role"] == "user"]
    last = content_blocks(users[-1]["content"], type="text") if users else []
    results = tuple(_result(block) for block in last if block["type"] == "tool_result")
    system = content_blocks(body.get("system"), type="text")
    choice = body.get("tool_choice") or {"type": "auto"}
    return ModelRequest(
        model,
        system="\n".join(block["text"] for block in system),
        text="\n".join(block["text"] for block in last if block["type"] == "text"),
        media=tuple(_media(block) for block in last if block["type"] in ("image", "document")),
        results=results,
        tools=tuple(Tool(tool["name"], tool.get("input_schema", {})) for tool in body.get("tools") or []),
        choice=_CHOICES[choice["type"]],
        forced=(choice["name"],) if choice["type"] == "tool" else (),
        parallel=not choice.get("disable_parallel_tool_use", False),
        schema=((body.get("output_config") or {}).get("format") or {}).get("schema"),
        thinks=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
        stops=tuple(body.get("stop_sequences") or ()),
        limit=body["max_tokens"],
        prompt=tuple(_prompt(body, system)),
    )


def _media(block: Json) -> Media:
    """Parse an image or a document."""
    source = block["source"]
    if source["type"] == "base64":
        return Media(block["type"], source["media_type"], base64_size(source["data"]))
    text = source.get("data") or "".join(part.get("text", "") for part in content_blocks(source.get("content")))
    return Media(block["type"], "text/plain", len(text.encode()))


def _result(block: Json) -> ToolResult:
    """Parse the result of a tool."""
    inner = content_blocks(block.get("content"), type="text")
    text = "\n".join(part["text"] for part in inner if part["type"] == "text")
    images = sum(part["type"] == "image" for part in inner)
    return ToolResult(text, bool(block.get("is_error")), images)


def _prompt(body: Json, system: list[Json]) -> Iterator[PromptSegment]:
    """Yield the prompt's segments in the order of the cache: tools, system, messages."""
    for tool in body.get("tools") or []:
        yield _segment("tool", tool)
    for block in system:
        yield _segment("system", block)
    for message in body["messages"]:
        for block in content_blocks(message["content"], type="text"):
            yield _segment(message["role"], block)


def _segment(label: str, block: Json) -> PromptSegment:
    """Build the segment of a block or a tool. The cache mark becomes its `ttl`."""
    mark = block.get("cache_control")
    ttl = _TTL[mark.get("ttl", "5m")] if mark else None
    bare = {key: value for key, value in block.items() if key != "cache_control"}
    text = block["text"] if bare.keys() == {"type", "text"} else None
    return prompt_segment(label, bare, text=text, media=block.get("type") in ("image", "document"), ttl=ttl)
