"""Debian's Prometheus and its `promtool`, on this machine alone."""

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import PATIENCE, answers, free_port, until

REQUIRED = "PROMETHEUS_REQUIRED"
"""The environment variable with which a missing program is a failure; without it, tests that need one are skipped."""


def program(name: str) -> str:
    """Find `prometheus` or `promtool`."""
    found = shutil.which(name)
    if found is None:
        missing = f"There is no {name} here: apt-get install prometheus."
        pytest.fail(missing) if os.environ.get(REQUIRED) else pytest.skip(missing)
    return found


def promtool(*arguments: str, said: str = "", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Have `promtool` look at something, or at what is *said* to it."""
    command = [program("promtool"), *arguments]
    return subprocess.run(
        command, check=False, input=said, cwd=folder, capture_output=True, text=True, timeout=PATIENCE
    )


@dataclass
class Prometheus:
    """A Prometheus that runs."""

    url: str

    def get(self, path: str, **query: str) -> Any:
        """Ask its HTTP API; raises `AssertionError` with what is wrong with a query."""
        try:
            with urllib.request.urlopen(
                f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=60
            ) as said:
                return json.loads(said.read())["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{query or path}: {error.read().decode()}") from None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found


@contextmanager
def running_prometheus(config: str, folder: Path) -> Iterator[Prometheus]:
    """Run one with the text of a config file, and keep its data in *folder*."""
    found, port = program("prometheus"), free_port()
    url, file, said = f"http://127.0.0.1:{port}", folder / "prometheus.yml", folder / "prometheus.log"
    file.write_text(config, encoding="utf-8")
    command = [
        found, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with said.open("w") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process:
        try:
            until(lambda: process.poll() is not None or answers(f"{url}/-/ready"), amiss=said.read_text)
            assert process.poll() is None, said.read_text()
            yield Prometheus(url)
        finally:
            process.kill()
