"""Asking a running proxy: whatever answers instead, or nobody, is one line that says what to do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from gateway.cli.demo import KEY
from gateway.cli.main import cli
from gateway.cli.running_proxy import KeySource, RunningProxy, RunningProxyError, access, running_proxy
from tests.gateway.configs import KEY as SERVICE_KEY
from tests.support.processes import free_port

Ask = Callable[..., Result]


@contextmanager
def saying(content: bytes) -> Iterator[str]:
    """Serve one connection, at which so much is said whatever is asked."""
    with create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.recv(65_536)
                connection.sendall(content)

        thread = Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(60)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ask:
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PROXY_KEY", raising=False)
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def answer(status: str, body: bytes = b"{}", length: int | None = None) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), length or len(body), body)


@pytest.mark.parametrize(
    ("content", "brief", "message"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not an SAP AI Core LLM proxy", "give the address of the proxy with --url URL"),
        (
            answer("200 OK", b"<html>"),
            "is not an SAP AI Core LLM proxy",
            "give the address of the proxy with --url URL",
        ),
        (answer("200 OK", b"[1]"), "is not an SAP AI Core LLM proxy", "give the address of the proxy with --url URL"),
        (answer("404 Not Found"), "is not an SAP AI Core LLM proxy", "give the address of the proxy with --url URL"),
        (answer("200 OK", b'{"version": ', 100), "not reachable", "start it with `sap-ai-proxy`"),
        (b"", "not reachable", "or the config file that it serves with --config FILE"),
        (answer("401 Unauthorized"), "refuses the key", "with --key KEY, or name its config file with --config FILE"),
        (answer("503 Unavailable"), "cannot report how it is (status 503)", "see its log"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_in_few_words(content: bytes, brief: str, message: str) -> None:
    with saying(content) as url, pytest.raises(RunningProxyError) as caught:
        RunningProxy(url, "sk-1").ask("/router/state", lambda body: body["version"], "how it is")

    assert caught.value.brief == brief
    assert message in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_a_proxy_that_says_nothing_is_not_one_that_is_to_be_started() -> None:
    with create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RunningProxyError) as caught:
            RunningProxy(url, "sk-1").ask("/router/state", dict, "how it is", 0.01)

    assert caught.value.brief == "does not answer within 0.01 s"
    assert str(caught.value).startswith(f"the proxy at {url} does not answer within 0.01 s: see its log")


@pytest.mark.parametrize("key", ["sk-\u0416", "sk-1\n", "sk\r\nX-A: 1", "\x00"])
def test_a_key_that_no_header_holds_is_said_before_anything_is_asked(key: str) -> None:
    with pytest.raises(RunningProxyError, match="the key cannot be sent: it has a line break or a character"):
        RunningProxy(f"http://127.0.0.1:{free_port()}", key)


@pytest.mark.parametrize("command", [("status",), ("status", "--once"), ("status", "--json"), ("models",)])
def test_without_a_proxy_a_command_ends_with_one_line_and_1(ask: Ask, command: tuple[str, ...]) -> None:
    told = ask(*command, "--url", f"http://127.0.0.1:{free_port()}")

    assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (1, "", 1)
    assert told.stderr.startswith("sap-ai-proxy: no proxy answers at http://127.0.0.1:")


@pytest.mark.parametrize(
    "url", ["localhost:3001", "ftp://localhost", "http://", "http://[::", "http://127.0.0.1:\u00b2"]
)
def test_what_is_no_url_is_said_before_anything_is_asked(ask: Ask, url: str) -> None:
    told = ask("status", "--url", url)

    assert told.exit_code == 1
    assert "is not a URL: give one such as http://127.0.0.1:3001 with --url" in told.stderr


def test_a_password_in_a_url_is_not_repeated(ask: Ask) -> None:
    told = ask("status", "--url", "http://user:hunter2@127.0.0.1:1")

    assert told.exit_code == 1
    assert "the URL has a user or a password" in told.stderr
    assert "hunter2" not in told.output


def test_a_url_and_a_key_need_no_config_file_that_can_be_read(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    url = f"http://127.0.0.1:{free_port()}"

    assert "no proxy answers" in ask("status", "--url", url, "--key", "sk-1").stderr
    assert "is not valid JSON" in ask("status", "--url", url).stderr


@pytest.mark.parametrize("command", [["status"], ["models"], ["connect", "claude"]])
def test_every_command_needs_no_config_file_beside_a_url_and_a_key(
    ask: Ask, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "config.json").write_text("{")

    assert "no proxy answers" in ask(*command, "--url", f"http://127.0.0.1:{free_port()}", "--key", "sk-1").stderr


@pytest.mark.parametrize("command", [["status"], ["models"], ["connect", "claude"]])
@pytest.mark.parametrize(
    ("variable", "option", "key_name"),
    [
        ("sk-old", [], "the key in PROXY_KEY"),
        ("sk-old", ["--key", "sk-new"], "the key"),
        ("", ["--key", "sk-new"], "the key"),
        ("", [], "the demo's key"),
    ],
)
def test_a_refusal_says_where_the_key_came_from(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, command: list[str], variable: str, option: list[str], key_name: str
) -> None:
    monkeypatch.setenv("PROXY_KEY", variable)
    with saying(answer("401 Unauthorized")) as url:
        said = ask(*command, "--url", url, *option).stderr

    assert f"the proxy at {url} refuses {key_name}: give one of its keys with" in said
    assert ("unset PROXY_KEY" in said) is (key_name == "the key in PROXY_KEY")


@pytest.mark.parametrize(
    ("tokens", "source"), [(["sk-first", "sk-second"], KeySource.CONFIG), ([], KeySource.DEMO)], ids=["keys", "none"]
)
def test_the_key_of_a_config_file_is_its_first(ask: Ask, tmp_path: Path, tokens: list[str], source: KeySource) -> None:
    path = tmp_path / "config.json"
    account = {
        "service_key": SERVICE_KEY,
        "deployment_models": {"gpt-5.5": ["https://api.example.com/v2/inference/deployments/d1"]},
    }
    config = {"secret_authentication_tokens": tokens, "port": 4004, "subAccounts": {"eu": account}}
    path.write_text(json.dumps(config))
    found = access(path, None, None, {})

    assert found.url == "http://127.0.0.1:4004"
    assert (found.source, found.key) == (source, tokens[0] if tokens else KEY)
    assert access(path, None, tokens[0] if tokens else "sk", {}).source is KeySource.OPTION


PLAIN, ROOT = {"name": "alice", "key": "sk-plain"}, {"name": "root", "key": "sk-root", "admin": True}
HASHED = {"name": "far", "hash": "sha256:" + "0" * 64}


def file_with(folder: Path, keys: list[object]) -> Path:
    """A config file with these keys, in which nothing is asked."""
    path = folder / "config.json"
    url = "https://api.example.com/v2/inference/deployments/d1"
    account = {"service_key": SERVICE_KEY, "deployment_models": {"gpt-5.5": [url]}}
    path.write_text(json.dumps({"keys": keys, "subAccounts": {"eu": account}}))
    return path


def test_an_admin_key_reads_the_state_and_a_plain_one_is_given_to_tools(ask: Ask, tmp_path: Path) -> None:
    path = file_with(tmp_path, [ROOT, PLAIN])

    assert access(path, None, None, {}).key == "sk-plain"
    assert access(path, None, None, {}, for_operations=True).key == "sk-root"
    assert ask("connect", "key").stdout == "sk-plain\n"


@pytest.mark.parametrize("keys", [[HASHED], [ROOT, HASHED]], ids=["hashes alone", "beside an admin key"])
def test_where_only_hashes_of_keys_are_configured_a_tool_is_asked_for_the_key(
    ask: Ask, tmp_path: Path, keys: list[object]
) -> None:
    file_with(tmp_path, keys)
    for command in (["key"], ["claude"], ["claude", "--write"]):
        said = ask("connect", *command)

        assert (said.exit_code, said.stdout) == (1, "")
        assert "config.json has only the hashes of its callers' keys, which open nothing: " in said.stderr
        assert "give the key itself with --key KEY or in PROXY_KEY" in said.stderr
    assert ask("connect", "key", "--key", "sk-given").stdout == "sk-given\n"


@pytest.mark.parametrize("command", ["status", "models"])
def test_where_the_admin_key_is_configured_as_a_hash_operators_are_asked_for_it(
    ask: Ask, tmp_path: Path, command: str
) -> None:
    file_with(tmp_path, [PLAIN, {**HASHED, "admin": True}])
    said = ask(command)

    assert said.exit_code == 1
    assert "config.json has only the hashes of its admin keys, which open nothing" in said.stderr


@pytest.mark.parametrize("command", [["status"], ["models"]])
def test_a_key_without_the_rights_is_told_to_be_an_admin_key(ask: Ask, command: list[str]) -> None:
    with saying(answer("403 Forbidden")) as url:
        said = ask(*command, "--url", url, "--key", "sk-plain").stderr

    assert f"the proxy at {url} refuses the key: give an admin key of it with --key KEY" in said


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://127.0.0.1:3001"),
        ({"PORT": "4002"}, "http://127.0.0.1:4002"),
        ({"SERVER__PORT": "4003", "HOST": "0.0.0.0"}, "http://127.0.0.1:4003"),
        ({"HOST": "::1"}, "http://[::1]:3001"),
    ],
)
def test_a_demo_is_looked_for_where_the_environment_has_it_listen(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"SAP_AI_PROXY_{name}", value)

    assert running_proxy(None, None, None).url == url


def test_a_port_that_is_none_is_told_before_anybody_is_asked(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAP_AI_PROXY_PORT", "high")
    told = ask("models")

    assert told.exit_code == 2
    assert "SAP_AI_PROXY_PORT" in told.stderr
