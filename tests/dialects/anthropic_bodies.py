"""What the tests of Anthropic's messages share: models, bodies and words."""

from dataclasses import replace

from dialects import anthropic_messages as messages
from dialects.capabilities.models import profile_for
from dialects.core.conversation import Conversation, Message, Reasoning, Role, Text
from dialects.interface import Envelope
from tests.oracles.anthropic import check_messages_request

BACKEND = "anthropic_messages"
SONNET_4 = profile_for("anthropic--claude-4-sonnet")
SONNET_45 = profile_for("anthropic--claude-4.5-sonnet")
OPUS_45 = profile_for("anthropic--claude-4.5-opus")
SONNET_46 = profile_for("anthropic--claude-4.6-sonnet")
OPUS_47 = profile_for("anthropic--claude-4.7-opus")
HAIKU_3 = profile_for("anthropic--claude-3-haiku")
ALL = (SONNET_4, SONNET_45, OPUS_45, SONNET_46, OPUS_47, HAIKU_3)
ASKED = Conversation("claude", messages=(Message(Role.USER, (Text("hi"),)),))
ENVELOPE = Envelope("tok", "my-claude", 0, replace(ASKED, reasoning=Reasoning(adaptive=True)))
"""A client that wants to see thinking."""


def asked(*turns, **fields):
    return {"model": "claude", "max_tokens": 100, "messages": list(turns or [user("hi")]), **fields}


def user(*content):
    return {"role": "user", "content": content[0] if content and isinstance(content[0], str) else list(content)}


def assistant(*content):
    return {"role": "assistant", "content": list(content)}


def text(words, **more):
    return {"type": "text", "text": words, **more}


def tool(name, **more):
    return {"name": name, "input_schema": {"type": "object", "properties": {}}, **more}


def call(id="t1", name="f", **arguments):
    return {"type": "tool_use", "id": id, "name": name, "input": arguments}


def result(id="t1", content="ok", **more):
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def passed_request(body, profile=SONNET_45):
    rendered = messages.passthrough_request(body, profile)
    check_messages_request(rendered.body)
    return rendered


def rendered(conversation, profile=SONNET_45):
    rendered = messages.render_request(conversation, profile)
    check_messages_request(rendered.body)
    return rendered


def said(*parts, role=Role.USER):
    return Message(role, parts)
