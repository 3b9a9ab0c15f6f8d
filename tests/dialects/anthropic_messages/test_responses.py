"""Anthropic's messages: answers, read and said, whole and in pieces."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dialects import anthropic_messages as messages
from dialects.adapt.token_estimate import estimate_tokens
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
    ToolResult,
    Usage,
)
from dialects.core.events import BlockDelta, BlockStarted, BlockStopped, Failed, Finished, Started, fold, unfold
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.core.relay import PassthroughRelay, TranslatingRelay
from dialects.framing import json_text
from dialects.framing.aws_event_stream import decoder_for
from dialects.framing.sse import Frame
from tests.dialects import golden
from tests.dialects.anthropic_bodies import BACKEND, ENVELOPE, asked, passed_request, tool, user
from tests.dialects.eventstreams import chunk, exception
from tests.oracles.sdks import sdk


def content_type(suffix):
    return {".sse": "text/event-stream; charset=utf-8", ".bin": "application/vnd.amazon.eventstream"}[suffix]


def passed(data, kind="text/event-stream", cuts=()):
    relay = PassthroughRelay(
        messages.reader("tok", kind),
        decoder_for(kind),
        lambda frame, usage: messages.passthrough_frame(frame, ENVELOPE, usage),
        lambda fault, name: messages.passthrough_fault(fault, name, ENVELOPE),
    )
    out = b"".join(relay.feed(piece) for piece in golden.cut(data, list(cuts)))
    return out + relay.finish(), relay.seen


@pytest.mark.parametrize("scene", golden.scenes(BACKEND, ".json"))
def test_anthropics_own_type_takes_every_answer(scene):
    completion = messages.parse_response(golden.body(BACKEND, scene), "tok")

    sdk("anthropic.types").Message.model_validate(messages.render_response(completion, ENVELOPE))


@pytest.mark.parametrize("suffix", [".sse", ".bin"])
@pytest.mark.parametrize("scene", golden.scenes(BACKEND))
def test_a_stream_is_passed_to_anthropic_clients(scene, suffix):
    data = golden.wire(BACKEND, scene, suffix)
    out, seen = passed(data, content_type(suffix), range(0, len(data), 7))

    assert seen.over
    understood_by_anthropic(out)
    if suffix == ".sse":
        golden.matches(BACKEND, scene, "passthrough", out)


@pytest.mark.parametrize("scene", golden.scenes(BACKEND))
def test_a_stream_is_translated_for_anthropic_clients(scene):
    relay = TranslatingRelay(messages.reader("tok", ""), messages.writer(ENVELOPE))
    out = relay.feed(golden.wire(BACKEND, scene)) + relay.finish()

    understood_by_anthropic(out)
    golden.matches(BACKEND, scene, "translated", out)


def understood_by_anthropic(out):
    """Every frame is named, and is one that Anthropic's own SDK knows; one stops the stream."""
    adapter = TypeAdapter(sdk("anthropic.types").RawMessageStreamEvent)
    frames = decoder_for("").feed(out)
    for frame in frames:
        body = json.loads(frame.data)
        assert frame.event == body["type"]
        if body["type"] not in ("ping", "error"):
            adapter.validate_json(frame.data)
    assert frames[-1].event in ("message_stop", "error")


def test_passed_frames_keep_their_bytes():
    plain = '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\"message_start\\" 1.50"}}'
    sorted_keys = '{"index":0,"type":"content_block_stop"}'

    assert (
        messages.passthrough_frame(Frame(plain), ENVELOPE) == f"event: content_block_delta\ndata: {plain}\n\n".encode()
    )
    assert messages.passthrough_frame(Frame(sorted_keys), ENVELOPE).startswith(b"event: content_block_stop\n")


@pytest.mark.parametrize("data", ["[DONE]", '"message_start"', "[1]", '{"a":1}', '{"message_start"'])
def test_a_frame_that_says_nothing_is_swallowed(data):
    assert messages.passthrough_frame(Frame(data), ENVELOPE) == b""


def test_a_whole_answer_is_passed_under_the_name_the_client_used():
    body = golden.body(BACKEND, "tools") | {"amazon-bedrock-trace": {}}
    out = messages.passthrough_response(body, ENVELOPE)

    assert out == golden.body(BACKEND, "tools") | {"model": "my-claude"}


words = st.text(min_size=1, max_size=8)
PARTS = st.lists(
    st.builds(Text, words)
    | st.builds(Refusal, words)
    | st.builds(Thinking, words, words, family=st.sampled_from(Family))
    | st.builds(Thinking, redacted=words, family=st.sampled_from(Family))
    | st.builds(ToolCall, words, words.filter(lambda name: name != "respond_with_json"), st.just('{"a":1}'))
    | st.just(Media(MediaKind.IMAGE, "image/png", data="aWk="))
    | st.just(Opaque("anthropic-messages", {"type": "container_upload", "file_id": "f"}))
    | st.just(Opaque("gemini", {"odd": 1})),
    max_size=5,
)
completions = st.builds(
    Completion,
    st.just("x"),
    st.just("y"),
    PARTS.map(tuple),
    st.builds(Stop, st.sampled_from([StopReason.LENGTH, StopReason.STOP_SEQUENCE, StopReason.PAUSED]), sequence=words),
    st.builds(Usage, *[st.integers(0, 9)] * 5).map(lambda usage: replace(usage, cache_write_1h=usage.cache_write)),
)


@given(completions)
def test_what_is_said_piece_by_piece_is_what_is_said_at_once(completion):
    out = messages.writer(ENVELOPE).write(unfold(completion))
    streamed = fold(golden.read(messages.reader("tok", ""), [out]))
    whole = messages.parse_response(messages.render_response(completion, ENVELOPE), "tok")

    understood_by_anthropic(out)
    assert streamed == whole


def test_signatures_come_home_through_an_anthropic_client():
    thought = Thinking("hm", "c2ln", family=Family.GEMINI)
    hidden = Thinking(redacted="cmVk", family=Family.OPENAI)
    body = messages.render_response(Completion(parts=(thought, hidden)), ENVELOPE)
    conversation = messages.parse_request(asked(user("hi"), {"role": "assistant", "content": body["content"]}))

    assert conversation.messages[1].parts == (thought, hidden)
    assert passed_request(asked(user("hi"), {"role": "assistant", "content": body["content"]})).dropped == ("thinking",)


def test_a_block_that_opens_with_text_loses_none():
    events = [
        Started(),
        BlockStarted(0, Thinking("a", "s", family=Family.CLAUDE)),
        BlockDelta(0, "b"),
        BlockStopped(0, "t"),
        BlockStarted(1, Thinking(redacted="r", family=Family.CLAUDE)),
        BlockDelta(1, "unsayable"),
        BlockStopped(1),
        BlockStarted(2, ToolCall("i", "n", '{"a"')),
        BlockDelta(2, ":1}"),
        BlockStopped(2),
        BlockStarted(3, Opaque("elsewhere", {})),
        BlockDelta(3, "unsayable"),
        BlockStopped(3),
        Finished(Stop(), Usage()),
    ]
    read = fold(golden.read(messages.reader("tok", ""), [messages.writer(ENVELOPE).write(events)]))

    assert read.parts == (
        Thinking("ab", "st", family=Family.CLAUDE),
        Thinking(redacted="r", family=Family.CLAUDE),
        ToolCall("i", "n", '{"a":1}'),
    )


def test_an_answer_with_arguments_that_are_none_is_still_an_answer():
    parts = (ToolCall("a", "f", ""), ToolCall("b", "f", "{"), ToolCall("c", "f", "[1]"), ToolResult("x"))
    body = messages.render_response(Completion(parts=parts), ENVELOPE)

    assert [block["input"] for block in body["content"]] == [{}, {"arguments": "{"}, {"arguments": [1]}]


@pytest.mark.parametrize("kind", FaultKind)
def test_every_failure_has_anthropics_shape(kind):
    body = messages.render_fault(Fault(kind, "why"))

    assert body["type"] == "error"
    assert body["error"]["message"].endswith("why")
    assert body["error"]["type"].endswith(("_error", "_too_large"))


def frames(*bodies):
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies)


START = {"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 1}}}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}
STOP = {"type": "message_stop"}


def block(index, block, *deltas):
    return (
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    )


def read(*bodies):
    return golden.read(messages.reader("tok", ""), [frames(*bodies)])


def test_a_block_of_another_kind_comes_whole():
    server = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ('{"q":', "1}")]
    upload = {"type": "container_upload", "file_id": "f"}
    events = read(START, *block(0, server, *pieces), *block(1, upload), DELTA, STOP)

    assert fold(events).parts == (
        Opaque("anthropic-messages", server | {"input": {"q": 1}}),
        Opaque("anthropic-messages", upload),
    )


def test_a_call_that_comes_whole_is_read_whole():
    whole = {"type": "tool_use", "id": "a", "name": "f", "input": {"b": 1}}
    events = read(START, *block(0, whole), DELTA | {"delta": {"stop_reason": "end_turn"}}, STOP)

    assert fold(events).parts == (ToolCall("a", "f", '{"b":1}'),)
    assert fold(events).stop == Stop(StopReason.TOOL_USE, "end_turn")


def test_bedrocks_own_count_is_the_last_resort():
    metrics = {"inputTokenCount": 5, "outputTokenCount": 6, "cacheReadInputTokenCount": 7}
    stop = STOP | {"amazon-bedrock-invocationMetrics": metrics}
    events = read(
        {"type": "message_start", "message": {}}, {"type": "message_delta", "delta": {"stop_reason": "x"}}, stop
    )

    assert events == [
        Started("msg_tok"),
        Finished(Stop(StopReason.END, "x"), Usage(5, 7, 0, 6)),
    ]


def test_thinking_tokens_are_counted_as_a_part_of_the_output():
    usage = {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}

    assert read(START, DELTA | {"usage": usage}, STOP)[-1] == Finished(
        Stop(raw="end_turn"), Usage(1, output=9, reasoning=4)
    )


@pytest.mark.parametrize(
    ("message", "kind", "words"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, FaultKind.OVERLOADED, "overloaded"),
        ({"type": "error", "message": "ThrottlingException: slow"}, FaultKind.RATE_LIMITED, "slow"),
        ({"error": "TooManyRequest", "message": "rate limited by AI Core"}, FaultKind.RATE_LIMITED, "AI Core"),
        ({"error": {"code": "x", "message": "y"}}, FaultKind.STREAM_BROKEN, "y"),
    ],
)
def test_an_error_in_the_stream_is_understood(message, kind, words):
    last = read(START, message)[-1]

    assert isinstance(last, Failed)
    assert last.fault.kind is kind
    assert words in last.fault.message


def test_an_exception_of_amazons_is_understood():
    data = chunk(START) + exception("throttlingException", "slow down")
    last = golden.read(messages.reader("tok", "application/vnd.amazon.eventstream"), [data])[-1]

    assert isinstance(last, Failed)
    assert FaultKind.RATE_LIMITED is last.fault.kind


@pytest.mark.parametrize(
    "bodies",
    [
        (START, DELTA),
        (START, STOP),
        (START, {"type": "content_block_start", "index": 0, "content_block": {}}),
        (START, block(0, {"type": "text", "text": ""})[0], block(0, {"type": "text", "text": ""})[0]),
        (
            START,
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        ),
        (START, *block(0, {"type": "server_tool_use"}, {"type": "input_json_delta", "partial_json": "{"})),
        (START | {"message": {"usage": 3}},),
    ],
)
def test_a_stream_without_its_end_or_without_sense_is_broken(bodies):
    last = read(*bodies)[-1]

    assert isinstance(last, Failed)
    assert FaultKind.STREAM_BROKEN is last.fault.kind


def test_deltas_nobody_announced_open_a_block():
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "b"}},
    ]

    assert fold(read(START, *deltas, DELTA, STOP)).parts == (Thinking("a", "s", family=Family.CLAUDE), Text("b"))


def test_text_that_utf_8_cannot_hold_stays_escaped():
    events = [Started(), BlockStarted(0, Text()), BlockDelta(0, "\ud83d"), BlockStopped(0), Finished(Stop(), Usage())]

    assert rb"\ud83d" in messages.writer(ENVELOPE).write(events)


def test_json_that_is_too_deep_is_the_callers_mistake():
    deep = json.loads("[" * 900 + "]" * 900)
    deeper = [deep]
    for _ in range(2000):
        deeper = [deeper]

    with pytest.raises(FaultError, match="too deeply"):
        json_text.dumps(deeper)


def test_tokens_are_estimated():
    short = messages.parse_request(asked())
    long = messages.parse_request(asked(user("word " * 700), tools=[tool("f")]))

    assert messages.render_token_count(estimate_tokens(short)) == {"input_tokens": 5}
    assert 1200 < estimate_tokens(long) < 1500
