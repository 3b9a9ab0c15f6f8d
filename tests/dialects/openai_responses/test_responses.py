"""OpenAI Responses: what is answered, and what passes between two ends of one dialect."""

import json
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dialects import openai_responses
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    Completion,
    Family,
    Media,
    MediaKind,
    Opaque,
    Refusal,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from dialects.core.events import Failed, Started, checked, fold, unfold
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.core.relay import PassthroughRelay
from dialects.framing.sse import Frame, SSEDecoder
from dialects.interface import Envelope
from tests.dialects.golden import body, matches, read, scenes, wire
from tests.dialects.openai_requests import CODEX, GROUP, PNG
from tests.oracles.sdks import sdk

BACKEND = "openai_responses"
WHOLE = [scene for scene in scenes(BACKEND) if body(BACKEND, scene) is not None]


def _envelope(asked=None) -> Envelope:
    asked = asked or {"model": "my-gpt", "input": "hi", "tools": [GROUP]}
    return Envelope("tok", "my-gpt", 1_780_000_000, openai_responses.parse_request(asked))


def _passed(data: bytes, envelope: Envelope) -> bytes:
    relay = PassthroughRelay(
        openai_responses.reader("tok", "text/event-stream"),
        SSEDecoder(),
        lambda frame, usage: openai_responses.passthrough_frame(frame, envelope, usage),
        lambda fault, answer: openai_responses.passthrough_fault(fault, answer, envelope),
    )
    return relay.feed(data) + relay.finish()


@cache
def _types_of_events() -> TypeAdapter:
    return TypeAdapter(sdk("openai.types.responses").ResponseStreamEvent)


def _frames(data: bytes) -> list[Frame]:
    return SSEDecoder().feed(data)


def _reader():
    return openai_responses.reader("tok", "")


@pytest.mark.parametrize("scene", WHOLE)
def test_finished_items_say_what_no_delta_said(scene):
    frames = [frame for frame in _frames(wire(BACKEND, scene)) if ".delta" not in frame.data]
    streamed = fold(read(_reader(), [frame.encode() for frame in frames if "item.added" not in frame.data]))

    assert openai_responses.parse_response(body(BACKEND, scene), "tok") == streamed


@pytest.mark.parametrize("scene", scenes(BACKEND))
def test_what_clients_get_is_what_was_reviewed(scene):
    written = openai_responses.writer(_envelope()).write(read(_reader(), [wire(BACKEND, scene)]))

    matches(BACKEND, scene, "responses", written)
    matches(BACKEND, scene, "passthrough", _passed(wire(BACKEND, scene), _envelope()))


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
@settings(max_examples=50)
def test_what_the_writer_writes_the_reader_reads_and_openais_types_take(said, reason):
    calls = any(isinstance(part, ToolCall) for part in said)
    reason = StopReason.TOOL_USE if calls and reason is StopReason.END else reason
    completion = Completion("resp_tok", "my-gpt", tuple(said), Stop(reason), Usage(3, 4, 0, 7, 2))
    data = openai_responses.writer(_envelope()).write(checked(unfold(completion)))
    again = fold(read(_reader(), [data]))

    assert completion == replace(again, stop=Stop(again.stop.reason))
    for number, frame in enumerate(_frames(data)):
        event = json.loads(frame.data)
        _types_of_events().validate_python(event)
        assert event["sequence_number"] == number
        assert event["type"] == frame.event
    whole = openai_responses.render_response(completion, _envelope())
    sdk("openai.types.responses").Response.model_validate(whole)
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
    passed = openai_responses.passthrough_request(
        {"input": [item, {"role": "user", "content": "x"}]}, profile_for("gpt-5")
    )
    own = thought.family is Family.OPENAI

    assert (thought,) == again.messages[1].parts
    assert ("gAAAA" in json.dumps(rendered.body)) == own
    assert rendered.dropped == (() if own else ("thinking",))
    assert len(passed.body["input"]) == (2 if own else 1)


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
    assert FaultKind.RATE_LIMITED is events[-1].fault.kind
    for data, name in (
        (openai_responses.writer(_envelope()).write(events), "resp_tok"),
        (_passed(wire(BACKEND, "throttled"), _envelope()), "resp_1"),
    ):
        failures = [json.loads(frame.data) for frame in _frames(data) if frame.event == "response.failed"]
        assert [failure["response"]["id"] for failure in failures] == [name]
        assert failures[0]["response"]["error"]["code"] == "rate_limit_exceeded"
        _types_of_events().validate_python(failures[0])


def test_a_failure_with_a_reason_needs_no_other_frame():
    failed = {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "oh"}}}
    events = read(_reader(), [Frame(json.dumps(failed)).encode()])

    assert FaultKind.SERVER_ERROR is events[-1].fault.kind


@pytest.mark.parametrize("answer", [{"status": "failed"}, {"error": {"code": "429", "message": "slow"}}])
def test_a_failed_answer_is_a_fault(answer):
    with pytest.raises(FaultError):
        openai_responses.parse_response(answer, "tok")


def test_an_answer_without_output_makes_no_sense():
    with pytest.raises((LookupError, TypeError)):
        openai_responses.parse_response({"output": None}, "tok")


def test_a_body_of_codex_passes_but_for_what_ai_core_refuses():
    before = json.dumps(CODEX)
    rendered = openai_responses.passthrough_request(CODEX, profile_for("gpt-5.3-codex"))
    namespace_call = {**CODEX["input"][3], "name": "tools__get_weather"}
    del namespace_call["namespace"]
    said = [{name: value for name, value in item.items() if name != "id"} for item in CODEX["input"][:2]]

    assert rendered.body["input"] == [*said, CODEX["input"][2], namespace_call, CODEX["input"][4]]
    assert rendered.body["tools"] == [CODEX["tools"][0], {**GROUP["tools"][0], "name": "tools__get_weather"}]
    assert rendered.body["model"] == "gpt-5.3-codex"
    assert rendered.body["include"] == ["reasoning.encrypted_content"]
    assert rendered.dropped == ("client_metadata", "tool web_search")
    assert before == json.dumps(CODEX)


def test_passthrough_takes_off_what_openai_has_no_field_for():
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    answer = {"type": "message", "id": "msg_2", "role": "assistant", "status": "completed", "content": []}
    asked = {"input": [{**said, "id": "msg_1"}, {**thought, "content": None}, answer]}

    rendered = openai_responses.passthrough_request(asked, profile_for("gpt-5"))

    assert rendered.body["input"] == [said, thought, answer]
    assert rendered.dropped == ()


def test_a_choice_without_tools_is_no_choice():
    asked = {"input": "x", "tools": [{"type": "web_search"}], "tool_choice": "auto", "include": ["x.y"]}
    rendered = openai_responses.passthrough_request(asked, profile_for("gpt-4o"))

    assert rendered.body == {"input": "x", "model": "gpt-4o"}
    assert rendered.dropped == ("tool web_search", "x.y")


@pytest.mark.parametrize("choice", [{"type": "web_search"}, "required"])
def test_a_tool_that_is_left_out_cannot_be_insisted_on(choice):
    asked = {"input": "x", "tools": [{"type": "web_search"}], "tool_choice": choice}
    with pytest.raises(FaultError, match="web_search") as refused:
        openai_responses.passthrough_request(asked, profile_for("gpt-4o"))

    assert refused.value.fault.param == "tool_choice"


def test_names_that_are_none_name_no_function():
    odd = {**GROUP, "tools": [{"type": "function", "name": {}}, *GROUP["tools"]]}
    rendered = openai_responses.passthrough_request({"input": "x", "tools": [odd]}, profile_for("gpt-4o"))
    frame = Frame('{"type":"response.output_item.added","item":{"type":"function_call","name":{}}}')

    assert [tool["name"] for tool in rendered.body["tools"]] == ["tools__get_weather"]
    assert rendered.dropped == ("tool function",)
    assert b'"name":{}' in openai_responses.passthrough_frame(frame, _envelope())


def test_a_whole_answer_passes_under_the_public_names():
    answer = body(BACKEND, "calls")
    passed = openai_responses.passthrough_response(answer, _envelope())

    assert passed["model"] == "my-gpt"
    assert (passed["output"][1]["namespace"], passed["output"][1]["name"]) == ("tools", "get_weather")
    assert passed["output"][2] == answer["output"][2]


def test_a_frame_keeps_every_byte_and_gains_its_name():
    data = '{"type":"response.output_text.delta","delta":"\\"type\\":\\"response.failed\\" 1.0","obfuscation":"q"}'

    assert (
        openai_responses.passthrough_frame(Frame(data), _envelope())
        == Frame(data, "response.output_text.delta").encode()
    )


def test_images_by_url_and_data_are_understood():
    asked = {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": PNG, "detail": "low"}]}]}

    assert openai_responses.parse_request(asked).messages[0].parts == (
        Media(MediaKind.IMAGE, "image/png", "iVBORw0KGgo=", detail="low"),
    )


def test_a_failure_is_said_in_few_codes():
    failed = openai_responses.writer(_envelope()).write([Failed(Fault(FaultKind.GONE, "gone"))])

    assert json.loads(_frames(failed)[-1].data)["response"]["error"] == {"code": "server_error", "message": "gone"}


def test_a_response_that_fails_is_created_once_whenever_it_fails():
    fault = Failed(Fault(FaultKind.GONE, "gone"))
    begun = ["response.created", "response.in_progress"]
    whole, writer = openai_responses.writer(_envelope()).write([fault]), openai_responses.writer(_envelope())

    assert [frame.event for frame in _frames(whole)] == [*begun, "response.failed"]
    assert begun == [frame.event for frame in _frames(writer.write([Started()]))]
    assert [frame.event for frame in _frames(writer.write([fault]))] == ["response.failed"]
