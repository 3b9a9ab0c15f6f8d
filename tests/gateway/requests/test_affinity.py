"""What tells one conversation from another."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialects.core.conversation import Conversation, Media, MediaKind, Message, Opaque, Role, Text, ToolSpec
from gateway.requests.affinity import affinity_key

IMAGE = Media(MediaKind.IMAGE, "image/png", data="AA==")


def talk(*said: str, system: str = "Be brief.", tools: tuple = (), model: str = "m") -> Conversation:
    roles = (Role.USER, Role.ASSISTANT)
    messages = tuple(Message(roles[turn % 2], (Text(text),)) for turn, text in enumerate(said))
    return Conversation(model, system=(Text(system),), messages=messages, tools=tools)


def test_a_header_that_says_it_outright_counts_before_all() -> None:
    headers = {"x-affinity-key": "mine", "x-session-id": "s"}

    assert affinity_key(replace(talk("a"), cache_key="k"), headers) == "header:mine"


def test_the_dialects_own_cache_key_counts_before_a_session() -> None:
    assert affinity_key(replace(talk("a"), cache_key="k"), {"x-session-id": "s"}) == "key:k"


@pytest.mark.parametrize(
    "header",
    [
        "x-claude-code-session-id", "x-session-affinity", "x-session-id", "session-id",
        "x-amzn-bedrock-agent-session-id",
    ],
)  # fmt: skip
def test_a_session_keeps_its_name_while_the_conversation_grows(header: str) -> None:
    first = affinity_key(talk("a"), {header: "s1"})

    assert first.startswith("session:s1:")
    assert first == affinity_key(talk("b", "c", "d"), {header: "s1"})
    assert first != affinity_key(talk("a"), {header: "s2"})


@pytest.mark.parametrize("header", ["x-claude-code-agent-id", "thread-id", "x-agent-id"])
def test_agents_of_one_session_are_told_apart(header: str) -> None:
    headers = {"x-session-id": "s"}

    assert affinity_key(talk("a"), {**headers, header: "1"}) != affinity_key(talk("a"), {**headers, header: "2"})


def test_instructions_tell_subagents_apart_that_send_nothing_else() -> None:
    headers = {"x-session-id": "s"}

    assert affinity_key(talk("a"), headers) != affinity_key(talk("a", system="You plan."), headers)


def test_an_empty_header_says_nothing() -> None:
    assert affinity_key(talk("a"), {}) == affinity_key(talk("a"), {"x-session-id": "", "x-affinity-key": ""})


def test_without_any_sign_the_beginning_of_the_prompt_is_the_name() -> None:
    tools = (ToolSpec("find"), Opaque("openai-chat", {"type": "web_search"}))
    name = affinity_key(talk("a", tools=tools), {})

    assert name.startswith("prompt:")
    assert name == affinity_key(talk("a", "b", "c", tools=tools), {})
    assert name != affinity_key(talk("a"), {})
    assert name != affinity_key(talk("b", tools=tools), {})
    assert name != affinity_key(talk("a", tools=tools, model="n"), {})


def test_where_nobody_has_said_a_word_there_is_a_name_too() -> None:
    assert affinity_key(Conversation("m"), {}).startswith("prompt:")
    assert affinity_key(Conversation("m"), {}) == affinity_key(
        Conversation("m", messages=(Message(Role.USER, (IMAGE,)),)), {}
    )


def test_no_prompt_can_be_read_from_its_name() -> None:
    assert "secret" not in affinity_key(talk("secret", system="secret"), {})


def test_texts_count_only_so_far() -> None:
    assert affinity_key(talk("x" * 4096), {}) == affinity_key(talk("x" * 5000), {})
    assert affinity_key(talk("x" * 4095), {}) != affinity_key(talk("x" * 4096), {})


@given(st.text(max_size=20), st.text(max_size=20))
def test_pieces_do_not_run_into_each_other(one: str, other: str) -> None:
    """Lone surrogates, which JSON can carry, are no obstacle."""
    apart = talk("\ud800", system=one)
    together = talk("\ud800", system=one + other)

    assert (one == one + other) == (affinity_key(apart, {}) == affinity_key(together, {}))


@pytest.mark.parametrize("name", ["x-affinity-key", "x-session-id", "cache_key"])
def test_however_long_a_caller_s_own_name_is_the_key_is_short_and_tells_it_apart(name: str) -> None:
    def key(value: str) -> str:
        if name == "cache_key":
            return affinity_key(replace(talk("a"), cache_key=value), {})
        return affinity_key(talk("a"), {name: value})

    assert len(key("k" * 100_000)) < 500
    assert key("k" * 100_000) == key("k" * 100_000)
    assert key("k" * 100_000) != key("k" * 100_001)
