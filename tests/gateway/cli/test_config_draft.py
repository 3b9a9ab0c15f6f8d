"""A config file that is edited: what stays of it, and of how it was before."""

import json
from pathlib import Path

import pytest

from gateway.cli.config_draft import ConfigDraft
from gateway.cli.connect.files import COPY
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
    assert str(raised.value).endswith("; put that right first, or give another --config FILE")
