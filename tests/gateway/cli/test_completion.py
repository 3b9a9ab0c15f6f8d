"""What shells complete: commands, options, tools and models, and nothing where nothing is known."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import cli
from tests.gateway.configs import KEY
from tests.support.processes import COMMAND, free_port

Complete = Callable[..., list[str]]
HOST = "https://api.example.com/v2/inference/deployments"
CONFIG = {
    "routing": {"aliases": {"my-gpt": "gpt-5.5"}},
    "subAccounts": {
        "eu": {"service_key": KEY, "deployment_models": {"gpt-5.5": [f"{HOST}/d1"], "gemini-3.5-flash": [f"{HOST}/d2"]}}
    },
}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home in an empty folder, where no proxy runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SAP_AI_PROXY_PORT", str(free_port()))
    for name in ("PROXY_KEY", "AICORE_SERVICE_KEY", "AICORE_CLIENT_ID", "AICORE_HOME", "VCAP_SERVICES"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def complete(place: Path) -> Complete:
    """Completes the last of some words as bash has it done; says nothing else."""

    def complete(*words: str) -> list[str]:
        env = {
            "_SAP_AI_PROXY_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("sap-ai-proxy", *words)),
            "COMP_CWORD": str(len(words)),
        }
        told = CliRunner().invoke(cli, [], env=env, prog_name="sap-ai-proxy")

        assert (told.exit_code, told.stderr) == (0, "")
        return [line.partition(",")[2] for line in told.stdout.splitlines() if line]

    return complete


def test_commands_options_and_choices_are_completed(complete: Complete) -> None:
    assert complete("st") == ["status"]
    assert complete("status", "--on") == ["--once"]
    assert complete("completion", "") == ["bash", "zsh", "fish"]
    assert complete("--log-f") == ["--log-format"]


def test_connect_completes_the_names_of_tools(complete: Complete) -> None:
    assert {"claude", "codex", "curl", "cursor", "continue", "cline"} == set(complete("connect", "c"))
    assert complete("connect", "key") == ["key"]


def test_route_completes_the_models_of_the_config_file_with_their_aliases(complete: Complete, place: Path) -> None:
    (place / "config.json").write_text(json.dumps(CONFIG))
    (place / "other.json").write_text(json.dumps(CONFIG | {"routing": {"aliases": {"other": "gpt-5.5"}}}))

    assert complete("route", "") == ["gemini-3.5-flash", "gpt-5.5", "my-gpt"]
    assert complete("route", "g") == ["gemini-3.5-flash", "gpt-5.5"]
    assert complete("route", "--config", "other.json", "o") == ["other"]
    assert complete("--config", "other.json", "route", "o") == ["other"]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"subAccounts": {"eu": {"service_key": "gone"}}}'])
def test_where_no_model_is_known_nothing_is_completed_and_nothing_said(
    complete: Complete, place: Path, content: str | None
) -> None:
    if content is not None:
        (place / "config.json").write_text(content)

    assert complete("route", "g") == []
    assert complete("route", "--config", "nowhere.json", "g") == []


@pytest.mark.parametrize(
    ("shell", "words", "said"),
    [
        ("zsh", {"COMP_WORDS": "sap-ai-proxy connect cod", "COMP_CWORD": "2"}, "plain\ncodex\nCodex"),
        ("fish", {"COMP_WORDS": "sap-ai-proxy connect", "COMP_CWORD": "cod"}, "plain,codex\tCodex"),
    ],
)
def test_other_shells_are_told_what_each_tool_is(place: Path, shell: str, words: dict[str, str], said: str) -> None:
    env = {"_SAP_AI_PROXY_COMPLETE": f"{shell}_complete", **words}
    told = CliRunner().invoke(cli, [], env=env, prog_name="sap-ai-proxy")

    assert told.stdout.startswith(said)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_calls_this_command(place: Path, shell: str) -> None:
    script = CliRunner().invoke(cli, ["completion", shell], prog_name="sap-ai-proxy").stdout

    assert f"_SAP_AI_PROXY_COMPLETE={shell}_complete" in script
    assert "sap-ai-proxy" in script


def test_a_real_bash_completes_a_model(place: Path) -> None:
    (place / "config.json").write_text(json.dumps(CONFIG))
    script = CliRunner().invoke(cli, ["completion", "bash"], prog_name="sap-ai-proxy").stdout
    script += """
        complete -p sap-ai-proxy | grep -o -- '-F .*'
        COMP_WORDS=(sap-ai-proxy route ge) COMP_CWORD=2
        _sap_ai_proxy_completion sap-ai-proxy
        echo "${COMPREPLY[@]}"
    """
    env = {**os.environ, "PATH": f"{Path(COMMAND[0]).parent}:{os.environ['PATH']}"}
    told = subprocess.run(
        ["bash", "--norc"], input=script, env=env, capture_output=True, text=True, timeout=60, check=False
    )

    assert (told.stdout, told.stderr) == ("-F _sap_ai_proxy_completion sap-ai-proxy\ngemini-3.5-flash\n", "")
