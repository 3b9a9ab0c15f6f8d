"""Answers in JSON that are no object, through the vendors' own SDKs: every model gives every client just those."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import jsonschema
import pytest

from tests.matrix.anthropic_client import AnthropicClient
from tests.matrix.clients import Client, RefusedError
from tests.matrix.gemini_client import GeminiClient
from tests.matrix.openai_clients import ChatClient, ResponsesClient
from tests.matrix.scenes import WEATHER, Ask, End
from tests.support.running import KEY, Proxy
from tests.support.talking import sent

pytestmark = pytest.mark.repeats

STEP: dict[str, Any] = {
    "type": "object",
    "properties": {"say": {"type": "string", "description": "In full."}},
    "required": ["say"],
    "additionalProperties": False,
}
ROOTS: dict[str, dict[str, Any]] = {
    "array": {"type": "array", "items": STEP},
    "untyped": {name: value for name, value in STEP.items() if name != "type"},
    "enum": {"type": "string", "enum": ["red", "green"]},
    "choice": {"anyOf": [STEP, {"type": "null"}]},
    "reference": {"$ref": "#/$defs/Step", "$defs": {"Step": STEP}},
}
NEXT = {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Node"}]}
NODE = {**STEP, "properties": {**STEP["properties"], "next": NEXT}, "required": ["say", "next"]}
CHAIN = {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}
CLIENTS = (ChatClient, ResponsesClient, AnthropicClient, GeminiClient)
DIALECTS = [client.dialect for client in CLIENTS]
MODELS = ["anthropic--claude-3.5-sonnet", "anthropic--claude-4.5-sonnet", "amazon--nova-pro", "gemini-3.5-flash"]
GPTS = ["gpt-4.1", "gpt-5.3-codex"]
AT_HOME = {("openai-chat", "gpt-4.1"), ("openai-responses", "gpt-5.3-codex")}
CELLS = [(dialect, model) for dialect in DIALECTS for model in (*MODELS, *GPTS) if (dialect, model) not in AT_HOME]
TOOLS = [cell for cell in CELLS if cell[1] in ("anthropic--claude-3.5-sonnet", "amazon--nova-pro")]
"""Where the answer is the arguments of a tool."""
WORDS = [cell for cell in CELLS if cell[1] == "gpt-4.1"]
"""Where it is words."""


@pytest.fixture(scope="module")
def clients(shared_wide_proxy: Proxy) -> Iterator[dict[str, Client]]:
    """One of each: an SDK takes longer to set up than to ask."""
    with ExitStack() as owned:
        made = [owned.enter_context(closing(client(shared_wide_proxy.url, KEY))) for client in CLIENTS]
        yield {client.dialect: client for client in made}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(("dialect", "model"), CELLS)
def test_an_answer_is_just_what_its_schema_describes(
    wide_proxy: Proxy, clients: dict[str, Client], dialect: str, model: str, root: str, stream: bool
) -> None:
    client, schema = clients[dialect], ROOTS[root]
    [seen] = client.ask(model, Ask("Describe Ada.", schema=schema), stream=stream)

    jsonschema.validate(json.loads(seen.text), schema)
    assert (client.ends[End.DONE], ()) == (seen.end, seen.calls)
    assert seen.dropped == frozenset()
    [(_, body)] = sent(wide_proxy)
    assert ("In full." in json.dumps(body)) == ("In full." in json.dumps(schema))


@pytest.mark.parametrize("dialect", ["openai-chat", "gemini"])
@pytest.mark.parametrize(
    ("model", "dropped"),
    [("anthropic--claude-4.5-sonnet", set()), ("amazon--nova-pro", {"response_format.$ref"}), ("gpt-5.3-codex", set())],
)
def test_an_answer_may_hold_others_of_its_kind(
    wide_proxy: Proxy, clients: dict[str, Client], dialect: str, model: str, dropped: set[str]
) -> None:
    [seen] = clients[dialect].ask(model, Ask("Describe Ada.", schema=CHAIN), stream=True)

    jsonschema.validate(json.loads(seen.text), CHAIN)
    assert dropped == seen.dropped
    assert [status for status, _ in sent(wide_proxy)] == [200]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("dialect", "model"), TOOLS + WORDS)
def test_a_refusal_reaches_the_client(
    wide_proxy: Proxy, clients: dict[str, Client], dialect: str, model: str, stream: bool
) -> None:
    client = clients[dialect]
    [plain] = client.ask(model, Ask("scene:refusal"), stream=stream)
    [seen] = client.ask(model, Ask("scene:refusal", schema=ROOTS["array"]), stream=stream)

    assert client.ends[End.REFUSED] == seen.end
    assert plain.text == seen.text
    assert len(sent(wide_proxy)) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("text", ['{"value', '{"values": [1]}', "No."])
@pytest.mark.parametrize(("dialect", "model"), WORDS)
def test_what_is_said_instead_reaches_the_client(
    wide_proxy: Proxy, clients: dict[str, Client], dialect: str, model: str, text: str, stream: bool
) -> None:
    [seen] = clients[dialect].ask(model, Ask(f"scene:echo {text}", schema=ROOTS["array"]), stream=stream)

    assert text == seen.text
    assert len(sent(wide_proxy)) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", ["anthropic-messages", "gemini"])
def test_an_answer_that_is_cut_off_reaches_the_client_so_far(
    wide_proxy: Proxy, clients: dict[str, Client], dialect: str, stream: bool
) -> None:
    client = clients[dialect]
    long = {"type": "array", "items": STEP, "minItems": 50}
    [seen] = client.ask("gpt-4.1", Ask("Go on.", schema=long, limit=30), stream=stream)

    assert client.ends[End.LENGTH] == seen.end
    assert seen.text.startswith('[{"say": "some say"}, {"say": ')
    assert len(sent(wide_proxy)) == 1


@pytest.mark.parametrize("model", ["anthropic--claude-3.5-sonnet", "amazon--nova-pro"])
def test_a_tool_may_still_be_called_instead(wide_proxy: Proxy, clients: dict[str, Client], model: str) -> None:
    asked = Ask("Please use get_weather.", tools=(WEATHER,), schema=ROOTS["array"])
    [seen] = clients["openai-chat"].ask(model, asked, stream=True)

    assert [call.name for call in seen.calls] == ["get_weather"]
    assert len(sent(wide_proxy)) == 1


@pytest.mark.parametrize(("dialect", "model"), sorted(AT_HOME))
def test_openai_tells_its_own_clients_what_it_refuses(
    wide_proxy: Proxy, clients: dict[str, Client], dialect: str, model: str
) -> None:
    with pytest.raises(RefusedError, match="schema must be a JSON Schema of 'type: \"object\"'") as caught:
        clients[dialect].ask(model, Ask("Describe Ada.", schema=ROOTS["array"]), stream=False)

    assert caught.value.status == 400
    assert [status for status, _ in sent(wide_proxy)] == [400]
