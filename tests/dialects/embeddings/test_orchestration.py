"""Embeddings through orchestration: what it is told, and what it answers."""

import pytest

from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError
from dialects.embeddings import orchestration as orchestration_embeddings
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse

NVIDIA = profile_for("nvidia--llama-3.2-nv-embedqa-1b")
ANSWER = {
    "request_id": "r",
    "final_result": {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 1, "embedding": [2]},
            {"object": "embedding", "index": 0, "embedding": "AAAA"},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    },
}


def test_the_model_is_named_and_asked_once():
    request = EmbeddingRequest("m", ("a", "b"), 256, base64=True, input_type="passage")
    rendered = orchestration_embeddings.render_request(request, NVIDIA)

    model = {"name": NVIDIA.name, "max_retries": 0, "params": {"encoding_format": "base64", "dimensions": 256}}
    assert rendered.body == {
        "config": {"modules": {"embeddings": {"model": model}}},
        "input": {"text": ["a", "b"], "type": "document"},
    }
    assert rendered.dropped == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [("query", "query"), ("Search_Query", "query"), ("search_document", "document"), ("text", "text"), ("", None)],
)
def test_what_texts_are_for_is_said_by_its_names(given, said):
    rendered = orchestration_embeddings.render_request(EmbeddingRequest("m", ("a",), input_type=given), NVIDIA)

    assert rendered.body["input"].get("type") == said
    assert rendered.dropped == ()


def test_what_it_does_not_know_is_named():
    extra = {"truncate": "END", "normalize": True}
    request = EmbeddingRequest("m", ("a",), user="u", input_type="odd", extra=extra)
    rendered = orchestration_embeddings.render_request(request, NVIDIA)

    params = rendered.body["config"]["modules"]["embeddings"]["model"]["params"]
    assert params == {"encoding_format": "float", "normalize": True}
    assert rendered.body["input"] == {"text": ["a"]}
    assert rendered.dropped == ("input_type", "truncate", "user")


def test_tokens_are_refused():
    with pytest.raises(FaultError, match="not tokens") as caught:
        orchestration_embeddings.render_request(EmbeddingRequest("m", ((1, 2),)), NVIDIA)

    assert caught.value.fault.param == "input"


def test_the_result_is_read_as_openais():
    assert orchestration_embeddings.parse_response(ANSWER) == EmbeddingResponse(("AAAA", (2.0,)), 3, "m")


@pytest.mark.parametrize("body", [{}, {"final_result": None}, {"final_result": {}}, {"final_result": {"data": [{}]}}])
def test_an_answer_without_a_vector_is_an_error(body):
    with pytest.raises((LookupError, TypeError)):
        orchestration_embeddings.parse_response(body)
