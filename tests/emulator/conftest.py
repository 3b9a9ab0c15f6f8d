"""An emulator to ask, and hands to ask it with."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from emulator import Running, World, serve


@dataclass
class Client:
    """Somebody who holds the service keys."""

    url: str
    tenant: str = "eu"
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.tenants = self.session.get(f"{self.url}/admin/tenants").json()
        self.key = self.tenants[self.tenant]["service_key"]
        self.group = self.tenants[self.tenant]["resource_group"]
        self.token = self.new_token()

    def new_token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.key["clientid"],
            "client_secret": self.key.get("clientsecret", ""),
        }
        return self.session.post(self.key["url"] + "/oauth/token", data=form).json()["access_token"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "AI-Resource-Group": self.group}

    def deployment(self, model: str | None, number: int = 0) -> str:
        found = [one for one in self.tenants[self.tenant]["deployments"] if one["model"] == model]
        return [one["id"] for one in found if one["status"] == "RUNNING"][number]

    def post(self, model: str | None, path: str, body: Any, **kwargs: Any) -> requests.Response:
        headers = {**self.headers, **kwargs.pop("headers", {})}
        url = f"{self.url}/v2/inference/deployments/{self.deployment(model, kwargs.pop('number', 0))}/{path}"
        return self.session.post(url, json=body, headers=headers, timeout=20, **kwargs)

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return self.session.get(self.url + path, headers={**self.headers, **kwargs.pop("headers", {})}, **kwargs)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, f"{self.url}/admin/{path}", json=body, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fault(self, model: str | None, number: int = 0, **fault: Any) -> str:
        id = self.deployment(model, number)
        self.admin("PUT", f"faults/{id}", fault)
        return id


def sse(raw: bytes) -> list[bytes]:
    """The data of every event."""
    return [line[6:] for line in raw.split(b"\n") if line.startswith(b"data: ")]


def events(raw: bytes) -> list[Any]:
    return [json.loads(data) for data in sse(raw) if data != b"[DONE]"]


@pytest.fixture
def running() -> Iterator[Running]:
    with serve() as server:
        yield server


@pytest.fixture
def eu(running: Running) -> Iterator[Client]:
    client = Client(running.url)
    with client.session:
        yield client


@pytest.fixture
def us(running: Running) -> Iterator[Client]:
    client = Client(running.url, "us")
    with client.session:
        yield client


@pytest.fixture
def world_client() -> Iterator[Any]:
    """Start an emulator of another world."""
    opened = []

    def start(world: World, tenant: str = "eu", **options: Any) -> Client:
        server = serve(world, **options)
        client = Client(server.url, tenant)
        opened.append((client, server))
        return client

    yield start
    for client, server in opened:
        client.session.close()
        server.close()
