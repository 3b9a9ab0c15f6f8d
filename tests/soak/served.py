"""The proxy of the soak, with two workers in front of an emulator, each in processes of its own."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.cli.demo import config_for
from tests.soak.asks import MODELS, ORCHESTRATED
from tests.support.processes import COMMAND, PATIENCE, ROOT, Place, Run, free_port, new_place, until
from tests.support.running import Cloud

CALLERS = ("ada", "bob", "cyd", "dan")
MOST_BODY = 2 * 1024 * 1024
SHORT = 3.0
"""Seconds that a client has for a head, and may pause within a body."""
WORKERS = 2
ROUTING: dict[str, Any] = {
    "health_check_interval": 2, "discovery_interval": 5,
    "breaker": {"timeout": 2, "timeout_cap": 4, "slow_start": 3},
    "cooldown": {"base": 1, "base_cap": 4, "cap": 4, "credentials": 2, "credentials_cap": 4},
    "timeouts": {"first_event": 10, "idle": 10, "answer": 10, "silence": 10, "total": 45, "keep_alive": 2},
}  # fmt: skip
"""Everything that is broken is well again within seconds, so that a minute has room for several outages."""
SERVER: dict[str, Any] = {
    "workers": WORKERS, "max_body_bytes": MOST_BODY, "header_timeout": SHORT, "body_timeout": SHORT,
    "write_timeout": 6, "keep_alive": 20, "drain_seconds": 50, "requests": 300,
}  # fmt: skip


@dataclass
class Served:
    """A running proxy and its emulator. Paths of the admin port are asked with `state` and `metrics`."""

    place: Place
    run: Run
    cloud: Cloud
    port: int
    admin_port: int
    keys: dict[str, str]
    config: dict[str, Any]
    endpoints: dict[str, dict[str, list[str]]]
    """The ids of the deployments of each model, by subaccount."""
    killed: set[int] = field(default_factory=set)
    """The workers that the soak has killed."""

    @property
    def pid(self) -> int:
        return self.run.process.pid

    def state(self) -> Any:
        """What the admin port says of the router."""
        return json.loads(self.get(self.admin_port, "/router/state"))

    def get(self, port: int, path: str, key: str = "") -> bytes:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()

    def workers(self) -> dict[int, Any]:
        """The workers that accept connections and go on doing so, by process id."""
        rows = self.state()["workers"]
        return {row["worker"]: row for row in rows if row["accepting"] and not row["retiring"]}

    def retiring(self) -> list[int]:
        """The workers that have been replaced, and still finish what they began."""
        return [row["worker"] for row in self.state()["workers"] if row["retiring"]]

    def write(self, config: dict[str, Any] | str) -> None:
        """Replace the config file, in one step."""
        text = config if isinstance(config, str) else json.dumps(config)
        self.place.write("config.new", text)
        (self.place.folder / "config.new").rename(self.place.folder / "config.json")

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def act(self, **body: Any) -> tuple[int, bytes]:
        """Do something as an operator; give the status and the answer."""
        headers = {"Authorization": f"Bearer {self.keys['root']}", "Content-Type": "application/json"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/router/actions", json.dumps(body).encode(), headers, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Start both, and end them."""
    with ExitStack() as stack:
        cloud = stack.enter_context(_emulated(folder / "emulator.log"))
        place, port, admin = new_place(folder), free_port(), free_port()
        keys = {name: f"sk-soak-{secrets.token_hex(16)}" for name in (*CALLERS, "root")}
        config, endpoints = _config(cloud, keys)
        config["port"] = port
        config["server"] = {**SERVER, "admin_port": admin}
        place.write("config.json", config)
        run = stack.enter_context(place.running(command=COMMAND))
        found = Served(place, run, cloud, port, admin, keys, config, endpoints)
        run.await_answer(f"http://127.0.0.1:{port}")
        until(lambda: _workers_or_none(found), amiss=lambda: run.said)
        yield found


def _workers_or_none(found: Served) -> bool:
    with suppress(OSError, ValueError):
        return len(found.workers()) == WORKERS
    return False


@contextmanager
def _emulated(log: Path) -> Iterator[Cloud]:
    """Run the emulator in a process of its own, so that the clients' threads do not wait for it."""
    command = [sys.executable, "-m", "emulator", "--port", "0", "--until-stdin-closes"]
    pipe = subprocess.PIPE
    with (
        log.open("w") as said,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=said, text=True, cwd=ROOT) as child,
    ):
        try:
            assert child.stdout is not None
            yield Cloud(child.stdout.readline().strip())
        finally:
            child.terminate()


def _config(cloud: Cloud, keys: dict[str, str]) -> tuple[dict[str, Any], dict[str, dict[str, list[str]]]]:
    """Write a config file for all models of the soak, one of them with orchestration alone."""
    tenants = cloud.tenants
    config = config_for(tenants)
    endpoints: dict[str, dict[str, list[str]]] = {model: {} for model in MODELS}
    for name, account in config["subAccounts"].items():
        of_models = {model: urls for model, urls in account["deployment_models"].items() if model in MODELS}
        [orchestration] = [each["url"] for each in tenants[name]["deployments"] if each["model"] is None]
        of_models[ORCHESTRATED] = [{"url": orchestration, "orchestration": True}]
        account["deployment_models"] = of_models
        for model, urls in of_models.items():
            endpoints[model][name] = [(url["url"] if isinstance(url, dict) else url).rpartition("/")[2] for url in urls]
    del config["secret_authentication_tokens"]
    config["keys"] = [{"name": name, "key": key, "admin": name == "root"} for name, key in keys.items()]
    config["routing"] = ROUTING
    return config, endpoints


def with_refused_endpoint(config: dict[str, Any], account: str, model: str, port: int) -> dict[str, Any]:
    """Write a config file in which nobody listens at the first deployment of a model."""
    copy = json.loads(json.dumps(config))
    urls = copy["subAccounts"][account]["deployment_models"][model]
    head, _, tail = urls[0].partition("/v2/")
    urls[0] = f"{head.rpartition(':')[0]}:{port}/v2/{tail}"
    return dict(copy)


@contextmanager
def nobodys_port() -> Iterator[int]:
    """A port that is taken, and on which nobody listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield nobody.getsockname()[1]


def at_rest(state: Any) -> str:
    """What is still in flight; "" for nothing."""
    busy = [
        f"worker {row['worker']}: requests {row['open_requests']}, "
        + ", ".join(f"{name} {each['used']}" for name, each in row["saturation"].items() if name != "requests")
        for row in state["workers"]
        if row["open_requests"] or any(each["used"] for each in row["saturation"].values())
    ]
    leases = [
        f"{each['subaccount']}/{each['deployment']} {each['model']}: leases {each['in_flight']}"
        for each in state["endpoints"]
        if each["in_flight"]
    ]
    return "; ".join([*busy, *leases])


def settled(found: Served, seconds: float) -> str:
    """Wait until nothing is in flight any more, for so many seconds at most; say what still is."""
    end = time.monotonic() + seconds
    while True:
        left = at_rest(found.state())
        upstream = found.cloud.ask("GET", "/admin/state")["in_flight"]
        left += f"; at the emulator {upstream}" if upstream else ""
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.2)
