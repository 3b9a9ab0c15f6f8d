"""The runtime: what the process offers the application that runs in it."""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from dialects.core.conversation import JSON
from gateway.config.settings import Settings
from gateway.observability import shared_metrics
from gateway.observability.log_writer import LogWriter
from gateway.observability.metrics import DroppedLines
from gateway.requests.lifetime import Signal
from gateway.server.process_table import Row
from gateway.server.status_board import Report, StatusBoard

_log = logging.getLogger("sap_ai_proxy.server")
_EVERY: Final = 0.5
"""Seconds between two reports."""
_READINESS_EVERY: Final = 2.0
"""Seconds between two looks at whether the application is ready."""


class Runtime:
    """The process around an application: how all workers are doing, and when to end.

    The application says by `report_with` what to report of it.
    """

    def __init__(self, board: StatusBoard, row: Row, writer: LogWriter | None = None) -> None:
        self.drain = Signal()
        """Cancelled when requests that are still open must end."""
        self.board = board
        self.row = row
        self._writer = writer
        self._router_state: Callable[[], JSON] = dict
        self._readiness: Callable[[], tuple[bool, JSON]] = lambda: (True, {})
        self._known = Report()
        self._ended = threading.Event()
        if board.folder is not None:
            shared_metrics.share(board.folder)
        self._dropped_lines = DroppedLines()

    def report_with(self, router_state: Callable[[], JSON], readiness: Callable[[], tuple[bool, JSON]]) -> None:
        """Report from now on what these say: the state of the router, and whether there is anything to serve.

        *router_state* must not wait for anybody; *readiness* may, it is asked in a thread of its own.
        """
        self._router_state = router_state
        self._readiness = readiness

    def readiness(self) -> tuple[int, JSON]:
        """Tell whether the proxy can serve: an HTTP status, and what is known of it."""
        self.board.record(self._report())
        return self.board.readiness()

    def router_state(self) -> JSON:
        """What the routers of all workers know."""
        self.board.record(self._report())
        return self.board.router_state()

    def metrics(self) -> bytes | None:
        """The metrics of all workers; None where each has only its own."""
        return None if self.board.folder is None else shared_metrics.exposition(self.board.folder)

    def publish(self) -> None:
        """Report what is known now."""
        self.row.lines_dropped = dropped = self._writer.dropped if self._writer else 0
        self._dropped_lines.count(dropped)
        self.board.publish(self._report())

    def start_publishing(self) -> None:
        """Report now, and often from then on."""
        self.publish()
        for often in (self._look_often, self._publish_often):
            threading.Thread(target=often, name="status", daemon=True).start()

    def close(self) -> None:
        """Stop reporting, and take back what was said."""
        self._ended.set()
        self.board.forget(os.getpid())

    def look(self) -> None:
        """Find out whether the application is ready."""
        try:
            ready, told = self._readiness()
        except Exception:  # noqa: BLE001 - whatever an application raises
            _log.exception("whether this process is ready cannot be told")
            ready, told = False, {}
        self._known = replace(self._known, readiness=told)
        self.row.ready = ready

    def _report(self) -> Report:
        try:
            self._known = replace(self._known, router=self._router_state())
        except Exception:  # noqa: BLE001 - whatever an application raises
            _log.exception("the state of this process cannot be told")
        return self._known

    def _look_often(self) -> None:
        self.look()
        while not self._ended.wait(_READINESS_EVERY):
            self.look()

    def _publish_often(self) -> None:
        while not self._ended.wait(_EVERY):
            self.publish()


class CreateApplication(Protocol):
    """Builds the application in a worker process."""

    def __call__(self, settings: Settings, *, runtime: Runtime | None) -> object:
        """Build it, a WSGI application, and start what works in its background."""
        ...
