"""A log handler that never blocks on slow readers of the log."""

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
"""The attribute of a log record that holds a function, which returns the record's fields by name."""
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_SHADES: Final = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[1;31m"}
_PLAIN: Final = "\x1b[0m"
_PIECE: Final = getattr(select, "PIPE_BUF", 4096)
"""The number of bytes that a write to a pipe takes either completely or not at all."""
_MOST_LINES: Final = 10_000
"""The maximum number of lines that wait for the writing thread. Further lines are dropped."""
_TOGETHER: Final = 0.02
"""Seconds for which the background thread collects lines before it writes. Fewer wake-ups disturb other threads
less."""
_PATIENCE: Final = 2.0
"""The maximum number of seconds to wait for the background thread to end."""


class LogWriter(logging.Handler):
    """Writes each log record as one line to a file descriptor, or drops it if that would block.

    A pipe without a reader, a stopped terminal and a full disk therefore cost log lines, but delay no requests. The
    number of dropped lines is counted, and logged as soon as lines can be written again. While one thread writes, the
    others queue their lines for it. The lock guards the queue, the counts, and whether a thread is writing.

    Between `begin_background` and `end_background`, a background thread formats and writes. Other threads then only
    queue the record, whose arguments must not change any more.
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
        """The number of lines that could not be written."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record that passes the filters. No thread waits for the write of another."""
        kept: bool | logging.LogRecord = self.filter(record)
        if kept:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        return bool(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Write, queue or drop a record."""
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
        """Start a background thread that formats and writes the lines of every *together* seconds in one batch."""
        self._ends.clear()
        self._thread = threading.Thread(target=self._write_records, args=(together,), name="log", daemon=True)
        self._thread.start()

    def end_background(self) -> None:
        """Write the queued records and stop the background thread."""
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
        except Exception:  # noqa: BLE001 - a record that cannot be formatted is replaced by a line about it
            line = f"a log record of {record.name} cannot be formatted"
        self.write_line(line)

    def write_line(self, line: str) -> None:
        """Write *line*, queue it for the thread that is writing, or drop it.

        The number of dropped lines is logged before it.
        """
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
        """Close the file descriptor."""
        if self._own is not None:
            os.close(self._own)
            self._own, self._descriptor = None, -1
        super().close()

    def _next_line(self) -> str | None:
        """Return the next line to write, or None if there is none; this thread then stops writing."""
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
        """Format a line about the number of dropped lines."""
        what = f"{lines} log lines were dropped: they could not be written"
        if not isinstance(self.formatter, _JsonFormatter):
            return what
        return self.format(logging.makeLogRecord({"name": __name__, "levelname": "WARNING", "msg": what}))

    def _drop(self) -> None:
        self._untold += 1
        self.dropped += 1

    def _write(self, line: str) -> bool:
        """Write as much of a line as possible; return whether that was all of it."""
        text = line.encode(errors="backslashreplace") + b"\n"
        if self._is_midway:
            text = b"\n" + text
        begun, place = False, 0
        while place < len(text):
            try:
                if self._poll is not None and not self._poll.poll(0):
                    break
                place += os.write(self._descriptor, text[place : place + _PIECE])
            except OSError:
                break
            begun = True
        is_whole = place == len(text)
        self._is_midway = not is_whole and (begun or self._is_midway)
        return is_whole


class _Formatter(logging.Formatter):
    """A formatter for people that formats the time once a second; *coloured* adds the colours of a terminal."""

    _last = (-1, "")
    """The last formatted second, and its text."""

    def __init__(self, *, coloured: bool = False) -> None:
        super().__init__(_FORMAT)
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """Format a record. The line of a request has no level and no logger."""
        if isinstance(record.msg, RequestLine):
            return f"{self.formatTime(record)} {record.msg.text(coloured=self._coloured)}"
        line = super().format(record)
        shade = _SHADES.get(record.levelno) if self._coloured else None
        return line.replace(record.levelname, f"{shade}{record.levelname}{_PLAIN}", 1) if shade else line

    def formatTime(self, record: logging.LogRecord, _format: str | None = None) -> str:  # noqa: N802 - as it is named
        """Format the time of a record."""
        second, text = self._last
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime(self.default_time_format, self.converter(second))
            self._last = second, text
        return f"{text},{int(record.msecs):03d}"


class _JsonFormatter(logging.Formatter):
    """A formatter that writes a record as a JSON object with time, level, logger and message.

    A record with `fields` has these instead of the message.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as a JSON object."""
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
    """Return whether to use colours: the descriptor is a terminal, and the environment does not forbid them."""
    if env.get("NO_COLOR") or env.get("TERM") == "dumb" or sys.platform == "win32":
        return False
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def set_up(level: str, log_format: str = "text") -> LogWriter:
    """Log to standard error from now on, from *level* upwards, and return the writer.

    *log_format* is "text" for people or "json" for programs. After a fork, the child process calls this again.
    """
    # No line shows its place in the code or its thread, so logging need not determine them.
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
    # Messages of urllib3 about a connection contain its address.
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    return writer


def _without_blocking(descriptor: int) -> int | None:
    """Open a pipe or a terminal again for non-blocking writes, so that other owners keep their blocking descriptor.

    Return None if that is impossible. The writer then polls before each write. This is weaker: another process may fill
    the pipe between the poll and the write.
    """
    with suppress(OSError):
        mode = os.fstat(descriptor).st_mode
        if sys.platform == "linux" and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_APPEND)
    return None
