"""The runtime: what the process offers the application that runs in it."""

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
"""Seconds between two looks at whether somebody has asked for the state of this process."""
_STATE_EVERY: Final = 2.0
"""Seconds after which the state is published although nobody has asked for it."""
_READINESS_EVERY: Final = 2.0
"""Seconds between two looks at whether the application is ready."""
_PATIENCE: Final = 5.0
"""Seconds that a change has to be applied in this process."""


class Runtime:
    """The process around an application: how all workers are doing, and when to end.

    The application says by `report_with` what to report of it, and by `follow_with` how it applies what operators
    change: *changes* are those of all workers that have the same settings.
    """

    def __init__(
        self, board: StatusBoard, row: Row, writer: LogWriter | None = None, changes: ChangeLog | None = None
    ) -> None:
        self.drain = Signal()
        """Cancelled when requests that are still open must end."""
        self.board = board
        self.row = row
        self._writer = writer
        self._router_state: Callable[[], JSON] = dict
        self._readiness: Callable[[], tuple[bool, JSON]] = lambda: (True, {})
        self._history: Callable[[], list[JSON]] = list
        self._changes = changes or ChangeLog(None)
        self._apply: Callable[[JSON, bool], None] = lambda *_: None
        self._awaited: deque[SimpleQueue[bool]] = deque()
        """Those who wait until all changes that were made by now are applied, or could not be."""
        self._is_due = threading.Event()
        """Set to have the thread that publishes go round at once."""
        self._publisher: threading.Thread | None = None
        self.feed = StateFeed(self.router_state, self.history, lambda: self.drain.is_set or row.retiring)
        """What dashboards watch."""
        self._saturation: Callable[[], JSON] = dict
        self._state: JSON = {}
        """The state of the router that was told last."""
        self._asked = 0
        """What the table said of who asks for states, when the state was published last."""
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
        """Report from now on what these say: the router's state, whether there is anything to serve, the last hour.

        *router_state* and *history* must not wait for anybody; *readiness* may, it is asked in a thread of its own.
        """
        self._router_state = router_state
        self._readiness = readiness
        self._history = history

    def follow_with(self, apply: Callable[[JSON, bool], None]) -> None:
        """Have *apply* called, in one thread, for each change of all workers, and whether it came since the start."""
        self._apply = apply

    def change(self, change: JSON) -> bool:
        """Hand a change to all workers, and wait until this one has applied it; tell whether it has in time."""
        self._changes.append(change)
        applied: SimpleQueue[bool] = SimpleQueue()
        self._awaited.append(applied)
        self._is_due.set()
        with suppress(Empty):
            return applied.get(timeout=_PATIENCE)
        return False

    def report_saturation(self, saturation: Callable[[], JSON]) -> None:
        """Report from now on how many connections and streams the server has; *saturation* must wait for nobody."""
        self._saturation = saturation

    def readiness(self) -> tuple[int, JSON]:
        """Tell whether the proxy can serve: an HTTP status, and what is known of it."""
        return self.board.readiness()

    def router_state(self) -> JSON:
        """What the routers of all workers know."""
        self.board.record_state(self._known_state())
        return self.board.router_state()

    def history(self) -> JSON:
        """The last hour of all workers."""
        self.board.record_history(self._history())
        return self.board.history()

    def metrics(self, own: CollectorRegistry) -> bytes:
        """Write the metrics of all workers; where each knows only its own, what *own* has counted."""
        self.board.record_state(self._known_state())
        return self.board.metrics(self.board.folder or own)

    def publish(self, now: float) -> None:
        """Report what is known *now*, in seconds that only grow: the state if somebody has asked, or it is time to."""
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
        """Apply what operators have changed, in whatever worker: at the start all that came before it."""
        awaited = [self._awaited.popleft() for _ in range(len(self._awaited))]
        went_well = True
        for change in self._changes.read():
            self._due = -math.inf
            try:
                self._apply(change, not is_start)
            except Exception:  # noqa: BLE001 - whatever an application raises
                _log.exception("what an operator has changed cannot be applied")
                went_well = False
        for applied in awaited:
            applied.put(went_well)

    def start_publishing(self) -> None:
        """Apply what operators have changed, and report; both now, and often from then on."""
        self.follow(is_start=True)
        self.publish(time.monotonic())
        threading.Thread(target=self._look_often, name="readiness", daemon=True).start()
        self._publisher = threading.Thread(target=self._publish_often, name="status", daemon=True)
        self._publisher.start()

    def close(self) -> None:
        """Stop reporting, and take back what was said; the last hour of this process stays known to the others."""
        self._ended.set()
        self._is_due.set()
        if self._publisher is not None:
            self._publisher.join(_PATIENCE)
        self.board.publish_history(self._history())
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

    def add_last_duty(self, duty: Callable[[float], object]) -> None:
        """Have *duty* called with the seconds that it may take, once all requests are answered."""
        self._last_duties.append(duty)

    def do_last_duties(self, seconds: float) -> None:
        """Call the last duties one after another; each is given the *seconds*, and one that fails is logged."""
        for duty in self._last_duties:
            try:
                duty(seconds)
            except Exception:  # noqa: BLE001 - whatever an application raises, the process ends
                _log.exception("the end of this process is not complete")

    def _known_state(self) -> JSON:
        try:
            state = self._router_state()
            self._state = {**state, "saturation": {**state.get("saturation", {}), **self._saturation()}}
        except Exception:  # noqa: BLE001 - whatever an application raises
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
    """Builds the application in a worker process."""

    def __call__(self, settings: Settings, *, runtime: Runtime | None) -> object:
        """Build it, a WSGI application, and start what works in its background."""
        ...
