"""Whole answers from one dialect to another, and those that make no sense."""

import copy
import json
import logging
import re

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
    None,
    [],
    "text",
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

        assert ("message", model) == (answer["type"], answer["model"])
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

        assert name == convert(response)["model"]

    @pytest.mark.parametrize(
        ("convert", "response", "prefix"),
        [
            (Converters.convert_claude_to_openai, MESSAGE, "chatcmpl-claude-"),
            (Converters.convert_claude37_to_openai, CONVERSE, "chatcmpl-claude-"),
            (Converters.convert_gemini_to_openai, GEMINI, "chatcmpl-gemini-"),
            (Converters.convert_responses_to_openai, RESPONSE, "chatcmpl-"),
            (lambda response, _: Converters.convert_gemini_response_to_claude(response), GEMINI, "msg_gemini_"),
            (lambda response, _: Converters.convert_openai_response_to_claude(response), OPENAI, "msg_openai_"),
        ],
    )
    def test_an_answer_keeps_its_id_or_gets_one_that_says_whose_it_is(self, convert, response, prefix):
        without = {name: value for name, value in response.items() if name != "id"}

        assert convert(response | {"id": "own"}, "m")["id"] == "own"
        assert re.fullmatch(prefix + "[0-9a-f]{32}", convert(without, "m")["id"])
        assert re.fullmatch(prefix + "[0-9a-f]{32}", convert(without | {"id": None}, "m")["id"])

    @pytest.mark.parametrize("name", ["cacheWriteInputTokens", "cacheCreationInputTokens"])
    def test_what_was_written_to_a_cache_is_counted_under_either_name(self, name):
        counted = {"inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 80, name: 20}
        usage = Converters.convert_claude37_to_openai(CONVERSE | {"usage": counted})["usage"]

        assert usage["prompt_tokens"] == 110
        assert tuple(
            usage["prompt_tokens_details"][each]
            for each in ("cached_tokens", "cache_write_tokens", "cache_creation_tokens")
        ) == (80, 20, 20)

    def test_a_claude_block_with_a_text_needs_no_type(self):
        blocks = [{"thinking": "Hm"}, {"text": "Hello"}]
        [choice] = Converters.convert_claude_to_openai(MESSAGE | {"content": blocks}, "m")["choices"]

        assert (choice["message"]["content"], choice["message"]["reasoning_content"]) == ("Hello", "Hm")

    def test_a_gemini_answer_may_hold_one_part_without_a_list(self):
        answer = {"candidates": [{"content": {"parts": {"text": "Hello"}}, "finishReason": "STOP"}]}

        assert Converters.convert_gemini_to_openai(answer)["choices"][0]["message"]["content"] == "Hello"

    @pytest.mark.parametrize(("convert", "response"), TO_OPENAI[:-1])
    def test_an_answer_that_counts_no_tokens_has_cost_none_but_the_log_tells(self, convert, response, caplog):
        told = convert({name: value for name, value in response.items() if not name.startswith("usage")}, "m")

        assert (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]) == (0, 0)
        assert caplog.messages == ["an answer that counts no tokens"]

    def test_an_answer_by_converse_is_logged_as_one(self, caplog):
        with caplog.at_level(logging.INFO, "proxy_helpers"):
            Converters.convert_claude_to_openai(MESSAGE, "m")

            assert caplog.messages == []

            Converters.convert_claude_to_openai(CONVERSE, "m")

        assert caplog.messages == ["an answer of Converse, as Claude 3.7/4 gives"]

    @pytest.mark.parametrize("nonsense", NONSENSE)
    @pytest.mark.parametrize("convert", [convert for convert, _ in TO_OPENAI[:-1]])
    def test_nonsense_becomes_an_error_object_for_an_openai_client(self, convert, nonsense):
        message = "Failed to convert the answer: Invalid response from the model."

        assert convert(nonsense, "m") == {
            "object": "error",
            "error": message,
            "message": message,
            "type": "proxy_conversion_error",
            "param": None,
            "code": None,
        }

    @pytest.mark.parametrize("nonsense", NONSENSE)
    @pytest.mark.parametrize(
        "convert", [Converters.convert_gemini_response_to_claude, Converters.convert_openai_response_to_claude]
    )
    def test_nonsense_becomes_an_error_object_for_an_anthropic_client(self, convert, nonsense):
        answer = convert(nonsense)

        assert answer["type"] == "error"
        assert answer["error"]["type"] == "proxy_conversion_error"

    @pytest.mark.parametrize(
        ("convert", "response"),
        [
            (Converters.convert_claude37_to_openai, {"output": {"message": {"content": [{"type": "tool_use"}]}}}),
            (Converters.convert_claude_to_openai, {"content": [{"type": "hologram"}, {"type": "smell"}]}),
            (Converters.convert_gemini_to_openai, {"candidates": [{"content": {"parts": [{"smell": "rose"}]}}]}),
        ],
    )
    def test_so_does_an_answer_of_nothing_but_unknown_parts(self, convert, response):
        assert convert(response, "m")["type"] == "proxy_conversion_error"

    @pytest.mark.parametrize(
        ("convert", "response"),
        [
            (Converters.convert_claude37_to_openai, {"output": {"message": {"content": []}}}),
            (Converters.convert_claude_to_openai, {"content": []}),
            (Converters.convert_gemini_to_openai, {"candidates": [{"finishReason": "MAX_TOKENS"}]}),
        ],
    )
    def test_an_empty_answer_is_none(self, convert, response):
        assert convert(response, "m")["choices"][0]["message"]["content"] == ""

    def test_a_failure_of_the_models_is_told_as_one(self):
        failure = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down"}}

        assert Converters.convert_gemini_to_openai(failure)["error"]["message"] == "slow down"
        assert Converters.convert_gemini_response_to_claude(failure)["error"]["type"] == "rate_limit_error"

    def test_nonsense_is_logged_but_not_shown(self, caplog):
        with caplog.at_level(logging.ERROR, "proxy_helpers"):
            answer = Converters.convert_claude37_to_openai({"output": "secret"})

        assert "secret" not in str(answer)
        assert caplog.messages == ["an answer that cannot be read"]
