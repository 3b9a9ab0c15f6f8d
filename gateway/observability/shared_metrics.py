"""Metrics of several processes as one: each writes its own files, anybody adds them up."""

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
"""What stands in the name of a file where others have a process id: those of processes that are gone."""
_ADDED_UP: Final = ("counter", "histogram", "summary")
_LOCK: Final = "metrics.lock"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""What `exposition` writes: the text format of Prometheus, which newer versions of it want to be named."""


def share(folder: Path) -> None:
    """Keep the metrics of this process, which forks no more, in *folder*; call it before any metric is created."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    process = os.getpid()
    values.ValueClass = values.MultiProcessValue(lambda: process)


def exposition(counted: Path | CollectorRegistry, *gauges: Collector) -> bytes:
    """Write metrics in the text format of Prometheus: what was *counted*, in a folder or here, and then *gauges*."""
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
    """Collects what is in the files; one that a process has only just created has nothing in it, not even a size."""

    def collect(self) -> Iterable[Metric]:
        """Add up all files that were begun."""
        files = [str(path) for path in Path(self._path).glob("*.db") if path.stat().st_size]
        collected: Iterable[Metric] = self.merge(files, accumulate=True)
        return collected


def absorb(folder: Path, pid: int) -> None:
    """Add what a process that is gone has counted to one file, and forget its own: sums never fall, files stay few.

    Raises `BlockingIOError` while somebody reads; then it can be called again.
    """
    with _locked(folder, exclusive=True):
        for kind in _ADDED_UP:
            gone = folder / f"{kind}_{pid}.db"
            if gone.exists():
                _add(gone, folder / f"{kind}_{_ABSORBED}.db")
        for gauge in folder.glob(f"gauge_*_{pid}.db"):
            gauge.unlink()


def _add(gone: Path, total: Path) -> None:
    """Write the sum of two files in place of one, and drop the other."""
    summed: dict[str, float] = {}
    for path in filter(Path.exists, (total, gone)):
        # A process that was killed while it wrote may leave a file with a torn end, or without any content.
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
    """Let readers see a process either in its own file or in that of those who are gone, never in both or in none."""
    import fcntl  # noqa: PLC0415 - Windows has no such module, and imports this one

    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
