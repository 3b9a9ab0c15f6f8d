"""The command line as a user runs it, with an empty home and an empty folder."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.main import cli
from proxy_server import create_app
from tests.support.processes import COMMAND, PATIENCE, SCRIPT, Place, Run, free_port, is_alive, new_place, until
from tests.support.running import Cloud, config_of

KEY = "sk-of-a-caller-01"
"""A key that nobody is warned of."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path)


@pytest.fixture
def config(shared_cloud: Cloud) -> dict[str, Any]:
    return config_of(shared_cloud, {"gpt-4.1": [], "anthropic--claude-4.5-sonnet": [], "text-embedding-3-small": []})


@pytest.fixture
def run_here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command in this process: what it says and how it ends are the same, and a second sooner."""
    monkeypatch.chdir(place.folder)
    for name in os.environ.keys() - place.env.keys():
        monkeypatch.delenv(name)
    for name, value in place.env.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        told = CliRunner().invoke(cli, arguments, obj=lambda: create_app)
        if not isinstance(told.exception, SystemExit | None):
            raise told.exception
        return subprocess.CompletedProcess(arguments, told.exit_code, told.stdout, told.stderr)

    return run


# What ends by itself


@pytest.mark.parametrize("command", [COMMAND, SCRIPT], ids=["command", "script"])
def test_the_version_is_told(place: Place, command: tuple[str, ...]) -> None:
    told = place.run("--version", command=command)

    assert (told.returncode, told.stderr) == (0, "")
    assert re.fullmatch(r"sap-ai-proxy, version \d+\.\d+\.\d+\S*\n", told.stdout)


def test_help_names_every_command_and_option(place: Place) -> None:
    told = place.run("--help")

    assert told.returncode == 0
    for word in ("check", "route", "emulator", "--config", "--host", "--port", "--workers", "--demo", "--version"):
        assert word in told.stdout


def test_help_leaves_nothing_behind(place: Place) -> None:
    place.run("--help")

    assert [*place.home.iterdir(), *place.folder.iterdir()] == []


MISTAKES: Mapping[str, tuple[Any, tuple[str, ...], str]] = {
    # name            config.json            arguments                    what is said
    "no-file": (None, ("--config", "gone.json"), r"There is no config file gone\.json\."),
    "folder": (None, ("--config", "."), r"There is no config file \.\."),
    "broken-json": ('{"subAccounts": {', (), r"config\.json: .*is not valid JSON: .* line 1"),
    "list": ([], (), r"config\.json: .*object"),
    "no-subaccount": ({}, ("check",), r"there is no subaccount"),
    "no-key-file": (
        {"subAccounts": {"eu": {"service_key_json": "gone.json"}}}, (), r"subAccounts\.eu\.service_key_json: .*no file",
    ),
    "check-no-file": (None, ("check", "--config", "gone.json"), r"There is no config file gone\.json\."),
    "check-nothing": (None, ("check",), r"no service key in the environment\. Create one with `sap-ai-proxy init`"),
    "route-no-file": (None, ("route", "gpt-4.1", "-c", "gone.json"), r"There is no config file gone\.json\."),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_clear_line_and_no_traceback(place: Place, run_here: Callable[..., Any], mistake: str) -> None:
    content, arguments, said = MISTAKES[mistake]
    if content is not None:
        place.write("config.json", content)
    told = run_here(*arguments)

    assert (told.returncode, told.stdout) == (2, "")
    assert re.search(said, told.stderr)
    assert told.stderr.count("\n") == 1
    assert told.stderr.startswith("sap-ai-proxy: ")


def test_a_key_that_is_spelled_wrongly_is_told_before_what_is_missing(
    place: Place, run_here: Callable[..., Any], config: dict[str, Any]
) -> None:
    place.write("config.json", {"subaccounts": config["subAccounts"]})
    told = run_here()

    assert (told.returncode, told.stdout) == (2, "")
    odd, wrong = told.stderr.splitlines()
    assert odd == 'warning: subaccounts: this key is unknown and has no effect; did you mean "subAccounts"?'
    assert wrong.startswith("sap-ai-proxy: config.json: there is no subaccount")


def test_a_broken_service_key_in_the_environment_is_told(place: Place) -> None:
    env = {**place.env, "AICORE_SERVICE_KEY": "{"}
    told = subprocess.run(
        COMMAND, check=False, cwd=place.folder, env=env, capture_output=True, text=True, timeout=PATIENCE
    )

    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("sap-ai-proxy: environment: AICORE_SERVICE_KEY: is not valid JSON")
    assert told.stderr.count("\n") == 1


def test_a_service_key_that_lacks_something_is_told_with_all_that_it_lacks(
    place: Place, run_here: Callable[..., Any], config: dict[str, Any]
) -> None:
    key = config["subAccounts"]["eu"]["service_key"]
    del key["clientsecret"], key["url"]
    place.write("config.json", config)
    told = run_here()

    assert told.returncode == 2
    assert "subAccounts.eu.service_key.clientsecret: is missing" in told.stderr
    assert "subAccounts.eu.service_key.url: is missing" in told.stderr
    assert "Traceback" not in told.stderr
    assert key["clientid"] not in told.stderr


def test_a_port_that_is_taken_is_told_with_a_way_out(
    place: Place, run_here: Callable[..., Any], config: dict[str, Any]
) -> None:
    place.write("config.json", {**config, "secret_authentication_tokens": [KEY]})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        told = run_here("--port", str(port))

    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == (
        f"sap-ai-proxy: cannot listen on 127.0.0.1:{port}: Address already in use. `sap-ai-proxy status --url "
        f"http://127.0.0.1:{port}` shows whether a proxy is already serving there. Choose another port with --port.\n"
    )


def test_a_demo_whose_port_is_taken_leaves_no_emulator_behind(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told = place.run("--demo", "--port", str(listener.getsockname()[1]))

    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    assert not emulators_of(place)


@pytest.mark.parametrize("before", [False, True], ids=["after", "before"])
def test_check_finds_that_all_is_well(
    place: Place, run_here: Callable[..., Any], config: dict[str, Any], before: bool
) -> None:
    place.write("mine.json", config)
    option = ("--config", "mine.json")
    told = run_here(*option, "check") if before else run_here("check", *option)

    assert (told.returncode, told.stderr) == (0, "")
    assert re.match(r"\S 2 subaccounts, \d+ models: all is well\n", told.stdout)


def test_check_says_once_what_is_odd(place: Place, run_here: Callable[..., Any], config: dict[str, Any]) -> None:
    place.write("config.json", {**config, "prot": 1})
    told = run_here("check")

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.count("prot") == 1


def test_check_finds_what_is_wrong(place: Place, config: dict[str, Any]) -> None:
    config["subAccounts"]["eu"]["service_key"]["clientsecret"] = "wrong-secret"
    config["subAccounts"]["us"]["deployment_models"]["gpt-9"] = [
        config["subAccounts"]["us"]["deployment_models"]["gpt-4.1"][0].rpartition("/")[0] + "/dgone"
    ]
    place.write("config.json", config)
    told = place.run("check")

    assert (told.returncode, told.stderr) == (1, "")
    assert "eu no access token: SAP AI Core's token service refuses the service key" in told.stdout
    assert "us gpt-9 (dgone) does not exist in the resource group team-a" in told.stdout
    assert re.match(r"\S 2 subaccounts, ", told.stdout)
    assert "2 things to put right" in told.stdout
    assert "wrong-secret" not in told.stdout


def test_route_says_where_requests_would_go(place: Place, config: dict[str, Any]) -> None:
    place.write("config.json", config)
    told = place.run("route", "claude-sonnet-4-5", "--client", "anthropic", "--n", "22")

    assert (told.returncode, told.stderr) == (0, "")
    assert "model     claude-sonnet-4-5 -> anthropic--claude-4.5-sonnet (normalised)" in told.stdout
    assert "protocol  claude-invoke, passed through" in told.stdout
    numbered = re.findall(r"^ +(\d+)\. (eu|us)/", told.stdout, re.MULTILINE)
    assert [str(number) for number in range(1, 21)] == [number for number, _ in numbered]
    assert [subaccount for _, subaccount in numbered] == ["eu", "us"] * 10
    assert "and 2 more" in told.stdout


def test_route_looks_up_what_runs_where_nothing_is_listed(
    place: Place, run_here: Callable[..., Any], config: dict[str, Any]
) -> None:
    del config["subAccounts"]["eu"]["deployment_models"]
    config["subAccounts"]["us"]["service_key"]["clientsecret"] = "wrong-secret"
    config["subAccounts"]["us"]["discovery"] = True
    place.write("config.json", config)
    told = run_here("route", "gpt-5")

    assert told.returncode == 0
    assert "   1. eu/" in told.stdout
    assert told.stderr.startswith("warning: the deployments of us cannot be listed: ")
    assert "wrong-secret" not in told.stderr


def test_route_knows_protocols_of_ones_own(place: Place, run_here: Callable[..., Any], config: dict[str, Any]) -> None:
    extension = Path(__file__).parents[2] / "examples" / "extensions" / "future_model.py"
    place.write("future_model.py", extension.read_text())
    models = {"future-model-9": "https://api.example/v2/inference/deployments/d1"}
    config["subAccounts"]["eu"]["deployment_models"] = models
    place.write("config.json", {**config, "extensions": ["future_model"]})
    told = run_here("route", "future-model-9")

    assert (told.returncode, told.stderr) == (0, "")
    assert "protocol  future-model, passed through" in told.stdout
    assert "path      /v3/future-model-9/stream (streamed)" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("route", "unheard-of"), "The model 'unheard-of' is not deployed."),
        (("route", "gpt-4.1", "--client", "quark"), "'quark' is not a client"),
        (("route", "text-embedding-3-small", "--client", "gemini"), "is an embedding model and has no conversations"),
        (("route", "gpt-4.1", "--client", "embeddings"), "is a chat model and makes no embeddings"),
    ],
)
def test_route_says_why_a_request_would_go_nowhere(
    place: Place, run_here: Callable[..., Any], config: dict[str, Any], arguments: tuple[str, ...], said: str
) -> None:
    place.write("config.json", config)
    told = run_here(*arguments)

    assert (told.returncode, told.stdout) == (2, "")
    assert said in told.stderr
    assert told.stderr.count("\n") == 1


def test_route_knows_models_that_make_embeddings(
    place: Place, run_here: Callable[..., Any], config: dict[str, Any]
) -> None:
    place.write("config.json", config)
    told = run_here("route", "text-embedding-3-small")

    assert told.returncode == 0
    assert "protocol  embeddings, passed through" in told.stdout


# What runs until it is told to end


def emulators_of(place: Place) -> list[int]:
    """The emulators that were started with the home of *place*."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            mine = f"HOME={place.home}".encode() in (entry / "environ").read_bytes().split(b"\0")
            if mine and b"emulator" in (entry / "cmdline").read_bytes() and is_alive(int(entry.name)):
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


@dataclass
class Demo:
    """A demo that is served, and what it printed."""

    place: Place
    run: Run
    url: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    place = new_place(tmp_path_factory.mktemp("demo"))
    port = free_port()
    with place.running("--or-demo", "--port", str(port)) as run:
        url = f"http://127.0.0.1:{port}"
        run.await_answer(url)
        yield Demo(place, run, url)


def commands_in(said: str) -> list[str]:
    """The commands that are printed to be copied: each begins with two blanks, and goes on while it is not over."""
    tried = said.partition("Try it:\n")[2]
    return [block.strip() for block in tried.strip().split("\n\n") if block.lstrip().startswith(("curl", "python3"))]


def test_make_run_serves_a_demo_where_nothing_is_configured(demo: Demo) -> None:
    said = demo.run.said

    assert "This is a demo: an emulated SAP AI Core" in said
    assert f"base URL  {demo.url}/v1" in said
    assert "key       sk-demo" in said
    assert len(commands_in(said)) == 3


@pytest.mark.parametrize("number", [0, 1, 2], ids=["curl-openai", "curl-anthropic", "python"])
def test_each_command_that_is_printed_works_when_it_is_pasted(demo: Demo, number: int) -> None:
    command = commands_in(demo.run.said)[number]
    told = subprocess.run(
        ["/bin/sh", "-c", command],
        check=False, cwd=demo.place.folder, env=demo.place.env, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip

    assert (told.returncode, told.stderr) == (0, "")
    assert "Happy to help!" in told.stdout
    assert "Hello" in told.stdout
    if number == 0:
        assert json.loads(told.stdout)["object"] == "chat.completion"
    if number == 1:
        assert json.loads(told.stdout)["type"] == "message"


def test_the_demo_writes_nothing_where_it_was_started(demo: Demo) -> None:
    assert [demo.run.file] == list(demo.place.folder.iterdir())
    assert list(demo.place.home.iterdir()) == []


def test_the_demo_takes_no_other_key(demo: Demo) -> None:
    asked = urllib.request.Request(f"{demo.url}/v1/models", headers={"Authorization": "Bearer sk-other"})

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(asked, timeout=PATIENCE)
    with caught.value:
        assert caught.value.code == 401
        assert caught.value.headers["x-proxy-demo"] == "true"


def test_an_answer_of_the_demo_says_that_it_is_one(demo: Demo) -> None:
    """Whoever configured the tool may not be the one who talks to it."""
    body = json.dumps({"model": "gpt-5.5", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}).encode()
    headers = {"Authorization": "Bearer sk-demo"}
    asked = urllib.request.Request(f"{demo.url}/v1/chat/completions", body, headers)
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        chunks = [json.loads(line[6:]) for line in answer if line.startswith(b"data: {")]
        told = answer.headers["x-proxy-demo"]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])

    assert told == "true"
    assert text.endswith('You said: "Hello". This is a demo: no model has answered.')


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=["term", "int", "kill"])
def test_the_demo_ends_when_it_is_told_to_and_its_emulator_with_it(place: Place, how: signal.Signals) -> None:
    port = free_port()
    with place.running("--demo", "--port", str(port)) as run:
        run.await_answer(f"http://127.0.0.1:{port}")
        [emulator] = emulators_of(place)
        children = run.children()
        run.process.send_signal(how)
        run.process.wait(PATIENCE)

        assert emulator in children
        assert until(lambda: not any(map(is_alive, children)))
        assert (-how if how is signal.SIGKILL else 0) == run.process.returncode
        assert "Traceback" not in run.said


@pytest.mark.parametrize("command", [COMMAND, SCRIPT], ids=["command", "script"])
def test_a_config_file_in_the_folder_is_used(place: Place, config: dict[str, Any], command: tuple[str, ...]) -> None:
    port = free_port()
    place.write("config.json", {**config, "port": port, "secret_authentication_tokens": [KEY]})
    with place.running(command=command) as run:
        run.await_answer(f"http://127.0.0.1:{port}")
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models", headers={"x-api-key": KEY})
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            models = {model["id"] for model in json.load(answer)["data"]}

        assert models == {"gpt-4.1", "anthropic--claude-4.5-sonnet", "text-embedding-3-small"}
        assert "demo" not in run.said
        assert KEY not in run.said
        assert "key       your configured key; `sap-ai-proxy connect key` prints it\n" in run.said
        assert "models    3 in eu and us\n" in run.said


def test_without_keys_for_callers_only_this_machine_may_call(place: Place, config: dict[str, Any]) -> None:
    port = free_port()
    del config["secret_authentication_tokens"]
    place.write("config.json", config)
    with place.running("--host", "0.0.0.0", "--port", str(port)) as run:
        run.await_answer(f"http://127.0.0.1:{port}")

        assert "listening on 127.0.0.1 only, not on 0.0.0.0" in run.said
        assert f"on http://127.0.0.1:{port}\n" in run.said
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), 5)


def test_who_listens_everywhere_is_told_an_address_to_copy(place: Place, config: dict[str, Any]) -> None:
    port = free_port()
    place.write("config.json", {**config, "host": "0.0.0.0", "port": port, "secret_authentication_tokens": [KEY]})
    with place.running() as run:
        run.await_answer(f"http://127.0.0.1:{port}")

        assert f"on http://0.0.0.0:{port}\n" in run.said
        assert f"base URL  http://127.0.0.1:{port}/v1" in run.said


def test_the_emulator_runs_on_its_own(place: Place) -> None:
    """A folder that happens to hold something of that name is not in its way."""
    place.write("emulator.py", "raise SystemExit('the wrong one')")
    with place.running("emulator", "--port", "0") as run:
        url = run.await_text(r"(http://127\.0\.0\.1:\d+)\n")
        with urllib.request.urlopen(f"{url}/admin/tenants", timeout=PATIENCE) as answer:
            assert json.load(answer).keys() == {"eu", "us"}
        run.process.send_signal(signal.SIGINT)

        assert run.process.wait(PATIENCE) == 0
        assert "Traceback" not in run.said


def test_a_host_may_be_a_name(place: Place, config: dict[str, Any]) -> None:
    port = free_port()
    place.write("config.json", {**config, "host": "localhost", "port": port})
    with place.running(command=SCRIPT) as run:
        run.await_answer(f"http://localhost:{port}")

        assert f"on http://localhost:{port}\n" in run.said
