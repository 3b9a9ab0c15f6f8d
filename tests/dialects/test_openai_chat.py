"""OpenAI chat completions, on both sides."""

import contextlib
import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from dialects import openai_chat
from dialects.conversation import (
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
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
    Usage,
)
from dialects.dialect import Envelope
from dialects.events import Failed, Started, checked, fold, unfold
from dialects.faults import Fault, FaultError, FaultKind
from dialects.models import profile_for
from dialects.relay import Passthrough
from dialects.sse import Frame, SSEDecoder
from tests.dialects.golden import body, byte_by_byte, cut, junk, matches, noise, places, read, scenes, wire
from tests.dialects.openai_requests import PNG, chat_bodies, mangled
from tests.oracles.openai import check_chat_request

BACKEND = "openai_chat"
MODELS = ["gpt-4o", "gpt-5", "gpt-5.1", "o3", "mistralai--mistral-small", "cohere--command-a-reasoning", "meta--llama3"]
WORDS = [
    *(
        "model",
        "messages",
        "role",
        "user",
        "assistant",
        "tool",
        "system",
        "content",
        "type",
        "text",
        "image_url",
        "url",
    ),
    *(
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "tool_call_id",
        "tools",
        "tool_choice",
        "stop",
        "n",
        "json_schema",
    ),
    *(
        "response_format",
        "reasoning_effort",
        "stream_options",
        "file",
        "file_data",
        "data:,x",
        "max_tokens",
        "functions",
    ),
    *(
        "choices",
        "delta",
        "index",
        "finish_reason",
        "usage",
        "error",
        "code",
        "message",
        "prompt_tokens",
        "input_audio",
    ),
]
WHOLE = [scene for scene in scenes(BACKEND) if body(BACKEND, scene) is not None]


def _envelope(**asked) -> Envelope:
    return Envelope("tok", "my-gpt", 1_780_000_000, Conversation("my-gpt", "openai-chat", **asked))


def _asked(body_, model="gpt-4o"):
    return openai_chat.render_request(openai_chat.parse_request(body_), profile_for(model))


def _user(content):
    return {"model": "m", "messages": [{"role": "user", "content": content}]}


def _passed(data: bytes, envelope: Envelope) -> bytes:
    relay = Passthrough(
        openai_chat.reader("tok", "text/event-stream"),
        SSEDecoder(),
        lambda frame: openai_chat.forward_frame(frame, envelope),
        lambda fault, answer: openai_chat.forward_fault(fault, answer, envelope),
    )
    return relay.feed(data) + relay.finish()


def _frames(data: bytes) -> list:
    frames = SSEDecoder().feed(data)
    return [json.loads(frame.data) for frame in frames if frame.data != "[DONE]"]


# Answers


@pytest.mark.parametrize("scene", WHOLE)
def test_a_stream_says_what_the_whole_answer_says(scene):
    streamed = fold(read(openai_chat.reader("tok", ""), [wire(BACKEND, scene)]))

    assert openai_chat.parse_response(body(BACKEND, scene), "tok") == streamed


@pytest.mark.parametrize("scene", scenes(BACKEND))
def test_the_events_do_not_depend_on_where_the_network_cut(scene):
    data = wire(BACKEND, scene)
    whole = read(openai_chat.reader("tok", ""), [data])

    assert whole == read(openai_chat.reader("tok", ""), byte_by_byte(data))


@given(st.sampled_from(scenes(BACKEND)), places)
@settings(max_examples=25, deadline=None)
def test_the_events_do_not_depend_on_any_cuts(scene, where):
    data = wire(BACKEND, scene)

    assert read(openai_chat.reader("tok", ""), [data]) == read(openai_chat.reader("tok", ""), cut(data, where))


@given(noise(WORDS))
@settings(max_examples=80, deadline=None)
def test_no_bytes_make_a_reader_raise_or_speak_ungrammatically(chunks):
    read(openai_chat.reader("tok", ""), chunks)


@given(noise(WORDS))
@settings(max_examples=40, deadline=None)
def test_no_bytes_make_the_lane_raise(chunks):
    _passed(b"".join(chunks), _envelope())


@pytest.mark.parametrize("scene", scenes(BACKEND))
@pytest.mark.parametrize("asked", [True, False])
def test_what_clients_get_is_what_was_reviewed(scene, asked):
    envelope = _envelope(stream=True, stream_usage=asked)
    written = openai_chat.writer(envelope).write(read(openai_chat.reader("tok", ""), [wire(BACKEND, scene)]))

    matches(BACKEND, scene, f"chat_{'with' if asked else 'without'}_usage", written)
    matches(BACKEND, scene, f"lane_{'with' if asked else 'without'}_usage", _passed(wire(BACKEND, scene), envelope))


@pytest.mark.parametrize("scene", WHOLE)
def test_openais_own_types_take_every_chunk_and_answer(scene):
    completion = openai_chat.parse_response(body(BACKEND, scene), "tok")
    envelope = _envelope(stream_usage=True)
    frames = _frames(openai_chat.writer(envelope).write(unfold(completion)))
    for frame in frames:
        ChatCompletionChunk.model_validate(frame, strict=True)
    ChatCompletion.model_validate(openai_chat.render_response(completion, envelope), strict=True)

    assert [frame["choices"][0]["finish_reason"] for frame in frames if frame["choices"]][-1]
    assert sum(bool(frame["choices"] and frame["choices"][0]["finish_reason"]) for frame in frames) == 1
    assert {frame["id"] for frame in frames} == {"chatcmpl-tok"}


parts = st.lists(
    st.one_of(
        st.text(min_size=1, max_size=8).map(Text),
        st.text(min_size=1, max_size=8).map(Thinking),
        st.builds(ToolCall, st.uuids().map(str), st.just("f"), st.sampled_from(['{"a":1}', "{}"])),
    ),
    max_size=5,
)


@given(parts, st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_what_the_writer_writes_the_reader_reads(said, fresh, cached):
    calls = any(isinstance(part, ToolCall) for part in said)
    stop = Stop(StopReason.TOOL_USE, "tool_calls") if calls else Stop(StopReason.END, "stop")
    completion = Completion("chatcmpl-tok", "my-gpt", _merged(said), stop, Usage(fresh, cached, 0, 7, 2))
    data = openai_chat.writer(_envelope(stream_usage=True)).write(checked(unfold(completion)))

    assert completion == fold(read(openai_chat.reader("tok", ""), [data]))


def _merged(said):
    """Neighbours of one kind cannot be told apart."""
    merged = []
    for part in said:
        if merged and type(part) is type(merged[-1]) and not isinstance(part, ToolCall):
            merged[-1] = replace(part, text=merged[-1].text + part.text)
        else:
            merged.append(part)
    return tuple(merged)


def test_half_an_emoji_survives():
    data = b'data: {"id":"1","choices":[{"delta":{"content":"\\ud83d"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    written = openai_chat.writer(_envelope()).write(read(openai_chat.reader("tok", ""), [data]))

    assert Text("\ud83d") in fold(read(openai_chat.reader("tok", ""), [written])).parts


def test_an_answer_is_tool_use_because_of_its_calls_whatever_the_model_calls_it():
    answer = openai_chat.parse_response(body(BACKEND, "mistral_thoughts"), "tok")

    assert answer.stop == Stop(StopReason.TOOL_USE, "stop")
    assert openai_chat.render_response(answer, _envelope())["choices"][0]["finish_reason"] == "tool_calls"


def test_each_token_is_counted_once():
    usage = openai_chat.parse_response(body(BACKEND, "words"), "tok").usage

    assert usage == Usage(fresh_input=10, cache_read=4, output=7, reasoning=3)
    rendered = openai_chat.render_response(Completion(usage=replace(usage, cache_write=5)), _envelope())["usage"]
    assert rendered == {
        "prompt_tokens": 19,
        "completion_tokens": 7,
        "total_tokens": 26,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_a_call_without_arguments_says_that_it_has_none():
    completion = Completion(parts=(ToolCall("a", "f"),))
    frames = _frames(openai_chat.writer(_envelope()).write(unfold(completion)))
    said = "".join(
        call["function"]["arguments"] for frame in frames for call in frame["choices"][0]["delta"].get("tool_calls", [])
    )

    assert said == "{}"
    message = openai_chat.render_response(completion, _envelope())["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


def test_geminis_signature_travels_with_its_call():
    said = (Thinking("hm", "sig", family=Family.GEMINI), ToolCall("a", "f", "{}"))
    message = openai_chat.render_response(Completion(parts=said), _envelope())["choices"][0]["message"]
    again = openai_chat.parse_request({"messages": [{"role": "user", "content": "x"}, message]})

    assert again.messages[1].parts == (
        Thinking("hm"),
        Thinking(signature="sig", family=Family.GEMINI),
        ToolCall("a", "f", "{}"),
    )
    streamed = openai_chat.writer(_envelope()).write(unfold(Completion(parts=said)))
    assert b'"extra_content":{"google":{"thought_signature":"sig"}}' in streamed


def test_an_image_the_model_made_is_shown():
    said = Completion(parts=(Media(MediaKind.IMAGE, "image/png", "AAAA"),))
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

    assert openai_chat.render_response(said, _envelope())["choices"][0]["message"]["images"] == [shown]
    assert b'"images":[{"index":0,"type":"image_url"' in openai_chat.writer(_envelope()).write(unfold(said))


def test_whoever_asks_with_functions_is_answered_with_a_function_call():
    asked = {**_user("x"), "functions": [{"name": "f"}], "function_call": {"name": "f"}}
    conversation = openai_chat.parse_request(asked)
    envelope = Envelope("tok", "m", 1, conversation)
    completion = Completion(parts=(ToolCall("a", "f", "{}"),))
    choice = openai_chat.render_response(completion, envelope)["choices"][0]

    assert conversation.tool_choice == ToolChoice(ToolMode.NAMED, "f")
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    written = openai_chat.writer(envelope).write(unfold(completion))
    assert b'"tool_calls"' not in written
    assert fold(read(openai_chat.reader("tok", ""), [written])).stop.raw == "function_call"


def test_calls_without_index_or_id_are_told_apart():
    call = {"function": {"name": "f", "arguments": "{}"}}
    chunk = {"id": "1", "choices": [{"delta": {"tool_calls": [{**call, "id": "a"}, {**call, "id": "b"}]}}]}
    end = {"id": "1", "choices": [{"delta": {}, "finish_reason": "stop"}]}
    data = b"".join(Frame(json.dumps(frame)).encode() for frame in (chunk, end))

    assert [part.id for part in fold(read(openai_chat.reader("tok", ""), [data])).parts] == ["a", "b"]
    nameless = openai_chat.parse_response({"choices": [{"message": {"tool_calls": [call]}}]}, "tok")
    assert (
        nameless.parts[0].id
        == openai_chat.parse_response({"choices": [{"message": {"tool_calls": [call]}}]}, "tok").parts[0].id
    )
    assert nameless.parts[0].id.startswith("call_")


@pytest.mark.parametrize(
    ("answer", "error"),
    [({"error": {"code": "429", "message": "slow"}}, FaultError), ({}, ValueError), ({"choices": []}, ValueError)],
)
def test_an_answer_that_makes_no_sense_is_an_error(answer, error):
    with pytest.raises(error):
        openai_chat.parse_response(answer, "tok")


@pytest.mark.parametrize("scene", ["throttled", "broken"])
def test_a_broken_stream_ends_in_an_error_and_without_done(scene):
    events = read(openai_chat.reader("tok", ""), [wire(BACKEND, scene)])

    assert isinstance(events[-1], Failed)
    for data in (openai_chat.writer(_envelope()).write(events), _passed(wire(BACKEND, scene), _envelope())):
        assert set(_frames(data)[-1]) == {"error"}
        assert b"[DONE]" not in data


def test_done_without_a_word_is_a_broken_stream():
    assert isinstance(read(openai_chat.reader("tok", ""), [b"data: [DONE]\n\n"])[-1], Failed)


def test_done_without_a_reason_is_an_end():
    data = b'data: {"id":"1","choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'

    assert fold(read(openai_chat.reader("tok", ""), [data])).stop.reason is StopReason.END


# Faults


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Fault(FaultKind.NOT_FOUND, "no m"), "invalid_request_error", "model_not_found"),
        (Fault(FaultKind.UNAUTHENTICATED, "no"), "authentication_error", "invalid_api_key"),
        (Fault(FaultKind.RATE_LIMITED, "slow", code="TooManyRequest"), "rate_limit_error", "rate_limit_exceeded"),
        (Fault(FaultKind.INVALID_REQUEST, "x", code="bad", param="n"), "invalid_request_error", "bad"),
        (Fault(FaultKind.GONE, "gone"), "server_error", "gone"),
    ],
)
def test_a_failure_is_said_as_openai_says_it(fault, kind, code):
    error = openai_chat.render_fault(fault)["error"]

    assert (error["type"], error["code"], error["param"]) == (kind, code, fault.param)
    assert ("Incorrect API key provided" in error["message"]) == (fault.kind is FaultKind.UNAUTHENTICATED)


# Requests


def test_nearly_right_bodies_are_understood_or_refused():
    rng = random.Random(7)
    words = [*WORDS, "custom", "format", "data", "filename", "function_call"]
    for _ in range(1500):
        asked = mangled(rng, words, "messages")
        for model in ("gpt-4o", "sonar"):
            with contextlib.suppress(FaultError):
                openai_chat.render_request(openai_chat.parse_request(asked), profile_for(model))
            with contextlib.suppress(FaultError):
                openai_chat.forward_request(asked, profile_for(model))


@given(
    junk(WORDS)
    | st.fixed_dictionaries(
        {"messages": st.lists(st.dictionaries(st.sampled_from(WORDS), junk(WORDS), max_size=4), max_size=2)}
    )
)
@settings(max_examples=40, deadline=None)
def test_any_json_is_understood_or_refused(value):
    if isinstance(value, dict):
        with contextlib.suppress(FaultError):
            openai_chat.render_request(openai_chat.parse_request(value), profile_for("gpt-4o"))
        with contextlib.suppress(FaultError):
            openai_chat.forward_request(value, profile_for("gpt-5"))


@given(chat_bodies, st.sampled_from(MODELS))
@settings(max_examples=60, deadline=None)
def test_openais_own_types_take_every_request(asked, model):
    if b"file_data" in json.dumps(asked).encode() and not profile_for(model).documents:
        return
    check_chat_request(_asked(asked, model).body)


@given(chat_bodies)
@settings(max_examples=50, deadline=None)
def test_nothing_but_what_is_named_is_lost(asked):
    profile = replace(
        profile_for("gpt-5"), temperature=True, top_p=True, penalties=True, efforts=tuple(e.value for e in Effort)
    )
    once = openai_chat.parse_request(asked)
    rendered = openai_chat.render_request(once, profile)
    again = openai_chat.parse_request({**rendered.body, "model": "m"})

    assert set(rendered.dropped) <= {"invented"}
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


def test_a_model_that_does_not_think_is_not_told_to():
    rendered = openai_chat.render_request(
        Conversation("m", messages=(Message(Role.USER, (Text("x"),)),), reasoning=Reasoning(budget=9000)),
        profile_for("gpt-4o"),
    )

    assert "reasoning_effort" not in rendered.body
    assert rendered.dropped == ("reasoning_effort",)


@pytest.mark.parametrize(("budget", "word"), [(1024, "minimal"), (4000, "low"), (9000, "medium"), (31999, "high")])
def test_a_budget_becomes_a_word(budget, word):
    asked = Conversation("m", messages=(Message(Role.USER, (Text("x"),)),), reasoning=Reasoning(budget=budget))

    assert openai_chat.render_request(asked, profile_for("gpt-5")).body["reasoning_effort"] == word


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
        {"role": "tool", "tool_call_id": "a", "content": "look\nimage (shown below)"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "text", "text": "so?"},
            ],
        },
    ]
    assert rendered.dropped == ("is_error",)


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
        ({"n": 2}, "gpt-4o"),
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

    assert refused.value.fault.kind is FaultKind.INVALID_REQUEST


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

    assert refused.value.fault.param == param


def test_a_request_is_understood_whole():
    tools = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
    asked = openai_chat.parse_request(
        {
            **_user([{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]),
            "tools": [*tools, {"type": "custom", "custom": {"name": "c"}}],
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
    assert asked.tools == (ToolSpec("g"), Opaque("openai-chat", {"type": "custom", "custom": {"name": "c"}}))
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


# The lane


def test_a_clients_own_body_passes_but_for_what_azure_refuses():
    asked = {
        "model": "my-gpt",
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
            {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": []},
        ],
        "n": 2,
        "max_tokens": 5,
        "temperature": 0.1,
        "tools": [],
        "tool_choice": "auto",
        "stream": True,
        "stream_options": {"include_usage": False},
        "enable_thinking": True,
        "logit_bias": {},
    }
    before = json.dumps(asked)
    rendered = openai_chat.forward_request(asked, profile_for("gpt-5"))

    assert rendered.body == {
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "content": "", "tool_calls": []},
        ],
        "n": 2,
        "max_completion_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert rendered.dropped == ("cache_control", "enable_thinking", "reasoning_content", "temperature")
    assert before == json.dumps(asked)


def test_other_vendors_are_told_their_name():
    rendered = openai_chat.forward_request({**_user("x"), "search_mode": "web", "user": "u"}, profile_for("sonar"))

    assert rendered.body["model"] == "sonar"
    assert rendered.body["search_mode"] == "web"
    assert rendered.dropped == ("user",)


def test_a_whole_answer_passes_under_the_public_name():
    answer = body(BACKEND, "words")

    assert openai_chat.forward_response(answer, _envelope()) == {**answer, "model": "my-gpt"}


def test_a_frame_keeps_every_byte_but_the_models_name():
    data = '{"choices": [{"delta":{"content":"\\"model\\":\\"x\\" \\u2028 1.0"}}],"id":"1","model" : "gpt-4o-2024"}'
    passed = openai_chat.forward_frame(Frame(data), _envelope())

    assert passed == Frame(data.replace('"gpt-4o-2024"', '"my-gpt"')).encode()


def test_a_second_model_in_a_frame_is_left_alone():
    data = '{"choices":[{"delta":{}}],"model":"a","moderation":{"model":"b"}}'
    passed = openai_chat.forward_frame(Frame(data), _envelope())

    assert json.loads(passed[6:]) == {**json.loads(data), "model": "my-gpt"}


def test_usage_comes_only_to_those_who_asked():
    with_usage, without = (
        _frames(_passed(wire(BACKEND, "words"), _envelope(stream_usage=asked))) for asked in (True, False)
    )

    assert with_usage[-1]["usage"]["total_tokens"] == 21
    assert without == with_usage[:-1]
    assert all(frame["choices"] for frame in without)


def test_a_stream_starts_once():
    events = read(openai_chat.reader("tok", ""), [wire(BACKEND, "words")])

    assert [event for event in events if isinstance(event, Started)] == [events[0]]
    assert events[0] == Started("chatcmpl-1", "gpt-5-2025-08-07", Usage())


# Edges


def test_what_only_openai_knows_goes_back_to_openai_and_is_named_to_others():
    custom_call = {"id": "c1", "type": "custom", "custom": {"name": "c", "input": "x"}}
    part = {"type": "file", "file": {"file_id": "file_1"}}
    asked = {
        "model": "m",
        "messages": [
            {"role": "user", "name": "bob", "content": [{"type": "text", "text": "x"}, part]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "tool_calls": [custom_call]},
        ],
        "tools": [{"type": "custom", "custom": {"name": "c"}}],
        "tool_choice": {"type": "custom", "custom": {"name": "c"}},
        "functions": [],
    }
    native = _asked(asked)
    check_chat_request({**native.body, "messages": native.body["messages"][:1]})

    assert native.body["messages"] == [
        asked["messages"][0],
        {"role": "assistant", "content": None, "refusal": "no", "tool_calls": [custom_call]},
    ]
    assert native.body["tool_choice"] == asked["tool_choice"]
    assert native.dropped == ()
    other = _asked(asked, "mistralai--mistral-small")
    assert other.body["messages"][1] == {"role": "assistant", "content": "no"}
    assert other.dropped == ("custom", "file")


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


@pytest.mark.parametrize("url", ["https://x.y/z.png", "data:text/plain,a%20b", "data:image/png;base64,AAAA"])
def test_addresses_and_data_are_told_apart(url):
    (part,) = openai_chat.parse_request(_user([{"type": "image_url", "image_url": url}])).messages[0].parts

    assert bool(part.url) != bool(part.data)
    rendered = openai_chat.render_request(
        openai_chat.parse_request(_user([{"type": "image_url", "image_url": {"url": url}}])), profile_for("gpt-4o")
    )
    said = rendered.body["messages"][0]["content"][0]["image_url"]["url"]
    assert said == url.replace(",a%20b", ";base64,YSBi")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:nonsense"}},
        {"type": "image_url"},
        {"type": "input_audio"},
        {"text": "x"},
    ],
)
def test_a_part_that_says_nothing_is_refused(part):
    with pytest.raises(FaultError):
        openai_chat.parse_request(_user([part]))


def test_a_document_that_lies_elsewhere_cannot_be_shown():
    asked = Conversation("m", messages=(Message(Role.USER, (Media(MediaKind.DOCUMENT, "", url="https://x.y"),)),))

    with pytest.raises(FaultError):
        openai_chat.render_request(asked, profile_for("gpt-4o"))


def test_words_of_other_dialects_are_named():
    foreign = Opaque("anthropic-messages", {"type": "server_tool_use"})
    asked = Conversation(
        "m",
        "anthropic-messages",
        system=(Text("a", CacheMark()), Text("b")),
        messages=(
            Message(Role.USER, (Text("x"), foreign)),
            Message(Role.ASSISTANT, (foreign, Media(MediaKind.IMAGE, "image/png", "AA"), Thinking("t", "s"))),
            Message(Role.ASSISTANT, (ToolCall("a", "f"),)),
            Message(Role.USER, (ToolResult("a", (foreign,)),)),
        ),
        tools=(ToolSpec("f", cache=CacheMark()), Opaque("gemini", {"type": "googleSearch"})),
        sampling=Sampling(top_k=5),
        extra={"context_management": {"edits": []}},
    )
    rendered = openai_chat.render_request(asked, profile_for("gpt-4o"))
    check_chat_request(rendered.body)

    assert rendered.body["messages"][0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert rendered.dropped == (
        "assistant image",
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


def test_an_image_in_an_instruction_is_named():
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

    assert rendered.body["messages"][0] == {"role": "system", "content": "x", "name": "boss"}
    assert rendered.dropped == ("system image",)


def test_a_refusal_and_thoughts_survive_a_translation():
    said = (Thinking("hm", "sig", family=Family.CLAUDE), Text("a"), Refusal("no"), Text("b"))
    completion = Completion(parts=said, stop=Stop(StopReason.FILTERED))
    choice = openai_chat.render_response(completion, _envelope())["choices"][0]

    assert choice["message"] == {
        "role": "assistant",
        "content": "ab",
        "refusal": "no",
        "reasoning_content": "hm",
    }
    assert choice["finish_reason"] == "content_filter"


def test_frames_that_make_no_sense_after_the_end_are_swallowed():
    assert openai_chat.forward_frame(Frame('{"choices":[]'), _envelope()) == b""
    assert (
        openai_chat.forward_frame(Frame('{"choices":[],"id":"1","model":"a","usage":null}'), _envelope())
        == Frame('{"choices":[],"id":"1","model":"my-gpt","usage":null}').encode()
    )
