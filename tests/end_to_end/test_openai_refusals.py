"""What Azure OpenAI refuses is asked of it in a way it takes, whatever the client said."""

from typing import Any

import pytest

from tests.support.running import Proxy, Told
from tests.support.talking import request_of, sent

GPTS = ["gpt-4.1", "gpt-5", "gpt-5.3-codex"]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}


def ask(proxy: Proxy, dialect: str, model: str, **more: Any) -> Told:
    path, body = request_of(dialect, model, stream=False)
    return proxy.ask("POST", path, body | more)


def tool_of(dialect: str, schema: Any) -> dict[str, Any]:
    """Declare one tool, and insist that it is called."""
    named = {"name": "f", "description": "d"}
    match dialect:
        case "messages":
            return {"tools": [{**named, "input_schema": schema}], "tool_choice": {"type": "any"}}
        case "gemini":
            declared = [{"functionDeclarations": [{**named, "parametersJsonSchema": schema}]}]
            return {"tools": declared, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}
        case "chat":
            function = {"type": "function", "function": {**named, "parameters": schema}}
            return {"tools": [function], "tool_choice": "required"}
        case _:
            return {"tools": [{"type": "function", **named, "parameters": schema}], "tool_choice": "required"}


def told_of(body: Any) -> Any:
    """The schema of the one tool the model was told of."""
    [tool] = body["tools"]
    return tool.get("function", tool)["parameters"]


@pytest.mark.parametrize("model", GPTS)
@pytest.mark.parametrize("dialect", ["messages", "gemini"])
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"xs": {"type": "array"}}},
        {"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object"}]},
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {"type": ["array", "null"]}}}}},
        {"type": ["object", "null"], "properties": {}},
    ],
    ids=["no properties", "no items", "a choice", "a reference", "or null"],
)
def test_a_tool_of_another_vendors_client_can_be_called(
    proxy: Proxy, dialect: str, model: str, schema: dict[str, Any]
) -> None:
    told = ask(proxy, dialect, model, **tool_of(dialect, schema))

    assert 200 == told.status, told.body
    assert b'"f"' in told.body
    [(status, _)] = sent(proxy)
    assert 200 == status


@pytest.mark.parametrize(("dialect", "model"), [("chat", "gpt-5.3-codex"), ("responses", "gpt-4.1")])
def test_a_tool_is_adapted_between_openais_own_dialects_too(proxy: Proxy, dialect: str, model: str) -> None:
    told = ask(proxy, dialect, model, **tool_of(dialect, {"type": "object", "properties": {"xs": {"type": "array"}}}))

    assert 200 == told.status, told.body
    [(_, body)] = sent(proxy)
    assert {"xs": {"type": "array", "items": {}}} == told_of(body)["properties"]


@pytest.mark.parametrize("model", GPTS)
def test_a_schema_that_is_fine_reaches_the_model_as_it_is(proxy: Proxy, model: str) -> None:
    ask(proxy, "messages", model, **tool_of("messages", PARAMETERS))

    [(_, body)] = sent(proxy)
    assert PARAMETERS == told_of(body)


def test_what_a_model_is_not_told_of_a_schema_is_named_and_gpt_5_is_told_more(proxy: Proxy) -> None:
    choice = {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    older = ask(proxy, "messages", "gpt-4.1", **tool_of("messages", choice))
    newer = ask(proxy, "messages", "gpt-5.3-codex", **tool_of("messages", choice))

    assert "tools[].parameters.anyOf" == older.headers["x-proxy-dropped"]
    assert "x-proxy-dropped" not in newer.headers
    [(_, body), (_, whole)] = sent(proxy)
    assert {"type": "object", "properties": {"a": {}, "b": {}}} == told_of(body)
    assert choice == told_of(whole)


def stops_of(dialect: str, stops: list[str]) -> dict[str, Any]:
    match dialect:
        case "messages":
            return {"stop_sequences": stops}
        case "gemini":
            return {"generationConfig": {"stopSequences": stops}}
        case _:
            return {"stop": stops}


@pytest.mark.parametrize("dialect", ["chat", "messages", "gemini"])
def test_a_model_that_takes_no_stop_strings_is_told_none(proxy: Proxy, dialect: str) -> None:
    told = ask(proxy, dialect, "gpt-5", **stops_of(dialect, ["END"]))

    assert (200, "stop") == (told.status, told.headers["x-proxy-dropped"]), told.body
    [(_, body)] = sent(proxy)
    assert "stop" not in body


@pytest.mark.parametrize("dialect", ["chat", "messages", "gemini"])
def test_of_more_than_four_stop_strings_the_rest_is_named(proxy: Proxy, dialect: str) -> None:
    told = ask(proxy, dialect, "gpt-4.1", **stops_of(dialect, list("abcd")))
    more = ask(proxy, dialect, "gpt-4.1", **stops_of(dialect, list("abcdef")))

    assert (200, None) == (told.status, told.headers.get("x-proxy-dropped"))
    assert (200, "stop") == (more.status, more.headers.get("x-proxy-dropped")), more.body
    assert [list("abcd")] * 2 == [body["stop"] for _, body in sent(proxy)]


def test_no_stop_string_is_none_to_drop(proxy: Proxy) -> None:
    for nothing in (None, []):
        told = ask(proxy, "chat", "gpt-5", stop=nothing)

        assert (200, None) == (told.status, told.headers.get("x-proxy-dropped")), told.body
