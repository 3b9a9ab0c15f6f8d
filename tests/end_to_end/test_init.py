"""A new user with a service key, an empty home and a terminal: from the key to a streamed answer."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import emulator
from emulator.state import Settings
from emulator.world import World, empty_tenant, tenant, with_group
from gateway.config.settings import load
from tests.support.processes import Place, free_port, new_place
from tests.support.running import Cloud
from tests.support.terminal import CTRL_C, Terminal, terminal

SONNET = "anthropic--claude-4.6-sonnet"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    eu = with_group(tenant("eu", "default", (SONNET,), 1), "idle")
    with emulator.serve(World((eu, empty_tenant("fresh"))), settings=Settings(startup=3600)) as running:
        yield Cloud(running.url)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path)


def paste(shown: Terminal, cloud: Cloud, name: str) -> None:
    """Paste a service key as the cockpit shows it: over many lines; no Enter is needed behind it."""
    shown.answer("File of the service key", "")
    shown.await_text("Paste it now")
    shown.type(json.dumps(cloud.tenants[name]["service_key"], indent=2))


def test_a_pasted_service_key_leads_to_a_streamed_answer(place: Place, cloud: Cloud) -> None:
    with terminal("init", folder=place.folder, env=place.env) as shown:
        paste(shown, cloud, "eu")
        shown.answer("Which resource groups", "default")
        code = shown.end()
    port = free_port()
    key = json.loads((place.folder / "config.json").read_text())["secret_authentication_tokens"][0]
    body = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 99,
        "stream": True,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    with place.running("--port", str(port)) as run:
        run.await_answer(f"http://127.0.0.1:{port}")
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/messages",
            json.dumps(body).encode(),
            {"x-api-key": key, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            streamed = answer.read().decode()

    assert code == 0, shown.said
    assert "sap-ai-proxy connect claude" in shown.said
    for secret in (key, cloud.tenants["eu"]["service_key"]["clientsecret"]):
        assert secret not in shown.said
    said = "".join(re.findall(r'"text_delta","text":"((?:[^"\\]|\\.)*)"', streamed))
    assert "You said" in said
    assert "event: message_stop" in streamed


def test_ctrl_c_while_a_deployment_starts_leaves_a_file_that_serves_it_later(place: Place, cloud: Cloud) -> None:
    with terminal("init", folder=place.folder, env=place.env) as shown:
        paste(shown, cloud, "fresh")
        shown.answer("What shall be deployed", "gpt-5")
        shown.answer("Create it", "y")
        shown.await_text("is UNKNOWN")
        shown.type(CTRL_C)
        code = shown.end()

    [made] = cloud.tenants["fresh"]["deployments"]
    assert (code, made["model"]) == (130, "gpt-5")
    assert (
        f"sap-ai-proxy: Stopped: config.json is written, and will serve the deployment {made['id']} of gpt-5 "
        "once that runs: `sap-ai-proxy check` says when." in shown.said
    )
    assert "Traceback" not in shown.said
    assert load(place.folder / "config.json", {}, None).subaccounts["fresh"].discovery
