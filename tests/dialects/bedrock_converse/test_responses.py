"""Converse: responses and streams, parsed and translated."""

import json

import pytest

from dialects import anthropic_messages
from dialects import bedrock_converse as converse
from dialects.core.conversation import Family, Opaque, Stop, StopReason, Thinking, Usage
from dialects.core.events import Failed, Finished, Started, fold
from dialects.core.faults import FaultKind
from dialects.core.relay import TranslatingRelay
from tests.dialects import golden
from tests.dialects.anthropic_bodies import ENVELOPE
from tests.dialects.eventstreams import encode, event

BACKEND = "bedrock_converse"


def test_pythons_words_read_like_json():
    for scene in golden.scenes(BACKEND):
        literal = golden.wire(BACKEND, scene)
        frames = [eval(line[6:]) for line in literal.decode().split("\n") if line]  # our own file
        as_json = b"".join(b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames)

        assert golden.read(converse.reader("t", ""), [literal]) == golden.read(converse.reader("t", ""), [as_json])


@pytest.mark.parametrize("scene", golden.scenes(BACKEND))
def test_a_stream_is_translated_for_anthropic_clients(scene):
    relay = TranslatingRelay(converse.reader("tok", ""), anthropic_messages.writer(ENVELOPE))
    data = golden.wire(BACKEND, scene)
    out = b"".join(relay.feed(piece) for piece in golden.cut(data, range(0, len(data), 11))) + relay.finish()

    golden.matches(BACKEND, scene, "anthropic", out)


def read(*messages):
    return golden.read(converse.reader("tok", ""), [f"data: {message!r}\n\n".encode() for message in messages])


def delta(index, **said):
    return {"contentBlockDelta": {"delta": said, "contentBlockIndex": index}}


START = {"messageStart": {"role": "assistant"}}


STOP = {"messageStop": {"stopReason": "end_turn"}}


def test_an_answer_without_a_count_is_still_an_answer():
    assert read(START, STOP) == [Started("msg_tok"), Finished(Stop(raw="end_turn"), Usage())]


def test_a_count_before_the_end_waits_for_it():
    count = {"metadata": {"usage": {"inputTokens": 1, "outputTokens": 2}}}

    assert read(START, count, STOP)[-1] == Finished(Stop(raw="end_turn"), Usage(1, output=2))


def test_hidden_thoughts_may_come_as_bytes():
    hidden = {"redactedContent": b"\x00\xff"}
    events = read(START, delta(0, reasoningContent=hidden), delta(0, reasoningContent=hidden), STOP)
    one = Thinking(redacted="AP8=", family=Family.CLAUDE)

    assert fold(events).parts == (one, one)


def test_blocks_of_another_kind_are_kept():
    image = {"image": {"format": "png"}}
    block = {"contentBlockStart": {"start": image, "contentBlockIndex": 0}}
    nothing = {"contentBlockStart": {"contentBlockIndex": 1}}
    whole = converse.parse_response({"output": {"message": {"content": [image]}}}, "tok")

    assert fold(read(START, block, nothing, STOP)).parts == (Opaque("bedrock-converse", image),)
    assert whole.parts == (Opaque("bedrock-converse", image),)


def test_the_calls_decide_whether_tools_are_wanted():
    body = {"output": {"message": {"content": [{"text": "x"}]}}, "stopReason": "tool_use"}

    assert converse.parse_response(body, "tok").stop == Stop(StopReason.END, "tool_use")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"validationException": {"message": "no"}}, FaultKind.INVALID_REQUEST),
        ({"modelStreamErrorException": {"message": "x", "originalStatusCode": 429}}, FaultKind.RATE_LIMITED),
        ({"internalServerException": "x"}, FaultKind.SERVER_ERROR),
        ({"error": "TooManyRequest", "message": "rate limited by AI Core"}, FaultKind.RATE_LIMITED),
        ({"error": {"code": "overloaded", "message": "x"}}, FaultKind.OVERLOADED),
    ],
)
def test_an_error_in_the_stream_is_understood(message, kind):
    last = read(START, message)[-1]

    assert isinstance(last, Failed)
    assert last.fault.kind is kind


def test_an_error_of_amazons_that_no_model_knows_is_understood():
    data = event("messageStart", {"role": "assistant"}) + encode(
        {":message-type": "error", ":error-code": "Overloaded", ":error-message": "Überlast"}, b""
    )
    last = golden.read(converse.reader("tok", "application/vnd.amazon.eventstream"), [data])[-1]

    assert isinstance(last, Failed)
    assert FaultKind.OVERLOADED is last.fault.kind


def test_a_frame_that_names_its_event_twice_is_read_once():
    data = b'event: messageStart\ndata: {"messageStart": {}}\n\ndata: {"messageStop": {"stopReason": "x"}}\n\n'

    assert isinstance(golden.read(converse.reader("tok", ""), [data])[-1], Finished)


@pytest.mark.parametrize(
    "messages",
    [
        (START, delta(0, text="a")),
        (START, delta(0, toolUse={"input": "{"})),
        (START, {"contentBlockStart": {"start": {"toolUse": {}}, "contentBlockIndex": 0}}),
        (START, delta([1], text="a")),
        (START, [1]),
        (START, "x" * (4 * 1024 * 1024)),
    ],
)
def test_a_stream_without_its_end_or_without_sense_is_broken(messages):
    last = read(*messages)[-1]

    assert isinstance(last, Failed)
    assert FaultKind.STREAM_BROKEN is last.fault.kind
