"""Requests from one dialect to another: what each converter writes, and what vendors say of it."""

import copy
import json

import pytest

from dialects.core.faults import FaultError
from emulator.gemini_generate.request_parser import normalize
from proxy_helpers import Converters
from tests.oracles.anthropic import check_messages_request
from tests.oracles.bedrock import check_converse_request
from tests.oracles.gemini import check_gemini_request
from tests.oracles.openai import check_chat_request, check_responses_request
from tests.proxy_helpers.calls import CALL, TOOL_USE

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
        {"role": "assistant", "content": [TOOL_USE]},
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
        body = convert({name: value for name, value in request_body.items() if name != "temperature"})
        if convert is Converters.convert_claude_request_for_bedrock:
            del body["model"]
        ORACLES[convert](normalize(body) if "contents" in body else body)

    @pytest.mark.parametrize(("convert", "request_body"), REQUESTS)
    def test_tools_and_what_they_said_are_kept(self, convert, request_body):
        body = json.dumps(convert(request_body))

        assert all(word in body for word in ("weather", "Paris", "22C", "city", "Be brief"))

    @pytest.mark.parametrize("convert", [*FROM_OPENAI, *FROM_CLAUDE[:2]])
    def test_a_request_without_messages_is_the_callers_mistake(self, convert):
        for request in ({"messages": 5}, {"messages": "Hi"}, {}, None, []):
            with pytest.raises(FaultError) as refused:
                convert(request)

            assert isinstance(refused.value, ValueError)

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
        assert body["generation_config"]["maxOutputTokens"] == 700
        assert body["safety_settings"] == []
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

    def test_bedrock_gets_a_claude_request_with_its_cache_marks_and_the_caller_its_model(self):
        body = Converters.convert_claude_request_for_bedrock(CLAUDE_REQUEST | {"stream": True, "metadata": {}})

        assert body["messages"][0] == CLAUDE_REQUEST["messages"][0]
        assert body["anthropic_version"] == "bedrock-2023-05-31"
        assert body["model"] == "claude-sonnet-4-5"
        assert "stream" not in body
