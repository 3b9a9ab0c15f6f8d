"""Writing log lines without ever waiting for whoever reads them."""

import logging
import os
import select
import stat
import sys
from contextlib import suppress
from typing import Final

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_PIECE: Final = getattr(select, "PIPE_BUF", 4096)
"""Bytes that a pipe takes at once, or not at all."""


class LogWriter(logging.Handler):
    """Writes each log record as one line to a file descriptor, or drops it where that would take time.

    A pipe that nobody reads, a terminal that is stopped and a disk that is full cost lines, not requests. How many
    were dropped is counted, and said as soon as lines can be written again.
    """

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        own = _without_blocking(descriptor)
        self._descriptor = descriptor if own is None else own
        self._poll = select.poll() if own is None and hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(descriptor, select.POLLOUT)
        self._is_midway = False
        self._untold = 0
        self.dropped = 0
        """Lines that could not be written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or drop it."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted is worth no more than a line about it
            line = f"a log record of {record.name} cannot be formatted"
        self.write_line(line)

    def write_line(self, line: str) -> None:
        """Write *line*, or drop it; say before it how many were dropped."""
        if self._untold and self._write(f"{self._untold} log lines were dropped: they could not be written"):
            self._untold = 0
        if self._untold or not self._write(line):
            self._untold += 1
            self.dropped += 1

    def _write(self, line: str) -> bool:
        """Write as much of a line as is taken; tell whether that was all of it."""
        text = line.encode(errors="backslashreplace") + b"\n"
        if self._is_midway:
            text = b"\n" + text
        begun = False
        while text:
            try:
                if self._poll is not None and not self._poll.poll(0):
                    break
                written = os.write(self._descriptor, text[:_PIECE])
            except OSError:
                break
            begun = True
            text = text[written:]
        self._is_midway = bool(text) and (begun or self._is_midway)
        return not text


def set_up(level: str) -> LogWriter:
    """Log to standard error from now on, from *level* upwards; give the writer."""
    # No line says where in the code it was written, or by which thread: then nobody needs to find out.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, LogWriter)]:
        root.removeHandler(handler)
    writer = LogWriter()
    writer.setFormatter(logging.Formatter(_FORMAT))
    root.addHandler(writer)
    root.setLevel(level.upper())
    # What urllib3 says of a connection names its address.
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    return writer


def _without_blocking(descriptor: int) -> int | None:
    """Open a pipe or a terminal once more, for writes that do not block: its other owners keep theirs as it is.

    None where that cannot be done; then there is a look before each write. That is second best: several processes
    write to one pipe, so that one which saw room may find none.
    """
    with suppress(OSError):
        mode = os.fstat(descriptor).st_mode
        if sys.platform == "linux" and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_APPEND)
    return None
