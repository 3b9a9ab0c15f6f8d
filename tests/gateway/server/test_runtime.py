"""What a process reports of its last hour, and how it follows what operators change."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.observability.history import BUCKETS
from gateway.server.change_log import ChangeLog
from gateway.server.process_table import ProcessTable
from gateway.server.runtime import Runtime
from gateway.server.status_board import StatusBoard

NOW = 1_800_000_000.0
GONE = 4_000_000
"""The id of no process."""


class Clock:
    """The time, in seconds since the epoch, which the tests set."""

    time = NOW

    def __call__(self) -> float:
        return self.time


def rows(requests: int, minute: int = int(NOW // 60)) -> list[dict[str, Any]]:
    return [{"of": ["", "", "gpt-5"], "buckets": [[requests, 0, 0.0, 0, 0, 0, 0, 0, minute]]}]


def requests_in(history: dict[str, Any]) -> list[int]:
    return history["models"][0]["requests"] if history["models"] else []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(tmp_path: Path, clock: Clock) -> StatusBoard:
    folder = tmp_path / "board"
    folder.mkdir()
    return StatusBoard(ProcessTable(), folder, clock)


def published_by(board: StatusBoard, pid: int, requests: int) -> None:
    """Leave the history of another process in its file."""
    seen_by_others(board).publish_history(rows(requests))
    assert board.folder is not None
    (board.folder / f"history-{os.getpid()}.json").rename(board.folder / f"history-{pid}.json")


def seen_by_others(board: StatusBoard) -> StatusBoard:
    """The same board as another process has it: what this one has said is in files alone."""
    return StatusBoard(board.table, board.folder, lambda: NOW)


@pytest.fixture
def runtime(board: StatusBoard) -> Iterator[Runtime]:
    board.folder, folder = None, board.folder  # metrics are shared by a process once and for all
    runtime = Runtime(board, board.table.take_row(os.getpid()), None, ChangeLog(None))
    board.folder = folder
    yield runtime
    runtime.drain.close()


def test_the_last_hour_is_that_of_all_workers(board: StatusBoard, runtime: Runtime) -> None:
    board.table.take_row(GONE)
    published_by(board, GONE, 5)
    runtime.report_with(dict, lambda: (True, {}), lambda: rows(2))

    assert requests_in(runtime.history()) == [*[0] * (BUCKETS - 1), 7]


def test_the_last_hour_of_a_worker_that_has_ended_stays_for_an_hour(board: StatusBoard, clock: Clock) -> None:
    board.table.take_row(GONE)
    published_by(board, GONE, 5)
    for _ in range(2):  # the worker itself, and then its supervisor
        board.forget(GONE)

    assert requests_in(board.history())[-1] == 5
    clock.time += 3_661
    board.forget(GONE + 1)
    assert requests_in(board.history()) == []
    assert [*(board.folder or Path()).iterdir()] == []


def test_of_so_many_workers_that_have_ended_the_history_is_kept_and_no_more(board: StatusBoard) -> None:
    for pid in range(GONE, GONE + 70):
        published_by(board, pid, 1)
        board.forget(pid)

    assert requests_in(board.history())[-1] == 64


def test_the_last_hour_is_published_with_the_state_every_two_seconds(board: StatusBoard, runtime: Runtime) -> None:
    counts = iter(range(1, 10))
    runtime.report_with(dict, lambda: (True, {}), lambda: rows(next(counts)))
    seen = []
    for second in range(6):
        board.table.states_asked += 1  # as another process does whose dashboard asks every second
        runtime.publish(float(second))
        seen.append(requests_in(seen_by_others(board).history())[-1])

    assert seen == [1, 1, 2, 2, 3, 3]


def test_a_process_that_ends_leaves_its_last_hour_to_the_others(board: StatusBoard, runtime: Runtime) -> None:
    runtime.report_with(dict, lambda: (True, {}), lambda: rows(1))
    runtime.start_publishing()
    runtime.report_with(dict, lambda: (True, {}), lambda: rows(3))
    runtime.close()
    seen_by_others(board).forget(os.getpid())

    assert requests_in(seen_by_others(board).history())[-1] == 3


def test_changes_of_all_workers_are_applied_and_those_before_the_start_are_known_as_such(tmp_path: Path) -> None:
    table = ProcessTable()
    own, other = (ChangeLog(tmp_path / "changes") for _ in range(2))
    other.append({"change": 1})
    runtime = Runtime(StatusBoard(table, None), table.take_row(os.getpid()), None, own)
    applied: list[tuple[Any, bool]] = []
    runtime.follow_with(lambda change, is_new: applied.append((change["change"], is_new)))
    runtime.follow(is_start=True)
    other.append({"change": 2})
    runtime.follow()
    runtime.drain.close()

    assert applied == [(1, False), (2, True)]


def test_whoever_changes_something_waits_until_it_is_applied_here(runtime: Runtime) -> None:
    applied: list[int] = []
    runtime.follow_with(lambda change, _: applied.append(threading.get_ident()))
    runtime.start_publishing()
    done = runtime.change({})
    count = len(applied)
    runtime.close()

    assert (done, count) == (True, 1)
    assert applied != [threading.get_ident()]


def test_a_change_that_cannot_be_applied_is_logged_and_keeps_no_other_from_it(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    applied: list[int] = []

    def apply(change: dict[str, Any], _: bool) -> None:
        applied.append(1 // change["by"])

    runtime.follow_with(apply)
    runtime.start_publishing()
    done = [runtime.change({"by": by}) for by in (0, 1)]
    runtime.close()

    assert (done, applied) == ([False, True], [1])
    assert [record.getMessage() for record in caplog.records] == ["what an operator has changed cannot be applied"]
