"""No text of anybody is taken for a placeholder: what the model is shown is what was said, whatever braces it has."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialects import orchestration
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    JSON,
    Conversation,
    Media,
    MediaKind,
    Message,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from dialects.orchestration.templates import laid_out, messages_of
from tests.dialects import imagined
from tests.oracles.orchestration import check_orchestration_request, placeholders_in, substituted

MARKUP = (
    "{{?x}}",
    "{{ ?x }}",
    "{{? a b}}",
    "{{?a.b}}",
    "{{?text1}}",
    "{{?text2}}",
    "{{?}}",
    "{{",
    "}}",
    "{%",
    "{#",
    "x",
)
said = st.lists(st.sampled_from(MARKUP), min_size=1, max_size=4).map("".join)
MODELS = ("gpt-5", "anthropic--claude-4.5-sonnet", "gemini-3.5-flash", "mistralai--mistral-medium")


def rendered(*messages: Message, model: str = "gpt-5", **fields: Any) -> JSON:
    body = orchestration.render_request(Conversation("m", messages=messages, **fields), profile_for(model)).body
    check_orchestration_request(body)
    return body


def user(*parts: Part | str) -> Message:
    return Message(Role.USER, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def template_of(body: JSON) -> list[JSON]:
    template: list[JSON] = body["config"]["modules"]["prompt_templating"]["prompt"]["template"]
    return template


def texts_of(message: JSON) -> list[str]:
    content = message["content"]
    return [content] if isinstance(content, str) else [part["text"] for part in content if part["type"] == "text"]


@pytest.mark.parametrize("model", MODELS)
@given(st.lists(said, min_size=1, max_size=3))
@example(["{{?text1}}", "{{?x}}"])
@settings(max_examples=60)
def test_the_users_last_words_are_shown_as_they_are(model: str, texts: list[str]) -> None:
    body = rendered(user(*texts), model=model)

    assert texts_of(substituted(body)[-1]) == texts


@given(said, said)
@settings(max_examples=60)
def test_the_result_of_a_call_is_shown_as_it_is(asked: str, result: str) -> None:
    call = Message(Role.ASSISTANT, (ToolCall("c", "f", "{}"),))
    body = rendered(user(asked), call, Message(Role.USER, (ToolResult("c", (Text(result),)),)))
    shown = substituted(body)

    assert [shown[0]["content"], shown[-1]["content"]] == [asked, result]
    assert body["messages_history"][0]["content"] == asked


@given(imagined.conversations(), said)
@settings(max_examples=60)
def test_each_placeholder_has_a_value_and_each_value_its_placeholder(conversation: Conversation, text: str) -> None:
    body = rendered(*conversation.messages, user(text), tools=conversation.tools)
    names = list(placeholders_in(template_of(body)))

    assert sorted(names) == sorted(body.get("placeholder_values", {}))
    assert len(template_of(body)) == 1


@given(st.lists(said, min_size=1, max_size=3), st.lists(said, max_size=2))
@settings(max_examples=60)
def test_what_is_laid_out_is_given_back(texts: list[str], before: list[str]) -> None:
    content = [{"type": "text", "text": text} for text in texts]
    messages: list[JSON] = [
        *({"role": "user", "content": text} for text in before),
        {"role": "user", "content": content},
    ]
    history, template, values = laid_out(messages)

    assert [*history, *messages_of({"template": template}, values)] == messages


def test_words_without_braces_stand_in_the_template_themselves() -> None:
    body = rendered(user("What is {x} in f'{y}'?"))

    assert template_of(body) == [{"role": "user", "content": "What is {x} in f'{y}'?"}]
    assert "placeholder_values" not in body
    assert "messages_history" not in body


def test_the_name_of_a_file_has_no_placeholder() -> None:
    pdf = Media(MediaKind.DOCUMENT, "application/pdf", "AAAA", name="{{?x}}.pdf")
    body = rendered(user("hi"), Message(Role.ASSISTANT, (Text("well"),)), user(pdf, "read it"))

    assert template_of(body)[0]["content"][0]["file"]["filename"] == "((?x)).pdf"


def test_the_order_of_history_and_template_is_that_of_the_conversation() -> None:
    turns = [user("1"), Message(Role.ASSISTANT, (Text("2"),)), user("3")]
    body = rendered(*turns, system=(Text("0"),))

    assert [message["content"] for message in substituted(body)] == ["0", "1", "2", "3"]
    assert [message["role"] for message in substituted(body)] == ["system", "user", "assistant", "user"]


def test_the_oracle_refuses_what_the_service_refuses() -> None:
    body = rendered(user("hi"))
    for text in ("{{?x}}", "{{? a b}}"):
        template_of(body)[0]["content"] = text
        with pytest.raises(AssertionError, match=re.escape("x" if "x" in text else "malformed")):
            substituted(body)


def test_a_conversation_renders_the_same_each_time() -> None:
    turns = (user("{{?x}}"), Message(Role.ASSISTANT, (Text("{{?y}}"),)), user("{{?z}}", "{{?z}}"))
    conversation = Conversation("m", messages=turns)
    one, two = (
        orchestration.render_request(each, profile_for("gpt-5")) for each in (conversation, replace(conversation))
    )

    assert one == two
