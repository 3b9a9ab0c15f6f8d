"""Anthropic's messages: requests, understood and written."""

import json
from dataclasses import replace

import pytest

from dialects import anthropic_messages as messages
from dialects.core.conversation import (
    CacheMark,
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Opaque,
    OutputFormat,
    Reasoning,
    Refusal,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.core.faults import FaultError, FaultKind
from tests.dialects.anthropic_bodies import (
    ASKED,
    SONNET_4,
    SONNET_45,
    SONNET_46,
    asked,
    assistant,
    call,
    rendered,
    result,
    said,
    text,
    tool,
    user,
)


def test_everything_a_request_says_is_understood():
    body = asked(
        user(
            text("look", cache_control={"type": "ephemeral", "ttl": "1h"}),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aWk="}},
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            {
                "type": "document",
                "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "cGRm"},
            },
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ü"}},
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
            {"type": "document", "source": {"type": "file", "file_id": "f"}},
        ),
        assistant(
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "cmVk"},
            call(city="Paris"),
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        ),
        user(
            result(
                content=[
                    text("22"),
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aWk="}},
                ],
                is_error=True,
            )
        ),
        {"role": "system", "content": "note"},
        {"role": "assistant", "content": None},
        system=[text("Be brief", cache_control={"type": "ephemeral"})],
        tools=[
            tool("f", description="d", strict=True, cache_control={"type": "ephemeral"}),
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 2000},
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        stop_sequences=["END"],
        stream=True,
        metadata={"user_id": "me"},
    )
    conversation = messages.parse_request(body)

    assert conversation == Conversation(
        model="claude",
        dialect="anthropic-messages",
        system=(Text("Be brief", CacheMark()),),
        messages=(
            said(
                Text("look", CacheMark("1h")),
                Media(MediaKind.IMAGE, "image/png", data="aWk="),
                Media(MediaKind.IMAGE, "", url="https://x/y.png"),
                Media(MediaKind.DOCUMENT, "application/pdf", data="cGRm", name="a.pdf"),
                Media(MediaKind.DOCUMENT, "text/plain", data="w7w="),
                Media(MediaKind.DOCUMENT, "application/pdf", url="https://x/y.pdf"),
                Opaque("anthropic-messages", {"type": "document", "source": {"type": "file", "file_id": "f"}}),
            ),
            said(
                Thinking("hm", "c2ln", family=Family.CLAUDE),
                Thinking(redacted="cmVk", family=Family.CLAUDE),
                ToolCall("t1", "f", '{"city":"Paris"}'),
                Opaque(
                    "anthropic-messages",
                    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                ),
                role=Role.ASSISTANT,
            ),
            said(ToolResult("t1", (Text("22"), Media(MediaKind.IMAGE, "image/png", data="aWk=")), is_error=True)),
            said(Text("note"), role=Role.SYSTEM),
            said(role=Role.ASSISTANT),
        ),
        tools=(
            ToolSpec("f", "d", {"type": "object", "properties": {}}, strict=True, cache=CacheMark()),
            Opaque("anthropic-messages", {"type": "web_search_20250305", "name": "web_search"}),
        ),
        tool_choice=ToolChoice(ToolMode.NAMED, "f", parallel=False),
        sampling=Sampling(100, 0.5, 0.9, 5, ("END",)),
        reasoning=Reasoning(budget=2000, shown=True),
        output=OutputFormat({"type": "object"}),
        stream=True,
        stream_usage=True,
        user="me",
    )


def test_what_only_this_dialect_knows_is_kept_under_its_own_name():
    body = asked(
        user(text("a", citations=[1], cache_control={"type": "ephemeral", "scope": "global"})),
        assistant(call() | {"caller": {"type": "direct"}}, text("b", citations=None)),
        user(
            result(
                content=[
                    {"type": "thinking", "thinking": "odd"},
                    call(),
                    {"type": "redacted_thinking", "data": ""},
                    result(),
                ]
            )
        ),
        anthropic_beta=["x"],
        service_tier="auto",
        container=None,
        context_management={"edits": []},
        metadata={"user_id": "me", "more": 1},
        tools=[tool("f", defer_loading=True, eager_input_streaming=None)],
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"effort": "minute", "task_budget": 3},
    )
    conversation = messages.parse_request(body)

    assert conversation.extra == {
        "anthropic_beta": ["x"],
        "service_tier": "auto",
        "context_management": {"edits": []},
        "messages[].citations": [[1]],
        "cache_control.scope": ["global"],
        "metadata": {"more": 1},
        "tools[].defer_loading": {"f": True},
        "thinking.display": "omitted",
        "output_config": {"effort": "minute", "task_budget": 3},
    }
    assert conversation.reasoning == Reasoning(adaptive=True, shown=False)


@pytest.mark.parametrize(
    ("fields", "reasoning", "left"),
    [
        ({}, None, {}),
        ({"output_config": {"effort": "low"}}, Reasoning(Effort.LOW, for_answer=True), {}),
        ({"thinking": {"type": "disabled"}}, Reasoning(Effort.NONE), {}),
        (
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}},
            Reasoning(Effort.NONE),
            {"output_config": {"effort": "low"}},
        ),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
            Reasoning(Effort.MAX, adaptive=True, shown=True),
            {},
        ),
        ({"thinking": {"type": "enabled"}}, Reasoning(adaptive=True, shown=True), {}),
    ],
)
def test_whether_and_how_hard_to_think(fields, reasoning, left):
    conversation = messages.parse_request(asked(**fields))

    assert (reasoning, left) == (conversation.reasoning, conversation.extra)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [user(text(3))]}, "messages[0].content[0].text"),
        ({"messages": [user({"text": "x"})]}, "messages[0].content[0].type"),
        ({"messages": [user({"type": "image", "source": {"type": "base64"}})]}, "messages[0].content[0].source"),
        ({"system": [{"type": "image", "source": {"type": "file"}}]}, "system[0]"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"temperature": True}, "temperature"),
        ({"top_p": float("inf")}, "top_p"),
        ({"stream": "yes"}, "stream"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f", "input_schema": 3}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"output_config": {"format": "json"}}, "output_config.format"),
        ({"metadata": {"user_id": 3}}, "metadata.user_id"),
        ({"anthropic_beta": 1.5}, "anthropic_beta"),
        (
            {"messages": [user({"type": "document", "source": {"type": "url", "url": "https://x"}, "title": 3})]},
            "messages[0].content[0].title",
        ),
        ({"anthropic_beta": ["context-1m-2025-08-07", 3]}, "anthropic_beta[1]"),
    ],
)
def test_a_wrong_type_is_named(change, param):
    with pytest.raises(FaultError) as error:
        messages.parse_request(asked() | change)

    assert FaultKind.INVALID_REQUEST is error.value.fault.kind
    assert param == error.value.fault.param
    assert param in error.value.fault.message


def test_extra_fields_go_back_to_their_own_dialect_and_are_named_to_any_other():
    body = asked(
        anthropic_beta=["context-1m-2025-08-07", "new"],
        context_management={"edits": []},
        tools=[tool("f", defer_loading=True), tool("g")],
        tool_choice={"type": "any"},
        output_config={"effort": "high", "task_budget": 1},
    )
    own = messages.parse_request(body)
    unsupported = replace(own, dialect="gemini")
    back, lost = rendered(own, SONNET_46), rendered(unsupported, SONNET_46)

    assert back.body["anthropic_beta"] == ["context-1m-2025-08-07"]
    assert back.body["output_config"] == {"effort": "high"}
    assert back.dropped == (
        "anthropic_beta new",
        "context_management",
        "output_config.task_budget",
        "tools[].defer_loading",
    )
    assert "thinking" not in back.body
    assert lost.dropped == (
        "anthropic_beta",
        "context_management",
        "output_config",
        "tools[].defer_loading",
    )


def test_a_foreign_request_says_what_was_left_out():
    conversation = replace(
        ASKED,
        messages=(
            said(
                Media(MediaKind.IMAGE, "image/jpg", data="aWk=", detail="low"),
                Refusal("no"),
                Opaque("x", {"type": "audio"}),
            ),
            said(
                Thinking("a", "b", family=Family.GEMINI),
                Refusal("I will not"),
                Opaque("x", {"odd": 1}),
                role=Role.ASSISTANT,
            ),
            said(Text("go on")),
        ),
        tools=(Opaque("gemini", {"googleSearch": {}}), ToolSpec("f", parameters={"anyOf": [1]}, strict=True)),
        tool_choice=ToolChoice(ToolMode.NONE, parallel=True),
        sampling=Sampling(temperature=1.5, top_p=0.5, stop=("\n", "END"), seed=3, presence_penalty=1.0),
        user="me",
        cache_key="k",
    )
    written = rendered(conversation)

    assert written.dropped == (
        "audio",
        "image detail",
        "odd",
        "presence_penalty",
        "prompt_cache_key",
        "seed",
        "stop",
        "temperature above 1",
        "thinking",
        "tool googleSearch",
        "tools[].parameters.anyOf",
        "tools[].strict",
        "top_p",
        "user",
    )
    assert written.body["temperature"] == 1
    assert written.body["tool_choice"] == {"type": "none"}
    assert written.body["stop_sequences"] == ["END"]
    assert written.body["max_tokens"] == SONNET_45.default_output


def test_what_belongs_to_this_dialect_alone_goes_back_to_it():
    found = Opaque("anthropic-messages", {"type": "search_result", "source": "s", "title": "t", "content": []})
    bash = Opaque("anthropic-messages", {"type": "bash_20250124", "name": "bash"})
    written = rendered(replace(ASKED, messages=(said(Text("hi"), found),), tools=(bash,)))

    assert written.body["messages"][0]["content"][1] == found.payload
    assert written.body["tools"] == [bash.payload]
    assert written.dropped == ()


def test_an_empty_result_has_no_content():
    turns = (said(Text("hi")), said(ToolCall("a", "f"), role=Role.ASSISTANT), said(ToolResult("a", (Text(" "),))))
    body = rendered(replace(ASKED, messages=turns)).body

    assert body["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "a"}]


def test_documents_are_pdf_or_text():
    media = [
        Media(MediaKind.DOCUMENT, "application/pdf", data="cGRm", name="a"),
        Media(MediaKind.DOCUMENT, "text/csv", data="YSxi"),
        Media(MediaKind.DOCUMENT, "application/json", data="e30="),
    ]
    written = rendered(replace(ASKED, messages=(said(*media),)))

    assert [block["source"]["data"] for block in written.body["messages"][0]["content"]] == ["cGRm", "a,b", "{}"]
    assert written.body["messages"][0]["content"][0]["title"] == "a"


@pytest.mark.parametrize(
    "media",
    [
        Media(MediaKind.DOCUMENT, "application/zip", data="cGRm"),
        Media(MediaKind.DOCUMENT, "text/plain", data="a"),
        Media(MediaKind.IMAGE, "image/tiff", data="aWk="),
        Media(MediaKind.IMAGE, "", url="https://x/y"),
        Media(MediaKind.AUDIO, "audio/wav", data="aWk="),
    ],
)
def test_what_claude_cannot_be_shown_is_refused(media):
    with pytest.raises(FaultError) as error:
        messages.render_request(replace(ASKED, messages=(said(media),)), SONNET_45)

    assert error.value.fault.param == "messages"


def test_tools_the_history_calls_are_offered_even_if_the_client_offers_none():
    conversation = replace(
        ASKED,
        messages=(
            said(Text("hi")),
            said(ToolCall("call|1", "f"), role=Role.ASSISTANT),
            said(ToolResult("call|1", (Text(" "), Text("ok")), cache=CacheMark()), Text("and?")),
        ),
    )
    body = rendered(conversation).body
    first, second = body["messages"][1]["content"][0], body["messages"][2]["content"][0]

    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "none"}
    assert first["id"] == second["tool_use_id"]
    assert second["content"] == [text("ok")]
    assert second["cache_control"] == {"type": "ephemeral"}


CLOSED = {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}]}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("output", "profile", "native"),
    [
        (OutputFormat(CLOSED), SONNET_45, True),
        (OutputFormat(CLOSED), SONNET_4, False),
        (OutputFormat(None), SONNET_45, False),
        (OutputFormat({"type": "object"}), SONNET_45, False),
        (OutputFormat({"type": "array", "items": {"type": "string", "minLength": 3}}, "r"), SONNET_45, False),
    ],
)
def test_json_is_asked_for_by_a_tool_where_there_is_no_other_way(output, profile, native):
    conversation = replace(ASKED, output=output, reasoning=Reasoning(Effort.HIGH))
    written = rendered(conversation, profile)

    assert native == ("output_config" in written.body)
    assert native != (written.body.get("tool_choice") == {"type": "tool", "name": "respond_with_json"})
    assert native != ("thinking" in written.dropped)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (None, {"type": "any"}),
        (ToolChoice(ToolMode.REQUIRED, parallel=False), {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice(ToolMode.NONE), {"type": "tool", "name": "respond_with_json"}),
        (ToolChoice(ToolMode.NAMED, "f"), {"type": "tool", "name": "f"}),
    ],
)
def test_the_tool_for_json_goes_with_other_tools(choice, said):
    conversation = replace(ASKED, output=OutputFormat(), tools=(ToolSpec("f"),), tool_choice=choice)

    assert said == rendered(conversation).body["tool_choice"]


def test_no_more_cache_marks_than_claude_takes():
    mark = CacheMark("5m")
    conversation = replace(
        ASKED,
        system=tuple(Text(f"s{index}", mark) for index in range(3)),
        messages=(said(*(Text(f"m{index}", mark) for index in range(4))),),
    )
    written = rendered(conversation)

    marked = [
        block["text"]
        for block in (*written.body["system"], *written.body["messages"][0]["content"])
        if "cache_control" in block
    ]
    assert marked == ["s0", "s1", "m2", "m3"]
    assert written.dropped == ("cache_control",)


def test_a_tool_of_the_servers_whose_name_is_none_is_left_as_it_is():
    odd = {"type": "web_search_20250305", "name": ["f"]}
    conversation = messages.parse_request(asked(tools=[tool("f", defer_loading=True), odd]))

    assert rendered(conversation).dropped == ("tool web_search_20250305", "tools[].defer_loading")


def test_a_mark_within_a_result_counts():
    mark = CacheMark()
    opaque = Opaque("anthropic-messages", {"type": "tool_reference"})
    result = ToolResult("t", (Text("a", mark), opaque, Text("b", mark)), cache=mark)
    calls = said(*(Text(f"m{index}", mark) for index in range(3)), ToolCall("t", "f"), role=Role.ASSISTANT)
    written = rendered(replace(ASKED, messages=(said(Text("hi")), calls, said(result))))

    assert json.dumps(written.body["messages"][2]).count("cache_control") == 3
    assert json.dumps(written.body).count("cache_control") == 4
    assert written.dropped == ("cache_control", "tool_reference")
