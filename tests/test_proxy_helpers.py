import copy
import inspect
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects import openai_chat
from dialects.conversation import Text, Thinking, ToolCall
from dialects.events import fold
from dialects.faults import FaultError
from proxy_helpers import Converters, Detector
from tests.oracles.anthropic import check_messages_request
from tests.oracles.bedrock import check_converse_request
from tests.oracles.gemini import check_gemini_request
from tests.oracles.openai import check_chat_request, check_responses_request


class TestIsClaudeModel:
    @pytest.mark.parametrize(
        "name",
        ["claude-3-opus", "Claude-X", "CLAUDE", "Sonnet-4", "sonn", "clau", "opus-4.5", "OPUS", "3.5-haiku", "Haiku"],
    )
    def test_any_part_of_a_name_in_any_case_will_do(self, name):
        assert Detector.is_claude_model(name) is True

    @pytest.mark.parametrize("name", [None, "", "gpt-5", "gemini-2.5-pro", "o3", "son", "amazon--nova-pro"])
    def test_others_are_not(self, name):
        assert Detector.is_claude_model(name) is False


class TestIsClaude37Or4:
    @pytest.mark.parametrize(
        "name",
        [
            "claude-3.7-sonnet",
            "claude-3-7-sonnet-20250219",
            "anthropic--claude-3.7-sonnet",
            "anthropic--claude-4-sonnet",
            "claude-sonnet-4-20250514",
            "claude-opus-4-1-20250805",
            "CLAUDE-4.5-SONNET",
            "sonnet-4",
            "haiku-4.5",
            "opus-4",
            "claude-9",
            "claude-10-opus",
            "claude-opus-4-10",
            "claude",
            "claude-sonnet-latest",
            "claude-sonnet[1m]",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "claude-opus-4-1@20250805",
        ],
    )
    def test_these_are(self, name):
        assert Detector.is_claude_37_or_4(name) is True

    @pytest.mark.parametrize(
        "name",
        [
            "claude-2",
            "claude-2.1",
            "claude-instant-1.2",
            "claude-instant-v1",
            "claude-3-haiku",
            "claude-3-haiku-20240307",
            "claude-3-sonnet",
            "claude-3-opus",
            "claude-3.5-sonnet",
            "claude-3-5-sonnet-20241022",
            "anthropic--claude-3.5-sonnet",
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            "claude-3-5-sonnet-v2@20241022",
            "claude-3.6-sonnet",
            "3.5-sonnet",
            "gpt-4",
            "gemini-3.7",
            "",
            None,
        ],
    )
    def test_these_are_not(self, name):
        assert Detector.is_claude_37_or_4(name) is False


class TestIsGeminiModel:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [("gemini-2.5-pro", True), ("GEMINI-pro", True), ("models/Gemini-1.5", True), ("gpt-5", False), (None, False)],
    )
    def test_it_is_by_name_in_any_case(self, name, expected):
        assert Detector.is_gemini_model(name) is expected


class TestStrToInt:
    @pytest.mark.parametrize(("text", "number"), [("12", 12), ("-3", -3), (" 7 ", 7)])
    def test_it_reads_whole_numbers(self, text, number):
        assert Converters.str_to_int(text) == number

    @pytest.mark.parametrize("text", ["abc", "12.34", ""])
    def test_it_refuses_the_rest(self, text):
        with pytest.raises(ValueError, match=f"^Cannot convert '{text}' to int\\.$"):
            Converters.str_to_int(text)


SIGNATURES = {
    "str_to_int": "(s: str) -> int",
    "convert_openai_to_claude": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_openai_to_claude37": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_openai_to_gemini": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_claude_request_to_openai": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_claude_request_to_gemini": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_claude_request_for_bedrock": "(payload: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_claude_to_openai": "(response: dict[str, typing.Any], model: str) -> dict[str, typing.Any]",
    "convert_claude37_to_openai": (
        "(response: dict[str, typing.Any], model_name: str = 'claude-3.7') -> dict[str, typing.Any]"
    ),
    "convert_gemini_to_openai": (
        "(response: dict[str, typing.Any], model_name: str = 'gemini-pro') -> dict[str, typing.Any]"
    ),
    "convert_gemini_response_to_claude": (
        "(response: dict[str, typing.Any], model_name: str = 'gemini-pro') -> dict[str, typing.Any]"
    ),
    "convert_openai_response_to_claude": "(response: dict[str, typing.Any]) -> dict[str, typing.Any]",
    "convert_claude_chunk_to_openai": "(chunk: str, model: str) -> str | None",
    "convert_claude37_chunk_to_openai": (
        "(chunk: dict[str, typing.Any] | str, model_name: str, stream_id: str | None = None) -> str | None"
    ),
    "convert_gemini_chunk_to_openai": "(chunk: dict[str, typing.Any] | str, model_name: str) -> str | None",
    "convert_gemini_chunk_to_claude_delta": "(chunk: dict[str, typing.Any]) -> dict[str, typing.Any] | None",
    "convert_openai_chunk_to_claude_delta": "(chunk: dict[str, typing.Any]) -> dict[str, typing.Any] | None",
}


@pytest.mark.parametrize(("name", "signature"), SIGNATURES.items())
def test_the_public_signatures_stay(name, signature):
    assert str(inspect.signature(getattr(Converters, name))) == signature
    assert isinstance(inspect.getattr_static(Converters, name), staticmethod)


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
OPENAI_REQUEST = {
    "model": "any",
    "max_tokens": 700,
    "temperature": 0.5,
    "stop": ["END"],
    "messages": [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "22C"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}],
}
CLAUDE_REQUEST = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 700,
    "temperature": 0.5,
    "stop_sequences": ["END"],
    "system": "Be brief",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Weather?", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "22C"}]},
    ],
    "tools": [{"name": "weather", "description": "d", "input_schema": SCHEMA}],
}
FROM_OPENAI = [
    Converters.convert_openai_to_claude,
    Converters.convert_openai_to_claude37,
    Converters.convert_openai_to_gemini,
    Converters.convert_openai_to_responses,
    Converters.convert_openai_to_openai,
]
FROM_CLAUDE = [
    Converters.convert_claude_request_to_openai,
    Converters.convert_claude_request_to_gemini,
    Converters.convert_claude_request_for_bedrock,
]
ORACLES = {
    Converters.convert_openai_to_claude: check_messages_request,
    Converters.convert_openai_to_claude37: check_converse_request,
    Converters.convert_openai_to_gemini: check_gemini_request,
    Converters.convert_openai_to_responses: check_responses_request,
    Converters.convert_openai_to_openai: check_chat_request,
    Converters.convert_claude_request_to_openai: check_chat_request,
    Converters.convert_claude_request_to_gemini: check_gemini_request,
    Converters.convert_claude_request_for_bedrock: check_messages_request,
}
"""The vendors' own definitions of what each converter renders."""
REQUESTS = [*((each, OPENAI_REQUEST) for each in FROM_OPENAI), *((each, CLAUDE_REQUEST) for each in FROM_CLAUDE)]


class TestRequests:
    @pytest.mark.parametrize(("convert", "request_body"), REQUESTS)
    def test_none_changes_what_it_is_given(self, convert, request_body):
        before = copy.deepcopy(request_body)
        first = convert(request_body)

        assert request_body == before
        assert convert(request_body) == first

    @pytest.mark.parametrize(("convert", "request_body"), REQUESTS)
    def test_the_model_may_be_left_out(self, convert, request_body):
        without = {name: value for name, value in request_body.items() if name != "model"}

        assert convert(without)

    @pytest.mark.parametrize(("convert", "request_body"), REQUESTS)
    def test_the_vendor_would_take_it(self, convert, request_body):
        ORACLES[convert](convert({name: value for name, value in request_body.items() if name != "temperature"}))

    @pytest.mark.parametrize(("convert", "request_body"), REQUESTS)
    def test_tools_and_what_they_said_are_kept(self, convert, request_body):
        body = json.dumps(convert(request_body))

        assert all(word in body for word in ("weather", "Paris", "22C", "city", "Be brief"))

    @pytest.mark.parametrize("convert", [*FROM_OPENAI, *FROM_CLAUDE[:2]])
    def test_a_request_without_messages_is_the_callers_mistake(self, convert):
        with pytest.raises(FaultError):
            convert({"messages": 5})

    def test_invoke_gets_an_anthropic_message_in_bedrocks_wrapping(self):
        body = Converters.convert_openai_to_claude(OPENAI_REQUEST | {"stream": True})

        assert body["anthropic_version"] == "bedrock-2023-05-31"
        assert (body["max_tokens"], body["temperature"], body["stop_sequences"]) == (700, 0.5, ["END"])
        assert "model" not in body
        assert "stream" not in body

    def test_converse_gets_the_system_prompt_as_such(self):
        body = Converters.convert_openai_to_claude37(OPENAI_REQUEST)

        assert body["system"] == [{"text": "Be brief"}]
        assert body["inferenceConfig"] == {"maxTokens": 700, "temperature": 0.5, "stopSequences": ["END"]}
        assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]

    def test_gemini_gets_no_safety_settings_it_was_not_asked_for(self):
        body = Converters.convert_openai_to_gemini(OPENAI_REQUEST)

        assert body["systemInstruction"] == {"parts": [{"text": "Be brief"}]}
        assert body["generationConfig"]["maxOutputTokens"] == 700
        assert "safetySettings" not in body

    def test_responses_gets_its_own_words(self):
        body = Converters.convert_openai_to_responses(OPENAI_REQUEST | {"model": "gpt-4.1"})

        assert (body["instructions"], body["max_output_tokens"]) == ("Be brief", 700)

    @pytest.mark.parametrize(
        ("model", "length"), [("gpt-4.1", "max_tokens"), ("gpt-5", "max_completion_tokens"), (None, "max_tokens")]
    )
    def test_openai_gets_the_length_under_the_name_its_model_knows(self, model, length):
        body = Converters.convert_openai_to_openai(OPENAI_REQUEST | {"model": model})

        assert body[length] == 700

    def test_what_the_model_named_accepts_counts_if_it_can_be_asked_in_that_dialect(self):
        longer = OPENAI_REQUEST | {"max_tokens": 100_000}

        def asked_of(model: str) -> int:
            return Converters.convert_openai_to_claude(longer | {"model": model})["max_tokens"]

        assert asked_of("claude-3-haiku") == 4096
        assert asked_of("claude-3.5-sonnet") == 8192
        assert asked_of("gpt-5") == 64_000

    def test_what_another_vendors_model_refuses_does_not_count(self):
        body = Converters.convert_openai_to_claude(OPENAI_REQUEST | {"model": "gpt-5"})

        assert body["temperature"] == 0.5

    def test_a_claude_request_for_a_gpt_is_rendered_for_a_gpt(self):
        body = Converters.convert_claude_request_to_openai(CLAUDE_REQUEST)

        assert body["messages"][0] == {"role": "system", "content": "Be brief"}
        assert body["messages"][-1]["role"] == "tool"
        assert body["stop"] == ["END"]

    def test_bedrock_gets_a_claude_request_with_its_cache_marks(self):
        body = Converters.convert_claude_request_for_bedrock(CLAUDE_REQUEST | {"stream": True, "metadata": {}})

        assert body["messages"][0] == CLAUDE_REQUEST["messages"][0]
        assert body["anthropic_version"] == "bedrock-2023-05-31"
        assert "model" not in body
        assert "stream" not in body


CONVERSE = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"text": "Let me see"},
                {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Paris"}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 115,
        "cacheReadInputTokens": 80,
        "cacheWriteInputTokens": 20,
    },
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Let me see"}, CLAUDE_REQUEST["messages"][1]["content"][0]],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 20},
}
GEMINI = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [{"text": "Let me see"}, {"functionCall": {"name": "weather", "args": {"city": "Paris"}}}],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 110, "candidatesTokenCount": 5, "totalTokenCount": 115},
}
OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-11-20",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Let me see", "tool_calls": [CALL]},
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 110, "completion_tokens": 5, "total_tokens": 115},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Let me see", "annotations": []}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city":"Paris"}',
            "status": "completed",
        },
    ],
    "usage": {"input_tokens": 110, "output_tokens": 5, "total_tokens": 115},
}
TO_OPENAI = [
    (Converters.convert_claude_to_openai, MESSAGE),
    (Converters.convert_claude_to_openai, CONVERSE),
    (Converters.convert_claude37_to_openai, CONVERSE),
    (Converters.convert_gemini_to_openai, GEMINI),
    (Converters.convert_responses_to_openai, RESPONSE),
    (Converters.convert_openai_response_to_openai, OPENAI),
]
NONSENSE = [
    {},
    {"output": {}},
    {"output": {"message": {"content": 5}}},
    {"content": 5},
    {"choices": []},
    {"choices": 1},
]


class TestResponses:
    @pytest.mark.parametrize(("convert", "response"), TO_OPENAI)
    def test_an_openai_client_gets_text_calls_reason_usage_and_the_models_name(self, convert, response):
        before = copy.deepcopy(response)
        answer = convert(response, "the-model")
        [choice] = answer["choices"]
        [call] = choice["message"]["tool_calls"]

        assert (answer["object"], answer["model"]) == ("chat.completion", "the-model")
        assert choice["message"]["content"] == "Let me see"
        assert call["function"]["name"] == "weather"
        assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
        assert choice["finish_reason"] == "tool_calls"
        assert answer["usage"]["prompt_tokens"] == 110
        assert answer["usage"]["total_tokens"] == 115
        assert response == before

    @pytest.mark.parametrize("response", [MESSAGE, CONVERSE])
    def test_what_came_from_a_cache_is_counted(self, response):
        usage = Converters.convert_claude_to_openai(response, "m")["usage"]

        assert usage["prompt_tokens_details"]["cached_tokens"] == 80

    @pytest.mark.parametrize(
        ("answer", "model"),
        [
            (Converters.convert_gemini_response_to_claude(GEMINI), "gemini-pro"),
            (Converters.convert_openai_response_to_claude(OPENAI), "gpt-4o-2024-11-20"),
            (Converters.convert_openai_response_to_claude(OPENAI | {"model": None}), ""),
        ],
    )
    def test_an_anthropic_client_gets_a_message(self, answer, model):
        text, call = answer["content"]

        assert (answer["type"], answer["model"]) == ("message", model)
        assert text == {"type": "text", "text": "Let me see"}
        assert (call["type"], call["name"], call["input"]) == ("tool_use", "weather", {"city": "Paris"})
        assert answer["stop_reason"] == "tool_use"
        assert (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]) == (110, 5)

    def test_each_answer_has_an_id_of_its_own(self):
        ids = {Converters.convert_claude37_to_openai(CONVERSE)["id"] for _ in range(10)}

        assert len(ids) == 10
        assert all(each.startswith("chatcmpl-") for each in ids)

    @pytest.mark.parametrize(
        ("convert", "name"),
        [
            (Converters.convert_claude37_to_openai, "claude-3.7"),
            (Converters.convert_gemini_to_openai, "gemini-pro"),
            (Converters.convert_responses_to_openai, "gpt-5"),
        ],
    )
    def test_the_models_name_may_be_left_out(self, convert, name):
        response = {"claude-3.7": CONVERSE, "gemini-pro": GEMINI, "gpt-5": RESPONSE}[name]

        assert convert(response)["model"] == name

    @pytest.mark.parametrize("nonsense", NONSENSE)
    @pytest.mark.parametrize("convert", [convert for convert, _ in TO_OPENAI[:-1]])
    def test_nonsense_becomes_an_error_object_for_an_openai_client(self, convert, nonsense):
        answer = convert(nonsense, "m")

        assert list(answer) == ["error"]
        assert answer["error"]["type"] == "server_error"

    @pytest.mark.parametrize("nonsense", NONSENSE)
    @pytest.mark.parametrize(
        "convert", [Converters.convert_gemini_response_to_claude, Converters.convert_openai_response_to_claude]
    )
    def test_nonsense_becomes_an_error_object_for_an_anthropic_client(self, convert, nonsense):
        answer = convert(nonsense)

        assert answer["type"] == "error"
        assert answer["error"]["type"] == "api_error"

    def test_nonsense_is_logged_but_not_shown(self, caplog):
        with caplog.at_level(logging.ERROR, "proxy_helpers"):
            answer = Converters.convert_claude37_to_openai({"output": "secret"})

        assert answer["error"]["message"] == "The model's answer makes no sense."
        assert caplog.messages == ["an answer that makes no sense"]


def said(text: str | None) -> list[dict]:
    """Take the chunks out of what a converter wrote."""
    return [json.loads(line.removeprefix("data: ")) for line in (text or "").split("\n") if line]


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
TOOL_USE = {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}
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
    {"type": "content_block_start", "index": 2, "content_block": TOOL_USE},
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
            {"contentBlockDelta": None},
            {"what": "ever"},
            {},
        ],
    )
    def test_what_says_nothing_to_the_client_is_none(self, chunk, caplog):
        assert Converters.convert_claude37_chunk_to_openai(chunk, "m") is None
        assert caplog.messages == []

    @pytest.mark.parametrize("chunk", ['{"type":"message_stop"}', '{"type":"ping"}', "{}"])
    def test_so_is_the_bare_end_of_a_claude_stream(self, chunk, caplog):
        assert Converters.convert_claude_chunk_to_openai(f"data: {chunk}", "m") is None
        assert caplog.messages == []

    @pytest.mark.parametrize("chunk", [{"candidates": []}, {"usageMetadata": {"promptTokenCount": 1}}, {}])
    def test_so_is_a_gemini_chunk_without_candidates(self, chunk, caplog):
        assert Converters.convert_gemini_chunk_to_openai(chunk, "m") is None
        assert Converters.convert_gemini_chunk_to_claude_delta(chunk) is None
        assert caplog.messages == []

    @pytest.mark.parametrize(
        "chunk", ["{bad", "", "x", "5", "[]", "data: {", "(" * 5000, "{'a': open('x')}", 5, None, []]
    )
    @pytest.mark.parametrize(
        "convert",
        [
            Converters.convert_claude37_chunk_to_openai,
            Converters.convert_gemini_chunk_to_openai,
            Converters.convert_claude_chunk_to_openai,
        ],
    )
    def test_nonsense_is_none_and_logged_once(self, convert, chunk, caplog):
        assert convert(chunk, "m") is None
        assert caplog.messages == ["a chunk that makes no sense"]

    def test_a_piece_that_contradicts_itself_is_nonsense_too(self, caplog):
        assert (
            Converters.convert_claude37_chunk_to_openai(
                start(0) | {"contentBlockStart": {"start": {"toolUse": 5}}}, "m"
            )
            is None
        )
        assert caplog.messages == ["a chunk that makes no sense"]

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
                assert each["id"] == stream_id

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
