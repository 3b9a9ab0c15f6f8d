"""Streams from one dialect to another, chunk by chunk."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import openai_chat
from dialects.core.conversation import Text, Thinking, ToolCall
from dialects.core.events import fold
from proxy_helpers import Converters
from tests.proxy_helpers.calls import TOOL_USE


def said(text: str | None) -> list[dict]:
    """Take the chunks out of what a converter wrote."""
    return [json.loads(line.removeprefix("data: ")) for line in (text or "").split("\n") if line]


def levels(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What was logged, and how gravely."""
    return [(record.levelname, record.message) for record in caplog.records]


def delta(text: str | None) -> dict:
    [chunk] = said(text)
    return chunk["choices"][0]["delta"]


def start(index: int) -> dict:
    use = {"toolUseId": "t1", "name": "weather"}
    return {"contentBlockStart": {"start": {"toolUse": use}, "contentBlockIndex": index}}


def piece(index: int, **delta: object) -> dict:
    return {"contentBlockDelta": {"delta": delta, "contentBlockIndex": index}}


CONVERSE_STREAM = [
    {"messageStart": {"role": "assistant"}},
    piece(0, reasoningContent={"text": "Hm"}),
    piece(0, reasoningContent={"signature": "sig"}),
    {"contentBlockStop": {"contentBlockIndex": 0}},
    piece(1, text="Let "),
    piece(1, text="me 'see'\u2028 data: x"),
    {"contentBlockStop": {"contentBlockIndex": 1}},
    start(2),
    piece(2, toolUse={"input": '{"city":'}),
    piece(2, toolUse={"input": '"Paris"}'}),
    {"contentBlockStop": {"contentBlockIndex": 2}},
    {"messageStop": {"stopReason": "tool_use"}},
    {"metadata": {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}, "metrics": {"latencyMs": 9}}},
]
CLAUDE_STREAM = [
    {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 10, "output_tokens": 1}}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Let "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "me 'see'\u2028 data: x"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": TOOL_USE | {"input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city":'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '"Paris"}'}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
]


def gemini_chunk(*parts: dict, **more: object) -> dict:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **more}]}


GEMINI_STREAM = [
    gemini_chunk({"text": "Hm", "thought": True}),
    gemini_chunk({"text": "Let "}),
    gemini_chunk({"text": "me 'see'\u2028 data: x"}),
    gemini_chunk({"functionCall": {"name": "weather", "args": {"city": "Paris"}}}, finishReason="STOP"),
    {"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5}},
]
STREAMS = [
    (Converters.convert_claude37_chunk_to_openai, CONVERSE_STREAM, dict),
    (Converters.convert_claude37_chunk_to_openai, CONVERSE_STREAM, json.dumps),
    (Converters.convert_claude37_chunk_to_openai, CONVERSE_STREAM, repr),
    (Converters.convert_claude37_chunk_to_openai, CONVERSE_STREAM, lambda chunk: f"data: {chunk!r}\n\n"),
    (Converters.convert_claude_chunk_to_openai, CLAUDE_STREAM, lambda chunk: f"data: {json.dumps(chunk)}"),
    (
        Converters.convert_claude_chunk_to_openai,
        CLAUDE_STREAM,
        lambda chunk: f"event: {chunk['type']}\ndata: {json.dumps(chunk, indent=1)}\n\n",
    ),
    (Converters.convert_gemini_chunk_to_openai, GEMINI_STREAM, dict),
    (Converters.convert_gemini_chunk_to_openai, GEMINI_STREAM, lambda chunk: f"data: {json.dumps(chunk)}"),
]


CONVERSE_KINDS = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
]
UNREADABLE = ["{bad", "", "x", "5", "[]", "data: {", "(" * 5000, "{'a': open('x')}", 5, None, []]


class TestChunks:
    @pytest.mark.parametrize(("convert", "stream", "written"), STREAMS)
    def test_a_stream_converted_chunk_by_chunk_says_what_the_stream_said(self, convert, stream, written):
        text = "".join(convert(written(chunk), "the-model") or "" for chunk in stream)
        reader = openai_chat.reader("token", "text/event-stream")
        answer = fold([*reader.feed(text.encode()), *reader.finish()])
        thoughts, words, call = answer.parts

        assert thoughts == Thinking("Hm")
        assert words == Text("Let me 'see'\u2028 data: x")
        assert isinstance(call, ToolCall)
        assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Paris"})
        assert answer.stop.raw == "tool_calls"
        assert answer.model == "the-model"
        assert "[DONE]" not in text

    @pytest.mark.parametrize(("convert", "stream", "written"), STREAMS)
    def test_nothing_is_said_twice(self, convert, stream, written):
        chunks = [each for chunk in stream for each in said(convert(written(chunk), "m"))]
        deltas = [each["choices"][0]["delta"] for each in chunks]

        assert sum("role" in each for each in deltas) == (stream is not GEMINI_STREAM)
        assert sum(each["choices"][0]["finish_reason"] is not None for each in chunks) == 1
        assert sum("name" in each["tool_calls"][0]["function"] for each in deltas if "tool_calls" in each) == 1

    @pytest.mark.parametrize(
        "chunk",
        [
            {"contentBlockStop": {"contentBlockIndex": 0}},
            {"metadata": {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}}},
            {"contentBlockStart": {"start": {}, "contentBlockIndex": 0}},
        ],
    )
    def test_what_says_nothing_to_the_client_is_none(self, chunk, caplog):
        assert Converters.convert_claude37_chunk_to_openai(chunk, "m") is None
        assert caplog.messages == []

    @pytest.mark.parametrize("chunk", [{"what": "ever"}, {}, '{"what": {}}'])
    def test_so_is_a_chunk_of_an_unknown_kind_but_the_log_tells(self, chunk, caplog):
        assert Converters.convert_claude37_chunk_to_openai(chunk, "m") is None
        assert levels(caplog) == [("WARNING", "a chunk of an unknown kind")]

    @pytest.mark.parametrize("chunk", ['{"type":"message_stop"}', '{"type":"ping"}', "{}"])
    def test_so_is_the_bare_end_of_a_claude_stream(self, chunk, caplog):
        assert Converters.convert_claude_chunk_to_openai(f"data: {chunk}", "m") is None
        assert caplog.messages == []

    @pytest.mark.parametrize("chunk", [{"candidates": []}, {"usageMetadata": {"promptTokenCount": 1}}, {}])
    def test_so_is_a_gemini_chunk_without_candidates(self, chunk, caplog):
        assert Converters.convert_gemini_chunk_to_openai(chunk, "m") is None
        assert Converters.convert_gemini_chunk_to_claude_delta(chunk) is None
        assert caplog.messages == []

    @pytest.mark.parametrize("chunk", UNREADABLE)
    @pytest.mark.parametrize(
        "convert", [Converters.convert_claude37_chunk_to_openai, Converters.convert_gemini_chunk_to_openai]
    )
    def test_what_is_no_json_is_none_and_logged_once(self, convert, chunk, caplog):
        assert convert(chunk, "m") is None
        assert levels(caplog) == [("ERROR", "a chunk that cannot be read")]

    @pytest.mark.parametrize("chunk", UNREADABLE)
    def test_in_a_claude_stream_it_is_an_error_to_the_client(self, chunk, caplog):
        [error] = said(Converters.convert_claude_chunk_to_openai(chunk, "m"))

        assert "Invalid JSON" in error["error"]["message"]
        assert levels(caplog) == [("ERROR", "a chunk that cannot be read")]

    @pytest.mark.parametrize("chunk", UNREADABLE)
    @pytest.mark.parametrize(
        "convert", [Converters.convert_gemini_chunk_to_claude_delta, Converters.convert_openai_chunk_to_claude_delta]
    )
    def test_an_anthropic_client_gets_no_delta_of_it(self, convert, chunk, caplog):
        assert convert(chunk) is None
        assert levels(caplog) == [("ERROR", "a chunk that cannot be read")]

    @pytest.mark.parametrize(
        ("convert", "chunk"),
        [
            *(
                (Converters.convert_claude37_chunk_to_openai, {kind: body})
                for kind in CONVERSE_KINDS
                for body in (None, 5)
            ),
            (Converters.convert_claude37_chunk_to_openai, {"contentBlockStart": {"start": {"toolUse": 5}}}),
            (
                Converters.convert_claude_chunk_to_openai,
                '{"type": "content_block_start", "index": 0, "content_block": {"text": "Hi"}}',
            ),
            (Converters.convert_gemini_chunk_to_openai, {"candidates": [{"content": 5}]}),
        ],
    )
    def test_a_chunk_that_contradicts_itself_is_an_error_to_the_client(self, convert, chunk, caplog):
        [error] = said(convert(chunk, "m"))

        assert list(error) == ["error"]
        assert "PROXY ERROR" in error["error"]["message"]
        assert levels(caplog) == [("ERROR", "a chunk that cannot be read")]

    @pytest.mark.parametrize(
        ("delta", "expected"),
        [({"text": "Hi"}, {"content": "Hi"}), ({"thinking": "Hm"}, {"reasoning_content": "Hm"})],
    )
    def test_a_claude_delta_needs_neither_type_nor_index(self, delta, expected):
        event = {"type": "content_block_delta", "delta": delta}
        [chunk] = said(Converters.convert_claude_chunk_to_openai(f"data: {json.dumps(event)}", "m"))

        assert chunk["choices"][0]["delta"] == expected

    def test_a_gemini_chunk_may_hold_one_part_without_a_list(self):
        chunk = {"candidates": [{"content": {"parts": {"text": "Hi"}}}]}

        assert text_delta("Hi") == Converters.convert_gemini_chunk_to_claude_delta(chunk)
        assert delta(Converters.convert_gemini_chunk_to_openai(chunk, "m")) == {"content": "Hi"}

    @pytest.mark.parametrize(("convert", "stream", "written"), STREAMS)
    def test_a_chunk_is_written_as_python_writes_json(self, convert, stream, written):
        for chunk in stream:
            text = convert(written(chunk), "m") or ""

            assert text == "".join(f"data: {json.dumps(each)}\n\n" for each in said(text))

    @pytest.mark.parametrize("index", [0, 3])
    @pytest.mark.parametrize(
        ("reason", "word"),
        [
            ("end_turn", "stop"),
            ("stop_sequence", "stop"),
            ("max_tokens", "length"),
            ("tool_use", "tool_calls"),
            ("content_filtered", "content_filter"),
            ("never heard of", "stop"),
        ],
    )
    def test_every_reason_to_stop_has_its_word(self, reason, word, index):
        [converse] = said(Converters.convert_claude37_chunk_to_openai({"messageStop": {"stopReason": reason}}, "m"))

        assert converse["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": word}]

    @pytest.mark.parametrize(
        ("reason", "word"),
        [("end_turn", "stop"), ("max_tokens", "length"), ("tool_use", "tool_calls"), ("refusal", "content_filter")],
    )
    def test_every_reason_of_a_claude_stream_has_its_word(self, reason, word):
        event = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}
        [chunk] = said(Converters.convert_claude_chunk_to_openai(f"data: {json.dumps(event)}", "m"))

        assert chunk["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": word}]

    def test_an_error_within_the_stream_is_an_error_to_the_client(self):
        converse = Converters.convert_claude37_chunk_to_openai({"throttlingException": {"message": "slow"}}, "m")
        event = '{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
        [error] = said(Converters.convert_claude_chunk_to_openai(f"data: {event}", "m"))

        assert said(converse)[0]["error"]["message"] == "slow"
        assert list(error) == ["error"]

    @pytest.mark.parametrize("stream_id", ["chatcmpl-mine", "mine", 'with "quotes"'])
    def test_a_stream_keeps_the_id_it_is_given(self, stream_id):
        for chunk in CONVERSE_STREAM:
            for each in said(Converters.convert_claude37_chunk_to_openai(chunk, "m", stream_id)):
                assert stream_id == each["id"]

    def test_without_one_each_chunk_has_an_id_of_its_own(self):
        ids = {said(Converters.convert_claude37_chunk_to_openai(piece(0, text="x"), "m"))[0]["id"] for _ in range(5)}

        assert len(ids) == 5

    def test_a_calls_arguments_go_to_the_open_call(self):
        call = delta(Converters.convert_claude37_chunk_to_openai(piece(7, toolUse={"input": "{}"}), "m"))

        assert call == {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
        assert delta(Converters.convert_claude37_chunk_to_openai(start(7), "m"))["tool_calls"][0]["id"] == "t1"

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "messageStart",
                            "contentBlockDelta",
                            "delta",
                            "toolUse",
                            "type",
                            "candidates",
                            "content",
                            "parts",
                            "choices",
                            "text",
                        ]
                    )
                    | st.text(),
                    inner,
                )
            ),
            max_leaves=8,
        )
    )
    def test_any_chunk_at_all_is_converted_or_none(self, chunk):
        before = copy.deepcopy(chunk)
        for convert in (
            Converters.convert_claude37_chunk_to_openai,
            Converters.convert_gemini_chunk_to_openai,
            Converters.convert_claude_chunk_to_openai,
        ):
            assert convert(chunk, "m") != ""
        Converters.convert_gemini_chunk_to_claude_delta(chunk)
        Converters.convert_openai_chunk_to_claude_delta(chunk)

        assert chunk == before


def text_delta(text: str) -> dict:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


class TestClaudeDeltas:
    @pytest.mark.parametrize(
        ("chunk", "expected"),
        [
            (gemini_chunk({"text": "a"}), text_delta("a")),
            (gemini_chunk({"text": "a"}, {"text": "b"}, finishReason="STOP"), text_delta("ab")),
            (gemini_chunk({"text": "Hm", "thought": True}, {"text": "a"}), text_delta("a")),
            (gemini_chunk({"text": "Hm", "thought": True}), None),
            (gemini_chunk({"functionCall": {"name": "f", "args": {}}}), None),
            (gemini_chunk(finishReason="STOP"), None),
        ],
    )
    def test_a_gemini_chunk_gives_its_text(self, chunk, expected):
        assert Converters.convert_gemini_chunk_to_claude_delta(chunk) == expected

    @pytest.mark.parametrize(
        ("chunk", "expected"),
        [
            ({"choices": [{"index": 0, "delta": {"content": "a"}}]}, text_delta("a")),
            ({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}, None),
            ({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, None),
            ({"choices": []}, None),
            ({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}, None),
            ({}, None),
        ],
    )
    def test_an_openai_chunk_gives_its_text(self, chunk, expected):
        assert Converters.convert_openai_chunk_to_claude_delta(chunk) == expected
