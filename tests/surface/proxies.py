"""Proxies in processes of their own that are fuzzed, and what they use of the machine."""

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import emulator
from tests.support.processes import PATIENCE, Run, free_port, is_alive, new_place, until
from tests.support.running import KEY, Cloud, config_of
from tests.support.worlds import MIXED, mixed_world
from tests.surface.contract import Contract
from tests.surface.requests import MOST_BYTES, USERS_KEY, Requests

FAULTS = (
    *("500", "503", "529", "429-quota", "429-provider", "401", "403", "403-html", "404", "400", "400-empty", "reset"),
    *("400-overflow", "error-event", "garbage", "cut", "cut-error", "eof"),
)
"""How deployments fail, in turn, of the proxy that may fail; those that take seconds are left out."""
SERVER = {"max_body_bytes": MOST_BYTES, "header_timeout": 5.0, "body_timeout": 5.0, "keep_alive": 20.0}
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "keys": {"secret_authentication_tokens": [USERS_KEY], "keys": [{"name": "root", "key": KEY, "admin": True}]},
    "keyless": {"secret_authentication_tokens": []},
    "faulty": {"secret_authentication_tokens": [KEY, USERS_KEY]},
}
"""What the config files of the proxies have beside their deployments."""
SETTLED = 20.0
"""Seconds after which what is still in use will stay so."""
_DEFECTS = re.compile(r"Traceback|a defect in|a response failed|Error:")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a worker uses: memory in KiB, threads and descriptors."""

    memory: int
    threads: int
    descriptors: int


@dataclass
class Served:
    """A proxy that runs, and the emulator behind it."""

    name: str
    port: int
    run: Run
    cloud: Cloud
    supervisor: bool = False
    """Whether it is the admin port, which the process answers that supervises the workers."""
    log_read: int = 0
    """How many characters of the log were checked."""
    usages: list[Usage] = field(default_factory=list)

    @property
    def may_fail(self) -> bool:
        """Whether deployments fail on purpose, and operators drain some."""
        return self.name == "faulty"

    @cached_property
    def contract(self) -> Contract:
        return Contract(json.loads(self.get("/openapi.json")))

    @cached_property
    def requests(self) -> Requests:
        return Requests(self.contract, deployments(self.cloud), self._stored_responses(), may_drain=self.may_fail)

    @cached_property
    def worker(self) -> int:
        """The id of the process that answers."""
        if self.supervisor:
            return self.run.process.pid
        [pid] = until(lambda: (found := self._workers()) and len(found) == 1 and found)
        return pid

    @property
    def in_use(self) -> int:
        """How many calls, requests, places, streams and connections there are, beside those of this very request."""
        state = json.loads(self.get("/router/state"))
        used = [
            sum(place["used"] for place in each["saturation"].values()) + each["open_requests"]
            for each in state["workers"]
        ]
        own = 0 if self.supervisor else 2 * len(used)
        return sum(each["in_flight"] for each in state["endpoints"]) + sum(used) - own

    def get(self, path: str, body: bytes | None = None) -> bytes:
        """Ask for a path, or post a body to it; raises `OSError` unless that goes well."""
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()

    def heal(self) -> None:
        """Undo what operators have done, and close every circuit."""
        known = {
            (each["subaccount"], each["deployment"]) for each in json.loads(self.get("/router/state"))["endpoints"]
        }
        for subaccount, deployment in sorted(known):
            for action in ("restore", "close-circuit"):
                body = {"action": action, "subaccount": subaccount, "deployment": deployment}
                self.get("/router/actions", json.dumps(body).encode())

    def settle(self) -> list[str]:
        """Wait until nothing is in progress, and measure; say what is wrong."""
        self.cloud.forget()
        if self.run.process.poll() is not None or not is_alive(self.worker):
            return ["the process has ended"]
        if self.may_fail:
            self.heal()
        self.usages.append(usage_of(self.worker))
        try:
            until(lambda: self.in_use == 0, SETTLED)
        except AssertionError:
            return [f"{self.in_use} calls, requests, places, streams and connections are still in use"]
        text = self.run.said
        fresh, self.log_read = text[self.log_read :], len(text)
        found = _DEFECTS.search(fresh)
        return [f"the log has a defect: {fresh[max(0, found.start() - 300) :][:3000]}"] if found else []

    def _stored_responses(self) -> list[str]:
        """The ids of two responses that deployments store; none where these may fail."""
        body = json.dumps({"model": "gpt-5.5", "input": "Hello", "store": True}).encode()
        return [] if self.may_fail else [json.loads(self.get("/v1/responses", body))["id"] for _ in range(2)]

    def _workers(self) -> list[int]:
        return [pid for pid in self.run.children() if is_alive(pid)]


def usage_of(pid: int) -> Usage:
    """Measure a process."""
    status = dict(re.findall(r"(\w+):\s*(\d+)", Path(f"/proc/{pid}/status").read_text()))
    return Usage(int(status["VmRSS"]), int(status["Threads"]), len(list(Path(f"/proc/{pid}/fd").iterdir())))


def deployments(cloud: Cloud) -> list[tuple[str, str, str]]:
    """The subaccount, the id and the model of each deployment."""
    return [
        (name, each["id"], each["model"])
        for name, known in cloud.tenants.items()
        for each in known["deployments"]
        if each["status"] == "RUNNING"
    ]


@contextmanager
def serving(folder: Path) -> Iterator[dict[str, Served]]:
    """Serve a proxy of each kind; the one that may fail has an emulator of its own."""
    with ExitStack() as stack:
        well, ill = (Cloud(stack.enter_context(emulator.serve(mixed_world())).url) for _ in range(2))
        _break(ill)
        found = {}
        for name, config in CONFIGS.items():
            cloud = ill if name == "faulty" else well
            (folder / name).mkdir()
            place, port, admin = new_place(folder / name), free_port(), free_port()
            server = {**SERVER, "admin_port": admin}
            place.write(
                "config.json", {**config_of(cloud), **config, "server": server, "upstream": {"fetch_media": False}}
            )
            run = stack.enter_context(place.running("--workers", "1", "--port", str(port)))
            found[name] = Served(name, port, run, cloud)
            if name == "keys":
                found["admin"] = Served("admin", admin, run, cloud, supervisor=True)
        for each in found.values():
            each.run.await_answer(f"http://127.0.0.1:{each.port}")
        yield found


def _break(cloud: Cloud) -> None:
    """Let one of two deployments of most models fail, and of some models all."""
    for at, model in enumerate(MIXED):
        ids = cloud.deployments(model)
        for nth, deployment in enumerate(ids if at % 3 == 0 else ids[: len(ids) // 2]):
            kind = FAULTS[(at + nth) % len(FAULTS)]
            cloud.fault(deployment, kind, after_events=at % 3, retry_after=0.1)
