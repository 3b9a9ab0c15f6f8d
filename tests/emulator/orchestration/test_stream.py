"""Streams of orchestration: the prompt first, every chunk twice, and what they end with."""

import json

import pytest

from tests.emulator.client import OPUS, SONNET, data_lines
from tests.emulator.orchestration.completion import (
    GEMINI,
    GPT,
    NOVA,
    PATH,
    TOOL,
    body,
    chunks,
    deltas,
    message,
    modules,
    result,
    user,
)

EACH = pytest.mark.parametrize("model", [SONNET, OPUS, NOVA, GEMINI, GPT])
LONG = "scene:long 60"


def _joined(found, key):
    return "".join(delta.get(key, "") for delta in deltas(found))


def test_the_first_chunk_shows_the_prompt_and_nothing_else(eu):
    first = chunks(eu, modules(GPT, [{"role": "system", "content": "Be brief"}, user("Hello")]))[0]

    assert first["intermediate_results"] == {
        "templating": [{"role": "system", "content": "Be brief"}, user("Hello")],
    }
    assert first["final_result"] == {
        "id": "",
        "object": "",
        "created": 0,
        "model": "",
        "system_fingerprint": "",
        "choices": [{"index": 0, "delta": {"content": ""}}],
    }


@EACH
def test_every_chunk_says_all_twice_and_the_last_alone_counts(eu, model):
    _, *found, done = chunks(eu, modules(model, LONG))

    assert done == "[DONE]"
    assert all(chunk["intermediate_results"]["llm"] == chunk["final_result"] for chunk in found)
    assert ["usage" in chunk["final_result"] for chunk in found] == [False] * (len(found) - 1) + [True]
    reasons = [chunk["final_result"]["choices"][0]["finish_reason"] for chunk in found]
    assert reasons == [""] * (len(found) - 1) + ["stop"]
    assert {chunk["final_result"]["object"] for chunk in found} == {"chat.completion.chunk"}
    assert len({chunk["request_id"] for chunk in found}) == 1


@EACH
@pytest.mark.parametrize("text", [LONG, "scene:think Hello", "scene:parallel", "scene:quirks", "scene:refusal"])
def test_a_stream_says_what_the_whole_says(eu, model, text):
    configuration = modules(model, text, tools=[TOOL])
    whole = result(eu, configuration)
    said, reason = whole["choices"][0]["message"], whole["choices"][0]["finish_reason"]
    found = chunks(eu, configuration)

    calls = {}
    for delta in deltas(found):
        for call in delta.get("tool_calls", []):
            held = calls.setdefault(call["index"], {"id": call.get("id"), "name": "", "arguments": ""})
            held["name"] += call["function"].get("name", "")
            held["arguments"] += call["function"]["arguments"]
    blocks = [block for delta in deltas(found) for block in delta.get("reasoning_content", [])]
    assert _joined(found, "content") == said.get("content", "")
    assert _joined(found, "refusal") == said.get("refusal", "")
    assert "".join(block["content"] for block in blocks) == _reasoning(said, "content")
    assert "".join(block["signature"] for block in blocks) == _reasoning(said, "signature")
    assert list(calls.values()) == [{"id": call["id"], **call["function"]} for call in said.get("tool_calls", [])]
    assert found[-2]["final_result"]["choices"][0]["finish_reason"] == reason


def _reasoning(said, key):
    return "".join(block[key] for block in said.get("reasoning_content", []))


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_texts_come_in_pieces_of_the_size_that_is_wanted(eu, size):
    found = chunks(eu, modules(SONNET, LONG), stream={"chunk_size": size})
    pieces = [delta["content"] for delta in deltas(found) if delta["content"]]

    assert "".join(pieces) == message(eu, modules(SONNET, LONG))["content"]
    assert all(size <= len(piece) < size + 18 for piece in pieces[:-1])
    assert len(pieces[-1]) < size + 18


def test_json_is_written_as_python_writes_it(eu):
    raw = eu.post(None, PATH, body(modules(GPT, "\u00e9"), stream={})).content
    whole = eu.post(None, PATH, body(modules(GPT, "\u00e9"))).content

    for line in (*data_lines(raw)[:-1], whole):
        assert json.dumps(json.loads(line)).encode() == line
    assert raw.endswith(b"\n\ndata: [DONE]\n\n")


def test_several_choices_are_told_apart(eu):
    found = chunks(eu, modules("gpt-4.1", params={"n": 2}))
    texts = {0: "", 1: ""}
    for chunk in found[1:-1]:
        choice = chunk["final_result"]["choices"][0]
        texts[choice["index"]] += choice["delta"]["content"]

    whole = result(eu, modules("gpt-4.1", params={"n": 2}))["choices"]
    assert list(texts.values()) == [choice["message"]["content"] for choice in whole]
    assert len(set(texts.values())) == 2
    assert [at for at, chunk in enumerate(found[:-1]) if "usage" in chunk["final_result"]] == [len(found) - 2]


def test_a_stream_that_fails_in_its_middle_ends_with_an_error_and_without_done(eu):
    for configurations, listed in (((modules(GPT, LONG),), False), ((modules(GPT, LONG), modules(SONNET)), True)):
        eu.break_(None, kind="cut-error", after_events=1)
        *said, last = chunks(eu, *configurations)

        error = last["error"][0] if listed else last["error"]
        assert isinstance(last["error"], list) is listed
        assert (error["code"], error["location"]) == (500, "LLM Module")
        assert any(delta["content"] for delta in deltas(said))


def test_a_stream_can_just_end(eu):
    eu.break_(None, kind="eof", after_events=1)

    found = chunks(eu, modules(GPT, LONG))

    assert found[-1] != "[DONE]"
    assert "error" not in found[-1]
