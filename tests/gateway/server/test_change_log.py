"""Changes that every worker reads in the same order."""

import logging
import os
import resource
import signal
from pathlib import Path

import pytest

from gateway.server.change_log import ChangeLog


def test_each_reader_gets_each_change_once_and_in_one_order(tmp_path: Path) -> None:
    one, other = (ChangeLog(tmp_path / "changes") for _ in range(2))
    one.append({"action": "drain"})
    other.append({"action": "restore"})
    first = [*one.read()]
    one.append({"action": "strategy"})

    assert [each["action"] for each in first] == ["drain", "restore"]
    assert [each["action"] for each in one.read()] == ["strategy"]
    assert [each["action"] for each in other.read()] == ["drain", "restore", "strategy"]
    assert [*other.read()] == []


def test_a_change_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "changes"
    file.write_bytes(b'{"action":"drain"}\n{"action":"res')
    reader = ChangeLog(file)

    assert [each["action"] for each in reader.read()] == ["drain"]
    with file.open("ab") as more:
        more.write(b'tore"}\n')
    assert [each["action"] for each in reader.read()] == ["restore"]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_change_whose_writer_died_is_skipped_once_and_no_other_change_is_lost(
    end: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = ChangeLog(tmp_path / "changes")
    log.append({"action": "drain"})
    with (tmp_path / "changes").open("a") as dying:
        dying.write('{"action":"res' + end)
    log.append({"action": "strategy"})
    with caplog.at_level(logging.WARNING):
        first = [*log.read()]
    log.append({"action": "restore"})

    assert [each["action"] for each in first] == ["drain", "strategy"]
    assert caplog.messages == [
        "a change of an operator is skipped: the process that wrote it ended before it was complete"
    ]
    assert [each["action"] for each in log.read()] == ["restore"]
    assert len(caplog.messages) == 1


def test_a_change_that_fits_only_in_part_is_refused_and_the_next_one_is_read(tmp_path: Path) -> None:
    file = tmp_path / "changes"
    log, most = ChangeLog(file), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, most[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            log.append({"action": "drain"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
        signal.signal(signal.SIGXFSZ, handler)
    log.append({"action": "restore"})

    assert file.read_bytes() == b'\n{"actio\n{"action":"restore"}\n'
    assert [*log.read()] == [{"action": "restore"}]


def test_what_another_process_appends_is_read_here(tmp_path: Path) -> None:
    log = ChangeLog(tmp_path / "changes")
    pid = os.fork()
    if not pid:
        log.append({"action": "drain"})
        os._exit(0)
    os.waitpid(pid, 0)

    assert [*log.read()] == [{"action": "drain"}]


def test_a_change_can_be_read_by_nobody_else(tmp_path: Path) -> None:
    ChangeLog(tmp_path / "changes").append({})

    assert (tmp_path / "changes").stat().st_mode & 0o777 == 0o600


def test_without_a_file_the_changes_stay_in_this_process() -> None:
    log = ChangeLog(None)
    log.append({"action": "drain"})
    first = [*log.read()]
    log.append({"action": "restore"})

    assert (first, [*log.read()], [*log.read()]) == ([{"action": "drain"}], [{"action": "restore"}], [])
