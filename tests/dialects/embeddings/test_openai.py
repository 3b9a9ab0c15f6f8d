"""OpenAI embeddings: what clients ask and are given, and how two vendors are asked."""

import base64
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError
from dialects.embeddings import openai as embeddings
from dialects.embeddings.openai import EmbeddingRequest, EmbeddingResponse
from tests.oracles.openai import check_embeddings_request
from tests.oracles.sdks import sdk

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
AZURE = profile_for("text-embedding-3-small")
NVIDIA = profile_for("nvidia--llama-3.2-nv-embedqa-1b")


@pytest.mark.parametrize(
    ("given_input", "inputs"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_texts_and_tokens_are_understood(given_input, inputs):
    request = embeddings.parse_request({"model": "m", "input": given_input, "encoding_format": "base64", "odd": 1})

    assert request == EmbeddingRequest("m", inputs, base64=True, extra={"odd": 1})
    rendered = embeddings.render_request(request, AZURE)
    check_embeddings_request(rendered.body)
    assert rendered.dropped == ("odd",)


@pytest.mark.parametrize("wrong", [None, "", [], [""], [[]], 5, [True], {"a": 1}, [1, "a"], [[-1]]])
def test_what_is_no_input_is_refused(wrong):
    with pytest.raises(FaultError) as refused:
        embeddings.parse_request({"model": "m", "input": wrong})

    assert refused.value.fault.param == "input"


@given(
    st.dictionaries(
        st.sampled_from(["model", "input", "encoding_format", "dimensions"]),
        st.none() | st.text() | st.integers() | st.lists(st.integers() | st.text()),
    )
)
@settings(max_examples=80)
def test_any_json_is_understood_or_refused(body):
    try:
        request = embeddings.parse_request(body)
    except FaultError:
        return

    assert request.inputs


@given(st.lists(floats, max_size=5))
def test_vectors_survive_base64(vector):
    packed = embeddings.packed(vector)

    assert base64.b64decode(packed) == struct.pack(f"<{len(vector)}f", *vector)
    assert embeddings.unpacked(packed) == tuple(vector)


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("vectors", [((0.5, -1.0),), (embeddings.packed((0.5, -1.0)),)])
def test_vectors_are_said_as_they_were_asked_for(wanted, vectors):
    request = EmbeddingRequest("my-embedder", ("a",), base64=wanted)
    body = embeddings.render_response(EmbeddingResponse(vectors, 3, "other"), request)

    assert body["model"] == "my-embedder"
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert body["data"][0]["embedding"] == (embeddings.packed((0.5, -1.0)) if wanted else [0.5, -1.0])
    if not wanted:
        sdk("openai.types").CreateEmbeddingResponse.model_validate(body, strict=True)


def test_vectors_that_are_none_make_no_sense():
    with pytest.raises(ValueError, match="32 bits"):
        embeddings.packed((1e300,))
    with pytest.raises(ValueError, match="within a number"):
        embeddings.unpacked("AACAPwA=")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {
                "data": [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": "AAAA"}],
                "usage": {"prompt_tokens": 3},
                "model": "m",
            },
            EmbeddingResponse(("AAAA", (2.0,)), 3, "m"),
        ),
        ({"data": [{"index": 0, "embedding": [3]}], "usage": {"total_tokens": 2}}, EmbeddingResponse(((3.0,),), 2)),
    ],
)
def test_vectors_are_put_in_the_order_of_their_texts(body, expected):
    assert embeddings.parse_response(body) == expected


def test_azure_is_asked_for_what_the_client_wants():
    request = EmbeddingRequest("m", ("a", (1, 2)), 256, base64=True, user="u", input_type="query")

    assert embeddings.render_request(request, AZURE).body == {
        "input": ["a", [1, 2]],
        "encoding_format": "base64",
        "dimensions": 256,
        "user": "u",
    }
    assert embeddings.render_request(request, AZURE).dropped == ("input_type",)


def test_nvidia_is_told_its_name_and_what_the_texts_are_for():
    request = EmbeddingRequest("m", ("a",), user="u", input_type="search_document", extra={"truncate": "END", "odd": 1})
    rendered = embeddings.render_request(request, NVIDIA)

    assert rendered.body == {
        "input": ["a"],
        "model": "nvidia--llama-3.2-nv-embedqa-1b",
        "input_type": "passage",
        "encoding_format": "float",
        "truncate": "END",
    }
    assert rendered.dropped == ("odd", "user")
    with pytest.raises(FaultError):
        embeddings.render_request(EmbeddingRequest("m", ((1,),)), NVIDIA)
