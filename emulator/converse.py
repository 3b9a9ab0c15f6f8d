"""Bedrock's Converse: what `/converse` reads and writes, for Claude and for Nova."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from emulator.body_fields import base64_size, prompt_segment
from emulator.claude import sealed, signature
from emulator.model_io import (
    Media,
    ModelRequest,
    ModelResponse,
    Part,
    PromptSegment,
    RedactedThought,
    StopReason,
    StreamEvent,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
    json_deltas,
    text_deltas,
)
from emulator.models import Model
from emulator.world import Json

STOPS = {
    StopReason.END: "end_turn",
    StopReason.LENGTH: "max_tokens",
    StopReason.STRING: "stop_sequence",
    StopReason.TOOLS: "tool_use",
    StopReason.REFUSAL: "content_filtered",
}
_DOCUMENTS = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}
_DEFAULT_LIMIT = 4096
_TTL = {"5m": 300.0, "1h": 3600.0}


def ask(model: Model, body: Json) -> ModelRequest:
    """Read a body that broke no rule."""
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


def message(given: ModelResponse, usage: Usage, paths: Any = None) -> Json:
    """Write the whole answer."""
    body: Json = {
        "output": {"message": {"role": "assistant", "content": [_block(part) for part in given.parts]}},
        "stopReason": STOPS[given.stop],
        "usage": _usage(usage),
        "metrics": {"latencyMs": 900},
    }
    return body | _additional(given, paths)


def events(given: ModelResponse, usage: Usage, paths: Any = None) -> Iterator[StreamEvent]:
    """Write the answer as a stream."""
    yield _event("messageStart", {"role": "assistant"})
    for index, part in enumerate(given.parts):
        yield from _block_events(index, part)
        yield _event("contentBlockStop", {"contentBlockIndex": index})
    yield _event("messageStop", {"stopReason": STOPS[given.stop]} | _additional(given, paths))
    yield _event("metadata", {"usage": _usage(usage), "metrics": {"latencyMs": 900}})


def call_id(call: ToolCall) -> str:
    """Name a tool call."""
    return f"tooluse_{call.seed[:22]}"


def _event(name: str, value: Json, *, content: bool = False) -> StreamEvent:
    """Make an event of the stream's union."""
    return StreamEvent({name: value}, content, name)


def _block(part: Part) -> Json:
    """Write a part as a block."""
    match part:
        case Thought(text):
            return {"reasoningContent": {"reasoningText": {"text": text, "signature": signature(text)}}}
        case RedactedThought(seed):
            return {"reasoningContent": {"redactedContent": _sealed(seed)}}
        case Text(text):
            return {"text": text}
        case ToolCall(name, arguments, _):
            return {"toolUse": {"toolUseId": call_id(part), "name": name, "input": json.loads(arguments)}}


def _block_events(index: int, part: Part) -> Iterator[StreamEvent]:
    """Write a part as events; only tool calls announce their block."""

    def delta(value: Json) -> StreamEvent:
        return _event("contentBlockDelta", {"delta": value, "contentBlockIndex": index}, content=True)

    match part:
        case Thought(text):
            for piece in text_deltas(text):
                yield delta({"reasoningContent": {"text": piece}})
            yield delta({"reasoningContent": {"signature": signature(text)}})
        case RedactedThought(seed):
            yield delta({"reasoningContent": {"redactedContent": _sealed(seed)}})
        case Text(text):
            for piece in text_deltas(text):
                yield delta({"text": piece})
        case ToolCall(name, arguments, _):
            start = {"toolUse": {"toolUseId": call_id(part), "name": name}}
            yield _event("contentBlockStart", {"start": start, "contentBlockIndex": index}, content=True)
            for piece in json_deltas("" if arguments == "{}" else arguments):
                yield delta({"toolUse": {"input": piece}})


def _sealed(seed: str) -> bytes:
    """Write a redacted thought as the bytes behind its base64."""
    return base64.b64decode(sealed(seed))


def _usage(usage: Usage) -> Json:
    """Write token counts; cached ones stand beside the input."""
    counted: Json = {
        "inputTokens": usage.fresh,
        "outputTokens": usage.output,
        "totalTokens": usage.prompt + usage.output,
        "cacheReadInputTokens": usage.read,
        "cacheWriteInputTokens": usage.written,
    }
    if usage.written:
        split = (("1h", usage.written_1h), ("5m", usage.written - usage.written_1h))
        counted["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in split if tokens]
    return counted


def _additional(given: ModelResponse, paths: Any) -> Json:
    """Answer with the model's own fields that were asked for."""
    if "/stop_sequence" not in (paths or []):
        return {}
    return {"additionalModelResponseFields": {"stop_sequence": given.stop_string}}


def _choice(choice: Json) -> tuple[ToolChoice, tuple[str, ...]]:
    """Read the tool choice."""
    if "tool" in choice:
        return ToolChoice.REQUIRED, (choice["tool"]["name"],)
    return (ToolChoice.REQUIRED if "any" in choice else ToolChoice.AUTO), ()


def _tool(spec: Json) -> Tool:
    """Read a tool."""
    return Tool(spec["name"], spec["inputSchema"]["json"])


def _schema(body: Json, extra: Json) -> Json | None:
    """Read the schema the answer must fit, from either place."""
    wanted = (body.get("outputConfig") or {}).get("textFormat")
    if wanted:
        schema: Json = json.loads(wanted["structure"]["jsonSchema"]["schema"])
        return schema
    return ((extra.get("output_config") or {}).get("format") or {}).get("schema")


def _media(block: Json) -> Media:
    """Read an image or a document."""
    if "image" in block:
        return Media("image", f"image/{block['image']['format']}", base64_size(block["image"]["source"]["bytes"]))
    document = block["document"]
    kind = document.get("format", "txt")
    source = document["source"]
    length = base64_size(source["bytes"]) if "bytes" in source else len(str(source.get("text", "")).encode())
    return Media("document", _DOCUMENTS.get(kind, f"application/{kind}"), length)


def _result(result: Json) -> ToolResult:
    """Read what a tool gave back."""
    said = [
        item["text"] if "text" in item else json.dumps(item["json"], ensure_ascii=False) for item in _worded(result)
    ]
    images = sum("image" in item for item in result["content"])
    return ToolResult("\n".join(said), result.get("status") == "error", images)


def _worded(result: Json) -> list[Json]:
    """List the items of a result that can be read out."""
    return [item for item in result["content"] if "text" in item or "json" in item]


def _prompt(body: Json) -> Iterator[PromptSegment]:
    """Lay the prompt out in the order the cache sees it; a cache point marks what stands before it."""
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
