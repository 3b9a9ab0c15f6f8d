"""The agents people use, as their vendors ship them, each with one tool call through the proxy.

They are looked for in `$CLI_CLIENTS/node_modules/.bin` and in the PATH, and left out where they are not:
`npm install --prefix DIR @anthropic-ai/claude-code @openai/codex @google/gemini-cli opencode-ai` and `CLI_CLIENTS=DIR`.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import odata_mcp
from tests.support.processes import COMMAND as COMMAND_LINE
from tests.support.running import KEY, Proxy

SCRIPTS = Path(__file__).parents[2] / "examples" / "clients"
SECONDS = 90
COMMAND = "echo hello-from-tool | tee proof.txt"
AGENTS = {
    "claude_code": ("claude", "Bash", {"command": COMMAND, "description": "Say hello"}, ()),
    "codex": ("codex", "exec_command", {"cmd": COMMAND}, ("--sandbox", "danger-full-access")),
    "gemini_cli": ("gemini", "run_shell_command", {"command": COMMAND}, ()),
    "opencode": ("opencode", "bash", {"command": COMMAND, "description": "Say hello"}, ()),
}
RUNS = [
    ("claude_code", "claude-sonnet-4-5"),
    ("claude_code", "anthropic--claude-4.8-opus"),
    ("claude_code", "gpt-5.5"),
    ("claude_code", "gemini-2.5-pro"),
    ("codex", "gpt-5"),
    ("codex", "gpt-5.3-codex"),
    ("codex", "gpt-5.5"),
    ("codex", "gpt-4.1"),
    ("codex", "anthropic--claude-4.5-sonnet"),
    ("codex", "gemini-2.5-pro"),
    ("gemini_cli", "gemini-2.5-pro"),
    ("gemini_cli", "gemini-3.5-flash"),
    ("gemini_cli", "anthropic--claude-4.5-sonnet"),
    ("gemini_cli", "gpt-5.5"),
    ("opencode", "anthropic--claude-4.5-sonnet"),
    ("opencode", "gpt-5.5"),
    ("opencode", "gemini-3.5-flash"),
    ("opencode", "amazon--nova-pro"),
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
    """Run a script of the examples."""
    return finished([str(SCRIPTS / f"{script}.sh"), *more], cwd=cwd, env=env)


def finished(command: list[str], *, cwd: Path, env: dict[str, str]) -> tuple[int, str, str]:
    """Run a command with all that it starts, and end all of it when its time is up."""
    with subprocess.Popen(
        command,
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


@pytest.fixture
def env(wide_proxy: Proxy, outside: Outside, tmp_path: Path) -> dict[str, str]:
    """The environment of an agent: a home of its own, the proxy, and no way out."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": search_path(),
        "HOME": str(home),
        "TMPDIR": str(tmp_path),
        "TERM": "xterm-256color",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), outside.url),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
        "PROXY_URL": wide_proxy.url,
        "PROXY_KEY": KEY,
        "npm_config_offline": "true",  # opencode installs a package for plugins in the background
    }


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that an agent works in."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def skip_without(program: str) -> None:
    if not shutil.which(program, path=search_path()):
        pytest.skip(f"{program} is not installed")


def turns(proxy: Proxy) -> int:
    """Count the answers to requests that had tools: a request for a title has none."""
    answered = [each["body"] for each in proxy.cloud.requests() if each["status"] == 200]
    return sum(bool(body.get("tools") or body.get("toolConfig")) for body in answered)


@pytest.mark.parametrize(("script", "model"), RUNS, ids=[f"{script}-{model}" for script, model in RUNS])
def test_an_agent_runs_a_tool_and_quotes_what_it_printed(
    wide_proxy: Proxy, outside: Outside, env: dict[str, str], work: Path, script: str, model: str
) -> None:
    program, tool, arguments, more = AGENTS[script]
    skip_without(program)
    prompt = f"scene:call {tool} {json.dumps(arguments)}"

    code, out, err = run(script, *more, cwd=work, env={**env, "PROMPT": prompt, "MODEL": model})

    assert code == 0, out + err
    assert (work / "proof.txt").read_text() == "hello-from-tool\n"
    assert "The tool answered:" in out
    assert "hello-from-tool" in out
    assert outside.asked == []
    assert turns(wide_proxy) == 2


def test_claude_code_finds_an_mcp_tool_and_calls_it_with_its_own_keys(
    wide_proxy: Proxy, outside: Outside, env: dict[str, str], work: Path
) -> None:
    """The model sees keys that it takes, the server gets those that it declared."""
    skip_without("claude")
    calls = work / "calls.jsonl"
    server = {"command": sys.executable, "args": [odata_mcp.__file__, str(calls)]}
    (work / "mcp.json").write_text(json.dumps({"mcpServers": {"odata": server}}))
    tool = "mcp__odata__odata_update"
    more = ("--mcp-config", "mcp.json", "--strict-mcp-config", "--allowedTools", tool)
    env = {**env, "MODEL": "claude-sonnet-4-5"}

    find = {**env, "PROMPT": f'scene:call ToolSearch {{"query": "select:{tool}"}}'}
    found = run("claude_code", *more, cwd=work, env=find)
    called = run("claude_code", *more, "--continue", cwd=work, env={**env, "PROMPT": f"Use {tool} please"})

    assert found[0] == 0, found
    assert called[0] == 0, called
    assert list(heard(calls)) == [("odata.update", {"entity.set", "values"}, odata_mcp.VALUES)]
    assert outside.asked == []
    assert turns(wide_proxy) == 4


@pytest.mark.parametrize("tool", ["odata.query", odata_mcp.LONG])
@pytest.mark.parametrize("model", ["anthropic--claude-4.5-sonnet", "gemini-2.5-pro"])
def test_codex_calls_an_mcp_tool_with_its_own_keys(
    wide_proxy: Proxy, outside: Outside, env: dict[str, str], work: Path, model: str, tool: str
) -> None:
    """Models that Codex does not know get the tools of MCP servers at once; it shortens long names itself."""
    skip_without("codex")
    calls = work / "calls.jsonl"
    server = f'{{command="{sys.executable}", args=["{odata_mcp.__file__}", "{calls}"]}}'
    more = ("--sandbox", "danger-full-access", "-c", f"mcp_servers.odata={server}")
    name = name_of_the_tool(wide_proxy, tool, lambda: run("codex", *more, cwd=work, env={**env, "MODEL": model}))

    code, out, err = run("codex", *more, cwd=work, env={**env, "PROMPT": f"Use {name} please", "MODEL": model})

    assert code == 0, out + err
    assert list(heard(calls)) == [(tool, set(odata_mcp.QUERY["properties"]), odata_mcp.VALUES)]
    assert "42 purchase orders" in out
    assert outside.asked == []


def test_codex_finds_an_mcp_tool_and_calls_it_with_its_own_keys(
    wide_proxy: Proxy, outside: Outside, env: dict[str, str], work: Path
) -> None:
    """A model that Codex knows searches for the tools of MCP servers."""
    skip_without("codex")
    calls = work / "calls.jsonl"
    server = f'{{command="{sys.executable}", args=["{odata_mcp.__file__}", "{calls}"]}}'
    more = ("-c", 'sandbox_mode="danger-full-access"', "-c", f"mcp_servers.odata={server}")
    env = {**env, "MODEL": "gpt-5.5"}

    found = run("codex", *more, cwd=work, env={**env, "PROMPT": 'scene:call tool_search {"query": "odata query"}'})
    use = {**env, "PROMPT": "Use mcp__odata__odata_query please"}
    called = run("codex", *more, "resume", "--last", cwd=work, env=use)

    assert found[0] == 0, found
    assert called[0] == 0, called
    assert list(heard(calls)) == [("odata.query", set(odata_mcp.QUERY["properties"]), odata_mcp.VALUES)]
    assert outside.asked == []
    assert turns(wide_proxy) == 4


@pytest.mark.parametrize("model", ["anthropic--claude-4.5-sonnet", "gpt-5"])
def test_codex_takes_the_list_of_models_where_it_asks_for_it(
    wide_proxy: Proxy, outside: Outside, env: dict[str, str], work: Path, model: str
) -> None:
    """It asks a provider for its models where a command gives it the key; a list that it cannot read is none."""
    skip_without("codex")
    auth = f'auth={{command="echo", args=["{KEY}"]}}'
    provider = f'{{name="SAP AI Core", base_url="{wide_proxy.url}/v1", wire_api="responses", {auth}}}'
    _, tool, arguments, more = AGENTS["codex"]
    env = {**env, "PROMPT": f"scene:call {tool} {json.dumps(arguments)}", "MODEL": model}

    code, out, err = run("codex", *more, "-c", f"model_providers.aicore={provider}", cwd=work, env=env)

    assert code == 0, out + err
    assert (work / "proof.txt").read_text() == "hello-from-tool\n"
    assert "Model metadata" not in out + err
    assert "You run in Codex" in json.dumps(wide_proxy.cloud.requests()[-1]["body"])
    assert outside.asked == []


WISHES = [
    ("claude_code", "claude-sonnet-4-5", ("--allowedTools", "Write")),
    ("codex", "gpt-5.5", ("--sandbox", "danger-full-access")),
    ("codex", "gpt-6.2-sol", ("--sandbox", "danger-full-access")),
    ("gemini_cli", "gemini-2.5-pro", ()),
]


@pytest.mark.parametrize(("script", "model", "more"), WISHES, ids=[f"{script}-{model}" for script, model, _ in WISHES])
def test_a_new_user_gets_the_file_that_is_asked_for(
    outside: Outside, env: dict[str, str], work: Path, script: str, model: str, more: tuple[str, ...]
) -> None:
    """Each agent has its own tool for it: one that writes, a patch, a program that calls the others."""
    skip_without(AGENTS[script][0])

    code, out, err = run(script, *more, cwd=work, env={**env, "PROMPT": "Please write hello.py", "MODEL": model})

    assert code == 0, out + err
    assert (work / "hello.py").read_text().strip() == 'print("Hello, world!")'
    assert "The tool answered:" in out
    assert outside.asked == []


CONNECTED = {
    "claude": ("-p",),
    "codex": ("exec", "--skip-git-repo-check"),
    "gemini": ("--skip-trust", "-p"),
    "opencode": ("run",),
}


@pytest.mark.parametrize("is_written", [True, False], ids=["written", "started"])
@pytest.mark.parametrize("tool", CONNECTED)
def test_an_agent_that_is_connected_in_an_empty_home_answers(
    wide_proxy: Proxy, env: dict[str, str], work: Path, tool: str, is_written: bool
) -> None:
    """By its own settings file alone, or started without one."""
    skip_without(tool)
    connect = [*COMMAND_LINE, "connect", tool, "--url", wide_proxy.url, "--key", KEY]
    own = {name: value for name, value in env.items() if not name.startswith("PROXY_")}
    if is_written:
        wrote = finished([*connect, "--write"], cwd=work, env=own)
        assert wrote[0] == 0, wrote
    start = [str(shutil.which(tool, path=search_path()))] if is_written else [*connect, "--"]
    code, out, err = finished([*start, *CONNECTED[tool], "Hello"], cwd=work, env=own)

    assert code == 0, out + err
    assert 'You said: "Hello"' in out
    assert {request["status"] for request in wide_proxy.cloud.requests()} == {200}
    names = {path.name for path in Path(env["HOME"]).rglob("*sap-ai-proxy*")}
    assert bool(names) == is_written


def name_of_the_tool(proxy: Proxy, tool: str, ask: Callable[[], object]) -> str:
    """By which name a model is offered a tool of an MCP server."""
    ask()
    end = tool.replace(".", "_")[-12:]
    offered = json.dumps(proxy.cloud.requests()[-1]["body"])
    [name] = set(re.findall(rf'"name": "(\w*{end}\w*)"', offered))
    return str(name)


def heard(calls: Path) -> Iterator[tuple[str, set[str], set[str]]]:
    """Each call that the MCP server got: its tool, the keys of its arguments, and those of `values` in them."""
    for line in calls.read_text().splitlines():
        call = json.loads(line)
        yield call["name"], set(call["arguments"]), set(call["arguments"]["values"])
