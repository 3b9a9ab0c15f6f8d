"""OpenAI chat completions: what is answered, and what passes between two ends of one dialect."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import openai_chat
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    Completion,
    Conversation,
    Family,
    Media,
    MediaKind,
    Refusal,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    Usage,
)
from dialects.core.events import Failed, Started, checked, fold, unfold
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.core.relay import PassthroughRelay
from dialects.framing.sse import Frame, SSEDecoder
from dialects.interface import Envelope
from tests.dialects.golden import body, matches, read, scenes, wire
from tests.oracles.sdks import sdk

BACKEND = "openai_chat"
WHOLE = [scene for scene in scenes(BACKEND) if body(BACKEND, scene) is not None]


def _envelope(**asked) -> Envelope:
    return Envelope("tok", "my-gpt", 1_780_000_000, Conversation("my-gpt", "openai-chat", **asked))


def _user(content):
    return {"model": "m", "messages": [{"role": "user", "content": content}]}


def _passed(data: bytes, envelope: Envelope) -> bytes:
    relay = PassthroughRelay(
        openai_chat.reader("tok", "text/event-stream"),
        SSEDecoder(),
        lambda frame, usage: openai_chat.passthrough_frame(frame, envelope, usage),
        lambda fault, answer: openai_chat.passthrough_fault(fault, answer, envelope),
    )
    return relay.feed(data) + relay.finish()


def _frames(data: bytes) -> list:
    frames = SSEDecoder().feed(data)
    return [json.loads(frame.data) for frame in frames if frame.data != "[DONE]"]


@pytest.mark.parametrize("scene", scenes(BACKEND))
@pytest.mark.parametrize("asked", [True, False])
def test_what_clients_get_is_what_was_reviewed(scene, asked):
    envelope = _envelope(stream=True, stream_usage=asked)
    written = openai_chat.writer(envelope).write(read(openai_chat.reader("tok", ""), [wire(BACKEND, scene)]))

    matches(BACKEND, scene, f"chat_{'with' if asked else 'without'}_usage", written)
    passed = _passed(wire(BACKEND, scene), envelope)
    matches(BACKEND, scene, f"passthrough_{'with' if asked else 'without'}_usage", passed)


@pytest.mark.parametrize("scene", WHOLE)
def test_openais_own_types_take_every_chunk_and_answer(scene):
    completion = openai_chat.parse_response(body(BACKEND, scene), "tok")
    envelope = _envelope(stream_usage=True)
    frames = _frames(openai_chat.writer(envelope).write(unfold(completion)))
    for frame in frames:
        sdk("openai.types.chat").ChatCompletionChunk.model_validate(frame, strict=True)
    sdk("openai.types.chat").ChatCompletion.model_validate(
        openai_chat.render_response(completion, envelope), strict=True
    )

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
@settings(max_examples=50)
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

    assert StopReason.END is fold(read(openai_chat.reader("tok", ""), [data])).stop.reason


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
    rendered = openai_chat.passthrough_request(asked, profile_for("gpt-5"))

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
    rendered = openai_chat.passthrough_request({**_user("x"), "search_mode": "web", "user": "u"}, profile_for("sonar"))

    assert rendered.body["model"] == "sonar"
    assert rendered.body["search_mode"] == "web"
    assert rendered.dropped == ("user",)


def test_a_whole_answer_passes_under_the_public_name():
    answer = body(BACKEND, "words")

    assert openai_chat.passthrough_response(answer, _envelope()) == {**answer, "model": "my-gpt"}


def test_a_frame_keeps_every_byte_but_the_models_name():
    data = '{"choices": [{"delta":{"content":"\\"model\\":\\"x\\" \\u2028 1.0"}}],"id":"1","model" : "gpt-4o-2024"}'
    passed = openai_chat.passthrough_frame(Frame(data), _envelope())

    assert passed == Frame(data.replace('"gpt-4o-2024"', '"my-gpt"')).encode()


def test_a_second_model_in_a_frame_is_left_alone():
    data = '{"choices":[{"delta":{}}],"model":"a","moderation":{"model":"b"}}'
    passed = openai_chat.passthrough_frame(Frame(data), _envelope())

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
    assert openai_chat.passthrough_frame(Frame('{"choices":[]'), _envelope()) == b""
    assert (
        openai_chat.passthrough_frame(Frame('{"choices":[],"id":"1","model":"a","usage":null}'), _envelope())
        == Frame('{"choices":[],"id":"1","model":"my-gpt","usage":null}').encode()
    )
