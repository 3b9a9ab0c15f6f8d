"""What Azure OpenAI refuses is asked of it in a way it takes, whatever the client said."""

from typing import Any

import pytest

from tests.support.running import HttpAnswer, Proxy
from tests.support.talking import HELLO, request_of, sent

GPTS = ["gpt-4.1", "gpt-5", "gpt-5.3-codex"]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}


def ask(proxy: Proxy, dialect: str, model: str, **more: Any) -> HttpAnswer:
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

    assert told.status == 200, told.body
    assert b'"f"' in told.body
    [(status, _)] = sent(proxy)
    assert status == 200


@pytest.mark.parametrize(("dialect", "model"), [("chat", "gpt-5.3-codex"), ("responses", "gpt-4.1")])
def test_a_tool_is_adapted_between_openais_own_dialects_too(proxy: Proxy, dialect: str, model: str) -> None:
    told = ask(proxy, dialect, model, **tool_of(dialect, {"type": "object", "properties": {"xs": {"type": "array"}}}))

    assert told.status == 200, told.body
    [(_, body)] = sent(proxy)
    assert told_of(body)["properties"] == {"xs": {"type": "array", "items": {}}}


@pytest.mark.parametrize("model", GPTS)
def test_a_schema_that_is_fine_reaches_the_model_as_it_is(proxy: Proxy, model: str) -> None:
    ask(proxy, "messages", model, **tool_of("messages", PARAMETERS))

    [(_, body)] = sent(proxy)
    assert told_of(body) == PARAMETERS


def test_what_a_model_is_not_told_of_a_schema_is_named_and_gpt_5_is_told_more(proxy: Proxy) -> None:
    choice = {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    older = ask(proxy, "messages", "gpt-4.1", **tool_of("messages", choice))
    newer = ask(proxy, "messages", "gpt-5.3-codex", **tool_of("messages", choice))

    assert older.headers["x-proxy-dropped"] == "tools[].parameters.anyOf"
    assert "x-proxy-dropped" not in newer.headers
    [(_, body), (_, whole)] = sent(proxy)
    assert told_of(body) == {"type": "object", "properties": {"a": {}, "b": {}}}
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

    assert (told.status, told.headers["x-proxy-dropped"]) == (200, "stop"), told.body
    [(_, body)] = sent(proxy)
    assert "stop" not in body


@pytest.mark.parametrize("dialect", ["chat", "messages", "gemini"])
def test_of_more_than_four_stop_strings_the_rest_is_named(proxy: Proxy, dialect: str) -> None:
    told = ask(proxy, dialect, "gpt-4.1", **stops_of(dialect, list("abcd")))
    more = ask(proxy, dialect, "gpt-4.1", **stops_of(dialect, list("abcdef")))

    assert (told.status, told.headers.get("x-proxy-dropped")) == (200, None)
    assert (more.status, more.headers.get("x-proxy-dropped")) == (200, "stop"), more.body
    assert [body["stop"] for _, body in sent(proxy)] == [list("abcd")] * 2


def test_no_stop_string_is_none_to_drop(proxy: Proxy) -> None:
    for nothing in (None, []):
        told = ask(proxy, "chat", "gpt-5", stop=nothing)

        assert (told.status, told.headers.get("x-proxy-dropped")) == (200, None), told.body


def called_with(dialect: str, ids: list[str]) -> dict[str, Any]:
    """A history in which one function was called under several ids, and each was answered."""
    match dialect:
        case "messages":
            calls = [{"type": "tool_use", "id": own, "name": "f", "input": {}} for own in ids]
            answers = [{"type": "tool_result", "tool_use_id": own, "content": f"answer to {own}"} for own in ids]
            turns = [("user", "Go"), ("assistant", calls), ("user", answers)]
            return {"messages": [{"role": role, "content": content} for role, content in turns]}
        case "chat":
            called = [{"id": own, "type": "function", "function": {"name": "f", "arguments": "{}"}} for own in ids]
            tools = [{"role": "tool", "tool_call_id": own, "content": f"answer to {own}"} for own in ids]
            return {"messages": [*HELLO, {"role": "assistant", "content": None, "tool_calls": called}, *tools]}
        case _:
            calls = [{"type": "function_call", "call_id": own, "name": "f", "arguments": "{}"} for own in ids]
            answers = [{"type": "function_call_output", "call_id": own, "output": f"answer to {own}"} for own in ids]
            return {"input": [*HELLO, *calls, *answers]}


def ids_told(body: Any) -> tuple[list[str], list[str]]:
    """Under which ids the model was told of calls, and of their answers."""
    if "input" in body:
        ids = [(item["type"], item["call_id"]) for item in body["input"] if "call_id" in item]
        return [own for kind, own in ids if kind == "function_call"], [own for kind, own in ids if "output" in kind]
    calls = [call["id"] for message in body["messages"] for call in message.get("tool_calls") or []]
    return calls, [message["tool_call_id"] for message in body["messages"] if message["role"] == "tool"]


@pytest.mark.parametrize("model", GPTS)
@pytest.mark.parametrize("dialect", ["messages", "chat", "responses"])
def test_a_call_whose_id_is_too_long_is_answered_under_a_shorter_one(proxy: Proxy, dialect: str, model: str) -> None:
    long = ["toolu_" + "x" * 84 + end for end in "ab"]
    for _ in range(2):
        told = ask(proxy, dialect, model, **called_with(dialect, [*long, "call_1"]))

        assert (told.status, told.headers.get("x-proxy-dropped")) == (200, None), told.body
        assert all(f"answer to {own}".encode() in told.body for own in (*long, "call_1"))
    [(_, first), (_, again)] = sent(proxy)
    calls, answers = ids_told(first)
    assert len(set(calls)) == 3
    assert calls[2] == "call_1"
    assert calls == answers
    assert (calls, answers) == ids_told(again)


@pytest.mark.parametrize("model", GPTS)
def test_a_user_whose_name_is_too_long_stays_the_same_user(proxy: Proxy, model: str) -> None:
    for user in ("user_" + "0" * 115, "user_" + "0" * 115, "user_" + "0" * 114 + "1", "user_" + "0" * 59):
        told = ask(proxy, "messages", model, metadata={"user_id": user})

        assert (told.status, told.headers.get("x-proxy-dropped")) == (200, None), told.body
    names = [body["user"] for _, body in sent(proxy)]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert names[3] == "user_" + "0" * 59


def effort_of(dialect: str, word: str) -> dict[str, Any]:
    return {"reasoning_effort": word} if dialect == "chat" else {"reasoning": {"effort": word, "summary": "auto"}}


@pytest.mark.parametrize(
    ("dialect", "model", "word", "told_word", "dropped"),
    [
        ("chat", "gpt-5", "none", "minimal", None),
        ("chat", "gpt-5", "xhigh", "high", "reasoning_effort xhigh"),
        ("chat", "gpt-5", "low", "low", None),
        ("chat", "gpt-5.3-codex", "minimal", "low", "reasoning_effort minimal"),
        ("chat", "gpt-4.1", "none", None, None),
        ("chat", "gpt-4.1", "high", None, "reasoning_effort"),
        ("responses", "gpt-5", "none", "minimal", None),
        ("responses", "gpt-5", "xhigh", "high", "reasoning_effort xhigh"),
        ("responses", "gpt-5.3-codex", "minimal", "low", "reasoning_effort minimal"),
        ("responses", "gpt-5.3-codex", "xhigh", "xhigh", None),
    ],
)
def test_a_model_is_told_how_hard_to_think_in_a_word_it_knows(
    proxy: Proxy, dialect: str, model: str, word: str, told_word: str | None, dropped: str | None
) -> None:
    told = ask(proxy, dialect, model, **effort_of(dialect, word))

    assert (200, dropped) == (told.status, told.headers.get("x-proxy-dropped")), told.body
    [(_, body)] = sent(proxy)
    assert told_word == body.get("reasoning_effort", (body.get("reasoning") or {}).get("effort"))


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.3-codex"])
@pytest.mark.parametrize("length", [1, 15])
def test_no_shorter_answer_is_asked_of_responses_than_it_gives(proxy: Proxy, model: str, length: int) -> None:
    told = ask(proxy, "responses", model, max_output_tokens=length)

    assert (told.status, told.headers.get("x-proxy-dropped")) == (200, "max_tokens below 16"), told.body
    [(_, body)] = sent(proxy)
    assert body["max_output_tokens"] == 16


def test_metadata_is_kept_where_it_is_taken(proxy: Proxy) -> None:
    """Chat completions takes it for what it stores alone."""
    tags = {"team": "a"}
    dropped = [
        ask(proxy, dialect, model, metadata=tags, **more).headers.get("x-proxy-dropped")
        for dialect, model, more in (
            ("chat", "gpt-4.1", {"store": True}),
            ("chat", "gpt-4.1", {}),
            ("responses", "gpt-4.1", {}),
            ("chat", "gpt-5.3-codex", {}),
            ("responses", "gpt-5.3-codex", {}),
        )
    ]

    assert dropped == [None, "metadata", "metadata", None, None]
    assert [(status, body.get("metadata")) for status, body in sent(proxy)] == [
        (200, tags),
        (200, None),
        (200, None),
        (200, tags),
        (200, tags),
    ]


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.3-codex"])
def test_a_model_that_thinks_is_not_asked_how_likely_its_words_are(proxy: Proxy, model: str) -> None:
    asked = {"top_logprobs": 2, "include": ["message.output_text.logprobs"]}
    told = ask(proxy, "responses", model, **asked)
    chat = ask(proxy, "chat", model, logprobs=True, top_logprobs=2)

    assert (told.status, told.headers["x-proxy-dropped"].replace(" ", "")) == (200, "logprobs,top_logprobs"), told.body
    assert (chat.status, chat.headers["x-proxy-dropped"].replace(" ", "")) == (200, "logprobs,top_logprobs"), chat.body
