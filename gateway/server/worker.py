"""A worker process, which creates the application, serves it, and ends after its last request when told to."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Final

from dialects.core.conversation import JSON
from gateway.requests.lifetime import Clock
from gateway.server.connection_loop import ConnectionLoop
from gateway.server.options import ServerOptions
from gateway.server.request_handler import Application, RequestHandler
from gateway.server.runtime import Runtime
from gateway.server.stream_loop import StreamLoop
from gateway.server.thread_pool import ThreadPool

_log = logging.getLogger("sap_ai_proxy.server")

DRAIN: Final = signal.Signals.SIGTERM
RETIRE: Final = signal.Signals.SIGUSR1
GRACE: Final = 2.0
"""Seconds in which cancelled requests can report the error to their clients."""
_LAST_DUTIES: Final = 5.0
"""The time limit of the last duties in seconds, if that much of the drain is left."""
_LEAST: Final = 1.0
"""The minimum time limit of the last duties, in seconds."""
_LINGER: Final = 0.5
"""Seconds for which idle connections stay open when a drain begins, because clients may be about to use them."""


class Stage(Enum):
    """The stage of a worker.

    ========  ==========================================  =====================================
    stage     connections                                 ends when
    ========  ==========================================  =====================================
    SERVING   are accepted                                never
    RETIRING  are closed after their next request         none is left; after its time limit: CANCELLED
    DRAINING  the same; idle ones close after a moment    no request is open; after its time limit: CANCELLED
    CANCELLED the same                                    no request is open, or after `GRACE` seconds
    ========  ==========================================  =====================================
    """

    SERVING = "serving"
    RETIRING = "retiring"
    DRAINING = "draining"
    CANCELLED = "cancelled"


class Worker:
    """Serves an application on *listener* until it is told to end.

    *retire_seconds* is the time limit of open requests after another worker has taken over. *find_parent* returns the
    process id of the parent. If that changes, the supervisor is gone, and the worker drains.
    """

    def __init__(
        self,
        application: Application,
        listener: socket.socket,
        runtime: Runtime,
        options: ServerOptions,
        *,
        retire_seconds: float,
        find_parent: Callable[[], int] = os.getppid,
        clock: Clock = time.monotonic,
        multiprocess: bool = False,
    ) -> None:
        self.stage = Stage.SERVING
        self._runtime = runtime
        self._options = options
        self._retire_seconds = retire_seconds
        self._find_parent = find_parent
        self.parent = find_parent()
        self._clock = clock
        self._calls: list[Callable[[], None]] = []
        self._ends_at = self._lingers_until = 0.0
        self._streams = StreamLoop(options.write_timeout, runtime.drain, clock)
        self._handler = RequestHandler(
            application,
            self._count,
            lambda: self.stage is not Stage.SERVING,
            self._streams,
            multiprocess=multiprocess,
        )
        self.loop = ConnectionLoop(listener, self._handler.serve, options, ThreadPool(options.connections), clock=clock)

    def listen_to_signals(self) -> None:
        """Handle the supervisor's signals."""
        for number, order in ((DRAIN, self.drain), (RETIRE, self.retire)):
            signal.signal(number, partial(self._hear, order))
        signal.set_wakeup_fd(self.loop.wake_descriptor, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Serve until the worker ends."""
        self._streams.start()
        self.loop.start_accepting()
        self._runtime.report_saturation(self._saturation)
        self._runtime.start_publishing()
        self._runtime.row.accepting = True
        while not self._is_over():
            self.loop.run_once(self._patience())
            self._runtime.row.beat += 1
            self._obey()
        self._runtime.close()
        self.loop.close()
        self._streams.close()
        self._runtime.do_last_duties(min(_LAST_DUTIES, max(0.0, self._ends_at - self._clock()) + _LEAST))

    def drain(self) -> None:
        """Stop accepting connections, and end once no request is open, or after `drain_seconds`."""
        if self.stage in {Stage.SERVING, Stage.RETIRING}:
            self._stop(Stage.DRAINING, self._options.drain_seconds)
            self._lingers_until = self._clock() + _LINGER

    def retire(self) -> None:
        """Stop accepting connections, and end once there are none left, or after `retire_seconds`."""
        if self.stage is Stage.SERVING:
            self._stop(Stage.RETIRING, self._retire_seconds)

    def call_soon(self, order: Callable[[], None]) -> None:
        """Schedule *order*, which is `drain` or `retire`. Any thread or signal handler may call this."""
        self._calls.append(order)
        self.loop.wake()

    def _hear(self, order: Callable[[], None], *_: object) -> None:
        self.call_soon(order)

    def _obey(self) -> None:
        while self._calls:
            self._calls.pop(0)()
        if self._find_parent() != self.parent:
            self.drain()

    def _stop(self, stage: Stage, seconds: float) -> None:
        self.stage = stage
        self._ends_at = self._clock() + seconds
        self._runtime.row.retiring = True
        self._runtime.row.accepting = False
        # In a reload, the new workers accept the connections that are waiting on the shared socket.
        self.loop.stop_accepting(take_those_in_line=stage is Stage.DRAINING)

    def _is_over(self) -> bool:
        now, is_answered = self._clock(), not self._handler.open_requests
        if self.stage in {Stage.RETIRING, Stage.DRAINING} and now >= self._ends_at:
            self._cancel(now)
        match self.stage:
            case Stage.SERVING:
                return False
            case Stage.RETIRING:
                return not self.loop.connections
            case Stage.DRAINING:
                return is_answered and (now >= self._lingers_until or not self.loop.connections)
            case Stage.CANCELLED:
                return is_answered or now >= self._ends_at

    def _cancel(self, now: float) -> None:
        """Cancel the requests that are still open."""
        if self._handler.open_requests:
            _log.warning("%d requests were still open and are cancelled", self._handler.open_requests)
        self._runtime.drain.set()
        self.stage = Stage.CANCELLED
        self._ends_at = now + GRACE

    def _patience(self) -> float:
        """Return the seconds to wait for events before the next check."""
        match self.stage:
            case Stage.SERVING:
                return 1.0
            case Stage.DRAINING if self._clock() < self._lingers_until:
                return max(0.0, self._lingers_until - self._clock())
            case _:
                return min(1.0, max(0.0, self._ends_at - self._clock()))

    def _saturation(self) -> JSON:
        """Return the number of connections and of streams.

        Streams have no limit of their own, since each is a request.
        """
        return {
            "connections": {"used": self.loop.connections, "most": self._options.connections},
            "streams": {"used": self._streams.streams, "most": None},
        }

    def _count(self, open_requests: int) -> None:
        self._runtime.row.open_requests = open_requests
