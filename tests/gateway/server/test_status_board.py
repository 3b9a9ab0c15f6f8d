"""What workers say of themselves, and what is made of it."""

import json
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, values

from dialects.core.conversation import JSON
from gateway.observability.activity import Activity
from gateway.router_state import router_state
from gateway.server.child_process import Child
from gateway.server.process_table import MOST_PROCESSES, ProcessTable
from gateway.server.runtime import Runtime
from gateway.server.status_board import StatusBoard
from routing.load_balancer import LoadBalancer
from tests.routing.scenes import endpoint


def test_a_row_is_free_again_when_its_process_is_gone() -> None:
    table = ProcessTable()
    first, second = table.take_row(11), table.take_row(12)
    first.accepting = first.ready = first.retiring = True
    first.open_requests = 7
    second.lines_dropped = 3
    first.free()
    again = table.take_row(13)

    assert [row.pid for row in table.rows()] == [13, 12]
    assert (again.accepting, again.ready, again.retiring, again.open_requests) == (False, False, False, 0)
    assert second.lines_dropped == 3


def test_a_table_is_full_some_time() -> None:
    table = ProcessTable()
    for pid in range(1, MOST_PROCESSES + 1):
        table.take_row(pid)

    with pytest.raises(OSError, match="1024 worker processes"):
        table.take_row(5000)


def test_what_a_child_writes_its_parent_reads() -> None:
    table = ProcessTable()
    row = table.take_row(1)
    pid = os.fork()
    if not pid:
        row.open_requests = 5
        table.draining = True
        os._exit(0)
    os.waitpid(pid, 0)

    assert (row.open_requests, table.draining) == (5, True)


def test_the_folder_is_private_and_is_removed(tmp_path: Path) -> None:
    board = StatusBoard.create(ProcessTable(), [tmp_path])
    assert board.folder is not None

    assert tmp_path == board.folder.parent
    assert stat.S_IMODE(board.folder.stat().st_mode) == 0o700
    board.remove()
    assert list(tmp_path.iterdir()) == []


def test_without_the_first_folder_the_next_one_is_taken_and_without_any_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = tmp_path / "nowhere"

    assert tmp_path == StatusBoard.create(ProcessTable(), [nowhere, tmp_path]).folder.parent  # type: ignore[union-attr]
    assert caplog.records == []
    assert StatusBoard.create(ProcessTable(), [nowhere]).folder is None
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "each worker reports only its own state and metrics"
    ]


def published(board: StatusBoard, readiness: JSON, state: JSON) -> int:
    """Have another process say something of itself; give its id, as if it still ran."""
    pid = os.fork()
    if not pid:
        board.publish_readiness(readiness)
        board.publish_state(state)
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatusBoard:
    # A runtime with such a board has all metrics of its process shared from then on.
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return StatusBoard.create(ProcessTable(), [tmp_path])


def test_every_process_knows_the_routers_of_all(board: StatusBoard) -> None:
    one = published(board, {}, {"strategies": {"a": "x"}, "endpoints": [{"deployment": "d1"}]})
    two = published(board, {}, {"strategies": {"b": "y"}, "endpoints": [{"deployment": "d1"}]})
    for pid in (one, two):
        row = board.table.take_row(pid)
        row.accepting, row.open_requests = True, pid
    told = board.router_state()

    assert told["strategies"] == {"a": "x", "b": "y"}
    assert told["endpoints"] == [{"deployment": "d1", "worker": one}, {"deployment": "d1", "worker": two}]
    assert [(one, one), (two, two)] == [(each["worker"], each["open_requests"]) for each in told["workers"]]
    board.forget(two)
    assert len(board.router_state()["endpoints"]) == 1


def test_a_model_that_ends_is_told_once_however_many_workers_know(board: StatusBoard) -> None:
    ending, other = {"model": "gpt-4.1", "on": "2026-10-14"}, {"model": "o3", "on": "2026-10-16"}
    for endings in ([ending], [ending, other]):
        board.table.take_row(published(board, {}, {"endings": endings}))

    assert board.router_state()["endings"] == [ending, other]


def test_strategies_are_those_of_the_workers_that_stay(board: StatusBoard) -> None:
    for strategy, is_retiring in (("new", False), ("old", True)):
        row = board.table.take_row(published(board, {}, {"strategies": {"a": strategy}}))
        row.retiring = is_retiring

    assert board.router_state()["strategies"] == {"a": "new"}


def test_decisions_and_outcomes_are_those_of_all_workers_the_newest_first(board: StatusBoard) -> None:
    """Each names its worker; as many as one worker keeps are kept of all."""
    pids = []
    for first, outcomes in ((1, {"ok": 60}), (2, {"ok": 50, "timeout": 10})):
        decisions = [{"at": float(at)} for at in range(first + 118, first - 2, -2)]
        pids.append(published(board, {}, {"decisions": decisions, "outcomes": outcomes, "started": first}))
        board.table.take_row(pids[-1])
    told = board.router_state()

    assert [each["at"] for each in told["decisions"]] == [float(at) for at in range(120, 20, -1)]
    assert {each["at"] % 2: each["worker"] for each in told["decisions"]} == {1.0: pids[0], 0.0: pids[1]}
    assert told["outcomes"] == {"ok": 110, "timeout": 10}
    assert [(each["started"], each["outcomes"]) for each in told["workers"]] == [
        (1, {"ok": 60}), (2, {"ok": 50, "timeout": 10})
    ]  # fmt: skip


def test_the_state_says_how_the_proxy_is_and_since_when(tmp_path: Path) -> None:
    times = iter((1_000.0, 1_060.0))
    board = StatusBoard(ProcessTable(), tmp_path, now=lambda: next(times))
    readiness = {"status": "ready", "subaccounts": {"eu": "ok"}}
    row = board.table.take_row(published(board, readiness, {"version": "1.2.3"}))
    row.accepting = row.ready = True
    told = board.router_state()

    assert {name: told[name] for name in ("started", "at", "version", "status", "subaccounts")} == {
        "started": 1_000.0, "at": 1_060.0, "version": "1.2.3", **readiness
    }  # fmt: skip


def test_it_is_ready_when_one_worker_that_stays_is_ready_and_not_while_it_drains(board: StatusBoard) -> None:
    sick = published(board, {"status": "not ready", "why": ["no token"]}, {})
    well = published(board, {"status": "ready", "subaccounts": "1/2"}, {})
    rows = {pid: board.table.take_row(pid) for pid in (sick, well)}

    assert board.readiness() == (503, {"status": "not ready"})
    rows[sick].accepting = True
    assert board.readiness() == (503, {"status": "not ready", "why": ["no token"]})
    rows[well].accepting = rows[well].ready = True
    assert board.readiness() == (200, {"status": "ready", "subaccounts": "1/2"})
    rows[well].retiring = True
    assert board.readiness()[0] == 503
    rows[well].retiring = False
    board.table.draining = True
    assert board.readiness() == (503, {"status": "draining"})


def test_a_folder_that_has_gone_costs_the_others_the_news_alone(board: StatusBoard) -> None:
    board.remove()
    board.publish_readiness({"status": "ready"})
    row = board.table.take_row(os.getpid())
    row.accepting = row.ready = True

    assert board.readiness() == (200, {"status": "ready"})


def test_a_runtime_reports_what_the_application_says(caplog: pytest.LogCaptureFixture) -> None:
    table = ProcessTable()
    row = table.take_row(os.getpid())
    row.accepting = True
    runtime = Runtime(StatusBoard(table, None), row)
    state = router_state(LoadBalancer({"m": [endpoint("eu", "d1", "m")]}).snapshot(), [], Activity(), 0.0, 0.0)
    row_of_d1 = {**state["endpoints"][0], "worker": os.getpid()}
    runtime.report_with(lambda: state, lambda: (False, {"why": ["no token"]}))
    runtime.look()
    own = CollectorRegistry()
    Counter("only_counted_here", "Something", registry=own).inc()

    assert runtime.router_state()["endpoints"] == [row_of_d1]
    assert runtime.readiness() == (503, {"status": "not ready", "why": ["no token"]})
    assert b"only_counted_here_total 1.0" in runtime.metrics(own)

    def fails() -> None:
        raise RuntimeError("a defect")

    runtime.report_with(fails, fails)  # type: ignore[arg-type]  # whatever an application does
    runtime.look()
    assert runtime.router_state()["endpoints"] == [row_of_d1]
    assert {record.getMessage()[:16] for record in caplog.records} == {"cannot determine"}
    runtime.drain.close()


def test_whoever_asks_whether_the_proxy_is_ready_has_no_state_made_or_read(board: StatusBoard) -> None:
    """The state is large, and everybody may ask: what lies in its files is not even JSON here."""
    made: list[int] = []
    other = published(board, {"status": "ready", "subaccounts": {"eu": "ok"}}, {})
    own, row = board.table.take_row(os.getpid()), board.table.take_row(other)
    own.accepting = row.accepting = row.ready = True
    runtime = Runtime(board, own)
    runtime.report_with(lambda: {"made": made.append(1)}, lambda: (False, {"status": "not ready"}))
    runtime.look()
    for file in (board.folder or Path()).glob("state-*"):
        file.write_text("{")

    assert runtime.readiness() == (200, {"status": "ready", "subaccounts": {"eu": "ok"}})
    assert made == []


def test_the_state_is_made_of_one_look_at_each_file(board: StatusBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("eu", "us"):
        row = board.table.take_row(published(board, {"status": "ready"}, {"endpoints": [{"deployment": name}]}))
        row.accepting = row.ready = True
    read, read_bytes = list[Path](), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read.append(path), read_bytes(path))[1])
    told = board.router_state()

    assert [each["deployment"] for each in told["endpoints"]] == ["eu", "us"]
    assert sorted(read) == sorted((board.folder or Path()).iterdir())


def test_a_state_is_published_when_somebody_asks_for_it_and_now_and_then(board: StatusBoard) -> None:
    moments = iter(range(10))
    runtime = Runtime(board, board.table.take_row(os.getpid()))
    runtime.report_with(lambda: {"moment": next(moments)}, lambda: (True, {}))
    published_at, seen = [], -1
    for tick in range(9):
        if tick == 3:
            board.table.states_asked += 1  # as another process does when it is asked
        runtime.publish(tick / 2)
        [file] = (board.folder or Path()).glob("state-*.json")
        if (moment := json.loads(file.read_text())["moment"]) != seen:
            published_at.append(tick / 2)
            seen = moment

    assert published_at == [0.0, 1.5, 3.5]


def test_whoever_asks_for_the_state_is_known_to_all_processes(board: StatusBoard) -> None:
    before = board.table.states_asked
    board.router_state()

    assert board.table.states_asked != before


def test_the_folder_is_in_memory_unless_it_is_said_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Path("/dev/shm")
    if not (memory.is_dir() and shutil.disk_usage(memory).free > 2**26):
        pytest.skip("there is no folder in memory here, or little room in it")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = []
    for said in ("", str(tmp_path)):
        monkeypatch.setenv("TMPDIR", said)
        board = StatusBoard.create(ProcessTable())
        found.append((board.folder or Path()).parent)
        board.remove()

    assert found == [memory, tmp_path]


def test_a_worker_whose_loop_stands_still_is_missed_at_every_look() -> None:
    row = ProcessTable().take_row(1)
    child = Child(1, row, settings=None, started=0.0)  # type: ignore[arg-type]  # not looked at here
    missed = []
    for goes_on in (True, False, False, True, False):
        row.beat += goes_on
        child.look_for_beat()
        missed.append(child.missed_beats)

    assert missed == [0, 1, 2, 0, 1]
