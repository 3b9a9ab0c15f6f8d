"""An emulated SAP AI Core as a child process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.demo import KEY, Demo, config_for
from gateway.config.settings import load, pools
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

    assert expected == config_for({"eu": TENANT})


def test_a_demo_is_ready_when_it_is_there_and_gone_when_it_is_closed() -> None:
    with Demo() as demo:
        settings = load(demo.config, {}, Path("/nowhere"))
        assert {"eu", "us"} == settings.subaccounts.keys()
        assert "gpt-4.1" in pools(settings)
        assert demo.url in demo.config.read_text()
        assert 0o600 == demo.config.stat().st_mode & 0o777
        assert KEY in json.loads(demo.config.read_text())["secret_authentication_tokens"]
        folder, child = demo.config.parent, demo._child
    demo.close()

    assert not folder.exists()
    assert child.poll() is not None


def test_an_emulator_that_does_not_start_is_told_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(RuntimeError, match="the emulator did not start"):
        Demo()


def test_an_emulator_that_cannot_be_asked_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen] = []

    def fail(self: ManagementClient, url: str, headers: dict) -> None:
        raise OSError(url)

    monkeypatch.setattr(ManagementClient, "get", fail)
    begin = Demo._greeting
    monkeypatch.setattr(Demo, "_greeting", lambda self: (children.append(self._child), begin(self))[1])
    with pytest.raises(OSError, match="admin/tenants"):
        Demo()

    assert [True] == [child.poll() is not None for child in children]
