"""A worker process from the view of its parent, and how it is started."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway.config.settings import Settings
from gateway.server.process_table import ProcessTable, Row

_log = logging.getLogger("sap_ai_proxy.server")

SIGNALS: Final = tuple(
    getattr(signal.Signals, name)
    for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGCHLD")
    if hasattr(signal.Signals, name)
)
"""The signals that the supervising process handles."""
_FAILED: Final = 3
_ORDERS: Final = ("SIGTERM", "SIGUSR1", "SIGCHLD")
_NOT_FOR_WORKERS: Final = ("SIGINT", "SIGQUIT", "SIGHUP")
"""The signals that a terminal sends to all processes. Workers ignore them, because the supervisor handles them."""


@dataclass(eq=False)
class Child:
    """A worker process.

    *kill_at* is the time, on the clock of `time.monotonic`, at which it is killed if it is still running.
    """

    pid: int
    row: Row
    settings: Settings
    started: float
    retiring: bool = False
    kill_at: float = float("inf")
    missed_beats: int = 0
    """The number of consecutive checks in which its loop had made no progress."""
    _beat: int = -1

    @property
    def has_served(self) -> bool:
        """Whether it has ever accepted connections."""
        return self.row.accepting or self.row.retiring

    def look_for_beat(self) -> None:
        """Check whether its loop has made progress since the last check."""
        beat = self.row.beat
        self.missed_beats = self.missed_beats + 1 if beat == self._beat else 0
        self._beat = beat

    def send(self, number: int) -> None:
        """Send a signal to the process, if it still exists."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def exit_code(self) -> int | None:
        """Return the exit code, which is negative for a signal; None while it runs.

        Call this only until it has returned a code: the system reports the end of a process once.
        """
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None


def start_child(table: ProcessTable, settings: Settings, work: Callable[[Row], None]) -> Child:
    """Fork a process that calls *work* and exits. Raises `OSError` if the system cannot create one."""
    with suppress(OSError):
        if sys.stdout is not None:
            sys.stdout.flush()  # otherwise the child would write the buffer, too
    row = table.take_row(os.getpid())
    # Without this, a signal between the fork and the child's first line would run the parent's handlers in the child.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        pid = os.fork()
        if not pid:
            _become(row, work)
    except OSError:
        row.free()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    row.pid = pid
    return Child(pid, row, settings, time.monotonic())


def _become(row: Row, work: Callable[[Row], None]) -> None:
    """Run *work* in the child process and exit, without running the parent's remaining code or its cleanup handlers."""
    code = _FAILED
    try:
        row.pid = os.getpid()
        signal.set_wakeup_fd(-1)
        for name in _ORDERS:
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        for name in _NOT_FOR_WORKERS:
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        work(row)
        code = 0
    except BaseException as error:  # noqa: BLE001 - after any error, the parent's code must not run in the child
        in_full = row.accepting or _log.isEnabledFor(logging.DEBUG)
        _log.critical("a worker process failed: %s: %s", type(error).__name__, error, exc_info=in_full)
    finally:
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(code)
