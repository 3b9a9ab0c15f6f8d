"""An emulated SAP AI Core as a child process."""

import json
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.cli.demo import KEY, Demo, config_for
from gateway.config.loader import load
from gateway.config.settings import pools
from gateway.upstream.management import ManagementClient

TENANT = {
    "resource_group": "team-a",
    "service_key": {"clientid": "c"},
    "deployments": [
        {"id": "d1", "url": "https://x/d1", "model": "gpt-4.1", "status": "RUNNING"},
        {"id": "d2", "url": "https://x/d2", "model": "gpt-4.1", "status": "RUNNING"},
        {"id": "d3", "url": "https://x/d3", "model": "gpt-5", "status": "STOPPED"},
        {"id": "d4", "url": "https://x/d4", "model": None, "status": "RUNNING"},
    ],
}


def test_a_config_file_is_what_a_user_of_the_tenants_would_write() -> None:
    expected = {
        "secret_authentication_tokens": [KEY],
        "subAccounts": {
            "eu": {
                "resource_group": "team-a",
                "service_key": {"clientid": "c"},
                "deployment_models": {"gpt-4.1": ["https://x/d1", "https://x/d2"]},
            }
        },
    }

    assert config_for({"eu": TENANT}) == expected


def listens(url: str) -> bool:
    """Whether somebody takes connections there."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_demo_is_ready_when_it_is_there_and_gone_when_it_is_closed() -> None:
    with Demo() as demo:
        settings = load(demo.config, {}, Path("/nowhere"))
        assert settings.subaccounts.keys() == {"eu", "us"}
        assert {"gpt-5.5", "gemini-3.5-flash", "anthropic--claude-4.5-sonnet"} <= pools(settings).keys()
        assert demo.url in demo.config.read_text()
        assert demo.config.stat().st_mode & 0o777 == 0o600
        assert KEY in json.loads(demo.config.read_text())["secret_authentication_tokens"]
        assert listens(demo.url)
    demo.close()

    assert not demo.config.parent.exists()
    assert not listens(demo.url)


def test_an_emulator_that_does_not_start_is_told_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(RuntimeError, match="the emulator did not start"):
        Demo()


def test_an_emulator_that_cannot_be_asked_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fail(self: ManagementClient, url: str, headers: dict) -> None:
        asked.append((url, listens(url)))
        raise OSError(url)

    monkeypatch.setattr(ManagementClient, "get", fail)
    with pytest.raises(OSError, match="admin/tenants"):
        Demo()

    [(url, listened)] = asked
    assert (listened, listens(url)) == (True, False)
