"""Conversion of harmonized requests to the Converse body for Nova."""

import json
from typing import Any

from emulator.body_fields import content_blocks, parse_data_uri
from emulator.orchestration.failures import ModuleFailure
from emulator.orchestration.parameters import stop_strings, token_limit
from emulator.world import Json

_FORMATS = {"application/pdf": "pdf", "text/plain": "txt", "text/csv": "csv", "text/html": "html"}
_SYSTEM = ("system", "developer")


def nova_body(messages: list[Json], params: Json, tools: list[Json]) -> Json:
    """Build the body of `/converse`."""
    body: Json = {"messages": _turns(messages)}
    system = [block for message in messages if message["role"] in _SYSTEM for block in _texts(message)]
    config: Json = {"temperature": params.get("temperature"), "topP": params.get("top_p")}
    config |= {"maxTokens": token_limit(params), "stopSequences": stop_strings(params) or None}
    config = {key: value for key, value in config.items() if value is not None}
    body |= ({"system": system} if system else {}) | ({"inferenceConfig": config} if config else {})
    choice = params.get("tool_choice")
    if not tools or choice == "none":
        return body
    return body | {"toolConfig": {"tools": [_tool(tool["function"]) for tool in tools]} | _choice(choice)}


def _choice(choice: Any) -> Json:
    """Convert the tool choice."""
    if isinstance(choice, dict):
        return {"toolChoice": {"tool": {"name": choice["function"]["name"]}}}
    return {"toolChoice": {"any": {}}} if choice == "required" else {}


def _tool(function: Json) -> Json:
    """Convert a function to a tool."""
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    written: Json = {"name": function["name"], "inputSchema": {"json": schema}}
    if function.get("description"):
        written["description"] = function["description"]
    return {"toolSpec": written}


def _texts(message: Json) -> list[Json]:
    """Return the texts of a message as blocks, without empty ones."""
    return [{"text": part["text"]} for part in content_blocks(message.get("content"), type="text") if part.get("text")]


def _turns(messages: list[Json]) -> list[Json]:
    """Convert the conversation. Tool results become the user's, and consecutive turns of one role are joined."""
    turns: list[Json] = []
    for message in messages:
        if message["role"] in _SYSTEM:
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Json) -> list[Json]:
    """Return the blocks of a message."""
    match message["role"]:
        case "tool":
            result = {"toolUseId": message["tool_call_id"], "content": _texts(message), "status": "success"}
            return [{"toolResult": result}]
        case "assistant":
            calls = [_call(call) for call in message.get("tool_calls") or []]
            return [*_texts(message), *calls]
        case _:
            return [_part(part, at) for at, part in enumerate(content_blocks(message["content"], type="text"))]


def _call(call: Json) -> Json:
    """Convert a tool call."""
    try:
        given = json.loads(call["function"]["arguments"] or "{}")
    except ValueError:
        raise ModuleFailure("Tool call arguments must be valid JSON.") from None
    return {"toolUse": {"toolUseId": call["id"], "name": call["function"]["name"], "input": given}}


def _part(part: Json, at: int) -> Json:
    """Convert a part of a user's message."""
    match part["type"]:
        case "text":
            return {"text": part["text"]}
        case "image_url":
            kind, data = parse_data_uri(part["image_url"]["url"]) or ("", "")
            return {"image": {"format": kind.removeprefix("image/"), "source": {"bytes": data}}}
        case _:
            kind, data = parse_data_uri(part["file"]["file_data"]) or ("", "")
            return {
                "document": {"format": _FORMATS.get(kind, kind), "name": f"document {at}", "source": {"bytes": data}}
            }
