"""OpenAI clients of other shapes: Azure's paths, and what Cursor posts to the chat path."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support.running import KEY, Proxy
from tests.support.talking import PIXEL, sent

MODELS = [
    "gpt-4.1",
    "gpt-5",
    "gemini-2.5-pro",
    "anthropic--claude-3.5-sonnet",
    "anthropic--claude-4.5-sonnet",
    "amazon--nova-pro",
]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FLAT = {"type": "function", "name": "weather", "description": "Look outside.", "parameters": PARAMETERS}
OF_ANTHROPIC = {"name": "weather", "description": "Look outside.", "input_schema": PARAMETERS}
HELLO: Any = [{"role": "user", "content": "Hello there"}]


@pytest.fixture
def azure(proxy: Proxy) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=proxy.url, api_key=KEY, api_version="2024-12-01-preview", max_retries=0
    ) as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
def test_azures_client_is_answered(azure: openai.AzureOpenAI, model: str) -> None:
    answer = azure.chat.completions.create(model=model, messages=HELLO)
    stream = azure.chat.completions.create(model=model, messages=HELLO, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    assert model == answer.model
    assert answer.choices[0].message.content == streamed
    assert "Hello there" in streamed


def test_azures_client_gets_embeddings_and_responses(azure: openai.AzureOpenAI) -> None:
    answer = azure.responses.create(model="gpt-5", input="Hello there")
    vectors = azure.embeddings.create(model="text-embedding-3-small", input="Hello there")

    assert "Hello there" in answer.output_text
    assert len(vectors.data[0].embedding) == 1536


def test_the_newer_of_azures_addresses_is_answered(proxy: Proxy) -> None:
    with openai.OpenAI(base_url=f"{proxy.url}/openai/v1", api_key=KEY, max_retries=0) as client:
        assert "Hello" in (
            client.chat.completions.create(model="gpt-4.1", messages=HELLO).choices[0].message.content or ""
        )
        assert "Hello" in client.responses.create(model="gpt-5", input="Hello there").output_text
        assert client.embeddings.create(model="text-embedding-3-small", input="Hello").data


def test_the_deployment_in_the_path_is_the_model_that_is_asked(proxy: Proxy) -> None:
    body = {"model": "gemini-2.5-pro", "messages": HELLO}
    told = proxy.ask("POST", "/openai/deployments/gpt-4.1/chat/completions?api-version=1", body)

    assert told.json["model"] == "gpt-4.1"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("tool", [FLAT, OF_ANTHROPIC], ids=["responses", "anthropic"])
@pytest.mark.parametrize(
    "choice",
    ["required", {"type": "function", "name": "weather"}, {"type": "tool", "name": "weather"}, {"type": "any"}],
    ids=["word", "responses", "anthropic", "any"],
)
def test_tools_of_other_dialects_are_called_in_chat(proxy: Proxy, model: str, tool: Any, choice: Any) -> None:
    body = {"model": model, "messages": HELLO, "tools": [tool], "tool_choice": choice}
    told = proxy.ask("POST", "/v1/chat/completions", body)

    assert told.status == 200, told.body
    [call] = told.json["choices"][0]["message"]["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "weather")
    assert set(json.loads(call["function"]["arguments"])) == {"city"}


def turn_of_cursor(model: str, *, stream: bool) -> dict[str, Any]:
    """A second turn of an agent, in the Responses API's words."""
    return {
        "model": model,
        "stream": stream,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [FLAT],
        "input": [
            {"role": "system", "content": "You are an agent."},
            {"role": "user", "content": [{"type": "input_text", "text": "What is it like in Paris?"}]},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Paris"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "22 degrees"},
        ],
    }


@pytest.mark.parametrize("model", MODELS)
def test_a_conversation_of_the_responses_api_is_answered_as_chat(proxy: Proxy, model: str) -> None:
    told = proxy.ask("POST", "/v1/chat/completions", turn_of_cursor(model, stream=False))

    assert told.status == 200, told.body
    assert told.json["object"] == "chat.completion"
    assert model == told.json["model"]
    assert "22 degrees" in told.json["choices"][0]["message"]["content"]


@pytest.mark.parametrize("model", MODELS)
def test_it_is_streamed_as_chat_too(proxy: Proxy, model: str) -> None:
    told = proxy.ask("POST", "/v1/chat/completions", turn_of_cursor(model, stream=True))
    frames = [line.removeprefix("data: ") for line in told.body.decode().splitlines() if line.startswith("data: ")]
    chunks = [json.loads(frame) for frame in frames[:-1]]

    assert frames[-1] == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert "22 degrees" in said


def test_what_is_neither_is_refused_as_chat(proxy: Proxy) -> None:
    told = proxy.ask("POST", "/v1/chat/completions", {"model": "gpt-4.1", "input": 7})

    assert (told.status, told.json["error"]["param"]) == (400, "messages")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_blocks_in_a_chat_are_told_to_any_model(proxy: Proxy, model: str, stream: bool) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "22 degrees"}]}
    history = [
        {"role": "user", "content": [{"type": "text", "text": "Look at this."}, image]},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    body = {"model": model, "stream": stream, "messages": history, "tools": [OF_ANTHROPIC]}
    told = proxy.ask("POST", "/v1/chat/completions", body)

    assert told.status == 200, told.body
    [(_, reached)] = sent(proxy)
    assert [words for words in ("Oslo", "22 degrees", PIXEL) if words not in json.dumps(reached)] == []
