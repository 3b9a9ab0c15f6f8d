"""Tools whose schemas a model does not take as they are, through the vendors' own SDKs."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import jsonschema
import pytest

from tests.matrix.anthropic_client import AnthropicClient
from tests.matrix.clients import Client
from tests.matrix.gemini_client import GeminiClient
from tests.matrix.openai_clients import ChatClient, ResponsesClient
from tests.matrix.scenes import Ask, Tool
from tests.support.running import KEY, Proxy
from tests.support.talking import sent

STREET = {"type": "object", "properties": {"street": {"type": "string"}}, "required": ["street"]}
REFERRING: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Move",
    "type": "object",
    "properties": {"to": {"$ref": "#/$defs/Address"}, "from": {"type": "array", "items": {"$ref": "#/$defs/Address"}}},
    "required": ["to", "from"],
    "$defs": {"Address": STREET},
}
ROUTE = {"type": "object", "properties": {"by": {"const": "road"}, "road": {"type": "string"}}, "required": ["by"]}
FLIGHT = {"type": "object", "properties": {"by": {"const": "air"}, "number": {"type": "integer"}}, "required": ["by"]}
ROOTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "anyOf": ({"anyOf": [ROUTE, FLIGHT]}, {"tools[].parameters.anyOf"}),
    "oneOf": ({"type": "object", "oneOf": [ROUTE, FLIGHT]}, {"tools[].parameters.oneOf"}),
    "allOf": ({"allOf": [{"$ref": "#/$defs/Address"}], "$defs": {"Address": STREET}}, set()),
    "reference": ({"$ref": "#/$defs/Address", "$defs": {"Address": STREET}}, set()),
}
"""Schemas whose root is no plain object, and what is lost of them."""
CLIENTS = (ChatClient, ResponsesClient, AnthropicClient, GeminiClient)
DIALECTS = [client.dialect for client in CLIENTS]


@pytest.fixture(scope="module")
def clients(shared_wide_proxy: Proxy) -> Iterator[dict[str, Client]]:
    """One of each: an SDK takes longer to set up than to ask."""
    with ExitStack() as owned:
        made = [owned.enter_context(closing(client(shared_wide_proxy.url, KEY))) for client in CLIENTS]
        yield {client.dialect: client for client in made}


def called(client: Client, model: str, schema: dict[str, Any], *, stream: bool = False) -> tuple[Any, frozenset[str]]:
    """Have a tool called: its arguments, and what was dropped."""
    ask = Ask("Tell me.", tools=(Tool("move", "Move there.", schema),), forced="move")
    [seen] = client.ask(model, ask, stream=stream)
    [call] = seen.calls
    return call.arguments, seen.dropped


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_nova_knows_what_a_schema_refers_to(
    wide_proxy: Proxy, clients: dict[str, Client], dialect: str, stream: bool
) -> None:
    arguments, dropped = called(clients[dialect], "amazon--nova-pro", REFERRING, stream=stream)

    jsonschema.validate(arguments, REFERRING)
    assert dropped == frozenset()
    assert [status for status, _ in sent(wide_proxy)] == [200]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(
    ("dialect", "model"),
    [
        ("openai-chat", "anthropic--claude-4.5-sonnet"),
        ("openai-responses", "anthropic--claude-3.5-sonnet"),
        ("gemini", "anthropic--claude-4.8-opus"),
        ("anthropic-messages", "amazon--nova-pro"),
    ],
)
def test_a_tool_keeps_its_parameters_whatever_its_root(
    wide_proxy: Proxy, clients: dict[str, Client], dialect: str, model: str, root: str
) -> None:
    schema, lost = ROOTS[root]
    arguments, dropped = called(clients[dialect], model, schema)

    jsonschema.validate(arguments, schema if "$ref" in schema or "allOf" in schema else {"anyOf": [ROUTE, FLIGHT]})
    assert arguments.keys() in ({"street"}, {"by", "road", "number"})
    assert lost == dropped
    assert [status for status, _ in sent(wide_proxy)] == [200]
