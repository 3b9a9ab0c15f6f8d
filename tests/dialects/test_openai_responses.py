"""OpenAI Responses, on both sides."""

import contextlib
import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from dialects import openai_responses
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
    ToolResult,
    ToolSpec,
    Usage,
)
from dialects.dialect import Envelope
from dialects.events import Failed, checked, fold, unfold
from dialects.faults import Fault, FaultError, FaultKind
from dialects.models import profile_for
from dialects.relay import Passthrough
from dialects.sse import Frame, SSEDecoder
from tests.dialects.golden import body, byte_by_byte, cut, junk, matches, noise, places, read, scenes, wire
from tests.dialects.openai_requests import PNG, mangled, responses_bodies
from tests.oracles.openai import check_responses_request

BACKEND = "openai_responses"
WORDS = [
    *(
        "model",
        "input",
        "role",
        "user",
        "assistant",
        "type",
        "text",
        "input_text",
        "input_image",
        "image_url",
        "output",
    ),
    *("function_call", "function_call_output", "call_id", "name", "arguments", "id", "tools", "namespace", "reasoning"),
    *("summary", "encrypted_content", "item_reference", "message", "content", "instructions", "format", "include"),
    *("response.created", "response.output_text.delta", "response.output_item.done", "response.completed", "item"),
    *("response", "delta", "output_index", "content_index", "response.failed", "error", "code", "status", "usage"),
]
WHOLE = [scene for scene in scenes(BACKEND) if body(BACKEND, scene) is not None]
EVENTS = TypeAdapter(ResponseStreamEvent)
GROUP = {
    "type": "namespace",
    "name": "tools",
    "description": "d",
    "tools": [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}],
}
CODEX = {
    "model": "my-gpt",
    "instructions": "Be brief.",
    "input": [
        {"type": "message", "id": "m1", "role": "developer", "content": [{"type": "input_text", "text": "sandboxed"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {
            "type": "function_call",
            "id": "fc_1",
            "status": "completed",
            "call_id": "call_a",
            "name": "get_weather",
            "namespace": "tools",
            "arguments": "{}",
        },
        {"type": "function_call_output", "call_id": "call_a", "output": "22C"},
    ],
    "tools": [{"type": "function", "name": "now", "parameters": None, "strict": None}, GROUP, {"type": "web_search"}],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
    "stream": True,
    "prompt_cache_key": "k",
    "client_metadata": {"x": "y"},
}


def _envelope(asked=None) -> Envelope:
    asked = asked or {"model": "my-gpt", "input": "hi", "tools": [GROUP]}
    return Envelope("tok", "my-gpt", 1_780_000_000, openai_responses.parse_request(asked))


def _passed(data: bytes, envelope: Envelope) -> bytes:
    relay = Passthrough(
        openai_responses.reader("tok", "text/event-stream"),
        SSEDecoder(),
        lambda frame: openai_responses.forward_frame(frame, envelope),
        lambda fault, answer: openai_responses.forward_fault(fault, answer, envelope),
    )
    return relay.feed(data) + relay.finish()


def _frames(data: bytes) -> list[Frame]:
    return SSEDecoder().feed(data)


def _reader():
    return openai_responses.reader("tok", "")


# Answers


@pytest.mark.parametrize("scene", WHOLE)
def test_a_stream_says_what_the_whole_answer_says(scene):
    assert openai_responses.parse_response(body(BACKEND, scene), "tok") == fold(read(_reader(), [wire(BACKEND, scene)]))


@pytest.mark.parametrize("scene", WHOLE)
def test_finished_items_say_what_no_delta_said(scene):
    frames = [frame for frame in _frames(wire(BACKEND, scene)) if ".delta" not in frame.data]
    streamed = fold(read(_reader(), [frame.encode() for frame in frames if "item.added" not in frame.data]))

    assert openai_responses.parse_response(body(BACKEND, scene), "tok") == streamed


@pytest.mark.parametrize("scene", scenes(BACKEND))
def test_the_events_do_not_depend_on_where_the_network_cut(scene):
    data = wire(BACKEND, scene)

    assert read(_reader(), [data]) == read(_reader(), byte_by_byte(data))


@given(st.sampled_from(scenes(BACKEND)), places)
@settings(max_examples=25, deadline=None)
def test_the_events_do_not_depend_on_any_cuts(scene, where):
    data = wire(BACKEND, scene)

    assert read(_reader(), [data]) == read(_reader(), cut(data, where))


@given(noise(WORDS))
@settings(max_examples=80, deadline=None)
def test_no_bytes_make_a_reader_raise_or_speak_ungrammatically(chunks):
    read(_reader(), chunks)


@given(noise(WORDS))
@settings(max_examples=40, deadline=None)
def test_no_bytes_make_the_lane_raise(chunks):
    _passed(b"".join(chunks), _envelope())


@pytest.mark.parametrize("scene", scenes(BACKEND))
def test_what_clients_get_is_what_was_reviewed(scene):
    written = openai_responses.writer(_envelope()).write(read(_reader(), [wire(BACKEND, scene)]))

    matches(BACKEND, scene, "responses", written)
    matches(BACKEND, scene, "lane", _passed(wire(BACKEND, scene), _envelope()))


parts = st.lists(
    st.one_of(
        st.text(min_size=1, max_size=8).map(Text),
        st.text(min_size=1, max_size=8).map(Refusal),
        st.builds(
            Thinking,
            st.text(min_size=1, max_size=8),
            st.sampled_from(["", "gAAAA"]),
            family=st.just(Family.OPENAI),
        ),
        st.builds(ToolCall, st.uuids().map(str), st.just("f"), st.sampled_from(['{"a":1}', "{}"])),
    ),
    max_size=5,
)


@given(parts, st.sampled_from([StopReason.END, StopReason.LENGTH, StopReason.FILTERED]))
@settings(max_examples=50, deadline=None)
def test_what_the_writer_writes_the_reader_reads_and_openais_types_take(said, reason):
    calls = any(isinstance(part, ToolCall) for part in said)
    reason = StopReason.TOOL_USE if calls and reason is StopReason.END else reason
    completion = Completion("resp_tok", "my-gpt", tuple(said), Stop(reason), Usage(3, 4, 0, 7, 2))
    data = openai_responses.writer(_envelope()).write(checked(unfold(completion)))
    again = fold(read(_reader(), [data]))

    assert completion == replace(again, stop=Stop(again.stop.reason))
    for number, frame in enumerate(_frames(data)):
        event = json.loads(frame.data)
        EVENTS.validate_python(event)
        assert event["sequence_number"] == number
        assert event["type"] == frame.event
    whole = openai_responses.render_response(completion, _envelope())
    Response.model_validate(whole)
    assert json.loads(_frames(data)[-1].data)["response"] == whole


def test_every_item_is_announced_filled_and_finished():
    said = (Thinking("hm"), Text("hi"), ToolCall("a", "f"))
    data = openai_responses.writer(_envelope()).write(unfold(Completion(parts=said)))

    assert [frame.event.removeprefix("response.") for frame in _frames(data)] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert json.loads(_frames(data)[-1].data)["response"]["output"][2]["arguments"] == "{}"


@pytest.mark.parametrize(
    "thought",
    [
        Thinking("hm", "EqoB", family=Family.CLAUDE),
        Thinking("", "CiQB", family=Family.GEMINI),
        Thinking("", redacted="opaque", family=Family.CLAUDE),
        Thinking("hm", "gAAAA", family=Family.OPENAI),
    ],
)
def test_thoughts_of_any_family_come_home_and_go_nowhere_else(thought):
    item = openai_responses.render_response(Completion(parts=(thought,)), _envelope())["output"][0]
    again = openai_responses.parse_request({"input": [{"role": "user", "content": "x"}, item]})
    rendered = openai_responses.render_request(again, profile_for("gpt-5"))
    forwarded = openai_responses.forward_request(
        {"input": [item, {"role": "user", "content": "x"}]}, profile_for("gpt-5")
    )
    own = thought.family is Family.OPENAI

    assert again.messages[1].parts == (thought,)
    assert ("gAAAA" in json.dumps(rendered.body)) == own
    assert rendered.dropped == (() if own else ("thinking",))
    assert len(forwarded.body["input"]) == (2 if own else 1)


def test_an_image_the_model_made_is_an_item():
    said = Completion(parts=(Media(MediaKind.IMAGE, "image/png", "AAAA"), Opaque("gemini", {})))
    written = _frames(openai_responses.writer(_envelope()).write(unfold(said)))
    output = json.loads(written[-1].data)["response"]["output"]

    assert output == [{"id": "ig_tok_0", "type": "image_generation_call", "status": "completed", "result": "AAAA"}]
    assert output == openai_responses.render_response(said, _envelope())["output"]


def test_each_token_is_counted_once():
    usage = openai_responses.parse_response(body(BACKEND, "words"), "tok").usage

    assert usage == Usage(fresh_input=10, cache_read=4, output=7, reasoning=3)


def test_a_failed_stream_keeps_its_id_and_says_why():
    events = read(_reader(), [wire(BACKEND, "throttled")])

    assert isinstance(events[-1], Failed)
    assert events[-1].fault.kind is FaultKind.RATE_LIMITED
    for data, name in (
        (openai_responses.writer(_envelope()).write(events), "resp_tok"),
        (_passed(wire(BACKEND, "throttled"), _envelope()), "resp_1"),
    ):
        failures = [json.loads(frame.data) for frame in _frames(data) if frame.event == "response.failed"]
        assert [failure["response"]["id"] for failure in failures] == [name]
        assert failures[0]["response"]["error"]["code"] == "rate_limit_exceeded"
        EVENTS.validate_python(failures[0])


def test_a_failure_with_a_reason_needs_no_other_frame():
    failed = {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "oh"}}}
    events = read(_reader(), [Frame(json.dumps(failed)).encode()])

    assert events[-1].fault.kind is FaultKind.SERVER_ERROR


@pytest.mark.parametrize("answer", [{"status": "failed"}, {"error": {"code": "429", "message": "slow"}}])
def test_a_failed_answer_is_a_fault(answer):
    with pytest.raises(FaultError):
        openai_responses.parse_response(answer, "tok")


def test_an_answer_without_output_makes_no_sense():
    with pytest.raises((LookupError, TypeError)):
        openai_responses.parse_response({"output": None}, "tok")


# Requests


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
    assert rendered.dropped == ("client_metadata", "tool namespace", "tool web_search")


def test_a_call_of_a_function_in_a_namespace_goes_back_under_both_names():
    envelope = _envelope(CODEX)
    completion = Completion(parts=(ToolCall("a", "tools__get_weather", "{}"),))
    item = openai_responses.render_response(completion, envelope)["output"][0]
    written = openai_responses.writer(envelope).write(unfold(completion))

    assert (item["namespace"], item["name"]) == ("tools", "get_weather")
    assert b"tools__get_weather" not in written
    assert openai_responses.render_response(completion, envelope)["tools"][1:] == [GROUP, {"type": "web_search"}]


def test_long_names_in_namespaces_stay_apart():
    group = {"type": "namespace", "name": "n" * 60, "tools": [{"name": "first"}, {"name": "second"}]}
    names = [tool.name for tool in openai_responses.parse_request({"input": "x", "tools": [group]}).tools[1:]]

    assert len(set(names)) == 2
    assert all(len(name) <= 64 for name in names)


@given(responses_bodies, st.sampled_from(["gpt-4o", "gpt-5", "gpt-5.3-codex"]))
@settings(max_examples=60, deadline=None)
def test_openais_own_types_take_every_request(asked, model):
    check_responses_request(
        openai_responses.render_request(openai_responses.parse_request(asked), profile_for(model)).body
    )


@given(responses_bodies)
@settings(max_examples=50, deadline=None)
def test_nothing_but_what_is_named_is_lost(asked):
    profile = replace(profile_for("gpt-5"), temperature=True, efforts=tuple(effort.value for effort in Effort))
    once = openai_responses.parse_request(asked)
    rendered = openai_responses.render_request(once, profile)
    again = openai_responses.parse_request({**rendered.body, "model": "m"})

    allowed = {
        "store",
        "client_metadata",
        "tool namespace",
        "tool web_search",
        "thinking",
        "tool_choice",
        "max_tokens below 16",
    }
    assert set(rendered.dropped) <= allowed
    assert [tool.name for tool in again.tools] == [tool.name for tool in once.tools if isinstance(tool, ToolSpec)]
    assert (again.output, again.stream, again.cache_key) == (once.output, once.stream, once.cache_key)
    assert again.tool_choice == once.tool_choice
    assert "".join(text.text for text in again.system) == "\n\n".join(text.text for text in once.system)


def test_nearly_right_bodies_are_understood_or_refused():
    rng = random.Random(7)
    words = [*WORDS, "tool_choice", "file_url", "file_data", "allowed_tools", "mode"]
    for _ in range(1500):
        asked = mangled(rng, words, "input")
        for model in ("gpt-4o", "sonar"):
            with contextlib.suppress(FaultError):
                openai_responses.render_request(openai_responses.parse_request(asked), profile_for(model))
            with contextlib.suppress(FaultError):
                openai_responses.forward_request(asked, profile_for(model))


@given(
    junk(WORDS)
    | st.fixed_dictionaries(
        {"input": st.lists(st.dictionaries(st.sampled_from(WORDS), junk(WORDS), max_size=4), max_size=2)}
    )
)
@settings(max_examples=40, deadline=None)
def test_any_json_is_understood_or_refused(value):
    if isinstance(value, dict):
        with contextlib.suppress(FaultError):
            openai_responses.render_request(openai_responses.parse_request(value), profile_for("gpt-4o"))
        with contextlib.suppress(FaultError):
            openai_responses.forward_request(value, profile_for("gpt-5"))


@pytest.mark.parametrize(
    "change",
    [
        {"previous_response_id": "resp_0"},
        {"conversation": "conv_1"},
        {"background": True},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"id": "msg_1"}]},
    ],
)
def test_what_only_openais_server_holds_is_refused_in_translation(change):
    asked = openai_responses.parse_request({"model": "m", "input": "x", **change})

    with pytest.raises(FaultError) as refused:
        openai_responses.check_translatable(asked)
    assert refused.value.fault.kind is FaultKind.INVALID_REQUEST


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

    assert refused.value.fault.param == param


# The lane


def test_a_body_of_codex_passes_but_for_what_ai_core_refuses():
    before = json.dumps(CODEX)
    rendered = openai_responses.forward_request(CODEX, profile_for("gpt-5.3-codex"))
    namespace_call = {**CODEX["input"][3], "name": "tools__get_weather"}
    del namespace_call["namespace"]

    assert rendered.body["input"] == [*CODEX["input"][:3], namespace_call, CODEX["input"][4]]
    assert rendered.body["tools"] == [CODEX["tools"][0], {**GROUP["tools"][0], "name": "tools__get_weather"}]
    assert rendered.body["model"] == "gpt-5.3-codex"
    assert rendered.body["include"] == ["reasoning.encrypted_content"]
    assert rendered.dropped == ("client_metadata", "tool namespace", "tool web_search")
    assert before == json.dumps(CODEX)


def test_a_choice_without_tools_is_no_choice():
    asked = {"input": "x", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}, "include": ["x.y"]}
    rendered = openai_responses.forward_request(asked, profile_for("gpt-4o"))

    assert rendered.body == {"input": "x", "model": "gpt-4o"}
    assert rendered.dropped == ("tool web_search", "tool_choice", "x.y")


def test_a_whole_answer_passes_under_the_public_names():
    answer = body(BACKEND, "calls")
    passed = openai_responses.forward_response(answer, _envelope())

    assert passed["model"] == "my-gpt"
    assert (passed["output"][1]["namespace"], passed["output"][1]["name"]) == ("tools", "get_weather")
    assert passed["output"][2] == answer["output"][2]


def test_a_frame_keeps_every_byte_and_gains_its_name():
    data = '{"type":"response.output_text.delta","delta":"\\"type\\":\\"response.failed\\" 1.0","obfuscation":"q"}'

    assert (
        openai_responses.forward_frame(Frame(data), _envelope()) == Frame(data, "response.output_text.delta").encode()
    )


def test_images_by_url_and_data_are_understood():
    asked = {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": PNG, "detail": "low"}]}]}

    assert openai_responses.parse_request(asked).messages[0].parts == (
        Media(MediaKind.IMAGE, "image/png", "iVBORw0KGgo=", detail="low"),
    )


def test_a_failure_is_said_in_few_codes():
    failed = openai_responses.writer(_envelope()).write([Failed(Fault(FaultKind.GONE, "gone"))])

    assert json.loads(_frames(failed)[0].data)["response"]["error"] == {"code": "server_error", "message": "gone"}


# Edges


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
            "include": ["message.output_text.logprobs"],
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
    assert body_["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert body_["metadata"] == {"a": "b"}


def test_words_of_other_dialects_are_named():
    foreign = Opaque("anthropic-messages", {"type": "server_tool_use"})
    asked = Conversation(
        "m",
        "anthropic-messages",
        messages=(
            Message(Role.USER, (Text("x", CacheMark()), foreign, Thinking("t"))),
            Message(Role.ASSISTANT, (foreign, Media(MediaKind.IMAGE, "image/png", "AA"), Thinking("t", "s"))),
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
        "assistant image",
        "cache_control",
        "context_management",
        "is_error",
        "max_tokens below 16",
        "presence_penalty",
        "seed",
        "server_tool_use",
        "stop",
        "thinking",
        "top_k",
    )


def test_the_lane_understands_choices_in_namespaces_and_refuses_nonsense():
    choice = {"type": "function", "namespace": "tools", "name": "get_weather"}
    asked = {"input": "x", "tools": [GROUP], "tool_choice": choice, "max_output_tokens": 99, "reasoning": {}}
    body_ = openai_responses.forward_request(asked, profile_for("gpt-4o")).body

    assert body_["tool_choice"] == {"type": "function", "name": "tools__get_weather"}
    assert body_["max_output_tokens"] == 99
    for wrong in ({"input": 5}, {"tools": 5}, {"max_output_tokens": "x"}, {"include": [[]]}):
        with pytest.raises(FaultError):
            openai_responses.forward_request({"input": "x", **wrong}, profile_for("gpt-5"))


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
