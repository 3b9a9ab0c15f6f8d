import copy

import pytest

from dialects.capabilities.models import profile_for
from proxy_helpers import Converters
from routing.protocols import ClaudeInvokeProtocol, protocol_for

URL = "https://api.example/v2/inference/deployments/d1"
INVOKE = ClaudeInvokeProtocol()


@pytest.mark.parametrize("base", [URL, URL + "/"])
@pytest.mark.parametrize(
    ("stream", "expected"),
    [(False, f"{URL}/invoke"), (True, f"{URL}/invoke-with-response-stream")],
)
def test_the_path_says_whether_to_stream(base, stream, expected):
    assert INVOKE.build_endpoint(base, "anthropic--claude-3.5-sonnet", stream) == expected


def test_a_stream_is_asked_for_as_text_events():
    assert INVOKE.headers(stream=True) == {"Accept": "text/event-stream"}
    assert INVOKE.headers(stream=False) == {"Accept": "application/json"}


@pytest.mark.parametrize(
    ("model", "spoken"),
    [
        ("anthropic--claude-3-haiku", True),
        ("anthropic--claude-3.5-sonnet", True),
        ("anthropic--claude-4.5-sonnet", True),
        ("amazon--titan-embed-text", True),
        ("amazon--nova-pro", False),
        ("gemini-2.5-pro", False),
        ("gpt-5", False),
    ],
)
def test_it_takes_every_claude_and_titan(model, spoken):
    assert INVOKE.speaks(profile_for(model)) is spoken


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses", "gemini", "anthropic-messages"])
@pytest.mark.parametrize("model", ["anthropic--claude-3-haiku", "anthropic--claude-3.5-sonnet"])
def test_an_old_claude_is_asked_in_it_by_everyone(client, model):
    assert isinstance(protocol_for(model, client), ClaudeInvokeProtocol)


@pytest.mark.parametrize("model", ["anthropic--claude-3.7-sonnet", "anthropic--claude-4.8-opus"])
def test_an_anthropic_client_gets_its_own_language(model):
    assert isinstance(protocol_for(model, "anthropic-messages"), ClaudeInvokeProtocol)


def test_its_dialect_and_converters_are_anthropics():
    assert (INVOKE.name, INVOKE.dialect) == ("claude-invoke", "anthropic-messages")
    assert INVOKE.get_request_converter() is Converters.convert_openai_to_claude
    assert INVOKE.get_response_converter() is Converters.convert_claude_to_openai


def test_a_request_and_its_answer_go_through():
    request = {
        "model": "anthropic--claude-3.5-sonnet",
        "max_tokens": 7,
        "stream": True,
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "hi"}],
    }
    before = copy.deepcopy(request)
    body = INVOKE.get_request_converter()(request)
    answer = INVOKE.get_response_converter()(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "x",
            "content": [{"type": "text", "text": "ho"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 2, "output_tokens": 1},
        },
        "claude",
    )

    assert body["anthropic_version"] == "bedrock-2023-05-31"
    assert body["max_tokens"] == 7
    assert "model" not in body
    assert "stream" not in body
    assert request == before
    assert answer["choices"][0]["message"]["content"] == "ho"
    assert answer["choices"][0]["finish_reason"] == "stop"
