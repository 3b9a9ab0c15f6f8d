"""Markers stand in every place where a secret can be, and every byte that leaves the proxy is searched for them."""

import http.client
import json
import re
import signal
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.config.caller_keys import digest_of
from gateway.config.loader import load
from gateway.config.settings import SettingsError
from tests.support.collector import Collector, running_collector
from tests.support.indiscreet import (
    EXTENSION,
    FOR_THE_CORE,
    HIDDEN_HOST,
    MODELS,
    PATH_OF_A_DEPLOYMENT,
    SECRETS,
    WORDS,
    config_for,
    scripted_core,
)
from tests.support.leaks import leaks_in, notations
from tests.support.processes import COMMAND, Place, Run, free_port, new_place, until
from tests.support.raw_core import RawCore
from tests.support.talking import PIXEL, gemini_path, request_of

FORMATS = ("text", "json")
COMMANDS = (
    ("check",), ("check", "--json"), ("status", "--once"), ("status", "--json"), ("models",), ("discover", "--json"),
    ("route", "gpt-ok"),
)  # fmt: skip
PATHS = ("/", "/health", "/ready", "/metrics", "/router/state", "/v1/models", "/models", "/v1beta/models", "/web/guide")
KEY_HEADERS = ("Authorization", "x-api-key", "api-key", "x-goog-api-key")
ALICE, BOB, ADMIN = (SECRETS[name] for name in ("key of alice", "key of bob", "admin key"))
HASH = {"hash of bob's key": digest_of(BOB).hex()}


@dataclass
class Scene:
    """A proxy whose log has one format, and all that left it, by the channel."""

    place: Place
    port: int
    run: Run
    answers: list[bytes] = field(default_factory=list)
    """The answers to everybody."""
    answers_to_alice: list[bytes] = field(default_factory=list)
    """Those to requests of alice with her own words, which errors may repeat to her."""
    commands: list[bytes] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    """What the proxy had written to files while it ran."""
    modes: set[int] = field(default_factory=set)
    processes: bytes = b""
    """The command lines and the names of threads of all processes."""
    log: bytes = b""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> bytes:
        """Send a request, and give all of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, data, {"Content-Type": "application/json", **named})
            answer = connection.getresponse()
            return f"{answer.status} {answer.reason}\n{answer.headers}".encode("utf-8", "replace") + answer.read()
        except http.client.IncompleteRead as error:
            return error.partial
        finally:
            connection.close()


@dataclass
class World:
    """Two proxies, the SAP AI Core behind them, and a collector."""

    scenes: dict[str, Scene]
    core: RawCore
    collector: Collector

    @property
    def hosts(self) -> dict[str, str]:
        """The addresses that only the proxy knows."""
        return {"host": HIDDEN_HOST, "address": f"127.0.0.1:{self.core.port}", "path": PATH_OF_A_DEPLOYMENT}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as owned:
        core, collector = owned.enter_context(scripted_core()), owned.enter_context(running_collector())
        scenes = {
            name: owned.enter_context(_started(tmp_path_factory.mktemp(name), name, core, collector))
            for name in FORMATS
        }
        world = World(scenes, core, collector)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda each: each(), [each for scene in scenes.values() for each in _requests(scene)]))
            commands = [partial(_command, scene, *words) for scene, words in _commands(scenes)]
            list(pool.map(lambda each: each(), commands))
        for scene in scenes.values():
            _look_around(scene)
            _end(scene)
        yield world


@contextmanager
def _started(folder: Path, name: str, core: RawCore, collector: Collector) -> Iterator[Scene]:
    """Start a proxy that has its HTTP proxy from the environment, and sends telemetry, or has one in its settings."""
    place, port = _Variables(**vars(new_place(folder))), free_port()
    to_proxy = f"http://user:{SECRETS['password of the HTTP proxy']}@127.0.0.1:{core.port}"
    place.variables = {
        "TMPDIR": str(folder / "shared"),
        "CLIENT_SECRET": SECRETS["client secret"],
        "KEY_OF_ALICE": ALICE,
        "DATABASE_PASSWORD": SECRETS["another variable"],
    }
    (folder / "shared").mkdir()
    place.write("defective.py", EXTENSION)
    more: dict[str, Any] = {"log_format": name}
    if name == "text":
        headers = {"OTEL_EXPORTER_OTLP_HEADERS": f"api-key={SECRETS['header of the collector']}"}
        place.variables |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "NO_PROXY": "lost.invalid,127.0.0.1",
            **headers,
        }
        place.variables |= {"HTTPS_PROXY": to_proxy, "HTTP_PROXY": to_proxy}
        more["telemetry"] = {"otlp": True}
    else:
        more["upstream"] = {"proxy": to_proxy, "proxy_loopback": True, "no_proxy": ["lost.invalid"]}
    place.write("config.json", config_for(core.port, port, **more))
    with place.running() as run:
        yield Scene(place, port, run)


class _Variables(Place):
    """A place with more variables in its environment."""

    variables: dict[str, str]

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, **self.variables}


def _requests(scene: Scene) -> Iterator[Any]:
    """List requests that end well, fail in each way, or are refused in each way."""
    scene.run.await_answer(f"http://127.0.0.1:{scene.port}")
    wrong = SECRETS["wrong key"]

    def ask(*asked: Any, **headers: str) -> None:
        scene.answers.append(scene.ask(*asked, **headers))

    def ask_as_alice(*asked: Any, **headers: str) -> None:
        scene.answers_to_alice.append(scene.ask(*asked, **{"Authorization": f"Bearer {ALICE}", **headers}))

    for model, stream in product(MODELS, (False, True)):
        yield partial(ask_as_alice, "POST", "/v1/chat/completions", _chat(model, stream=stream))
    for model, dialect in product(MODELS, ("messages", "responses", "gemini")):
        yield partial(ask_as_alice, "POST", *_asked(dialect, model))
    for name, path in product(KEY_HEADERS, ("/v1/chat/completions", "/nowhere")):
        key = f"Bearer {ALICE}" if name == "Authorization" else ALICE
        yield partial(ask_as_alice, "POST", path, _chat("gpt-ok"), **{name: key, "Cookie": ALICE})
        yield partial(ask, "POST", path, _chat("gpt-ok"), **{name: wrong})
    for path, key in product((*PATHS, "/nowhere", gemini_path("gpt-ok", stream=False)), (ADMIN, BOB, wrong)):
        yield partial(ask, "GET", f"{path}?key={quote(key, safe='')}")
        yield partial(ask, "GET", path, x_api_key=key, Accept="text/html")
    for key in (ADMIN, BOB):
        yield partial(ask, "DELETE", "/v1/chat/completions", x_api_key=key)
        yield partial(ask, "GET", "/v1/responses/resp_1", x_api_key=key)
        yield partial(ask, "POST", "/router/actions", {"action": "nothing"}, x_api_key=key)
    for body in (b'{"model": "gpt-ok", "x": "' + WORDS["prompt"].encode(), b"[1]", b"{}", b'{"x": 1}' * 5_000):
        yield partial(ask, "POST", "/v1/chat/completions", body, x_api_key=BOB)
    yield partial(ask, "POST", "/v1/chat/completions", b"x", x_api_key=BOB, Content_Encoding="odd")
    yield partial(ask_as_alice, "POST", "/v1/chat/completions", _chat("gpt-ok"), Authorization=f"Basic {ALICE}")
    yield partial(_send_no_http, scene)
    yield partial(_watch, scene)
    yield partial(_carry_on, scene)


def _send_no_http(scene: Scene) -> None:
    with socket.create_connection(("127.0.0.1", scene.port), 30) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nno header {ALICE}\r\n\r\n".encode())
        scene.answers.append(client.recv(65536))


def _watch(scene: Scene) -> None:
    """Read the first events of the stream for operators."""
    with socket.create_connection(("127.0.0.1", scene.port), 30) as client:
        client.sendall(f"GET /router/events HTTP/1.1\r\nHost: x\r\nx-api-key: {ADMIN}\r\n\r\n".encode())
        told = b""
        while b"\nevent: history" not in told and (piece := client.recv(65536)):
            told += piece
        scene.answers.append(told)


def _carry_on(scene: Scene) -> None:
    """Have alice's answer kept, and let bob ask for it."""
    path, body = request_of("responses", "gpt-5", stream=False, text=WORDS["prompt"])
    told = scene.ask("POST", path, {**body, "store": True}, x_api_key=ALICE)
    scene.answers_to_alice.append(told)
    [kept] = re.findall(rb'"id":"(resp_[^"]+)"', told)
    for method, rest in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        scene.answers.append(scene.ask(method, f"{path}/{kept.decode()}{rest}", x_api_key=BOB))
    scene.answers.append(scene.ask("POST", path, {**body, "previous_response_id": kept.decode()}, x_api_key=BOB))


def _chat(model: str, *, stream: bool = False) -> dict[str, Any]:
    """Write a request with a word of alice's in each place."""
    call = {"name": "look_up", "arguments": json.dumps({"what": WORDS["argument of a tool"]})}
    picture = {"url": f"data:image/png;base64,{WORDS['picture']}{PIXEL[28:]}"}
    content = [{"type": "text", "text": WORDS["prompt"]}, {"type": "image_url", "image_url": picture}]
    messages = [
        {"role": "user", "content": content},
        {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": call}]},
        {"role": "tool", "tool_call_id": "call_1", "content": WORDS["answer"]},
    ]
    return {"model": model, "stream": stream, "user": WORDS["user"], "messages": messages}


def _asked(dialect: str, model: str) -> tuple[str, Any]:
    path, body = request_of(dialect, model, stream=dialect == "messages", text=WORDS["prompt"])
    return path, body


def _commands(scenes: Mapping[str, Scene]) -> Iterator[tuple[Scene, tuple[str, ...]]]:
    """Run each command once, with one of the two configurations, and `check` with both."""
    for number, words in enumerate(COMMANDS):
        yield scenes[FORMATS[number % 2]], words


def _command(scene: Scene, *words: str) -> None:
    told = scene.place.run(*words, command=COMMAND)
    scene.commands.append(f"{words}\n{told.stdout}\n{told.stderr}".encode())


def _look_around(scene: Scene) -> None:
    """Look at the processes and the files of a proxy that runs."""
    processes = [scene.run.process.pid, *scene.run.children()]
    for pid in processes:
        scene.processes += Path(f"/proc/{pid}/cmdline").read_bytes() + b"\n"
        scene.processes += b"\n".join(each.read_bytes() for each in Path(f"/proc/{pid}/task").glob("*/comm"))
    ours = {"config.json", "defective.py", scene.run.file.name}
    folders = (scene.place.folder, scene.place.home, scene.place.folder.parent / "shared")
    for path in (path for folder in folders for path in folder.rglob("*")):
        if path.is_file() and path.name not in ours and path.suffix != ".pyc":
            scene.files[path.name] = path.read_bytes()
            scene.modes.add(path.parent.stat().st_mode & 0o777)


def _end(scene: Scene) -> None:
    """Let the proxy read a config file with mistakes, and end it."""
    config = json.loads((scene.place.folder / "config.json").read_text())
    wrong = {"secret_authentication_tokens": [f"{ALICE}\nx"], "port": SECRETS["admin key"]}
    scene.place.write("config.json", {**config, **wrong})
    scene.run.process.send_signal(signal.SIGHUP)
    until(lambda: "no header can carry" in scene.run.said)
    scene.run.process.terminate()
    scene.run.process.wait(30)
    scene.log = scene.run.file.read_bytes()


@pytest.fixture(params=FORMATS)
def scene(request: pytest.FixtureRequest, world: World) -> Scene:
    return world.scenes[request.param]


def test_no_answer_has_a_secret_or_an_address_or_words_of_others(world: World, scene: Scene) -> None:
    everything = b"\n".join(scene.answers)

    assert b'"status":"alive"' in everything
    assert b'"deployment":"ok"' in everything
    assert b"event: history" in everything
    assert b"aicore_proxy_exchanges_total" in everything
    assert leaks_in(everything, SECRETS | HASH | WORDS | world.hosts) == []


def test_no_answer_to_a_caller_has_a_secret_or_an_address(world: World, scene: Scene) -> None:
    everything = b"\n".join(scene.answers_to_alice)

    assert ("answer", "plain") in leaks_in(everything, WORDS)
    assert leaks_in(everything, SECRETS | HASH | world.hosts) == []


def test_every_way_to_fail_was_gone(scene: Scene) -> None:
    """Without these statuses, the searches above would find nothing because nothing happened."""
    statuses = {int(each[:3]) for each in (*scene.answers, *scene.answers_to_alice) if each[:3].isdigit()}

    assert {200, 400, 401, 403, 404, 405, 413, 415, 429, 500, 502, 503} <= statuses


def test_no_line_of_the_log_has_a_secret_or_an_address_or_words_of_anybody(world: World, scene: Scene) -> None:
    hosts = {name: host for name, host in world.hosts.items() if name != "path"}

    assert b"DEBUG" in scene.log or b'"level": "debug"' in scene.log
    assert b"a defect of an extension" in scene.log
    assert b"settings are unchanged" in scene.log
    assert [model for model in (*MODELS, "alice", "bob", "root") if model.encode() not in scene.log] == []
    assert leaks_in(scene.log, SECRETS | HASH | WORDS | hosts) == []


def test_the_list_of_processes_has_no_secret(scene: Scene) -> None:
    assert b"sap-ai-proxy" in scene.processes
    assert leaks_in(scene.processes, SECRETS | HASH | WORDS) == []


def test_no_file_that_the_proxy_writes_has_a_secret_and_its_folder_is_private(world: World, scene: Scene) -> None:
    everything = b"\n".join(scene.files.values())

    assert b'"deployment":"ok"' in everything
    assert scene.modes == {0o700}
    assert leaks_in(everything, SECRETS | HASH | WORDS | world.hosts) == []


def test_no_command_prints_a_secret(scene: Scene) -> None:
    everything = b"\n".join(scene.commands)

    assert b"gpt-ok" in everything
    assert b"Traceback" not in everything
    assert leaks_in(everything, SECRETS | HASH | WORDS) == []


def test_sap_ai_core_gets_what_is_for_it_and_no_key_of_a_caller(world: World) -> None:
    everything = b"\n".join(each.head + each.body for each in world.core.requests)
    others = {name: secret for name, secret in (SECRETS | HASH).items() if name not in FOR_THE_CORE}

    assert {name for name, _ in leaks_in(everything, SECRETS | WORDS)} == {*FOR_THE_CORE, *WORDS}
    assert leaks_in(everything, others) == []


def test_secrets_go_only_where_they_are_for(world: World) -> None:
    """The client secret goes to the token service, and the token to the AI API."""
    tokens = [each for each in world.core.requests if "/oauth/token" in each.path]
    calls = [each for each in world.core.requests if PATH_OF_A_DEPLOYMENT in each.path]

    assert tokens
    assert calls
    assert leaks_in(b"".join(each.head + each.body for each in tokens), {"token": SECRETS["token"]} | WORDS) == []
    secret = {name: SECRETS[name] for name in ("client secret", "userinfo of the token URL")}
    assert leaks_in(b"".join(each.head + each.body for each in calls), secret) == []


def test_the_collector_gets_no_secret(world: World) -> None:
    everything = b"".join(body for _, body in world.collector.raw)

    assert b"gpt-ok" in everything
    assert b"alice" in everything
    assert leaks_in(everything, SECRETS | HASH | WORDS) == []


_SECRET = "mk-misplaced-secret-1"
MISPLACED: dict[str, Any] = {
    "in a list": {"secret_authentication_tokens": [[_SECRET]]},
    "without a list": {"secret_authentication_tokens": _SECRET},
    "with a line break": {"secret_authentication_tokens": [f"{_SECRET}\nx"]},
    "beyond Latin-1": {"keys": [{"name": "a", "key": f"{_SECRET}☃"}]},
    "as a hash": {"keys": [{"name": "a", "hash": _SECRET}]},
    "as an object": {"keys": {_SECRET: "a"}},
    "as a port": {"port": _SECRET},
    "as a signing key": {"secret_signing_keys": {"x": _SECRET}},
    "in an HTTPS proxy": {"upstream": {"proxy": f"https://u:{_SECRET}@h:1"}},
    "in a port of a proxy": {"upstream": {"proxy": f"http://u:{_SECRET}@h:²"}},
    "a service key as a path": {"subAccounts": {"a": {"service_key_json": f'{{"clientsecret": "{_SECRET}"}}'}}},
    "a service key as a string": {"subAccounts": {"a": {"service_key": _SECRET}}},
    "half a service key": {"subAccounts": {"a": {"service_key": {"clientid": "c", "clientsecret": _SECRET}}}},
    "in a token URL": {"subAccounts": {"a": {"service_key": {"clientid": "c", "url": f"ftp://u:{_SECRET}@h"}}}},
    "a certificate as a path": {"upstream": {"ca_bundle": f"-----BEGIN PRIVATE KEY-----\n{_SECRET}"}},
    "in no JSON": f'{{"secret_authentication_tokens": ["{_SECRET}" "x"]}}',
    "in Latin-1": f'{{"secret_authentication_tokens": ["{_SECRET}é"]}}'.encode("latin-1"),
    "in a huge number": f'{{"secret_signing_keys": ["{_SECRET}"], "port": {"9" * 5000}}}',
}


@pytest.mark.parametrize("config", MISPLACED.values(), ids=MISPLACED)
def test_no_message_about_a_config_file_has_a_secret_that_is_in_the_wrong_place(tmp_path: Path, config: Any) -> None:
    file = tmp_path / "config.json"
    text = config if isinstance(config, str | bytes) else json.dumps(config)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as error:
        load(file, {}, tmp_path)
    said = f"{error.value} {error.value.warnings} {error.value!r}".encode()

    assert b"config.json: " in said
    assert leaks_in(said, {"it": _SECRET}) == []


@pytest.mark.parametrize("notation", notations("x"))
def test_a_secret_is_found_in_each_notation(notation: str) -> None:
    secret = SECRETS["client secret"]
    written = notations(secret)[notation]

    assert ("it", notation) in leaks_in(b"before" + written + b"after", {"it": secret})
    assert len(written) > 8
