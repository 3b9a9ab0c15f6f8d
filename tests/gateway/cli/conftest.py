"""What tests of the command line begin with: an emulated SAP AI Core, and a server that only notes what it serves."""

from collections.abc import Iterator
from typing import Any

import pytest

import emulator
from gateway.cli import startup
from gateway.config.settings import Settings
from tests.support.running import Cloud
from tests.support.worlds import mixed_world


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with emulator.serve(mixed_world()) as running:
        yield Cloud(running.url)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What would have been served: that it is, tests in processes of their own show."""
    found: list[Settings] = []

    def serve(settings: Settings, *_: Any) -> int:
        found.append(settings)
        return 0

    monkeypatch.setattr(startup, "serve", serve)
    return found
