"""Which translator a request takes to a backend: through the neutral values, or as it came."""

import json
import re
from dataclasses import replace

import pytest

from dialects.capabilities.models import profile_for
from dialects.core.conversation import JSON, Completion, ToolCall
from dialects.core.faults import FaultError
from dialects.interface import Envelope
from dialects.registry import BACKENDS, CLIENTS, PASSTHROUGHS, traits
from dialects.translator import ClientRequest, HubTranslator, PassthroughTranslator, translator_for
from tests.dialects import golden, mangling
from tests.support.rows import Rows

ASKED = {"model": "claude", "max_tokens": 100, "messages": [{"role": "user", "content": "Describe Ada."}]}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
SHAPED = {**ASKED, "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}


def client_request(body: JSON, client: str = "anthropic-messages") -> ClientRequest:
    conversation = CLIENTS[client].parse_request(body)
    return ClientRequest(client, body, Envelope("token", conversation.model, 0, conversation))


@pytest.mark.parametrize(
    ("body", "model", "translator"),
    [
        (ASKED, "anthropic--claude-3.5-sonnet", PassthroughTranslator),
        (ASKED, "anthropic--claude-4.5-sonnet", PassthroughTranslator),
        (SHAPED, "anthropic--claude-4.5-sonnet", PassthroughTranslator),
        (SHAPED, "anthropic--claude-3.5-sonnet", HubTranslator),
    ],
)
def test_bodies_pass_between_two_ends_of_one_dialect_unless_the_model_lacks_what_they_ask(body, model, translator):
    assert isinstance(translator_for(client_request(body), "anthropic-messages", profile_for(model)), translator)


def test_between_two_dialects_everything_is_translated():
    assert isinstance(
        translator_for(client_request(ASKED), "bedrock-converse", profile_for("claude-4.5-sonnet")), HubTranslator
    )


def test_a_model_without_a_json_mode_answers_an_anthropic_client_in_json():
    translator = translator_for(
        client_request(SHAPED), "anthropic-messages", profile_for("anthropic--claude-3.5-sonnet")
    )
    asked = translator.render_request(profile_for("anthropic--claude-3.5-sonnet"))
    [tool] = asked.body["tools"]
    call = {"type": "tool_use", "id": "toolu_1", "name": tool["name"], "input": {"name": "Ada"}}
    answer = {"id": "msg_1", "content": [call], "stop_reason": "tool_use", "usage": {"input_tokens": 1}}
    told = translator.render_response({**answer, "type": "message", "role": "assistant", "model": "claude"}).body

    assert asked.dropped == ()
    assert asked.body["tool_choice"] == {"type": "tool", "name": tool["name"]}
    assert [block["type"] for block in told["content"]] == ["text"]
    assert told["content"][0]["text"].replace(" ", "") == '{"name":"Ada"}'
    assert told["stop_reason"] == "end_turn"


LONG = "mcp__plugin_everything_playwright__browser_" + "x" * 57
NAMED = Rows(
    __file__,
    "NAMED",
    {
        "openai-chat": {
            "messages": [
                {"role": "user", "content": "Which?"},
                {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": LONG, "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "This."},
            ],
            "tools": [{"type": "function", "function": {"name": LONG}}],
            "tool_choice": {"type": "function", "function": {"name": LONG}},
        },
        "openai-responses": {
            "input": [
                {"role": "user", "content": "Which?"},
                {"type": "function_call", "call_id": "c1", "name": LONG, "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": "This."},
            ],
            "tools": [{"type": "function", "name": LONG}],
            "tool_choice": {"type": "function", "name": LONG},
        },
        "anthropic-messages": {
            "model": "m",
            "max_tokens": 9,
            "messages": [
                {"role": "user", "content": "Which?"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": LONG, "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "This."}]},
            ],
            "tools": [{"name": LONG, "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": LONG},
        },
        "gemini": {
            "contents": [
                {"parts": [{"text": "Which?"}]},
                {"role": "model", "parts": [{"functionCall": {"name": LONG, "args": {}}}]},
                {"parts": [{"functionResponse": {"name": LONG, "response": {"result": "This."}}}]},
            ],
            "tools": [{"functionDeclarations": [{"name": LONG}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [LONG]}},
        },
    },
)
"""In each client's words: a tool with a long name was called, and must be again."""
CALLED = Rows(
    __file__,
    "CALLED",
    {
        "openai-chat": ("gpt-4.1", "calls"),
        "openai-responses": ("gpt-5.3-codex", "calls"),
        "anthropic-messages": ("anthropic--claude-4.5-sonnet", "tools"),
        "gemini": ("gemini-2.5-flash", "thinking_and_call"),
        "bedrock-converse": ("amazon--nova-pro", "tools"),
        "orchestration": ("gpt-5", "calls"),
    },
)
"""A model of each backend, and an answer of its that calls a tool."""
ACROSS = [(client, backend) for client in CLIENTS for backend in BACKENDS if client != backend]
HOME = [(client, CALLED[client][0]) for client in CLIENTS if traits(client).vendor]


def told(body: JSON) -> set[str]:
    """The names of tools in a body."""
    return set(re.findall(r'mcp__[^"]*', json.dumps(body)))


@pytest.mark.parametrize(("client", "backend"), ACROSS)
def test_a_name_the_model_refuses_is_told_in_one_other_way_and_comes_back_as_it_was(client, backend):
    model, scene = CALLED[backend]
    translator = translator_for(client_request(NAMED[client], client), backend, profile_for(model))
    body = translator.render_request(profile_for(model)).body
    [name] = told(body)

    def said(data: bytes) -> bytes:
        return re.sub(rb"(tools__)?get_weather", name.encode(), data)

    folder = backend.replace("-", "_")
    whole = translator.render_response(json.loads(said(json.dumps(golden.body(folder, scene)).encode())))
    relay = translator.relay(mangling.SSE)
    streamed = relay.feed(said(golden.wire(folder, scene))) + relay.finish()

    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}", name)
    assert json.dumps(body).count(name) >= 3
    assert LONG in [part.name for part in whole.completion.parts if isinstance(part, ToolCall)]
    assert told(whole.body) == {LONG}
    assert LONG.encode() in streamed
    assert name.encode() not in streamed


WHOLE = [
    (dialect, body)
    for dialect in PASSTHROUGHS
    for folder in [dialect.replace("-", "_")]
    for scene in golden.scenes(folder)
    if (body := golden.body(folder, scene)) is not None
]
FAILED = [
    ("openai-chat", {"error": {"code": "content_filter", "message": "no"}}),
    ("openai-chat", {"choices": []}),
    ("openai-responses", {"status": "failed", "error": {"code": "server_error", "message": "no"}}),
    ("openai-responses", {"status": "completed"}),
    ("anthropic-messages", {"type": "error"}),
    ("gemini", {"error": {"code": 503, "status": "UNAVAILABLE", "message": "no"}}),
    ("gemini", {"candidates": []}),
]


@pytest.mark.parametrize(("dialect", "body"), WHOLE)
def test_of_an_answer_that_passes_it_is_known_how_it_ended_and_what_it_cost(dialect, body):
    whole, outcome = BACKENDS[dialect].parse_response(body, "tok"), PASSTHROUGHS[dialect].parse_outcome(body)

    assert outcome == Completion(stop=whole.stop, usage=whole.usage)


@pytest.mark.parametrize(("dialect", "body"), FAILED)
def test_an_answer_that_is_a_failure_or_none_does_not_pass(dialect, body):
    with pytest.raises((FaultError, LookupError, ValueError, TypeError)) as translated:
        BACKENDS[dialect].parse_response(body, "tok")
    with pytest.raises(type(translated.value)) as passed:
        PASSTHROUGHS[dialect].parse_outcome(body)

    assert str(passed.value) == str(translated.value)


def test_a_body_that_was_parsed_is_not_parsed_again_to_pass():
    body = {"model": "m", "messages": [{"role": "user", "content": "as it came"}]}
    parsed = CLIENTS["openai-chat"].parse_request({**body, "messages": [{"role": "user", "content": "as parsed"}]})
    request = ClientRequest("openai-chat", body, Envelope("token", "m", 0, parsed))
    mistral = profile_for("mistralai--mistral-small")

    rendered = translator_for(request, "openai-chat", mistral).render_request(mistral)

    assert rendered.body["messages"] == [{"role": "user", "content": "as parsed"}]


@pytest.mark.parametrize(("client", "model"), HOME)
def test_a_vendor_tells_its_own_clients_which_names_it_refuses(client, model):
    for may_pass, kind in ((True, PassthroughTranslator), (False, HubTranslator)):
        translator = translator_for(
            replace(client_request(NAMED[client], client), may_pass=may_pass), client, profile_for(model)
        )

        assert isinstance(translator, kind)
        assert told(translator.render_request(profile_for(model)).body) == {LONG}


@pytest.mark.parametrize(
    ("model", "name", "translator"),
    [
        ("cohere--command-a-reasoning", "get-weather", HubTranslator),
        ("cohere--command-a-reasoning", "get_weather", PassthroughTranslator),
        ("mistralai--mistral-large-instruct", "get-weather", PassthroughTranslator),
        ("mistralai--mistral-large-instruct", LONG, HubTranslator),
    ],
)
def test_other_vendors_who_speak_openais_dialect_are_told_names_they_take(model, name, translator):
    body = json.loads(json.dumps(NAMED["openai-chat"]).replace(LONG, name))
    found = translator_for(client_request(body, "openai-chat"), "openai-chat", profile_for(model))
    [tool] = found.render_request(profile_for(model)).body["tools"]

    assert isinstance(found, translator)
    assert (translator is PassthroughTranslator) == (name == tool["function"]["name"])
