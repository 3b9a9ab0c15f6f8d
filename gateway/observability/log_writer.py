"""Writing log lines without ever waiting for whoever reads them."""

import json
import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from gateway.observability.request_line import RequestLine

FIELDS: Final = "fields"
"""The attribute of a record whose sentence is made of fields: a function that gives them, by name."""
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_SHADES: Final = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[1;31m"}
_PLAIN: Final = "\x1b[0m"
_PIECE: Final = getattr(select, "PIPE_BUF", 4096)
"""Bytes that a pipe takes at once, or not at all."""
_MOST_LINES: Final = 10_000
"""Lines that wait for the thread that writes; more of them are dropped."""
_TOGETHER: Final = 0.02
"""Seconds within which a background thread lets lines come together: each time it wakes, others wait for it."""
_PATIENCE: Final = 2.0
"""Seconds that the end of a background thread is waited for."""


class LogWriter(logging.Handler):
    """Writes each log record as one line to a file descriptor, or drops it where that would take time.

    A pipe that nobody reads, a terminal that is stopped and a disk that is full cost lines, not requests. How many
    were dropped is counted, and said as soon as lines can be written again. While one thread writes, the others leave
    their lines to it. The lock guards the lines that are left, the counts, and whether somebody writes.

    Between `begin_background` and `end_background` a thread of its own formats and writes: whoever logs only leaves
    the record, whose arguments must not change any more.
    """

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._own = _without_blocking(descriptor)
        self._descriptor = descriptor if self._own is None else self._own
        self._poll = select.poll() if self._own is None and hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(descriptor, select.POLLOUT)
        self._lock = threading.RLock()  # a signal may interrupt a thread that logs, and its handler may log
        self._lines: deque[str] = deque()
        self._is_writing = False
        self._is_midway = False
        self._untold = 0
        self._records: deque[logging.LogRecord] = deque()
        self._thread: threading.Thread | None = None
        self._has_records = threading.Event()
        self._ends = threading.Event()
        self.dropped = 0
        """Lines that could not be written."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record that passes the filters; no thread waits for another one's write."""
        kept: bool | logging.LogRecord = self.filter(record)
        if kept:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        return bool(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or drop it; or leave it to the thread that does so."""
        if self._thread is None:
            self._write_record(record)
        elif len(self._records) < _MOST_LINES:
            self._records.append(record)
            if not self._has_records.is_set():
                self._has_records.set()
        else:
            with self._lock:
                self._drop()

    def begin_background(self, together: float = _TOGETHER) -> None:
        """Format and write in a thread of its own from now on, what comes within *together* seconds at once."""
        self._ends.clear()
        self._thread = threading.Thread(target=self._write_records, args=(together,), name="log", daemon=True)
        self._thread.start()

    def end_background(self) -> None:
        """Write what was left to the thread, and from now on without it."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ends.set()
            self._has_records.set()
            thread.join(_PATIENCE)

    def _write_records(self, together: float) -> None:
        while not self._ends.is_set() or self._records:
            self._has_records.wait()
            self._ends.wait(together)
            self._has_records.clear()
            while self._records:
                self._write_record(self._records.popleft())

    def _write_record(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted is worth no more than a line about it
            line = f"a log record of {record.name} cannot be formatted"
        self.write_line(line)

    def write_line(self, line: str) -> None:
        """Write *line*, leave it to the thread that writes, or drop it; say before it how many were dropped."""
        with self._lock:
            if len(self._lines) < _MOST_LINES:
                self._lines.append(line)
            else:
                self._drop()
            if self._is_writing:
                return
            self._is_writing = True
        try:
            while (next_line := self._next_line()) is not None:
                self._write_or_drop(next_line)
        except BaseException:
            with self._lock:
                self._is_writing = False
            raise

    def close(self) -> None:
        """Write no more."""
        if self._own is not None:
            os.close(self._own)
            self._own, self._descriptor = None, -1
        super().close()

    def _next_line(self) -> str | None:
        """Take the next line to write; None if that is all, and from then on nobody writes."""
        with self._lock:
            if self._lines:
                return self._lines.popleft()
            self._is_writing = False
            return None

    def _write_or_drop(self, line: str) -> None:
        untold = self._untold
        if untold and self._write(self._dropped(untold)):
            with self._lock:
                self._untold -= untold
        if self._untold or not self._write(line):
            with self._lock:
                self._drop()

    def _dropped(self, lines: int) -> str:
        """Say how many lines are lost, as the other lines are written."""
        what = f"{lines} log lines were dropped: they could not be written"
        if not isinstance(self.formatter, _JsonFormatter):
            return what
        return self.format(logging.makeLogRecord({"name": __name__, "levelname": "WARNING", "msg": what}))

    def _drop(self) -> None:
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


class _Formatter(logging.Formatter):
    """Formats a record for people, and its time once a second; *coloured* is for a terminal."""

    _last = (-1, "")
    """A second, and how it is written."""

    def __init__(self, *, coloured: bool = False) -> None:
        super().__init__(_FORMAT)
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """Write the line: of a request its time and what there is to say, of anything else also who says it."""
        if isinstance(record.msg, RequestLine):
            return f"{self.formatTime(record)} {record.msg.text(coloured=self._coloured)}"
        line = super().format(record)
        shade = _SHADES.get(record.levelno) if self._coloured else None
        return line.replace(record.levelname, f"{shade}{record.levelname}{_PLAIN}", 1) if shade else line

    def formatTime(self, record: logging.LogRecord, _format: str | None = None) -> str:  # noqa: N802 - as it is named
        """Write when a record was made."""
        second, text = self._last
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime(self.default_time_format, self.converter(second))
            self._last = second, text
        return f"{text},{int(record.msecs):03d}"


class _JsonFormatter(logging.Formatter):
    """Formats a record as one object of JSON: when, how grave, who says it, and what.

    A record whose `fields` are given has these instead of the sentence that is made of them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write the object."""
        made = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": made, "level": record.levelname.lower(), "logger": record.name}
        fields = getattr(record, FIELDS, None)
        line.update({"message": record.getMessage()} if fields is None else fields())
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


_FORMATTERS: Final[Mapping[str, Callable[[], logging.Formatter]]] = {
    "text": lambda: _Formatter(coloured=shows_colours(2)),
    "json": _JsonFormatter,
}


def shows_colours(descriptor: int, env: Mapping[str, str] = os.environ) -> bool:
    """Whether colours are seen there: it is a terminal, and nobody has said that they are not wanted."""
    if env.get("NO_COLOR") or env.get("TERM") == "dumb" or sys.platform == "win32":
        return False
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def set_up(level: str, log_format: str = "text") -> LogWriter:
    """Log to standard error from now on, from *level* upwards; give the writer. A forked process sets up its own.

    *log_format* is "text", a line for people, or "json", an object for programs.
    """
    # No line says where in the code it was written, or by which thread: then nobody needs to find out.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - as "Optimization" in logging's HOWTO says
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, LogWriter)]:
        root.removeHandler(handler)
        handler.close()
    writer = LogWriter()
    writer.setFormatter(_FORMATTERS[log_format]())
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
