"""What is asked through orchestration, read again as chat completions: nothing of it is lost in silence."""

import pytest
from hypothesis import given, settings

from dialects import openai_chat, orchestration
from dialects.adapt.claude_tools import JSON_TOOL
from dialects.capabilities.models import profile_for
from dialects.core.conversation import JSON, Conversation, ToolSpec
from dialects.core.faults import FaultError
from tests.dialects import imagined
from tests.dialects.test_laws import EXCUSES, flow, settings_of
from tests.oracles.orchestration import substituted

MODELS = ("anthropic--claude-4.5-sonnet", "anthropic--claude-4.8-opus", "gpt-5", "gpt-5.5", "gemini-3.5-flash")
MODELS += ("mistralai--mistral-medium",)
"""Not Nova, whose schemas of tools are cut to what it knows."""


def as_chat(body: JSON) -> JSON:
    """The same request in chat completions, without the thoughts, which those have no place for."""
    templating = body["config"]["modules"]["prompt_templating"]
    messages = [
        {name: value for name, value in message.items() if name != "reasoning_content"} for message in substituted(body)
    ]
    prompt = {name: value for name, value in templating["prompt"].items() if name != "template"}
    stream = {"stream": True} if "stream" in body["config"] else {}
    return {"model": "m", "messages": messages, **prompt, **templating["model"]["params"], **stream}


@pytest.mark.parametrize("model", MODELS)
@given(imagined.conversations())
@settings(max_examples=40)
def test_nothing_is_lost_in_silence(model: str, conversation: Conversation) -> None:
    profile = profile_for(model)
    made = orchestration.render_request(conversation, profile)
    again = openai_chat.parse_request(as_chat(made.body))
    wanted, got = settings_of(conversation, profile), settings_of(again, profile)
    lost = {what for what, value in wanted.items() if value and value != got[what]}
    if any(tool.name == JSON_TOOL for tool in again.tools if isinstance(tool, ToolSpec)):
        lost -= {"tool_choice"}

    assert flow(conversation, thoughts=False) == flow(again, thoughts=False)
    assert not {what for what in lost if not any(why.startswith(EXCUSES.get(what, what)) for why in made.dropped)}


def test_what_cannot_be_lost_is_refused() -> None:
    with pytest.raises(FaultError):
        orchestration.render_request(Conversation("m"), profile_for("gpt-5"))
