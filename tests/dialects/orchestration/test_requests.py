"""Orchestration: what a conversation becomes in a request, and what of it each vendor's models are not told."""

from typing import Any

import pytest

from dialects import orchestration
from dialects.adapt.claude_tools import JSON_TOOL
from dialects.capabilities.models import profile_for
from dialects.core.conversation import (
    JSON,
    CacheMark,
    Conversation,
    Effort,
    Family,
    Media,
    MediaKind,
    Message,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from dialects.core.faults import FaultError
from dialects.gemini.request_renderer import SKIP_SIGNATURE
from dialects.interface import Envelope, Rendered
from dialects.registry import CLIENTS
from dialects.translator import ClientRequest, translator_for
from tests.oracles.orchestration import check_orchestration_request, substituted

CLAUDE, GEMINI, GPT, NEW_GPT, NOVA = (
    "anthropic--claude-4.5-sonnet",
    "gemini-3.5-flash",
    "gpt-5",
    "gpt-5.6-sol",
    "amazon--nova-pro",
)
MARK = CacheMark()
MARKED = {"cache_control": {"type": "ephemeral"}}
TOOL = ToolSpec("f", "does f", {"type": "object", "properties": {"a": {"type": "string"}}})
HI = Message(Role.USER, (Text("hi"),))


def rendered(model: str, *messages: Message, **fields: Any) -> Rendered:
    conversation = Conversation("m", messages=messages or (HI,), **fields)
    made = orchestration.render_request(conversation, profile_for(model))
    check_orchestration_request(made.body)
    return made


def templating(made: Rendered) -> JSON:
    found: JSON = made.body["config"]["modules"]["prompt_templating"]
    return found


def params(made: Rendered) -> JSON:
    found: JSON = templating(made)["model"]["params"]
    return found


def said(role: Role, *parts: Part) -> Message:
    return Message(role, parts)


def test_a_request_names_its_model_and_leaves_retries_to_who_sends_it() -> None:
    made = rendered(CLAUDE, sampling=Sampling(max_tokens=99))

    assert templating(made)["model"] == {"name": CLAUDE, "params": {"max_tokens": 99}, "max_retries": 0}
    assert made.body["config"].keys() == {"modules"}


def test_a_stream_is_asked_for_with_its_token_counts() -> None:
    made = rendered(GPT, stream=True)

    assert made.body["config"]["stream"] == {"enabled": True}
    assert params(made) == {"stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("model", "sent", "lost"),
    [
        (GPT, {"max_completion_tokens", "seed"}, {"temperature", "top_p", "stop", "presence_penalty", "top_k"}),
        (CLAUDE, {"max_tokens", "temperature", "stop"}, {"top_p", "top_k", "seed", "presence_penalty", "user"}),
        (GEMINI, {"max_tokens", "temperature", "top_p", "stop", "seed"}, {"presence_penalty", "top_k", "user"}),
        ("mistralai--mistral-medium", {"max_tokens", "temperature", "top_p", "stop"}, {"seed", "presence_penalty"}),
        ("cohere--command-a-reasoning", {"max_tokens", "top_p", "stop"}, {"temperature", "seed", "presence_penalty"}),
        ("sonar-pro", {"max_tokens", "temperature", "top_p", "presence_penalty"}, {"stop", "seed"}),
    ],
)
def test_a_model_is_sent_the_parameters_that_its_vendor_knows(model: str, sent: set[str], lost: set[str]) -> None:
    sampling = Sampling(100, 0.5, 0.5, 5, ("END",), 7, presence_penalty=0.5)
    made = rendered(model, sampling=sampling, user="u")

    assert sent | ({"user"} if model == GPT else set()) == set(params(made))
    assert lost <= set(made.dropped)


@pytest.mark.parametrize("mode", [ToolMode.REQUIRED, ToolMode.NAMED])
def test_a_call_that_is_insisted_on_is_refused_where_no_choice_can_be_given(mode: ToolMode) -> None:
    with pytest.raises(FaultError, match=r"gpt-5\.6-sol cannot be forced to call one"):
        rendered(NEW_GPT, tools=(TOOL,), tool_choice=ToolChoice(mode, "f"))


def test_a_choice_that_leaves_it_to_the_model_is_left_out_where_none_can_be_given() -> None:
    made = rendered(NEW_GPT, tools=(TOOL,), tool_choice=ToolChoice(ToolMode.AUTO, parallel=False))

    assert params(made) == {}
    assert made.dropped == ("parallel_tool_calls",)


def test_a_model_that_cannot_be_forbidden_to_call_tools_is_offered_none() -> None:
    made = rendered(NEW_GPT, tools=(TOOL,), tool_choice=ToolChoice(ToolMode.NONE))

    assert templating(made)["prompt"].keys() == {"template"}
    assert (params(made), made.dropped) == ({}, ())


def test_nova_which_cannot_be_forbidden_to_call_tools_is_offered_those_it_has_called() -> None:
    called = said(Role.ASSISTANT, ToolCall("c", "f", "{}"))
    turns = (HI, called, said(Role.USER, ToolResult("c", (Text("22C"),))))
    none = ToolChoice(ToolMode.NONE)
    before, after = (rendered(NOVA, *each, tools=(TOOL,), tool_choice=none) for each in ((HI,), turns))

    assert templating(before)["prompt"].keys() == {"template"}
    assert (params(after), after.dropped) == ({}, ("tool_choice",))
    assert len(templating(after)["prompt"]["tools"]) == 1


def test_nova_is_not_told_to_call_one_tool_at_a_time_which_it_cannot_be() -> None:
    made = rendered(NOVA, tools=(ToolSpec("f"),), tool_choice=ToolChoice(ToolMode.REQUIRED, parallel=False))

    assert (params(made), made.dropped) == ({"tool_choice": "required"}, ("parallel_tool_calls",))


@pytest.mark.parametrize("model", [CLAUDE, NOVA])
def test_tools_that_were_called_are_declared_to_models_on_bedrock_if_the_client_declares_none(model: str) -> None:
    called = said(Role.ASSISTANT, ToolCall("c", "f", "{}"))
    made = rendered(model, HI, called, said(Role.USER, ToolResult("c", (Text("22C"),))))

    assert [tool["function"]["name"] for tool in templating(made)["prompt"]["tools"]] == ["f"]
    assert params(made) == {}


@pytest.mark.parametrize(
    ("tools", "choice", "sent"),
    [
        ((), None, {"type": "function", "function": {"name": JSON_TOOL}}),
        ((TOOL,), None, "required"),
        ((TOOL,), ToolChoice(ToolMode.NONE), {"type": "function", "function": {"name": JSON_TOOL}}),
        ((TOOL,), ToolChoice(ToolMode.NAMED, "f"), {"type": "function", "function": {"name": "f"}}),
    ],
)
@pytest.mark.parametrize("model", ["anthropic--claude-4-sonnet", CLAUDE])
def test_claude_answers_by_a_tool_in_json_of_which_it_takes_no_schema(
    model: str, tools: tuple[ToolSpec, ...], choice: ToolChoice | None, sent: object
) -> None:
    made = rendered(model, tools=tools, tool_choice=choice, output=OutputFormat())
    [*_, tool] = templating(made)["prompt"]["tools"]

    assert tool["function"]["name"] == JSON_TOOL
    assert params(made) == {"tool_choice": sent}
    assert "response_format" not in templating(made)["prompt"]


@pytest.mark.parametrize("model", [GPT, CLAUDE, GEMINI])
def test_a_choice_of_tools_is_a_parameter_of_the_model_and_the_tools_are_part_of_the_prompt(model: str) -> None:
    made = rendered(model, tools=(TOOL,), tool_choice=ToolChoice(ToolMode.NAMED, "f", parallel=False))
    [tool] = templating(made)["prompt"]["tools"]

    assert tool["function"]["name"] == "f"
    assert params(made) == {
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
    }


def test_the_format_of_the_answer_is_part_of_the_prompt() -> None:
    properties = {"a": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["a"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "r", "schema": schema}}
    made = rendered(CLAUDE, output=OutputFormat(schema, "r"))

    assert templating(made)["prompt"]["response_format"] == wanted
    assert made.dropped == ()
    assert "response_format" in rendered("cohere--command-a-reasoning", output=OutputFormat(schema, "r")).dropped


@pytest.mark.parametrize(
    ("model", "reasoning", "effort"),
    [
        (CLAUDE, Reasoning(Effort.HIGH), "high"),
        (CLAUDE, Reasoning(Effort.MINIMAL), "low"),
        (CLAUDE, Reasoning(budget=2000), "low"),
        (CLAUDE, Reasoning(budget=30_000), "high"),
        (CLAUDE, Reasoning(adaptive=True), "medium"),
        (CLAUDE, Reasoning(Effort.NONE), None),
        (CLAUDE, None, None),
        ("anthropic--claude-4.8-opus", Reasoning(Effort.XHIGH), "high"),
        (GEMINI, Reasoning(Effort.LOW), "low"),
        (GEMINI, Reasoning(budget=8000), "medium"),
        (GPT, Reasoning(Effort.LOW), "low"),
        ("gpt-5.4", Reasoning(Effort.XHIGH), "xhigh"),
        ("mistralai--mistral-medium", Reasoning(Effort.LOW), None),
    ],
)
def test_how_hard_to_think_is_said_in_one_word_for_all(
    model: str, reasoning: Reasoning | None, effort: str | None
) -> None:
    assert params(rendered(model, reasoning=reasoning)).get("reasoning_effort") == effort


def test_that_a_model_is_not_to_think_at_all_is_named_where_there_is_no_word_for_it() -> None:
    assert rendered(GEMINI, reasoning=Reasoning(Effort.NONE)).dropped == ("reasoning_effort",)


def test_tools_go_before_thinking_where_chat_completions_refuse_the_two_together() -> None:
    made = rendered("gpt-5.4", tools=(TOOL,), reasoning=Reasoning(Effort.LOW))

    assert (params(made), made.dropped) == ({}, ("reasoning_effort",))
    assert params(rendered(GPT, tools=(TOOL,), reasoning=Reasoning(Effort.LOW))) == {"reasoning_effort": "low"}


def test_claude_thinks_without_a_temperature_and_not_where_it_must_call_a_tool() -> None:
    thinking = rendered(CLAUDE, reasoning=Reasoning(Effort.LOW), sampling=Sampling(temperature=0.2))
    forced = rendered(CLAUDE, reasoning=Reasoning(Effort.LOW), tools=(TOOL,), tool_choice=ToolChoice(ToolMode.REQUIRED))

    assert (params(thinking), thinking.dropped) == ({"reasoning_effort": "low"}, ("temperature",))
    assert (params(forced), forced.dropped) == ({"tool_choice": "required"}, ("thinking",))


def test_signed_thoughts_go_back_to_the_family_that_thought_them_and_to_no_other() -> None:
    thoughts = (
        Thinking("a", "S1", family=Family.CLAUDE),
        Thinking("b", "S2", family=Family.GEMINI),
        Thinking("c", family=Family.CLAUDE),
        Thinking("d", "S3"),
    )
    turns = (HI, said(Role.ASSISTANT, *thoughts, Text("well")), HI)
    blocks = {
        model: substituted(rendered(model, *turns).body)[1].get("reasoning_content")
        for model in (CLAUDE, GEMINI, GPT, NOVA)
    }

    assert blocks == {
        CLAUDE: [{"content": "a", "signature": "S1"}],
        GEMINI: [{"content": "b", "signature": "S2"}],
        GPT: None,
        NOVA: None,
    }
    assert all("thinking" in rendered(model, *turns).dropped for model in blocks)


def test_a_call_that_no_gemini_has_signed_is_marked_for_those_that_insist() -> None:
    turns = (HI, said(Role.ASSISTANT, ToolCall("c", "f", "{}")), said(Role.USER, ToolResult("c", (Text("22C"),))))
    blocks = {
        model: substituted(rendered(model, *turns, tools=(TOOL,)).body)[1].get("reasoning_content")
        for model in (GEMINI, "gemini-2.5-flash-lite", GPT)
    }

    assert blocks == {
        GEMINI: [{"content": "", "signature": SKIP_SIGNATURE}],
        "gemini-2.5-flash-lite": None,
        GPT: None,
    }


def test_an_answer_that_called_a_tool_or_refused_has_content_all_the_same() -> None:
    called = said(Role.ASSISTANT, ToolCall("c", "f", "{}"))
    turns = (HI, called, said(Role.USER, ToolResult("c", (Text("22C"),))), said(Role.ASSISTANT, Refusal("no")), HI)

    for model in (GPT, CLAUDE, GEMINI):
        messages = substituted(rendered(model, *turns, tools=(TOOL,)).body)
        assert [type(message["content"]) for message in messages] == [str] * 5
    assert substituted(rendered(GPT, *turns, tools=(TOOL,)).body)[3] == {
        "role": "assistant",
        "content": "",
        "refusal": "no",
    }


def test_cache_marks_are_told_to_claude_alone() -> None:
    turns = (said(Role.USER, Text("a", MARK), Text("b")), said(Role.ASSISTANT, Text("c", CacheMark("1h"))), HI)
    asked = {"system": (Text("s", MARK),), "tools": (ToolSpec("g"), ToolSpec("f", cache=MARK))}
    made, others = rendered(CLAUDE, *turns, **asked), rendered(GEMINI, *turns, **asked)
    system, first, second, _ = substituted(made.body)

    assert system["content"] == [{"type": "text", "text": "s", **MARKED}]
    assert first["content"] == [{"type": "text", "text": "a", **MARKED}, {"type": "text", "text": "b"}]
    assert second["content"] == [{"type": "text", "text": "c", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    assert ["cache_control" in tool for tool in templating(made)["prompt"]["tools"]] == [False, True]
    assert (made.dropped, others.dropped) == ((), ("cache_control",))
    assert "cache_control" not in str(others.body)


def test_a_cache_mark_on_the_result_of_a_call_moves_to_the_text_before_it() -> None:
    call = said(Role.ASSISTANT, Text("Let me see."), ToolCall("c", "f", "{}"))
    for result in (ToolResult("c", (Text("22C"),), cache=MARK), ToolResult("c", (Text("22C", MARK),))):
        made = rendered(CLAUDE, HI, call, said(Role.USER, result), tools=(TOOL,))
        _, second, third = substituted(made.body)

        assert second["content"] == [{"type": "text", "text": "Let me see.", **MARKED}]
        assert third == {"role": "tool", "tool_call_id": "c", "content": "22C"}
        assert made.dropped == ()


def test_a_cache_mark_that_nothing_before_it_can_bear_is_left_out_and_named() -> None:
    call = said(Role.ASSISTANT, ToolCall("c", "f", "{}", MARK))
    made = rendered(CLAUDE, call, said(Role.USER, ToolResult("c", (Text("22C"),))), tools=(TOOL,))

    assert "cache_control" not in str(made.body)
    assert made.dropped == ("cache_control",)


def test_stop_sequences_of_white_space_are_kept_from_claude_which_refuses_them() -> None:
    sampling = Sampling(stop=(" \n", "END"))

    assert params(rendered(CLAUDE, sampling=sampling)) == {"stop": ["END"]}
    assert rendered(CLAUDE, sampling=sampling).dropped == ("stop",)
    assert params(rendered(GEMINI, sampling=sampling)) == {"stop": [" \n", "END"]}


def test_claude_is_told_of_four_cache_marks_at_most() -> None:
    turns = [said(Role.USER, *(Text(str(number), MARK) for number in range(6)))]
    made = rendered(CLAUDE, *turns)

    assert str(made.body).count("cache_control") == 4
    assert made.dropped == ("cache_control",)


def test_attachments_are_shown_as_data_and_never_by_their_address() -> None:
    image, pdf = Media(MediaKind.IMAGE, "image/png", "aWk="), Media(MediaKind.DOCUMENT, "application/pdf", "AAAA")
    [*_, message] = substituted(rendered(CLAUDE, said(Role.USER, image, pdf, Text("?"))).body)

    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aWk="}},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "text", "text": "?"},
    ]
    with pytest.raises(FaultError, match="send the data itself"):
        rendered(CLAUDE, said(Role.USER, Media(MediaKind.IMAGE, "", url="https://files.example/a.png")))


def test_sounds_are_refused_for_all() -> None:
    with pytest.raises(FaultError, match="audio content, which model gemini"):
        rendered(GEMINI, said(Role.USER, Media(MediaKind.AUDIO, "audio/wav", "AAAA")))


def test_arguments_that_were_cut_off_are_an_object_to_all_but_gpts() -> None:
    call = said(Role.ASSISTANT, ToolCall("c", "f", '{"city": "Par'))
    turns = (HI, call, said(Role.USER, ToolResult("c", (Text("22C"),))))
    made = {model: rendered(model, *turns, tools=(TOOL,)) for model in (GPT, GEMINI, CLAUDE)}
    arguments = {
        model: substituted(each.body)[1]["tool_calls"][0]["function"]["arguments"] for model, each in made.items()
    }

    assert arguments[GPT] == '{"city": "Par'
    assert (arguments[GEMINI][0], arguments[GEMINI][-1]) == ("{", "}")
    assert arguments[CLAUDE] == arguments[GEMINI]
    assert [each.dropped for each in made.values()] == [(), ("broken arguments",), ("broken arguments",)]


def test_calls_have_ids_that_each_vendor_takes() -> None:
    turns = (HI, said(Role.ASSISTANT, ToolCall("call:1", "f")), said(Role.USER, ToolResult("call:1", (Text("22C"),))))
    ids = {
        model: substituted(rendered(model, *turns, tools=(TOOL,)).body)[2]["tool_call_id"]
        for model in (GPT, CLAUDE, "mistralai--mistral-medium")
    }

    assert ids[GPT] == "call:1"
    assert ids[CLAUDE].startswith("call_1_")
    assert len(ids["mistralai--mistral-medium"]) == 9


@pytest.mark.parametrize("client", CLIENTS)
def test_tools_of_gemini_are_named_as_orchestration_takes_it_and_as_the_client_does(client: str) -> None:
    conversation = Conversation("m", client, messages=(HI,), tools=(ToolSpec("a.b"),))
    envelope = Envelope("tok", "m", 0, conversation)
    translator = translator_for(ClientRequest(client, {}, envelope), "orchestration", profile_for(GEMINI))
    made = translator.render_request(profile_for(GEMINI))
    check_orchestration_request(made.body)
    name = templating(made)["prompt"]["tools"][0]["function"]["name"]
    call = {"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}
    result = {"model": GEMINI, "choices": [{"message": {"content": "", "tool_calls": [call]}, "finish_reason": "stop"}]}
    answer = translator.render_response({"final_result": result})

    assert [part.name for part in answer.completion.parts if isinstance(part, ToolCall)] == ["a.b"]


def test_a_name_of_a_speaker_is_left_out_and_named() -> None:
    body = {"model": "m", "messages": [{"role": "user", "name": "ann", "content": "hi"}]}
    made = orchestration.render_request(CLIENTS["openai-chat"].parse_request(body), profile_for(GPT))

    assert substituted(made.body) == [{"role": "user", "content": "hi"}]
    assert made.dropped == ("name",)
