"""Warnings about files that other users of this machine can read or change."""

import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.config.file_permissions import with_judged_files
from gateway.config.loader import load
from tests.gateway.configs import KEY, with_account

with suppress(ImportError):
    import grp
    import pwd

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files have other permissions there")

READ = "every user of this machine can read this file, which has secrets; run `chmod o-rwx {0}`"
CHANGE = "other users of this machine can change this file; run `chmod go-w {0}`"
REPLACE = "other users of this machine can replace files in this folder; run `chmod go-w {0}`"
CALLER = "sk-of-a-caller-0001"
OTHERS_GROUP = 12345
"""A group that is not the owner's alone."""


@pytest.fixture
def folder():
    """A folder that everybody reaches, unlike those that pytest makes."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


@pytest.fixture
def warnings_of(folder, home):
    """Writes files with these permissions, and gives the warnings about them."""

    def warnings_of(config, modes, env=None):
        (folder / "eu.json").write_text(json.dumps(KEY))
        (folder / "config.json").write_text(json.dumps(config))
        for name, mode in {"eu.json": 0o600, "config.json": 0o600, **modes}.items():
            (folder / name).chmod(mode)
        return with_judged_files(load(folder / "config.json", env or {}, home)).warnings

    return warnings_of


WITH_KEY = with_account() | {"secret_authentication_tokens": [CALLER]}


@pytest.mark.parametrize("name", ["config.json", "eu.json"])
def test_a_file_with_secrets_that_everybody_can_read_is_warned_of(folder, warnings_of, name):
    path = folder / name

    assert warnings_of(WITH_KEY, {name: 0o644}) == (f"{path}: {READ.format(path)}",)


def test_a_config_file_without_secrets_may_be_read_by_everybody(warnings_of):
    config = with_account() | {"secret_authentication_tokens": ["${CALLERS_KEY}"]}

    assert warnings_of(config, {"config.json": 0o644}, {"CALLERS_KEY": CALLER}) == ()


def test_a_group_may_read_a_file_with_secrets_as_in_kubernetes(warnings_of):
    assert warnings_of(WITH_KEY, {"config.json": 0o640, "eu.json": 0o440}) == ()


def test_what_lies_in_a_private_folder_is_read_by_nobody(folder, warnings_of):
    folder.chmod(0o700)

    assert warnings_of(WITH_KEY, {"config.json": 0o644, "eu.json": 0o644}) == ()


@pytest.mark.parametrize("name", ["config.json", "eu.json"])
def test_a_file_that_others_can_change_is_warned_of(folder, warnings_of, name):
    path = folder / name

    assert warnings_of(WITH_KEY, {name: 0o602}) == (f"{path}: {CHANGE.format(path)}",)


def test_a_folder_in_which_others_can_replace_files_is_warned_of_once(folder, warnings_of):
    folder.chmod(0o757)

    assert warnings_of(WITH_KEY, {}) == (f"{folder}: {REPLACE.format(folder)}",)


def test_in_a_folder_with_the_sticky_bit_nobody_replaces_files_of_others(folder, warnings_of):
    folder.chmod(0o1777)

    assert warnings_of(WITH_KEY, {}) == ()


def test_the_group_that_a_user_has_alone_changes_nothing_for_others(folder, warnings_of):
    """Many Linux systems give each user such a group, and files that it can write."""
    owner = pwd.getpwuid(os.geteuid())
    if grp.getgrgid(owner.pw_gid).gr_name != owner.pw_name:
        pytest.skip("this user has no group of its own")

    assert warnings_of(WITH_KEY, {"config.json": 0o660}) == ()


def test_another_group_that_can_change_a_file_is_warned_of(folder, warnings_of):
    warnings_of(WITH_KEY, {})
    path = folder / "config.json"
    try:
        os.chown(path, -1, OTHERS_GROUP)
    except PermissionError:
        pytest.skip("only root may give a file to another group")

    assert warnings_of(WITH_KEY, {"config.json": 0o660}) == (f"{path}: {CHANGE.format(path)}",)


def test_key_files_of_certificates_and_the_certificates_that_are_trusted_are_looked_at(folder, home):
    key = {name: value for name, value in KEY.items() if name not in ("clientsecret", "url")}
    key |= {"certurl": KEY["url"], "cert_file_path": "c.pem", "key_file_path": "k.pem"}
    config = {"subAccounts": {"eu": {"service_key": key}}, "upstream": {"ca_bundle": "ca.pem"}}
    for name, mode in {"c.pem": 0o644, "k.pem": 0o644, "ca.pem": 0o646, "config.json": 0o644}.items():
        path = folder / name
        path.write_text(json.dumps(config) if name == "config.json" else f"text of {name}")
        path.chmod(mode)
    secret, bundle = folder / "k.pem", folder / "ca.pem"

    assert with_judged_files(load(folder / "config.json", {}, home)).warnings == (
        f"{bundle}: {CHANGE.format(bundle)}",
        f"{secret}: {READ.format(secret)}",
    )


def test_a_link_is_judged_by_the_file_that_it_leads_to(folder, warnings_of):
    warnings_of(WITH_KEY, {})
    (folder / "eu.json").rename(folder / "elsewhere.json")
    (folder / "eu.json").symlink_to(folder / "elsewhere.json")
    (folder / "elsewhere.json").chmod(0o644)
    path = folder / "elsewhere.json"

    assert with_judged_files(load(folder / "config.json", {}, None)).warnings == (f"{path}: {READ.format(path)}",)


def test_the_file_where_saps_tools_keep_a_key_is_looked_at(folder, home):
    file = folder / "sap.json"
    names = {"AICORE_CLIENT_ID": "c", "AICORE_CLIENT_SECRET": "hunter2", "AICORE_AUTH_URL": "https://auth.example"}
    file.write_text(json.dumps(names | {"AICORE_BASE_URL": "https://api.example"}))
    file.chmod(0o644)

    assert with_judged_files(load(None, {"AICORE_CONFIG": str(file)}, home)).warnings == (
        f"{file}: {READ.format(file)}",
    )
