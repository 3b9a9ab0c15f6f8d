"""The status board, on which each worker process publishes its state for all other processes."""

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
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder created in it is private
_ROOM: Final = 32 * 1024 * 1024
"""The number of free bytes in memory that is required to keep states and metrics there."""
_READINESS, _STATE, _HISTORY = "readiness", "state", "history"
_ENDED: Final = f"{_HISTORY}-ended"
_TRIES: Final = 5
"""The maximum number of times the history files are read while their names change."""
_MOST_ENDED: Final = 64
"""The maximum number of ended processes whose histories are kept."""


class StatusBoard:
    """A private folder with three files for each worker process: readiness, state, and history of an hour.

    The state, which is that of the router, is large, so a readiness check does not read it. The history of an ended
    process is kept for an hour.

    If no folder can be created, a worker knows only its own files, and of the others what `table` holds. *now* returns
    seconds since the epoch.
    """

    def __init__(self, table: ProcessTable, folder: Path | None, now: Callable[[], float] = time.time) -> None:
        self.table = table
        self.folder = folder
        self._now = now
        self._started = now()
        self._creator = os.getpid()
        """The process that created the board, which supervises the others."""
        self._own: dict[tuple[str, int], Mapping[str, Any]] = {}
        """The reports of this process, by kind and process id. The id keeps a forked child from using its parent's."""
        self._written: dict[str, bytes] = {}

    @classmethod
    def create(cls, table: ProcessTable, parents: Sequence[Path] | None = None) -> Self:
        """Create a folder in the first of *parents* that is writable.

        By default that is memory or the temporary folder.
        """
        for parent in _parents() if parents is None else parents:
            with suppress(OSError):
                return cls(table, Path(tempfile.mkdtemp(prefix="sap-ai-proxy-", dir=parent)))
        _log.warning("cannot write to a folder for temporary files: each worker reports only its own state and metrics")
        return cls(table, None)

    def record_state(self, state: Mapping[str, JSON]) -> None:
        """Store the state of this process for calls in this process."""
        self._own[_STATE, os.getpid()] = state

    def publish_state(self, state: Mapping[str, JSON]) -> None:
        """Publish the state of this process for all others. Only one thread may call this."""
        self.record_state(state)
        self._write(_STATE, state)

    def record_history(self, rows: list[JSON]) -> None:
        """Store the history of this process for calls in this process."""
        self._own[_HISTORY, os.getpid()] = {"rows": rows}

    def publish_history(self, rows: list[JSON]) -> None:
        """Publish the history of this process for all others. Only one thread may call this."""
        self.record_history(rows)
        self._write(_HISTORY, {"rows": rows})

    def publish_readiness(self, told: Mapping[str, JSON]) -> None:
        """Publish the readiness of this process for all others. Only one thread may call this."""
        self._own[_READINESS, os.getpid()] = told
        self._write(_READINESS, told)

    def forget(self, pid: int) -> None:
        """Delete the files of a process that has ended, except its history, which is kept for an hour."""
        if self.folder is not None:
            for kind in (_READINESS, _STATE):
                with suppress(OSError):
                    self._file(kind, pid).unlink(missing_ok=True)
            # The names of these files sort by the time at which each process ended.
            with suppress(OSError):
                self._file(_HISTORY, pid).rename(self.folder / f"{_ENDED}-{int(self._now()):012}-{pid}.json")
            ended = sorted(self.folder.glob(f"{_ENDED}-*"))
            oldest = f"{_ENDED}-{int(self._now()) - BUCKETS * STEP:012}"
            for file in [*(each for each in ended if each.name < oldest), *ended[:-_MOST_ENDED]]:
                with suppress(OSError):
                    file.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the folder."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def readiness(self) -> tuple[int, JSON]:
        """Return whether the proxy can serve, as an HTTP status and a body."""
        if self.table.draining:
            return 503, {"status": DRAINING}
        rows = [row for row in self.table.rows() if row.accepting and not row.retiring]
        told = [each for row in rows if (each := self._read(_READINESS, row.pid))]
        # A worker that is ready has better information than one that has just started.
        best = next((each for each in told if each.get("status") == READY), told[0] if told else {})
        ready = any(row.ready for row in rows)
        return 200 if ready else 503, {**best, "status": READY if ready else NOT_READY}

    def router_state(self) -> JSON:
        """Return the state of the routers of all workers, and of the workers; each endpoint row names its worker.

        `gateway.router_state` documents the fields.
        """
        self.table.states_asked += 1
        version, strategies = "", dict[str, str]()
        endpoints, endings, decisions, workers, available = [], [], [], [], list[str]()
        outcomes: Counter[str] = Counter()
        # Workers with the latest settings come last, and override the strategies of old ones.
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
        """Return the last hour of all workers, including ended ones, as `gateway.observability.history` defines it."""
        own = self._own.get((_HISTORY, os.getpid()))
        known = {} if own is None else {self._file(_HISTORY, os.getpid()): own}
        found: dict[Path, Mapping[str, Any]] = {}
        for _ in range(_TRIES):
            # A file that is renamed during the read could be missed, or found under both names.
            files = self._histories()
            found = {file: known.get(file) or _content(file) for file in files}
            if files == self._histories():
                break
        return merged_history([each.get("rows", []) for each in (found | known).values()], self._now())

    def _histories(self) -> set[Path]:
        return set() if self.folder is None else set(self.folder.glob(f"{_HISTORY}-*.json"))

    def metrics(self, counted: Path | CollectorRegistry) -> bytes:
        """Return the metrics *counted* in the folder or in this process, and the gauges of all workers."""
        return shared_metrics.exposition(counted, Gauges(self.router_state(), self._creator))

    def _write(self, kind: str, said: Mapping[str, Any]) -> None:
        content, pid = dumps(said).encode(), os.getpid()
        if self.folder is not None and content != self._written.get(kind):
            fresh = self.folder / f"{kind}-{pid}.new"
            # On a full disk, the other processes see an older state, and nothing else fails.
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
    """Parse a JSON file; return an empty object if there is none."""
    content = b""
    with suppress(OSError):
        content = file.read_bytes()
    return loads(content) if content else {}


def _worker(row: Row, router: Mapping[str, JSON]) -> JSON:
    """Return the state of a worker as JSON."""
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
    """List the folders to try. Memory comes first, unless it is nearly full or TMPDIR is set."""
    found = []
    with suppress(OSError):
        found.append(Path(tempfile.gettempdir()))
    is_roomy = False
    with suppress(OSError):
        is_roomy = shutil.disk_usage(_MEMORY).free >= _ROOM
    return [_MEMORY, *found] if is_roomy and not os.environ.get("TMPDIR") else [*found, _MEMORY]
