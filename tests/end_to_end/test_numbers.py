"""Integers of more than 64 bits, as order numbers and ids may be, arrive to the last digit."""

import json
from typing import Any

import pytest

from tests.support.running import Proxy

ORDER = 123456789012345678901234567890
ARGUMENTS = {"order": ORDER}
PARAMETERS = {"type": "object", "properties": {"order": {"type": "integer"}}}
SAYS = f"scene:call find {json.dumps(ARGUMENTS)}"
BACKENDS = ["gpt-4.1", "gpt-5", "gemini-2.5-pro", "anthropic--claude-4.5-sonnet", "anthropic--claude-3.5-sonnet"]
OPENAI = {
    "tools": [{"type": "function", "function": {"name": "find", "parameters": PARAMETERS}}],
    "messages": [
        {"role": "user", "content": "Find it."},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "find", "arguments": json.dumps(ARGUMENTS)}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ],
}
ANTHROPIC = {
    "max_tokens": 100,
    "tools": [{"name": "find", "input_schema": PARAMETERS}],
    "messages": [
        {"role": "user", "content": "Find it."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "find", "input": ARGUMENTS}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "found"}]},
    ],
}
GEMINI = {
    "tools": [{"functionDeclarations": [{"name": "find", "parameters": PARAMETERS}]}],
    "contents": [
        {"role": "user", "parts": [{"text": "Find it."}]},
        {"role": "model", "parts": [{"functionCall": {"name": "find", "args": ARGUMENTS}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "find", "response": {"output": "found"}}}]},
    ],
}


@pytest.mark.parametrize("model", BACKENDS)
@pytest.mark.parametrize("client", ["openai", "anthropic", "gemini"])
def test_a_long_number_in_the_history_reaches_the_model(proxy: Proxy, client: str, model: str) -> None:
    path, body = {
        "openai": ("/v1/chat/completions", OPENAI | {"model": model}),
        "anthropic": ("/v1/messages", ANTHROPIC | {"model": model}),
        "gemini": (f"/v1beta/models/{model}:generateContent", GEMINI),
    }[client]
    told = proxy.ask("POST", path, body)

    assert told.status == 200, told.body
    [sent] = [
        each["body"] for each in proxy.cloud.requests() if each["method"] == "POST" and "inference" in each["path"]
    ]
    assert str(ORDER) in json.dumps(sent)


@pytest.mark.parametrize("model", BACKENDS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", ["openai", "anthropic", "gemini"])
def test_a_long_number_in_a_call_reaches_the_client(proxy: Proxy, client: str, stream: bool, model: str) -> None:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": SAYS}], "model": model, "stream": stream}
    path, body = {
        "openai": ("/v1/chat/completions", asked | {"tools": OPENAI["tools"]}),
        "anthropic": ("/v1/messages", asked | {"tools": ANTHROPIC["tools"], "max_tokens": 100}),
        "gemini": (
            f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}",
            {"contents": [{"role": "user", "parts": [{"text": SAYS}]}], "tools": GEMINI["tools"]},
        ),
    }[client]
    told = proxy.ask("POST", path, body)

    assert told.status == 200, told.body
    assert str(ORDER) in pieces(told.body)


def pieces(body: bytes) -> str:
    """Put together what a stream says in pieces, far enough to find a number in it."""
    said = []
    for line in body.decode().splitlines():
        text = line.removeprefix("data: ")
        if text.startswith("{"):
            said.append("".join(deltas(json.loads(text))) or text)
    return "".join(said)


def deltas(value: Any) -> list[str]:
    """Find the pieces of arguments in one event."""
    match value:
        case {"partial_json": str(piece)} | {"arguments": str(piece)}:
            return [piece]
        case dict():
            return [piece for each in value.values() for piece in deltas(each)]
        case list():
            return [piece for each in value for piece in deltas(each)]
        case _:
            return []
