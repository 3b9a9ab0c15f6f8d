"""The server of Windows, run where the tests run."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.config.settings import Settings
from gateway.server import serving
from tests.support.processes import PATIENCE, answers, free_port, until

ROOT = Path(__file__).parents[3]
SERVE = """
import os, sys
del os.fork
from gateway.server import start_report
from gateway.server.serving import serve
from gateway.config.settings import Settings
from gateway.server.options import ServerOptions

class Application:
    def __call__(self, environ, start):
        assert environ["werkzeug.socket"].fileno() > 0
        start("200 OK", [("Content-Length", "5")])
        return [b"hello"]

def create(settings, runtime):
    subaccounts = {"eu": "ok", "us": "no token"}
    endpoint = {"subaccount": "eu", "deployment": "d1", "model": "gpt-5.5", "standing": "ready", "why": ""}
    runtime.report_with(lambda: {"endpoints": [endpoint]}, lambda: (True, {"subaccounts": subaccounts}))
    return Application()

start_report._SETTLING = 0.0
settings = Settings({}, port=int(sys.argv[1]), server=ServerOptions())
sys.exit(serve(settings, lambda: settings, create))
"""


def test_where_processes_cannot_be_forked_one_serves_and_says_what_until_it_is_interrupted(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    line = "1 model is served from eu (gpt: gpt-5.5). Problems: us: no token. Run `sap-ai-proxy check` for advice\n"
    with (
        log.open("w") as written,
        subprocess.Popen([sys.executable, "-c", SERVE, str(port)], cwd=ROOT, stderr=written) as process,
    ):
        try:
            assert until(lambda: process.poll() is not None or answers(f"http://127.0.0.1:{port}"))
            assert until(lambda: process.poll() is not None or line in log.read_text(), amiss=log.read_text)
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
                peer.sendall(b"no HTTP\r\n\r\n")
                refused = peer.makefile("rb").read()
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
        finally:
            process.kill()

    assert process.returncode == 0, log.read_text()
    assert refused.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n")
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in refused
    assert log.read_text().endswith("INFO sap_ai_proxy.server stopped\n")


def test_nothing_that_windows_imports_needs_what_it_has_not() -> None:
    code = (
        "import sys\n"
        "for name in ('fcntl', 'resource', 'pwd', 'grp', 'termios'):\n"
        "    sys.modules[name] = None\n"
        "import proxy_server, gateway.server.single_process, gateway.observability.shared_metrics\n"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (told.returncode, told.stderr) == (0, "")


def test_where_processes_can_be_forked_a_supervisor_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []

    class Supervisor:
        def __init__(self, *given: object) -> None:
            found.extend(given)

        def run(self) -> int:
            return 7

    monkeypatch.setattr("gateway.server.supervisor.Supervisor", Supervisor)
    settings = Settings({})

    assert hasattr(os, "fork")
    assert serving.serve(settings, lambda: settings, dict) == 7  # type: ignore[arg-type]  # it is not called
    assert settings is found[0]
