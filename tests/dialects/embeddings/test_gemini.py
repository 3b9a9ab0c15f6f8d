"""Google's embedding models are asked one text at a time, each generation in its own way."""

import pytest

from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError
from dialects.embeddings import gemini as gemini_embeddings
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse

FIRST = profile_for("gemini-embedding")
SECOND = profile_for("gemini-embedding-2")


def test_the_first_generation_is_asked_to_predict():
    request = EmbeddingRequest("m", ("a", "b"), dimensions=768, input_type="query")

    bodies = [rendered.body for rendered in gemini_embeddings.render_request(request, FIRST)]

    assert bodies == [
        {
            "instances": [{"content": text, "task_type": "RETRIEVAL_QUERY"}],
            "parameters": {"outputDimensionality": 768},
        }
        for text in "ab"
    ]


def test_the_second_generation_is_asked_to_embed_content():
    plain = EmbeddingRequest("m", ("a",))
    short = EmbeddingRequest("m", ("a",), dimensions=256)

    assert [
        rendered.body for request in (plain, short) for rendered in gemini_embeddings.render_request(request, SECOND)
    ] == [
        {"content": {"parts": [{"text": "a"}]}},
        {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 256},
    ]


@pytest.mark.parametrize(
    ("profile", "kind", "expected"),
    [
        (FIRST, "passage", ("truncate", "user")),
        (FIRST, "odd", ("input_type", "truncate", "user")),
        (SECOND, "query", ("input_type", "truncate", "user")),
    ],
)
def test_what_cannot_be_told_is_named(profile, kind, expected):
    request = EmbeddingRequest("m", ("a",), user="u", input_type=kind, extra={"truncate": "NONE"})

    assert gemini_embeddings.render_request(request, profile)[0].dropped == expected


@pytest.mark.parametrize("profile", [FIRST, SECOND])
def test_tokens_are_refused(profile):
    with pytest.raises(FaultError, match="not tokens"):
        gemini_embeddings.render_request(EmbeddingRequest("m", ((1, 2),)), profile)


def test_vectors_come_back_in_order_and_their_tokens_are_added_up():
    bodies = [
        {"predictions": [{"embeddings": {"values": [0.5, 1], "statistics": {"token_count": 4, "truncated": False}}}]},
        {"embedding": {"values": [-1.0]}, "usageMetadata": {"promptTokenCount": 3}},
        {"embedding": {"values": [0.25]}},
    ]

    expected = EmbeddingResponse(((0.5, 1.0), (-1.0,), (0.25,)), 7)
    assert gemini_embeddings.parse_response(bodies) == expected


@pytest.mark.parametrize("body", [{}, {"predictions": []}, {"embedding": None}, {"embedding": {"values": 3}}])
def test_an_answer_without_a_vector_is_an_error(body):
    with pytest.raises((LookupError, TypeError)):
        gemini_embeddings.parse_response([body])
