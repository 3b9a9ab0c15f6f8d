"""What operators have changed since the settings were read, in one order for all workers of these settings."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dialects.core.conversation import JSON
from dialects.framing.json_text import dumps, loads

_END = b"\n"


class ChangeLog:
    """A file to which each worker appends changes, one a line, and which each of them reads to its end.

    Every process reads it by its own position: one that starts later begins with the first change. Without a *file*
    the changes stay in this process. One thread at a time reads.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._position = 0
        self._own: list[JSON] = []

    def append(self, change: JSON) -> None:
        """Add a change at the end; raises `OSError` where it cannot be written."""
        if self._file is None:
            self._own.append(change)
            return
        # One write appends a line as a whole, also while other processes do the same.
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, dumps(change).encode() + _END)
        finally:
            os.close(descriptor)

    def read(self) -> Sequence[JSON]:
        """Give the changes, of whatever process, that were not read here yet."""
        if self._file is None:
            fresh, self._position = self._own[self._position :], len(self._own)
            return fresh
        lines: list[bytes] = []
        with suppress(OSError), self._file.open("rb") as file:
            file.seek(self._position)
            lines = [line for line in file if line.endswith(_END)]
        self._position += sum(map(len, lines))
        return [loads(line) for line in lines]
