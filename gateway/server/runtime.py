"""The runtime: what the process offers the application that runs in it."""

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from dialects.core.conversation import JSON
from gateway.config.settings import Settings
from gateway.observability import shared_metrics
from gateway.observability.log_writer import LogWriter
from gateway.observability.metrics import DroppedLines
from gateway.requests.lifetime import Signal
from gateway.server.process_table import Row
from gateway.server.status_board import StatusBoard

_log = logging.getLogger("sap_ai_proxy.server")
_EVERY: Final = 0.5
"""Seconds between two looks at whether somebody has asked for the state of this process."""
_STATE_EVERY: Final = 2.0
"""Seconds after which the state is published although nobody has asked for it."""
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
        self._state: JSON = {}
        """The state of the router that was told last."""
        self._asked = 0
        """What the table said of who asks for states, when the state was published last."""
        self._due = -math.inf
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
        return self.board.readiness()

    def router_state(self) -> JSON:
        """What the routers of all workers know."""
        self.board.record_state(self._known_state())
        return self.board.router_state()

    def metrics(self) -> bytes | None:
        """The metrics of all workers; None where each has only its own."""
        return None if self.board.folder is None else shared_metrics.exposition(self.board.folder)

    def publish(self, now: float) -> None:
        """Report what is known *now*, in seconds that only grow: the state if somebody has asked, or it is time to."""
        self.row.lines_dropped = dropped = self._writer.dropped if self._writer else 0
        self._dropped_lines.count(dropped)
        asked = self.board.table.states_asked
        if asked != self._asked or now >= self._due:
            self._asked, self._due = asked, now + _STATE_EVERY
            self.board.publish_state(self._known_state())

    def start_publishing(self) -> None:
        """Report now, and often from then on."""
        self.publish(time.monotonic())
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
            _log.exception("cannot determine whether this process is ready")
            ready, told = False, {}
        self.board.publish_readiness(told)
        self.row.ready = ready

    def _known_state(self) -> JSON:
        try:
            self._state = self._router_state()
        except Exception:  # noqa: BLE001 - whatever an application raises
            _log.exception("cannot determine the state of this process")
        return self._state

    def _look_often(self) -> None:
        self.look()
        while not self._ended.wait(_READINESS_EVERY):
            self.look()

    def _publish_often(self) -> None:
        while not self._ended.wait(_EVERY):
            self.publish(time.monotonic())


class CreateApplication(Protocol):
    """Builds the application in a worker process."""

    def __call__(self, settings: Settings, *, runtime: Runtime | None) -> object:
        """Build it, a WSGI application, and start what works in its background."""
        ...
