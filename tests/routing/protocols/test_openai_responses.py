import pytest

from dialects.capabilities.models import profile_for
from proxy_helpers import Converters
from routing.protocols import OpenAIChatProtocol, OpenAIResponsesProtocol, protocol_for
from routing.protocols.openai_responses import CompactionProtocol

URL = "https://api.example/v2/inference/deployments/d1"
RESPONSES = OpenAIResponsesProtocol()
CLIENTS = ["openai-chat", "openai-responses", "anthropic-messages", "gemini"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("base", [URL, URL + "/"])
def test_there_is_one_path_and_no_version(base, stream):
    assert RESPONSES.build_endpoint(base, "gpt-5", stream) == f"{URL}/responses"


@pytest.mark.parametrize("base", [URL, URL + "/"])
def test_a_conversation_is_made_shorter_behind_that_path(base):
    assert CompactionProtocol().build_endpoint(base, "gpt-5", stream=False) == f"{URL}/responses/compact"


def test_a_stream_is_asked_for_as_text_events():
    assert RESPONSES.headers(stream=True) == {"Accept": "text/event-stream"}
    assert RESPONSES.headers(stream=False) == {"Accept": "application/json"}


@pytest.mark.parametrize(
    ("model", "spoken"),
    [
        ("gpt-4.1", False),
        ("gpt-4.1-mini", False),
        ("gpt-5", True),
        ("gpt-5-nano", True),
        ("gpt-5.3-codex", True),
        ("gpt-5.4", True),
        ("o1", False),
        ("o3-mini", False),
        ("o4-mini", False),
        ("gpt-4o", False),
        ("gpt-4", False),
        ("gpt-4-32k", False),
        ("gpt-4-12", False),
        ("gpt-35-turbo", False),
        ("gpt-realtime", False),
        ("text-embedding-3-small", False),
        ("mistralai--mistral-small", False),
        ("anthropic--claude-4-sonnet", False),
    ],
)
def test_it_takes_the_gpt_5_family(model, spoken):
    assert RESPONSES.speaks(profile_for(model)) is spoken


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5-mini", "gpt-5.4"])
def test_a_client_of_responses_gets_its_own_language(model):
    assert isinstance(protocol_for(model, "openai-responses"), OpenAIResponsesProtocol)


def test_a_client_of_responses_gets_chat_where_responses_is_not_spoken():
    for model in ("gpt-4o", "gpt-4.1", "o3"):
        assert isinstance(protocol_for(model, "openai-responses"), OpenAIChatProtocol)


@pytest.mark.parametrize("client", CLIENTS)
def test_what_knows_only_responses_is_asked_in_it_by_everyone(client):
    assert isinstance(protocol_for("gpt-5.3-codex", client), OpenAIResponsesProtocol)


@pytest.mark.parametrize("client", CLIENTS)
def test_tools_with_reasoning_go_where_they_are_taken_together(client):
    assert isinstance(protocol_for("gpt-5.4", client, tools_with_reasoning=True), OpenAIResponsesProtocol)


@pytest.mark.parametrize("model", ["gpt-5", "gpt-4.1", "o3"])
def test_tools_with_reasoning_change_nothing_where_chat_takes_them_too(model):
    assert isinstance(protocol_for(model, "openai-chat", tools_with_reasoning=True), OpenAIChatProtocol)


def test_its_dialect_and_converters_are_responses_own():
    assert (RESPONSES.name, RESPONSES.dialect) == ("openai-responses", "openai-responses")
    assert RESPONSES.get_request_converter() is Converters.convert_openai_to_responses
    assert RESPONSES.get_response_converter() is Converters.convert_responses_to_openai


def test_a_request_and_its_answer_go_through():
    body = RESPONSES.get_request_converter()(
        {"model": "gpt-5.3-codex", "max_tokens": 700, "messages": [{"role": "user", "content": "hi"}]}
    )
    answer = RESPONSES.get_response_converter()(
        {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "model": "gpt-5.3-codex",
            "output": [
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "ho", "annotations": []}],
                }
            ],
            "usage": {"input_tokens": 2, "output_tokens": 1, "total_tokens": 3},
        },
        "codex",
    )

    assert body["max_output_tokens"] == 700
    assert "messages" not in body
    assert body["input"]
    assert answer["choices"][0]["message"]["content"] == "ho"
    assert answer["model"] == "codex"
