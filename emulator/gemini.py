"""Gemini on Vertex: what `:generateContent` reads and writes."""

import json
from collections.abc import Iterator
from typing import Any

from emulator import signatures
from emulator.body_fields import decode_google_base64, prompt_segment
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
    count_tokens,
    part_tokens,
    text_deltas,
)
from emulator.models import Model
from emulator.world import Json

STOPS = {
    StopReason.END: "STOP",
    StopReason.LENGTH: "MAX_TOKENS",
    StopReason.STRING: "STOP",
    StopReason.TOOLS: "STOP",
    StopReason.REFUSAL: "SAFETY",
}
_MODES = {"AUTO": ToolChoice.AUTO, "ANY": ToolChoice.REQUIRED, "NONE": ToolChoice.NONE, "VALIDATED": ToolChoice.AUTO}
_OPEN = ("args", "response", "parametersJsonSchema", "responseJsonSchema", "properties", "labels")
_LISTS = ("contents", "parts", "safetySettings", "tools", "functionDeclarations")
_CHUNK = 3


def normal(value: Any, *, closed: bool = True) -> Any:
    """Spell keys in camel case, and put lists where a lone object stands for one."""
    if isinstance(value, list):
        return [normal(item, closed=closed) for item in value]
    if not isinstance(value, dict):
        return value
    spelled: Json = {}
    for key, item in value.items():
        name = _camel(key) if closed else key
        inner = normal(item, closed=closed and name not in _OPEN)
        spelled[name] = [inner] if closed and name in _LISTS and isinstance(inner, dict) else inner
    return spelled


def signature(call: ToolCall) -> str:
    """Sign a function call."""
    return signatures.sign("gemini", f"{call.name}{call.arguments}")


def ask(model: Model, body: Json) -> ModelRequest:
    """Read a normal body that broke no rule."""
    config = body.get("generationConfig") or {}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    users = [turn for turn in body["contents"] if turn.get("role", "user") != "model"]
    last = users[-1]["parts"] if users else []
    system = "\n".join(part.get("text", "") for part in (body.get("systemInstruction") or {}).get("parts", []))
    allowed = tuple(calling.get("allowedFunctionNames") or ())
    return ModelRequest(
        model,
        system=system,
        text="\n".join(part["text"] for part in last if "text" in part),
        media=tuple(_media(part) for part in last if "inlineData" in part or "fileData" in part),
        results=tuple(_result(part["functionResponse"]) for part in last if "functionResponse" in part),
        tools=tuple(_tools(body)),
        choice=_MODES[calling.get("mode", "AUTO").upper()],
        forced=allowed,
        schema=_schema(config),
        thinks=bool((config.get("thinkingConfig") or {}).get("includeThoughts")),
        stops=tuple(config.get("stopSequences") or ()),
        limit=config.get("maxOutputTokens"),
        prompt=tuple(_prompt(body)),
    )


def response(model: Model, givens: list[ModelResponse], usage: Usage, id: str, created: str) -> Json:
    """Write the whole answer."""
    candidates = []
    for index, given in enumerate(givens):
        candidate: Json = {"index": index} if index else {}
        parts = _parts(model, given)
        if given.stop is not StopReason.REFUSAL:
            candidate["content"] = {"role": "model", "parts": parts} if parts else {"role": "model"}
        candidates.append(candidate | {"finishReason": STOPS[given.stop], "avgLogprobs": -0.25})
    return {"candidates": candidates, "usageMetadata": _usage(usage)} | _foot(model, id, created)


def events(model: Model, given: ModelResponse, usage: Usage, id: str, created: str) -> Iterator[StreamEvent]:
    """Write the answer as a stream; the counts in it only ever grow."""
    pieces = [] if given.stop is StopReason.REFUSAL else list(_pieces(model, given))
    thoughts = spoken = 0
    for at, (piece, part) in enumerate(pieces):
        if piece.get("thought"):
            thoughts += count_tokens(piece["text"])
        else:
            spoken += count_tokens(piece["text"]) if "text" in piece else part_tokens(part)
        last = at == len(pieces) - 1
        candidate: Json = {"content": {"role": "model", "parts": [piece]}}
        if last and isinstance(part, ToolCall):
            candidate["finishReason"] = STOPS[given.stop]
        so_far = usage.output if last else min(thoughts + spoken, usage.output)
        metadata = _usage(usage, so_far, usage.reasoning if spoken else min(thoughts, usage.reasoning))
        yield StreamEvent(
            {"candidates": [candidate], "usageMetadata": metadata} | _foot(model, id, created), content=True
        )
    if pieces and isinstance(pieces[-1][1], ToolCall):
        return
    end: Json = {"finishReason": STOPS[given.stop]}
    if given.stop is StopReason.END and pieces:
        end["content"] = {"role": "model", "parts": [{"text": ""}]}
    yield StreamEvent({"candidates": [end], "usageMetadata": _usage(usage)} | _foot(model, id, created))


def _parts(model: Model, given: ModelResponse) -> list[Json]:
    """Write the parts of an answer that is not streamed."""
    written = []
    signed = False
    for part in given.parts:
        match part:
            case Thought(text):
                written.append({"text": text, "thought": True})
            case Text(text):
                written.append({"text": text})
            case ToolCall():
                written.append(_call(part) | ({} if signed else _signed(model, given, part)))
                signed = True
            case RedactedThought():
                pass
    return written


def _pieces(model: Model, given: ModelResponse) -> Iterator[tuple[Json, Part]]:
    """Cut the parts of an answer the way Gemini streams them: text in larger pieces, calls whole."""
    signed = False
    for part in given.parts:
        match part:
            case Thought(text):
                yield from (({"text": piece, "thought": True}, part) for piece in _larger(text))
            case Text(text):
                yield from (({"text": piece}, part) for piece in _larger(text))
            case ToolCall():
                yield _call(part) | ({} if signed else _signed(model, given, part)), part
                signed = True
            case RedactedThought():
                pass


def _larger(text: str) -> Iterator[str]:
    """Join a few deltas at a time."""
    pieces = list(text_deltas(text))
    return ("".join(pieces[at : at + _CHUNK]) for at in range(0, len(pieces), _CHUNK))


def _call(call: ToolCall) -> Json:
    """Write a function call; it has no id."""
    return {"functionCall": {"name": call.name, "args": json.loads(call.arguments)}}


def _signed(model: Model, given: ModelResponse, call: ToolCall) -> Json:
    """Sign the first call of a turn, if the model signs calls or thought about it."""
    return {"thoughtSignature": signature(call)} if model.signs_calls or given.reasoning else {}


def _foot(model: Model, id: str, created: str) -> Json:
    """Write what stands at the end of every chunk."""
    return {"modelVersion": model.answers_as, "createTime": created, "responseId": id}


def _usage(usage: Usage, output: int | None = None, thoughts: int | None = None) -> Json:
    """Write token counts: thoughts beside the candidates, the cache within the prompt."""
    output = usage.output if output is None else output
    thoughts = usage.reasoning if thoughts is None else thoughts
    counted: Json = {"promptTokenCount": usage.prompt, "trafficType": "ON_DEMAND"}
    if usage.read:
        counted["cachedContentTokenCount"] = usage.read
    if output > thoughts:
        counted["candidatesTokenCount"] = output - thoughts
    if thoughts:
        counted["thoughtsTokenCount"] = thoughts
    return counted | {"totalTokenCount": usage.prompt + max(output, thoughts)}


def _camel(key: str) -> str:
    """Spell a key in camel case."""
    head, *rest = key.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def _tools(body: Json) -> Iterator[Tool]:
    """Read the declared functions."""
    for tool in body.get("tools") or []:
        for function in tool.get("functionDeclarations") or []:
            yield Tool(function["name"], function.get("parametersJsonSchema") or function.get("parameters") or {})


def _schema(config: Json) -> Json | None:
    """Read the schema the answer must fit; an empty one stands for any JSON."""
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema:
        return dict(schema)
    return {} if config.get("responseMimeType") == "application/json" else None


def _media(part: Json) -> Media:
    """Read an image or a document."""
    if "fileData" in part:
        return Media("file", part["fileData"].get("mimeType", "application/octet-stream"), 0)
    mime = part["inlineData"]["mimeType"]
    size = len(decode_google_base64(part["inlineData"]["data"]) or b"")
    return Media("image" if mime.startswith("image/") else "document", mime, size)


def _result(given: Json) -> ToolResult:
    """Read what a function gave back."""
    response = given.get("response") or {}
    failed = "error" in response
    said = response.get("result", response.get("output", response.get("error", response)))
    images = sum("image" in str(part.get("inlineData", {}).get("mimeType")) for part in given.get("parts") or [])
    return ToolResult(said if isinstance(said, str) else json.dumps(said), failed, images)


def _prompt(body: Json) -> Iterator[PromptSegment]:
    """Lay the prompt out in the order the cache sees it."""
    for tool in body.get("tools") or []:
        yield prompt_segment("tool", tool)
    for part in (body.get("systemInstruction") or {}).get("parts", []):
        yield prompt_segment("system", part, text=part.get("text"))
    for turn in body["contents"]:
        for part in turn["parts"]:
            yield prompt_segment(turn.get("role", "user"), part, text=part.get("text"), media="inlineData" in part)
