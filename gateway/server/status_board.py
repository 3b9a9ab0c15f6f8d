"""What each worker process says of itself, for all others to read."""

import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from dialects.core.conversation import JSON
from dialects.framing.json_text import dumps, loads
from gateway.observability.activity import MOST_DECISIONS
from gateway.server.process_table import ProcessTable, Row

_log = logging.getLogger("sap_ai_proxy.server")
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder made there is private


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker says of itself: what there is to tell of whether it can serve, and the state of its router."""

    readiness: Mapping[str, JSON] = field(default_factory=dict)
    router: Mapping[str, JSON] = field(default_factory=dict)


class StatusBoard:
    """A private folder with a file for each worker process.

    Where no folder can be made, a worker knows only what it has said itself, and others know of it what `table` holds.
    *now* is seconds since the epoch.
    """

    def __init__(self, table: ProcessTable, folder: Path | None, now: Callable[[], float] = time.time) -> None:
        self.table = table
        self.folder = folder
        self._now = now
        self._started = now()
        self._own: tuple[int, bytes] = (0, b"")
        """The process that has said something of itself here, and what: a child does not take it for its own."""
        self._written = b""

    @classmethod
    def create(cls, table: ProcessTable, parents: Sequence[Path] | None = None) -> Self:
        """Make a folder below the first of *parents* where that is possible: the one for temporary files, or memory."""
        for parent in _parents() if parents is None else parents:
            with suppress(OSError):
                return cls(table, Path(tempfile.mkdtemp(prefix="sap-ai-proxy-", dir=parent)))
        _log.warning("no folder for temporary files can be written: each worker knows only its own state and metrics")
        return cls(table, None)

    def record(self, report: Report) -> None:
        """Remember what there is to say of this process, for what is asked here."""
        content = dumps({"readiness": report.readiness, "router": report.router}).encode()
        self._own = (os.getpid(), content)

    def publish(self, report: Report) -> None:
        """Say what there is to say of this process to all others; one thread of it does so."""
        self.record(report)
        pid, content = self._own
        if self.folder is not None and content != self._written:
            fresh = self.folder / f"state-{pid}.new"
            # A full disk costs the others this news, and nobody anything else.
            with suppress(OSError):
                fresh.write_bytes(content)
                fresh.replace(self._file(pid))
                self._written = content

    def forget(self, pid: int) -> None:
        """Drop what a process that is gone has said."""
        if self.folder is not None:
            with suppress(OSError):
                self._file(pid).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def readiness(self) -> tuple[int, JSON]:
        """Tell whether the proxy can serve: an HTTP status, and what is known of it."""
        if self.table.draining:
            return 503, {"status": "draining"}
        rows = [row for row in self.table.rows() if row.accepting and not row.retiring]
        told = [report["readiness"] for row in rows if (report := self._read(row.pid))]
        # The one who is ready knows better than one who has just begun.
        best = next((each for each in told if each.get("status") == "ready"), told[0] if told else {})
        ready = any(row.ready for row in rows)
        return 200 if ready else 503, {**best, "status": "ready" if ready else "not ready"}

    def router_state(self) -> JSON:
        """What the routers of all workers know, and what the workers do; each row of an endpoint names its worker.

        `gateway.router_state` says what is in it.
        """
        version, strategies = "", dict[str, str]()
        endpoints, endings, decisions, workers = [], [], [], []
        outcomes: Counter[str] = Counter()
        # What new workers say of a strategy counts, not what old ones said.
        for row in sorted(self.table.rows(), key=lambda each: not each.retiring):
            router = (self._read(row.pid) or {}).get("router", {})
            version = router.get("version", version)
            strategies |= router.get("strategies", {})
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
            "endpoints": endpoints,
            "endings": endings,
            "outcomes": outcomes,
            "decisions": decisions[:MOST_DECISIONS],
            "workers": workers,
        }

    def _read(self, pid: int) -> Any:
        owner, content = self._own
        if owner != pid:
            content = b""
            with suppress(OSError):
                content = self._file(pid).read_bytes() if self.folder is not None else b""
        return loads(content) if content else None

    def _file(self, pid: int) -> Path:
        return (self.folder or Path()) / f"state-{pid}.json"


def _worker(row: Row, router: Mapping[str, JSON]) -> JSON:
    """Write down what a worker does."""
    return {
        "worker": row.pid,
        "accepting": row.accepting,
        "ready": row.ready,
        "retiring": row.retiring,
        "open_requests": row.open_requests,
        "log_lines_dropped": row.lines_dropped,
        "started": router.get("started"),
        "outcomes": router.get("outcomes", {}),
    }


def _parents() -> list[Path]:
    found = []
    with suppress(OSError):
        found.append(Path(tempfile.gettempdir()))
    return [*found, _MEMORY]
