"""How many texts each family embeds in one call."""

import pytest

from tests.emulator.client import CHAT

GEMINI = "gemini-embedding"
PREDICT = f"models/{GEMINI}:predict"
AZURE = CHAT.replace("chat/completions", "embeddings")


def texts(count):
    return [f"text {number}" for number in range(count)]


def test_gemini_embeds_up_to_250_texts_in_one_call_and_in_order(eu):
    instances = [{"content": text} for text in texts(250)]
    parameters = {"outputDimensionality": 8}

    together = eu.post(GEMINI, PREDICT, {"instances": instances, "parameters": parameters}).json()["predictions"]
    alone = [
        eu.post(GEMINI, PREDICT, {"instances": [instances[at]], "parameters": parameters}).json()["predictions"][0]
        for at in (0, 249)
    ]

    assert len(together) == 250
    assert [together[0], together[249]] == alone


@pytest.mark.parametrize("count", [0, 251, 356])
def test_gemini_refuses_a_batch_beyond_its_range(eu, count):
    answer = eu.post(GEMINI, PREDICT, {"instances": [{"content": text} for text in texts(count)]})

    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    said = f"batchSize value of {count} but the supported range is from 1 (inclusive) to 251 (exclusive)"
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("model", "path", "more"),
    [
        ("text-embedding-3-small", AZURE, {}),
        ("nvidia--llama-3.2-nv-embedqa-1b", "embeddings", {"model": "x", "input_type": "query"}),
    ],
)
def test_lists_of_2048_texts_are_embedded_and_longer_ones_refused(eu, model, path, more):
    body = {"dimensions": 8, **more}

    whole = eu.post(model, path, {"input": texts(2048), **body}).json()
    refused = eu.post(model, path, {"input": texts(2049), **body})

    assert [one["index"] for one in whole["data"]] == list(range(2048))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "array_above_max_length")


def test_titan_takes_one_text_at_a_time(eu):
    assert eu.post("amazon--titan-embed-text", "invoke", {"inputText": texts(2)}).status_code == 400
    assert eu.post("amazon--titan-embed-text", "invoke", {"inputText": "a"}).status_code == 200
