"""An emulator that runs, and somebody in each tenant."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emulator import Running, World, serve
from tests.emulator.client import Client
from tests.support.worlds import mixed_world

CALM = {"converse_sse": "repr", "split": None, "expires_in": 43199, "latency": 0, "catalogue": True, "startup": 10.0}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serve(mixed_world()) as server:
        yield server


@pytest.fixture
def running(server: Running) -> Running:
    """The module's emulator, with nothing left of what an earlier test did to it."""
    client = Client(server.url)
    with client.session:
        client.admin("DELETE", "faults")
        client.admin("DELETE", "cache")
        client.admin("DELETE", "requests")
        client.admin("PUT", "settings", CALM)
    return server


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
def elsewhere() -> Iterator[Callable[..., Client]]:
    """Start an emulator of another world."""
    opened = []

    def start(world: World, tenant: str, **options: Any) -> Client:
        server = serve(world, **options)
        opened.append(server)
        client = Client(server.url, tenant)
        opened.append(client.session)
        return client

    yield start
    for one in reversed(opened):
        one.close()
