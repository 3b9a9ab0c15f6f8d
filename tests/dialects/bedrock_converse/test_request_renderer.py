"""Converse: requests, rendered for Claude and Nova."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import bedrock_converse as converse
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    CacheMark,
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Message,
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
from tests.dialects.anthropic_bodies import said
from tests.oracles.bedrock import check_converse_request

CLAUDE_4 = profile_for("anthropic--claude-4-sonnet")
CLAUDE_46 = profile_for("anthropic--claude-4.6-sonnet")
CLAUDE_47 = profile_for("anthropic--claude-4.7-opus")
OPUS_45 = profile_for("anthropic--claude-4.5-opus")
NOVA = profile_for("amazon--nova-pro")
ASKED = Conversation("claude", messages=(said(Text("hi")),))


def rendered(conversation, profile=CLAUDE_4):
    rendered = converse.render_request(conversation, profile)
    check_converse_request(rendered.body)
    return rendered


def test_everything_converse_can_say_is_said():
    conversation = Conversation(
        model="claude",
        dialect="anthropic-messages",
        system=(Text("Be brief", CacheMark("1h")), Text(" ")),
        messages=(
            said(
                Media(MediaKind.IMAGE, "image/jpg", data="aWk="),
                Media(MediaKind.DOCUMENT, "application/pdf", data="cGRm", name="my  file_v1.pdf", cache=CacheMark()),
                Media(MediaKind.DOCUMENT, "text/x-python", data="eA==", name="my file v1 pdf"),
            ),
            said(
                Thinking("hm", "c2ln", family=Family.CLAUDE),
                Thinking(redacted="cmVk", family=Family.CLAUDE),
                Refusal("no"),
                ToolCall("t1", "f", '{"a":1}', CacheMark()),
                ToolCall("t2", "f"),
                role=Role.ASSISTANT,
            ),
            said(
                ToolResult("t1", (Text("22", CacheMark()), Media(MediaKind.IMAGE, "image/png", data="aWk="))),
                ToolResult("t2", is_error=True),
                Text("and?"),
            ),
        ),
        tools=(ToolSpec("f", "d", {"type": "object", "properties": {}}, cache=CacheMark()),),
        tool_choice=ToolChoice(ToolMode.AUTO),
        sampling=Sampling(max_tokens=4000, temperature=0.5, top_p=0.9, top_k=5, stop=("END",)),
        reasoning=Reasoning(budget=2000),
        extra={"anthropic_beta": ["context-1m-2025-08-07"]},
    )
    empty = {"type": "object", "properties": {}}
    written = rendered(conversation)

    assert written.body == {
        "system": [{"text": "Be brief"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"image": {"format": "jpeg", "source": {"bytes": "aWk="}}},
                    {"document": {"format": "pdf", "name": "my file v1 pdf", "source": {"bytes": "cGRm"}}},
                    {"cachePoint": {"type": "default"}},
                    {"document": {"format": "txt", "name": "my file v1 pdf 2", "source": {"bytes": "eA=="}}},
                    {"text": "See the attached document."},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
                    {"reasoningContent": {"redactedContent": "cmVk"}},
                    {"text": "no"},
                    {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
                    {"cachePoint": {"type": "default"}},
                    {"toolUse": {"toolUseId": "t2", "name": "f", "input": {}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "toolResult": {
                            "toolUseId": "t1",
                            "content": [{"text": "22"}, {"image": {"format": "png", "source": {"bytes": "aWk="}}}],
                            "status": "success",
                        }
                    },
                    {"toolResult": {"toolUseId": "t2", "content": [{"text": "(no output)"}], "status": "error"}},
                    {"text": "and?"},
                ],
            },
        ],
        "inferenceConfig": {"maxTokens": 4000, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": empty}}},
                {"cachePoint": {"type": "default"}},
            ],
            "toolChoice": {"auto": {}},
        },
        "additionalModelRequestFields": {
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "anthropic_beta": ["context-1m-2025-08-07"],
        },
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    assert written.dropped == ("cache_control", "temperature", "top_k", "top_p")


def test_nova_is_asked_without_claudes_words():
    conversation = replace(
        ASKED,
        messages=(
            *ASKED.messages,
            said(Thinking("hm", "c2ln", family=Family.CLAUDE), ToolCall("t1", "f"), role=Role.ASSISTANT),
            said(ToolResult("t1", (Text("x"),), is_error=True)),
        ),
        tools=(ToolSpec("f", parameters={"type": "object", "$schema": "x"}, cache=CacheMark()),),
        sampling=Sampling(temperature=0.5, top_p=0.9, top_k=5, stop=("\n",)),
        reasoning=Reasoning(Effort.HIGH),
        extra={"anthropic_beta": ["x"]},
    )
    written = rendered(conversation, NOVA)

    assert written.body["inferenceConfig"] == {"temperature": 0.5, "topP": 0.9, "stopSequences": ["\n"]}
    assert written.body["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}
    assert written.body["toolConfig"] == {
        "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]
    }
    assert written.body["messages"][2]["content"][0]["toolResult"] == {
        "toolUseId": "t1",
        "content": [{"text": "The call failed:"}, {"text": "x"}],
    }
    assert written.dropped == ("anthropic_beta", "cache_control", "thinking")


@pytest.mark.parametrize(
    ("mode", "own", "choice"),
    [
        (ToolMode.AUTO, {"type": "auto", "disable_parallel_tool_use": True}, None),
        (ToolMode.REQUIRED, {"disable_parallel_tool_use": True}, {"any": {}}),
        (ToolMode.NAMED, {"disable_parallel_tool_use": True}, {"tool": {"name": "f"}}),
        (ToolMode.NONE, None, None),
    ],
)
def test_claude_is_told_in_its_own_words_to_call_one_tool_at_a_time(mode, own, choice):
    asked = replace(ASKED, tools=TOOL, tool_choice=ToolChoice(mode, "f", parallel=False))
    claude, nova = rendered(asked).body, rendered(asked, NOVA)

    assert own == claude.get("additionalModelRequestFields", {}).get("tool_choice")
    assert choice == claude.get("toolConfig", {}).get("toolChoice")
    assert ("parallel_tool_calls" in nova.dropped) == (mode is not ToolMode.NONE)


def test_what_converse_does_not_have_is_named():
    conversation = replace(
        ASKED,
        messages=(
            said(Text("hi"), Opaque("x", {"type": "audio"}), Opaque("x", {"odd": 1})),
            said(Thinking("hm", family=Family.CLAUDE), Text("ok"), role=Role.ASSISTANT),
            said(Text("go")),
        ),
        tools=(ToolSpec("f", strict=True, parameters={"oneOf": []}), Opaque("gemini", {"googleSearch": {}})),
        tool_choice=ToolChoice(ToolMode.REQUIRED, parallel=False),
        sampling=Sampling(stop=(" ",), seed=1, frequency_penalty=0.5),
        extra={"logit_bias": {}, "anthropic_beta": ["new"]},
    )
    written = rendered(conversation)

    assert written.body["toolConfig"]["toolChoice"] == {"any": {}}
    assert written.dropped == (
        "anthropic_beta",
        "audio",
        "frequency_penalty",
        "logit_bias",
        "odd",
        "seed",
        "stop",
        "thinking",
        "tool googleSearch",
        "tools[].parameters.oneOf",
        "tools[].strict",
    )


@pytest.mark.parametrize(
    ("reasoning", "profile", "fields"),
    [
        (Reasoning(Effort.HIGH), CLAUDE_4, {"thinking": {"type": "enabled", "budget_tokens": 16384}}),
        (Reasoning(Effort.MAX), CLAUDE_46, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
        (Reasoning(budget=3000), CLAUDE_47, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        (
            Reasoning(Effort.LOW),
            OPUS_45,
            {
                "thinking": {"type": "enabled", "budget_tokens": 4096},
                "output_config": {"effort": "low"},
                "anthropic_beta": ["effort-2025-11-24"],
            },
        ),
        (Reasoning(Effort.NONE), CLAUDE_4, None),
    ],
)
def test_thinking_is_asked_for_as_the_model_wants_it(reasoning, profile, fields):
    assert fields == rendered(replace(ASKED, reasoning=reasoning), profile).body.get("additionalModelRequestFields")


TOOL = (ToolSpec("f"),)
CALLED = (*ASKED.messages, said(ToolCall("t", "f"), role=Role.ASSISTANT))


@pytest.mark.parametrize(
    ("conversation", "choice", "names"),
    [
        (replace(ASKED, tools=TOOL), None, ["f"]),
        (replace(ASKED, tools=TOOL, tool_choice=ToolChoice(ToolMode.NAMED, "f")), {"tool": {"name": "f"}}, ["f"]),
        (replace(ASKED, tools=TOOL, tool_choice=ToolChoice(ToolMode.NONE)), None, []),
        (replace(ASKED, tools=TOOL, tool_choice=ToolChoice(ToolMode.NONE), messages=CALLED), None, ["f"]),
        (replace(ASKED, messages=CALLED), None, ["f"]),
        (replace(ASKED, output=OutputFormat()), {"tool": {"name": "respond_with_json"}}, ["respond_with_json"]),
        (replace(ASKED, output=OutputFormat(), tools=TOOL), {"any": {}}, ["f", "respond_with_json"]),
    ],
)
def test_which_tools_are_offered_and_how_free_the_model_is(conversation, choice, names):
    config = rendered(conversation).body.get("toolConfig", {"tools": []})

    assert choice == config.get("toolChoice")
    assert names == [tool["toolSpec"]["name"] for tool in config["tools"]]


@pytest.mark.parametrize(
    "conversation",
    [
        replace(ASKED, messages=(said(Media(MediaKind.DOCUMENT, "application/zip", data="")),)),
        replace(ASKED, messages=(said(Media(MediaKind.VIDEO, "video/mp4", data="")),)),
        replace(ASKED, messages=()),
    ],
)
def test_what_the_model_cannot_be_asked_is_refused(conversation):
    with pytest.raises(FaultError) as error:
        converse.render_request(conversation, CLAUDE_4)

    assert FaultKind.INVALID_REQUEST is error.value.fault.kind


def test_tools_for_a_model_without_are_refused():
    with pytest.raises(FaultError, match="tools cannot be used"):
        converse.render_request(replace(ASKED, tools=TOOL), replace(NOVA, tools=False))


def test_what_belongs_to_converse_alone_goes_back_to_it():
    guarded = Opaque("bedrock-converse", {"guardContent": {"text": {"text": "x"}}})
    named = Opaque("bedrock-converse", {"systemTool": {"name": "nova_grounding"}})
    written = rendered(replace(ASKED, messages=(said(Text("hi"), guarded),), tools=(named,)), NOVA)

    assert written.body["messages"][0]["content"][1] == guarded.payload
    assert written.body["toolConfig"] == {"tools": [named.payload]}


def test_no_more_cache_points_than_are_taken():
    mark = CacheMark()
    written = rendered(replace(ASKED, messages=(said(*(Text(f"m{index}", mark) for index in range(6))),)))

    assert written.dropped == ("cache_control",)


@pytest.mark.parametrize("odd", [True, [["new"]], {"a": 1}, "new"])
def test_betas_that_are_none_are_named(odd):
    written = rendered(replace(ASKED, dialect="openai-chat", extra={"anthropic_beta": odd}))

    assert written.dropped == ("anthropic_beta",)


def test_a_mark_within_a_result_has_no_place_and_takes_none():
    mark = CacheMark()
    result = ToolResult("t", (Text("a", mark), Text("b", mark)), cache=mark)
    calls = said(*(Text(f"m{index}", mark) for index in range(3)), ToolCall("t", "f"), role=Role.ASSISTANT)
    written = rendered(replace(ASKED, messages=(said(Text("hi")), calls, said(result))))

    assert sum("cachePoint" in block for message in written.body["messages"] for block in message["content"]) == 4
    assert written.dropped == ("cache_control",)


words = st.text(max_size=6)
turns = st.lists(
    st.builds(
        Message,
        st.sampled_from(Role),
        st.lists(
            st.builds(Text, words, st.none() | st.just(CacheMark()))
            | st.builds(ToolCall, st.sampled_from(["a", "b c", "a" * 80]), st.just("f"))
            | st.builds(ToolResult, st.sampled_from(["a", "b c", "x"]), st.lists(st.builds(Text, words)).map(tuple))
            | st.builds(Thinking, words, words, family=st.sampled_from(Family))
            | st.builds(Media, st.just(MediaKind.DOCUMENT), st.just("text/plain"), st.just("eA=="), name=words),
            max_size=3,
        ).map(tuple),
    ),
    max_size=5,
)


def sensible(messages):
    """Calls are the assistant's, documents and results the user's, and no id is used twice in a turn."""
    for message in messages:
        kept = [
            part
            for part in message.parts
            if isinstance(part, Text | Thinking) or isinstance(part, ToolCall) == (message.role is Role.ASSISTANT)
        ]
        calls = {part.id: part for part in kept if isinstance(part, ToolCall)}
        others = [part for part in kept if not isinstance(part, ToolCall)]
        yield Message(message.role, (*others, *calls.values()))


@given(turns, st.sampled_from([CLAUDE_4, CLAUDE_46, CLAUDE_47, NOVA]))
@settings(max_examples=60)
def test_whatever_was_said_before_is_asked_in_the_order_converse_wants(messages, profile):
    sane = [message for index, message in enumerate(sensible(messages)) if index == 0 or not _repeats(messages, index)]
    conversation = replace(ASKED, messages=(*sane, said(Text("go on"))), reasoning=Reasoning(Effort.LOW))

    rendered(conversation, profile)


def _repeats(messages, index):
    """Two turns of the assistant in a row would call with the same ids."""
    return messages[index].role is Role.ASSISTANT and messages[index - 1].role is Role.ASSISTANT


# --- Answers
