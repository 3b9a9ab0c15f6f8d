"""The error lines in docs/troubleshooting.md are what clients and `check` are told, word for word."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import emulator
from emulator.world import World, tenant
from gateway.cli.check import run_check
from gateway.config.loader import load
from gateway.served_models import Ending
from gateway.server.serving import PortTakenError, ensure_free
from gateway.upstream.management import ManagementClient
from tests.support.running import Cloud, Proxy, running_proxy
from tests.support.sources import ROOT

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}

JSON = "The body is not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."
NO_KEY = "This request has no API key: send a key of this proxy as `Authorization: Bearer KEY` or `x-api-key: KEY`."
ENCODING = (
    "Content-Encoding 'br' is not supported: "
    "send the body uncompressed, or compressed as one of gzip, x-gzip, deflate, zstd."
)
ONE_ANSWER = "n must be 1 with model gemini-3.5-flash: it gives one response at a time"
PREVIOUS = (
    "Previous response with id 'resp_nope' not found. "
    "An id can be used only with the API key that it was created with. "
    "Send the whole conversation as input instead."
)
IMAGE = "http://127.0.0.1/picture.png"
NOT_FETCHED = (
    f"Cannot fetch '{IMAGE}': the proxy cannot reach it or must not fetch it; send its content in the request instead."
)
PICTURE = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": IMAGE}}]}]}
TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."
QUOTA = "Your request has been rate limited by AI Core due to exceeding the allowed request. Please try again later."
HEALTHY: list[tuple[str, Any, dict[str, str], str]] = [
    # what is sent, and the line that comes back
    (CHAT, b"{", {}, JSON),
    (CHAT, b"{}", {"Authorization": "Bearer wrong"}, "Incorrect API key provided."),
    (CHAT, b"{}", {"Authorization": ""}, NO_KEY),
    (CHAT, b"{}", {"Content-Encoding": "br"}, ENCODING),
    ("/v1/chat/completion", b"{}", {}, "POST /v1/chat/completion: Not Found."),
    (CHAT, {**HELLO, "model": "gemini-3.5-flash", "n": 3}, {}, ONE_ANSWER),
    (CHAT, {**PICTURE, "model": "anthropic--claude-4.5-sonnet"}, {}, NOT_FETCHED),
    ("/v1/responses", {"model": "gpt-5", "input": "Hello", "previous_response_id": "resp_nope"}, {}, PREVIOUS),
]
BROKEN = [
    # the fault of every deployment, the path, the model, and the line that comes back
    ("403", CHAT, "gpt-5", "SAP AI Core does not let the proxy use the deployment behind this model."),
    ("403-html", CHAT, "gpt-5", "The request was refused between the proxy and the model, for example by a firewall."),
    ("404", CHAT, "gpt-5", "The deployment behind this model does not exist any more or is not running."),
    ("500", CHAT, "gpt-5", "The model's endpoint failed."),
    ("400-overflow", CHAT, "gpt-5", TOO_LONG),
    ("400-overflow", MESSAGES, "anthropic--claude-4.5-sonnet", "prompt is too long: 215432 tokens > 200000 maximum"),
    ("429-quota", CHAT, "gpt-5", QUOTA),
    ("eof", CHAT, "gpt-5", "the stream ended early"),
    ("cut", CHAT, "gpt-5", "The response of SAP AI Core ended early."),
]
CHECKED = [
    "gpt-5.5 (d180f89064ebbd9b) is STOPPED, not RUNNING",
    "gpt-5.5 (d180f89064ebbd9b) does not exist in the resource group default",
    "gpt-5 (d180f89064ebbd9b) serves gpt-5.5",
]
ENDED = "gemini-2.5-pro ended on 2026-10-16; deploy gemini-3.5-flash"
TAKEN = "cannot listen on 127.0.0.1:3001: Address already in use"
USED_UP = "the quota of every deployment of 'gpt-5.5' is used up"
NO_KEYS = (
    "This proxy has no API keys, so it accepts requests only for localhost, IP addresses and server.allowed_hosts.",
    "This proxy has no API keys, so web pages of other sites must not call it.",
)
PRODUCED = [*(row[-1] for row in (*HEALTHY, *BROKEN)), *CHECKED, ENDED, TAKEN, USED_UP, *NO_KEYS]


@pytest.fixture(scope="module")
def two_models() -> Iterator[Cloud]:
    """An emulator with each of two models deployed once, to break."""
    world = World((tenant("eu", "default", ("gpt-5", "gpt-5.5", "anthropic--claude-4.5-sonnet"), copies=1),))
    with emulator.serve(world) as running:
        yield Cloud(running.url)


@pytest.fixture
def breakable(two_models: Cloud, tmp_path: Path) -> Iterator[Proxy]:
    two_models.heal()
    with running_proxy(two_models, tmp_path, orchestration={"models": []}) as served:
        yield served


def test_the_guide_quotes_every_line_that_is_produced_here() -> None:
    quoted = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").splitlines()

    assert [line for line in PRODUCED if line not in quoted] == []


@pytest.mark.parametrize(("path", "body", "headers", "line"), HEALTHY, ids=lambda value: str(value)[:30])
def test_what_the_client_did_wrong_is_said_as_the_guide_quotes_it(
    proxy: Proxy, path: str, body: object, headers: dict[str, str], line: str
) -> None:
    told = proxy.ask("POST", path, body, **headers).json["error"]["message"]

    assert line in told


@pytest.mark.parametrize(("fault", "path", "model", "line"), BROKEN, ids=lambda value: str(value)[:30])
def test_what_broke_is_said_as_the_guide_quotes_it(
    breakable: Proxy, fault: str, path: str, model: str, line: str
) -> None:
    for deployment in breakable.cloud.deployments(model):
        breakable.cloud.fault(deployment, fault)
    is_streamed = fault in ("eof", "cut")
    told = breakable.ask("POST", path, {**HELLO, "model": model, "max_tokens": 100, "stream": is_streamed})

    assert line in told.json["error"]["message"]


def test_a_quota_that_is_used_up_is_said_as_the_guide_quotes_it(breakable: Proxy) -> None:
    [deployment] = breakable.cloud.deployments("gpt-5.5")
    breakable.cloud.fault(deployment, "429-quota", retry_after=60)
    asked = [breakable.ask("POST", CHAT, {**HELLO, "model": "gpt-5.5"}) for _ in range(2)]

    assert asked[1].json["error"]["message"] == USED_UP
    assert int(asked[1].headers["retry-after"]) > 2


def test_a_proxy_without_keys_says_whom_it_serves_as_the_guide_quotes_it(two_models: Cloud, tmp_path: Path) -> None:
    with running_proxy(two_models, tmp_path, secret_authentication_tokens=[]) as served:
        named = served.ask("GET", "/v1/models", Host="proxy.example").json["error"]["message"]
        elsewhere = served.ask("GET", "/v1/models", Origin="https://page.example").json["error"]["message"]

    assert NO_KEYS[0] in named
    assert NO_KEYS[1] in elsewhere


def test_check_says_of_a_deployment_what_the_guide_quotes(two_models: Cloud, tmp_path: Path) -> None:
    two_models.heal()
    known = two_models.tenants["eu"]
    [running] = two_models.deployments("gpt-5.5")
    stopped = next(each["id"] for each in known["deployments"] if each["status"] == "STOPPED")
    ids = {"gpt-5.5": [stopped, "nowhere"], "gpt-5": [running]}
    config = {"subAccounts": {"eu": {"service_key": known["service_key"], "deployment_ids": ids}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    settings = load(tmp_path / "config.json", {}, tmp_path)
    with closing(ManagementClient(network=settings.network)) as client:
        wrong = [each.what for each in run_check(settings, client).report.wrong]

    named = zip(CHECKED, (stopped, "nowhere", running), strict=True)
    lines = [line.replace("d180f89064ebbd9b", name) for line, name in named]
    assert [line for line in lines if line not in wrong] == []


def test_the_end_of_a_model_is_said_as_the_guide_quotes_it() -> None:
    assert str(Ending("gemini-2.5-pro", date(2026, 10, 16), True, "gemini-3.5-flash")) == ENDED


def test_a_port_that_is_taken_is_said_as_the_guide_quotes_it() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError) as refused:
            ensure_free("127.0.0.1", port)

    assert str(refused.value) == TAKEN.replace("3001", str(port))
