"""What Claude wants of a history, whichever client tells it, by either protocol and passed or translated."""

from typing import Any

import pytest

from dialects import anthropic_messages, bedrock_converse
from dialects.capabilities.models import profile_for
from dialects.core.conversation import JSON
from dialects.framing.json_text import dumps
from dialects.interface import Rendered
from dialects.registry import CLIENTS
from tests.oracles.anthropic import check_messages_request
from tests.oracles.bedrock import check_converse_request

SONNET = profile_for("anthropic--claude-4.5-sonnet")
MARK = {"type": "ephemeral", "ttl": "1h"}
BEGUN: dict[str, JSON] = {
    "anthropic-messages": {
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Answer: \n"}],
    },
    "openai-chat": {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Answer: \n"}]},
    "openai-responses": {"input": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Answer: \n"}]},
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"text": "Answer: \n"}, {"text": " "}]},
        ]
    },
}


def asked(dialect: str, body: JSON, way: str) -> Rendered:
    """Render *body*, which a client of *dialect* sent, for Claude: by `invoke`, by `converse`, or passed."""
    body = {"model": "claude", **body}
    if way == "passed":
        made = anthropic_messages.passthrough_request(body, SONNET)
    else:
        render = {"invoke": anthropic_messages, "converse": bedrock_converse}[way].render_request
        made = render(CLIENTS[dialect].parse_request(body), SONNET)
    (check_converse_request if way == "converse" else check_messages_request)(made.body)
    return made


WAYS = [(dialect, way) for dialect in BEGUN for way in ("invoke", "converse")] + [("anthropic-messages", "passed")]
OWN_WAYS = [way for dialect, way in WAYS if dialect == "anthropic-messages"]


@pytest.mark.parametrize(("dialect", "way"), WAYS)
def test_an_answer_that_was_begun_ends_in_no_white_space(dialect: str, way: str) -> None:
    made = asked(dialect, BEGUN[dialect], way)

    assert '"Answer:"' in dumps(made.body["messages"][-1])
    assert made.body["messages"][-1]["role"] == "assistant"


def test_white_space_stays_where_it_ends_no_conversation() -> None:
    turns = [*BEGUN["anthropic-messages"]["messages"], {"role": "user", "content": "go on \n"}]
    blocks = [{"type": "text", "text": "Answer: ", "cache_control": {"type": "ephemeral"}}]

    for way in OWN_WAYS:
        body = asked("anthropic-messages", {"max_tokens": 9, "messages": turns}, way).body
        assert r'"Answer: \n"' in dumps(body["messages"][1])
        assert r'"go on \n"' in dumps(body["messages"][2])
        begun = {"max_tokens": 9, "messages": [turns[0], {"role": "assistant", "content": blocks}]}
        assert '"Answer:"' in dumps(asked("anthropic-messages", begun, way).body)


def last_marked(way: str, made: Rendered) -> Any:
    """The block of the last turn that bears a mark, and how many marks there are."""
    said = dumps(made.body)
    if way != "converse":
        return [block for block in made.body["messages"][-1]["content"] if "cache_control" in block], said.count(
            "cache_control"
        )
    content = made.body["messages"][-1]["content"]
    places = [place for place, block in enumerate(content) if "cachePoint" in block]
    return [content[place - 1] for place in places], said.count("cachePoint")


@pytest.mark.parametrize("way", OWN_WAYS)
def test_a_mark_beside_the_messages_stands_on_the_last_block(way: str) -> None:
    body = {"max_tokens": 9, "cache_control": MARK, "messages": [{"role": "user", "content": "hi"}]}
    made = asked("anthropic-messages", body, way)
    [marked], count = last_marked(way, made)

    assert (marked["text"], count) == ("hi", 1)
    assert '"ttl":"1h"' in dumps(made.body)
    assert made.dropped == ()


@pytest.mark.parametrize("way", OWN_WAYS)
def test_a_mark_beside_the_messages_looks_for_a_block_that_can_bear_it(way: str) -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"}
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "22"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "warm"}, thinking]},
    ]
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    for turn, found in ((3, "warm"), (2, "22"), (0, "hi")):
        body = {"max_tokens": 9, "cache_control": MARK, "tools": tools, "messages": turns[: turn + 1]}
        [marked], count = last_marked(way, asked("anthropic-messages", body, way))

        assert f'"{found}"' in dumps(marked)
        assert count == 1


@pytest.mark.parametrize("way", OWN_WAYS)
def test_with_a_mark_beside_the_messages_there_are_four_at_most(way: str) -> None:
    own = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    turns = [{"role": "user", "content": [own, own, {"type": "text", "text": "b"}]}]
    for system, last, dropped in (([own], 4, ()), ([own, own], 4, ("cache_control",)), ([], 3, ())):
        body = {"max_tokens": 9, "cache_control": {"type": "ephemeral"}, "system": system, "messages": turns}
        made = asked("anthropic-messages", body, way)

        assert last == last_marked(way, made)[1]
        assert dropped == made.dropped


@pytest.mark.parametrize("way", OWN_WAYS)
def test_a_mark_that_stands_on_the_last_block_already_stays(way: str) -> None:
    own = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    body = {"max_tokens": 9, "cache_control": MARK, "messages": [{"role": "user", "content": [own, own, own, own]}]}
    made = asked("anthropic-messages", body, way)

    assert last_marked(way, made)[1] == 4
    assert '"1h"' not in dumps(made.body)
    assert made.dropped == ()


def test_chat_clients_may_mark_the_end_as_well() -> None:
    body = {"cache_control": {"type": "ephemeral"}, "messages": [{"role": "user", "content": "hi"}]}
    made = asked("openai-chat", body, "converse")

    assert made.body["messages"][0]["content"] == [{"text": "hi"}, {"cachePoint": {"type": "default"}}]
    assert made.dropped == ()
