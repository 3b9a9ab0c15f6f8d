"""What has been done is said and kept where the rest of it fails."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.upstream import provisioning
from tests.gateway.cli.init.conftest import Run
from tests.support.running import Cloud

KeyOf = Callable[..., str]


def test_nothing_is_deployed_where_the_config_file_cannot_be_written(run: Run, new_cloud: Cloud, key_of: KeyOf) -> None:
    (run.folder / f"config.json.{os.getpid()}.tmp").mkdir()
    told = run("init", "-k", key_of("fresh", of=new_cloud), "--deploy", "gpt-5", "--yes")

    assert (told.exit_code, new_cloud.tenants["fresh"]["deployments"]) == (1, [])
    assert told.stderr.startswith("sap-ai-proxy: config.json cannot be written: ")


def test_a_deployment_that_was_created_is_named_where_the_next_one_is_refused(
    run: Run, new_cloud: Cloud, key_of: KeyOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy = provisioning.deploy

    def deploy_once(*arguments: Any) -> str:
        if new_cloud.tenants["fresh"]["deployments"]:
            new_cloud.fault("management:fresh", "403")
        return deploy(*arguments)

    monkeypatch.setattr(provisioning, "deploy", deploy_once)
    told = run("init", "-k", key_of("fresh", of=new_cloud), "--deploy", "gpt-5", "--deploy", "orchestration", "--yes")
    refused, so_far = told.stderr.splitlines()
    [made] = new_cloud.tenants["fresh"]["deployments"]

    assert told.exit_code == 1
    assert refused.startswith("sap-ai-proxy: no deployment of orchestration can be made in the resource group default")
    assert so_far == (
        f"sap-ai-proxy: Done so far: config.json is written, and will serve the deployment {made['id']} of gpt-5 "
        "once that runs: `sap-ai-proxy check` says when."
    )
    assert Path(run.folder / "config.json").exists()
