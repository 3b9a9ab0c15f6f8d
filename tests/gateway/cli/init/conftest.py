"""The command in this process, in front of an emulator, in an empty home and folder."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import emulator
from emulator.world import World, empty_tenant, tenant, with_group
from gateway.cli import questions
from gateway.cli.main import cli
from tests.support.running import Cloud

SONNET = "anthropic--claude-4.6-sonnet"


def world() -> World:
    """One tenant with several resource groups, one with a single one, and one in which nothing was ever deployed."""
    several = with_group(with_group(tenant("several", "default", (SONNET,), 1), "team-b", ("gpt-5",)), "idle")
    return World((several, tenant("eu", "default", (SONNET, "gpt-5"), 1), empty_tenant("fresh")))


@pytest.fixture(scope="module")
def shared() -> Iterator[Cloud]:
    with emulator.serve(world()) as running:
        yield Cloud(running.url)


@pytest.fixture
def cloud(shared: Cloud) -> Cloud:
    shared.heal()
    shared.ask("PUT", "/admin/settings", {"startup": 0})
    return shared


@pytest.fixture
def new_cloud() -> Iterator[Cloud]:
    """An emulator in which no other test has deployed anything."""
    with emulator.serve(world()) as running:
        yield Cloud(running.url)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The current folder; nothing in the environment or the home says anything of SAP AI Core."""
    sap = ("AICORE_SERVICE_KEY", "AICORE_CLIENT_ID", "AICORE_HOME", "AICORE_CONFIG", "AICORE_RESOURCE_GROUP")
    for name in (*sap, "VCAP_SERVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    return tmp_path / "folder"


class Run:
    """The command, with what a person types where it asks; without any answers there is no terminal."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, answers: tuple[str, ...] | None = None, stdin: str = "") -> Result:
        self._monkeypatch.setattr(questions, "is_interactive", lambda: answers is not None)
        given = stdin if answers is None else "".join(f"{each}\n" for each in answers)
        return CliRunner().invoke(cli, arguments, input=given)

    @property
    def config(self) -> Any:
        return json.loads((self.folder / "config.json").read_text())

    @property
    def files(self) -> list[str]:
        return sorted(each.name for each in self.folder.iterdir())


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(folder, monkeypatch)


@pytest.fixture
def key_of(cloud: Cloud, tmp_path: Path) -> Callable[..., str]:
    """Write a tenant's service key to a file outside of the folder; give its path."""

    def write(name: str, *, of: Cloud = cloud, **changed: Any) -> str:
        path = tmp_path / f"{name}-from-the-cockpit.json"
        path.write_text(json.dumps(of.tenants[name]["service_key"] | changed))
        return str(path)

    return write
