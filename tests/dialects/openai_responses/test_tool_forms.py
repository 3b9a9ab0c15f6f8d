"""Tools of Codex that are no functions: in requests that pass or are translated, and in what comes back."""

import json
from random import Random
from typing import Any

import pytest

from dialects import openai_responses
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Completion, Message, Role, Text, ToolCall, ToolForm, ToolResult, ToolSpec
from dialects.core.events import unfold
from dialects.core.faults import FaultError
from dialects.framing.sse import Frame, SSEDecoder
from dialects.interface import Envelope, Rendered
from dialects.translator import ClientRequest, Translator, translator_for
from tests.dialects import golden, mangling

CUSTOM = {"type": "custom", "name": "apply_patch", "description": "Edits files"}
SEARCH = {"type": "tool_search", "execution": "client", "description": "Finds tools", "parameters": {"type": "object"}}
FUNCTION = {"type": "function", "name": "read_file", "parameters": {"type": "object", "properties": {}}}
GROUP = {"type": "namespace", "name": "files", "tools": [{**FUNCTION, "name": "list"}, {**CUSTOM, "name": "patch"}]}
TEXT = '"h\u00e9" \U0001f99c\n\\'
TOOLS = {"read_file": "{}", "apply_patch": json.dumps({"input": TEXT}), "tool_search": '{"query": "a"}'}
TOOLS |= {"files__list": "{}", "files__patch": json.dumps({"input": ""})}
"""What a model calls, and with which arguments."""


def request_of(*, may_pass: bool = True, **fields: Any) -> ClientRequest:
    body = {"model": "my-gpt", "input": "hi", "tools": [FUNCTION, CUSTOM, SEARCH, GROUP], **fields}
    envelope = Envelope("tok", "my-gpt", 1, openai_responses.parse_request(body))
    return ClientRequest("openai-responses", body, envelope, may_pass)


def translator(backend: str = "openai-responses", model: str = "gpt-5", **fields: Any) -> Translator:
    return translator_for(request_of(**fields), backend, profile_for(model))


def rendered(**fields: Any) -> list[Rendered]:
    """The request as it passes, and as it is translated."""
    return [translator(may_pass=may_pass, **fields).render_request(profile_for("gpt-5")) for may_pass in (True, False)]


def upstream(names: list[str]) -> tuple[dict[str, Any], bytes]:
    """A response of GPT that calls functions: whole, and as a stream."""
    items, events = [], []
    for place, name in enumerate(names):
        item = {"id": f"fc_{place}", "type": "function_call", "call_id": f"c{place}", "name": name}
        done = {**item, "status": "completed", "arguments": TOOLS[name]}
        at = {"item_id": item["id"], "output_index": place}
        begun = {**item, "status": "in_progress", "arguments": ""}
        events += [{"type": "response.output_item.added", "output_index": place, "item": begun}]
        pieces = [TOOLS[name][cut : cut + 3] for cut in range(0, len(TOOLS[name]), 3)]
        kind = "response.function_call_arguments"
        events += [{"type": f"{kind}.delta", **at, "delta": piece} for piece in pieces]
        events += [{"type": f"{kind}.done", **at, "arguments": TOOLS[name]}]
        events += [{"type": "response.output_item.done", "output_index": place, "item": done}]
        items.append(done)
    functions = [{"type": "function", "name": name} for name in names]
    response = {"id": "resp_1", "model": "gpt-5", "status": "completed", "output": items, "tools": functions}
    begun = {**response, "status": "in_progress", "output": []}
    events = [{"type": "response.created", "response": begun}, *events]
    events += [{"type": "response.completed", "response": response}]
    return response, b"".join(
        Frame(json.dumps({**event, "sequence_number": number})).encode() for number, event in enumerate(events)
    )


def without_ids(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "id"}


@pytest.mark.parametrize("may_pass", [True, False], ids=["passed", "translated"])
def test_calls_come_back_as_what_was_declared_whole_and_in_a_stream(may_pass: bool) -> None:
    whole, stream = upstream(list(TOOLS))
    asked = translator(may_pass=may_pass)
    response = asked.render_response(whole).body
    relay = asked.relay(mangling.SSE)
    events = [json.loads(frame.data) for frame in SSEDecoder().feed(relay.feed(stream) + relay.finish())]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    begun = [event["item"] for event in events if event["type"] == "response.output_item.added"]

    custom = {"type": "custom_tool_call", "status": "completed"}
    call = {"type": "function_call", "status": "completed", "arguments": "{}"}
    searched = {"type": "tool_search_call", "status": "completed", "execution": "client", "arguments": {"query": "a"}}
    assert [without_ids(item) for item in response["output"]] == [
        {**call, "call_id": "c0", "name": "read_file"},
        {**custom, "call_id": "c1", "name": "apply_patch", "input": TEXT},
        {**searched, "call_id": "c2"},
        {**call, "call_id": "c3", "name": "list", "namespace": "files"},
        {**custom, "call_id": "c4", "name": "patch", "namespace": "files", "input": ""},
    ]
    assert response["output"] == done == events[-1]["response"]["output"]
    assert [item.get("input", item.get("arguments")) for item in begun] == ["", "", {}, "", ""]
    assert {item["status"] for item in begun} == {"in_progress"}
    declared = [FUNCTION["name"], CUSTOM, SEARCH, GROUP]
    for told in (response, events[0]["response"], events[-1]["response"]):
        assert declared == [tool["name"] if tool["type"] == "function" else tool for tool in told["tools"]]
    assert list(range(len(events))) == [event["sequence_number"] for event in events]


@pytest.mark.parametrize("may_pass", [True, False], ids=["passed", "translated"])
def test_the_text_of_a_custom_tools_call_comes_in_events_of_its_own(may_pass: bool) -> None:
    relay = translator(may_pass=may_pass).relay(mangling.SSE)
    frames = SSEDecoder().feed(relay.feed(upstream(["apply_patch", "tool_search", "files__patch"])[1]))
    events = [json.loads(frame.data) for frame in frames]
    said: dict[int, list[str]] = {0: [], 2: []}
    for event in events:
        if event["type"] == "response.custom_tool_call_input.delta":
            said[event["output_index"]].append(event["delta"])
    ends = [event["input"] for event in events if event["type"] == "response.custom_tool_call_input.done"]

    assert ("".join(said[0]), "".join(said[2])) == (TEXT, "")
    assert len(said[0]) > 1
    assert ends == [TEXT, ""]
    assert not [event for event in events if event["type"].startswith("response.function_call_arguments")]
    assert all(frame.event == event["type"] for frame, event in zip(frames, events, strict=True))


@pytest.mark.parametrize("may_pass", [True, False], ids=["passed", "translated"])
def test_what_comes_back_does_not_depend_on_where_the_network_cut(may_pass: bool) -> None:
    _, stream = upstream(list(TOOLS))
    asked, rng = translator(may_pass=may_pass), Random(7)
    relay = asked.relay(mangling.SSE)
    at_once = relay.feed(stream) + relay.finish()
    for chunks in (mangling.chopped(stream, rng), [stream[place : place + 1] for place in range(len(stream))]):
        again = asked.relay(mangling.SSE)
        assert at_once == b"".join(map(again.feed, chunks)) + again.finish()
        assert relay.seen == again.seen


@pytest.mark.parametrize("scene", golden.scenes("openai_responses"))
def test_what_clients_with_other_tools_than_functions_get_is_what_was_reviewed(scene: str) -> None:
    grouped = {"type": "namespace", "name": "tools", "tools": [{**FUNCTION, "name": "get_weather"}]}
    relay = translator(tools=[{**CUSTOM, "name": "now"}, grouped]).relay(mangling.SSE)

    written = relay.feed(golden.wire("openai_responses", scene)) + relay.finish()
    golden.matches("openai_responses", scene, "other_tools", written)


def test_a_frame_of_no_call_keeps_every_byte_but_its_number() -> None:
    words = '{"type" : "response.output_text.delta", "output_index": 9, "sequence_number" : 99, "delta": "\\u00e9 1.0"}'
    events = upstream(["tool_search"])[1].split(b"\n\n")
    stream = b"\n\n".join([*events[:-2], Frame(words).encode().strip(), *events[-2:]])
    written = SSEDecoder().feed(translator().relay(mangling.SSE).feed(stream))

    assert len(written) < len(events)
    assert written[-2] == Frame(words.replace("99", str(len(written) - 2)), "response.output_text.delta")


def test_a_stream_that_breaks_off_says_so_within_a_custom_tools_call() -> None:
    _, stream = upstream(["apply_patch"])
    relay = translator().relay(mangling.SSE)
    written = relay.feed(stream[: len(stream) // 3]) + relay.finish()

    assert b"custom_tool_call" in written
    assert b"response.failed" in written


def test_every_tool_is_a_function_to_gpt_and_its_calls_are_those_of_one() -> None:
    history = [
        {"role": "user", "content": "hi"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "apply_patch", "input": TEXT},
        {"type": "custom_tool_call_output", "call_id": "c1", "name": "apply_patch", "output": "it applied"},
        {"type": "tool_search_call", "call_id": "c2", "execution": "client", "arguments": {"query": "a"}},
        {"type": "tool_search_output", "call_id": "c2", "execution": "client", "status": "completed", "tools": [GROUP]},
        {"type": "tool_search_call", "call_id": None, "execution": "server", "arguments": {}},
        {"type": "tool_search_output", "call_id": None, "execution": "server", "tools": [{**FUNCTION, "name": "late"}]},
        {"role": "user", "content": "go on"},
    ]
    choice = {"type": "custom", "name": "apply_patch"}
    for each in rendered(input=history, tools=[FUNCTION, CUSTOM, SEARCH], tool_choice=choice):
        names = ["read_file", "apply_patch", "tool_search", "files__list", "files__patch", "late"]
        assert names == [tool["name"] for tool in each.body["tools"]]
        assert {tool["type"] for tool in each.body["tools"]} == {"function"}
        calls = [item for item in each.body["input"] if item.get("type") == "function_call"]
        given = [item for item in each.body["input"] if item.get("type") == "function_call_output"]
        assert [call["arguments"] for call in calls] == [
            json.dumps({"input": TEXT}, ensure_ascii=False, separators=(",", ":")),
            '{"query":"a"}',
        ]
        assert [result["output"] for result in given] == [
            "it applied",
            "These tools were found, and can be called now: files__list, files__patch",
        ]
        assert len(each.body["input"]) == 6
        assert each.body["tool_choice"] == {"type": "function", "name": "apply_patch"}
        assert each.dropped == ()


def test_tools_of_an_item_are_declared_once_and_the_last_declaration_counts() -> None:
    newer = {**FUNCTION, "description": "newer"}
    declaring = {"type": "additional_tools", "role": "developer", "tools": [newer, CUSTOM]}
    said = [declaring, {"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    for each in rendered(input=said, tools=[FUNCTION, GROUP]):
        names = [tool["name"] for tool in each.body["tools"]]
        assert names == ["read_file", "files__list", "files__patch", "apply_patch"]
        assert each.body["tools"][0]["description"] == "newer"
        assert each.dropped == ()
    for each in rendered(input=said, tools=None):
        assert [tool["name"] for tool in each.body["tools"]] == ["read_file", "apply_patch"]


def test_allowed_tools_may_be_custom_ones() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "apply_patch"}]}
    passed, translated = rendered(tool_choice=choice)

    assert passed.body["tool_choice"]["tools"] == [{"type": "function", "name": "apply_patch"}]
    assert (
        [tool["name"] for tool in translated.body["tools"]],
        translated.body["tool_choice"],
    ) == (["apply_patch"], "required")


def test_a_search_that_openai_carries_out_is_named() -> None:
    for each in rendered(tools=[FUNCTION, {"type": "tool_search"}]):
        assert each.dropped == ("tool tool_search",)
        assert [tool["name"] for tool in each.body["tools"]] == ["read_file"]


def test_a_search_that_found_nothing_says_so() -> None:
    found = [
        {"role": "user", "content": "hi"},
        {"type": "tool_search_call", "call_id": "c", "arguments": "{}"},
        {"type": "tool_search_output", "call_id": "c", "tools": []},
    ]

    said = openai_responses.parse_request({"input": found}).messages
    assert said[1:] == (
        Message(Role.ASSISTANT, (ToolCall("c", "tool_search", "{}"),)),
        Message(Role.USER, (ToolResult("c", (Text("No tools were found."),)),)),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"tools": [{"type": "custom"}]},
        {"input": [{"type": "additional_tools", "tools": 5}]},
        {"tools": [{"type": "custom", "name": 5}]},
    ],
)
def test_declarations_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(FaultError):
        openai_responses.parse_request({"input": "x", **wrong})


UNKNOWN = {"type": "mystery", "x": 1}


@pytest.mark.parametrize(
    ("backend", "model"),
    [
        ("openai-chat", "gpt-4.1"),
        ("anthropic-messages", "anthropic--claude-4.5-sonnet"),
        ("bedrock-converse", "anthropic--claude-4.5-sonnet"),
        ("gemini", "gemini-2.5-flash"),
        ("orchestration", "anthropic--claude-4.5-sonnet"),
    ],
)
def test_an_unknown_item_at_the_front_leaves_instructions_what_they_are(backend: str, model: str) -> None:
    said = [UNKNOWN, {"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    known = translator(backend, model, input=said[1:]).render_request(profile_for(model))
    unknown = translator(backend, model, input=said).render_request(profile_for(model))

    assert known.body == unknown.body
    assert "mystery" in unknown.dropped


def test_instructions_alone_are_the_question_beside_an_unknown_item() -> None:
    asked = openai_responses.parse_request({"input": [UNKNOWN, {"role": "developer", "content": "Be brief."}]})

    assert (asked.messages[-1].role, asked.messages[-1].parts) == (Role.USER, (Text("Be brief."),))
    assert asked.system == ()


def test_a_custom_tool_says_what_it_was_declared_as() -> None:
    _, spec, *_ = request_of().envelope.conversation.tools

    assert isinstance(spec, ToolSpec)
    assert (spec.form, spec.declared) == (ToolForm.CUSTOM, CUSTOM)


def test_a_call_without_arguments_is_given_no_text() -> None:
    written = openai_responses.writer(request_of().envelope).write(
        unfold(Completion(parts=(ToolCall("c", "apply_patch"),)))
    )

    assert b'"input":""' in written
    assert b"custom_tool_call_input.delta" not in written
