"""Whom the proxy calls: nobody but the hosts of its settings, from its start to its end."""

import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.support.network_guard.sitecustomize import is_here
from tests.support.processes import Place, free_port, new_place
from tests.support.running import KEY

GUARD = Path(__file__).parents[1] / "support/network_guard"


@dataclass
class Watched(Place):
    """A place whose processes are watched."""

    @property
    def record(self) -> Path:
        return self.home / "record"

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "PYTHONPATH": str(GUARD), "NETWORK_RECORD": str(self.record)}

    def seen(self, kind: str) -> list[tuple[int, str]]:
        """List the events of a kind: who, by the id of the process, and what was asked."""
        lines = [json.loads(line) for line in self.record.read_text().splitlines()]
        return [(pid, asked) for pid, event, asked in lines if event.startswith(kind)]


def watched(folder: Path) -> Watched:
    place = new_place(folder)
    return Watched(place.home, place.folder)


def test_no_other_machine_is_called_and_no_program_is_started(tmp_path: Path) -> None:
    """The upstream is the emulator, on this machine. Any other call would be a download, or telemetry."""
    place, port = watched(tmp_path), free_port()
    body = json.dumps({"model": "gpt-5.5", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with place.running("--demo", "--port", str(port)) as run:
        run.await_answer(f"http://127.0.0.1:{port}")
        for path, data in (("v1/chat/completions", body), ("v1/models", None), ("", None)):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", data, headers)
            urllib.request.urlopen(request, timeout=60).close()
        serving = {*run.children(), run.process.pid}
    called = place.seen("socket.")
    [(_, started)] = [*place.seen("subprocess."), *place.seen("os.")]

    assert [host for _, host in called if not is_here(host)] == []
    assert len({pid for pid, _ in called} & serving) > 1
    assert Path(started[0]).resolve() == Path(sys.executable).resolve()
    assert started[1:3] == ["-m", "emulator"]


def test_a_call_to_another_machine_is_recorded_and_refused(tmp_path: Path) -> None:
    place = watched(tmp_path)
    calls = (
        "socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))",  # which would send nothing
        "socket.getaddrinfo('example.com', 443)",
    )
    ran = [
        subprocess.run(
            [sys.executable, "-c", f"import socket; {each}"], env=place.env, check=False, capture_output=True
        )
        for each in calls
    ]

    assert [b"PermissionError" in each.stderr for each in ran] == [True, True]
    assert {host for _, host in place.seen("socket.") if not is_here(host)} == {"192.0.2.1", "example.com"}
