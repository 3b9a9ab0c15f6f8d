import copy

import pytest

from dialects.capabilities.models import profile_for
from proxy_helpers import Converters
from routing.protocols import ClaudeConverseProtocol, ProtocolHandler, protocol_for

URL = "https://api.example/v2/inference/deployments/d1"
CONVERSE = ClaudeConverseProtocol()


@pytest.mark.parametrize("base", [URL, URL + "/"])
@pytest.mark.parametrize(
    ("stream", "expected"),
    [(False, f"{URL}/converse"), (True, f"{URL}/converse-stream")],
)
def test_the_path_says_whether_to_stream(base, stream, expected):
    assert CONVERSE.build_endpoint(base, "anthropic--claude-4.5-sonnet", stream) == expected


def test_a_stream_is_asked_for_as_binary_events():
    assert CONVERSE.headers(stream=True) == {"Accept": "application/vnd.amazon.eventstream"}
    assert CONVERSE.headers(stream=False) == {"Accept": "application/json"}


@pytest.mark.parametrize(
    ("model", "spoken"),
    [
        ("anthropic--claude-3.7-sonnet", True),
        ("anthropic--claude-4-sonnet", True),
        ("anthropic--claude-4.5-haiku", True),
        ("anthropic--claude-4.8-opus", True),
        ("amazon--nova-pro", True),
        ("amazon--nova-micro", True),
        ("anthropic--claude-3-haiku", False),
        ("anthropic--claude-3-opus", False),
        ("anthropic--claude-3.5-sonnet", False),
        ("amazon--titan-embed-text", False),
        ("gemini-2.5-pro", False),
        ("gpt-5", False),
    ],
)
def test_it_takes_nova_and_every_claude_from_3_7_on(model, spoken):
    assert CONVERSE.speaks(profile_for(model)) is spoken


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses", "gemini"])
@pytest.mark.parametrize("model", ["anthropic--claude-3.7-sonnet", "anthropic--claude-4.5-sonnet", "amazon--nova-pro"])
def test_who_is_not_anthropics_client_gets_it(client, model):
    assert isinstance(protocol_for(model, client), ClaudeConverseProtocol)


def test_an_anthropic_client_gets_it_only_where_there_is_no_other():
    assert isinstance(protocol_for("amazon--nova-pro", "anthropic-messages"), ClaudeConverseProtocol)
    assert not isinstance(protocol_for("anthropic--claude-4-sonnet", "anthropic-messages"), ClaudeConverseProtocol)


def test_its_dialect_and_converters_are_converses():
    assert isinstance(CONVERSE, ProtocolHandler)
    assert (CONVERSE.name, CONVERSE.dialect) == ("claude-converse", "bedrock-converse")
    assert repr(CONVERSE) == "<claude-converse>"
    assert CONVERSE.get_request_converter() is Converters.convert_openai_to_claude37
    assert CONVERSE.get_response_converter() is Converters.convert_claude37_to_openai


def test_a_request_and_its_answer_go_through():
    request = {
        "model": "anthropic--claude-4-sonnet",
        "max_tokens": 7,
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "hi"}],
    }
    before = copy.deepcopy(request)
    body = CONVERSE.get_request_converter()(request)
    answer = CONVERSE.get_response_converter()(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "ho"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 2, "outputTokens": 1, "totalTokens": 3},
        },
        "claude",
    )

    assert body == {
        "system": [{"text": "Be brief"}],
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 7},
    }
    assert request == before
    assert answer["choices"][0]["message"]["content"] == "ho"
    assert answer["model"] == "claude"
