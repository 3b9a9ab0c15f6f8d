"""The shared memory through which the supervisor and its workers exchange numbers, without locks and files."""

import errno
import mmap
from typing import Final

MOST_PROCESSES: Final = 1024
_DRAINING, _USED, _STATES_ASKED, _RESTARTS, _FIRST_ROW = range(5)
_PID, _ACCEPTING, _READY, _RETIRING, _OPEN_REQUESTS, _LINES_DROPPED, _BEAT = range(7)
_WIDTH: Final = 7
_LARGEST: Final = 0xFFFFFFFF


class Row:
    """The numbers that one worker process shares. Each cell has four bytes and only one writer at a time."""

    def __init__(self, cells: memoryview, slot: int) -> None:
        self.slot = slot
        """The index of the row in the table. The next process that starts reuses the row of one that has ended."""
        self._cells = cells
        self._start = _FIRST_ROW + slot * _WIDTH

    @property
    def pid(self) -> int:
        """The process id; 0 while the row is free."""
        return self._cells[self._start + _PID]

    @pid.setter
    def pid(self, value: int) -> None:
        self._cells[self._start + _PID] = value

    @property
    def accepting(self) -> bool:
        """Whether the worker has created its application and accepts connections."""
        return bool(self._cells[self._start + _ACCEPTING])

    @accepting.setter
    def accepting(self, value: bool) -> None:
        self._cells[self._start + _ACCEPTING] = value

    @property
    def ready(self) -> bool:
        """Whether the worker's application reports that it can serve."""
        return bool(self._cells[self._start + _READY])

    @ready.setter
    def ready(self, value: bool) -> None:
        self._cells[self._start + _READY] = value

    @property
    def retiring(self) -> bool:
        """Whether the worker only completes the requests in progress."""
        return bool(self._cells[self._start + _RETIRING])

    @retiring.setter
    def retiring(self, value: bool) -> None:
        self._cells[self._start + _RETIRING] = value

    @property
    def open_requests(self) -> int:
        """The number of requests in progress."""
        return self._cells[self._start + _OPEN_REQUESTS]

    @open_requests.setter
    def open_requests(self, value: int) -> None:
        self._cells[self._start + _OPEN_REQUESTS] = value

    @property
    def lines_dropped(self) -> int:
        """The number of log lines that could not be written."""
        return self._cells[self._start + _LINES_DROPPED]

    @lines_dropped.setter
    def lines_dropped(self, value: int) -> None:
        self._cells[self._start + _LINES_DROPPED] = value & _LARGEST

    @property
    def beat(self) -> int:
        """A counter that changes as long as the worker's loop makes progress."""
        return self._cells[self._start + _BEAT]

    @beat.setter
    def beat(self, value: int) -> None:
        self._cells[self._start + _BEAT] = value & _LARGEST

    def free(self) -> None:
        """Clear the row for another process. The process id is cleared last."""
        for field in reversed(range(_WIDTH)):
            self._cells[self._start + field] = 0


class ProcessTable:
    """A table with a row for each worker process, and with flags and counters of the whole proxy.

    It is created before the first fork, so all processes share its memory. Only the supervisor takes and frees rows.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 4 * (_FIRST_ROW + MOST_PROCESSES * _WIDTH))
        self._cells = memoryview(self._memory).cast("I")

    @property
    def draining(self) -> bool:
        """Whether the proxy is about to stop, and should get no more requests."""
        return bool(self._cells[_DRAINING])

    @draining.setter
    def draining(self, value: bool) -> None:
        self._cells[_DRAINING] = value

    @property
    def states_asked(self) -> int:
        """A counter that changes with each request for the states of all workers."""
        return self._cells[_STATES_ASKED]

    @states_asked.setter
    def states_asked(self, value: int) -> None:
        self._cells[_STATES_ASKED] = value & _LARGEST

    @property
    def worker_restarts(self) -> int:
        """The number of workers that ended unexpectedly and were replaced."""
        return self._cells[_RESTARTS]

    @worker_restarts.setter
    def worker_restarts(self, value: int) -> None:
        self._cells[_RESTARTS] = value & _LARGEST

    def take_row(self, pid: int) -> Row:
        """Assign a free row to a process. Raises `OSError` if there are more processes than rows."""
        used = self._cells[_USED]
        row = next((row for row in map(self._row, range(used)) if not row.pid), None)
        if row is None:
            if used == MOST_PROCESSES:
                raise OSError(errno.EAGAIN, f"there are {MOST_PROCESSES} worker processes already")
            row = self._row(used)
            self._cells[_USED] = used + 1
        row.pid = pid
        return row

    def rows(self) -> list[Row]:
        """Return the rows of all processes."""
        return [row for row in map(self._row, range(self._cells[_USED])) if row.pid]

    def _row(self, index: int) -> Row:
        return Row(self._cells, index)
