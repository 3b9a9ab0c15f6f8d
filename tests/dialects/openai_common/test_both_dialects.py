"""What both of OpenAI's dialects can say: how wordy to be, tags, and how likely each token was."""

import json
from typing import Any

import pytest

from dialects import openai_chat, openai_responses
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Conversation, OutputFormat, Text
from dialects.core.events import fold, unfold
from dialects.framing.sse import Frame, SSEDecoder
from dialects.interface import Envelope
from dialects.translator import ClientRequest, translator_for
from tests.dialects.golden import byte_by_byte, read

HELLO = {"messages": [{"role": "user", "content": "x"}]}
PARROT = "🦜".encode()
TOKENS = [("Oh", b"Oh"), ("\\xf0\\x9f", PARROT[:2]), ("\\xa6\\x9c", PARROT[2:])]
"""Two of them make one character."""


def likely(token: str, written: bytes | None, logprob: float = -0.5) -> dict[str, Any]:
    said = {"token": token, "logprob": logprob, "bytes": None if written is None else list(written)}
    return {**said, "top_logprobs": [dict(said)]}


LIKELY = [likely(*token) for token in TOKENS]


def chunk(content: str | None, likely: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "logprobs": likely, "finish_reason": None}
    return Frame(json.dumps({"id": "c", "model": "m", "choices": [choice]})).encode()


WHOLE = {
    "id": "c",
    "model": "m",
    "choices": [
        {"message": {"content": "Oh🦜"}, "logprobs": {"content": LIKELY, "refusal": None}, "finish_reason": "stop"}
    ],
}
STREAM = (
    chunk("", None)
    + chunk("Oh", {"content": LIKELY[:1]})
    + chunk("", {"content": LIKELY[1:2]})
    + chunk("🦜", {"content": LIKELY[2:]})
    + Frame("[DONE]").encode()
)


def envelope(dialect: str, **fields: Any) -> Envelope:
    return Envelope("tok", "my-gpt", 1_780_000_000, Conversation("my-gpt", dialect, **fields))


def events(data: bytes) -> list[Any]:
    return [json.loads(frame.data) for frame in SSEDecoder().feed(data) if frame.data != "[DONE]"]


def test_a_stream_tells_how_likely_words_were_as_the_whole_answer_does():
    streamed = fold(read(openai_chat.reader("tok", ""), byte_by_byte(STREAM)))

    assert streamed.parts == (Text("Oh🦜", logprobs=tuple(LIKELY)),)
    assert streamed.parts == openai_chat.parse_response(WHOLE, "tok").parts
    assert streamed == fold(unfold(streamed))


def test_responses_tells_it_with_the_words_and_in_the_events_without_bytes():
    completion = openai_chat.parse_response(WHOLE, "tok")
    whole = openai_responses.render_response(completion, envelope("openai-responses"))
    read_events = read(openai_chat.reader("tok", ""), [STREAM])
    written = events(openai_responses.writer(envelope("openai-responses")).write(read_events))
    said = {event["type"]: event for event in written}
    brief = [
        {"token": token, "logprob": -0.5, "top_logprobs": [{"token": token, "logprob": -0.5}]} for token, _ in TOKENS
    ]

    assert whole["output"][0]["content"][0]["logprobs"] == LIKELY
    assert said["response.completed"]["response"]["output"][0]["content"][0]["logprobs"] == LIKELY
    assert said["response.content_part.done"]["part"]["logprobs"] == LIKELY
    assert brief == said["response.output_text.done"]["logprobs"]
    deltas = [event["logprobs"] for event in written if event["type"] == "response.output_text.delta"]
    assert deltas == [brief[:1], brief[1:]]


def test_chat_completions_tells_it_again():
    completion = openai_chat.parse_response(WHOLE, "tok")
    whole = openai_chat.render_response(completion, envelope("openai-chat"))
    written = openai_chat.writer(envelope("openai-chat")).write(read(openai_chat.reader("tok", ""), [STREAM]))
    told = [choice["logprobs"] for event in events(written) for choice in event["choices"]]

    assert whole["choices"][0]["logprobs"] == WHOLE["choices"][0]["logprobs"]
    assert [each for said in told if said for each in said["content"]] == LIKELY


@pytest.mark.parametrize(
    "strange",
    [None, 5, {"content": None}, {"content": [5, {"token": 5, "logprob": 0}, {"token": "x"}]}, {"content": {}}],
)
def test_what_makes_no_sense_is_not_told(strange):
    choice = {**WHOLE["choices"][0], "logprobs": strange}

    assert openai_chat.parse_response({**WHOLE, "choices": [choice]}, "tok").parts == (Text("Oh🦜"),)


def test_bytes_that_are_not_told_are_those_of_the_token():
    choice = {**WHOLE["choices"][0], "logprobs": {"content": [{"token": "é", "logprob": -1, "bytes": None}]}}
    [part] = openai_chat.parse_response({**WHOLE, "choices": [choice]}, "tok").parts

    assert part.logprobs == ({"token": "é", "logprob": -1, "bytes": [195, 169], "top_logprobs": []},)


def test_an_answer_out_of_an_object_has_tokens_of_its_own():
    asked = envelope("openai-responses", output=OutputFormat({"type": "array"}))
    wrapped = {"content": [likely('{"value": [1]}', None)]}
    way = translator_for(ClientRequest("openai-responses", {}, asked), "openai-chat", profile_for("gpt-4.1"))
    choice = {"message": {"content": '{"value": [1]}'}, "logprobs": wrapped, "finish_reason": "stop"}

    assert way.render_response({**WHOLE, "choices": [choice]}).completion.parts == (Text("[1]"),)


@pytest.mark.parametrize(("model", "kept"), [("gpt-5", True), ("o3", False), ("gpt-4.1", False)])
def test_only_models_that_can_are_told_how_wordy_to_be(model, kept):
    profile = profile_for(model)
    of_responses = openai_responses.parse_request({"input": "x", "text": {"verbosity": "low"}})
    of_chat = openai_chat.parse_request({**HELLO, "verbosity": "low"})
    dropped = () if kept else ("verbosity",)

    asked = openai_chat.render_request(of_responses, profile)
    assert ("low" if kept else None, dropped) == (asked.body.get("verbosity"), asked.dropped)
    asked = openai_responses.render_request(of_chat, profile)
    assert ({"verbosity": "low"} if kept else None, dropped) == (asked.body.get("text"), asked.dropped)


def test_what_responses_alone_knows_is_named():
    body = {
        "input": "x",
        "text": {"verbosity": "low", "tone": "dry"},
        "include": ["message.output_text.logprobs", "message.input_image.image_url"],
        "top_logprobs": 3,
        "metadata": {"a": "b"},
        "max_tool_calls": 2,
    }
    asked = openai_chat.render_request(openai_responses.parse_request(body), profile_for("gpt-4.1"))

    assert (asked.body["logprobs"], asked.body["top_logprobs"]) == (True, 3)
    assert asked.dropped == ("include", "max_tool_calls", "metadata", "text", "verbosity")
