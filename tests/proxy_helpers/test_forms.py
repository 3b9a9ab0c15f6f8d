"""The forms in which requests are written: such as callers with one body in hand know, and such as backends read."""

import pytest

from dialects import anthropic_messages, gemini, openai_chat
from dialects.capabilities.models import profile_for
from emulator.gemini_generate.request_parser import normalize
from proxy_helpers import Converters
from tests.proxy_helpers.calls import CALL, TOOL_USE

SYSTEM = {"role": "system", "content": "Be brief"}
HELLO = {"role": "user", "content": "Hello"}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ANSWER = {"role": "tool", "tool_call_id": "call_1", "content": "22C"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}}}]
CLAUDES_TOOLS = [{"name": "weather", "description": "d", "input_schema": {"type": "object"}}]


def text(value: str, **more: object) -> dict:
    return {"type": "text", "text": value, **more}


class TestGemini:
    def test_a_single_turn_stands_without_a_list_and_so_does_its_text(self):
        body = Converters.convert_openai_to_gemini({"messages": [SYSTEM, HELLO], "max_tokens": 7, "tools": TOOLS})

        assert body == {
            "contents": {"role": "user", "parts": {"text": "Hello"}},
            "systemInstruction": {"parts": [{"text": "Be brief"}]},
            "tools": [{"function_declarations": [{"name": "weather", "description": "d"}]}],
            "generation_config": {"maxOutputTokens": 7},
            "safety_settings": [],
        }

    def test_of_an_anthropic_request_the_turns_are_always_a_list(self):
        body = Converters.convert_claude_request_to_gemini({"messages": [HELLO], "tools": CLAUDES_TOOLS})

        assert body["contents"] == [{"role": "user", "parts": {"text": "Hello"}}]
        assert [each["name"] for each in body["tools"][0]["function_declarations"]] == ["weather"]

    @pytest.mark.parametrize(
        ("messages", "expected"),
        [
            ([HELLO, HELLO], "Hello\n\nHello"),
            ([{"role": "user", "content": [text("a"), text("b")]}], "ab"),
            ([{"role": "user", "content": [text("a"), text("")]}, HELLO], "a\n\nHello"),
        ],
    )
    def test_texts_of_one_speaker_are_one_text(self, messages, expected):
        assert Converters.convert_openai_to_gemini({"messages": messages})["contents"]["parts"] == {"text": expected}

    def test_those_of_an_anthropic_message_have_a_blank_between_them(self):
        messages = [{"role": "user", "content": [text("a"), text("b")]}, {"role": "user", "content": "c"}]
        [turn] = Converters.convert_claude_request_to_gemini({"messages": messages})["contents"]

        assert turn["parts"] == {"text": "a b\n\nc"}

    def test_what_is_no_text_keeps_its_place_between_texts(self):
        messages = [{"role": "user", "content": [text("a"), IMAGE, text("b"), text("c")]}]
        body = Converters.convert_openai_to_gemini({"messages": messages})

        image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
        assert body["contents"]["parts"] == [{"text": "a"}, image, {"text": "bc"}]

    @pytest.mark.parametrize(
        "messages",
        [[HELLO], [SYSTEM, HELLO], [HELLO, CALLING, ANSWER], [{"role": "user", "content": [text("a"), IMAGE]}]],
    )
    def test_google_reads_it_as_what_the_proxy_would_send(self, messages):
        request = {"model": "gemini-2.5-pro", "messages": messages, "tools": TOOLS, "temperature": 0.5}
        conversation = openai_chat.parse_request(request)
        sent = gemini.render_request(conversation, profile_for("gemini-2.5-pro")).body

        assert normalize(Converters.convert_openai_to_gemini(request)) == sent | {"safetySettings": []}


class TestInvoke:
    def test_texts_that_stand_alone_are_strings(self):
        body = Converters.convert_openai_to_claude({"messages": [SYSTEM, HELLO, CALLING, ANSWER]})

        assert body["system"] == "Be brief"
        assert [
            each["content"] if isinstance(each["content"], str) else type(each["content"]) for each in body["messages"]
        ] == ["Hello", list, list]

    def test_no_system_prompt_is_an_empty_one(self):
        assert Converters.convert_openai_to_claude({"messages": [HELLO]})["system"] == ""

    def test_what_is_marked_for_a_cache_stays_a_block(self):
        marked = [text("Long", cache_control={"type": "ephemeral"})]
        messages = [{"role": "system", "content": marked}, {"role": "user", "content": marked}]
        body = Converters.convert_openai_to_claude({"messages": messages})

        assert marked == body["system"]
        assert marked == body["messages"][0]["content"]

    def test_no_length_is_longer_than_the_model_can_write(self):
        for model, longest in (("claude-3.5-sonnet", 8192), ("anthropic--claude-4.5-sonnet", 64_000)):
            body = Converters.convert_openai_to_claude({"model": model, "messages": [HELLO]})

            assert 0 < body["max_tokens"] <= longest

    def test_bedrock_gets_blocks_also_where_an_anthropic_client_wrote_strings(self):
        tool_turn = {"role": "assistant", "content": [TOOL_USE]}
        body = Converters.convert_claude_request_for_bedrock({"system": "Be brief", "messages": [HELLO, tool_turn]})

        assert [each["content"] for each in body["messages"]] == [[text("Hello")], [TOOL_USE]]
        assert body["system"] == "Be brief"
        assert "model" not in body

    @pytest.mark.parametrize("messages", [[HELLO], [SYSTEM, HELLO, CALLING, ANSWER]])
    def test_anthropic_reads_it_as_what_the_proxy_would_send(self, messages):
        request = {"model": "anthropic--claude-4.5-sonnet", "messages": messages, "tools": TOOLS}
        conversation = openai_chat.parse_request(request)
        sent = anthropic_messages.render_request(conversation, profile_for(request["model"])).body
        written = Converters.convert_openai_to_claude(request) | {"model": "m"}

        assert anthropic_messages.parse_request(sent | {"model": "m"}) == anthropic_messages.parse_request(written)


class TestConverse:
    @pytest.mark.parametrize("model", ["anthropic--claude-4-sonnet", "amazon--nova-pro"])
    @pytest.mark.parametrize("settings", [{}, {"max_tokens": "many"}, {"max_tokens": None}])
    def test_nobody_named_a_length_so_the_model_chooses(self, settings, model):
        body = Converters.convert_openai_to_claude37({"model": model, "messages": [HELLO], **settings})

        assert body == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}

    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
    def test_somebody_did(self, name):
        body = Converters.convert_openai_to_claude37({"messages": [HELLO], "temperature": 0.5, name: 7})

        assert body["inferenceConfig"] == {"maxTokens": 7, "temperature": 0.5}

    def test_other_settings_stay_without_one(self):
        body = Converters.convert_openai_to_claude37({"messages": [HELLO], "temperature": 0.5})

        assert body["inferenceConfig"] == {"temperature": 0.5}

    def test_thinking_must_be_shorter_than_the_length_so_there_is_one(self):
        request = {"model": "anthropic--claude-4-sonnet", "messages": [HELLO], "reasoning_effort": "high"}
        body = Converters.convert_openai_to_claude37(request)
        thinking = body["additionalModelRequestFields"]["thinking"]

        assert thinking["budget_tokens"] < body["inferenceConfig"]["maxTokens"]


class TestOpenAI:
    @pytest.mark.parametrize("model", ["gpt-4.1", "claude-3.5-sonnet", None])
    def test_a_claude_request_keeps_the_model_it_names(self, model):
        body = Converters.convert_claude_request_to_openai({"model": model, "messages": [HELLO]})

        assert model == body["model"]
        assert body == Converters.convert_claude_request_to_openai({"messages": [HELLO]}) | {"model": model}

    @pytest.mark.parametrize(
        ("model", "length"),
        [
            ("gpt-4.1", "max_completion_tokens"),
            (None, "max_completion_tokens"),
            ("mistralai--mistral-large", "max_tokens"),
        ],
    )
    def test_the_length_has_the_newest_name_the_vendor_knows(self, model, length):
        body = Converters.convert_claude_request_to_openai({"model": model, "messages": [HELLO], "max_tokens": 7})

        assert [(name, value) for name, value in body.items() if name.startswith("max_")] == [(length, 7)]
