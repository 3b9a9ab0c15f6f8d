"""Amazon's Titan models are asked one text at a time."""

import pytest

from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError
from dialects.embeddings import titan as titan_embeddings
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse
from dialects.embeddings.registry import parts_of

TEXT = profile_for("amazon--titan-embed-text")
IMAGE = profile_for("amazon--titan-embed-image")


@pytest.mark.parametrize(
    ("profile", "dimensions", "expected"),
    [
        (TEXT, None, {}),
        (TEXT, 256, {"dimensions": 256}),
        (IMAGE, None, {}),
        (IMAGE, 256, {"embeddingConfig": {"outputEmbeddingLength": 256}}),
    ],
)
def test_each_text_is_asked_for_on_its_own(profile, dimensions, expected):
    parts = parts_of(EmbeddingRequest("m", ("a", "b"), dimensions), profile)

    bodies = [titan_embeddings.render_request(part, profile).body for part in parts]

    assert bodies == [{"inputText": "a", **expected}, {"inputText": "b", **expected}]


def test_what_cannot_be_told_is_named():
    request = EmbeddingRequest("m", ("a",), user="u", input_type="query", extra={"truncate": "NONE"})

    assert titan_embeddings.render_request(request, TEXT).dropped == ("input_type", "truncate", "user")


def test_tokens_are_refused():
    with pytest.raises(FaultError, match="not tokens"):
        titan_embeddings.render_request(EmbeddingRequest("m", ((1, 2),)), TEXT)


def test_a_vector_comes_back_with_what_it_cost():
    body = {"embedding": [0.5, 1], "inputTextTokenCount": 3}

    assert titan_embeddings.parse_response(body) == EmbeddingResponse(((0.5, 1.0),), 3)


@pytest.mark.parametrize("body", [{}, {"embedding": None, "inputTextTokenCount": 1}, {"embedding": [1.0]}])
def test_an_answer_without_a_vector_or_its_cost_is_an_error(body):
    with pytest.raises((LookupError, TypeError)):
        titan_embeddings.parse_response(body)
