"""Parser of Gemini requests."""

import json
from collections.abc import Iterator
from typing import Any

from emulator.body_fields import decode_google_base64, prompt_segment
from emulator.model_io import Media, ModelRequest, PromptSegment, Tool, ToolChoice, ToolResult
from emulator.models import Model
from emulator.world import Json

_MODES = {"AUTO": ToolChoice.AUTO, "ANY": ToolChoice.REQUIRED, "NONE": ToolChoice.NONE, "VALIDATED": ToolChoice.AUTO}
_OPEN = ("args", "response", "parametersJsonSchema", "responseJsonSchema", "properties", "labels")
_LISTS = ("contents", "parts", "safetySettings", "tools", "functionDeclarations")


def normalize(value: Any, *, closed: bool = True) -> Any:
    """Convert keys to camel case, and replace a single object that stands for a list of one with the list."""
    if isinstance(value, list):
        return [normalize(item, closed=closed) for item in value]
    if not isinstance(value, dict):
        return value
    spelled: Json = {}
    for key, item in value.items():
        name = _camel(key) if closed else key
        inner = normalize(item, closed=closed and name not in _OPEN)
        spelled[name] = [inner] if closed and name in _LISTS and isinstance(inner, dict) else inner
    return spelled


def parse_request(model: Model, body: Json) -> ModelRequest:
    """Parse a valid, normalized body."""
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


def _camel(key: str) -> str:
    """Convert a key to camel case."""
    head, *rest = key.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def _tools(body: Json) -> Iterator[Tool]:
    """Yield the declared functions."""
    for tool in body.get("tools") or []:
        for function in tool.get("functionDeclarations") or []:
            yield Tool(function["name"], function.get("parametersJsonSchema") or function.get("parameters") or {})


def search_query(body: Json) -> str:
    """Return what to search the web for; an empty string without a search tool."""
    if not any("googleSearch" in tool for tool in body.get("tools") or []):
        return ""
    users = [turn for turn in body["contents"] if turn.get("role", "user") != "model"]
    said = " ".join(part["text"] for part in users[-1]["parts"] if "text" in part) if users else ""
    return " ".join(said.split()[:6])


def _schema(config: Json) -> Json | None:
    """Return the schema of the answer. An empty one means any JSON; None means text."""
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema:
        return dict(schema)
    return {} if config.get("responseMimeType") == "application/json" else None


def _media(part: Json) -> Media:
    """Parse an image or a document."""
    if "fileData" in part:
        return Media("file", part["fileData"].get("mimeType", "application/octet-stream"), 0)
    mime = part["inlineData"]["mimeType"]
    size = len(decode_google_base64(part["inlineData"]["data"]) or b"")
    return Media("image" if mime.startswith("image/") else "document", mime, size)


def _result(given: Json) -> ToolResult:
    """Parse the result of a function."""
    response = given.get("response") or {}
    failed = "error" in response
    said = response.get("result", response.get("output", response.get("error", response)))
    images = sum("image" in str(part.get("inlineData", {}).get("mimeType")) for part in given.get("parts") or [])
    return ToolResult(said if isinstance(said, str) else json.dumps(said), failed, images)


def _prompt(body: Json) -> Iterator[PromptSegment]:
    """Yield the prompt's segments in the order of the cache."""
    for tool in body.get("tools") or []:
        yield prompt_segment("tool", tool)
    for part in (body.get("systemInstruction") or {}).get("parts", []):
        yield prompt_segment("system", part, text=part.get("text"))
    for turn in body["contents"]:
        for part in turn["parts"]:
            yield prompt_segment(turn.get("role", "user"), part, text=part.get("text"), media="inlineData" in part)
