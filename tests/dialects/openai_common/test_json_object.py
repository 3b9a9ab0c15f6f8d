"""Any JSON object is asked of each model as it can be: in its own mode, with the word OpenAI wants, or by a schema."""

import pytest

from dialects.capabilities.models import profile_for
from dialects.core.conversation import JSON
from dialects.framing.json_text import dumps
from dialects.interface import Envelope
from dialects.registry import BACKENDS, CLIENTS
from dialects.translator import ClientRequest, translator_for
from tests.dialects.test_laws import ORACLES

ASKED: dict[str, JSON] = {
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "a colour?"}]}],
        "generationConfig": {"responseMimeType": "application/json"},
    },
    "openai-chat": {
        "messages": [{"role": "system", "content": "Answer in JSON."}, {"role": "user", "content": "a colour?"}],
        "response_format": {"type": "json_object"},
    },
    "openai-responses": {"input": "a colour, in JSON?", "text": {"format": {"type": "json_object"}}},
}


def rendered(client: str, backend: str, model: str) -> tuple[JSON, tuple[str, ...]]:
    """What a client's request becomes for a model, on the way that the translator chooses."""
    profile = profile_for(model)
    body = {"model": model, **ASKED[client]}
    request = ClientRequest(client, body, Envelope("tok", model, 0, CLIENTS[client].parse_request(body)))
    made = translator_for(request, backend, profile).render_request(profile)
    ORACLES[backend](made.body)
    return made.body, made.dropped


@pytest.mark.parametrize("client", ASKED)
def test_a_gpt_on_chat_completions_is_told_the_word(client: str) -> None:
    body, dropped = rendered(client, "openai-chat", "gpt-4.1")

    assert body["response_format"] == {"type": "json_object"}
    assert "json" in dumps(body["messages"]).lower()
    assert dropped == ()


@pytest.mark.parametrize("client", ASKED)
def test_a_gpt_on_responses_is_told_the_word_where_it_counts(client: str) -> None:
    """What the instructions say does not count."""
    body, dropped = rendered(client, "openai-responses", "gpt-5.3-codex")

    assert body["text"] == {"format": {"type": "json_object"}}
    assert "json" in dumps(body["input"]).lower()
    assert dropped == ()


def test_a_client_of_openais_that_does_not_say_the_word_is_told_by_openai() -> None:
    profile = profile_for("gpt-4.1")
    asked = {"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_object"}}
    made = BACKENDS["openai-chat"].render_request(CLIENTS["openai-chat"].parse_request(asked), profile)

    assert made.body["messages"] == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("client", ASKED)
def test_a_model_that_knows_schemas_only_is_given_one(client: str) -> None:
    body, dropped = rendered(client, "openai-chat", "sonar-pro")

    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert dropped == ("response_format json_object",)


@pytest.mark.parametrize("client", ASKED)
@pytest.mark.parametrize("model", ["anthropic--claude-4.5-sonnet", "anthropic--claude-3-haiku", "amazon--nova-pro"])
def test_a_model_on_bedrock_is_made_to_call_a_tool(client: str, model: str) -> None:
    body, dropped = rendered(client, "bedrock-converse", model)
    [tool] = body["toolConfig"]["tools"]

    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": tool["toolSpec"]["name"]}}
    assert tool["toolSpec"]["inputSchema"]["json"]["type"] == "object"
    assert dropped == ()


@pytest.mark.parametrize("client", ASKED)
def test_a_model_that_draws_is_asked_in_words(client: str) -> None:
    body, dropped = rendered(client, "gemini", "gemini-2.5-flash-image")

    assert "JSON" in dumps(body["systemInstruction"])
    assert "generationConfig" not in body
    assert dropped == ("response_format",)
