"""The result of a call that failed: every model is told so, by a field or in words."""

import json

import pytest

from dialects.adapt.turn_order import FAILED
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Conversation, Media, MediaKind, Message, Role, Text, ToolCall, ToolResult
from dialects.registry import BACKENDS

ASKABLE = [
    ("openai-chat", "gpt-4.1"),
    ("openai-chat", "mistralai--mistral-large-instruct"),
    ("openai-responses", "gpt-5.3-codex"),
    ("anthropic-messages", "anthropic--claude-4.5-sonnet"),
    ("bedrock-converse", "anthropic--claude-4.5-sonnet"),
    ("bedrock-converse", "amazon--nova-pro"),
    ("gemini", "gemini-2.5-flash"),
    ("orchestration", "anthropic--claude-4.5-sonnet"),
]
BY_A_FIELD = {
    ("anthropic-messages", "anthropic--claude-4.5-sonnet"): '"is_error": true',
    ("bedrock-converse", "anthropic--claude-4.5-sonnet"): '"status": "error"',
    ("gemini", "gemini-2.5-flash"): '"error": "42"',
}
IMAGE = Media(MediaKind.IMAGE, "image/png", "iVBORw0KGgo=")


def told(backend: str, model: str, result: ToolResult) -> str:
    messages = (
        Message(Role.USER, (Text("hi"),)),
        Message(Role.ASSISTANT, (ToolCall("c1", "f", "{}"),)),
        Message(Role.USER, (result,)),
    )
    rendered = BACKENDS[backend].render_request(Conversation("m", messages=messages), profile_for(model))

    assert rendered.dropped == ()
    body = rendered.body
    return json.dumps(body if backend == "orchestration" else body[_PLACE.get(backend, "messages")])


_PLACE = {"openai-responses": "input", "gemini": "contents"}


@pytest.mark.parametrize(("backend", "model"), ASKABLE)
def test_a_model_is_told_that_a_call_failed(backend, model):
    words = BY_A_FIELD.get((backend, model), FAILED)

    assert words in told(backend, model, ToolResult("c1", (Text("42"),), is_error=True))
    assert words not in told(backend, model, ToolResult("c1", (Text("42"),)))


@pytest.mark.parametrize(("backend", "model"), [way for way in ASKABLE if way not in BY_A_FIELD])
@pytest.mark.parametrize("parts", [(), (IMAGE,), (Text(""),)])
def test_a_call_that_failed_without_a_word_has_failed_as_well(backend, model, parts):
    assert FAILED in told(backend, model, ToolResult("c1", parts, is_error=True))
