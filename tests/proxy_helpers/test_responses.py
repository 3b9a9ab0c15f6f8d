"""Whole answers from one dialect to another, and those that make no sense."""

import copy
import json
import logging

import pytest

from proxy_helpers import Converters
from tests.proxy_helpers.calls import CALL, TOOL_USE

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
    "content": [{"type": "text", "text": "Let me see"}, TOOL_USE],
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

        assert ("chat.completion", "the-model") == (answer["object"], answer["model"])
        assert "Let me see" == choice["message"]["content"]
        assert "weather" == call["function"]["name"]
        assert {"city": "Paris"} == json.loads(call["function"]["arguments"])
        assert "tool_calls" == choice["finish_reason"]
        assert 110 == answer["usage"]["prompt_tokens"]
        assert 115 == answer["usage"]["total_tokens"]
        assert response == before

    @pytest.mark.parametrize("response", [MESSAGE, CONVERSE])
    def test_what_came_from_a_cache_is_counted(self, response):
        usage = Converters.convert_claude_to_openai(response, "m")["usage"]

        assert 80 == usage["prompt_tokens_details"]["cached_tokens"]

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
        assert {"type": "text", "text": "Let me see"} == text
        assert ("tool_use", "weather", {"city": "Paris"}) == (call["type"], call["name"], call["input"])
        assert "tool_use" == answer["stop_reason"]
        assert (110, 5) == (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"])

    def test_each_answer_has_an_id_of_its_own(self):
        ids = {Converters.convert_claude37_to_openai(CONVERSE)["id"] for _ in range(10)}

        assert 10 == len(ids)
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

        assert ["error"] == list(answer)
        assert "server_error" == answer["error"]["type"]

    @pytest.mark.parametrize("nonsense", NONSENSE)
    @pytest.mark.parametrize(
        "convert", [Converters.convert_gemini_response_to_claude, Converters.convert_openai_response_to_claude]
    )
    def test_nonsense_becomes_an_error_object_for_an_anthropic_client(self, convert, nonsense):
        answer = convert(nonsense)

        assert "error" == answer["type"]
        assert "api_error" == answer["error"]["type"]

    def test_nonsense_is_logged_but_not_shown(self, caplog):
        with caplog.at_level(logging.ERROR, "proxy_helpers"):
            answer = Converters.convert_claude37_to_openai({"output": "secret"})

        assert "The model's answer makes no sense." == answer["error"]["message"]
        assert ["an answer that makes no sense"] == caplog.messages
