"""Commands in processes of their own, with an empty home and an empty folder."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND = (str(Path(sys.executable).with_name("sap-ai-proxy")),)
SCRIPT = (sys.executable, str(ROOT / "proxy_server.py"))
PATIENCE = 60.0
"""Seconds after which something will never happen, on the slowest machine; whoever sees it happen waits no longer."""
_PORTS_EACH, _PORT_RANGES = 100, 100
_ports = count()


@dataclass
class Place:
    """An empty home and an empty folder, with nothing in the environment that a proxy would look at."""

    home: Path
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "NO_COLOR": "1"}

    def run(self, *arguments: str, command: tuple[str, ...] = COMMAND) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            check=False, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip

    def write(self, name: str, content: Any) -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return name

    @contextmanager
    def running(self, *arguments: str, command: tuple[str, ...] = COMMAND) -> Iterator["Run"]:
        """Run in the background; what is still there in the end is killed."""
        said = self.folder / f"said-{time.monotonic_ns()}"
        with said.open("w") as out:
            process = subprocess.Popen(
                [*command, *arguments], cwd=self.folder, env=self.env, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )
        run = Run(process, said)
        try:
            yield run
        finally:
            left = [*run.children(), *run.known]
            process.terminate()
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()
                for pid in filter(is_alive, left):
                    os.kill(pid, signal.SIGKILL)


@dataclass
class Run:
    """A command that runs, and the file that it writes to."""

    process: subprocess.Popen[bytes]
    file: Path
    known: list[int] = field(default_factory=list)

    @property
    def said(self) -> str:
        return self.file.read_text()

    def await_text(self, pattern: str) -> str:
        found = until(
            lambda: re.search(pattern, self.said) or (self.process.poll() is not None and ...), amiss=lambda: self.said
        )
        assert isinstance(found, re.Match), self.said
        return found[1]

    def children(self) -> list[int]:
        """The processes that it has started, and theirs."""
        found, fresh = [], [self.process.pid]
        while fresh:
            fresh = [child for pid in fresh for child in children_of(pid)]
            found += fresh
        self.known += found
        return found

    def await_answer(self, url: str) -> None:
        until(lambda: self.process.poll() is not None or answers(f"{url}/health"), amiss=lambda: self.said)
        assert self.process.poll() is None, self.said


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        told = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []
    return [int(child) for line in told for child in line.split()]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is over and only waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], Any], seconds: float = PATIENCE, *, amiss: Callable[[], object] = str) -> Any:
    """Wait until something holds, and give what it is; fails after so many *seconds*, and says what is *amiss*."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"it did not come within {seconds:g} s: {found!r} {amiss()}"
        time.sleep(0.02)
    return found


def free_port() -> int:
    """A port that nobody listens on, nor will before the test does.

    The system gives ports from 32768 on to whoever asks for any, so this one is below them, and it is of a range that
    is this process's own among those that test at the same time, on Python 3.11 and on 3.13.
    """
    its_range = os.getpid() % _PORT_RANGES + sys.version_info.minor // 2 % 2 * _PORT_RANGES
    for _ in range(_PORTS_EACH):
        port = 10_000 + its_range * _PORTS_EACH + next(_ports) % _PORTS_EACH
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise OSError("no port is free")


def new_place(folder: Path) -> Place:
    place = Place(folder / "home", folder / "work")
    place.home.mkdir()
    place.folder.mkdir()
    return place
