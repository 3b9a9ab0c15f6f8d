"""Anthropic's own SDK against the proxy: text, streams with usage, and tools, from every family."""

from collections.abc import Iterator

import anthropic
import pytest

from tests.end_to_end.test_openai_sdk import CHAT_MODELS
from tests.support.running import KEY, Proxy

WEATHER = {
    "name": "get_weather",
    "description": "Say what the weather is like.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def client(proxy: Proxy) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=proxy.url, api_key=KEY, max_retries=0) as client:
        yield client


def words(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_text_comes_with_its_usage(client: anthropic.Anthropic, model: str) -> None:
    message = client.messages.create(
        model=model, max_tokens=500, system="Be brief.", messages=[{"role": "user", "content": "Hello there"}]
    )

    assert "Hello there" in words(message)
    assert message.stop_reason == "end_turn"
    assert model == message.model
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


@pytest.mark.parametrize("model", CHAT_MODELS)
def test_a_stream_says_the_same_as_the_answer_in_one_piece(client: anthropic.Anthropic, model: str) -> None:
    ask = {"model": model, "max_tokens": 2000, "messages": [{"role": "user", "content": "scene:quirks please"}]}
    whole = client.messages.create(**ask)
    with client.messages.stream(**ask) as stream:
        events = list(stream)
        streamed = stream.get_final_message()

    assert words(whole) == words(streamed)
    assert whole.stop_reason == streamed.stop_reason
    assert whole.usage.input_tokens == streamed.usage.input_tokens
    assert whole.usage.output_tokens == streamed.usage.output_tokens
    [told] = [event.usage for event in events if event.type == "message_delta"]
    assert whole.usage.input_tokens == told.input_tokens
    assert events[0].type == "message_start"
    assert "message_stop" in [event.type for event in events[-2:]]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", CHAT_MODELS)
def test_a_tool_is_called_and_its_result_is_read(client: anthropic.Anthropic, model: str, stream: bool) -> None:
    messages: list = [{"role": "user", "content": "What is the weather in Paris?"}]
    ask = {"model": model, "max_tokens": 1000, "tools": [WEATHER]}
    forced = {"type": "tool", "name": "get_weather"}
    if stream:
        with client.messages.stream(**ask, messages=messages, tool_choice=forced) as streaming:
            message = streaming.get_final_message()
    else:
        message = client.messages.create(**ask, messages=messages, tool_choice=forced)
    assert message.stop_reason == "tool_use"
    [call] = [block for block in message.content if block.type == "tool_use"]
    assert call.name == "get_weather"
    assert call.input.keys() == {"city"}

    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "22 °C and sunny"}]},
    ]
    assert "22 °C and sunny" in words(client.messages.create(**ask, messages=messages))


def test_tokens_are_counted_before_they_are_spent(client: anthropic.Anthropic) -> None:
    count = client.messages.count_tokens(
        model="claude-sonnet-4-5", messages=[{"role": "user", "content": "word " * 400}], tools=[]
    )

    assert 300 < count.input_tokens < 900


def test_models_are_listed_in_anthropics_words(client: anthropic.Anthropic) -> None:
    models = client.models.list(limit=1000).data

    assert "anthropic--claude-4.5-sonnet" in [model.id for model in models]
    assert all(model.display_name for model in models)


@pytest.mark.filterwarnings("ignore:The model .* is deprecated")  # the SDK knows Anthropic's calendar, not SAP's
@pytest.mark.parametrize("name", ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5[1m]"])
def test_anthropics_own_names_reach_saps_models(client: anthropic.Anthropic, name: str) -> None:
    message = client.messages.create(model=name, max_tokens=100, messages=[{"role": "user", "content": "Hello"}])

    assert name == message.model


def test_an_unknown_model_is_not_found(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="llama-9", max_tokens=10, messages=[{"role": "user", "content": "hi"}])
    assert {"type": "error"}.items() <= caught.value.body.items()
    assert caught.value.body["error"]["type"] == "not_found_error"


def test_a_wrong_key_is_an_authentication_error(proxy: Proxy) -> None:
    stranger = anthropic.Anthropic(base_url=proxy.url, api_key="sk-wrong", max_retries=0)
    with stranger, pytest.raises(anthropic.AuthenticationError):
        stranger.models.list()
