"""Chat completions on Azure: what `/chat/completions` reads and writes."""

from collections.abc import Iterator
from typing import Any

from emulator.body_fields import base64_size, content_blocks, parse_data_uri, prompt_segment
from emulator.model_io import (
    Media,
    ModelRequest,
    ModelResponse,
    PromptSegment,
    StopReason,
    StreamEvent,
    Text,
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
    StopReason.END: "stop",
    StopReason.LENGTH: "length",
    StopReason.STRING: "stop",
    StopReason.TOOLS: "tool_calls",
    StopReason.REFUSAL: "content_filter",
}
_CHOICES = {"auto": ToolChoice.AUTO, "required": ToolChoice.REQUIRED, "none": ToolChoice.NONE}
_HARMS = ("hate", "self_harm", "sexual", "violence")
_SAFE = {harm: {"filtered": False, "severity": "safe"} for harm in _HARMS}
_FINGERPRINT = "fp_6f2eadacda"
SYSTEM = ("system", "developer")


def ask(model: Model, body: Json) -> ModelRequest:
    """Read a body that broke no rule."""
    turns = [message for message in body["messages"] if message["role"] not in SYSTEM]
    results = _results(turns)
    said = content_blocks(turns[-1].get("content"), type="text") if turns and turns[-1]["role"] == "user" else []
    system = [_text(message.get("content")) for message in body["messages"] if message["role"] in SYSTEM]
    choice, forced = tool_choice(body.get("tool_choice"))
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


def tool_choice(given: Any) -> tuple[ToolChoice, tuple[str, ...]]:
    """Read a tool choice, of chat or of Responses."""
    match given:
        case {"type": "allowed_tools"}:
            inner = given.get("allowed_tools", given)
            return _CHOICES[inner.get("mode", "auto")], tuple(_named(tool) for tool in inner.get("tools", []))
        case dict():
            return ToolChoice.REQUIRED, (_named(given),)
        case str():
            return _CHOICES[given], ()
        case _:
            return ToolChoice.AUTO, ()


def completion(model: Model, body: Json, givens: list[ModelResponse], usage: Usage, id: str, created: int) -> Json:
    """Write the whole answer."""
    choices = [_choice(index, given, body) for index, given in enumerate(givens)]
    return {
        "choices": choices,
        "created": created,
        "id": id,
        "model": model.answers_as,
        "object": "chat.completion",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _SAFE}],
        "system_fingerprint": _FINGERPRINT,
        "usage": counted(usage),
    }


def events(
    model: Model, body: Json, givens: list[ModelResponse], usage: Usage, id: str, created: int
) -> Iterator[StreamEvent]:
    """Write the answer as a stream, with the empty chunk Azure sends first."""
    filters = [{"prompt_index": 0, "content_filter_results": _SAFE}]
    yield StreamEvent(
        {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": filters}
    )
    foot = {
        "created": created,
        "id": id,
        "model": model.answers_as,
        "object": "chat.completion.chunk",
        "system_fingerprint": _FINGERPRINT,
    }
    counts = bool((body.get("stream_options") or {}).get("include_usage"))
    for index, given in enumerate(givens):
        for choice, content in _deltas(index, given, body):
            yield StreamEvent({"choices": [choice]} | foot | ({"usage": None} if counts else {}), content)
    if counts:
        yield StreamEvent({"choices": []} | foot | {"usage": counted(usage)})
    yield StreamEvent("[DONE]")


def call_id(call: ToolCall) -> str:
    """Name a tool call."""
    return f"call_{call.seed[:24]}"


def counted(usage: Usage) -> Json:
    """Write token counts: the cache within the prompt, reasoning within the completion."""
    return {
        "completion_tokens": usage.output,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": 0,
            "reasoning_tokens": usage.reasoning,
            "rejected_prediction_tokens": 0,
        },
        "prompt_tokens": usage.prompt,
        "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": usage.read},
        "total_tokens": usage.prompt + usage.output,
    }


def _choice(index: int, given: ModelResponse, body: Json) -> Json:
    """Write one choice."""
    text = _joined(given)
    calls = [
        {"id": call_id(part), "type": "function", "function": {"name": part.name, "arguments": part.arguments}}
        for part in given.parts
        if isinstance(part, ToolCall)
    ]
    message: Json = {"annotations": [], "content": text, "refusal": None, "role": "assistant"}
    if calls:
        message |= {"content": text or None, "tool_calls": calls}
    return {
        "content_filter_results": {} if calls else _SAFE,
        "finish_reason": STOPS[given.stop],
        "index": index,
        "logprobs": _logprobs(list(text_deltas(text)), body),
        "message": message,
    }


def _deltas(index: int, given: ModelResponse, body: Json) -> Iterator[tuple[Json, bool]]:
    """Write one choice as chunks, each with whether it is part of the answer."""

    def chunk(delta: Json, reason: str | None = None, piece: str | None = None) -> Json:
        filters = _SAFE if piece is not None else {}
        logprobs = _logprobs([piece], body) if piece is not None else None
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
    yield chunk({}, STOPS[given.stop]), False


def _logprobs(pieces: list[str], body: Json) -> Json | None:
    """Write believable log probabilities, when they were asked for."""
    if not body.get("logprobs"):
        return None
    top = body.get("top_logprobs") or 0
    content = []
    for piece in pieces:
        alternatives = [_token(piece if rank == 0 else f"{piece}{rank}", -0.1 - 2 * rank) for rank in range(top)]
        content.append(_token(piece, -0.1) | {"top_logprobs": alternatives})
    return {"content": content, "refusal": None}


def _token(piece: str, logprob: float) -> Json:
    """Write one token and its probability."""
    return {"token": piece, "logprob": logprob, "bytes": list(piece.encode("utf-8", "surrogatepass"))}


def _joined(given: ModelResponse) -> str:
    """Join the texts of an answer."""
    return "".join(part.text for part in given.parts if isinstance(part, Text))


def _named(tool: Json) -> str:
    """Read the name of a chosen tool."""
    return str((tool.get("function") or tool).get("name"))


def _tool(function: Json) -> Tool:
    """Read a tool."""
    return Tool(function["name"], function.get("parameters") or {"type": "object", "properties": {}})


def _schema(wanted: Json) -> Json | None:
    """Read the schema the answer must fit; an empty one stands for any JSON."""
    match wanted.get("type"):
        case "json_schema":
            schema: Json = wanted["json_schema"].get("schema") or {}
            return schema
        case "json_object":
            return {}
        case _:
            return None


def _text(content: Any) -> str:
    """Read content as a text."""
    return "\n".join(part["text"] for part in content_blocks(content, type="text") if part.get("type") == "text")


def _results(messages: list[Json]) -> tuple[ToolResult, ...]:
    """Read what the tools gave back at the end of the conversation."""
    found: list[ToolResult] = []
    for message in reversed(messages):
        if message["role"] not in ("tool", "function"):
            break
        found.insert(0, ToolResult(_text(message.get("content"))))
    return tuple(found)


def _media(part: Json) -> Media:
    """Read an image or a file."""
    if part["type"] == "image_url":
        given = part["image_url"]
        uri = parse_data_uri(given["url"] if isinstance(given, dict) else given)
        return Media("image", uri[0], base64_size(uri[1])) if uri else Media("image", "image/*", 0)
    uri = parse_data_uri(part["file"].get("file_data"))
    return Media("document", uri[0], base64_size(uri[1])) if uri else Media("document", "application/pdf", 0)


def _prompt(body: Json) -> Iterator[PromptSegment]:
    """Lay the prompt out in the order the cache sees it."""
    for tool in body.get("tools") or []:
        yield prompt_segment("tool", tool)
    for message in body["messages"]:
        for part in content_blocks(message.get("content"), type="text"):
            text = part.get("text") if part.get("type") == "text" else None
            yield prompt_segment(message["role"], part, text=text, media=text is None)
        for call in message.get("tool_calls") or []:
            yield prompt_segment("call", call)


def thinks(model: Model) -> bool:
    """Whether the model reasons before it speaks."""
    return model.thinking is Thinking.ALWAYS
