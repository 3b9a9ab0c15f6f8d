"""Embeddings through orchestration: one shape for the models of all vendors."""

import pytest

from tests.emulator.client import CHAT
from tests.emulator.orchestration.completion import masking

PATH = "v2/embeddings"
SMALL = "text-embedding-3-small"
SIZES = {
    SMALL: 1536,
    "gemini-embedding": 3072,
    "amazon--titan-embed-text": 1024,
    "nvidia--llama-3.2-nv-embedqa-1b": 2048,
}


def body(model, text, params=None, **more):
    details = {"name": model} | ({"params": params} if params else {}) | more.pop("details", {})
    given = {"text": text} | ({"type": more.pop("type")} if "type" in more else {})
    return {"config": {"modules": {"embeddings": {"model": details}, **more}}, "input": given}


def embed(client, *given, **more):
    answer = client.post(None, PATH, body(*given, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("model", SIZES)
def test_every_vendors_vectors_come_in_one_shape(eu, model):
    made = embed(eu, model, ["a", "b"], type="document")["final_result"]

    assert (made["object"], made["model"]) == ("list", model)
    assert [(one["index"], len(one["embedding"])) for one in made["data"]] == [(0, SIZES[model]), (1, SIZES[model])]
    assert made["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


def test_vectors_are_those_of_the_model_itself(eu):
    direct = eu.post(SMALL, CHAT.replace("chat/completions", "embeddings"), {"input": "a"}).json()["data"][0]

    assert embed(eu, SMALL, "a")["final_result"]["data"][0] == direct


def test_what_is_embedded_can_be_masked(eu):
    masked = embed(eu, SMALL, "jo@example.com", masking=masking())

    assert masked["intermediate_results"]["input_masking"]["data"] == {"masked_input": "MASKED_EMAIL"}
    assert masked["final_result"]["data"] == embed(eu, SMALL, "MASKED_EMAIL")["final_result"]["data"]


@pytest.mark.parametrize(
    ("given", "location", "words"),
    [
        (body("gpt-5", "a"), "Embedding Module", "Model name must be one of dict_keys(['amazon--titan-embed-text'"),
        (body("gemini-embedding-2", "a"), "Embedding Module", "Model name must be one of"),
        (body(SMALL, "a", {"dimensions": 5000}), "Embedding Module", "Must be between 1 and 1536"),
        (body(SMALL, "a", {"encoding_format": ["float", "base64"]}), "Embedding Module", "Several encoding formats"),
        (body("gemini-embedding", ["a"] * 251), "Embedding Module", "batchSize value of 251 but the supported range"),
        (body(SMALL, ["a"] * 2049), "Embedding Module", "array too long"),
        (body(SMALL, []), "Request Body", "[] is not of type 'string' - 'input.text'"),
        (body(SMALL, ["a", ""]), "Request Body", "'' should be non-empty - 'input.text[1]'"),
        (body(SMALL, "a", type="song"), "Request Body", "'song' is not one of"),
        (body(SMALL, "a") | {"texts": []}, "Request Body", "('texts' was unexpected)"),
    ],
)
def test_what_cannot_be_embedded_is_refused(eu, given, location, words):
    answer = eu.post(None, PATH, given)
    error = answer.json()["error"]

    assert (answer.status_code, error["location"]) == (400, location)
    assert words in error["message"]
    assert error["message"].startswith(f"400 - {location}: ")


def test_a_model_that_fails_for_a_time_is_called_again(eu):
    eu.break_(None, kind="500")

    assert eu.post(None, PATH, body(SMALL, "a", details={"max_retries": 1})).status_code == 500
    assert eu.admin("GET", "requests")[-1]["model_calls"] == 2
    eu.break_(None, kind="500", times=2)
    assert len(embed(eu, SMALL, "a")["final_result"]["data"]) == 1
