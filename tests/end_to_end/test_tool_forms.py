"""Tools of Codex and Cursor that are no functions: any model is offered them, and calls come back as declared."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.support.judges import frames
from tests.support.running import HttpAnswer, Proxy
from tests.support.talking import CHAT, RESPONSES, sent

MODELS = [
    "anthropic--claude-4.5-sonnet",
    "amazon--nova-pro",
    "gemini-2.5-pro",
    "gemini-3.5-flash",
    "gpt-4.1",
    "gpt-5",
    "gpt-5.3-codex",
]
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
PATCH = '*** Begin Patch\n+ say("h\u00e9 \U0001f99c \\n")\n*** End Patch'
"""A text with all that JSON escapes."""
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: begin hunk end"}
CUSTOM = {"type": "custom", "name": "apply_patch", "description": "Edits files", "format": GRAMMAR}
SEARCH = {
    "type": "tool_search",
    "execution": "client",
    "description": "Finds tools",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
}
SIGNED = {"include": ["reasoning.encrypted_content"]}
FUNCTION = {"type": "function", "name": "read_file", "parameters": {"type": "object", "properties": {}}}
CALENDAR = {
    "type": "namespace",
    "name": "calendar",
    "description": "Dates.",
    "tools": [{**FUNCTION, "name": "create_event"}, {**CUSTOM, "name": "import"}],
}


def asked(model: str, text: str, *, stream: bool, tools: list[Any], **fields: Any) -> dict[str, Any]:
    """A request as Codex sends it."""
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return {"model": model, "input": [said], "tools": tools, "store": False, "stream": stream, **SIGNED, **fields}


def call(name: str, arguments: Any) -> str:
    """What makes the emulated model call a tool."""
    return f"scene:call {name} {json.dumps(arguments)}"


def response_in(told: HttpAnswer, *, stream: bool) -> dict[str, Any]:
    """The whole response, whose stream OpenAI's own types take."""
    assert told.status == 200, told.body
    if not stream:
        Response.model_validate({**told.json, "usage": None})
        return told.json
    events = [frame.json for frame in frames(told)]
    for event in events:
        EVENTS.validate_python(event if "response" not in event else uncounted(event))
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    assert events[-1]["type"] == "response.completed"
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    return events[-1]["response"]


def uncounted(event: dict[str, Any]) -> dict[str, Any]:
    """An event without token counts: Azure leaves out some of those that OpenAI's newest types have."""
    return {**event, "response": {**event["response"], "usage": None}}


def input_of(events: list[dict[str, Any]]) -> tuple[str, str]:
    """What a custom tool is called with, by the deltas and by their end."""
    deltas = [each["delta"] for each in events if each["type"] == "response.custom_tool_call_input.delta"]
    [end] = [each for each in events if each["type"] == "response.custom_tool_call_input.done"]
    return "".join(deltas), end["input"]


@STREAMED
@pytest.mark.parametrize("model", MODELS)
class TestCodex:
    def test_a_custom_tool_is_called_with_its_text(self, wide_proxy: Proxy, model: str, stream: bool) -> None:
        body = asked(model, call("apply_patch", {"input": PATCH}), stream=stream, tools=[FUNCTION, CUSTOM])
        answer = wide_proxy.ask("POST", RESPONSES, body)
        response = response_in(answer, stream=stream)
        [item] = [each for each in response["output"] if each["type"] not in ("reasoning", "message")]
        [(_, reached)] = sent(wide_proxy)

        assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "apply_patch", PATCH)
        assert CUSTOM in response["tools"]
        assert "begin hunk end" in json.dumps(reached)
        if stream:
            events = [frame.json for frame in frames(answer)]
            assert input_of(events) == (PATCH, PATCH)
            [begun] = [
                each["item"] for each in events if each["type"].endswith("item.added") and "input" in each["item"]
            ]
            assert begun == {**item, "input": "", "status": "in_progress"}
            assert b"function_call" not in answer.body

    def test_its_call_and_what_it_gave_back_go_on(self, wide_proxy: Proxy, model: str, stream: bool) -> None:
        body = asked(model, call("apply_patch", {"input": PATCH}), stream=stream, tools=[CUSTOM])
        output = response_in(wide_proxy.ask("POST", RESPONSES, body), stream=stream)["output"]
        result = {"type": "custom_tool_call_output", "call_id": output[-1]["call_id"], "output": "it applied"}
        body["input"] += [*output, result]
        for tools in ([CUSTOM], [FUNCTION]):
            wide_proxy.cloud.forget()
            response = response_in(wide_proxy.ask("POST", RESPONSES, {**body, "tools": tools}), stream=stream)
            [(status, reached)] = sent(wide_proxy)
            assert "it applied" in response["output"][-1]["content"][0]["text"]
            assert (status, "Begin Patch" in json.dumps(reached)) == (200, True)

    def test_a_search_for_tools_is_called_and_what_it_finds_can_be(
        self, wide_proxy: Proxy, model: str, stream: bool
    ) -> None:
        body = asked(model, call("tool_search", {"query": "dates"}), stream=stream, tools=[FUNCTION, SEARCH])
        response = response_in(wide_proxy.ask("POST", RESPONSES, body), stream=stream)
        item = response["output"][-1]
        found = {"type": "tool_search_output", "call_id": item["call_id"], "execution": "client", "tools": [CALENDAR]}
        body["input"] += [*response["output"], {**found, "status": "completed"}]
        body["input"] += asked(model, call("calendar__create_event", {}), stream=stream, tools=[])["input"]
        [made] = response_in(wide_proxy.ask("POST", RESPONSES, body), stream=stream)["output"][-1:]

        assert (
            item["type"],
            item["execution"],
            item["arguments"],
        ) == ("tool_search_call", "client", {"query": "dates"})
        assert SEARCH in response["tools"]
        assert (made["type"], made["namespace"], made["name"]) == ("function_call", "calendar", "create_event")

    def test_tools_that_come_as_an_item_are_tools_like_others(
        self, wide_proxy: Proxy, model: str, stream: bool
    ) -> None:
        body = asked(model, call("calendar__import", {"input": PATCH}), stream=stream, tools=[FUNCTION])
        instruction = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]}
        declared = {"type": "additional_tools", "role": "developer", "id": "at_1", "tools": [CALENDAR, FUNCTION]}
        body["input"] = [declared, instruction, *body["input"]]
        response = response_in(wide_proxy.ask("POST", RESPONSES, body), stream=stream)
        [item] = response["output"][-1:]
        [(_, reached)] = sent(wide_proxy)

        assert (item["type"], item["namespace"], item["name"]) == ("custom_tool_call", "calendar", "import")
        assert item["input"] == PATCH
        assert "<system>" not in json.dumps(reached)
        assert json.dumps(reached).count('"name": "read_file"') == 1

    @pytest.mark.parametrize("space", ["", "calendar"])
    def test_a_custom_tool_can_be_insisted_on(self, wide_proxy: Proxy, model: str, stream: bool, space: str) -> None:
        name = "import" if space else "apply_patch"
        choice = {"type": "custom", "name": name, **({"namespace": space} if space else {})}
        body = asked(model, "Hello there", stream=stream, tools=[FUNCTION, CUSTOM, CALENDAR], tool_choice=choice)
        answer = wide_proxy.ask("POST", RESPONSES, body)
        response = response_in(answer, stream=stream)

        assert ("custom_tool_call", name) == (response["output"][-1]["type"], response["output"][-1]["name"])
        assert choice == response["tool_choice"]
        assert "tool_choice" not in answer.headers.get("x-proxy-dropped", "")


NESTED = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: begin hunk end"}}
CHAT_FUNCTION = {"type": "function", "function": {"name": "read_file", "parameters": FUNCTION["parameters"]}}
CHAT_CUSTOM = {"flat": CUSTOM, "nested": {"type": "custom", "custom": {"name": "apply_patch", "format": NESTED}}}


@STREAMED
@pytest.mark.parametrize("declared", CHAT_CUSTOM)
@pytest.mark.parametrize("model", MODELS)
def test_a_custom_tool_on_the_chat_path_is_called_with_its_text(
    wide_proxy: Proxy, model: str, declared: str, stream: bool
) -> None:
    name = {"name": "apply_patch"}
    body = {
        "model": model,
        "stream": stream,
        "messages": [{"role": "user", "content": call("apply_patch", {"input": PATCH})}],
        "tools": [CHAT_FUNCTION, CHAT_CUSTOM[declared]],
        "tool_choice": {"type": "custom", **(name if declared == "flat" else {"custom": name})},
    }
    answer = wide_proxy.ask("POST", CHAT, body)
    message = message_in(answer, stream=stream)
    [made] = message["tool_calls"]
    result = {"role": "tool", "tool_call_id": made["id"], "content": "it applied"}
    body["messages"] += [message, result]  # type: ignore[operator]
    again = wide_proxy.ask("POST", CHAT, {**body, "tools": [CHAT_FUNCTION], "stream": False, "tool_choice": "auto"})

    assert (made["type"], made["custom"]) == ("custom", {"name": "apply_patch", "input": PATCH})
    assert "begin hunk end" in json.dumps(sent(wide_proxy)[0])
    assert "it applied" in again.json["choices"][0]["message"]["content"]
    assert "Begin Patch" in json.dumps(sent(wide_proxy)[1])


def message_in(told: HttpAnswer, *, stream: bool) -> dict[str, Any]:
    """The whole message that calls a custom tool."""
    assert told.status == 200, told.body
    if not stream:
        ChatCompletion.model_validate(told.json)
        assert told.json["choices"][0]["finish_reason"] == "tool_calls"
        return told.json["choices"][0]["message"]
    chunks = [json.loads(frame.data) for frame in frames(told)[:-1]]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    [head, *more] = [each for delta in deltas for each in delta.get("tool_calls", [])]
    assert all(each["index"] == 0 and each.keys() == {"index", "custom"} for each in more)
    text = "".join(each["custom"]["input"] for each in (head, *more))
    custom = {"name": head["custom"]["name"], "input": text}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": head["id"], "type": "custom", "custom": custom}],
    }
