"""What the page is told of each tool: what `connect` prints, with a placeholder for the key."""

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dialects.core.faults import FaultError
from gateway.tool_settings.deployed import DeployedModel
from gateway.tool_settings.registry import TOOLS
from gateway.tool_settings.tool import Connection
from gateway.web.tool_guide import PLACEHOLDER, guide

URL = "http://127.0.0.1:3001"
MODELS = (
    DeployedModel("anthropic--claude-4.6-sonnet", 1_000_000, 128_000, sees_images=True),
    DeployedModel("gemini-3.5-flash", 1_048_576, 65_535, sees_images=True),
    DeployedModel("gpt-5.5", 1_050_000, 128_000),
)
PRINTED = Connection(URL, PLACEHOLDER, MODELS)
READ_IN_BROWSERS = ("cline", "cursor", "gemini")
"""What differs from what is printed: the key is filled in by hand, or a file of this machine is named."""


def tools(url: str = URL) -> dict[str, dict[str, Any]]:
    return {tool["name"]: tool for group in guide(url, MODELS)["groups"] for tool in group["tools"]}


def test_every_tool_is_listed_in_its_group() -> None:
    groups = {group["title"]: [tool["name"] for tool in group["tools"]] for group in guide(URL, MODELS)["groups"]}

    assert list(groups) == ["Agents in the terminal", "Editors", "Programs"]
    assert [name for names in groups.values() for name in names] == [tool.name for tool in TOOLS]


@pytest.mark.parametrize("tool", TOOLS, ids=[tool.name for tool in TOOLS])
def test_a_browser_is_told_what_the_command_prints(tool: Any) -> None:
    told, snippet = tools()[tool.name], tool.snippet(PRINTED)
    same = told["body"] == snippet.body

    assert same == (tool.name not in READ_IN_BROWSERS)
    assert (told["title"], told["into"], told["is_shell"]) == (tool.title, snippet.into, snippet.is_shell)
    assert told["source"].startswith("https://")


@pytest.mark.parametrize("name", sorted(tools()))
def test_a_tool_takes_the_key_from_its_variable_or_is_told_it_or_asks(name: str) -> None:
    told = tools()[name]
    asks = "asks for the key" in told["into"]

    assert [told["takes_variable"], PLACEHOLDER in told["body"], asks].count(True) == 1


def test_a_key_is_put_as_it_is_only_into_a_field_that_is_filled_by_hand() -> None:
    """In JSON, YAML or a program it would have to be quoted as they want it; in a shell the page quotes it."""
    filled = {name: told["body"] for name, told in tools().items() if PLACEHOLDER in told["body"]}
    lines = [line for body in filled.values() for line in body.splitlines() if PLACEHOLDER in line]

    assert sorted(filled) == ["cline", "cursor"]
    assert [line for line in lines if not re.fullmatch(rf"[A-Z][\w ]+  {PLACEHOLDER}", line)] == []


def test_no_tool_names_a_path_of_the_machine_that_serves() -> None:
    assert str(Path(__file__).parents[3]) not in json.dumps(guide(URL, MODELS))


def test_gemini_cli_gets_its_settings_from_the_lines_themselves(tmp_path: Path) -> None:
    program = tmp_path / "gemini"
    program.write_text('#!/bin/sh\ncat "$GEMINI_CLI_SYSTEM_SETTINGS_PATH"\necho "$GEMINI_API_KEY $*"\n')
    program.chmod(0o755)
    env = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}", "PROXY_KEY": "sk"}
    ran = subprocess.run(["sh", "-ec", tools()["gemini"]["body"]], env=env, capture_output=True, text=True, check=True)
    settings, rest = ran.stdout.splitlines()

    assert json.loads(settings)["security"]["auth"]["selectedType"] == "gemini-api-key"
    assert rest == "sk --model gemini-3.5-flash"


def test_agents_can_be_written_for_where_the_command_is_installed() -> None:
    commands = {name: told["command"] for name, told in tools().items() if told["command"]}

    assert sorted(commands) == ["claude", "codex", "gemini", "opencode"]
    assert commands["codex"] == f"sap-ai-proxy connect codex --write --url {URL}"


def test_the_best_model_is_named_and_those_that_talk() -> None:
    told = guide(URL, MODELS)

    assert told["best_model"] == "gpt-5.5"
    assert told["chat_models"] == [model.name for model in MODELS]


def test_without_a_model_there_is_nothing_to_connect_to() -> None:
    told = guide(URL, ())

    assert (told["groups"], told["chat_models"], told["best_model"]) == ([], [], None)


@pytest.mark.parametrize(
    "url",
    [URL, "https://llm.example", "http://[::1]:3001", "https://llm.example/ai/core", "http://my-vm_2.local:80"],
)
def test_the_url_is_the_one_that_the_browser_has(url: str) -> None:
    assert tools(url)["openai"]["body"] == next(
        tool.snippet(replace(PRINTED, url=url)).body for tool in TOOLS if tool.name == "openai"
    )


@pytest.mark.parametrize(
    "url",
    [
        "", "127.0.0.1:3001", "ftp://here", "javascript:alert(1)", "http://", "http://a b", "http://user@here",
        "http://here/", "http://here?x=1", "http://here#x", "http://here/$(id)", "http://here`id`", 'http://here"',
        "http://here\n", "http://hier\u00e4", "http://here:port", f"http://{'a' * 300}",
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_proxy_is_refused(url: str) -> None:
    with pytest.raises(FaultError) as caught:
        guide(url, MODELS)

    assert caught.value.fault.message == "url must be where the proxy is, such as http://127.0.0.1:3001."
