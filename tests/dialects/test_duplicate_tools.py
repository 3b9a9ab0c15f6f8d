"""Tools that a client offers twice, as one that puts lists of tools together does: a model is offered one."""

import json
from typing import Any

import pytest

from dialects import gemini
from dialects.adapt.tool_names import named_once
from dialects.capabilities.models import profile_for
from dialects.core.conversation import JSON
from dialects.interface import Envelope, Rendered
from dialects.registry import BACKENDS, CLIENTS, PASSTHROUGHS
from dialects.translator import ClientRequest, translator_for
from tests.support.rows import Rows

MODELS = Rows(
    __file__,
    "MODELS",
    {
        "openai-chat": "gpt-4.1",
        "openai-responses": "gpt-5.3-codex",
        "anthropic-messages": "anthropic--claude-4.5-sonnet",
        "gemini": "gemini-2.5-flash",
        "bedrock-converse": "amazon--nova-pro",
        "orchestration": "gpt-5",
    },
)
TAKES_TWO = {("openai-chat", "openai-chat"), ("openai-responses", "openai-responses")}
"""Between these bodies pass as they are: GPT takes the same tool twice."""
WAYS = [(client, backend) for client in CLIENTS for backend in BACKENDS if (client, backend) not in TAKES_TWO]
FIRST, OTHER = ({"type": "object", "properties": {key: {"type": "string"}}} for key in "ab")


def body_of(client: str, tools: list[tuple[str, JSON]]) -> JSON:
    match client:
        case "openai-chat":
            offered = [{"type": "function", "function": {"name": name, "parameters": schema}} for name, schema in tools]
            return {"messages": [{"role": "user", "content": "hi"}], "tools": offered}
        case "openai-responses":
            offered = [{"type": "function", "name": name, "parameters": schema} for name, schema in tools]
            return {"input": "hi", "tools": offered}
        case "anthropic-messages":
            offered = [{"name": name, "input_schema": schema} for name, schema in tools]
            return {"max_tokens": 99, "messages": [{"role": "user", "content": "hi"}], "tools": offered}
        case _:
            declared = [
                {"functionDeclarations": [{"name": name, "parametersJsonSchema": schema}]} for name, schema in tools
            ]
            return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "tools": declared}


def rendered(client: str, backend: str, tools: list[tuple[str, JSON]]) -> Rendered:
    body, profile = {**body_of(client, tools), "model": "m"}, profile_for(MODELS[backend])
    envelope = Envelope("tok", "m", 0, CLIENTS[client].parse_request(body))
    return translator_for(ClientRequest(client, body, envelope), backend, profile).render_request(profile)


def offered(body: Any) -> list[tuple[str, list[str]]]:
    """The tools that a body offers, and the properties of each, in order."""
    match body:
        case {"name": str(name), "input_schema": schema} | {"name": str(name), "parameters": schema}:
            return [(name, [*schema["properties"]])]
        case {"name": str(name), "parametersJsonSchema": schema} | {"name": str(name), "inputSchema": {"json": schema}}:
            return [(name, [*schema["properties"]])]
        case dict():
            return [found for each in body.values() for found in offered(each)]
        case list():
            return [found for each in body for found in offered(each)]
        case _:
            return []


@pytest.mark.parametrize(("client", "backend"), WAYS)
def test_the_very_same_tool_is_offered_once_and_nothing_is_lost(client, backend):
    told = rendered(client, backend, [("f", FIRST), ("g", FIRST), ("f", FIRST)])

    assert offered(told.body) == [("f", ["a"]), ("g", ["a"])]
    assert told.dropped == ()


@pytest.mark.parametrize(("client", "backend"), WAYS)
def test_of_two_tools_of_one_name_the_last_is_offered_and_the_other_is_named(client, backend):
    told = rendered(client, backend, [("f", FIRST), ("g", FIRST), ("f", OTHER)])

    assert offered(told.body) == [("f", ["b"]), ("g", ["a"])]
    assert told.dropped == ("earlier tool f",)


@pytest.mark.parametrize(("client", "backend"), [(name, name) for name in PASSTHROUGHS])
def test_tools_of_different_names_pass_in_their_order(client, backend):
    told = rendered(client, backend, [("g", FIRST), ("f", OTHER)])

    assert offered(told.body) == [("g", ["a"]), ("f", ["b"])]
    assert told.dropped == ()


@pytest.mark.parametrize("backend", ["anthropic-messages", "bedrock-converse"])
@pytest.mark.parametrize("marked", [0, 1])
def test_a_cache_mark_on_either_of_two_tools_is_kept(backend, marked):
    body = {**body_of("anthropic-messages", [("f", FIRST), ("f", FIRST)]), "model": "m"}
    body["tools"][marked]["cache_control"] = {"type": "ephemeral"}
    envelope, profile = (
        Envelope("t", "m", 0, CLIENTS["anthropic-messages"].parse_request(body)),
        profile_for("anthropic--claude-4.5-sonnet"),
    )
    told = translator_for(ClientRequest("anthropic-messages", body, envelope), backend, profile).render_request(profile)

    assert told.dropped == ()
    assert json.dumps(told.body).count("cache_control" if backend == "anthropic-messages" else "cachePoint") == 1


def test_tools_without_a_name_are_left_to_the_vendor():
    nameless = [{"a": 1}, {"name": 7}, {"name": 7}, {"name": None}]

    assert (nameless, set()) == named_once(nameless)


def test_what_stands_beside_a_function_that_is_declared_again_stays():
    function = {"name": "f", "parametersJsonSchema": FIRST}
    tools = [
        {"function_declarations": [function, {"name": "g"}]},
        {"functionDeclarations": [function], "googleSearch": {}},
        {"functionDeclarations": [function]},
        "odd",
        {"functionDeclarations": "odd"},
    ]
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "tools": tools}
    told = gemini.passthrough_request(body, profile_for("gemini-2.5-flash"))

    kept = [tools[0], {"functionDeclarations": [], "googleSearch": {}}, "odd", {"functionDeclarations": "odd"}]
    assert (kept, ()) == (told.body["tools"], told.dropped)
