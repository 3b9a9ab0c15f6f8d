"""Names of tools that each vendor refuses, wherever they stand."""

import pytest

from tests.emulator.client import CHAT, HAIKU, SONNET, request

NOVA, FLASH = "amazon--nova-pro", "gemini-2.5-flash"
SCHEMA = {"type": "object"}


def chat(name):
    call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    called = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c1", "content": "a"}]
    asked = {"role": "user", "content": "a"}
    return {"tools": [{"type": "function", "function": {"name": name}}]}, {"messages": [asked, *called]}


def responses(name):
    call = {"type": "function_call", "call_id": "c1", "name": name, "arguments": "{}"}
    answer = {"type": "function_call_output", "call_id": "c1", "output": "a"}
    return {"tools": [{"type": "function", "name": name}]}, {"input": [call, answer]}


def invoke(name):
    call = {"type": "tool_use", "id": "c1", "name": name, "input": {}}
    answer = {"type": "tool_result", "tool_use_id": "c1", "content": "a"}
    turns = [("user", "a"), ("assistant", [call]), ("user", [answer])]
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"tools": [{"name": name, "input_schema": SCHEMA}]}, {"messages": messages}


def converse(name):
    turns = [
        ("user", {"text": "a"}),
        ("assistant", {"toolUse": {"toolUseId": "c1", "name": name, "input": {}}}),
        ("user", {"toolResult": {"toolUseId": "c1", "content": [{"text": "a"}]}}),
    ]
    spec = {"toolSpec": {"name": name, "inputSchema": {"json": SCHEMA}}}
    other = {"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}
    messages = [{"role": role, "content": [block]} for role, block in turns]
    return {"toolConfig": {"tools": [spec]}}, {"messages": messages, "toolConfig": {"tools": [other]}}


def gemini(name):
    return ({"tools": [{"functionDeclarations": [{"name": name, "parametersJsonSchema": SCHEMA}]}]},)


ASKED = {
    "gpt-4.1": (CHAT, {"messages": [{"role": "user", "content": "a"}]}, chat),
    "gpt-5": ("responses", {"input": "a"}, responses),
    SONNET: (*request("invoke", SONNET, "a"), invoke),
    HAIKU: (*request("converse", HAIKU, "a"), converse),
    NOVA: (*request("converse", NOVA, "a"), converse),
    FLASH: (*request("gemini", FLASH, "a"), gemini),
}
LONGEST = {SONNET: 128}
WORDS = {
    "gpt-4.1": "maximum length 64, but got a string with length 65",
    "gpt-5": "maximum length 64, but got a string with length 65",
    SONNET: "should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    HAIKU: "length less than or equal to 64",
    NOVA: "length less than or equal to 64",
    FLASH: "maximum length of 64",
}


@pytest.mark.parametrize("model", ASKED)
def test_a_name_may_be_so_long_and_no_longer(eu, model):
    path, body, places = ASKED[model]
    longest = "x" * LONGEST.get(model, 64)

    for change in places(longest):
        assert eu.post(model, path, body | change).status_code == 200, change
    for change in places(longest + "x"):
        answer = eu.post(model, path, body | change)
        assert (answer.status_code, WORDS[model] in answer.text) == (400, True), answer.text


@pytest.mark.parametrize(
    ("model", "name"), [(model, "get weather") for model in ASKED] + [(FLASH, "7zip"), (SONNET, "a.b")]
)
def test_a_name_has_letters_the_vendor_knows(eu, model, name):
    path, body, places = ASKED[model]

    for change in places(name):
        assert eu.post(model, path, body | change).status_code == 400, change


def test_nova_cannot_call_a_tool_with_a_hyphen_in_its_name(eu):
    path, body, places = ASKED[NOVA]
    tools = places("get-weather")[0]["toolConfig"]["tools"]
    forced = {"toolConfig": {"tools": tools, "toolChoice": {"tool": {"name": "get-weather"}}}}

    answer = eu.post(NOVA, path, body | forced)

    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (424, "ModelErrorException")
    assert "invalid sequence as part of ToolUse" in answer.json()["message"]


@pytest.mark.parametrize("name", ["a shape", "x" * 65])
def test_a_schema_of_openais_is_named_as_a_function_is(eu, name):
    path, body, _ = ASKED["gpt-4.1"]
    form = {"type": "json_schema", "json_schema": {"name": name, "schema": SCHEMA}}

    answer = eu.post("gpt-4.1", path, body | {"response_format": form})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_format.name")
