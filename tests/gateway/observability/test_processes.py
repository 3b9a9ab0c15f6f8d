"""What the system says of a process."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.observability.processes import usage_of

STAT = "77 (a (strange) name) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 17 18 1000 20 30 23\n"
"""250 ticks of CPU time in user and 50 in system mode, started 1000 ticks after the system; 30 pages."""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A folder like Linux's `/proc` with one process."""
    process = tmp_path / "77"
    (process / "fd").mkdir(parents=True)
    for descriptor in "012":
        (process / "fd" / descriptor).touch()
    (process / "stat").write_text(STAT)
    (process / "limits").write_text(
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max open files            1024                 524288               files\n"
    )
    (tmp_path / "stat").write_text("cpu  1 2 3\nbtime 1700000000\n")
    return tmp_path


def test_usage_is_read_from_the_files_of_a_process_whatever_its_program_is_called(proc: Path) -> None:
    used = usage_of(77, proc)
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")

    assert used is not None
    assert (used.cpu_seconds, used.resident_bytes) == (300 / ticks, 30 * page)
    assert used.start_time == 1_700_000_000 + 1000 / ticks
    assert (used.open_descriptors, used.most_descriptors) == (3, 1024)


def test_what_the_system_does_not_say_is_left_out(proc: Path) -> None:
    (proc / "stat").write_text("cpu  1 2 3\n")
    (proc / "77/limits").write_text("Max open files            unlimited            unlimited            files\n")
    for descriptor in (proc / "77/fd").iterdir():
        descriptor.unlink()
    (proc / "77/fd").rmdir()
    used = usage_of(77, proc)

    assert used is not None
    assert (used.start_time, used.open_descriptors, used.most_descriptors) == (None, None, None)


def test_a_process_that_has_ended_and_a_system_without_such_files_say_nothing(proc: Path) -> None:
    (proc / "78").mkdir()
    (proc / "78/stat").write_text("")

    assert [usage_of(pid, proc) for pid in (78, 79)] == [None, None]
    assert usage_of(77, proc / "nowhere") is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these files")
def test_a_process_that_runs_is_seen_by_another_one() -> None:
    code, pipe = "print('here', flush=True); input()", subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = usage_of(process.pid)
        process.communicate(b"\n")

    assert used is not None
    assert used.resident_bytes > 0
    assert used.open_descriptors is None or used.open_descriptors >= 1
    assert used.start_time is None or abs(used.start_time - time.time()) < 600
