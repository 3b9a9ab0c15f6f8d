"""Orchestration: responses and streams, parsed and translated."""

import json
from typing import Any

import pytest

from dialects import orchestration
from dialects.adapt.claude_tools import JSON_TOOL
from dialects.core.conversation import (
    JSON,
    Conversation,
    Family,
    Refusal,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from dialects.core.events import Event, Failed, Finished, fold
from dialects.core.faults import FaultError, FaultKind
from dialects.core.relay import TranslatingRelay
from dialects.interface import Envelope
from dialects.registry import CLIENTS
from tests.dialects import golden

BACKEND = "orchestration"
SCENES = golden.scenes(BACKEND)
SECRET = "PROMPT {{?x}} must not leak"
"""What the templating module repeats in every scene."""


def translated(client: str, scene: str) -> bytes:
    envelope = Envelope("tok", "my-model", 1_780_000_000, Conversation("my-model", client, stream_usage=True))
    relay = TranslatingRelay(orchestration.reader("tok", ""), CLIENTS[client].writer(envelope))
    data = golden.wire(BACKEND, scene)
    return b"".join(relay.feed(piece) for piece in golden.cut(data, range(0, len(data), 11))) + relay.finish()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("scene", SCENES)
def test_a_stream_is_translated_for_every_client(scene: str, client: str) -> None:
    golden.matches(BACKEND, scene, client, translated(client, scene))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("scene", SCENES)
def test_the_prompt_that_is_repeated_in_the_results_reaches_no_client(scene: str, client: str) -> None:
    assert SECRET.encode() in golden.wire(BACKEND, scene)
    assert b"must not leak" not in translated(client, scene)


def chunk(delta: JSON, model: str = "gpt-5", **fields: Any) -> JSON:
    choice = {"index": 0, "delta": {"role": "assistant", "content": "", **delta}, "finish_reason": ""}
    result = {"id": "chatcmpl-1", "model": model, "choices": [{**choice, **fields.pop("choice", {})}], **fields}
    return {"request_id": "r", "final_result": result}


STOP = {"choice": {"finish_reason": "stop"}}


def read(*messages: JSON, done: bool = True) -> list[Event]:
    frames = [f"data: {json.dumps(message)}\n\n".encode() for message in messages]
    return golden.read(orchestration.reader("tok", ""), [*frames, b"data: [DONE]\n\n" if done else b""])


def thoughts(*blocks: tuple[str, str]) -> JSON:
    return {"reasoning_content": [{"content": text, "signature": signature} for text, signature in blocks]}


def test_the_first_chunk_which_is_empty_says_neither_that_an_answer_begins_nor_whose_it_is() -> None:
    empty = {"id": "", "object": "", "created": 0, "model": "", "choices": [{"index": 0, "delta": {"content": ""}}]}
    events = orchestration.reader("tok", "").feed(f"data: {json.dumps({'final_result': empty})}\n\n".encode())

    assert events == []
    assert fold(read({"final_result": empty}, chunk({"content": "hi"}), chunk({}, **STOP))).id == "chatcmpl-1"


def test_a_stream_without_its_end_is_broken_unless_it_said_why_it_stopped() -> None:
    assert isinstance(read(chunk({"content": "hi"}), done=False)[-1], Failed)
    assert isinstance(read(chunk({"content": "hi"}), chunk({}, **STOP), done=False)[-1], Finished)


def test_thoughts_go_on_until_they_are_signed_and_what_follows_is_another_thought() -> None:
    model = "claude-sonnet-4-5"
    events = read(
        chunk(thoughts(("Let ", "")), model),
        chunk(thoughts(("me", ""), ("", "S1"), ("And", "S2")), model),
        chunk(thoughts(("", "S3")), model),
        chunk({"content": "Done."}, model),
        chunk({}, model, **STOP),
    )
    signed = [Thinking(text, own, family=Family.CLAUDE) for text, own in (("Let me", "S1"), ("And", "S2"), ("", "S3"))]

    assert fold(events).parts == (*signed, Text("Done."))


def test_thoughts_after_words_are_thoughts_of_their_own() -> None:
    pieces = (thoughts(("a", "")), {"content": "x"}, thoughts(("b", "")), {"content": "y"})
    events = read(*map(chunk, pieces), chunk({}, **STOP))

    assert [part.text for part in fold(events).parts if isinstance(part, Text | Thinking)] == ["a", "x", "b", "y"]


def test_a_whole_answers_thoughts_stand_before_its_words_and_calls() -> None:
    message = {
        "content": "x",
        **thoughts(("hm", "S1"), ("", "")),
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
    }
    body = {"final_result": {"model": "gemini-3.5-flash", "choices": [{"message": message, "finish_reason": "stop"}]}}
    answer = orchestration.parse_response(body, "tok")

    assert answer.parts == (Thinking("hm", "S1", family=Family.GEMINI), Text("x"), ToolCall("c", "f", "{}"))
    assert answer.stop.reason is StopReason.TOOL_USE


@pytest.mark.parametrize(
    ("model", "usage", "counted"),
    [
        # Claude's prompt leaves out what was cached, that of all others includes it.
        ("claude-sonnet-4-5-20250929", {"cached_tokens": 90, "cache_creation_tokens": 7}, Usage(14, 90, 7, 5)),
        ("anthropic--claude-4.5-sonnet", {"cached_tokens": 9}, Usage(14, 9, 0, 5)),
        ("gpt-5", {"cached_tokens": 9}, Usage(5, 9, 0, 5)),
        ("gemini-3.5-flash", {"cached_tokens": 9, "cache_creation_tokens": 2}, Usage(3, 9, 2, 5)),
        # What is more than the whole can be no part of it, whatever the model is called.
        ("some-alias", {"cached_tokens": 90}, Usage(14, 90, 0, 5)),
        ("gpt-5", None, Usage(14, 0, 0, 5)),
    ],
)
def test_cached_tokens_are_counted_once(model: str, usage: JSON | None, counted: Usage) -> None:
    said = {"prompt_tokens": 14, "completion_tokens": 5, "total_tokens": 19, "prompt_tokens_details": usage}
    body = {"final_result": {"model": model, "usage": said, "choices": [{"message": {"content": "x"}}]}}

    assert orchestration.parse_response(body, "tok").usage == counted
    assert fold(read(chunk({"content": "x"}, model), chunk({}, "", usage=said, **STOP))).usage == counted


def test_what_was_written_is_counted_by_how_long_it_is_kept_where_only_that_is_said() -> None:
    periods = {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 100}
    details = {"cached_tokens": 3, "cache_creation_token_details": periods}
    usage = {"prompt_tokens": 14, "completion_tokens": 5, "prompt_tokens_details": details}
    events = read(chunk({"content": "x"}, "claude-opus-4-8"), chunk({}, "claude-opus-4-8", usage=usage, **STOP))

    assert fold(events).usage == Usage(14, 3, 120, 5, cache_write_1h=100)


def test_thoughts_in_other_forms_are_thoughts_without_a_signature() -> None:
    for blocks in ("hm", ["hm"], [{"content": "hm"}], [{"content": "hm", "signature": None}, 1, {"content": 1}]):
        message = {"content": "x", "reasoning_content": blocks}
        body = {"final_result": {"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}}

        assert orchestration.parse_response(body, "tok").parts == (Thinking("hm"), Text("x"))
        assert fold(read(chunk(message, "m"), chunk({}, "m", **STOP))).parts == (Thinking("hm"), Text("x"))


def test_what_a_model_was_made_to_answer_in_json_with_is_its_answer() -> None:
    call = {"index": 0, "id": "c", "function": {"name": JSON_TOOL, "arguments": ""}}
    more = {"index": 0, "function": {"arguments": '{"a": 1}'}}
    end = {"choice": {"finish_reason": "tool_calls"}}
    streamed = fold(read(chunk({"tool_calls": [call]}), chunk({"tool_calls": [more]}), chunk({}, **end)))
    whole = {"content": "", "tool_calls": [{**call, "function": {"name": JSON_TOOL, "arguments": '{"a": 1}'}}]}
    body = {"final_result": {"model": "m", "choices": [{"message": whole, "finish_reason": "tool_calls"}]}}

    for answer in (streamed, orchestration.parse_response(body, "tok")):
        assert answer.parts == (Text('{"a": 1}'),)
        assert answer.stop.reason is StopReason.END


def test_a_refusal_without_content_is_a_refusal() -> None:
    body = {"final_result": {"model": "gpt-5", "choices": [{"message": {"refusal": "no"}, "finish_reason": "stop"}]}}

    assert orchestration.parse_response(body, "tok").parts == (Refusal("no"),)


@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_that_a_filter_held_back_was_filtered_in_each_clients_words(client: str) -> None:
    words = {
        "openai-chat": '"content_filter"',
        "openai-responses": '"content_filter"',
        "anthropic-messages": '"refusal"',
        "gemini": '"SAFETY"',
    }

    assert words[client] in translated(client, "filtered").decode()


def test_an_answer_that_is_an_error_is_a_fault() -> None:
    error = {"request_id": "r", "code": 429, "message": "429 - LLM Module: slow down", "location": "LLM Module"}
    with pytest.raises(FaultError) as caught:
        orchestration.parse_response({"error": [{**error, "code": 500}, error]}, "tok")

    assert caught.value.fault.kind is FaultKind.RATE_LIMITED


def test_an_answer_that_is_none_raises() -> None:
    for body in ({}, {"final_result": []}, {"final_result": "x"}):
        with pytest.raises((ValueError, TypeError)):
            orchestration.parse_response(body, "tok")
