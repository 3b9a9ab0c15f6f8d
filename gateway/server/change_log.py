"""The log of operators' changes since the settings were loaded, in one order for all workers with these settings."""

import errno
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from dialects.core.conversation import JSON
from dialects.framing.json_text import dumps, loads

_log = logging.getLogger("sap_ai_proxy.server")
_END = b"\n"


class ChangeLog:
    """A file to which workers append changes as JSON lines, and which every worker reads to its end.

    Each process has its own reading position, and one that starts later begins with the first change. Without a *file*,
    the changes stay in this process. Only one thread at a time may read.

    Every line also begins with a newline. So if a process dies while it writes, the next line is still a line of its
    own. Each reader skips the incomplete line and logs a warning.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._position = 0
        self._own: list[JSON] = []

    def append(self, change: JSON) -> None:
        """Append a change. Raises `OSError` if it cannot be written, or only in part."""
        if self._file is None:
            self._own.append(change)
            return
        # A single write appends the whole line atomically, even if other processes append at the same time.
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        line = _END + dumps(change).encode() + _END
        try:
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)

    def read(self) -> Sequence[JSON]:
        """Return the changes of all processes that were not read here before."""
        if self._file is None:
            fresh, self._position = self._own[self._position :], len(self._own)
            return fresh
        lines: list[bytes] = []
        with suppress(OSError), self._file.open("rb") as file:
            file.seek(self._position)
            lines = [line for line in file if line.endswith(_END)]
        self._position += sum(map(len, lines))
        return [*_changes(lines)]


def _changes(lines: Iterable[bytes]) -> Iterator[JSON]:
    for line in lines:
        if line != _END:
            try:
                yield loads(line)
            except ValueError:
                _log.warning(
                    "a change of an operator is skipped: the process that wrote it ended before it was complete"
                )
