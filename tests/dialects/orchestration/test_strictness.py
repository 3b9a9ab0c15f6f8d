"""Whatever is asked, the emulator, which refuses what the service has been seen to refuse, takes it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialects import orchestration
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Conversation,
    Media,
    Message,
    Opaque,
    Part,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from dialects.core.faults import FaultError
from dialects.orchestration import Fallback, Modules, with_modules
from emulator.orchestration.pipeline import prepare
from emulator.orchestration.schema import COMPLETION
from emulator.orchestration.schema_check import find_problem
from tests.dialects import imagined
from tests.dialects.orchestration.test_modules import FILTERING, GROUNDING, MASKING, TRANSLATION
from tests.dialects.orchestration.test_templates import said

MODELS = (
    *("anthropic--claude-4.5-haiku", "anthropic--claude-4.6-sonnet", "anthropic--claude-4.8-opus"),
    *("gpt-5", "gpt-5.5", "gpt-5.6-sol", "gemini-3.5-flash", "amazon--nova-pro"),
)
FALLBACKS = tuple(Fallback(model) for model in MODELS)


def ask(body: JSON) -> list[JSON]:
    """Check a body and ask its models in their vendors' words; gives the messages that the first is shown."""
    assert find_problem(body, COMPLETION) is None
    modules = body["config"]["modules"]
    configurations = modules if isinstance(modules, list) else [modules]
    prepared = [prepare(each, body, stream="stream" in body["config"]) for each in configurations]
    for each in prepared:
        each.ask()
    return prepared[0].messages


def unmistaken(conversation: Conversation) -> Conversation:
    """Take out what only a client can have done wrong: thoughts that nobody signed, and cache marks out of order."""

    def sound(part: Part) -> Part:
        match part:
            case ToolResult(parts=parts):
                kept = tuple(each for each in map(sound, parts) if isinstance(each, Text | Media | Opaque))
                return replace(part, parts=kept, cache=part.cache and CacheMark())
            case Text() | Media() | ToolCall():
                return replace(part, cache=part.cache and CacheMark())
            case _:
                return part

    turns = [
        (turn.role, [sound(part) for part in turn.parts if not isinstance(part, Thinking)])
        for turn in conversation.messages
    ]
    system = tuple(replace(text, cache=text.cache and CacheMark()) for text in conversation.system)
    messages = tuple(Message(role, tuple(parts) or (Text("well"),)) for role, parts in turns)
    return replace(conversation, system=system, messages=messages)


def rendered(conversation: Conversation, model: str) -> JSON:
    return orchestration.render_request(unmistaken(conversation), profile_for(model)).body


@pytest.mark.parametrize("model", MODELS)
@given(imagined.conversations(), said)
@settings(max_examples=25)
def test_a_request_is_taken_and_shows_the_model_what_was_said(
    model: str, conversation: Conversation, text: str
) -> None:
    turns = (*conversation.messages, Message(Role.USER, (Text(text),)))
    try:
        body = rendered(replace(conversation, messages=turns), model)
    except FaultError as error:
        assert error.fault.param == "tool_choice"  # noqa: PT017 - what may be refused is refused in words
        return

    assert text in str(ask(body)[-1])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("turns", [(), (Message(Role.USER, (Text(""),)),)], ids=["none", "empty"])
def test_what_gives_nothing_to_answer_is_refused_before_the_model_does(model: str, turns: tuple[Message, ...]) -> None:
    conversation = Conversation("m", system=(Text("Be brief."),), messages=turns)
    if model.startswith("gpt"):
        ask(orchestration.render_request(conversation, profile_for(model)).body)
        return
    with pytest.raises(FaultError, match="messages contains nothing to answer for model m"):
        orchestration.render_request(conversation, profile_for(model))


@pytest.mark.parametrize("model", MODELS)
def test_a_call_that_nobody_signed_is_taken_by_every_model_that_is_asked(model: str) -> None:
    turns = (
        Message(Role.USER, (Text("How warm?"),)),
        Message(Role.ASSISTANT, (ToolCall("call_1", "f", "{}"),)),
        Message(Role.USER, (ToolResult("call_1", (Text("22C"),)),)),
    )
    made = with_modules(rendered(Conversation("m", messages=turns), model), Modules(fallbacks=FALLBACKS))
    asked = [each["prompt_templating"]["model"]["name"] for each in made.body["config"]["modules"]]
    ask(made.body)

    assert ("gemini-3.5-flash" in asked[1:], "gpt-5" in asked[1:]) == (model == "gemini-3.5-flash", True)
    assert made.dropped == ("fallbacks",)


@pytest.mark.parametrize(
    "changed",
    [
        lambda modules: replace(modules, grounding=GROUNDING),
        lambda modules: replace(modules, translation=TRANSLATION, chunk_size=50),
        lambda modules: replace(modules, fallbacks=FALLBACKS),
    ],
)
@given(imagined.conversations(), st.sampled_from(MODELS))
@settings(max_examples=25)
def test_a_request_with_modules_is_taken(
    changed: Callable[[Modules], Modules], conversation: Conversation, model: str
) -> None:
    modules = changed(Modules(masking=MASKING, filtering=FILTERING))

    ask(with_modules(rendered(replace(conversation, tool_choice=None, output=None), model), modules).body)
