"""Bodies that no protocol can read are rejected in the words of the vendor."""

import pytest

from tests.emulator.client import CHAT, HAIKU, SONNET

FLASH = "gemini-2.5-flash"


@pytest.mark.parametrize(
    ("model", "path", "body"),
    [
        ("text-embedding-3-small", "embeddings?api-version=1", {"input": []}),
        ("text-embedding-3-small", "embeddings?api-version=1", {"input": "a", "dimensions": 9999}),
        ("text-embedding-3-small", "embeddings?api-version=1", {"input": "a", "task": "x"}),
        ("nvidia--llama-3.2-nv-embedqa-1b", "embeddings", {"input": "a", "model": "x"}),
        ("amazon--titan-embed-text", "invoke", {"inputText": ["a", "b"]}),
        ("amazon--titan-embed-text", "invoke", {"inputText": "a", "model": "x"}),
        ("gemini-embedding", "models/gemini-embedding:predict", {"instances": [{"content": "a"}, {"content": ""}]}),
        (None, "v2/completion", {"config": {}}),
        (None, "v2/completion", {"config": {"modules": {"prompt_templating": {"prompt": {}, "model": {"name": "x"}}}}}),
    ],
)
def test_embeddings_and_orchestration_refuse_what_they_cannot_read(eu, model, path, body):
    assert eu.post(model, path, body).status_code == 400


def test_nonsense_is_refused_in_the_familys_words_and_never_breaks_the_server(eu):
    for model, path in (
        (SONNET, "invoke"),
        (HAIKU, "converse"),
        (FLASH, f"models/{FLASH}:generateContent"),
        ("gpt-4.1", CHAT),
        ("gpt-5", "responses"),
        ("text-embedding-3-small", "embeddings?api-version=1"),
        (None, "v2/completion"),
    ):
        nonsense = [b"", b"{", b"[]", b'"x"', b"\xff"]
        key = {"converse": "messages", CHAT: "messages", "responses": "input"}.get(path, "contents")
        nonsense += [
            b'{"%s": %s}' % (key.encode(), value) for value in (b"1", b"[1]", b'[{"role": 5}]', b"{}", b"null")
        ]
        for raw in nonsense:
            answer = eu.send("POST", model, path, data=raw)
            assert answer.status_code == 400, (path, raw, answer.text)
            assert answer.json()


@pytest.mark.parametrize("text", [rb'"half \ud83d"', b"NaN", rb'{"\ude00": 1}', b'"\xed\xa0\xbd"'])
def test_what_only_lenient_readers_take_for_json_is_refused(eu, text):
    for model, path in ((SONNET, "invoke"), (HAIKU, "converse"), ("gpt-4.1", CHAT), ("gpt-5", "responses")):
        body = b'{"messages": [], "input": "hi", "metadata": %s}' % text

        assert "Malformed input request" in eu.send("POST", model, path, data=body).text
