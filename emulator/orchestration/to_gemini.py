"""Conversion of harmonized requests to the body for Gemini."""

import json
from typing import Any

from emulator.body_fields import content_blocks, parse_data_uri
from emulator.models import Model, Thinking
from emulator.orchestration.failures import ModuleFailure
from emulator.orchestration.parameters import stop_strings, token_limit
from emulator.world import Json

_BUDGETS = {"minimal": 512, "low": 1024, "medium": 2048, "high": 4096}
_MODES = {"auto": "AUTO", "required": "ANY", "none": "NONE"}
_SETTINGS = {
    "temperature": "temperature",
    "top_p": "topP",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}


def gemini_body(model: Model, messages: list[Json], params: Json, tools: list[Json], wanted: Json) -> Json:
    """Build the body of `:generateContent`."""
    if any(message["role"] == "developer" for message in messages):
        raise ModuleFailure("Invalid role 'developer' in message")
    system = [part for message in messages if message["role"] == "system" for part in _texts(message)]
    body: Json = {"contents": _turns(messages)}
    if system:
        body["systemInstruction"] = {"parts": system}
    if tools:
        body["tools"] = [{"functionDeclarations": [_function(tool["function"]) for tool in tools]}]
        body["toolConfig"] = {"functionCallingConfig": _calling(params.get("tool_choice"))}
    config = {name: params[key] for key, name in _SETTINGS.items() if params.get(key) is not None}
    limit, stops = token_limit(params), stop_strings(params)
    config |= ({"maxOutputTokens": limit} if limit else {}) | ({"stopSequences": stops} if stops else {})
    config |= _format(wanted) | _thinking(model, params)
    return body | ({"generationConfig": config} if config else {})


def _function(function: Json) -> Json:
    """Convert a function."""
    written: Json = {"name": function["name"], "parametersJsonSchema": function.get("parameters") or {"type": "object"}}
    return written | ({"description": function["description"]} if "description" in function else {})


def _calling(choice: Any) -> Json:
    """Convert the tool choice."""
    if isinstance(choice, dict):
        return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}
    return {"mode": _MODES[choice or "auto"]}


def _format(wanted: Json) -> Json:
    """Convert the response format."""
    match wanted.get("type"):
        case "json_schema":
            schema = wanted["json_schema"].get("schema") or {"type": "object"}
            return {"responseMimeType": "application/json", "responseJsonSchema": schema}
        case "json_object":
            return {"responseMimeType": "application/json"}
        case _:
            return {}


def _thinking(model: Model, params: Json) -> Json:
    """Convert the reasoning effort or budget to Gemini's thinking settings."""
    effort, budget = params.get("reasoning_effort"), (params.get("thinking") or {}).get("budget_tokens")
    if budget is not None:
        return {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": budget}}
    if effort in (None, "none"):
        return {}
    if model.thinking is Thinking.ADAPTIVE:
        return {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": str(effort).upper()}}
    return {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": _BUDGETS.get(effort, -1)}}


def _texts(message: Json) -> list[Json]:
    """Return the texts of a message as parts, without empty ones."""
    parts = content_blocks(message.get("content"), type="text")
    return [{"text": part["text"]} for part in parts if part.get("text")]


def _turns(messages: list[Json]) -> list[Json]:
    """Convert the conversation. Consecutive results of functions become one turn."""
    names = {call["id"]: call["function"]["name"] for message in messages for call in message.get("tool_calls") or []}
    turns: list[Json] = []
    for message in messages:
        match message["role"]:
            case "system":
                continue
            case "tool":
                name = names.get(message["tool_call_id"])
                if name is None:
                    raise ModuleFailure(f"Tool call id '{message['tool_call_id']}' was not found in the messages.")
                said = "\n".join(part["text"] for part in _texts(message))
                response = {"functionResponse": {"name": name, "response": {"result": said}}}
                if turns and "functionResponse" in turns[-1]["parts"][0]:
                    turns[-1]["parts"].append(response)
                else:
                    turns.append({"role": "user", "parts": [response]})
            case "assistant":
                turns.append({"role": "model", "parts": _answer(message)})
            case _:
                turns.append({"role": "user", "parts": [_part(part) for part in _with_words(message)]})
    return turns


def _with_words(message: Json) -> list[Json]:
    """Return the parts of a user's message without empty texts."""
    return [part for part in content_blocks(message["content"], type="text") if part.get("text") != ""]


def _answer(message: Json) -> list[Json]:
    """Convert a message of the model. The signature of its reasoning goes on its first call."""
    reasoning = message.get("reasoning_content") or []
    parts: list[Json] = [{"text": block["content"], "thought": True} for block in reasoning if block.get("content")]
    parts += _texts(message)
    signature = next((block["signature"] for block in reasoning if block.get("signature")), "")
    for at, call in enumerate(message.get("tool_calls") or []):
        part: Json = {"functionCall": {"name": call["function"]["name"], "args": _arguments(call)}}
        parts.append(part | ({"thoughtSignature": signature} if at == 0 and signature else {}))
    return parts


def _arguments(call: Json) -> Any:
    """Parse the arguments of a call; raises `ModuleFailure` if they are not JSON."""
    try:
        return json.loads(call["function"]["arguments"] or "{}")
    except ValueError:
        raise ModuleFailure("Tool call arguments must be valid JSON.") from None


def _part(part: Json) -> Json:
    """Convert a part of a user's message."""
    match part["type"]:
        case "text":
            return {"text": part["text"]}
        case "image_url":
            return _data(part["image_url"]["url"])
        case _:
            return _data(part["file"]["file_data"])


def _data(address: str) -> Json:
    """Convert a data URI to inline data, and any other URL to a file reference."""
    uri = parse_data_uri(address)
    if uri is None:
        return {"fileData": {"fileUri": address, "mimeType": "image/png"}}
    return {"inlineData": {"mimeType": uri[0], "data": uri[1]}}
