"""Runs the blocks of a document one after another, in an empty home, beside a proxy that serves an emulator."""

import copy
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

import emulator
from emulator.world import default_world
from gateway.config.loader import load
from gateway.config.schema_file import json_schema
from gateway.config.settings import SettingsError
from tests.docs.blocks import Block
from tests.docs.warm_command import warm
from tests.support.processes import COMMAND, PATIENCE, ROOT, Place, free_port, new_place, until
from tests.support.running import KEY, Cloud

DOCUMENTED = 3001
"""The port of the proxy in the documents."""
EXTENSIONS = sorted((ROOT / "examples/extensions").glob("*.py"))
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_TOOLS = {
    # Nothing is made here, only looked up: the target must exist.
    "make": f'exec /usr/bin/make --no-print-directory --dry-run --directory "{ROOT}" "$@" >/dev/null',
    # They stand for tools that may not be installed: each asks the proxy with the settings that it was given.
    "claude": """\
exec curl -sS --fail "$ANTHROPIC_BASE_URL/v1/messages" -H "Authorization: Bearer $ANTHROPIC_AUTH_TOKEN" \
    -d '{"model": "'"$ANTHROPIC_MODEL"'", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello"}]}'""",
    "gemini": """\
exec curl -sS --fail "$GOOGLE_GEMINI_BASE_URL/v1beta/models/$2:generateContent" -H "x-goog-api-key: $GEMINI_API_KEY" \
    -d '{"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}'""",
}


_REFUSED = ("apt-get", "cf", "docker", "kubectl", "npm", "pip", "pipx", "sudo", "systemctl", "uv")
"""Commands that reach beyond the test: their blocks are marked."""


@dataclass(frozen=True)
class Served:
    """A proxy that runs in front of an emulator, for all documents."""

    port: int
    tools: Path
    """The folder of the scripts that stand for tools."""
    config: dict[str, Any]
    keys: dict[str, Any]
    """The service keys of the subaccounts, by name."""


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Serve the proxy in front of an emulator, both on free ports."""
    tools = folder / "tools"
    tools.mkdir()
    refused = {name: f"echo {name} is not run: mark the block >&2; exit 1" for name in _REFUSED}
    for name, script in (_TOOLS | refused).items():
        (tools / name).write_text(f"#!/bin/bash\nset -eu\n{script}\n")
        (tools / name).chmod(0o700)
    place, port = new_place(folder), free_port()
    with emulator.serve(default_world()) as running:
        tenants = Cloud(running.url).tenants
        keys = {name: known["service_key"] for name, known in tenants.items()}
        accounts = {
            name: {"resource_group": known["resource_group"], "service_key_json": f"{name}_key.json"}
            for name, known in tenants.items()
        }
        config = {"port": port, "secret_authentication_tokens": [KEY], "subAccounts": accounts}
        found = Served(port, tools, config, keys)
        with warm(tools), place.running(*_files(place, found)) as run:
            run.await_answer(f"http://127.0.0.1:{port}")
            yield found


def _files(place: Place, served: Served) -> tuple[str, ...]:
    """Write the config file and its keys; give the options that name it."""
    for name, key in {**served.keys, "": served.keys["eu"]}.items():
        place.write(f"{name}_key.json".removeprefix("_"), key)
    return ("--config", place.write("config.json", served.config))


@dataclass
class Page:
    """A document whose blocks are run: each finds the files that those before it wrote."""

    served: Served
    place: Place
    owned: ExitStack
    ports: dict[int, int] = field(default_factory=dict)
    """Ports of the documents, and what stands for each."""

    def __post_init__(self) -> None:
        self.ports[DOCUMENTED] = self.served.port
        _files(self.place, self.served)

    def run(self, block: Block) -> None:
        """Run a block; raises `AssertionError` where it does not do what it says."""
        text = re.sub(r"\b(127\.0\.0\.1|localhost):(\d+)", self._port, block.text)
        port = block.serves_on
        match block.language:
            case _ if port is not None:
                self._serve(block, text, port)
            case "sh":
                self._bash(block, text)
            case "console":
                self._session(block, text)
            case "python":
                self._run(block, text, sys.executable, "-c", text)
            case "json":
                self._json(block, text)
            case "yaml":
                _parsed(block, lambda: list(yaml.safe_load_all(text)))
            case "toml":
                _parsed(block, lambda: tomllib.loads(text))

    def _port(self, match: re.Match[str]) -> str:
        return f"{match[1]}:{self.ports.get(int(match[2]), int(match[2]))}"

    @property
    def _env(self) -> dict[str, str]:
        path = os.pathsep.join((str(self.served.tools), str(Path(COMMAND[0]).parent), self.place.env["PATH"]))
        told = {"PATH": path, "PROXY_KEY": KEY, "PYTHONPATH": str(ROOT), "SAP_AI_PROXY_PORT": str(self.served.port)}
        return self.place.env | told

    def _run(self, block: Block, text: str, *command: str) -> str:
        ran = subprocess.run(
            command,
            check=False, cwd=self.place.folder, env=self._env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE,
        )  # fmt: skip

        assert ran.returncode == 0, f"{block.place} ended with {ran.returncode}:\n{text}\n{ran.stdout}"
        return ran.stdout

    def _bash(self, block: Block, text: str) -> str:
        return self._run(block, text, "bash", "-euo", "pipefail", "-c", text)

    def _serve(self, block: Block, text: str, port: int) -> None:
        """Start what goes on serving, on a free port, until the document ends."""
        self.ports[port] = free_port()
        text = re.sub(rf"\b{port}\b", str(self.ports[port]), text)
        place = Place(self.place.home, self.place.folder)
        path = os.pathsep.join((str(Path(COMMAND[0]).parent), self.place.env["PATH"]))
        run = self.owned.enter_context(place.running(text, command=("env", f"PATH={path}", "bash", "-c")))
        until(lambda: f":{self.ports[port]}" in run.said or run.process.poll() is not None, amiss=lambda: run.said)

        assert run.process.poll() is None, f"{block.place} ended:\n{run.said}"

    def _session(self, block: Block, text: str) -> None:
        """Run each command of a session, and look for what is shown below it."""
        steps = [step for step in re.split(r"^\$ ", text, flags=re.MULTILINE) if step]
        for step in steps:
            command, *lines = step.replace("\n> ", "\n").splitlines()
            while command.endswith("\\"):
                command = f"{command}\n{lines.pop(0)}"
            said = _plain(self._bash(block, command))
            shown = [_plain(line) for line in lines if line.strip() and line.strip() != "…"]
            pattern = ".*?".join(".*?".join(map(re.escape, line.split("…"))) for line in shown)

            assert re.search(pattern, said, re.DOTALL), f"{block.place}: {command} does not say what is shown:\n{said}"

    def _json(self, block: Block, text: str) -> None:
        value = _parsed(block, lambda: json.loads(text if text.lstrip()[0] in "{[" else f"{{{text}}}"))
        if isinstance(value, dict) and value.keys() & _settings():
            self._config(block, value)

    def _config(self, block: Block, value: dict[str, Any]) -> None:
        """Hold a piece of a config file against what reads it; what it leaves out is that of the page."""
        place = self.place.folder / "piece"
        place.mkdir(exist_ok=True)
        whole = copy.deepcopy({**self.served.config, **value})
        for account in whole["subAccounts"].values():
            if "service_key_json" in account:
                account["service_key_json"] = f"../{_written(self.place, account['service_key_json'], self.served)}"
        for extension in EXTENSIONS:
            (place / extension.name).write_bytes(extension.read_bytes())
        file = place / "config.json"
        file.write_text(json.dumps(whole))
        variables = {name: f"sk-a-long-random-text-{name}" for name in _VARIABLE.findall(json.dumps(value))}
        try:
            with _without_traces():
                warnings = load(file, variables, None).warnings
        except SettingsError as error:
            pytest.fail(f"{block.place} is no config file: {error}")

        assert warnings == (), f"{block.place}: the config file is warned of"


@contextmanager
def _without_traces() -> Iterator[None]:
    """Forget what extensions have registered, and the extensions themselves."""
    with mock.patch.dict("routing.strategy._STRATEGIES"), mock.patch.object(sys, "path", [*sys.path]):
        yield
    for extension in EXTENSIONS:
        sys.modules.pop(extension.stem, None)


def _written(place: Place, name: str, served: Served) -> str:
    """Write the service key of a subaccount that a document has made up; give its name."""
    if not (place.folder / name).exists():
        place.write(name, served.keys["eu"])
    return name


def _settings() -> frozenset[str]:
    return frozenset(json_schema()["properties"])


def _plain(text: str) -> str:
    return " ".join(text.split())


def _parsed(block: Block, parse: Any) -> Any:
    try:
        return parse()
    except (ValueError, yaml.YAMLError) as error:
        pytest.fail(f"{block.place} is no {block.language}: {error}")
