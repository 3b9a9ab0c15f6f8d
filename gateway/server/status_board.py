"""What each worker process says of itself, for all others to read."""

import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from prometheus_client import CollectorRegistry

from dialects.core.conversation import JSON
from dialects.framing.json_text import dumps, loads
from gateway.observability import shared_metrics
from gateway.observability.activity import MOST_DECISIONS
from gateway.observability.gauges import Gauges
from gateway.observability.history import BUCKETS, STEP, merged_history
from gateway.readiness import DRAINING, NOT_READY, READY
from gateway.server.process_table import ProcessTable, Row

_log = logging.getLogger("sap_ai_proxy.server")
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder made there is private
_ROOM: Final = 32 * 1024 * 1024
"""Bytes that must be free in memory for the states and metrics of workers to be kept there."""
_READINESS, _STATE, _HISTORY = "readiness", "state", "history"
_ENDED: Final = f"{_HISTORY}-ended"
_TRIES: Final = 5
"""How often the files of all histories are read at most, while one of them comes or goes."""
_MOST_ENDED: Final = 64
"""Of how many processes that have ended the history is kept at most."""


class StatusBoard:
    """A private folder with three files for each worker process: its readiness, its state and its history of an hour.

    The state is that of its router, and is large; whoever only wants to know whether the proxy is ready reads none. The
    history of a process that has ended stays for an hour.

    Where no folder can be made, a worker knows only what it has said itself, and others know of it what `table` holds.
    *now* is seconds since the epoch.
    """

    def __init__(self, table: ProcessTable, folder: Path | None, now: Callable[[], float] = time.time) -> None:
        self.table = table
        self.folder = folder
        self._now = now
        self._started = now()
        self._creator = os.getpid()
        """The process that made the board, and supervises the others."""
        self._own: dict[tuple[str, int], Mapping[str, Any]] = {}
        """What a process has said of itself here, by kind and process: a child does not take it for its own."""
        self._written: dict[str, bytes] = {}

    @classmethod
    def create(cls, table: ProcessTable, parents: Sequence[Path] | None = None) -> Self:
        """Make a folder below the first of *parents* where that is possible: memory, or the one for temporary files."""
        for parent in _parents() if parents is None else parents:
            with suppress(OSError):
                return cls(table, Path(tempfile.mkdtemp(prefix="sap-ai-proxy-", dir=parent)))
        _log.warning("cannot write to a folder for temporary files: each worker reports only its own state and metrics")
        return cls(table, None)

    def record_state(self, state: Mapping[str, JSON]) -> None:
        """Remember the state of this process, for what is asked here."""
        self._own[_STATE, os.getpid()] = state

    def publish_state(self, state: Mapping[str, JSON]) -> None:
        """Tell all others the state of this process; one thread of it does so."""
        self.record_state(state)
        self._write(_STATE, state)

    def record_history(self, rows: list[JSON]) -> None:
        """Remember the history of this process, for what is asked here."""
        self._own[_HISTORY, os.getpid()] = {"rows": rows}

    def publish_history(self, rows: list[JSON]) -> None:
        """Write the history of this process for all others; one thread of it does so."""
        self.record_history(rows)
        self._write(_HISTORY, {"rows": rows})

    def publish_readiness(self, told: Mapping[str, JSON]) -> None:
        """Tell all others what there is to tell of whether this process can serve; one thread of it does so."""
        self._own[_READINESS, os.getpid()] = told
        self._write(_READINESS, told)

    def forget(self, pid: int) -> None:
        """Drop what a process that is gone has said, but for its history, which stays for an hour."""
        if self.folder is not None:
            for kind in (_READINESS, _STATE):
                with suppress(OSError):
                    self._file(kind, pid).unlink(missing_ok=True)
            # The files of processes that have ended sort by the time at which each did.
            with suppress(OSError):
                self._file(_HISTORY, pid).rename(self.folder / f"{_ENDED}-{int(self._now()):012}-{pid}.json")
            ended = sorted(self.folder.glob(f"{_ENDED}-*"))
            oldest = f"{_ENDED}-{int(self._now()) - BUCKETS * STEP:012}"
            for file in [*(each for each in ended if each.name < oldest), *ended[:-_MOST_ENDED]]:
                with suppress(OSError):
                    file.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def readiness(self) -> tuple[int, JSON]:
        """Tell whether the proxy can serve: an HTTP status, and what is known of it."""
        if self.table.draining:
            return 503, {"status": DRAINING}
        rows = [row for row in self.table.rows() if row.accepting and not row.retiring]
        told = [each for row in rows if (each := self._read(_READINESS, row.pid))]
        # The one who is ready knows better than one who has just begun.
        best = next((each for each in told if each.get("status") == READY), told[0] if told else {})
        ready = any(row.ready for row in rows)
        return 200 if ready else 503, {**best, "status": READY if ready else NOT_READY}

    def router_state(self) -> JSON:
        """What the routers of all workers know, and what the workers do; each row of an endpoint names its worker.

        `gateway.router_state` says what is in it.
        """
        self.table.states_asked += 1
        version, strategies = "", dict[str, str]()
        endpoints, endings, decisions, workers, available = [], [], [], [], list[str]()
        outcomes: Counter[str] = Counter()
        # What new workers say of a strategy counts, not what old ones said.
        for row in sorted(self.table.rows(), key=lambda each: not each.retiring):
            router = self._read(_STATE, row.pid)
            version = router.get("version", version)
            strategies |= router.get("strategies", {})
            available = router.get("strategies_available", available)
            endings += [each for each in router.get("endings", []) if each not in endings]
            endpoints += [{**each, "worker": row.pid} for each in router.get("endpoints", [])]
            decisions += [{**each, "worker": row.pid} for each in router.get("decisions", [])]
            outcomes.update(router.get("outcomes", {}))
            workers.append(_worker(row, router))
        decisions.sort(key=lambda each: each["at"], reverse=True)
        _, readiness = self.readiness()
        return {
            "version": version,
            "at": self._now(),
            "started": self._started,
            "status": readiness["status"],
            "subaccounts": readiness.get("subaccounts", {}),
            "strategies": strategies,
            "strategies_available": available,
            "endpoints": endpoints,
            "endings": endings,
            "outcomes": outcomes,
            "decisions": decisions[:MOST_DECISIONS],
            "workers": workers,
            "worker_restarts": self.table.worker_restarts,
        }

    def history(self) -> JSON:
        """Add up the last hour of all workers, also of those that have ended: see `gateway.observability.history`."""
        own = self._own.get((_HISTORY, os.getpid()))
        known = {} if own is None else {self._file(_HISTORY, os.getpid()): own}
        found: dict[Path, Mapping[str, Any]] = {}
        for _ in range(_TRIES):
            # A file that is renamed meanwhile would be missed, or found by both of its names.
            files = self._histories()
            found = {file: known.get(file) or _content(file) for file in files}
            if files == self._histories():
                break
        return merged_history([each.get("rows", []) for each in (found | known).values()], self._now())

    def _histories(self) -> set[Path]:
        return set() if self.folder is None else set(self.folder.glob(f"{_HISTORY}-*.json"))

    def metrics(self, counted: Path | CollectorRegistry) -> bytes:
        """Write what was *counted*, in the folder or in this process, and the gauges of all workers."""
        return shared_metrics.exposition(counted, Gauges(self.router_state(), self._creator))

    def _write(self, kind: str, said: Mapping[str, Any]) -> None:
        content, pid = dumps(said).encode(), os.getpid()
        if self.folder is not None and content != self._written.get(kind):
            fresh = self.folder / f"{kind}-{pid}.new"
            # A full disk costs the others this news, and nobody anything else.
            with suppress(OSError):
                fresh.write_bytes(content)
                fresh.replace(self._file(kind, pid))
                self._written[kind] = content

    def _read(self, kind: str, pid: int) -> Mapping[str, Any]:
        if (own := self._own.get((kind, pid))) is not None:
            return own
        return _content(self._file(kind, pid)) if self.folder is not None else {}

    def _file(self, kind: str, pid: int) -> Path:
        return (self.folder or Path()) / f"{kind}-{pid}.json"


def _content(file: Path) -> Mapping[str, Any]:
    """Read a file of JSON; nothing where there is none."""
    content = b""
    with suppress(OSError):
        content = file.read_bytes()
    return loads(content) if content else {}


def _worker(row: Row, router: Mapping[str, JSON]) -> JSON:
    """Write down what a worker does."""
    return {
        "worker": row.pid,
        "slot": row.slot,
        "accepting": row.accepting,
        "ready": row.ready,
        "retiring": row.retiring,
        "open_requests": row.open_requests,
        "log_lines_dropped": row.lines_dropped,
        "started": router.get("started"),
        "outcomes": router.get("outcomes", {}),
        "saturation": router.get("saturation", {}),
        "credentials": router.get("credentials", {}),
    }


def _parents() -> list[Path]:
    """List where to make a folder: memory before the disk, unless it is nearly full or TMPDIR says where."""
    found = []
    with suppress(OSError):
        found.append(Path(tempfile.gettempdir()))
    is_roomy = False
    with suppress(OSError):
        is_roomy = shutil.disk_usage(_MEMORY).free >= _ROOM
    return [_MEMORY, *found] if is_roomy and not os.environ.get("TMPDIR") else [*found, _MEMORY]
