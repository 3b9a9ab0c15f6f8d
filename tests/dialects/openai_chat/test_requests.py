"""OpenAI chat completions: what is asked."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import openai_chat
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
    Reasoning,
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
from dialects.interface import Envelope
from tests.dialects.openai_requests import PNG, chat_bodies
from tests.oracles.openai import check_chat_request

MODELS = ["gpt-4o", "gpt-5", "gpt-5.1", "o3", "mistralai--mistral-small", "cohere--command-a-reasoning", "meta--llama3"]


def _envelope(**asked) -> Envelope:
    return Envelope("tok", "my-gpt", 1_780_000_000, Conversation("my-gpt", "openai-chat", **asked))


def _asked(body_, model="gpt-4o"):
    return openai_chat.render_request(openai_chat.parse_request(body_), profile_for(model))


def _user(content):
    return {"model": "m", "messages": [{"role": "user", "content": content}]}


@given(chat_bodies, st.sampled_from(MODELS))
@settings(max_examples=60)
def test_openais_own_types_take_every_request(asked, model):
    if b"file_data" in json.dumps(asked).encode() and not profile_for(model).documents:
        return
    check_chat_request(_asked(asked, model).body)


@given(chat_bodies)
@settings(max_examples=50)
def test_nothing_but_what_is_named_is_lost(asked):
    profile = replace(
        profile_for("gpt-5"),
        temperature=True,
        top_p=True,
        penalties=True,
        stops=None,
        efforts=tuple(e.value for e in Effort),
    )
    once = openai_chat.parse_request(asked)
    rendered = openai_chat.render_request(once, profile)
    again = openai_chat.parse_request({**rendered.body, "model": "m"})

    assert set(rendered.dropped) <= {"invented", "metadata"}
    kept = {name: value for name, value in once.extra.items() if name not in rendered.dropped}
    assert again == replace(once, messages=again.messages, extra=kept, stream_usage=once.stream, user=once.user)
    assert [_said(message) for message in again.messages] == [_said(message) for message in _answered(again, once)]


def _said(message):
    """A call without arguments is rendered as one with an empty object."""
    parts = [replace(p, arguments=p.arguments or "{}") if isinstance(p, ToolCall) else p for p in message.parts]
    return (message.role, [part for part in parts if part != Text("")])


def _answered(again, once):
    """Where every call was answered in its place, the history is the same; elsewhere it was settled."""
    return once.messages if len(again.messages) == len(once.messages) and not _unsettled(once) else again.messages


def _unsettled(once):
    results = [part.call_id for message in once.messages for part in message.parts if isinstance(part, ToolResult)]
    calls = [part.id for message in once.messages for part in message.parts if isinstance(part, ToolCall)]
    return sorted(results) != sorted(calls) or len(set(calls)) != len(calls)


def test_a_reasoning_model_is_asked_in_its_words():
    asked = {
        **_user("x"),
        "max_tokens": 100,
        "temperature": 0.5,
        "top_p": 1,
        "logprobs": True,
        "reasoning_effort": "none",
        "stream": True,
    }
    rendered = _asked(asked, "gpt-5")

    assert rendered.body == {
        "messages": [{"role": "user", "content": "x"}],
        "max_completion_tokens": 100,
        "reasoning_effort": "minimal",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert rendered.dropped == ("logprobs", "temperature")


@pytest.mark.parametrize("wanted", [Reasoning(budget=9000), Reasoning(adaptive=True), Reasoning(Effort.LOW)])
def test_a_model_that_does_not_think_is_not_told_to(wanted):
    rendered = openai_chat.render_request(
        Conversation("m", messages=(Message(Role.USER, (Text("x"),)),), reasoning=wanted), profile_for("gpt-4o")
    )

    assert "reasoning_effort" not in rendered.body
    assert rendered.dropped == ("reasoning_effort",)


@pytest.mark.parametrize(("budget", "word"), [(1024, "minimal"), (4000, "low"), (9000, "medium"), (31999, "high")])
def test_a_budget_becomes_a_word(budget, word):
    asked = Conversation("m", messages=(Message(Role.USER, (Text("x"),)),), reasoning=Reasoning(budget=budget))

    assert word == openai_chat.render_request(asked, profile_for("gpt-5")).body["reasoning_effort"]


def test_no_longer_answer_is_asked_for_than_the_model_gives():
    rendered = _asked({**_user("x"), "max_tokens": 32000})

    assert rendered.body["max_tokens"] == 16384
    assert rendered.dropped == ("max_tokens over the model's limit",)


def test_an_open_call_is_answered_and_an_answer_to_nothing_becomes_words():
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    body_ = {
        "messages": [
            {"role": "tool", "tool_call_id": "lost", "content": "old news"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "user", "content": "never mind"},
            {"role": "assistant", "content": None, "tool_calls": [{**call, "id": "b"}]},
        ]
    }
    messages = _asked(body_).body["messages"]

    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "user", "assistant", "tool"]
    assert messages[0]["content"] == "old news"
    assert messages[1]["content"] is None
    assert messages[2]["tool_call_id"] == "a"


def test_an_image_in_a_result_is_shown_behind_the_results():
    result = ToolResult("a", (Text("look"), Media(MediaKind.IMAGE, "image/png", "AAAA")), is_error=True)
    asked = Conversation(
        "m",
        messages=(Message(Role.ASSISTANT, (ToolCall("a", "f"),)), Message(Role.USER, (Text("so?"), result))),
    )
    rendered = openai_chat.render_request(asked, profile_for("gpt-4o"))

    assert rendered.body["messages"][1:] == [
        {"role": "tool", "tool_call_id": "a", "content": "The call failed:\nlook\nimage (shown below)"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "text", "text": "so?"},
            ],
        },
    ]
    assert rendered.dropped == ()


def test_other_vendors_get_turns_that_alternate_and_ids_they_take():
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body_ = {
        "messages": [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": "b"},
            {"role": "user", "content": "x"},
            {"role": "system", "content": "late"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "r"},
        ],
        "store": True,
        "safe_prompt": True,
    }
    rendered = _asked(body_, "mistralai--mistral-small")
    system, user, assistant, tool = rendered.body["messages"]

    assert system == {"role": "system", "content": "a\n\nb"}
    assert user["content"][0] == {"type": "text", "text": "x\n\n<system>\nlate\n</system>"}
    assert user["content"][1]["type"] == "image_url"
    assert assistant["tool_calls"][0]["id"] == tool["tool_call_id"]
    assert len(tool["tool_call_id"]) == 9
    assert rendered.body["model"] == "mistralai--mistral-small"
    assert rendered.body["safe_prompt"] is True
    assert rendered.dropped == ("store",)


@pytest.mark.parametrize(
    ("change", "model"),
    [
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}],
                    }
                ]
            },
            "gpt-4o",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "AA"}}]}]}, "sonar"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "sonar"),
    ],
)
def test_what_would_change_the_meaning_is_refused(change, model):
    with pytest.raises(FaultError) as refused:
        _asked({**_user("x"), **change}, model)

    assert FaultKind.INVALID_REQUEST is refused.value.fault.kind


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": [1]}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"tools": [5]}, "tools[0]"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ],
)
def test_a_wrong_field_is_named(change, param):
    with pytest.raises(FaultError) as refused:
        openai_chat.parse_request({**_user("x"), **change})

    assert param == refused.value.fault.param


def test_a_request_is_understood_whole():
    tools = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
    asked = openai_chat.parse_request(
        {
            **_user([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]),
            "tools": [*tools, {"type": "mcp"}],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]},
            },
            "parallel_tool_calls": False,
            "stop": "END",
            "stream_options": {"include_usage": True, "include_obfuscation": False},
            "prompt_cache_key": "k",
            "store": False,
            "verbosity": "low",
            "n": 1,
        }
    )

    assert asked.messages == (Message(Role.USER, (Text("x", CacheMark("1h")),)),)
    assert asked.tools == (ToolSpec("g"), Opaque("openai-chat", {"type": "mcp"}))
    assert asked.tool_choice == ToolChoice(ToolMode.REQUIRED, parallel=False)
    assert asked.sampling == Sampling(stop=("END",))
    assert (asked.stream_usage, asked.cache_key) == (True, "k")
    assert asked.extra == {"verbosity": "low", "stream_options": {"include_obfuscation": False}}


def test_no_tools_is_no_choice_either():
    rendered = _asked({**_user("x"), "tools": [], "tool_choice": "auto", "parallel_tool_calls": True})

    assert rendered.body == {"messages": [{"role": "user", "content": "x"}]}


def test_text_documents_are_said_as_text():
    attached = Media(MediaKind.DOCUMENT, "text/plain", "aGk=", name="a.txt")
    asked = Conversation("m", messages=(Message(Role.USER, (attached,)),))
    rendered = openai_chat.render_request(asked, profile_for("sonar"))

    assert rendered.body["messages"][0]["content"] == '<document name="a.txt">\nhi\n</document>'


def test_what_only_openai_knows_goes_back_to_openai_and_is_named_to_others():
    part = {"type": "file", "file": {"file_id": "file_1"}}
    asked = {
        "model": "m",
        "messages": [
            {"role": "user", "name": "bob", "content": [{"type": "text", "text": "x"}, part]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        ],
        "functions": [],
    }
    native = _asked(asked)
    check_chat_request({**native.body, "messages": native.body["messages"][:1]})

    assert native.body["messages"] == [
        asked["messages"][0],
        {"role": "assistant", "content": None, "refusal": "no"},
    ]
    assert native.dropped == ()
    other = _asked(asked, "mistralai--mistral-small")
    assert other.body["messages"][1] == {"role": "assistant", "content": "no"}
    assert other.dropped == ("file",)


def test_legacy_history_is_understood():
    asked = {
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "22C"},
        ]
    }
    parsed = openai_chat.parse_request(asked)

    assert parsed.messages[1].parts == (ToolCall("call_1", "f", "{}"),)
    assert parsed.messages[2].parts == (ToolResult("call_1", (Text("22C"),)),)
    check_chat_request(_asked(asked).body)


def test_audio_goes_to_models_that_hear():
    audio = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}}
    parsed = openai_chat.parse_request(_user([audio]))
    heard = replace(profile_for("gpt-4o"), audio=True)

    assert parsed.messages[0].parts == (Media(MediaKind.AUDIO, "audio/mp3", "AA=="),)
    assert openai_chat.render_request(parsed, heard).body["messages"][0]["content"] == [audio]


def test_a_document_that_lies_elsewhere_cannot_be_shown():
    asked = Conversation("m", messages=(Message(Role.USER, (Media(MediaKind.DOCUMENT, "", url="https://x.y"),)),))

    with pytest.raises(FaultError):
        openai_chat.render_request(asked, profile_for("gpt-4o"))


def test_fields_of_other_dialects_are_named():
    unsupported = Opaque("anthropic-messages", {"type": "server_tool_use"})
    asked = Conversation(
        "m",
        "anthropic-messages",
        system=(Text("a"), Text("b")),
        messages=(
            Message(Role.USER, (Text("x"), unsupported)),
            Message(Role.ASSISTANT, (unsupported, Media(MediaKind.IMAGE, "image/png", "AA"), Thinking("t", "s"))),
            Message(Role.ASSISTANT, (ToolCall("a", "f"),)),
            Message(Role.USER, (ToolResult("a", (unsupported, Text("y", CacheMark()))),)),
        ),
        tools=(ToolSpec("f"), Opaque("gemini", {"type": "googleSearch"})),
        sampling=Sampling(top_k=5),
        extra={"context_management": {"edits": []}},
    )
    rendered = openai_chat.render_request(asked, profile_for("gpt-4o"))
    check_chat_request(rendered.body)

    assert rendered.body["messages"][0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert rendered.dropped == (
        "cache_control",
        "context_management",
        "server_tool_use",
        "thinking",
        "tool googleSearch",
        "top_k",
    )


def test_a_schema_is_not_asked_of_a_model_that_knows_none():
    asked = {**_user("x"), "response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": {}}}}
    rendered = openai_chat.render_request(
        openai_chat.parse_request(asked), replace(profile_for("gpt-4o"), native_schema=False)
    )

    assert "response_format" not in rendered.body
    assert rendered.dropped == ("response_format",)


def test_an_image_in_an_instruction_is_shown_in_the_users_turn():
    asked = {
        "messages": [
            {
                "role": "system",
                "name": "boss",
                "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": PNG}],
            },
            {"role": "user", "content": "x"},
        ]
    }
    rendered = _asked(asked)

    assert rendered.body["messages"] == [
        {"role": "system", "content": "x", "name": "boss"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "(From the system's message, this image:)"},
                {"type": "image_url", "image_url": {"url": PNG}},
                {"type": "text", "text": "x"},
            ],
        },
    ]
    assert rendered.dropped == ()


def test_what_other_gateways_put_beside_an_answer_is_read_or_named():
    answer = {
        "role": "assistant",
        "content": "ok",
        "annotations": [{"type": "url_citation"}],
        "audio": {"id": "audio_1"},
        "images": [{"type": "image_url", "image_url": {"url": PNG}}],
        "reasoning_content": "hm",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "opaque"},
        ],
    }
    said = openai_chat.parse_request({"messages": [{"role": "user", "content": "x", "images": [PNG]}, answer]})

    assert said.messages[1].parts == (
        Thinking("hm", "sig", family=Family.CLAUDE),
        Thinking(redacted="opaque", family=Family.CLAUDE),
        Text("ok"),
        Media(MediaKind.IMAGE, "image/png", PNG.partition(",")[2]),
    )
    assert said.extra.keys() == {"messages[].annotations", "messages[].audio", "messages[].images"}
    for model in ("gpt-4o", "mistralai--mistral-small"):
        rendered = openai_chat.render_request(said, profile_for(model))
        assert {*said.extra} <= {*rendered.dropped}
        assert rendered.body.keys() <= {"messages", "model"}


def test_what_stands_beside_an_answer_in_no_known_shape_is_named():
    answer = {"role": "assistant", "content": "ok", "images": ["iVBO"], "thinking_blocks": "hm", "reasoning": "r"}
    said = openai_chat.parse_request({"messages": [{"role": "user", "content": "x"}, answer]})

    assert said.messages[1].parts == (Thinking("r"), Text("ok"))
    assert said.extra.keys() == {"messages[].images", "messages[].thinking_blocks"}


def test_a_schema_openai_refuses_is_written_so_that_it_takes_it_and_then_not_strict():
    tool = ToolSpec("f", parameters={"type": "object", "anyOf": [{"properties": {"a": {}}}]}, strict=True)
    asked = Conversation("m", messages=(Message(Role.USER, (Text("x"),)),), tools=(tool,))
    native, other = (
        openai_chat.render_request(asked, profile_for(model)) for model in ("gpt-5", "mistralai--mistral-small")
    )

    plain = {"type": "object", "properties": {"a": {}}}
    assert native.body["tools"][0]["function"] == {"name": "f", "parameters": plain, "strict": False}
    assert native.dropped == ("tools[].parameters.anyOf", "tools[].strict")
    assert tool.parameters == other.body["tools"][0]["function"]["parameters"]
