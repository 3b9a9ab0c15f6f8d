"""The runtime: the worker process as its application sees it."""

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from prometheus_client import CollectorRegistry

from dialects.core.conversation import JSON
from gateway.config.settings import Settings
from gateway.observability import shared_metrics
from gateway.observability.log_writer import LogWriter
from gateway.observability.metrics import DroppedLines
from gateway.requests.lifetime import Signal
from gateway.server.change_log import ChangeLog
from gateway.server.process_table import Row
from gateway.server.state_feed import StateFeed
from gateway.server.status_board import StatusBoard

_log = logging.getLogger("sap_ai_proxy.server")
_EVERY: Final = 0.5
"""Seconds between checks whether another process has requested the state of this one."""
_STATE_EVERY: Final = 2.0
"""Seconds after which the state is published without a request for it."""
_READINESS_EVERY: Final = 2.0
"""Seconds between checks whether the application is ready."""
_PATIENCE: Final = 5.0
"""The time limit for applying a change in this process, in seconds."""


class Runtime:
    """The worker process of an application, with access to the reports of all workers.

    The application calls `report_with` to define what is reported of it, and `follow_with` to define how operators'
    changes are applied. *changes* are those of all workers with the same settings.
    """

    def __init__(
        self, board: StatusBoard, row: Row, writer: LogWriter | None = None, changes: ChangeLog | None = None
    ) -> None:
        self.drain = Signal()
        """The signal that open requests must end now."""
        self.board = board
        self.row = row
        self._writer = writer
        self._router_state: Callable[[], JSON] = dict
        self._readiness: Callable[[], tuple[bool, JSON]] = lambda: (True, {})
        self._history: Callable[[], list[JSON]] = list
        self._changes = changes or ChangeLog(None)
        self._apply: Callable[[JSON, bool], None] = lambda *_: None
        self._awaited: deque[SimpleQueue[bool]] = deque()
        """Queues of threads that wait until all changes made so far are applied. Each receives whether that
        succeeded."""
        self._is_due = threading.Event()
        """Set to wake the publishing thread at once."""
        self._publisher: threading.Thread | None = None
        self.feed = StateFeed(self.router_state, self.history, lambda: self.drain.is_set or row.retiring)
        """The events for dashboards."""
        self._saturation: Callable[[], JSON] = dict
        self._state: JSON = {}
        """The latest state of the router."""
        self._asked = 0
        """The table's counter of requests for states when the state was last published."""
        self._due = self._history_due = -math.inf
        self._ended = threading.Event()
        self._last_duties: list[Callable[[float], object]] = []
        if board.folder is not None:
            shared_metrics.share(board.folder)
        self._dropped_lines = DroppedLines()

    def report_with(
        self,
        router_state: Callable[[], JSON],
        readiness: Callable[[], tuple[bool, JSON]],
        history: Callable[[], list[JSON]] = list,
    ) -> None:
        """Set the functions that report the router's state, the readiness and the last hour.

        *router_state* and *history* must not block. *readiness* may, because it is called in a thread of its own.
        """
        self._router_state = router_state
        self._readiness = readiness
        self._history = history

    def follow_with(self, apply: Callable[[JSON, bool], None]) -> None:
        """Set the function that applies a change of any worker.

        It is called in one thread, with the change and with whether it was made since this process started.
        """
        self._apply = apply

    def change(self, change: JSON) -> bool:
        """Publish a change to all workers; return True once this one has applied it, or False if it cannot in time."""
        self._changes.append(change)
        applied: SimpleQueue[bool] = SimpleQueue()
        self._awaited.append(applied)
        self._is_due.set()
        with suppress(Empty):
            return applied.get(timeout=_PATIENCE)
        return False

    def report_saturation(self, saturation: Callable[[], JSON]) -> None:
        """Set the function that reports the server's connections and streams. It must not block."""
        self._saturation = saturation

    def readiness(self) -> tuple[int, JSON]:
        """Return whether the proxy can serve, as an HTTP status and a body."""
        return self.board.readiness()

    def router_state(self) -> JSON:
        """Return the state of the routers of all workers."""
        self.board.record_state(self._known_state())
        return self.board.router_state()

    def history(self) -> JSON:
        """Return the last hour of all workers."""
        self.board.record_history(self._history())
        return self.board.history()

    def metrics(self, own: CollectorRegistry) -> bytes:
        """Return the metrics of all workers. If they cannot be shared, return those of *own* only."""
        self.board.record_state(self._known_state())
        return self.board.metrics(self.board.folder or own)

    def publish(self, now: float) -> None:
        """Publish the state of this process if another process has requested it, or if it is due.

        *now* is monotonic seconds.
        """
        self.row.lines_dropped = dropped = self._writer.dropped if self._writer else 0
        self._dropped_lines.count(dropped)
        asked = self.board.table.states_asked
        if asked != self._asked or now >= self._due:
            self._asked, self._due = asked, now + _STATE_EVERY
            self.board.publish_state(self._known_state())
            if now >= self._history_due:
                self._history_due = now + _STATE_EVERY
                self.board.publish_history(self._history())

    def follow(self, *, is_start: bool = False) -> None:
        """Apply the new changes of operators in all workers.

        *is_start* is whether they were made before this process started.
        """
        awaited = [self._awaited.popleft() for _ in range(len(self._awaited))]
        went_well = True
        for change in self._changes.read():
            self._due = -math.inf
            try:
                self._apply(change, not is_start)
            except Exception:  # noqa: BLE001 - the application may raise anything
                _log.exception("what an operator has changed cannot be applied")
                went_well = False
        for applied in awaited:
            applied.put(went_well)

    def start_publishing(self) -> None:
        """Apply operators' changes and publish the state now, and start the threads that repeat this."""
        self.follow(is_start=True)
        self.publish(time.monotonic())
        threading.Thread(target=self._look_often, name="readiness", daemon=True).start()
        self._publisher = threading.Thread(target=self._publish_often, name="status", daemon=True)
        self._publisher.start()

    def close(self) -> None:
        """Stop publishing, and remove what was published. The history of this process remains for an hour."""
        self._ended.set()
        self._is_due.set()
        if self._publisher is not None:
            self._publisher.join(_PATIENCE)
        self.board.publish_history(self._history())
        self.board.forget(os.getpid())

    def look(self) -> None:
        """Check whether the application is ready, and publish the result."""
        try:
            ready, told = self._readiness()
        except Exception:  # noqa: BLE001 - the application may raise anything
            _log.exception("cannot determine whether this process is ready")
            ready, told = False, {}
        self.board.publish_readiness(told)
        self.row.ready = ready

    def add_last_duty(self, duty: Callable[[float], object]) -> None:
        """Add a function that is called once all requests are answered, with its time limit in seconds."""
        self._last_duties.append(duty)

    def do_last_duties(self, seconds: float) -> None:
        """Call the last duties one after another, each with the time limit *seconds*. Exceptions are logged."""
        for duty in self._last_duties:
            try:
                duty(seconds)
            except Exception:  # noqa: BLE001 - the application may raise anything, and the process ends nevertheless
                _log.exception("the end of this process is not complete")

    def _known_state(self) -> JSON:
        try:
            state = self._router_state()
            self._state = {**state, "saturation": {**state.get("saturation", {}), **self._saturation()}}
        except Exception:  # noqa: BLE001 - the application may raise anything
            _log.exception("cannot determine the state of this process")
        return self._state

    def _look_often(self) -> None:
        self.look()
        while not self._ended.wait(_READINESS_EVERY):
            self.look()

    def _publish_often(self) -> None:
        while True:
            self._is_due.wait(_EVERY)
            if self._ended.is_set():
                return
            self._is_due.clear()
            self.follow()
            self.publish(time.monotonic())
            self.feed.look()


class CreateApplication(Protocol):
    """A function that builds the application in a worker process."""

    def __call__(self, settings: Settings, *, runtime: Runtime | None) -> object:
        """Build a WSGI application, and start its background threads."""
        ...
