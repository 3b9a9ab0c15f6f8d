"""Anthropic's messages: requests that pass to Claude on Bedrock."""

import json
from dataclasses import replace

import pytest

from dialects import anthropic_messages as messages
from dialects.core.faults import FaultError
from tests.dialects.anthropic_bodies import (
    HAIKU_3,
    OPUS_45,
    OPUS_47,
    SONNET_4,
    SONNET_45,
    SONNET_46,
    asked,
    assistant,
    call,
    passed_request,
    result,
    text,
    tool,
    user,
)


def test_a_forwarded_request_is_left_as_it_was():
    body = asked(
        user(
            text("hi", cache_control={"type": "ephemeral"}),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aWk="}},
        ),
        assistant({"type": "thinking", "thinking": "hm", "signature": "c2ln"}, call()),
        user(result(content=[text("ok")])),
        system="Be brief",
        tools=[tool("f", cache_control={"type": "ephemeral", "ttl": "1h"}), {"type": "bash_20250124", "name": "bash"}],
        tool_choice={"type": "auto"},
        thinking={"type": "enabled", "budget_tokens": 2000},
        max_tokens=3000,
        temperature=1,
    )
    before = json.dumps(body)
    written = passed_request(body, SONNET_4)

    expected = body | {"anthropic_version": "bedrock-2023-05-31"}
    del expected["model"], expected["temperature"]
    assert written.body == expected
    assert written.dropped == ()
    assert json.dumps(body) == before


def test_what_bedrock_does_not_know_is_stripped_and_named():
    body = asked(
        user(
            text("hi", cache_control={"type": "ephemeral", "scope": "global"}),
            text("  "),
            {"type": "tool_reference", "tool_name": "x"},
        ),
        assistant(
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        ),
        assistant(call() | {"caller": {"type": "direct"}}),
        user(result()),
        stream=True,
        metadata={"user_id": "me"},
        service_tier="auto",
        container=None,
        context_management={"edits": []},
        anthropic_version="2023-06-01",
        anthropic_beta=["context-1m-2025-08-07", "prompt-caching-2024-07-31", 3],
        system=" ",
        tools=[
            tool("f", defer_loading=True, input_examples=[{}], eager_input_streaming=True, type="custom"),
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        thinking={"type": "disabled", "display": "omitted"},
        output_config={"effort": "high", "task_budget": 1},
    )
    written = passed_request(body, SONNET_4)

    assert written.body == {
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["context-1m-2025-08-07"],
        "max_tokens": 100,
        "thinking": {"type": "disabled"},
        "tools": [tool("f", type="custom")],
        "messages": [
            user(text("hi", cache_control={"type": "ephemeral"}), text("The tool x can be called.")),
            assistant(call()),
            user(result()),
        ],
    }
    assert written.dropped == (
        "anthropic_beta prompt-caching-2024-07-31",
        "cache_control.scope",
        "context_management",
        "metadata",
        "output_config.effort",
        "output_config.task_budget",
        "server_tool_use",
        "service_tier",
        "thinking",
        "thinking.display",
        "tool web_search_20250305",
        "tools[].defer_loading",
        "tools[].eager_input_streaming",
        "tools[].input_examples",
        "web_search_tool_result",
    )


@pytest.mark.parametrize(
    ("tools", "choice", "said"),
    [
        (
            [tool("f"), {"type": "web_search_20250305", "name": "web_search"}],
            {"type": "tool", "name": "web_search"},
            "does not have",
        ),
        ([{"type": "web_fetch_20250910", "name": "web_fetch"}], {"type": "any"}, "none of these: web_fetch_20250910"),
        ([tool("f")], {"type": "tool", "name": "g"}, "g, which is not among the tools"),
    ],
)
def test_a_tool_that_is_left_out_cannot_be_insisted_on(tools, choice, said):
    with pytest.raises(FaultError, match=said) as refused:
        passed_request(asked(user("hi"), tools=tools, tool_choice=choice), SONNET_4)

    assert refused.value.fault.param == "tool_choice"


def test_a_summary_of_what_was_said_stays():
    body = asked(user("hi"), assistant({"type": "compaction", "content": "so far: blue"}), user("go on"))

    written = passed_request(body, SONNET_4)

    assert written.body["messages"][1]["content"] == [text("so far: blue")]
    assert written.dropped == ()


def test_a_file_in_a_container_is_refused_and_what_the_model_put_there_is_named():
    upload = {"type": "container_upload", "file_id": "f"}

    with pytest.raises(FaultError) as refused:
        passed_request(asked(user(text("hi"), upload)), SONNET_4)
    written = passed_request(asked(user("hi"), assistant(upload, text("done")), user("go on")), SONNET_4)

    assert refused.value.fault.param == "messages[0].content[1]"
    assert written.dropped == ("container_upload",)


@pytest.mark.parametrize(
    ("profile", "version", "betas", "wrong"),
    [
        (SONNET_45, "20250124", ["computer-use-2025-01-24"], ""),
        (SONNET_45, "20250124", [], "needs computer-use-2025-01-24 in the header anthropic-beta"),
        (SONNET_45, "20251124", ["computer-use-2025-11-24"], "does not know the tool computer_20251124"),
        (SONNET_45, "20300101", ["computer-use-2030-01-01"], "does not know the tool computer_20300101"),
        (SONNET_46, "20251124", ["computer-use-2025-11-24"], ""),
        (OPUS_45, "20251124", ["computer-use-2025-11-24"], ""),
        (OPUS_47, "20251124", ["computer-use-2025-11-24"], ""),
        (OPUS_47, "20250124", ["computer-use-2025-01-24"], "does not know the tool computer_20250124"),
        (HAIKU_3, "20241022", ["computer-use-2024-10-22"], "does not know the tool computer_20241022"),
    ],
)
def test_a_computer_is_used_with_the_beta_and_the_model_that_know_the_tool(profile, version, betas, wrong):
    computer = {"type": f"computer_{version}", "name": "computer", "display_width_px": 9, "display_height_px": 9}
    body = asked(user("hi"), tools=[computer], anthropic_beta=betas)
    if wrong:
        with pytest.raises(FaultError, match=wrong) as refused:
            passed_request(body, profile)

        assert refused.value.fault.param == "tools"
    else:
        written = passed_request(body, profile)

        assert ([computer], betas, ()) == (written.body["tools"], written.body["anthropic_beta"], written.dropped)


def test_a_beta_the_model_knows_unlocks_what_belongs_to_it():
    betas = frozenset({"tool-search-tool-2025-10-19", "context-management-2025-06-27"})
    body = asked(
        user(text("hi")),
        assistant({"type": "server_tool_use", "id": "s", "name": "tool_search_tool_bm25", "input": {}}),
        user("go on"),
        anthropic_beta=["advanced-tool-use-2025-11-20", "context-management-2025-06-27"],
        context_management={"edits": []},
        tools=[
            tool("f", defer_loading=True),
            {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"},
        ],
    )
    written = passed_request(body, replace(SONNET_45, betas=betas))

    assert written.dropped == ()
    assert written.body["anthropic_beta"] == ["tool-search-tool-2025-10-19", "context-management-2025-06-27"]
    assert written.body["context_management"] == {"edits": []}
    assert written.body["tools"] == body["tools"]
    assert written.body["messages"] == body["messages"]


def test_tools_that_are_none_need_no_choice():
    assert passed_request(asked(tools=[], tool_choice={"type": "auto"})).body.get("tool_choice") is None
    assert passed_request(asked(tool_choice={"type": "auto"})).body.get("tool_choice") is None


def test_an_output_format_goes_to_models_that_know_one():
    body = asked(output_format={"type": "json_schema", "schema": {"type": "object"}})
    old, new = passed_request(body, SONNET_4), passed_request(body, SONNET_45)

    assert "output_config" not in old.body
    assert old.dropped == ("output_config.format",)
    assert new.body["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}


def test_system_messages_among_the_others_become_the_users():
    body = asked(
        {"role": "system", "content": "first"},
        user("hi"),
        assistant(call()),
        {"role": "system", "content": [text("between"), call("x")]},
        user(result()),
        {"role": "system", "content": "last"},
        tools=[tool("f")],
    )
    turns = messages.passthrough_request(body, SONNET_45).body["messages"]

    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[0]["content"] == [text("<system>\nfirst\n</system>"), text("hi")]
    assert turns[2]["content"] == [
        result(),
        text("<system>\nbetween\n</system>"),
        call("x"),
        text("<system>\nlast\n</system>"),
    ]
    assert messages.passthrough_request(body, replace(SONNET_45, mid_system=True)).body["messages"] == body["messages"]


def test_the_user_begins_even_if_only_the_system_spoke():
    body = asked(assistant(text("hello")), {"role": "system", "content": "note"})

    assert [turn["role"] for turn in passed_request(body).body["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "url", "url": "https://x"}},
        {"type": "document", "source": {"type": "file", "file_id": "f"}},
    ],
)
def test_what_bedrock_would_have_to_fetch_is_refused(block):
    with pytest.raises(FaultError, match="cannot fetch") as error:
        messages.passthrough_request(asked(user(result(content=[block]))), SONNET_45)

    assert error.value.fault.param == "messages[0].content[0].content[0]"


@pytest.mark.parametrize(
    "body",
    [{"messages": 3}, {"messages": [3]}, {"messages": [{"content": [3]}]}, {"messages": [], "tools": [3]}],
)
def test_nonsense_is_not_forwarded(body):
    with pytest.raises(FaultError):
        messages.passthrough_request(body, SONNET_45)


def test_content_that_is_none_is_left_out():
    assert (
        messages.passthrough_request({"messages": [{"role": "user", "content": None}]}, SONNET_45).body["messages"]
        == []
    )
