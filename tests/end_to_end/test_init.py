"""A new user with a service key, an empty home and a terminal: from the key to a streamed answer."""

import json
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import emulator
from emulator.state import Settings
from emulator.world import World, empty_tenant, tenant, with_group
from gateway.config.loader import load
from tests.docs.blocks import blocks_of
from tests.support.processes import COMMAND, PATIENCE, ROOT, Place, free_port, new_place
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


def session(document: str) -> dict[str, list[str]]:
    """What a document types from a service key to an answer, with the lines that it shows of what is said."""
    text = "".join(each.text for each in blocks_of(ROOT / document) if each.language == "console")
    steps = [step.splitlines() for step in re.split(r"^\$ ", text, flags=re.MULTILINE) if step]
    return {command.partition("  #")[0].strip(): [line for line in lines if line != "…"] for command, *lines in steps}


CLAUDE_CODE = f"""\
#!{sys.executable}
import os, sys
from anthropic import Anthropic

client = Anthropic(auth_token=os.environ["ANTHROPIC_AUTH_TOKEN"])
words = [{{"role": "user", "content": sys.argv[sys.argv.index("-p") + 1]}}]
with client.messages.stream(model=os.environ["ANTHROPIC_MODEL"], max_tokens=200, messages=words) as stream:
    print("".join(stream.text_stream))
"""
"""What stands for Claude Code where that is not installed: Anthropic's SDK, with what Claude Code is started with."""


def test_the_three_commands_of_the_readme_lead_from_a_service_key_to_claude_code(tmp_path: Path) -> None:
    place, port = new_place(tmp_path), free_port()
    (init, shown), (serve, _), (connect, _) = session("README.md").items()
    program = place.home / "claude"
    program.write_text(CLAUDE_CODE)
    program.chmod(0o700)
    with emulator.serve(World((tenant("eu", "default", (SONNET, "gemini-3.5-flash", "gpt-5.5"), 2),))) as running:
        place.write("key.json", Cloud(running.url).tenants["eu"]["service_key"])
        initialised = place.run(*shlex.split(init)[1:])
        with place.running(*shlex.split(serve)[1:], "--port", str(port)) as run:
            run.await_answer(f"http://127.0.0.1:{port}")
            url = ["--url", f"http://127.0.0.1:{port}"]
            command, starts, arguments = connect.partition(" -- ")
            asked = subprocess.run(
                [*COMMAND, *shlex.split(command)[1:], *url, starts.strip(), *shlex.split(arguments)],
                check=False,
                cwd=place.folder,
                env={**place.env, "PATH": f"{place.home}:{place.env['PATH']}"},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )

    assert (initialised.returncode, initialised.stderr) == (0, "")
    said = [" ".join(line.split()) for line in initialised.stdout.splitlines()]
    assert [line for line in shown if " ".join(line.split()) not in said] == []
    assert (asked.returncode, asked.stderr) == (0, "")
    assert 'You said: "Say hello"' in asked.stdout


def test_the_quick_start_types_and_shows_what_the_readme_does() -> None:
    readme, page = session("README.md"), session("docs/quick-start.md")

    assert list(page) == list(readme)[:2]
    assert [line for command, lines in page.items() for line in lines if line not in readme[command]] == []


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
