"""What the router would do, said in words."""

import json
import logging
import re
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

import emulator
from dialects.core.faults import FaultError
from emulator.models import MODELS_BY_NAME
from emulator.world import World, tenant
from gateway.cli.main import cli
from gateway.cli.route import explain, looked_up, render
from gateway.config.loader import load
from gateway.config.service_keys import Secret, ServiceKey
from gateway.config.settings import Settings
from gateway.config.subaccounts import Deployment, SubAccount
from gateway.gateway import Gateway
from gateway.upstream.management import ManagementClient
from tests.gateway.cli.drawn import text_of
from tests.gateway.peers import Server, answer, forever

KEY = ServiceKey("id", Secret("s"), "https://auth/oauth/token", "https://api/v2")
CLAUDE = "anthropic--claude-4.5-sonnet"


def deployment(name: str, weight: float = 1.0, tier: int = 0) -> Deployment:
    return Deployment(f"https://api/v2/inference/deployments/{name}", weight, tier)


SETTINGS = Settings(
    {
        "eu": SubAccount(
            "eu", "default", KEY,
            {CLAUDE: (deployment("d1"),),
             "gpt-4.1": (deployment("d2", 3),), "text-embedding-3-small": (deployment("d3"),)},
        ),
        "us": SubAccount("us", "default", KEY, {CLAUDE: (deployment("d4"),)}),
    }
)  # fmt: skip


def explained(*given: Any, **more: Any) -> str:
    """Explain a choice as a person reads it."""
    return text_of(render(explain(*given, **more)), 100)


def test_a_choice_is_explained_from_the_name_to_the_path() -> None:
    expected = """\
model     claude-sonnet-4-5 -> anthropic--claude-4.5-sonnet (normalised)
strategy  round-robin
protocol  claude-converse, translated from openai-chat

   1. eu/d1
   2. us/d4
   3. eu/d1

   deployment  weight  tier  chosen  state
──────────────────────────────────────────
✓  eu/d1            1     0       2  ready
✓  us/d4            1     0       1  ready

path      /converse-stream (streamed)"""

    assert explained(SETTINGS, "claude-sonnet-4-5", "openai", 3) == expected


def test_orchestration_on_standby_is_shown_and_not_chosen() -> None:
    spare = Deployment("https://api/v2/inference/deployments/d9", orchestration=True)
    eu = SubAccount("eu", "default", KEY, {CLAUDE: (deployment("d1"), spare), "gpt-5.5": (spare,)})
    beside, alone = (explained(Settings({"eu": eu}), model, "openai", 2) for model in (CLAUDE, "gpt-5.5"))

    assert "✓  eu/d1            1     0       2  ready\n" in beside
    assert "✓  eu/d9            1     0       0  ready, orchestration on standby\n" in beside
    assert "protocol  orchestration, translated from openai-chat" in alone
    assert "✓  eu/d9            1     0       2  ready, orchestration on standby\n" in alone


@pytest.mark.parametrize(
    ("client", "model", "said"),
    [
        ("anthropic", CLAUDE, "claude-invoke, passed through"),
        ("claude", CLAUDE, "claude-invoke, passed through"),
        ("anthropic-messages", CLAUDE, "claude-invoke, passed through"),
        ("chat", "gpt-4.1", "openai-chat, passed through"),
        ("codex", "gpt-4.1", "translated from openai-responses"),
        ("google", "gpt-4.1", "translated from gemini"),
        ("openai", "text-embedding-3-small", "embeddings, passed through"),
        ("embeddings", "text-embedding-3-small", "embeddings, passed through"),
    ],
)
def test_a_client_may_be_called_by_any_of_its_names(client: str, model: str, said: str) -> None:
    assert said in explained(SETTINGS, model, client, 1)


@pytest.mark.parametrize(
    ("client", "model", "said"),
    [
        ("quark", CLAUDE, "'quark' is not a client; write one of anthropic, chat"),
        ("openai", "unheard-of", "not deployed"),
        ("gemini", "text-embedding-3-small", "is an embedding model and has no conversations"),
        ("embeddings", CLAUDE, "is a chat model and makes no embeddings"),
    ],
)
def test_what_would_be_refused_is_refused_with_the_reason(client: str, model: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        explain(SETTINGS, model, client, 1)


@pytest.mark.parametrize(("times", "shown", "more"), [(20, 20, ""), (21, 20, "and 1 more"), (500, 20, "480 more")])
def test_many_requests_are_counted_and_the_first_ones_shown(times: int, shown: int, more: str) -> None:
    said = explained(SETTINGS, CLAUDE, "openai", times)

    assert shown == len(re.findall(r"^ +\d+\. ", said, re.MULTILINE))
    assert more in said
    assert times == sum(int(line.split()[4]) for line in said.splitlines() if line.endswith("ready"))


def test_no_address_is_shown() -> None:
    assert "https" not in explained(SETTINGS, CLAUDE, "openai", 30)


def test_a_model_that_may_run_where_nobody_could_look_is_not_explained_away() -> None:
    with pytest.raises(ValueError, match=r"'gpt-5' is not known yet: .* deployments of us yet\."):
        explain(SETTINGS, "gpt-5", "openai", 1, {"us": "down"})


def test_a_name_leads_to_its_successor_as_it_does_in_the_proxy() -> None:
    said = explained(SETTINGS, "o9-old", "openai", 1, successors=lambda: {"o9-old": (CLAUDE,)})

    assert said.startswith(f"model     o9-old -> {CLAUDE} (fallback)\n")


def test_lines_of_the_log_do_not_stand_among_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment at another host than the API is logged, where nobody has said where the log goes."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    listed = {
        "resources": [
            {
                "id": name,
                "status": "RUNNING",
                "deploymentUrl": url and f"{url}/v2/inference/deployments/{name}",
                "details": {"resources": {"backendDetails": {"model": {"name": "gpt-5"}}}},
            }
            for name, url in (("d1", ""), ("d2", "https://other.example"))
        ]
    }
    with closing(Server(forever(answer(json.dumps({"access_token": "t", **listed}).encode())))) as there:
        key = {"clientid": "id", "clientsecret": "s", "url": there.url, "serviceurls": {"AI_API_URL": there.url}}
        file = tmp_path / "config.json"
        file.write_text(json.dumps({"subAccounts": {"eu": {"service_key": key}}}))
        told = CliRunner().invoke(cli, ["route", "gpt-5", "--config", str(file)])

    assert (told.exit_code, told.stderr) == (0, "")
    assert "   1. eu/d1" in told.stdout


def test_names_lead_where_they_do_in_the_proxy(tmp_path: Path) -> None:
    """Also where a catalogue says what takes the place of a model."""
    deployed = ("gpt-5.5", "gemini-3.5-flash", "anthropic--claude-4.5-haiku")
    with emulator.serve(World((tenant("eu", "default", deployed),))) as running, closing(ManagementClient()) as client:
        key = requests.get(f"{running.url}/admin/tenants", timeout=5).json()["eu"]["service_key"]
        file = tmp_path / "config.json"
        file.write_text(json.dumps({"subAccounts": {"eu": {"service_key": key}}}))
        settings = load(file, {}, tmp_path)
        found = looked_up(settings, client)
        gateway = Gateway(settings)
        gateway.start()
        meant = {}
        try:
            for name in MODELS_BY_NAME:
                with suppress(FaultError):
                    meant[name] = gateway.resolve(name)
        finally:
            gateway.close()
    told = {name: explain(found.settings, name, "openai", 1, successors=found.successors) for name in meant}

    assert len(meant) > len(deployed)
    assert {name: (each.model, each.how) for name, each in told.items()} == {
        name: (each.model, each.how.value) for name, each in meant.items()
    }
