"""What is too much for one call is divided, and comes back in order."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.capabilities.models import profile_for
from dialects.embeddings import openai as openai_embeddings
from dialects.embeddings.batches import CallLimit
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse
from dialects.embeddings.registry import parts_of

texts = st.text(min_size=1, max_size=30)
tokens = st.lists(st.integers(0, 9), min_size=1, max_size=30).map(tuple)
limits = st.builds(CallLimit, st.integers(1, 7), st.integers(1, 40))


def vector(each):
    """A vector that tells which input it is of."""
    return tuple(map(float, each if isinstance(each, tuple) else map(ord, each)))


@given(st.lists(texts | tokens, max_size=40), limits)
def test_batches_in_their_order_are_the_inputs(inputs, limit):
    batches = limit.split(inputs)

    assert [each for batch in batches for each in batch] == inputs
    assert all(1 <= len(batch) <= limit.inputs for batch in batches)


@given(st.lists(tokens, max_size=40), limits)
def test_a_batch_has_as_many_tokens_as_one_call_may_and_the_next_input_would_be_too_much(inputs, limit):
    batches = limit.split(inputs)

    assert all(len(batch) == 1 or sum(map(len, batch)) <= limit.tokens for batch in batches)
    for batch, after in itertools.pairwise(batches):
        assert len(batch) == limit.inputs or sum(map(len, batch)) + len(after[0]) > limit.tokens


@given(st.lists(texts | tokens, max_size=40), limits)
def test_a_batch_is_not_divided_again(inputs, limit):
    assert all(limit.split(batch) == [batch] for batch in limit.split(inputs))


@given(st.lists(texts | tokens, min_size=1, max_size=40), limits)
def test_joined_responses_are_the_response_to_all_inputs(inputs, limit):
    responses = [
        EmbeddingResponse(tuple(map(vector, batch)), sum(map(len, batch)), "m") for batch in limit.split(inputs)
    ]

    assert openai_embeddings.joined(responses) == EmbeddingResponse(
        tuple(map(vector, inputs)), sum(map(len, inputs)), "m"
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [("a" * 3, 1), ("a" * 4, 2), ("é" * 3, 2), ("漢", 1), ("\ud800", 1)],
    ids=["three letters", "four letters", "accents", "a character", "half a character"],
)
def test_three_bytes_of_text_are_taken_for_a_token(text, size):
    assert CallLimit(2, size * 2).split([text, text]) == [(text, text)]
    assert CallLimit(2, size * 2 - 1).split([text, text]) == [(text,), (text,)]


@pytest.mark.parametrize(
    ("model", "inputs", "sizes"),
    [
        ("gemini-embedding", ("a",) * 1000, [250] * 4),
        ("gemini-embedding", ("a",) * 251, [250, 1]),
        ("gemini-embedding", ("a" * 3 * 2048,) * 20, [9, 9, 2]),
        ("gemini-embedding", ("a" * 3 * 30_000, "a"), [1, 1]),
        ("gemini-embedding-2", ("a", "b", "c"), [1, 1, 1]),
        ("amazon--titan-embed-text", ("a", "b"), [1, 1]),
        ("amazon--titan-embed-image", ("a", "b"), [1, 1]),
        ("text-embedding-3-small", ("a",) * 2049, [2048, 1]),
        ("text-embedding-3-small", ((1,) * 8000,) * 38, [37, 1]),
        ("nvidia--llama-3.2-nv-embedqa-1b", ("a",) * 257, [256, 1]),
    ],
)
def test_each_vendor_has_a_limit_of_its_own(model, inputs, sizes):
    request = EmbeddingRequest(model, inputs, dimensions=8, user="u")

    parts = parts_of(request, profile_for(model))

    assert [len(part.inputs) for part in parts] == sizes
    assert {(part.model, part.dimensions, part.user) for part in parts} == {(model, 8, "u")}
