import copy

import pytest

from dialects.capabilities.models import profile_for
from proxy_helpers import Converters
from routing.protocols import GeminiGenerateProtocol, protocol_for

URL = "https://api.example/v2/inference/deployments/d1"
GEMINI = GeminiGenerateProtocol()


@pytest.mark.parametrize("base", [URL, URL + "/"])
@pytest.mark.parametrize(
    ("model", "stream", "expected"),
    [
        ("gemini-2.5-pro", False, f"{URL}/models/gemini-2.5-pro:generateContent"),
        ("gemini-2.5-pro", True, f"{URL}/models/gemini-2.5-pro:streamGenerateContent"),
        ("gemini-2.5-pro:generateContent", True, f"{URL}/models/gemini-2.5-pro:streamGenerateContent"),
        ("models/gemini-2.5-flash", False, f"{URL}/models/gemini-2.5-flash:generateContent"),
        ("google--gemini-2.5-flash", False, f"{URL}/models/gemini-2.5-flash:generateContent"),
        ("gemini ?#", False, f"{URL}/models/gemini%20%3F%23:generateContent"),
    ],
)
def test_the_path_names_the_model_bare_and_says_whether_to_stream(base, model, stream, expected):
    assert GEMINI.build_endpoint(base, model, stream) == expected


def test_a_stream_is_asked_for_as_text_events():
    assert GEMINI.headers(stream=True) == {"Accept": "text/event-stream"}
    assert GEMINI.headers(stream=False) == {"Accept": "application/json"}


@pytest.mark.parametrize(
    ("model", "spoken"),
    [("gemini-2.5-pro", True), ("gemini-3.5-flash", True), ("gpt-5", False), ("anthropic--claude-4-sonnet", False)],
)
def test_it_takes_every_gemini(model, spoken):
    assert GEMINI.speaks(profile_for(model)) is spoken


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses", "gemini", "anthropic-messages"])
def test_gemini_is_asked_in_it_by_everyone(client):
    assert isinstance(protocol_for("gemini-2.5-pro", client), GeminiGenerateProtocol)


def test_its_dialect_and_converters_are_googles():
    assert (GEMINI.name, GEMINI.dialect) == ("gemini-generate", "gemini")
    assert GEMINI.get_request_converter() is Converters.convert_openai_to_gemini
    assert GEMINI.get_response_converter() is Converters.convert_gemini_to_openai


def test_a_request_and_its_answer_go_through():
    request = {
        "model": "gemini-2.5-pro",
        "max_tokens": 7,
        "stream": True,
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "hi"}],
    }
    before = copy.deepcopy(request)
    body = GEMINI.get_request_converter()(request)
    answer = GEMINI.get_response_converter()(
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": "ho"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 2, "candidatesTokenCount": 1, "totalTokenCount": 3},
        },
        "gemini",
    )

    assert body["contents"] == {"role": "user", "parts": {"text": "hi"}}
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief"}]
    assert body["generation_config"]["maxOutputTokens"] == 7
    assert "model" not in body
    assert "stream" not in body
    assert request == before
    assert answer["choices"][0]["message"]["content"] == "ho"
    assert answer["usage"]["total_tokens"] == 3
