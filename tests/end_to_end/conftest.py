"""What tests share: an emulated SAP AI Core, and the proxy in front of it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import emulator
from emulator.world import World, tenant
from gateway.http.failed_keys import FailedKeys
from tests.support.running import Cloud, Proxy, running_proxy
from tests.support.talking import MODELS
from tests.support.worlds import mixed_world


@pytest.fixture(scope="session")
def shared_cloud() -> Iterator[Cloud]:
    """An emulator that nobody breaks."""
    with emulator.serve(mixed_world()) as running:
        yield Cloud(running.url)


@pytest.fixture(scope="session")
def shared_proxy(shared_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy in front of the emulator that nobody breaks."""
    with running_proxy(shared_cloud, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def proxy(shared_proxy: Proxy) -> Iterator[Proxy]:
    """The shared proxy; whatever the test makes it send is held against the vendors' definitions.

    The wrong keys of other tests are forgotten.
    """
    shared_proxy.cloud.forget()
    shared_proxy.gateway.failed_keys = FailedKeys()
    yield shared_proxy
    shared_proxy.cloud.check_requests()


@pytest.fixture(scope="session")
def shared_wide_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy in front of every model that talks, each deployed once."""
    world = World((tenant("eu", "default", MODELS, copies=1),))
    with emulator.serve(world) as running, running_proxy(Cloud(running.url), tmp_path_factory.mktemp("wide")) as proxy:
        yield proxy


@pytest.fixture
def wide_proxy(shared_wide_proxy: Proxy) -> Iterator[Proxy]:
    """The wide proxy; what it sends is held against the vendors' definitions, and faults end with the test."""
    shared_wide_proxy.cloud.forget()
    yield shared_wide_proxy
    shared_wide_proxy.cloud.heal()
    shared_wide_proxy.cloud.check_requests()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """An emulator of one's own, to break."""
    with emulator.serve(mixed_world()) as running:
        yield Cloud(running.url)


@pytest.fixture
def own_proxy(cloud: Cloud, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy of one's own, in front of an emulator of one's own."""
    with running_proxy(cloud, tmp_path) as proxy:
        yield proxy
    cloud.check_requests()


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    log = logging.getLogger("sap_ai_proxy")
    before = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(before)
