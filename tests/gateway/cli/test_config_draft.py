"""A config file that is edited: what stays of it, and of how it was before."""

import json
import os
from pathlib import Path

import pytest

from gateway.cli.config_draft import ConfigDraft
from gateway.cli.connect.files import COPY, replace_file
from gateway.cli.messages import CommandError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def draft(path: Path, *place: str) -> ConfigDraft:
    """A draft of the file that sets one thing."""
    made = ConfigDraft(path, {})
    made.set(place or ("port",), 4000)
    return made


def test_a_config_file_with_a_byte_order_mark_is_edited(path: Path) -> None:
    before = b'\xef\xbb\xbf{"host": "::1"}'
    path.write_bytes(before)
    said = draft(path).write()

    assert json.loads(path.read_text("utf-8-sig")) == {"host": "::1", "port": 4000}
    assert path.with_name(path.name + COPY).read_bytes() == before
    assert said == [f"wrote {path} (as it was: config.json{COPY})"]


def test_the_copy_of_before_stays_where_the_file_cannot_be_edited(path: Path) -> None:
    path.write_text('{"port": 1}')
    copy = path.with_name(path.name + COPY)
    copy.write_text("how it was before")
    with pytest.raises(CommandError) as raised:
        draft(path, "port", "of_what").write()

    assert copy.read_text() == "how it was before"
    assert str(raised.value).startswith(f"{path} is not written: ")
    assert str(raised.value).endswith("; correct that first, or give another --config FILE")


@pytest.mark.parametrize(("before", "after"), [(0o640, 0o640), (0o660, 0o660), (0o644, 0o600), (0o400, 0o600)])
def test_a_group_that_alone_might_read_the_file_still_may(path: Path, before: int, after: int) -> None:
    path.write_text("{}")
    path.chmod(before)
    draft(path).write()

    assert path.stat().st_mode & 0o777 == after
    assert path.with_name(path.name + COPY).stat().st_mode & 0o777 == 0o600


AS_ROOT = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")


@AS_ROOT
def test_a_file_of_another_user_stays_theirs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("{}")
    path.chmod(0o640)
    os.chown(path, 12345, 23456)
    draft(path).write()

    for each in (path, path.with_name(path.name + COPY)):
        assert (each.stat().st_uid, each.stat().st_gid) == (12345, 23456)
    assert (path.stat().st_mode & 0o777, capsys.readouterr().err) == (0o640, "")


@AS_ROOT
def test_where_a_file_cannot_stay_that_of_another_user_is_warned(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, user: int, group: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    path.write_text("{}")
    os.chown(path, 12345, 23456)
    replace_file(path, "{} ", 0o640, chown=refuse)

    assert (path.read_text(), path.stat().st_mode & 0o777) == ("{} ", 0o600)
    assert capsys.readouterr().err == (
        f"warning: {path} belonged to another user or group, who may no longer be able to read it: it is yours now\n"
    )
