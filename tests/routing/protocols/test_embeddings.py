import copy

import pytest

from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError, FaultKind
from routing.protocols import EmbeddingsProtocol, OpenAIChatProtocol, ProtocolHandler, protocol_for
from routing.protocols.embeddings import OrchestrationEmbeddingsProtocol

URL = "https://api.example/v2/inference/deployments/d1"
EMBEDDINGS = EmbeddingsProtocol()
ORCHESTRATION = OrchestrationEmbeddingsProtocol()
CLIENT = "openai-embeddings"
EMBEDDERS = (
    "text-embedding-3-small",
    "amazon--titan-embed-text",
    "amazon--titan-embed-image",
    "gemini-embedding",
    "gemini-embedding-2",
    "nvidia--llama-3.2-nv-embedqa-1b",
)


@pytest.mark.parametrize("base", [URL, URL + "/"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("text-embedding-3-small", "/embeddings?api-version=2023-05-15"),
        ("amazon--titan-embed-text", "/invoke"),
        ("gemini-embedding", "/models/gemini-embedding:predict"),
        ("gemini-embedding-2", "/models/gemini-embedding-2:embedContent"),
        ("nvidia--llama-3.2-nv-embedqa-1b", "/embeddings"),
    ],
)
def test_the_path_is_the_vendors_and_never_that_of_a_stream(base, stream, model, expected):
    assert EMBEDDINGS.build_endpoint(base, model, stream) == URL + expected


@pytest.mark.parametrize("model", EMBEDDERS)
def test_it_takes_every_model_that_embeds(model):
    assert EMBEDDINGS.speaks(profile_for(model))
    assert isinstance(protocol_for(model, CLIENT), EmbeddingsProtocol)


@pytest.mark.parametrize("model", ["gpt-5", "anthropic--claude-4-sonnet", "gemini-2.5-pro", "amazon--nova-pro"])
def test_it_takes_no_model_that_talks(model):
    assert not EMBEDDINGS.speaks(profile_for(model))


def test_a_model_that_talks_is_not_asked_for_vectors():
    with pytest.raises(FaultError, match="'gpt-5' is a chat model and makes no embeddings") as caught:
        protocol_for("gpt-5", CLIENT)

    assert (caught.value.fault.kind, caught.value.fault.param) == (FaultKind.INVALID_REQUEST, "model")


@pytest.mark.parametrize("client", ["openai-chat", "openai-responses", "anthropic-messages", "gemini"])
def test_a_model_that_embeds_is_not_asked_to_talk(client):
    with pytest.raises(FaultError, match="'gemini-embedding' is an embedding model and has no conversations") as caught:
        protocol_for("gemini-embedding", client)

    assert (caught.value.fault.kind, caught.value.fault.param) == (FaultKind.INVALID_REQUEST, "model")


def test_a_model_that_no_protocol_speaks_is_refused_by_name():
    with pytest.raises(FaultError, match="'gpt-5' is not supported by any protocol") as caught:
        protocol_for("gpt-5", "openai-chat", protocols=())

    assert (caught.value.fault.kind, caught.value.fault.param) == (FaultKind.INVALID_REQUEST, "model")


def test_its_name_and_its_dialect_say_embeddings():
    assert isinstance(EMBEDDINGS, ProtocolHandler)
    assert not isinstance(EMBEDDINGS, OpenAIChatProtocol)
    assert (EMBEDDINGS.name, EMBEDDINGS.dialect) == ("embeddings", "openai-embeddings")
    assert repr(EMBEDDINGS) == "<embeddings>"
    assert EMBEDDINGS.headers(stream=False) == {"Accept": "application/json"}


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("text-embedding-3-small", {"input": ["one", "two"], "encoding_format": "float", "dimensions": 3}),
        ("amazon--titan-embed-text", {"inputText": "one", "dimensions": 3}),
        ("amazon--titan-embed-image", {"inputText": "one", "embeddingConfig": {"outputEmbeddingLength": 3}}),
        (
            "gemini-embedding",
            {"instances": [{"content": "one"}, {"content": "two"}], "parameters": {"outputDimensionality": 3}},
        ),
        ("gemini-embedding-2", {"content": {"parts": [{"text": "one"}]}, "outputDimensionality": 3}),
        (
            "nvidia--llama-3.2-nv-embedqa-1b",
            {
                "input": ["one", "two"],
                "model": "nvidia--llama-3.2-nv-embedqa-1b",
                "input_type": "query",
                "encoding_format": "float",
                "dimensions": 3,
            },
        ),
    ],
)
def test_a_request_becomes_the_body_of_the_vendors_first_call(model, body):
    request = {"model": model, "input": ["one", "two"], "dimensions": 3}
    before = copy.deepcopy(request)

    assert body == EMBEDDINGS.get_request_converter()(request)
    assert request == before


@pytest.mark.parametrize(
    ("model", "answer", "tokens"),
    [
        (
            "text-embedding-3-small",
            {"data": [{"index": 0, "embedding": [0.5, -1]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}},
            4,
        ),
        ("amazon--titan-embed-text", {"embedding": [0.5, -1], "inputTextTokenCount": 4}, 4),
        (
            "gemini-embedding",
            {"predictions": [{"embeddings": {"values": [0.5, -1], "statistics": {"token_count": 4}}}]},
            4,
        ),
        ("gemini-embedding-2", {"embedding": {"values": [0.5, -1]}, "usageMetadata": {"promptTokenCount": 4}}, 4),
        ("nvidia--llama-3.2-nv-embedqa-1b", {"data": [{"index": 0, "embedding": [0.5, -1]}]}, 0),
    ],
)
def test_each_vendors_answer_is_said_as_openai_says_it(model, answer, tokens):
    expected = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }

    assert EMBEDDINGS.get_response_converter()(answer, model) == expected


@pytest.mark.parametrize(
    ("model", "body", "path"),
    [
        ("text-embedding-3-small", {"input": ["a"]}, "/embeddings?api-version=2023-05-15"),
        ("text-embedding-3-small", {"input": ["a"], "dimensions": 8}, "/embeddings?api-version=2024-12-01-preview"),
        ("amazon--titan-embed-text", {"inputText": "a"}, "/invoke"),
    ],
)
def test_a_body_that_says_more_takes_a_version_that_knows_it(model, body, path):
    assert EMBEDDINGS.build_endpoint_for(URL, model, body, stream=False) == URL + path


@pytest.mark.parametrize("base", [URL, URL + "/"])
@pytest.mark.parametrize("model", EMBEDDERS)
def test_orchestration_is_asked_on_one_path_for_every_model(base, model):
    body = {"config": {}, "input": {"text": ["a"]}}

    assert ORCHESTRATION.build_endpoint(base, model, stream=False) == f"{URL}/v2/embeddings"
    assert ORCHESTRATION.build_endpoint_for(base, model, body, stream=False) == f"{URL}/v2/embeddings"
    assert ORCHESTRATION.speaks(profile_for(model))


def test_orchestration_is_told_the_model_and_answers_as_openai_does():
    request = {"model": "gemini-embedding", "input": ["one", "two"], "dimensions": 3}
    result = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1]}], "model": "g"}
    answer = {"request_id": "r", "final_result": {**result, "usage": {"prompt_tokens": 4, "total_tokens": 4}}}

    body = ORCHESTRATION.get_request_converter()(request)
    said = ORCHESTRATION.get_response_converter()(answer, "gemini-embedding")

    params = {"encoding_format": "float", "dimensions": 3}
    model = {"name": "gemini-embedding", "max_retries": 0, "params": params}
    assert body == {"config": {"modules": {"embeddings": {"model": model}}}, "input": {"text": ["one", "two"]}}
    assert said == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}],
        "model": "gemini-embedding",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    assert (ORCHESTRATION.name, ORCHESTRATION.dialect) == ("orchestration-embeddings", CLIENT)
