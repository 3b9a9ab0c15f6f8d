"""Settings on their way to worker processes, and ports."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from granian import Granian

from gateway.config.settings import Settings
from gateway.server.serving import (
    PortTakenError,
    UnknownHostError,
    address_of,
    ensure_free,
    hand_down,
    handed_down,
    is_loopback,
    serve,
)
from tests.gateway.configs import BASE, KEY
from tests.support.processes import free_port, is_alive, until

ROOT = Path(__file__).parents[3]
ACCOUNT = {"service_key": KEY, "deployment_models": {"gpt-4.1": f"{BASE}/d1"}}


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is handed down here reaches no other test."""
    monkeypatch.setenv("SAP_AI_PROXY_SETTINGS", "")
    monkeypatch.delenv("SAP_AI_PROXY_SETTINGS")
    level = logging.getLogger("urllib3").level
    yield
    os.environ.pop("SAP_AI_PROXY_SETTINGS", None)
    logging.getLogger("urllib3").setLevel(level)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_host_that_only_this_machine_can_reach_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "fe80::1%eth0", "example.com", "", "localhost.example"])
def test_any_other_host_is_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "address"),
    [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("::1", "::1"), ("::", "::")],
)
def test_a_host_is_known_by_its_address(host: str, address: str) -> None:
    assert address == address_of(host)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64, "not a name", "."])
def test_a_host_that_leads_nowhere_is_told(host: str) -> None:
    with pytest.raises(UnknownHostError, match=f"^cannot listen on {re.escape(host)}: .+"):
        address_of(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_is_free_until_somebody_listens_there(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTakenError, match="Address already in use"):
            ensure_free(host, port)
    ensure_free(host, port)


def test_an_address_that_is_not_this_machines_is_told() -> None:
    with pytest.raises(PortTakenError, match=r"cannot listen on 203\.0\.113\.7:9"):
        ensure_free("203.0.113.7", 9)


def test_a_worker_loads_what_its_parent_has_checked(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"port": 4000, "subAccounts": {"eu": ACCOUNT}}))
    hand_down(file, {"port": 5000, "workers": 2})
    settings = handed_down()

    assert (file, 5000, 2) == (settings.source, settings.port, settings.workers)
    assert ["eu"] == list(settings.subaccounts)
    assert "hunter2" not in os.environ["SAP_AI_PROXY_SETTINGS"]


@pytest.mark.parametrize("told", [True, False], ids=["told", "not-told"])
def test_without_a_file_the_environment_says_it_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: bool
) -> None:
    monkeypatch.setenv("AICORE_SERVICE_KEY", json.dumps(ACCOUNT["service_key"]))
    monkeypatch.setenv("HOME", str(tmp_path))
    if told:
        hand_down(None, {})
    settings = handed_down()

    assert settings.source is None
    assert ["default"] == list(settings.subaccounts)


def test_what_http_connections_say_of_themselves_is_not_logged(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"subAccounts": {"eu": ACCOUNT}, "log_level": "debug"}))
    hand_down(file, {})
    handed_down()

    assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.ERROR)


def test_granian_is_told_what_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """That it serves then is for the tests of the command line to show."""
    told: dict[str, Any] = {}

    def listen(self: Granian, *_: Any, **__: Any) -> None:
        told.update(vars(self))

    monkeypatch.setattr(Granian, "serve", listen)
    serve(Settings({}, host="127.0.0.1", port=4711, workers=3, threads=7))
    head_timeout = told["http1_settings"].header_read_timeout

    assert ("127.0.0.1", 4711, 3, 7) == (
        told["bind_addr"],
        told["bind_port"],
        told["workers"],
        told["blocking_threads"],
    )
    assert (1024, 30_000) == (told["backpressure"], head_timeout)


def test_connections_are_more_than_the_threads_that_serve_them(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(Granian, "serve", lambda self, *_, **__: told.update(vars(self)))
    serve(Settings({}, threads=2000))

    assert (2000, 4000) == (told["blocking_threads"], told["backpressure"])


@pytest.mark.parametrize(("soft", "wanted", "got"), [(50, 80, 80), (50, 200, 100), (70, 60, 70)])
def test_as_many_files_may_be_open_as_are_needed_and_allowed(soft: int, wanted: int, got: int) -> None:
    """In a process of its own: a limit that was lowered stays so."""
    code = (
        "import resource; from gateway.server.serving import allow_files; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, 100)); allow_files({wanted}); "
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert f"({got}, 100)\n" == told.stdout


SIGNALLED = """
import signal, sys, threading
from gateway.server.serving import take_one_signal

take_one_signal()
serving = sys.argv[1] == "serving"
over, heard = threading.Event(), []

def handler(*_):
    heard.append("SIGTERM")
    over.set()

if serving:
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, lambda *_: heard.append("SIGINT"))
print("ready", flush=True)
over.wait(20)
input()
print(*heard)
"""


@pytest.mark.parametrize("state", ["loading", "serving"])
def test_a_worker_hears_sigterm_once_and_nothing_of_ctrl_c(state: str) -> None:
    command = [sys.executable, "-c", SIGNALLED, state]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as worker:
        assert worker.stdout is not None
        assert "ready\n" == worker.stdout.readline()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            worker.send_signal(each)
        said, _ = worker.communicate("\n", timeout=10)

    assert (0, "SIGTERM\n" if state == "serving" else "") == (worker.returncode, said)


WORKER = "import threading; from gateway.server.serving import end_with_parent; end_with_parent(0.05); threading.Event().wait(60)"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {WORKER!r}])
print(child.pid, flush=True)
child.wait()
"""


def test_a_worker_whose_parent_was_killed_ends_by_itself() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    with parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert is_alive(worker)
        # The worker needs to have looked at its parent once.
        until(lambda: b"gateway" in Path(f"/proc/{worker}/maps").read_bytes() or _threads(worker) > 1, 10)
        assert is_alive(worker)
        parent.kill()

    gone = until(lambda: not is_alive(worker), 10)
    if not gone:
        os.kill(worker, signal.SIGKILL)
    assert gone


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_a_free_port_is_free() -> None:
    ensure_free("127.0.0.1", free_port())
