"""Claude on Bedrock, as its own messages: what `/invoke` reads and writes."""

import json
from collections.abc import Iterator
from dataclasses import replace

from emulator import signatures
from emulator.body_fields import base64_size, content_blocks, prompt_segment
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
from emulator.models import Model, Thinking
from emulator.world import Json

STOPS = {
    StopReason.END: "end_turn",
    StopReason.LENGTH: "max_tokens",
    StopReason.STRING: "stop_sequence",
    StopReason.TOOLS: "tool_use",
    StopReason.REFUSAL: "refusal",
}
_CHOICES = {"auto": ToolChoice.AUTO, "any": ToolChoice.REQUIRED, "tool": ToolChoice.REQUIRED, "none": ToolChoice.NONE}
_TTL = {"5m": 300.0, "1h": 3600.0}
SIGNATURE = "EqoBCkgI"
_REDACTED = "EmwKAhgB"


def signature(text: str) -> str:
    """Sign a thought."""
    return SIGNATURE + signatures.sign("claude", text)


def signed(given: object) -> bool:
    """Whether a thought's signature is one of ours."""
    return isinstance(given, str) and signatures.made("claude", given.removeprefix(SIGNATURE))


def sealed(seed: str) -> str:
    """Write the data of a redacted thought."""
    return _REDACTED + signatures.sign("redacted", seed)


def unsealed(given: object) -> bool:
    """Whether the data of a redacted thought is ours."""
    return isinstance(given, str) and signatures.made("redacted", given.removeprefix(_REDACTED))


def ask(model: Model, body: Json) -> ModelRequest:
    """Read a body that broke no rule."""
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


def displayed(given: ModelResponse, body: Json) -> ModelResponse:
    """Leave the words of the thoughts out when the request does not want to see them."""
    if (body.get("thinking") or {}).get("display") != "omitted":
        return given
    parts: tuple[Part, ...] = tuple(Thought("") if isinstance(part, Thought) else part for part in given.parts)
    return replace(given, parts=parts)


def message(model: Model, given: ModelResponse, usage: Usage, id: str) -> Json:
    """Write the whole answer."""
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model.answers_as,
        "content": [_block(part) for part in given.parts],
        "stop_reason": STOPS[given.stop],
        "stop_sequence": given.stop_string,
        "usage": _usage(model, usage),
    }


def events(model: Model, given: ModelResponse, usage: Usage, id: str) -> Iterator[StreamEvent]:
    """Write the answer as a stream."""
    start = message(model, replace(given, parts=()), usage, id)
    start |= {"stop_reason": None, "stop_sequence": None, "usage": _usage(model, replace(usage, output=1, reasoning=0))}
    yield StreamEvent({"type": "message_start", "message": start})
    for index, part in enumerate(given.parts):
        yield from _block_events(index, part)
    delta = {"stop_reason": STOPS[given.stop], "stop_sequence": given.stop_string}
    yield StreamEvent({"type": "message_delta", "delta": delta, "usage": _output(model, usage)})
    metrics = {
        "inputTokenCount": usage.fresh,
        "outputTokenCount": usage.output,
        "invocationLatency": 900,
        "firstByteLatency": 400,
        "cacheReadInputTokenCount": usage.read,
        "cacheWriteInputTokenCount": usage.written,
    }
    yield StreamEvent({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics})


def call_id(call: ToolCall) -> str:
    """Name a tool call."""
    return f"toolu_bdrk_01{call.seed[:22]}"


def _block(part: Part) -> Json:
    """Write a part as a block."""
    match part:
        case Thought(text):
            return {"type": "thinking", "thinking": text, "signature": signature(text)}
        case RedactedThought(seed):
            return {"type": "redacted_thinking", "data": sealed(seed)}
        case Text(text):
            return {"type": "text", "text": text}
        case ToolCall(name, arguments, _):
            return {"type": "tool_use", "id": call_id(part), "name": name, "input": json.loads(arguments)}


def _block_events(index: int, part: Part) -> Iterator[StreamEvent]:
    """Write a part as the events of a block."""

    def delta(kind: str, key: str, value: str) -> StreamEvent:
        body = {"type": "content_block_delta", "index": index, "delta": {"type": kind, key: value}}
        return StreamEvent(body, content=True)

    block = _block(part)
    empty: dict[str, Json] = {
        "thinking": {"thinking": "", "signature": ""},
        "text": {"text": ""},
        "tool_use": {"input": {}},
    }
    opening = block | empty.get(block["type"], {})
    shown = block["type"] in ("tool_use", "redacted_thinking")
    yield StreamEvent({"type": "content_block_start", "index": index, "content_block": opening}, content=shown)
    match part:
        case Thought(text):
            for piece in text_deltas(text):
                yield delta("thinking_delta", "thinking", piece)
            yield delta("signature_delta", "signature", signature(text))
        case Text(text):
            for piece in text_deltas(text):
                yield delta("text_delta", "text", piece)
        case ToolCall(_, arguments, _):
            yield delta("input_json_delta", "partial_json", "")
            for piece in json_deltas("" if arguments == "{}" else arguments):
                yield delta("input_json_delta", "partial_json", piece)
        case RedactedThought():
            pass
    yield StreamEvent({"type": "content_block_stop", "index": index})


def _usage(model: Model, usage: Usage) -> Json:
    """Write token counts the way Claude does: what the cache took part in stands beside the rest."""
    five = usage.written - usage.written_1h
    return {
        "input_tokens": usage.fresh,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.read,
        "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": usage.written_1h},
        **_output(model, usage),
    }


def _output(model: Model, usage: Usage) -> Json:
    """Write the output tokens; newer models say how many of them were thoughts."""
    counted: Json = {"output_tokens": usage.output}
    if model.thinking in (Thinking.ADAPTIVE, Thinking.EITHER) and usage.reasoning:
        counted["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return counted


def _media(block: Json) -> Media:
    """Read an image or a document."""
    source = block["source"]
    if source["type"] == "base64":
        return Media(block["type"], source["media_type"], base64_size(source["data"]))
    text = source.get("data") or "".join(part.get("text", "") for part in content_blocks(source.get("content")))
    return Media(block["type"], "text/plain", len(text.encode()))


def _result(block: Json) -> ToolResult:
    """Read what a tool gave back."""
    inner = content_blocks(block.get("content"), type="text")
    text = "\n".join(part["text"] for part in inner if part["type"] == "text")
    images = sum(part["type"] == "image" for part in inner)
    return ToolResult(text, bool(block.get("is_error")), images)


def _prompt(body: Json, system: list[Json]) -> Iterator[PromptSegment]:
    """Lay the prompt out in the order the cache sees it: tools, system, messages."""
    for tool in body.get("tools") or []:
        yield _segment("tool", tool)
    for block in system:
        yield _segment("system", block)
    for message in body["messages"]:
        for block in content_blocks(message["content"], type="text"):
            yield _segment(message["role"], block)


def _segment(label: str, block: Json) -> PromptSegment:
    """Make a stretch of the prompt from a block or a tool, without its mark."""
    mark = block.get("cache_control")
    ttl = _TTL[mark.get("ttl", "5m")] if mark else None
    bare = {key: value for key, value in block.items() if key != "cache_control"}
    text = block["text"] if bare.keys() == {"type", "text"} else None
    return prompt_segment(label, bare, text=text, media=block.get("type") in ("image", "document"), ttl=ttl)
