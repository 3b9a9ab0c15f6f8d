"""OpenAI Responses: what is asked."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import openai_responses
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    CacheMark,
    Completion,
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Message,
    Opaque,
    Reasoning,
    Refusal,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from dialects.core.events import fold, unfold
from dialects.core.faults import FaultError
from dialects.framing.sse import Frame
from dialects.interface import Envelope
from tests.dialects.golden import read
from tests.dialects.openai_requests import CODEX, GROUP, responses_bodies
from tests.oracles.openai import check_responses_request


def _envelope(asked=None) -> Envelope:
    asked = asked or {"model": "my-gpt", "input": "hi", "tools": [GROUP]}
    return Envelope("tok", "my-gpt", 1_780_000_000, openai_responses.parse_request(asked))


def _reader():
    return openai_responses.reader("tok", "")


def test_a_request_of_codex_is_understood_whole():
    asked = openai_responses.parse_request(CODEX)

    assert asked.system == (Text("Be brief."), Text("sandboxed"))
    assert asked.messages == (
        Message(Role.USER, (Text("hi"),)),
        Message(
            Role.ASSISTANT,
            (Thinking("", "gAAAA", family=Family.OPENAI), ToolCall("call_a", "tools__get_weather", "{}")),
        ),
        Message(Role.USER, (ToolResult("call_a", (Text("22C"),)),)),
    )
    assert [tool.name for tool in asked.tools if isinstance(tool, ToolSpec)] == ["now", "tools__get_weather"]
    assert asked.reasoning == Reasoning(shown=True, summary="auto")
    assert asked.extra == {"client_metadata": {"x": "y"}}
    rendered = openai_responses.render_request(asked, profile_for("gpt-5"))
    check_responses_request(rendered.body)
    assert rendered.dropped == ("client_metadata", "tool web_search")


def test_a_call_of_a_function_in_a_namespace_goes_back_under_both_names():
    envelope = _envelope(CODEX)
    completion = Completion(parts=(ToolCall("a", "tools__get_weather", "{}"),))
    item = openai_responses.render_response(completion, envelope)["output"][0]
    written = openai_responses.writer(envelope).write(unfold(completion))

    assert (item["namespace"], item["name"]) == ("tools", "get_weather")
    assert b"tools__get_weather" not in written
    assert openai_responses.render_response(completion, envelope)["tools"][1:] == [GROUP, {"type": "web_search"}]


def test_what_cannot_be_called_of_a_namespace_is_named():
    group = {**GROUP, "tools": [*GROUP["tools"], {"type": "web_search", "name": "search"}]}
    body_ = {"input": "x", "tools": [group]}
    rendered = openai_responses.render_request(openai_responses.parse_request(body_), profile_for("gpt-5"))
    passed = openai_responses.passthrough_request(body_, profile_for("gpt-5"))

    assert rendered.dropped == passed.dropped == ("tool web_search",)
    assert [tool["name"] for tool in passed.body["tools"]] == ["tools__get_weather"]
    assert [tool["name"] for tool in rendered.body["tools"]] == ["tools__get_weather"]


def test_long_names_in_namespaces_stay_apart():
    group = {"type": "namespace", "name": "n" * 60, "tools": [{"name": "first"}, {"name": "second"}]}
    names = [tool.name for tool in openai_responses.parse_request({"input": "x", "tools": [group]}).tools[1:]]

    assert len(set(names)) == 2
    assert all(len(name) <= 64 for name in names)


@given(responses_bodies, st.sampled_from(["gpt-4o", "gpt-5", "gpt-5.3-codex"]))
@settings(max_examples=60)
def test_openais_own_types_take_every_request(asked, model):
    check_responses_request(
        openai_responses.render_request(openai_responses.parse_request(asked), profile_for(model)).body
    )


@given(responses_bodies)
@settings(max_examples=50)
def test_nothing_but_what_is_named_is_lost(asked):
    profile = replace(profile_for("gpt-5"), temperature=True, efforts=tuple(effort.value for effort in Effort))
    once = openai_responses.parse_request(asked)
    rendered = openai_responses.render_request(once, profile)
    again = openai_responses.parse_request({**rendered.body, "model": "m"})

    allowed = {
        "store",
        "client_metadata",
        "tool web_search",
        "thinking",
        "tool_choice",
        "max_tokens below 16",
    }
    assert set(rendered.dropped) <= allowed
    assert [tool.name for tool in again.tools] == [tool.name for tool in once.tools if isinstance(tool, ToolSpec)]
    assert (again.output, again.stream, again.cache_key) == (once.output, once.stream, once.cache_key)
    assert again.tool_choice == (once.tool_choice if rendered.body.get("tools") else None)
    assert "".join(text.text for text in again.system) == "\n\n".join(text.text for text in once.system)


def test_media_go_as_items_take_them():
    result = ToolResult("a", (Text("look"), Media(MediaKind.IMAGE, "image/png", "AAAA")))
    parts_ = (
        Media(MediaKind.DOCUMENT, "application/pdf", "AAAA"),
        Media(MediaKind.DOCUMENT, "", url="https://x.y/z.pdf"),
    )
    asked = Conversation(
        "m",
        messages=(
            Message(Role.ASSISTANT, (ToolCall("a", "f"),)),
            Message(Role.USER, (result,)),
            Message(Role.USER, parts_),
        ),
    )
    rendered = openai_responses.render_request(asked, profile_for("gpt-5"))
    check_responses_request(rendered.body)

    assert rendered.body["input"][1]["output"][1]["image_url"] == "data:image/png;base64,AAAA"
    assert rendered.body["input"][2]["content"] == [
        {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_file", "file_url": "https://x.y/z.pdf"},
    ]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        ({"instructions": []}, "instructions"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ],
)
def test_a_wrong_field_is_named(change, param):
    with pytest.raises(FaultError) as refused:
        openai_responses.parse_request({"model": "m", "input": "x", **change})

    assert param == refused.value.fault.param


def test_parts_and_results_of_every_sort_are_understood():
    asked = openai_responses.parse_request(
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_file", "file_url": "https://x.y/z.pdf", "filename": "z"},
                        {"type": "input_file", "file_data": "data:text/plain;base64,aGk=", "filename": "a"},
                        {"type": "input_file", "file_data": "AAAA"},
                        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                        {"type": "input_file", "file_id": "file_1"},
                    ],
                },
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
                {"type": "local_shell_call", "id": "x"},
                {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "r"}]},
            ],
            "tools": [{"type": "function", "name": "f"}, GROUP],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        }
    )

    assert asked.messages[0].parts == (
        Media(MediaKind.DOCUMENT, "", url="https://x.y/z.pdf", name="z"),
        Media(MediaKind.DOCUMENT, "text/plain", "aGk=", name="a"),
        Media(MediaKind.DOCUMENT, "application/pdf", "AAAA"),
        Media(MediaKind.AUDIO, "audio/wav", "AA"),
        Opaque("openai-responses", {"type": "input_file", "file_id": "file_1"}),
    )
    assert asked.messages[1].parts[0] == Refusal("no")
    assert asked.messages[1].parts[1].payload["type"] == "local_shell_call"
    assert asked.messages[2].parts == (ToolResult("a", (Text("r"),)),)
    assert [tool.name for tool in asked.tools if isinstance(tool, ToolSpec)] == ["f"]
    assert asked.extra == {"text": {"verbosity": "low"}}


def test_text_documents_are_said_as_text_and_own_items_go_back():
    asked = openai_responses.parse_request(
        {
            "input": [
                {"role": "user", "content": [{"type": "input_file", "file_data": "data:text/plain;base64,aGk="}]},
                {"type": "local_shell_call", "id": "x"},
                {"role": "developer", "content": "late"},
            ],
            "text": {"verbosity": "low"},
            "include": ["message.input_image.image_url"],
            "metadata": {"a": "b"},
        }
    )
    body_ = openai_responses.render_request(asked, profile_for("gpt-5")).body

    assert body_["input"] == [
        {"role": "user", "content": "<document>\nhi\n</document>"},
        {"type": "local_shell_call", "id": "x"},
        {"role": "developer", "content": "late"},
    ]
    assert body_["text"] == {"verbosity": "low"}
    assert body_["include"] == ["reasoning.encrypted_content", "message.input_image.image_url"]
    assert body_["metadata"] == {"a": "b"}


def test_fields_of_other_dialects_are_named():
    unsupported = Opaque("anthropic-messages", {"type": "server_tool_use"})
    asked = Conversation(
        "m",
        "anthropic-messages",
        messages=(
            Message(Role.USER, (Text("x", CacheMark()), unsupported, Thinking("t"))),
            Message(Role.ASSISTANT, (unsupported, Media(MediaKind.IMAGE, "image/png", "AA"), Thinking("t", "s"))),
            Message(Role.ASSISTANT, (ToolCall("a", "f"),)),
            Message(Role.USER, (ToolResult("a", (Text("r"),), is_error=True),)),
        ),
        tools=(ToolSpec("f", cache=CacheMark()),),
        sampling=Sampling(max_tokens=5, top_k=5, stop=("END",), seed=1, presence_penalty=1),
        reasoning=Reasoning(budget=31999),
        extra={"context_management": {"edits": []}},
    )
    rendered = openai_responses.render_request(asked, profile_for("gpt-5"))
    check_responses_request(rendered.body)

    assert rendered.body["reasoning"] == {"effort": "high"}
    assert rendered.dropped == (
        "cache_control",
        "context_management",
        "max_tokens below 16",
        "presence_penalty",
        "seed",
        "server_tool_use",
        "stop",
        "thinking",
        "top_k",
    )


def test_passthrough_understands_choices_in_namespaces_and_refuses_nonsense():
    choice = {"type": "function", "namespace": "tools", "name": "get_weather"}
    asked = {"input": "x", "tools": [GROUP], "tool_choice": choice, "max_output_tokens": 99, "reasoning": {}}
    body_ = openai_responses.passthrough_request(asked, profile_for("gpt-4o")).body

    assert body_["tool_choice"] == {"type": "function", "name": "tools__get_weather"}
    assert body_["max_output_tokens"] == 99
    for wrong in ({"input": 5}, {"tools": 5}, {"max_output_tokens": "x"}, {"include": [[]]}):
        with pytest.raises(FaultError):
            openai_responses.passthrough_request({"input": "x", **wrong}, profile_for("gpt-5"))


def test_an_item_of_a_tool_at_openai_is_kept_for_openai():
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    end = {"type": "response.completed", "response": {"id": "r", "model": "m", "status": "completed", "output": [item]}}
    streamed = fold(read(_reader(), [Frame(json.dumps(frame)).encode() for frame in (done, end)]))

    assert streamed.parts == (Opaque("openai-responses", item),)
    assert streamed == replace(openai_responses.parse_response(end["response"], "tok"), id="", model="")


def test_a_choice_is_said_again_as_it_was_made():
    named = {"type": "function", "namespace": "tools", "name": "get_weather"}
    envelope = _envelope(
        {"input": "x", "tools": [GROUP], "tool_choice": named, "text": {"format": {"type": "json_object"}}}
    )
    response = openai_responses.render_response(Completion(parts=(Text("{}"),)), envelope)

    assert response["tool_choice"] == named
    assert response["text"] == {"format": {"type": "json_object"}}


@pytest.mark.parametrize(("model", "kept"), [("gpt-5.3-codex", True), ("gpt-5.5", True), ("o3", False)])
def test_a_choice_at_the_root_of_a_schema_is_for_gpt_5(model, kept):
    choice = {"type": "object", "properties": {}, "anyOf": [{"required": ["a"]}]}
    asked = Conversation("m", messages=(Message(Role.USER, (Text("x"),)),), tools=(ToolSpec("f", parameters=choice),))
    rendered = openai_responses.render_request(asked, profile_for(model))

    assert kept is ("anyOf" in rendered.body["tools"][0]["parameters"])
    assert kept is (rendered.dropped == ())
