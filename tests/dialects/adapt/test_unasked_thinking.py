"""A client that does not ask for thinking gets none; what signs a call comes back with it all the same."""

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import anthropic_messages as messages
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    Completion,
    Conversation,
    Effort,
    Family,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    Thinking,
    ToolCall,
)
from dialects.core.events import unfold
from dialects.framing.sse import SSEDecoder
from dialects.interface import Envelope
from dialects.registry import BACKENDS
from tests.dialects import imagined

NOT_ASKED = [None, Reasoning(Effort.NONE), Reasoning(Effort.HIGH, for_answer=True)]
ENCRYPTED = Thinking(signature="c2VhbGVk", family=Family.OPENAI)
SIGNED = Thinking("hm", "c2lnbmVk", family=Family.GEMINI)
CALL, OTHER = ToolCall("call_1", "f", '{"a":1}'), ToolCall("call_2", "g", "{}")


def envelope_for(reasoning: Reasoning | None) -> Envelope:
    return Envelope("tok", "m", 0, Conversation("m", messages.DIALECT, reasoning=reasoning))


def told(parts: tuple[Part, ...], reasoning: Reasoning | None, *, stream: bool) -> list[dict[str, Any]]:
    """The blocks that a client is given."""
    completion, envelope = Completion(parts=parts), envelope_for(reasoning)
    if not stream:
        return json.loads(orjson.dumps(messages.render_response(completion, envelope)))["content"]
    blocks: list[dict[str, Any]] = []
    for frame in SSEDecoder().feed(messages.writer(envelope).write(unfold(completion))):
        event = json.loads(frame.data)
        match event["type"], event.get("delta"):
            case "content_block_start", _:
                blocks.append({**event["content_block"], "arguments": ""})
            case "content_block_delta", {"partial_json": text}:
                blocks[event["index"]]["arguments"] += text
            case "content_block_delta", {"type": kind, **delta}:
                [(name, text)] = delta.items()
                assert kind == f"{name}_delta"
                blocks[event["index"]][name] += text
            case _:
                pass
    arguments = [block.pop("arguments") for block in blocks]
    return [
        block | {"input": json.loads(said or "{}")} if block["type"] == "tool_use" else block
        for block, said in zip(blocks, arguments, strict=True)
    ]


def sent_back(blocks: list[dict[str, Any]]) -> Conversation:
    asked = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": blocks}]
    results = [{"type": "tool_result", "tool_use_id": each["id"]} for each in blocks if each["type"] == "tool_use"]
    body = {"model": "m", "max_tokens": 9, "messages": [*asked, {"role": "user", "content": results or "go on"}]}
    return messages.parse_request(body)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("reasoning", NOT_ASKED, ids=["not asked", "switched off", "an effort alone"])
def test_an_answer_in_words_is_nothing_but_words(reasoning: Reasoning | None, stream: bool) -> None:
    said = (ENCRYPTED, Thinking("hm"), Text("Hello"), SIGNED)

    assert told(said, reasoning, stream=stream) == [{"type": "text", "text": "Hello"}]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("reasoning", NOT_ASKED, ids=["not asked", "switched off", "an effort alone"])
def test_a_signature_stands_behind_its_call_without_words(reasoning: Reasoning | None, stream: bool) -> None:
    blocks = told((SIGNED, CALL, Text("and"), ENCRYPTED, OTHER), reasoning, stream=stream)

    assert [block["type"] for block in blocks] == ["tool_use", "thinking", "text", "tool_use", "thinking"]
    assert [block["thinking"] for block in blocks if block["type"] == "thinking"] == ["", ""]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_signature_comes_back_before_its_call(stream: bool) -> None:
    blocks = told((SIGNED, CALL, ENCRYPTED, ENCRYPTED, OTHER), None, stream=stream)
    back = sent_back(blocks).messages[1]

    unseen = replace(SIGNED, text="")
    assert Message(Role.ASSISTANT, (unseen, CALL, ENCRYPTED, ENCRYPTED, OTHER)) == back


def test_a_signature_that_comes_back_without_its_call_stays_where_it_is() -> None:
    [call, thinking] = told((ENCRYPTED, CALL), None, stream=False)
    back = sent_back([{"type": "text", "text": "called:"}, thinking]).messages[1]

    assert call["type"] == "tool_use"
    assert back.parts == (Text("called:"), ENCRYPTED)


def test_a_gemini_model_is_shown_what_it_signed() -> None:
    asked = sent_back(told((SIGNED, CALL), None, stream=True))
    body = BACKENDS["gemini"].render_request(asked, profile_for("gemini-3.1-pro")).body

    assert {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2lnbmVk"} in [
        part for turn in body["contents"] for part in turn["parts"]
    ]


def test_a_gpt_is_shown_what_it_encrypted() -> None:
    asked = sent_back(told((ENCRYPTED, CALL), None, stream=True))
    items = BACKENDS["openai-responses"].render_request(asked, profile_for("gpt-5")).body["input"]

    assert [item.get("type") for item in items[1:]] == ["reasoning", "function_call", "function_call_output"]
    assert items[1]["encrypted_content"] == "c2VhbGVk"


def test_a_client_that_asks_is_shown_thinking_first() -> None:
    for reasoning in (Reasoning(adaptive=True), Reasoning(budget=2000), Reasoning(adaptive=True, shown=False)):
        for stream in (False, True):
            assert [block["type"] for block in told((SIGNED, CALL), reasoning, stream=stream)] == [
                "thinking",
                "tool_use",
            ]


@given(imagined.completions(), st.sampled_from(NOT_ASKED))
@settings(max_examples=40)
def test_no_answer_begins_with_thinking_that_was_not_asked_for(
    completion: Completion, reasoning: Reasoning | None
) -> None:
    for stream in (False, True):
        blocks = told(completion.parts, reasoning, stream=stream)

        assert "thinking" not in [block["type"] for block in blocks][:1]
        assert [part.text for part in completion.parts if isinstance(part, Text)] == [
            block["text"] for block in blocks if block["type"] == "text"
        ] or any(not isinstance(part, Text | Thinking | ToolCall) for part in completion.parts)
