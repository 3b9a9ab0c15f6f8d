"""The resources that a process uses, read from Linux's `/proc`: CPU time, memory and file descriptors."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_USER_TIME, _SYSTEM_TIME, _START_TIME, _RESIDENT_PAGES = 11, 12, 19, 21
"""Indexes of fields in `/proc/PID/stat`, counted from the field after the program's name."""
_OPEN_FILES: Final = "Max open files"


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """The resources that one process uses. A field is None if the system does not provide it."""

    cpu_seconds: float
    """CPU time in user and system mode since the process started."""
    resident_bytes: int
    start_time: float | None
    """The start of the process, in seconds since the epoch."""
    open_descriptors: int | None
    most_descriptors: int | None


def usage_of(pid: int, proc: Path = _PROC) -> ProcessUsage | None:
    """Return the resources that a process uses; None if it has ended, or if the system has no *proc*."""
    try:
        fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        ticks = int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])
        started, pages = int(fields[_START_TIME]), int(fields[_RESIDENT_PAGES])
    except (OSError, ValueError, LookupError):
        return None
    per_second, booted = os.sysconf("SC_CLK_TCK"), _booted_at(proc)
    return ProcessUsage(
        cpu_seconds=ticks / per_second,
        resident_bytes=pages * os.sysconf("SC_PAGE_SIZE"),
        start_time=None if booted is None else booted + started / per_second,
        open_descriptors=_open_descriptors(proc / str(pid)),
        most_descriptors=_most_descriptors(proc / str(pid)),
    )


def _booted_at(proc: Path) -> float | None:
    """Return when the system started, in seconds since the epoch."""
    with suppress(OSError, ValueError, LookupError):
        lines = (line.split() for line in (proc / "stat").read_bytes().splitlines())
        return next((float(line[1]) for line in lines if line and line[0] == b"btime"), None)
    return None


def _open_descriptors(process: Path) -> int | None:
    with suppress(OSError):
        return sum(1 for _ in (process / "fd").iterdir())
    return None


def _most_descriptors(process: Path) -> int | None:
    """Return the limit of open file descriptors of the process; None if there is no limit."""
    with suppress(OSError, ValueError, LookupError):
        lines = (process / "limits").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith(_OPEN_FILES))
        return int(line.removeprefix(_OPEN_FILES).split()[0])
    return None
