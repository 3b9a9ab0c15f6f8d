"""The proxy in front of the emulator, both in this process and on real sockets."""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from gateway.cli.demo import config_for
from gateway.config.loader import load
from gateway.gateway import Gateway
from proxy_server import create_app
from tests import oracles

KEY = "sk-demo"


@dataclass
class Cloud:
    """The emulator as its admin paths show it."""

    url: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    @property
    def tenants(self) -> dict[str, Any]:
        return self.ask("GET", "/admin/tenants")

    def deployments(self, model: str, tenant: str | None = None) -> list[str]:
        """The ids of the running deployments of a model, tenant by tenant."""
        return [
            each["id"]
            for name, known in self.tenants.items()
            for each in known["deployments"]
            if each["model"] == model and each["status"] == "RUNNING" and tenant in (None, name)
        ]

    def fault(self, deployment: str, kind: str, **more: Any) -> None:
        self.ask("PUT", f"/admin/faults/{deployment}", {"kind": kind, **more})

    def heal(self) -> None:
        self.ask("DELETE", "/admin/faults")

    def requests(self, deployment: str | None = None) -> list[dict[str, Any]]:
        """The inference calls so far, in order."""
        known = self.ask("GET", "/admin/requests" + (f"?deployment={deployment}" if deployment else ""))
        return [each for each in known if each.get("deployment")]

    def forget(self) -> None:
        self.ask("DELETE", "/admin/requests")

    def check_requests(self) -> None:
        """Hold every body that was sent and accepted against its vendor's own definition."""
        for each in self.requests():
            if each["method"] == "POST" and each["status"] == 200:
                oracles.check_request(each["path"], each["body"])


@dataclass
class Proxy:
    """A served proxy."""

    url: str
    gateway: Gateway
    cloud: Cloud

    @property
    def in_flight(self) -> int:
        return sum(state.in_flight for state in self.gateway.balancer.snapshot())

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> "HttpAnswer":
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.url + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return HttpAnswer(answer.status, _lower(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return HttpAnswer(error.code, _lower(error.headers), error.read())


@dataclass
class HttpAnswer:
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def running_proxy(
    cloud: Cloud, folder: Path, *, now: Callable[[], float] = time.time, **config: Any
) -> Iterator[Proxy]:
    """Serve a proxy in front of *cloud*; *config* adds to, or replaces, keys of its config file, *now* is its date."""
    file = folder / "config.json"
    file.write_text(json.dumps({**config_for(cloud.tenants), **config}))
    with serving(load(file, {}, folder), cloud, now) as proxy:
        yield proxy


@contextmanager
def serving(settings: Any, cloud: Cloud, now: Callable[[], float] = time.time) -> Iterator[Proxy]:
    """Serve a proxy with these settings."""
    gateway = Gateway(settings, now=now)
    server = make_server("127.0.0.1", 0, create_app(settings, gateway), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Proxy(f"http://127.0.0.1:{server.server_port}", gateway, cloud)
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()
        gateway.close()


def config_of(cloud: Cloud, models: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    """Write a config file for *cloud*, with only these models if some are named."""
    config = config_for(cloud.tenants)
    for account in config["subAccounts"].values():
        if models is not None:
            account["deployment_models"] = {m: u for m, u in account["deployment_models"].items() if m in models}
    return config
