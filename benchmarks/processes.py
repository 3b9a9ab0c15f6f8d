"""Processes of the benchmarks, which are pinned to a core, measured with /proc, and stopped with their children."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.figures import ProcessTimes, process_times, pss_bytes

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_FILES = 65_536


def cores() -> tuple[int, int] | None:
    """Return the core of the contestants and that of client and upstream; None if there is only one core."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else None


class ProcessTree:
    """A command in a session of its own, with all processes that it starts. Its output goes to a file.

    Closing it sends SIGTERM to the session, and SIGKILL to what still runs after the patience.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path, core: int | None
    ) -> None:
        def prepare() -> None:
            if core is not None:
                os.sched_setaffinity(0, {core})
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            files = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))

        self.started = time.monotonic()
        with log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - the commands are our own
                command,
                env=dict(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509 - this process has one thread
            )

    @property
    def pid(self) -> int:
        """The id of the command's own process, which leads the session."""
        return self._process.pid

    @property
    def is_over(self) -> bool:
        """Whether the command itself has ended."""
        return self._process.poll() is not None

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the whole session so far."""
        return sum(times.ticks for _, times in self._members()) / _TICKS

    def pids(self) -> list[int]:
        """List the processes that exist now."""
        return [pid for pid, _ in self._members()]

    def busiest(self, seconds: float) -> int:
        """Return the process that uses the most CPU time within the next *seconds*."""
        before = {pid: times.ticks for pid, times in self._members()}
        time.sleep(seconds)
        taken = {pid: times.ticks - before.get(pid, 0) for pid, times in self._members()}
        return max(taken, key=taken.__getitem__, default=self.pid)

    def pin(self, cores: Collection[int]) -> None:
        """Pin the existing processes to these cores. Only the first thread of each is moved."""
        for pid in self.pids():
            with suppress(OSError):
                os.sched_setaffinity(pid, cores)

    def pss_bytes(self) -> int:
        """Return the memory of the whole session in bytes, in which shared pages count by their share."""
        total = 0
        for pid, _ in self._members():
            with suppress(OSError):
                total += pss_bytes((_PROC / str(pid) / "smaps_rollup").read_text())
        return total

    def close(self, patience: float = 3.0) -> None:
        """Stop the command and all processes that it started, by force after *patience* seconds."""
        self._signal(signal.SIGTERM)
        end = time.monotonic() + patience
        while self._is_alive() and time.monotonic() < end:
            self._process.poll()
            time.sleep(0.01)
        self._signal(signal.SIGKILL)
        self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _is_alive(self) -> bool:
        return any(not times.is_zombie for _, times in self._members())

    def _signal(self, number: signal.Signals) -> None:
        for pid, times in list(self._members()):
            if not times.is_zombie:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _members(self) -> Iterator[tuple[int, ProcessTimes]]:
        """Yield the processes of the session with their CPU times."""
        for entry in _PROC.iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    times = process_times((entry / "stat").read_text())
                    if times.session == self._process.pid:
                        yield int(entry.name), times
