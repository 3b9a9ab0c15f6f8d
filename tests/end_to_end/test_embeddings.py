"""Embeddings from every vendor, by OpenAI's own SDK."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.end_to_end.test_edges import shape_of
from tests.support.running import KEY, Cloud, Proxy, running_proxy

SIZES = {
    "text-embedding-3-small": 1536,
    "amazon--titan-embed-text": 1024,
    "gemini-embedding": 3072,
    "nvidia--llama-3.2-nv-embedqa-1b": 2048,
}
TALKERS = ["anthropic--claude-4.5-sonnet", "gemini-2.5-pro", "gpt-4.1", "gpt-5.3-codex", "amazon--nova-pro"]


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", SIZES)
def test_a_text_becomes_a_unit_vector_under_the_name_that_was_asked_for(client: openai.OpenAI, model: str) -> None:
    """The SDK asks for base64 unless it is told not to, and decodes it."""
    answer = client.embeddings.create(model=model, input="Hello there")

    [item] = answer.data
    assert (model, SIZES[model], 0) == (answer.model, len(item.embedding), item.index)
    assert sum(value * value for value in item.embedding) == pytest.approx(1.0, abs=1e-4)
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.prompt_tokens == answer.usage.total_tokens


@pytest.mark.parametrize("model", SIZES)
def test_base64_and_numbers_say_the_same(client: openai.OpenAI, model: str) -> None:
    packed = client.embeddings.create(model=model, input="Hello").data[0].embedding
    plain = client.embeddings.create(model=model, input="Hello", encoding_format="float").data[0].embedding

    assert plain == pytest.approx(packed, abs=1e-6)


@pytest.mark.parametrize("model", SIZES)
def test_base64_is_base64_on_the_wire(proxy: Proxy, model: str) -> None:
    told = proxy.ask("POST", "/v1/embeddings", {"model": model, "input": "Hello", "encoding_format": "base64"})

    [item] = told.json["data"]
    assert isinstance(item["embedding"], str)
    assert len(item["embedding"]) * 3 // 4 - item["embedding"].count("=") == SIZES[model] * 4


@pytest.mark.parametrize("model", SIZES)
def test_many_texts_come_back_in_their_order(client: openai.OpenAI, model: str) -> None:
    texts = [f"text number {number}" for number in range(9)]
    together = client.embeddings.create(model=model, input=texts)
    alone = [client.embeddings.create(model=model, input=text).data[0].embedding for text in texts[:3]]

    assert list(range(9)) == [item.index for item in together.data]
    assert alone == [item.embedding for item in together.data[:3]]
    assert len({tuple(item.embedding) for item in together.data}) == 9


@pytest.mark.parametrize("model", SIZES)
def test_a_vector_is_as_long_as_it_was_asked_to_be(client: openai.OpenAI, model: str) -> None:
    assert len(client.embeddings.create(model=model, input="Hello", dimensions=256).data[0].embedding) == 256


@pytest.mark.parametrize("model", SIZES)
@pytest.mark.parametrize("dimensions", [5000, 10**30])
def test_more_dimensions_than_a_model_has_are_refused(client: openai.OpenAI, model: str, dimensions: int) -> None:
    with pytest.raises(openai.BadRequestError, match=str(dimensions)):
        client.embeddings.create(model=model, input="Hello", dimensions=dimensions)


@pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2, 3], [4]]], ids=["one", "many"])
def test_tokens_are_embedded_where_the_vendor_takes_them(client: openai.OpenAI, given: list) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=given)

    assert (len(given) if isinstance(given[0], list) else 1) == len(answer.data)


@pytest.mark.parametrize("model", list(SIZES)[1:])
@pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2, 3], [4]]], ids=["one", "many"])
def test_tokens_are_refused_where_the_vendor_takes_text_alone(client: openai.OpenAI, model: str, given: list) -> None:
    with pytest.raises(openai.BadRequestError, match=model) as caught:
        client.embeddings.create(model=model, input=given)
    assert caught.value.param == "input"


@pytest.mark.parametrize("model", SIZES)
@pytest.mark.parametrize("given", ["", [], [""], ["a", ""], [[]], 7, None, [1.5], {"text": "a"}])
def test_nothing_to_embed_is_refused_before_anyone_is_asked(proxy: Proxy, model: str, given: object) -> None:
    told = proxy.ask("POST", "/v1/embeddings", {"model": model, "input": given})

    assert (told.status, shape_of(told.json), told.json["error"]["param"]) == (400, "openai", "input")
    assert proxy.cloud.requests() == []


PATHS = (
    "/v1/embeddings",
    "/embeddings",
    "/openai/v1/embeddings",
    "/openai/deployments/{}/embeddings?api-version=2024-10-21",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "name",
    ["text-embedding-ada-002", "text-embedding-3-large", "openai/Text-Embedding-3-Large", "gemini-embedding-2"],
)
def test_nobody_makes_vectors_for_an_embedder_that_is_not_deployed(proxy: Proxy, name: str, path: str) -> None:
    told = proxy.ask("POST", path.format(name), {"model": name, "input": "Hello"})

    assert (told.status, shape_of(told.json), told.json["error"]["code"]) == (404, "openai", "model_not_found")
    assert proxy.cloud.requests() == []


@pytest.mark.parametrize(
    ("settings", "fallback"),
    [
        ({"fallbacks": {"embedding": ["text-embedding-3-small"]}}, "text-embedding-ada-002 -> text-embedding-3-small"),
        ({"aliases": {"text-embedding-ada-002": "text-embedding-3-small"}}, None),
    ],
    ids=["fallback", "alias"],
)
@pytest.mark.parametrize("path", PATHS)
def test_the_config_file_may_let_another_embedder_answer(
    cloud: Cloud, tmp_path: Path, path: str, settings: dict[str, Any], fallback: str | None
) -> None:
    name = "text-embedding-ada-002"
    with running_proxy(cloud, tmp_path, routing=settings) as proxy:
        told = proxy.ask("POST", path.format(name), {"model": name, "input": "Hello"})

    assert (200, name, fallback) == (told.status, told.json["model"], told.headers.get("x-proxy-fallback"))


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="unheard-of", input="Hello")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("model", TALKERS)
def test_a_model_that_talks_makes_no_embeddings(proxy: Proxy, client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError, match="is a chat model and makes no embeddings") as caught:
        client.embeddings.create(model=model, input="Hello")
    assert caught.value.param == "model"
    assert proxy.cloud.requests() == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/responses", "openai"),
        ("/v1/messages", "anthropic"),
        ("/v1beta/models/{model}:generateContent", "google"),
        ("/v1beta/models/{model}:streamGenerateContent", "google"),
    ],
)
@pytest.mark.parametrize("model", SIZES)
def test_a_model_that_makes_embeddings_does_not_talk(
    proxy: Proxy, model: str, path: str, shape: str, stream: bool
) -> None:
    body = {
        "model": model,
        "stream": stream,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hello"}],
        "input": "Hello",
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
    }
    told = proxy.ask("POST", path.format(model=model), body)

    assert (400, shape) == (told.status, shape_of(told.json))
    assert "is an embedding model and has no conversations" in told.body.decode()
    assert proxy.cloud.requests() == []


@pytest.mark.parametrize("model", SIZES)
def test_a_deployment_that_fails_is_not_noticed(own_proxy: Proxy, model: str) -> None:
    first, *_ = own_proxy.cloud.deployments(model, "eu")
    own_proxy.cloud.fault(first, "500")
    statuses = [own_proxy.ask("POST", "/v1/embeddings", {"model": model, "input": ["a", "b"]}) for _ in range(4)]

    assert [told.status for told in statuses] == [200] * 4
    assert own_proxy.in_flight == 0


def test_what_is_left_out_is_named(proxy: Proxy) -> None:
    body = {"model": "amazon--titan-embed-text", "input": "Hello", "user": "me", "input_type": "query"}
    told = proxy.ask("POST", "/v1/embeddings", body)

    assert (told.status, told.headers["x-proxy-dropped"]) == (200, "input_type, user")
