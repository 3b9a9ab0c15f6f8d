"""Which way a request takes to a backend: through the neutral values, or as it came."""

import pytest

from dialects.conversation import JSON
from dialects.crossing import Forwarded, Inquiry, Translated, crossing
from dialects.dialect import Envelope
from dialects.models import profile_for
from dialects.tables import CLIENTS

ASKED = {"model": "claude", "max_tokens": 100, "messages": [{"role": "user", "content": "Describe Ada."}]}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
SHAPED = {**ASKED, "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}


def inquiry(body: JSON, client: str = "anthropic-messages") -> Inquiry:
    conversation = CLIENTS[client].parse_request(body)
    return Inquiry(client, body, Envelope("token", conversation.model, 0, conversation))


@pytest.mark.parametrize(
    ("body", "model", "way"),
    [
        (ASKED, "anthropic--claude-3.5-sonnet", Forwarded),
        (ASKED, "anthropic--claude-4.5-sonnet", Forwarded),
        (SHAPED, "anthropic--claude-4.5-sonnet", Forwarded),
        (SHAPED, "anthropic--claude-3.5-sonnet", Translated),
    ],
)
def test_bodies_pass_between_two_ends_of_one_dialect_unless_the_model_lacks_what_they_ask(body, model, way):
    assert isinstance(crossing(inquiry(body), "anthropic-messages", profile_for(model)), way)


def test_between_two_dialects_everything_is_translated():
    assert isinstance(crossing(inquiry(ASKED), "bedrock-converse", profile_for("claude-4.5-sonnet")), Translated)


def test_a_model_without_a_json_mode_answers_an_anthropic_client_in_json():
    way = crossing(inquiry(SHAPED), "anthropic-messages", profile_for("anthropic--claude-3.5-sonnet"))
    asked = way.ask(profile_for("anthropic--claude-3.5-sonnet"))
    [tool] = asked.body["tools"]
    call = {"type": "tool_use", "id": "toolu_1", "name": tool["name"], "input": {"name": "Ada"}}
    answer = {"id": "msg_1", "content": [call], "stop_reason": "tool_use", "usage": {"input_tokens": 1}}
    told = way.answer({**answer, "type": "message", "role": "assistant", "model": "claude"}).body

    assert () == asked.dropped
    assert {"type": "tool", "name": tool["name"]} == asked.body["tool_choice"]
    assert ["text"] == [block["type"] for block in told["content"]]
    assert '{"name":"Ada"}' == told["content"][0]["text"].replace(" ", "")
    assert "end_turn" == told["stop_reason"]
