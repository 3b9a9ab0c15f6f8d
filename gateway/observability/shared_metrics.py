"""Metrics of several processes. Each process writes its own files, and any process can add them up."""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Metric, generate_latest, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_ABSORBED: Final = "0"
"""The part of a file's name that replaces a process id, for the sums of processes that have ended."""
_ADDED_UP: Final = ("counter", "histogram", "summary")
_LOCK: Final = "metrics.lock"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of `exposition`: the text format of Prometheus, which newer versions require to be declared."""


def share(folder: Path) -> None:
    """Store the metrics of this process in *folder*.

    Call this before any metric is created, in a process that will not fork.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    process = os.getpid()
    values.ValueClass = values.MultiProcessValue(lambda: process)


def exposition(counted: Path | CollectorRegistry, *gauges: Collector) -> bytes:
    """Return metrics in the text format of Prometheus: those *counted* in a folder or a registry, then *gauges*."""
    registry = CollectorRegistry()
    if isinstance(counted, Path):
        with _locked(counted, exclusive=False):
            registry.register(_Begun(None, path=str(counted)))
            said = generate_latest(registry)
    else:
        said = generate_latest(counted)
    others = CollectorRegistry()
    for each in gauges:
        others.register(each)
    return said + generate_latest(others)


class _Begun(MultiProcessCollector):
    """Collects the metrics in the files of all processes, except files that are still empty."""

    def collect(self) -> Iterable[Metric]:
        """Return the sums over all files that are not empty."""
        files = [str(path) for path in Path(self._path).glob("*.db") if path.stat().st_size]
        collected: Iterable[Metric] = self.merge(files, accumulate=True)
        return collected


def absorb(folder: Path, pid: int) -> None:
    """Add the counts of an ended process to the common file, and delete its own file.

    Sums therefore never fall, and files stay few. Raises `BlockingIOError` while another process reads the metrics. The
    call can then be repeated.
    """
    with _locked(folder, exclusive=True):
        for kind in _ADDED_UP:
            gone = folder / f"{kind}_{pid}.db"
            if gone.exists():
                _add(gone, folder / f"{kind}_{_ABSORBED}.db")
        for gauge in folder.glob(f"gauge_*_{pid}.db"):
            gauge.unlink()


def _add(gone: Path, total: Path) -> None:
    """Add the counts in the file *gone* to the file *total*, and delete *gone*."""
    summed: dict[str, float] = {}
    for path in filter(Path.exists, (total, gone)):
        # A process that was killed while it wrote may leave a truncated or an empty file.
        with suppress(RuntimeError, struct.error):
            for key, value, *_ in MmapedDict.read_all_values_from_file(path):
                summed[key] = summed.get(key, 0.0) + value
    fresh = total.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    written = MmapedDict(str(fresh))
    for key, value in summed.items():
        written.write_value(key, value, 0.0)
    written.close()
    fresh.replace(total)
    gone.unlink()


@contextmanager
def _locked(folder: Path, *, exclusive: bool) -> Iterator[None]:
    """Lock the folder, so that a reader sees the counts of a process once: in its own file or in the common one."""
    import fcntl  # noqa: PLC0415 - Windows has no such module, and imports this one

    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
