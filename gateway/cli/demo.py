"""The demo: the emulator as a child process, and a config file for it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import orjson

from dialects.core.conversation import JSON
from gateway.upstream.management import ManagementClient

_NOTICE = "This is a demo: no model has answered."
KEY = "sk-demo"
"""The key that opens a proxy in front of the emulator."""
_PATIENCE = 20.0


class Demo:
    """A running emulator, and the path of a config file for it; both are gone when the demo is closed.

    The child ends by itself when this process does: it watches the pipe it was given.
    """

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="sap-ai-proxy-demo-")
        self._child = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "emulator", "--port", "0", "--until-stdin-closes", "--notice", _NOTICE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.config = Path(self._folder.name) / "config.json"
        with ExitStack() as unless_all_is_well:
            unless_all_is_well.callback(self.close)
            self.url = self._greeting()
            with closing(ManagementClient()) as management:
                self._write(config_for(orjson.loads(management.get(f"{self.url}/admin/tenants", {}).body)))
            unless_all_is_well.pop_all()

    def close(self) -> None:
        """Stop the emulator and delete its config file."""
        self._child.terminate()
        self._child.communicate(timeout=_PATIENCE)
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _greeting(self) -> str:
        """Read where the emulator listens; raises `RuntimeError` if it did not start."""
        line = self._child.stdout.readline().strip() if self._child.stdout else ""
        if not line.startswith("http"):
            raise RuntimeError("the emulator did not start")
        return line

    def _write(self, config: JSON) -> None:
        descriptor = os.open(self.config, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(config, file, indent=2)


def config_for(tenants: Mapping[str, Any]) -> JSON:
    """Write the config file that a user of these tenants would write."""
    return {
        "secret_authentication_tokens": [KEY],
        "subAccounts": {name: _subaccount(tenant) for name, tenant in tenants.items()},
    }


def _subaccount(tenant: Mapping[str, Any]) -> JSON:
    models: dict[str, list[str]] = {}
    for deployment in tenant["deployments"]:
        if deployment["status"] == "RUNNING" and deployment.get("model"):
            models.setdefault(deployment["model"], []).append(deployment["url"])
    return {
        "resource_group": tenant["resource_group"],
        "service_key": tenant["service_key"],
        "deployment_models": models,
    }
