"""What has been done is said and kept where the rest of it fails."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.init.subaccount import keep_from_others
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
    assert refused.startswith(
        "sap-ai-proxy: a deployment of orchestration cannot be created in the resource group default"
    )
    assert so_far == (
        f"sap-ai-proxy: Done so far: config.json is written, and will serve the deployment {made['id']} of gpt-5 "
        "once that runs: `sap-ai-proxy check` says when."
    )
    assert Path(run.folder / "config.json").exists()


def test_a_key_that_a_link_leads_to_is_named_as_it_is_called(run: Run, key_of: KeyOf, cloud: Cloud) -> None:
    own, link = run.folder / "mine.json", run.folder.parent / "link.json"
    own.write_text(json.dumps(cloud.tenants["eu"]["service_key"]))
    link.symlink_to(own)
    told = run("init", "-k", str(link))

    assert told.exit_code == 0, told.output
    assert run.config["subAccounts"]["eu"]["service_key_json"] == "mine.json"


def test_a_key_file_whose_mode_cannot_be_changed_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    path = tmp_path / "key.json"
    path.write_text("{}")
    path.chmod(0o644)
    refused, warning = keep_from_others(path, refuse), capsys.readouterr().err

    assert (refused, keep_from_others(path), keep_from_others(path)) == (False, True, False)
    assert (
        warning == f"warning: {path} can be read by others, and its mode cannot be changed: Operation not permitted\n"
    )
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_config_file_below_a_file_is_one_line_that_says_so(run: Run, key_of: KeyOf) -> None:
    file = run.folder / "file.json"
    file.write_text("{}")
    arguments = ("-c", "file.json/config.json", "init", "-k", key_of("eu"))
    told, shown = run(*arguments), run(*arguments, "--dry-run")

    assert [told.exit_code, shown.exit_code] == [1, 1]
    assert told.stderr == (
        f"sap-ai-proxy: file.json/config.json cannot be written: {file} is not a folder; give another --config FILE.\n"
    )
    assert shown.stderr == (
        "sap-ai-proxy: file.json/eu_key.json cannot be read: Not a directory; give another --config FILE.\n"
    )
