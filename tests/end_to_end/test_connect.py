"""The command `connect` beside a running proxy: what it prints runs, and its mistakes are one line each."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import cli
from tests.support.processes import free_port
from tests.support.running import KEY, Cloud, Proxy, config_of
from tests.support.sources import ROOT

Connect = Callable[..., Result]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Connect:
    """Runs the command with an empty home, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PROXY_KEY", "CODEX_HOME", "AICORE_SERVICE_KEY", "AICORE_CLIENT_ID", "AICORE_HOME", "VCAP_SERVICES"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(cli, ["connect", *arguments])


def run(command: list[str], text: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PROXY_KEY": key}
    return subprocess.run(command, input=text, env=env, capture_output=True, text=True, timeout=120, check=False)


def without_model(text: str) -> str:
    return re.sub(r'model="[^"]+"', "", text)


@pytest.mark.parametrize(
    ("tool", "module", "family"),
    [
        ("openai", "openai", "gpt"),
        ("anthropic", "anthropic", "claude"),
        ("google", "google.genai", "gemini"),
        ("langchain", "langchain_openai", "gpt"),
    ],
)
def test_a_program_runs_as_it_is_printed(
    wide_proxy: Proxy, connect: Connect, tool: str, module: str, family: str
) -> None:
    pytest.importorskip(module)
    printed = connect(tool, "--url", wide_proxy.url, "--key", KEY)
    wide_proxy.cloud.forget()
    told = run([sys.executable, "-"], printed.stdout)

    page, program = (ROOT / "docs/connect.md").read_text(encoding="utf-8"), printed.stdout.partition("\n\n")[2]

    assert (told.returncode, bool(told.stdout.strip())) == (0, True), told.stderr
    assert without_model(program.replace(wide_proxy.url, "http://127.0.0.1:3001")) in without_model(page)
    assert [request["status"] for request in wide_proxy.cloud.requests()] == [200]
    [deployment] = {request["deployment"] for request in wide_proxy.cloud.requests()}
    models = {each["id"]: each["model"] for each in wide_proxy.cloud.tenants["eu"]["deployments"]}
    assert family in models[deployment]


def test_a_shell_runs_what_is_printed_as_a_whole(wide_proxy: Proxy, connect: Connect) -> None:
    printed = connect("curl", "--url", wide_proxy.url, "--key", KEY)
    told = run(["bash", "-e"], printed.stdout, key="not the one that is printed")

    assert json.loads(told.stdout)["choices"][0]["message"]["role"] == "assistant"


def test_the_config_file_says_where_the_proxy_is_and_the_key_is_not_shown(
    wide_proxy: Proxy, connect: Connect, tmp_path: Path
) -> None:
    config = config_of(wide_proxy.cloud) | {"host": "0.0.0.0", "port": int(wide_proxy.url.rpartition(":")[2])}
    (tmp_path / "config.json").write_text(json.dumps(config))
    told = connect("claude")
    [setter] = [line for line in told.stdout.splitlines() if line.startswith("export PROXY_KEY=")]

    assert (told.exit_code, told.stderr) == (0, "")
    assert f"export ANTHROPIC_BASE_URL={wide_proxy.url}\n" in told.stdout
    assert KEY not in told.stdout
    assert setter.endswith(f' connect key --config {tmp_path / "config.json"})"')
    assert connect("key").stdout == f"{KEY}\n"


def test_a_key_in_the_environment_is_used_and_not_set_again(
    wide_proxy: Proxy, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXY_KEY", KEY)
    told = connect("claude", "--url", f"{wide_proxy.url}/v1/")

    assert told.exit_code == 0
    assert "export PROXY_KEY" not in told.stdout
    assert f"export ANTHROPIC_BASE_URL={wide_proxy.url}\n" in told.stdout


def test_without_a_config_file_the_demo_is_meant(connect: Connect) -> None:
    assert connect("key").stdout == f"{KEY}\n"


def test_without_a_tool_the_tools_are_listed(connect: Connect) -> None:
    told = connect()

    assert told.exit_code == 0
    for name in ("claude", "codex", "gemini", "opencode", "cursor", "cline", "continue", "aider", "zed", "vscode"):
        assert f"\n{name} " in f"\n{told.stdout}"


def test_what_is_written_is_undone(wide_proxy: Proxy, connect: Connect, tmp_path: Path) -> None:
    wrote = connect("codex", "--write", "--url", wide_proxy.url, "--key", KEY)
    path = tmp_path / ".codex" / "config.toml"
    content = path.read_text()
    undone = connect("codex", "--undo")

    assert wrote.stdout == f"wrote {path} (as it was: config.toml.before-sap-ai-proxy)\n"
    assert KEY in content
    assert undone.stdout == f"removed {path}, which did not exist before\n"
    assert [*path.parent.iterdir()] == []


def test_a_tool_is_started_with_the_settings_and_the_users_arguments(wide_proxy: Proxy, tmp_path: Path) -> None:
    program = tmp_path / "codex"
    program.write_text('#!/bin/sh\nprintf "%s|" "$PROXY_KEY" "$@"\nexit 7\n')
    program.chmod(0o755)
    command = [sys.executable, "-m", "proxy_server", "connect", "codex", "--url", wide_proxy.url, "--key", KEY]
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    told = subprocess.run(
        [*command, "--", "exec", "--write"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    key, *arguments, last, _ = told.stdout.split("|")

    assert (told.returncode, told.stderr) == (7, "")
    assert (key, arguments[0], arguments[-1], last) == (KEY, "-c", "exec", "--write")
    assert [*tmp_path.iterdir()] == [program]


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Serve something that is not the proxy."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


OTHERS = [
    (404, b"", "is not an SAP AI Core LLM proxy"),
    (200, b"<html>", "is not an SAP AI Core LLM proxy"),
    (200, b'{"models": []}', "is not an SAP AI Core LLM proxy"),
    (200, b'{"data": [1]}', "is not an SAP AI Core LLM proxy"),
    (200, b'{"data": []}', "serves no model: run `sap-ai-proxy check` to see why"),
    (302, b"", "cannot report which models it serves (status 302)"),
    (503, b"", r"cannot report which models it serves (status 503): see its log"),
]


@pytest.mark.parametrize(("status", "body", "said"), OTHERS)
def test_what_is_no_proxy_is_one_clear_line(connect: Connect, status: int, body: bytes, said: str) -> None:
    with answering(status, body) as url:
        told = connect("claude", "--url", url, "--key", KEY)

    assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (1, "", 1)
    assert said in told.stderr


def test_without_a_proxy_one_line_says_what_to_do(connect: Connect) -> None:
    told = connect("claude", "--url", f"http://127.0.0.1:{free_port()}", "--key", KEY)

    assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (1, "", 1)
    assert "start it with `sap-ai-proxy`" in told.stderr


def test_a_wrong_key_is_one_clear_line(wide_proxy: Proxy, connect: Connect) -> None:
    told = connect("claude", "--url", wide_proxy.url, "--key", "wrong")

    assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (1, "", 1)
    assert "refuses the key" in told.stderr


MISTAKES = [
    (("emacs",), 1, "there is no tool 'emacs'"),
    (("claude", "--url", "ftp://x"), 1, "'ftp://x' is not a URL"),
    (("cursor", "--write"), 1, "Cursor is set up by hand"),
    (("openai", "--", "x"), 1, "is set up by hand"),
    (("codex", "--undo"), 1, "nothing to undo"),
    (("codex", "exec"), 2, "after --, without"),
    (("codex", "--write", "--", "exec"), 2, "after --, without"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), MISTAKES)
def test_a_mistake_is_said_with_what_to_do(connect: Connect, arguments: tuple[str, ...], code: int, said: str) -> None:
    told = connect(*arguments)

    assert (told.exit_code, told.stdout) == (code, "")
    assert said in told.stderr
    assert "Traceback" not in told.stderr


def test_a_tool_that_is_not_installed_is_named(
    wide_proxy: Proxy, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    told = connect("claude", "--url", wide_proxy.url, "--key", KEY, "--", "-p", "Hello")

    assert told.exit_code == 1
    assert "claude is not installed" in told.stderr


def test_a_proxy_that_asks_for_no_key_is_asked_with_any(connect: Connect, cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config_of(cloud) | {"secret_authentication_tokens": []}))

    assert connect("key").stdout == f"{KEY}\n"
