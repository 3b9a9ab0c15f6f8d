import copy

import pytest

from dialects.capabilities.models import PROFILES, profile_for
from dialects.core.faults import FaultError, FaultKind
from proxy_helpers import Converters
from routing.protocols import (
    PROTOCOLS,
    ClaudeConverseProtocol,
    ClaudeInvokeProtocol,
    EmbeddingsProtocol,
    GeminiGenerateProtocol,
    OpenAIChatProtocol,
    OpenAIResponsesProtocol,
    protocol_for,
)

URL = "https://api.example/v2/inference/deployments/d1"
CHAT = OpenAIChatProtocol()
OLD = "/chat/completions?api-version=2023-05-15"
NEW = "/chat/completions?api-version=2024-12-01-preview"
PLAIN = "/chat/completions"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("base", [URL, URL + "/"])
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gpt-4o", OLD),
        ("gpt-4.1", OLD),
        ("gpt-4", OLD),
        ("gpt-5", NEW),
        ("gpt-5-mini", NEW),
        ("gpt-5.4", NEW),
        ("o1", NEW),
        ("o3", NEW),
        ("o4-mini", NEW),
        ("mistralai--mistral-large-instruct", PLAIN),
        ("meta--llama3.1-70b-instruct", PLAIN),
        ("sonar-pro", PLAIN),
        ("nvidia--llama-3.2-nv-embedqa-1b", PLAIN),
        ("something-o3-like", PLAIN),
        ("cohere--command-a-reasoning", "/v2/chat"),
    ],
)
def test_the_path_depends_on_who_made_the_model_and_only_azure_wants_a_version(stream, base, model, path):
    assert CHAT.build_endpoint(base, model, stream) == URL + path


def test_a_stream_is_asked_for_as_text_events():
    assert CHAT.headers(stream=True) == {"Accept": "text/event-stream"}
    assert CHAT.headers(stream=False) == {"Accept": "application/json"}


@pytest.mark.parametrize(
    ("model", "spoken"),
    [
        ("gpt-4.1", True),
        ("gpt-5.4", True),
        ("o3", True),
        ("mistralai--mistral-small", True),
        ("sonar", True),
        ("never-heard-of", True),
        ("gpt-5.3-codex", False),
        ("gemini-2.5-pro", False),
        ("amazon--nova-pro", False),
        ("amazon--titan-embed-text", False),
        ("anthropic--claude-4-sonnet", False),
    ],
)
def test_it_takes_what_has_no_language_of_its_own(model, spoken):
    assert CHAT.speaks(profile_for(model)) is spoken


@pytest.mark.parametrize("client", ["openai-chat", "anthropic-messages", "gemini"])
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5", "gpt-5.4", "o3"])
def test_a_gpt_is_asked_in_it_unless_the_client_speaks_responses(client, model):
    assert isinstance(protocol_for(model, client), OpenAIChatProtocol)


def test_its_dialect_and_converters_are_openais():
    assert (CHAT.name, CHAT.dialect) == ("openai-chat", "openai-chat")
    assert CHAT.get_request_converter() is Converters.convert_openai_to_openai
    assert CHAT.get_response_converter() is Converters.convert_openai_response_to_openai


def test_a_reasoning_model_is_not_sent_what_it_refuses():
    request = {
        "model": "gpt-5",
        "max_tokens": 7,
        "temperature": 0.5,
        "messages": [{"role": "user", "content": "hi"}],
    }
    before = copy.deepcopy(request)
    body = CHAT.get_request_converter()(request)

    assert "temperature" not in body
    assert "max_tokens" not in body
    assert body["max_completion_tokens"] == 7
    assert body["messages"] == request["messages"]
    assert request == before


def test_an_answer_comes_under_the_name_that_was_asked_for():
    answer = CHAT.get_response_converter()(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o-2024-11-20",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "ho"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3},
        },
        "gpt-4o",
    )

    assert (answer["id"], answer["model"]) == ("chatcmpl-1", "gpt-4o")
    assert answer["choices"][0]["message"]["content"] == "ho"


class TestTheTable:
    def test_the_protocols_are_tried_in_this_order(self):
        assert [type(protocol) for protocol in PROTOCOLS] == [
            ClaudeConverseProtocol,
            ClaudeInvokeProtocol,
            GeminiGenerateProtocol,
            OpenAIChatProtocol,
            OpenAIResponsesProtocol,
            EmbeddingsProtocol,
        ]

    def test_no_two_protocols_share_a_name_or_a_dialect(self):
        assert len({protocol.name for protocol in PROTOCOLS}) == len(PROTOCOLS)
        assert len({protocol.dialect for protocol in PROTOCOLS}) == len(PROTOCOLS)

    @pytest.mark.parametrize("profile", [profile for _, profile in PROFILES])
    def test_every_kind_of_model_is_spoken_to_by_somebody(self, profile):
        assert any(protocol.speaks(profile) for protocol in PROTOCOLS)

    def test_a_model_that_no_protocol_speaks_to_is_the_callers_mistake(self):
        with pytest.raises(FaultError) as caught:
            protocol_for("gpt-5", "openai-chat", protocols=[GeminiGenerateProtocol()])

        assert FaultKind.INVALID_REQUEST is caught.value.fault.kind
        assert caught.value.fault.message == "'gpt-5' is not supported by any protocol of the proxy"
        assert caught.value.fault.param == "model"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("model", "body", "path"),
    [
        ("gpt-4.1", {"messages": []}, OLD),
        ("gpt-4.1", {"messages": [], "tools": []}, NEW),
        ("gpt-5", {"messages": []}, NEW),
        ("sonar-pro", {"messages": [], "tools": []}, PLAIN),
    ],
)
def test_a_body_that_says_more_than_text_takes_a_version_that_knows_it(stream, model, body, path):
    assert CHAT.build_endpoint_for(URL, model, body, stream=stream) == URL + path
