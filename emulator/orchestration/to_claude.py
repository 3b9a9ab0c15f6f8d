"""Conversion of harmonized requests to the body for Claude."""

import json
from collections.abc import Iterator
from typing import Any

from emulator.body_fields import content_blocks, parse_data_uri
from emulator.claude_invoke.signatures import is_redacted
from emulator.claude_invoke.validation import VERSION
from emulator.models import Model, Thinking
from emulator.orchestration.failures import ModuleFailure
from emulator.orchestration.parameters import stop_strings, token_limit
from emulator.world import Json

_LIMIT = 4096
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 4096, "max": 4096}
_CHOICES: dict[str, Json] = {"auto": {"type": "auto"}, "required": {"type": "any"}, "none": {"type": "none"}}


def claude_body(model: Model, messages: list[Json], params: Json, tools: list[Json]) -> Json:
    """Build the body of `/invoke`."""
    thinking = params.get("thinking") or _thinking(model, params.get("reasoning_effort"))
    body: Json = {
        "anthropic_version": VERSION,
        "max_tokens": token_limit(params) or _LIMIT + (thinking or {}).get("budget_tokens", 0),
        "messages": _turns(model, messages),
    }
    system = [block for message in messages if message["role"] in _SYSTEM for block in _texts(message)]
    config = dict(params.get("output_config") or {})
    effort = config.get("effort") or params.get("reasoning_effort")
    if model.effort and effort not in (None, "none"):
        config["effort"] = "low" if effort == "minimal" else effort
    samplers = {} if params.get("top_p") is None else {"top_p": params["top_p"]}
    if params.get("temperature") is not None and not model.no_samplers:
        samplers["temperature"] = params["temperature"]
    more = {
        "system": system,
        "tools": [_tool(tool) for tool in tools],
        "tool_choice": _choice(params) if tools else None,
        "stop_sequences": stop_strings(params),
        "thinking": thinking,
        "output_config": config,
    }
    return body | samplers | {key: value for key, value in more.items() if value}


_SYSTEM = ("system", "developer")


def _thinking(model: Model, effort: Any) -> Json | None:
    """Convert the reasoning effort to Claude's thinking settings."""
    if effort in (None, "none"):
        return None
    if model.thinking is Thinking.BUDGET:
        return {"type": "enabled", "budget_tokens": _BUDGETS.get(effort, 0)}
    return {"type": "adaptive"}


def _choice(params: Json) -> Json | None:
    """Convert the tool choice."""
    choice = params.get("tool_choice")
    single = params.get("parallel_tool_calls") is False
    if choice is None and not single:
        return None
    if isinstance(choice, dict):
        found = {"type": "tool", "name": choice["function"]["name"]}
    else:
        found = _CHOICES[choice or "auto"]
    return found | ({"disable_parallel_tool_use": True} if single and found["type"] != "none" else {})


def _tool(tool: Json) -> Json:
    """Convert a function to a tool."""
    function = tool["function"]
    written: Json = {"name": function["name"], "input_schema": function.get("parameters") or {"type": "object"}}
    if "description" in function:
        written["description"] = function["description"]
    return written | _mark(tool)


def _mark(value: Json) -> Json:
    """Return the cache mark of a value, if it has one."""
    return {"cache_control": value["cache_control"]} if "cache_control" in value else {}


def _texts(message: Json) -> Iterator[Json]:
    """Yield the texts of a message as blocks, without empty ones."""
    for part in content_blocks(message.get("content"), type="text"):
        if part["text"]:
            yield {"type": "text", "text": part["text"]} | _mark(part)


def _turns(model: Model, messages: list[Json]) -> list[Json]:
    """Convert the conversation. Tool results become the user's, and consecutive turns of one role are joined."""
    turns: list[Json] = []
    for message in messages:
        if message["role"] in _SYSTEM:
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = list(_blocks(model, message))
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(model: Model, message: Json) -> Iterator[Json]:
    """Yield the blocks of a message."""
    match message["role"]:
        case "tool":
            if not isinstance(message["content"], str):
                raise ModuleFailure(
                    "Tool message content must be a string for Anthropic harmonization. Received: list."
                )
            yield {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": message["content"]}
        case "assistant":
            yield from (_thought(block) for block in message.get("reasoning_content") or [])
            yield from _texts(message)
            yield from (_call(call) for call in message.get("tool_calls") or [])
        case _:
            for part in content_blocks(message["content"], type="text"):
                yield _part(model, part)


def _thought(block: Json) -> Json:
    """Convert a piece of reasoning. One without text is redacted."""
    signature = block.get("signature", "")
    if not block.get("content") and is_redacted(signature):
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": block.get("content", ""), "signature": signature}


def _call(call: Json) -> Json:
    """Convert a tool call."""
    try:
        given = json.loads(call["function"]["arguments"] or "{}")
    except ValueError:
        raise ModuleFailure("Tool call arguments must be valid JSON for Anthropic harmonization.") from None
    return {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": given}


def _part(model: Model, part: Json) -> Json:
    """Convert a part of a user's message."""
    match part["type"]:
        case "image_url":
            uri = parse_data_uri(part["image_url"]["url"])
            if uri is None:
                raise ModuleFailure("Unable to access image URL. Only base64-encoded images are supported.")
            source = {"type": "base64", "media_type": uri[0], "data": uri[1]}
            return {"type": "image", "source": source} | _mark(part)
        case "file":
            kind, data = parse_data_uri(part["file"]["file_data"]) or ("", "")
            if kind != "application/pdf":
                raise ModuleFailure(
                    f"Model '{model.name}' only supports PDF documents. Please provide a valid PDF file."
                )
            source = {"type": "base64", "media_type": kind, "data": data}
            return {"type": "document", "source": source} | _mark(part)
        case _:
            return {"type": "text", "text": part["text"]} | _mark(part)
