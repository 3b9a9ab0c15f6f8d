"""What only orchestration has, put into a rendered request."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from dialects import orchestration
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    JSON,
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from dialects.core.faults import FaultError
from dialects.orchestration import Fallback, Modules, with_modules
from tests.oracles.orchestration import check_orchestration_request, placeholders_in, substituted

CLAUDE, GPT, GEMINI = "anthropic--claude-4.5-sonnet", "gpt-5", "gemini-3.5-flash"
ENTITY = {"type": "profile-person"}
MASKING = {"providers": [{"type": "sap_data_privacy_integration", "method": "anonymization", "entities": [ENTITY]}]}
FILTERING = {"input": {"filters": [{"type": "azure_content_safety", "config": {"hate": 0}}]}}
LANGUAGES = {"type": "sap_document_translation", "config": {"target_language": "en-US"}}
TRANSLATION = {"input": LANGUAGES, "output": LANGUAGES}
GROUNDING = {
    "type": "document_grounding_service",
    "config": {
        "filters": [{"data_repository_type": "vector"}],
        "placeholders": {"input": ["question"], "output": "findings"},
    },
}
BY_ID = {"id": "t1"}


def said(role: Role, *parts: Part | str) -> Message:
    return Message(role, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def user(*parts: Part | str) -> Message:
    return said(Role.USER, *parts)


CALLED = (user("How warm?"), said(Role.ASSISTANT, ToolCall("c", "f", "{}")), user(ToolResult("c", (Text("22C"),))))


def rendered(model: str, *messages: Message, **fields: Any) -> JSON:
    conversation = Conversation("m", messages=messages or (user("hi"),), **fields)
    return orchestration.render_request(conversation, profile_for(model)).body


def put(body: JSON, modules: Modules) -> JSON:
    """Put modules into a body, which is not changed by it, and insist on what the service takes."""
    before = copy.deepcopy(body)
    after = with_modules(body, modules).body

    assert body == before
    check_orchestration_request(after)
    return after


def template_of(body: JSON) -> list[JSON]:
    found: list[JSON] = body["config"]["modules"]["prompt_templating"]["prompt"]["template"]
    return found


def test_without_modules_a_request_stays_as_it_is() -> None:
    body = rendered(GPT)

    assert with_modules(body, Modules()).body is body


def test_modules_stand_beside_the_prompt_as_they_were_written() -> None:
    after = put(rendered(GPT), Modules(masking=MASKING, filtering=FILTERING, translation=TRANSLATION))
    modules = after["config"]["modules"]

    assert {name: modules[name] for name in ("masking", "filtering", "translation")} == {
        "masking": MASKING,
        "filtering": FILTERING,
        "translation": TRANSLATION,
    }
    assert "stream" not in after["config"]


def test_a_stream_says_where_it_may_be_cut_for_translation_and_how_much_filters_see() -> None:
    body = rendered(GPT, stream=True)

    assert put(body, Modules(filtering=FILTERING, chunk_size=500))["config"]["stream"] == {
        "enabled": True,
        "chunk_size": 500,
    }
    assert put(body, Modules(translation=TRANSLATION))["config"]["stream"]["delimiters"] == ["\n", ".", "?", "!"]
    assert put(body, Modules(delimiters=("|",)))["config"]["stream"] == {"enabled": True, "delimiters": ["|"]}


def test_version_and_time_out_are_those_of_the_model() -> None:
    model = put(rendered(GPT), Modules(version="2025-08-07", timeout=30))["config"]["modules"]["prompt_templating"][
        "model"
    ]

    assert model == {"name": GPT, "params": {}, "max_retries": 0, "version": "2025-08-07", "timeout": 30}


def test_a_fallback_is_asked_the_same_with_the_parameters_that_its_model_takes() -> None:
    sampling = Sampling(max_tokens=90_000, temperature=0.2, stop=("END",))
    body = rendered(CLAUDE, sampling=sampling)
    fallbacks = (Fallback(GPT, "2025-08-07"), Fallback("claude-4-opus", params={"max_tokens": 50}), Fallback(GEMINI))
    after = put(body, Modules(fallbacks=fallbacks, version="1", masking=MASKING))
    configurations = after["config"]["modules"]
    models = [each["prompt_templating"]["model"] for each in configurations]

    assert [(each["name"], each.get("version")) for each in models] == [
        (CLAUDE, "1"),
        (GPT, "2025-08-07"),
        ("claude-4-opus", None),
        (GEMINI, None),
    ]
    assert [each["params"] for each in models] == [
        {"max_tokens": 64_000, "temperature": 0.2, "stop": ["END"]},
        {"max_completion_tokens": 64_000},
        {"max_tokens": 50, "temperature": 0.2, "stop": ["END"]},
        {"max_tokens": 64_000, "temperature": 0.2, "stop": ["END"]},
    ]
    assert {each["max_retries"] for each in models} == {0}
    assert all(each["masking"] == MASKING for each in configurations)


def test_a_fallback_that_takes_no_choice_of_tools_is_given_none_and_thinks_as_it_can() -> None:
    tools = (ToolSpec("f"),)
    body = rendered(GPT, tools=tools, reasoning=Reasoning(Effort.MINIMAL))
    body["config"]["modules"]["prompt_templating"]["model"]["params"]["tool_choice"] = "auto"
    after = put(body, Modules(fallbacks=(Fallback("gpt-5.6-sol"), Fallback("mistralai--mistral-medium"))))
    params = [each["prompt_templating"]["model"]["params"] for each in after["config"]["modules"]]

    assert params == [
        {"tool_choice": "auto", "reasoning_effort": "minimal"},
        {},
        {"tool_choice": "auto"},
    ]


@pytest.mark.parametrize(
    ("model", "params", "fitted"),
    [
        (CLAUDE, {"reasoning_effort": "xhigh", "top_p": 0.5}, {"reasoning_effort": "high"}),
        (CLAUDE, {"reasoning_effort": "low", "tool_choice": "required"}, {"tool_choice": "required"}),
        (CLAUDE, {"reasoning_effort": "none", "top_p": 0.5}, {"top_p": 0.5}),
        (GEMINI, {"reasoning_effort": "minimal", "top_p": 0.5}, {"reasoning_effort": "low", "top_p": 0.5}),
        (GPT, {"reasoning_effort": "xhigh", "top_p": 0.5}, {"reasoning_effort": "high"}),
    ],
)
def test_a_fallback_thinks_in_the_words_of_its_model(model: str, params: JSON, fitted: JSON) -> None:
    body = rendered(GPT, tools=(ToolSpec("f"),))
    body["config"]["modules"]["prompt_templating"]["model"]["params"] = params
    [_, after] = with_modules(body, Modules(fallbacks=(Fallback(model),))).body["config"]["modules"]

    assert after["prompt_templating"]["model"]["params"] == fitted


def test_a_stored_template_stands_behind_the_whole_conversation() -> None:
    body = rendered(GPT, user("a"), said(Role.ASSISTANT, "b"), user("{{?x}}"))
    after = put(body, Modules(template=BY_ID, placeholders={"tone": "kind"}))

    assert after["config"]["modules"]["prompt_templating"]["prompt"] == {"template_ref": BY_ID}
    assert after["placeholder_values"] == {"tone": "kind"}
    assert [message["content"] for message in after["messages_history"]] == ["a", "b", "{{?x}}"]


@pytest.mark.parametrize(
    ("fields", "where"),
    [({"tools": (ToolSpec("f"),)}, "tools"), ({"output": OutputFormat({"type": "object"}, "r")}, "response_format")],
)
def test_what_a_stored_template_has_no_place_for_is_refused(fields: Any, where: str) -> None:
    with pytest.raises(FaultError, match="stored template") as caught:
        with_modules(rendered(GPT, **fields), Modules(template=BY_ID))

    assert caught.value.fault.param == where


@pytest.mark.parametrize(
    ("model", "family", "kept"),
    [
        (CLAUDE, Family.CLAUDE, [CLAUDE, "anthropic--claude-4.6-sonnet", GPT]),
        (GEMINI, Family.GEMINI, [GEMINI, GPT]),
    ],
)
def test_a_fallback_that_refuses_the_thoughts_of_another_family_is_left_out(
    model: str, family: Family, kept: list[str]
) -> None:
    others = tuple(map(Fallback, ("anthropic--claude-4.6-sonnet", GPT, "gemini-3.5-flash")))
    fallbacks = tuple(each for each in others if each.model != model)
    thought = Thinking("hm", "c2ln", family=family)
    turns = (user("a"), said(Role.ASSISTANT, thought, "b"), user("c"))
    thoughtful = with_modules(rendered(model, *turns), Modules(fallbacks=fallbacks))
    plain = with_modules(rendered(model, user("a"), said(Role.ASSISTANT, "b"), user("c")), Modules(fallbacks=fallbacks))
    asked = [each["prompt_templating"]["model"]["name"] for each in thoughtful.body["config"]["modules"]]

    assert (asked, thoughtful.dropped) == (kept, ("fallbacks",))
    assert (len(plain.body["config"]["modules"]), plain.dropped) == (len(fallbacks) + 1, ())


def test_a_model_whose_only_fallback_is_left_out_is_asked_alone() -> None:
    turns = (user("a"), said(Role.ASSISTANT, Thinking("hm", "c2ln", family=Family.CLAUDE), "b"), user("c"))
    modules = put(rendered(CLAUDE, *turns), Modules(fallbacks=(Fallback(GEMINI),)))["config"]["modules"]

    assert modules["prompt_templating"]["model"]["name"] == CLAUDE


@pytest.mark.parametrize("asked", ["What is due?", "What is {{?due}}?", "{{?question}}", "{{? a b}}"])
def test_grounding_is_asked_what_the_user_said_last_and_its_findings_have_a_place(asked: str) -> None:
    after = put(rendered(GPT, user("a"), said(Role.ASSISTANT, "b"), user(asked)), Modules(grounding=GROUNDING))
    [message] = template_of(after)
    shown = substituted({**after, "placeholder_values": after["placeholder_values"] | {"findings": "FOUND"}})[-1]

    assert after["placeholder_values"] == {"question": asked}
    assert list(placeholders_in(message)) == ["question", "findings"]
    assert [part["text"] for part in shown["content"]] == [asked, "Documents that were found for this:\nFOUND"]
    assert after["config"]["modules"]["grounding"] == GROUNDING


def test_grounding_leaves_other_words_of_the_message_where_they_are() -> None:
    image = Media(MediaKind.IMAGE, "image/png", "aWk=")
    after = put(rendered(GPT, user("{{?a}}", "What is this?", image)), Modules(grounding=GROUNDING))
    kinds = [part["type"] for part in template_of(after)[0]["content"]]

    assert after["placeholder_values"] == {"text1": "{{?a}}", "question": "What is this?"}
    assert kinds == ["text", "text", "image_url", "text"]


def test_grounding_goes_on_while_tools_are_called() -> None:
    after = put(rendered(GPT, *CALLED, tools=(ToolSpec("f"),)), Modules(grounding=GROUNDING))
    result, findings = template_of(after)

    assert (result["role"], findings["role"]) == ("tool", "user")
    assert after["placeholder_values"] == {"question": "How warm?"}
    assert list(placeholders_in(findings)) == ["question", "findings"]


@pytest.mark.parametrize(
    "turns", [(user("hi"), said(Role.ASSISTANT, "Well,")), (user(Media(MediaKind.IMAGE, "image/png", "aWk=")),)]
)
def test_grounding_is_left_out_where_nothing_was_asked(turns: tuple[Message, ...]) -> None:
    after = put(rendered(GPT, *turns), Modules(grounding=GROUNDING, masking=MASKING))

    assert after["config"]["modules"].keys() == {"prompt_templating", "masking"}


def test_grounding_of_a_stored_template_is_asked_what_the_user_said_last() -> None:
    modules = Modules(grounding=GROUNDING, template=BY_ID)

    assert put(rendered(GPT, *CALLED), modules)["placeholder_values"] == {"question": "How warm?"}
    told = put(rendered(GPT, *CALLED), replace(modules, placeholders={"question": "Why?"}))
    assert told["placeholder_values"] == {"question": "Why?"}
    silent = put(rendered(GPT, user(Media(MediaKind.IMAGE, "image/png", "aWk="))), modules)
    assert "grounding" not in silent["config"]["modules"]
