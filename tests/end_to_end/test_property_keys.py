"""Properties whose keys Claude refuses, through the vendors' own SDKs: the client hears of nothing but its own."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import orjson
import pytest

from tests.matrix.anthropic_client import AnthropicClient
from tests.matrix.clients import Client
from tests.matrix.gemini_client import GeminiClient
from tests.matrix.openai_clients import ChatClient, ResponsesClient
from tests.matrix.scenes import Ask, Tool
from tests.support.running import KEY, Proxy
from tests.support.talking import sent

QUERY = {
    "type": "object",
    "properties": {
        "$filter": {"type": "string"},
        "expand": {"type": "object", "properties": {"@odata.type": {"type": "string"}}, "required": ["@odata.type"]},
    },
    "required": ["$filter", "expand"],
}
CLOSED = {
    "type": "object",
    "properties": {"@odata.type": {"type": "string"}},
    "required": ["@odata.type"],
    "additionalProperties": False,
}
ASK = Ask("Tell me.", tools=(Tool("query", "Ask the service.", QUERY),), forced="query")
CLIENTS = (ChatClient, ResponsesClient, AnthropicClient, GeminiClient)
# Asked as Converse and as messages, by clients of other vendors and by Anthropic's own.
CLAUDES = ["anthropic--claude-3.5-sonnet", "anthropic--claude-4.5-sonnet", "anthropic--claude-4.8-opus"]


@pytest.fixture(scope="module")
def clients(shared_wide_proxy: Proxy) -> Iterator[dict[str, Client]]:
    """One of each: an SDK takes longer to set up than to ask."""
    with ExitStack() as owned:
        made = [owned.enter_context(closing(client(shared_wide_proxy.url, KEY))) for client in CLIENTS]
        yield {client.dialect: client for client in made}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", CLAUDES)
@pytest.mark.parametrize("dialect", [client.dialect for client in CLIENTS])
def test_a_tool_with_odd_keys_is_called_with_them_and_its_result_is_read(
    wide_proxy: Proxy, clients: dict[str, Client], dialect: str, model: str, stream: bool
) -> None:
    client = clients[dialect]
    first = client.send(client.request(model, ASK), stream=stream)
    results = [(call, "22 rows") for call in first.calls]
    going_on = client.followed(client.request(model, replace(ASK, forced="")), first.said, results)
    second = client.send(going_on, stream=stream)

    [call] = first.calls
    assert call.arguments.keys() == {"$filter", "expand"}
    assert call.arguments["expand"].keys() == {"@odata.type"}
    assert "22 rows" in second.text
    for _, body in sent(wide_proxy):
        assert b'"$filter":' not in orjson.dumps(body)
        assert b'"@odata.type":' not in orjson.dumps(body)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", CLAUDES)
@pytest.mark.parametrize("dialect", [client.dialect for client in CLIENTS])
def test_an_answer_to_a_schema_with_odd_keys_has_them(
    wide_proxy: Proxy, clients: dict[str, Client], dialect: str, model: str, stream: bool
) -> None:
    client = clients[dialect]
    told = client.send(client.request(model, Ask("Tell me.", schema=CLOSED)), stream=stream)

    assert orjson.loads(told.text).keys() == {"@odata.type"}
