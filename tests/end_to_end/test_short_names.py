"""Config files name deployments as their owners like; the models are asked as what they are."""

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

import proxy_server
import routing
from tests.support.running import Cloud, Proxy, running_proxy
from tests.support.talking import CHAT, MESSAGES

SHORT = {
    # The emulator has neither of the two; what they take, their successor takes.
    "3.7-sonnet": "anthropic--claude-4.5-sonnet",
    "4-sonnet": "anthropic--claude-4.5-sonnet",
    "4.5-sonnet": "anthropic--claude-4.5-sonnet",
    "3.5-sonnet": "anthropic--claude-3.5-sonnet",
    "sonnet": "anthropic--claude-4.5-sonnet",
    "my-claude": "anthropic--claude-4.5-haiku",
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def config(cloud: Cloud, names: dict[str, str], **more: Any) -> dict[str, Any]:
    """One subaccount whose deployments go by *names*; names of one model take turns with its deployments."""
    tenant = cloud.tenants["eu"]
    running = [each for each in tenant["deployments"] if each["status"] == "RUNNING"]
    turns = {model: cycle([each["url"] for each in running if each["model"] == model]) for model in names.values()}
    urls = {name: [next(turns[model])] for name, model in names.items()}
    key = {name: tenant[name] for name in ("resource_group", "service_key")}
    return {"subAccounts": {"eu": {**key, "deployment_models": urls, **more}}}


@pytest.fixture
def short(cloud: Cloud, tmp_path: Path) -> Iterator[Proxy]:
    with running_proxy(cloud, tmp_path, **config(cloud, SHORT)) as proxy:
        yield proxy
        cloud.check_requests()


def request_for(client: str, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """A request that thinks and has a tool."""
    messages = [{"role": "user", "content": "Use get_weather"}]
    if client == "messages":
        thinking = {"type": "enabled", "budget_tokens": 2000}
        tools: Any = [{"name": "get_weather", "input_schema": SCHEMA}]
        body = {"max_tokens": 4000, "thinking": thinking}
        return MESSAGES, {"model": model, "stream": stream, "messages": messages, "tools": tools, **body}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
    body = {"max_tokens": 4000, "reasoning_effort": "low"}
    return CHAT, {"model": model, "stream": stream, "messages": messages, "tools": tools, **body}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("client", ["chat", "messages"])
@pytest.mark.parametrize("name", SHORT)
def test_a_claude_under_a_short_name_thinks_and_calls_tools(short: Proxy, name: str, client: str, stream: bool) -> None:
    told = short.ask("POST", *request_for(client, name, stream=stream))
    [sent] = short.cloud.requests()

    assert told.status == 200
    assert b'"get_weather"' in told.body
    assert sent["deployment"] in short.cloud.deployments(SHORT[name])
    assert ("thinking" in json.dumps(sent["body"])) is not (name == "3.5-sonnet")


def test_short_and_canonical_names_stand_beside_each_other(cloud: Cloud, tmp_path: Path) -> None:
    names = dict.fromkeys(("4.5-sonnet", "anthropic--claude-4.5-sonnet"), "anthropic--claude-4.5-sonnet")
    given = config(cloud, names)
    urls = given["subAccounts"]["eu"]["deployment_models"]
    with running_proxy(cloud, tmp_path, **given) as proxy:
        told = [proxy.ask("POST", *request_for("chat", name, stream=False)) for name in names]

    assert [each.status for each in told] == [200, 200]
    assert [urls[name][0].rpartition("/")[2] for name in names] == [
        each.headers["x-proxy-deployment"].partition("/")[2] for each in told
    ]


@pytest.mark.parametrize("client", ["chat", "messages"])
@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("house-model", "anthropic--claude-4.5-sonnet"),
        ("my-gpt", "gemini-2.5-pro"),
        ("my-claude", "gpt-4.1"),
        ("sonnet", "anthropic--claude-3.5-sonnet"),
    ],
)
def test_what_a_deployment_says_it_runs_outranks_its_name(
    cloud: Cloud, tmp_path: Path, name: str, model: str, client: str
) -> None:
    with running_proxy(cloud, tmp_path, **config(cloud, {name: model}, discovery=True)) as proxy:
        told = proxy.ask("POST", *request_for(client, name, stream=False))

    assert told.status == 200
    assert name == told.json["model"]
    assert b'"get_weather"' in told.body
    cloud.check_requests()


def test_load_balance_url_works_on_the_proxy_that_is_configured(short: Proxy) -> None:
    routing.configure(short.gateway.router)
    url, subaccount, group, model = proxy_server.load_balance_url("4.5-sonnet")

    assert (subaccount, group, model) == ("eu", "default", "4.5-sonnet")
    assert url.startswith(f"{short.cloud.url}/v2/inference/deployments/")
    assert "load_balance_url" in proxy_server.__all__
