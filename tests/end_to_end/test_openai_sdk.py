"""OpenAI's own SDK against the proxy: text, streams with usage, and tools, from every family."""

import json
from collections.abc import Iterator

import openai
import pytest

from tests.support.running import KEY, Proxy

CHAT_MODELS = [
    "anthropic--claude-3.5-sonnet",
    "anthropic--claude-4.5-sonnet",
    "anthropic--claude-4.8-opus",
    "gemini-2.5-pro",
    "gemini-3.5-flash",
    "gpt-4.1",
    "gpt-5",
    "gpt-5.3-codex",
    "amazon--nova-pro",
]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Say what the weather is like.",
        "parameters": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_text_comes_with_its_usage(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there"}],
    )

    assert "Hello there" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert model == answer.model
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == answer.usage.total_tokens


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_a_stream_says_the_same_as_the_answer_in_one_piece(client: openai.OpenAI, model: str) -> None:
    ask = {"model": model, "messages": [{"role": "user", "content": "scene:quirks please"}]}
    whole = client.chat.completions.create(**ask)
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    finishes = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert whole.choices[0].message.content == text
    assert finishes == ["stop"]
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert {model} == {chunk.model for chunk in chunks}
    assert chunks[-1].usage is not None
    assert whole.usage is not None
    assert whole.usage.completion_tokens == chunks[-1].usage.completion_tokens
    assert chunks[-1].choices == []


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_no_usage_chunk_comes_unasked(client: openai.OpenAI, model: str) -> None:
    chunks = list(
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}], stream=True)
    )

    assert all(chunk.usage is None for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", CHAT_MODELS)
def test_a_tool_is_called_and_its_result_is_read(client: openai.OpenAI, model: str, stream: bool) -> None:
    messages: list = [{"role": "user", "content": "What is the weather in Paris?"}]
    ask = {"model": model, "tools": [WEATHER]}
    forced = {"type": "function", "function": {"name": "get_weather"}}
    with client.chat.completions.stream(**ask, messages=messages, tool_choice=forced) as streaming:
        if stream:
            message = streaming.get_final_completion().choices[0].message
        else:
            answer = client.chat.completions.create(**ask, messages=messages, tool_choice=forced)
            assert answer.choices[0].finish_reason == "tool_calls"
            message = answer.choices[0].message
    [call] = message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments).keys() == {"city"}

    history = message.model_dump(exclude_none=True, exclude={"parsed"})
    for each in history["tool_calls"]:
        each["function"].pop("parsed_arguments", None)
        each.pop("index", None)
    messages += [history, {"role": "tool", "tool_call_id": call.id, "content": "22 °C and sunny"}]
    answer = client.chat.completions.create(**ask, messages=messages)

    assert "22 °C and sunny" in (answer.choices[0].message.content or "")


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]

    assert "gpt-4.1" in names
    assert "anthropic--claude-4.5-sonnet" in names
    assert client.models.retrieve("gpt-4.1").id == "gpt-4.1"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="mistral-unheard-of", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "model_not_found"
    assert "gpt-4.1" in caught.value.message


def test_a_wrong_key_is_an_authentication_error(proxy: Proxy) -> None:
    stranger = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="sk-wrong", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
        stranger.models.list()


def test_a_wrong_request_is_a_bad_request_that_says_why(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="gpt-4.1", messages="hello")  # type: ignore[arg-type]
