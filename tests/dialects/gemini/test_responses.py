"""What Gemini answers and how its clients are answered: bytes in, bytes out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import gemini
from dialects.capabilities.model_info import built_in
from dialects.core.conversation import (
    Completion,
    Conversation,
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
from dialects.core.events import BlockDelta, BlockStarted, Failed, fold, unfold
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.core.relay import PassthroughRelay
from dialects.framing.sse import Frame, SSEDecoder
from dialects.interface import Envelope
from tests.dialects.golden import body, matches, read, scenes, wire
from tests.oracles.gemini import check_gemini_response

ENVELOPE = Envelope("tok", "my-gemini", 1_780_000_000, Conversation("my-gemini"))


def _frames(data: bytes) -> list[dict]:
    return [json.loads(frame.data) for frame in SSEDecoder().feed(data)]


def _written(completion: Completion) -> bytes:
    return gemini.writer(ENVELOPE).write(unfold(completion))


def _passed(data: bytes) -> bytes:
    relay = PassthroughRelay(
        gemini.reader("tok", "text/event-stream"),
        SSEDecoder(),
        lambda frame, usage: gemini.passthrough_frame(frame, ENVELOPE, usage),
        lambda fault, answer: gemini.passthrough_fault(fault, answer, ENVELOPE),
    )
    return relay.feed(data) + relay.finish()


@pytest.mark.parametrize("scene", scenes("gemini"))
def test_a_gemini_client_gets_the_reviewed_bytes(scene):
    events = read(gemini.reader("tok", ""), [wire("gemini", scene)])

    matches("gemini", scene, "gemini", gemini.writer(ENVELOPE).write(events))


@pytest.mark.parametrize("scene", scenes("gemini"))
def test_passthrough_passes_the_reviewed_bytes(scene):
    matches("gemini", scene, "passthrough", _passed(wire("gemini", scene)))


@pytest.mark.parametrize("scene", scenes("gemini"))
def test_googles_own_library_reads_what_its_clients_get(scene):
    events = read(gemini.reader("tok", ""), [wire("gemini", scene)])

    for frame in _frames(gemini.writer(ENVELOPE).write(events)):
        if "error" not in frame:
            check_gemini_response(frame)


def test_text_arrives_byte_for_byte():
    said = 'it\'s "fine" \\ data: {x}\u2028\u200b\x00 🦜\n\n'

    assert gemini.parse_response(body("gemini", "text"), "tok").parts == (
        Text('Hello, it\'s "fine" \\ data: {x}\u2028\u200b 🦜\n'),
    )
    assert fold(read(gemini.reader("t", ""), [_written(Completion(parts=(Text(said),)))])).parts == (Text(said),)


def test_calls_get_ids_and_plain_names_and_their_signature_stands_on_the_thinking():
    completion = gemini.parse_response(body("gemini", "thinking_and_call"), "tok")

    assert completion == Completion(
        id="x1Y2",
        model="gemini-2.5-flash",
        parts=(
            Thinking("Let me look.", "CiQBdGhvdWdodA==", family=Family.GEMINI),
            ToolCall("call_tok_0", "get_weather", '{"city":"Paris","days":1.5}'),
            ToolCall("call_tok_1", "get_time", "{}"),
        ),
        stop=Stop(StopReason.TOOL_USE, "STOP"),
        usage=Usage(fresh_input=8, cache_read=32, output=27, reasoning=20),
    )


def test_signatures_on_text_stand_before_it_and_at_the_end_alone():
    completion = gemini.parse_response(body("gemini", "signed_text"), "tok")

    assert completion.parts == (
        Thinking(signature="CiQBc2lnbmVk", family=Family.GEMINI),
        Text("42"),
        Thinking(signature="CiQBbGFzdA==", family=Family.GEMINI),
    )


def test_images_and_what_only_gemini_says_come_whole():
    assert gemini.parse_response(body("gemini", "image"), "t").parts[1] == Media(
        MediaKind.IMAGE, "image/png", "iVBORw0KGgo="
    )
    assert [type(part) for part in gemini.parse_response(body("gemini", "code_execution"), "t").parts] == [
        Opaque,
        Opaque,
        Text,
    ]


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        ("text", Stop(StopReason.END, "STOP")),
        ("length_crlf", Stop(StopReason.LENGTH, "MAX_TOKENS")),
        ("filtered", Stop(StopReason.FILTERED, "PROHIBITED_CONTENT")),
        ("blocked_prompt", Stop(StopReason.FILTERED, "SAFETY")),
    ],
)
def test_a_finish_reason_is_understood(scene, expected):
    assert gemini.parse_response(body("gemini", scene), "tok").stop == expected


def test_a_blocked_prompt_says_why():
    assert gemini.parse_response(body("gemini", "blocked_prompt"), "tok").parts == (Refusal("The prompt was blocked."),)


@pytest.mark.parametrize(("scene", "kind"), [("throttled", FaultKind.RATE_LIMITED), ("cut", FaultKind.STREAM_BROKEN)])
def test_a_stream_that_breaks_ends_as_broken(scene, kind):
    events = read(gemini.reader("tok", ""), [wire("gemini", scene)])

    assert isinstance(events[-1], Failed)
    assert kind is events[-1].fault.kind
    assert _frames(gemini.writer(ENVELOPE).write(events))[-1].keys() == {"error"}
    assert _frames(_passed(wire("gemini", scene)))[-1].keys() == {"error"}


@pytest.mark.parametrize(
    "data",
    [
        b'data: [{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}]\n\n',
        b'data: {"error":{"code":503,"message":"overloaded"}}\n\n',
    ],
)
def test_an_error_may_come_in_a_list(data):
    (failed,) = read(gemini.reader("tok", ""), [data])

    assert FaultKind.OVERLOADED is failed.fault.kind


@pytest.mark.parametrize("answer", [{}, {"candidates": []}, {"usageMetadata": {"promptTokenCount": 3}}])
def test_a_whole_answer_without_any_answer_is_a_failure(answer):
    with pytest.raises(FaultError, match="answered nothing"):
        gemini.parse_response(answer, "tok")


def test_an_error_instead_of_a_whole_answer_is_a_failure():
    with pytest.raises(FaultError) as caught:
        gemini.parse_response({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}, "tok")

    assert FaultKind.RATE_LIMITED is caught.value.fault.kind


def test_a_finish_reason_of_no_meaning_and_an_empty_call_are_passed_over():
    frames = [
        {"candidates": [{"content": {"parts": [{"functionCall": {"willContinue": True}}, {}]}}]},
        {"candidates": [{"finishReason": "FINISH_REASON_UNSPECIFIED"}]},
        {"promptFeedback": {"blockReason": "BLOCKED_REASON_UNSPECIFIED"}},
        {"candidates": [{"finishReason": "SOMETHING_NEW"}], "usageMetadata": {"promptTokenCount": None}},
    ]
    data = b"".join(Frame(json.dumps(frame)).encode() for frame in frames)

    assert fold(read(gemini.reader("tok", ""), [data])) == Completion(
        id="tok", stop=Stop(StopReason.END, "SOMETHING_NEW")
    )


_text = st.text(min_size=1, max_size=6)
_signature = st.sampled_from(["", "CiQBc2ln", "QUJD"])
_parts = st.one_of(
    st.builds(Text, _text),
    st.builds(lambda text, signature: Thinking(text, signature, family=Family.GEMINI), _text, _signature),
    st.builds(
        lambda args: ToolCall("", "f", json.dumps(args)), st.dictionaries(_text, st.integers() | _text, max_size=2)
    ),
    st.builds(lambda: Media(MediaKind.IMAGE, "image/png", "aWo=")),
    st.builds(lambda: Opaque("gemini", {"executableCode": {"code": "1"}})),
)


def _comparable(completion: Completion) -> tuple:
    """What is said, without ids, with neighbours of one kind joined, and JSON without its spelling."""
    said: list[list] = []
    for part in completion.parts:
        match part:
            case Text(text) if said and said[-1][0] == "text":
                said[-1][1] += text
            case Text(text):
                said.append(["text", text])
            case Thinking(text, signature) if said and said[-1][0] == "thinking" and not said[-1][2]:
                said[-1][1:] = [said[-1][1] + text, signature]
            case Thinking(text, signature):
                said.append(["thinking", text, signature])
            case ToolCall(_, name, arguments):
                said.append(["call", name, json.loads(arguments)])
            case _:
                said.append([part])
    return said, completion.usage, completion.stop.reason


@given(st.lists(_parts, max_size=5), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_what_a_client_is_told_reads_back_the_same_streamed_and_whole(parts, fresh, cached, thought):
    calls = any(isinstance(part, ToolCall) for part in parts)
    stop = Stop(StopReason.TOOL_USE if calls else StopReason.LENGTH)
    usage = Usage(fresh, cached, 0, 5 + thought, thought)
    completion = Completion("i", "m", tuple(parts), stop, usage)

    streamed = fold(read(gemini.reader("t", ""), [_written(completion)]))
    whole = gemini.parse_response(gemini.render_response(completion, ENVELOPE), "t")

    assert _comparable(completion) == _comparable(streamed) == _comparable(whole)
    for frame in _frames(_written(completion)):
        check_gemini_response(frame)


def test_signatures_of_other_families_come_home_through_a_gemini_client():
    parts = (
        Thinking("hm", "Eq==", family=Family.CLAUDE),
        Thinking(redacted="secret", family=Family.CLAUDE),
        ToolCall("toolu_1", "f", "{}"),
        Thinking("end", "Zz==", family=Family.CLAUDE),
    )

    said = gemini.render_response(Completion(parts=parts), ENVELOPE)["candidates"][0]["content"]
    history = gemini.parse_request({"model": "m", "contents": said})

    assert history.messages[0].parts == parts


def test_a_call_is_written_whole_with_its_id():
    assert _written(Completion(parts=(ToolCall("toolu_1", "f", '{"a": 1}'),), stop=Stop(StopReason.TOOL_USE))) == (
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"toolu_1","name":"f","args":{"a":1}}}],'
        b'"role":"model"},"index":0}],"modelVersion":"my-gemini","responseId":"tok"}\n\n'
        b'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"index":0,"finishReason":"STOP"}],'
        b'"usageMetadata":{"promptTokenCount":0,"candidatesTokenCount":0,"totalTokenCount":0},'
        b'"modelVersion":"my-gemini","responseId":"tok"}\n\n'
    )


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", '{"a": NaN}', "[" * 100_000])
def test_a_call_cut_short_is_not_called(arguments):
    completion = Completion(parts=(ToolCall("i", "f", arguments),), stop=Stop(StopReason.LENGTH))

    candidate = gemini.render_response(completion, ENVELOPE)["candidates"][0]

    assert candidate["finishReason"] == "MALFORMED_FUNCTION_CALL"
    assert candidate["content"]["parts"] == []


def test_a_block_that_holds_text_from_the_start_and_other_peoples_parts():
    events = [BlockStarted(0, Text("a")), BlockDelta(0, "b"), BlockStarted(1, Opaque("openai-responses", {"x": 1}))]

    frames = _frames(gemini.writer(ENVELOPE).write(events))

    assert [frame["candidates"][0]["content"]["parts"] for frame in frames] == [[{"text": "a"}], [{"text": "b"}]]


def test_an_attachment_by_address_is_written_as_a_file():
    completion = Completion(parts=(Media(MediaKind.IMAGE, "image/png", url="https://x/y.png"),))

    parts = gemini.render_response(completion, ENVELOPE)["candidates"][0]["content"]["parts"]

    assert parts == [{"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png"}}]


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (Stop(StopReason.END, "end_turn"), "STOP"),
        (Stop(StopReason.CONTEXT_FULL), "MAX_TOKENS"),
        (Stop(StopReason.FILTERED, "refusal"), "SAFETY"),
        (Stop(StopReason.FILTERED, "RECITATION"), "RECITATION"),
        (Stop(StopReason.END, "MALFORMED_FUNCTION_CALL"), "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_the_reason_for_stopping_is_named_in_geminis_words(stop, expected):
    assert gemini.render_response(Completion(stop=stop), ENVELOPE)["candidates"][0]["finishReason"] == expected


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(FaultKind.NOT_FOUND, "no model x"), {"code": 404, "message": "no model x", "status": "NOT_FOUND"}),
        (Fault(FaultKind.UNAUTHENTICATED, "k"), {"code": 401, "message": "k", "status": "UNAUTHENTICATED"}),
        (
            Fault(FaultKind.RATE_LIMITED, "slow", 429, retry_after=2.5),
            {
                "code": 429,
                "message": "slow",
                "status": "RESOURCE_EXHAUSTED",
                "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}],
            },
        ),
    ],
)
def test_a_failure_is_said_as_google_says_it(fault, expected):
    assert gemini.render_fault(fault) == {"error": expected}


def test_every_kind_of_failure_has_a_status():
    for kind in FaultKind:
        assert gemini.render_fault(Fault(kind, "x"))["error"]["status"]


def test_a_model_is_listed_as_google_lists_it():
    model = gemini.render_model(built_in("gemini-2.5-pro"), 0)

    assert model["name"] == "models/gemini-2.5-pro"
    assert "generateContent" in model["supportedGenerationMethods"]


def test_passthrough_changes_only_frames_that_name_another_model():
    named = Frame('{"candidates": [ ], "modelVersion": "gemini-2.5-flash"}')
    same = Frame('{"modelVersion":  "my-gemini"}')
    within = Frame('{"a":  {"modelVersion": "x"}}')
    quiet = Frame('{"candidates":  [1.50]}', "e")
    broken = Frame('["modelVersion"]')

    assert gemini.passthrough_frame(named, ENVELOPE) == b'data: {"candidates":[],"modelVersion":"my-gemini"}\n\n'
    for frame in (same, within, quiet, broken):
        assert gemini.passthrough_frame(frame, ENVELOPE) == frame.encode()


def test_passthrough_names_the_clients_model_in_a_whole_answer():
    answer = {"candidates": [], "modelVersion": "gemini-2.5-flash"}

    assert gemini.passthrough_response(answer, ENVELOPE) == {"candidates": [], "modelVersion": "my-gemini"}
    assert gemini.passthrough_response({"candidates": []}, ENVELOPE) == {"candidates": []}
