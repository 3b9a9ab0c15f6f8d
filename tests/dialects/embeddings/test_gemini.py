"""Google's embedding models are asked each generation in its own way."""

import pytest

from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError
from dialects.embeddings import gemini as gemini_embeddings
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse
from dialects.embeddings.registry import parts_of

FIRST = profile_for("gemini-embedding")
SECOND = profile_for("gemini-embedding-2")


def test_the_first_generation_is_asked_to_predict_for_many_texts_at_once():
    request = EmbeddingRequest("m", ("a", "b"), dimensions=768, input_type="query")

    assert gemini_embeddings.render_request(request, FIRST).body == {
        "instances": [
            {"content": "a", "task_type": "RETRIEVAL_QUERY"},
            {"content": "b", "task_type": "RETRIEVAL_QUERY"},
        ],
        "parameters": {"outputDimensionality": 768},
    }


def test_the_second_generation_is_asked_to_embed_content_a_text_at_a_time():
    parts = parts_of(EmbeddingRequest("m", ("a", "b"), dimensions=256), SECOND)

    assert [gemini_embeddings.render_request(part, SECOND).body for part in parts] == [
        {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 256},
        {"content": {"parts": [{"text": "b"}]}, "outputDimensionality": 256},
    ]
    assert gemini_embeddings.render_request(EmbeddingRequest("m", ("a",)), SECOND).body == {
        "content": {"parts": [{"text": "a"}]}
    }


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

    assert gemini_embeddings.render_request(request, profile).dropped == expected


@pytest.mark.parametrize("profile", [FIRST, SECOND])
def test_tokens_are_refused(profile):
    with pytest.raises(FaultError, match="not tokens"):
        gemini_embeddings.render_request(EmbeddingRequest("m", ((1, 2),)), profile)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {
                "predictions": [
                    {"embeddings": {"values": [0.5, 1], "statistics": {"token_count": 4, "truncated": False}}},
                    {"embeddings": {"values": [2, 0], "statistics": {"token_count": 5, "truncated": False}}},
                ]
            },
            EmbeddingResponse(((0.5, 1.0), (2.0, 0.0)), 9),
        ),
        ({"embedding": {"values": [-1.0]}, "usageMetadata": {"promptTokenCount": 3}}, EmbeddingResponse(((-1.0,),), 3)),
        ({"embedding": {"values": [0.25]}}, EmbeddingResponse(((0.25,),), 0)),
    ],
)
def test_vectors_come_back_in_order_and_their_tokens_are_added_up(body, expected):
    assert gemini_embeddings.parse_response(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"predictions": [{}]},
        {"predictions": [{"embeddings": {}}]},
        {"embedding": None},
        {"embedding": {"values": 3}},
    ],
)
def test_an_answer_without_a_vector_is_an_error(body):
    with pytest.raises((LookupError, TypeError)):
        gemini_embeddings.parse_response(body)
