"""The agents people use, as their vendors ship them, each with one tool call through the proxy.

They are looked for in `$CLI_CLIENTS/node_modules/.bin` and in the PATH, and left out where they are not:
`npm install --prefix DIR @anthropic-ai/claude-code @openai/codex @google/gemini-cli` and `CLI_CLIENTS=DIR`.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.running import KEY, Proxy

SCRIPTS = Path(__file__).parents[2] / "examples" / "clients"
SECONDS = 90
COMMAND = "echo hello-from-tool | tee proof.txt"
AGENTS = {
    "claude_code": ("claude", "Bash", {"command": COMMAND, "description": "Say hello"}, ()),
    "codex": ("codex", "exec_command", {"cmd": COMMAND}, ("--sandbox", "danger-full-access")),
    "gemini_cli": ("gemini", "run_shell_command", {"command": COMMAND}, ()),
}
RUNS = [
    ("claude_code", "claude-sonnet-4-5"),
    ("claude_code", "anthropic--claude-4.8-opus"),
    ("claude_code", "gpt-5"),
    ("claude_code", "gemini-2.5-pro"),
    ("codex", "gpt-5"),
    ("codex", "gpt-5.3-codex"),
    ("codex", "gpt-4.1"),
    ("codex", "anthropic--claude-4.5-sonnet"),
    ("codex", "gemini-2.5-pro"),
    ("gemini_cli", "gemini-2.5-pro"),
    ("gemini_cli", "gemini-3.5-flash"),
    ("gemini_cli", "anthropic--claude-4.5-sonnet"),
    ("gemini_cli", "gpt-5"),
]


class Outside:
    """An HTTP proxy that leads nowhere, and remembers who asked for what."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked: list[str] = []
        threading.Thread(target=self._refuse, daemon=True).start()

    def _refuse(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                with caller:
                    caller.settimeout(5)
                    self.asked.append(caller.recv(4096).partition(b"\r\n")[0].decode("latin-1"))

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def outside() -> Iterator[Outside]:
    nowhere = Outside()
    yield nowhere
    nowhere.close()


def search_path() -> str:
    own = os.environ.get("CLI_CLIENTS")
    return os.pathsep.join([*([f"{own}/node_modules/.bin"] if own else []), os.environ["PATH"]])


def run(script: str, *more: str, cwd: Path, env: dict[str, str]) -> tuple[int, str, str]:
    """Run a script with all that it starts, and end all of it when its time is up."""
    with subprocess.Popen(
        [SCRIPTS / f"{script}.sh", *more],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            out, err = child.communicate(timeout=SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    return child.returncode, out, err


@pytest.mark.parametrize(("script", "model"), RUNS, ids=[f"{script}-{model}" for script, model in RUNS])
def test_an_agent_runs_a_tool_and_quotes_what_it_printed(
    proxy: Proxy, outside: Outside, tmp_path: Path, script: str, model: str
) -> None:
    program, tool, arguments, more = AGENTS[script]
    if not shutil.which(program, path=search_path()):
        pytest.skip(f"{program} is not installed")
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    env = {
        "PATH": search_path(),
        "HOME": str(home),
        "TMPDIR": str(tmp_path),
        "TERM": "xterm-256color",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), outside.url),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
        "PROXY_URL": proxy.url,
        "PROXY_KEY": KEY,
        "PROMPT": f"scene:call {tool} {json.dumps(arguments)}",
        "MODEL": model,
    }

    code, out, err = run(script, *more, cwd=work, env=env)

    assert 0 == code, out + err
    assert "hello-from-tool\n" == (work / "proof.txt").read_text()
    assert "The tool answered:" in out
    assert "hello-from-tool" in out
    assert [] == outside.asked
    assert 2 == len([each for each in proxy.cloud.requests() if each["status"] == 200])
