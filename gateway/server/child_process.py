"""A worker process as its parent knows it, and how it is started."""

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
"""What the supervising process listens to."""
_FAILED: Final = 3
_ORDERS: Final = ("SIGTERM", "SIGUSR1", "SIGCHLD")
_NOT_FOR_WORKERS: Final = ("SIGINT", "SIGQUIT", "SIGHUP")
"""What a terminal sends to all processes at once; the supervisor hears it too, and knows what to do."""


@dataclass(eq=False)
class Child:
    """A worker process.

    *kill_at* is when it must have ended by itself, on the clock of `time.monotonic`.
    """

    pid: int
    row: Row
    settings: Settings
    started: float
    retiring: bool = False
    kill_at: float = float("inf")
    missed_beats: int = 0
    """How many times in a row its loop was found where it was before."""
    _beat: int = -1

    @property
    def has_served(self) -> bool:
        """Whether it has ever accepted connections."""
        return self.row.accepting or self.row.retiring

    def look_for_beat(self) -> None:
        """See whether its loop has gone on since the last look."""
        beat = self.row.beat
        self.missed_beats = self.missed_beats + 1 if beat == self._beat else 0
        self._beat = beat

    def send(self, number: int) -> None:
        """Send a signal."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def exit_code(self) -> int | None:
        """Give how it ended, below zero for a signal; None while it runs. Asks only once for one that has ended."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None


def start_child(table: ProcessTable, settings: Settings, work: Callable[[Row], None]) -> Child:
    """Fork a process that does *work* and ends; raises `OSError` if the system has no room for one."""
    with suppress(OSError):
        if sys.stdout is not None:
            sys.stdout.flush()  # or the child would say it too
    row = table.take_row(os.getpid())
    # A signal that came between the fork and the first line of the child would be the parent's in the child.
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
    """Be the child to its end; what the parent has still to do, and its cleaning up, does not happen here."""
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
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent's code must not go on here
        in_full = row.accepting or _log.isEnabledFor(logging.DEBUG)
        _log.critical("a worker process failed: %s: %s", type(error).__name__, error, exc_info=in_full)
    finally:
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(code)
