"""Every protocol, whole and streamed: framing, headers, and that both say the same."""

import base64
import json
import struct

import pytest

from emulator.framing import Framing, aws_message, frame
from emulator.model_io import StreamEvent
from emulator.simulated_model import QUIRKS
from tests.emulator.client import AWS, CHAT, EVERY_DOOR, HAIKU, SONNET, data_lines, events, request, say

TEXTS = [
    "Hello there",
    "scene:quirks",
    "scene:long 40",
    "scene:refusal",
    "scene:empty",
    "What is the get_weather like?",
    "scene:parallel",
    'scene:call get_weather {"city": "Köln \\u2028 \\"x\\"", "days": 3}',
    "scene:call get_weather {}",
    "scene:think Hello",
]


@pytest.mark.parametrize(("door", "model"), EVERY_DOOR)
def test_a_stream_says_what_the_whole_answer_says(eu, door, model):
    for text in TEXTS:
        whole = say(eu, door, model, text, tools=("get_weather", "get_time"))
        streamed = say(eu, door, model, text, tools=("get_weather", "get_time"), stream=True)

        assert (whole.text, whole.thoughts, whole.calls, whole.stop) == (
            streamed.text,
            streamed.thoughts,
            streamed.calls,
            streamed.stop,
        )
        assert whole.usage == streamed.usage


@pytest.mark.parametrize(("door", "model"), EVERY_DOOR)
def test_the_quirky_text_arrives_as_it_was_meant(eu, door, model):
    assert say(eu, door, model, "scene:quirks", stream=True).text == QUIRKS


@pytest.mark.parametrize("door", ["invoke", "converse"])
def test_bedrock_speaks_aws_frames_to_whoever_accepts_them(eu, door):
    path, body = request(door, SONNET, "scene:quirks", stream=True)

    answer = eu.post(SONNET, path, body, headers={"Accept": AWS})
    plain = eu.post(SONNET, path, body)

    assert answer.headers["content-type"] == AWS
    assert plain.headers["content-type"].startswith("text/event-stream")
    assert say(eu, door, SONNET, "scene:quirks", stream=True, headers={"Accept": AWS}).text == QUIRKS


@pytest.mark.parametrize("door", ["invoke", "converse"])
def test_what_is_not_streamed_is_json_whatever_is_accepted(eu, door):
    path, body = request(door, SONNET, "Hello")

    answer = eu.post(SONNET, path, body, headers={"Accept": AWS})

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()


def test_an_aws_message_has_the_bytes_amazon_gives_it():
    headers = {":event-type": "messageStart", ":content-type": "application/json", ":message-type": "event"}
    expected = (
        "000000760000005296d5fade0b3a6576656e742d7479706507000c6d65737361676553746172740d3a636f6e74656e742d74797065"
        "0700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b22726f6c65223a22617373"
        "697374616e74227d6fa8c599"
    )

    assert aws_message(headers, b'{"role":"assistant"}').hex() == expected


def test_converse_streams_are_python_unless_the_settings_say_json(eu):
    path, body = request("converse", HAIKU, "say it's", stream=True)

    python = data_lines(eu.post(HAIKU, path, body).content)[0]
    eu.admin("PUT", "settings", {"converse_sse": "json"})
    proper = data_lines(eu.post(HAIKU, path, body).content)[0]

    assert python == b"{'messageStart': {'role': 'assistant'}}"
    assert proper == b'{"messageStart":{"role":"assistant"}}'


def test_python_spells_bytes_and_nothing_in_its_own_way():
    event = StreamEvent({"a": None, "b": b"\x00\xff", "c": 'it\'s "x" \u200b'})

    assert frame(event, Framing.REPR) == b"data: {'a': None, 'b': b'\\x00\\xff', 'c': 'it\\'s \"x\" \\u200b'}\n\n"


def test_no_stream_but_chat_says_done_and_none_names_its_events(eu):
    for door, model in EVERY_DOOR:
        path, body = request(door, model, "Hello", stream=True)
        raw = eu.post(model, path, body).content

        assert (door == "chat") == (b"[DONE]" in raw)
        assert b"event:" not in raw


def test_azure_begins_with_an_empty_chunk_and_three_newlines(eu):
    path, body = request("chat", "gpt-4.1", "Hello", stream=True)

    raw = eu.post("gpt-4.1", path, body).content
    first, second, *_ = events(eu.post("gpt-4.1", path, body))

    assert (first["choices"], first["created"], first["id"], first["model"]) == ([], 0, "", "")
    assert first["prompt_filter_results"][0]["content_filter_results"]["hate"] == {
        "filtered": False,
        "severity": "safe",
    }
    assert second["model"] == "gpt-4.1-2025-04-14"
    assert raw.endswith(b"\n\n\ndata: [DONE]\n\n\n")
    assert all(list(chunk) == sorted(chunk) for chunk in events(eu.post("gpt-4.1", path, body)))


def test_azure_counts_in_a_stream_only_when_asked(eu):
    path, body = request("chat", "gpt-4.1", "Hello", stream=True)
    del body["stream_options"]

    assert not any(chunk.get("usage") for chunk in events(eu.post("gpt-4.1", path, body)))


def test_azure_gives_as_many_choices_and_probabilities_as_asked(eu):
    body = {"messages": [{"role": "user", "content": "Hello"}], "n": 3, "logprobs": True, "top_logprobs": 2}

    choices = eu.post("gpt-4.1", CHAT, body).json()["choices"]

    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) == 3
    for choice in choices:
        tokens = choice["logprobs"]["content"]
        assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
        assert all(len(token["top_logprobs"]) == 2 for token in tokens)


def test_gemini_streams_events_with_or_without_being_told_and_counts_upwards(eu):
    model = "gemini-2.5-pro"
    path, body = request("gemini", model, "scene:think scene:long 30", stream=True)

    chunks = events(eu.post(model, path, body))
    told = events(eu.post(model, f"{path}?alt=sse", body))

    assert len(chunks) == len(told)
    for key in ("candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"):
        counts = [chunk["usageMetadata"].get(key, 0) for chunk in chunks]
        assert counts == sorted(counts)
    assert [chunk["candidates"][0].get("finishReason") for chunk in chunks][-1] == "STOP"


def test_responses_numbers_its_events_and_keeps_their_order(eu):
    path, body = request("responses", "gpt-5", "scene:think Hello", stream=True)

    found = events(eu.post("gpt-5", path, body))
    kinds = [event["type"] for event in found]

    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert kinds.index("response.reasoning_summary_text.delta") < kinds.index("response.output_text.delta")
    assert found[0]["response"]["model"] == "gpt-5-2025-08-07-dz-std"


def test_every_inference_answer_carries_its_ids(eu):
    for path, status in (("invoke", 200), ("nonsense", 400)):
        answer = eu.post(SONNET, path, request("invoke", SONNET, "Hello")[1])

        assert answer.status_code == status
        assert answer.headers["x-request-id"] == answer.headers["ai-inference-id"]
        assert int(answer.headers["x-upstream-service-time"]) >= 0


def test_split_writes_cut_anywhere_and_lose_nothing(eu):
    eu.admin("PUT", "settings", {"split": {"seed": 7}})
    for door, model in EVERY_DOOR:
        path, body = request(door, model, "scene:quirks", stream=True)
        with eu.post(model, path, body, stream=True) as answer:
            pieces = list(answer.iter_content(None))

        raw = b"".join(pieces)
        assert max(map(len, pieces)) < len(raw) / 8
        assert any(b"data: ".startswith(piece[-3:]) for piece in pieces if len(piece) >= 3)
        assert say(eu, door, model, "scene:quirks", stream=True).text == QUIRKS


def test_stored_responses_are_continued_shown_and_deleted(eu):
    first = eu.post("gpt-5", "responses", {"input": "Hello"}).json()
    second = eu.post("gpt-5", "responses", {"input": "And now?", "previous_response_id": first["id"]})

    assert second.status_code == 200
    assert second.json()["usage"]["input_tokens"] > first["usage"]["input_tokens"]
    assert eu.send("GET", "gpt-5", f"responses/{first['id']}").json() == first
    assert eu.send("POST", "gpt-5", f"responses/{first['id']}/cancel").status_code == 400
    elsewhere = eu.post("gpt-5", "responses", {"input": "And?", "previous_response_id": first["id"]}, number=1)
    assert elsewhere.json()["error"]["code"] == "previous_response_not_found"
    gone = eu.send("DELETE", "gpt-5", f"responses/{first['id']}")
    assert gone.json() == {"id": first["id"], "object": "response", "deleted": True}
    assert eu.send("GET", "gpt-5", f"responses/{first['id']}").status_code == 404
    kept_out = eu.post("gpt-5", "responses", {"input": "Hello", "store": False}).json()
    assert eu.send("GET", "gpt-5", f"responses/{kept_out['id']}").status_code == 404


def test_orchestration_says_everything_twice_and_fills_its_template(eu):
    modules = {
        "prompt_templating": {
            "prompt": {"template": [{"role": "user", "content": "scene:echo hi {{?who}}"}], "defaults": {"who": "you"}},
            "model": {"name": SONNET, "params": {"max_completion_tokens": 100}},
        }
    }
    body = {"config": {"modules": modules}, "placeholder_values": {"who": "there"}}

    whole = eu.post(None, "v2/completion", body).json()
    body["config"]["stream"] = {"enabled": True, "chunk_size": 4}
    raw = eu.post(None, "v2/completion", body).content
    chunks = [json.loads(line) for line in data_lines(raw)[:-1]]

    assert whole["final_result"]["choices"][0]["message"]["content"] == "hi there"
    assert whole["final_result"] == whole["intermediate_results"]["llm"]
    assert chunks[0]["intermediate_results"]["templating"][0]["content"] == "scene:echo hi there"
    texts = [chunk["final_result"]["choices"][0]["delta"].get("content") for chunk in chunks]
    assert "".join(texts) == "hi there"
    assert chunks[-1]["final_result"]["usage"]["total_tokens"] > 0
    assert b'{"request_id": "' in raw
    assert raw.endswith(b"data: [DONE]\n\n")


def test_embeddings_are_the_same_vector_in_every_spelling(eu):
    path = "embeddings?api-version=2025-03-01-preview"
    model = "text-embedding-3-small"

    plain = eu.post(model, path, {"input": ["a", "b"]}).json()
    encoded = eu.post(model, path, {"input": "a", "encoding_format": "base64"}).json()
    raw = base64.b64decode(encoded["data"][0]["embedding"])
    unpacked = struct.unpack(f"<{len(raw) // 4}f", raw)

    assert [one["index"] for one in plain["data"]] == [0, 1]
    assert unpacked == pytest.approx(plain["data"][0]["embedding"], abs=1e-6)
    assert sum(value * value for value in unpacked) == pytest.approx(1, abs=1e-4)
    assert plain["data"][0]["embedding"] != plain["data"][1]["embedding"]
    tokens = eu.post(model, path, {"input": [[1, 2, 3], [4]], "dimensions": 8}).json()
    assert [len(one["embedding"]) for one in tokens["data"]] == [8, 8]


def test_embeddings_come_in_every_familys_own_words(eu):
    titan = eu.post("amazon--titan-embed-text", "invoke", {"inputText": "hello", "dimensions": 256}).json()
    nvidia = eu.post(
        "nvidia--llama-3.2-nv-embedqa-1b", "embeddings", {"input": ["a"], "model": "x", "input_type": "query"}
    ).json()
    for name in ("gemini-embedding", "gemini-embedding-001"):
        gemini = eu.post("gemini-embedding", f"models/{name}:predict", {"instances": [{"content": "hello"}]}).json()
        assert len(gemini["predictions"][0]["embeddings"]["values"]) == 3072

    assert (len(titan["embedding"]), titan["inputTextTokenCount"]) == (256, 2)
    assert len(nvidia["data"][0]["embedding"]) == 2048
