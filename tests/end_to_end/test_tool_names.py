"""Names of tools that a model refuses, through the vendors' own SDKs: the client hears of nothing but its own."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import orjson
import pytest

from tests.matrix.anthropic_client import AnthropicClient
from tests.matrix.clients import Client, RefusedError
from tests.matrix.gemini_client import GeminiClient
from tests.matrix.openai_clients import ChatClient, ResponsesClient
from tests.matrix.scenes import CITY, Ask, Tool
from tests.support.running import KEY, Proxy
from tests.support.talking import sent

MCP = "mcp__plugin_weather-station_of-the-deutscher-wetterdienst__" + "read_out_" * 3
NAMES = {
    # A hundred characters, and nearly all of them the same.
    "anthropic-messages": (f"{MCP}then-forecasts", f"{MCP}then-histories"),
    # Legal for OpenAI, but Gemini wants a letter first, and Nova no hyphen.
    "openai-chat": ("7-day-forecast", "7-day-history"),
    "openai-responses": ("7-day-forecast", "7-day-history"),
    "gemini": ("weather.eu:forecast", "weather.eu:history"),
}
CLIENTS = (ChatClient, ResponsesClient, AnthropicClient, GeminiClient)
MODELS = [
    "anthropic--claude-4.5-sonnet",
    "amazon--nova-pro",
    "gemini-2.5-pro",
    "gemini-3.5-flash",
    "gpt-4.1",
    "gpt-5",
    "gpt-5.3-codex",
]


@pytest.fixture(scope="module")
def clients(shared_proxy: Proxy) -> Iterator[dict[str, Client]]:
    """One of each: an SDK takes longer to set up than to ask."""
    with ExitStack() as owned:
        made = [owned.enter_context(closing(client(shared_proxy.url, KEY))) for client in CLIENTS]
        yield {client.dialect: client for client in made}


def ask_for(names: tuple[str, ...]) -> Ask:
    tools = tuple(Tool(name, f"Tell the {name}.", CITY) for name in names)
    return Ask("Tell me.", tools=tools, forced=names[-1])


def told(body: object) -> set[str]:
    """The names of tools a model was told, wherever they stand."""
    return set(re.findall(r'"name":"([^"]+)"', orjson.dumps(body).decode()))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", NAMES)
def test_a_tool_is_called_by_the_clients_name_and_its_result_is_read(
    proxy: Proxy, clients: dict[str, Client], dialect: str, model: str, stream: bool
) -> None:
    client, ask = clients[dialect], ask_for(NAMES[dialect])
    first = client.send(client.request(model, ask), stream=stream)
    results = [(call, "22 °C and sunny") for call in first.calls]
    going_on = client.followed(client.request(model, replace(ask, forced="")), first.said, results)
    second = client.send(going_on, stream=stream)

    assert [ask.forced] == [call.name for call in first.calls]
    assert "22 °C and sunny" in second.text
    assert first.dropped | second.dropped == frozenset()
    [(_, asked), (_, gone_on)] = sent(proxy)
    assert len(told(asked)) == 2
    assert told(asked) == told(gone_on)


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic-messages", "gemini"])
def test_a_vendors_own_client_is_told_by_the_vendor_which_names_it_refuses(
    proxy: Proxy, clients: dict[str, Client], dialect: str
) -> None:
    model = {"openai-chat": "gpt-4.1", "anthropic-messages": "anthropic--claude-4.5-sonnet"}.get(dialect, MODELS[2])
    client = clients[dialect]
    with pytest.raises(RefusedError) as caught:
        client.send(client.request(model, ask_for(("x" * 129,))), stream=False)

    assert caught.value.status == 400
    assert re.search(r"maximum length|pattern", caught.value.message)
    assert [status for status, _ in sent(proxy)] == [400]


def test_a_name_that_is_fine_reaches_the_model_as_it_is(proxy: Proxy, clients: dict[str, Client]) -> None:
    client = clients["anthropic-messages"]
    for model in MODELS:
        client.send(client.request(model, ask_for(("get_weather", "mcp__time__now"))), stream=False)

    assert [told(body) for _, body in sent(proxy)] == [{"get_weather", "mcp__time__now"}] * len(MODELS)
