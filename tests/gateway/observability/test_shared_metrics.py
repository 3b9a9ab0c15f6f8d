"""One truth from the counters of many processes, of which some are gone."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.observability import shared_metrics

ROOT = Path(__file__).parents[3]
COUNTING = """
import json, os, sys
from pathlib import Path
from gateway.observability import shared_metrics
shared_metrics.share(Path(sys.argv[1]))
from prometheus_client import CollectorRegistry, Counter, Histogram
registry = CollectorRegistry()
counter = Counter("calls", "Calls made", ("model",), registry=registry)
seconds = Histogram("seconds", "Until the end", buckets=(1, 5), registry=registry)
for model, count in json.loads(sys.argv[2]).items():
    counter.labels(model).inc(count)
    seconds.observe(count)
print(os.getpid())
"""


def counted(folder: Path, **calls: int) -> int:
    """Have a process of its own count; give its id."""
    command = [sys.executable, "-c", COUNTING, str(folder), json.dumps(calls)]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def values(folder: Path) -> dict[str, float]:
    lines = [line for line in shared_metrics.exposition(folder).decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


EXPECTED = {
    'calls_total{model="a"}': 3.0,
    'calls_total{model="b"}': 4.0,
    'seconds_bucket{le="1.0"}': 1.0,
    'seconds_bucket{le="5.0"}': 3.0,
    'seconds_bucket{le="+Inf"}': 3.0,
    "seconds_count": 3.0,
    "seconds_sum": 7.0,
}


def test_processes_are_added_up_and_stay_so_when_they_are_gone(tmp_path: Path) -> None:
    first, second = counted(tmp_path, a=1, b=4), counted(tmp_path, a=2)
    assert values(tmp_path) == EXPECTED

    shared_metrics.absorb(tmp_path, first)
    assert values(tmp_path) == EXPECTED
    shared_metrics.absorb(tmp_path, second)
    assert values(tmp_path) == EXPECTED
    assert {path.name for path in tmp_path.glob("*.db")} == {"counter_0.db", "histogram_0.db"}
    assert b"# HELP calls_total Calls made" in shared_metrics.exposition(tmp_path)


def test_a_process_that_was_absorbed_is_not_counted_again(tmp_path: Path) -> None:
    pid = counted(tmp_path, a=1)
    for _ in range(3):
        shared_metrics.absorb(tmp_path, pid)

    assert values(tmp_path)['calls_total{model="a"}'] == 1.0


def test_nothing_is_moved_under_the_eyes_of_a_reader(tmp_path: Path) -> None:
    pid = counted(tmp_path, a=1)
    reader = os.open(tmp_path / "metrics.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(reader, fcntl.LOCK_SH)
    with pytest.raises(BlockingIOError):
        shared_metrics.absorb(tmp_path, pid)
    os.close(reader)
    shared_metrics.absorb(tmp_path, pid)

    assert values(tmp_path)['calls_total{model="a"}'] == 1.0


def test_a_torn_file_costs_its_own_end_alone(tmp_path: Path) -> None:
    first, second = counted(tmp_path, a=1), counted(tmp_path, a=2)
    torn = tmp_path / f"counter_{second}.db"
    content = bytearray(torn.read_bytes())
    used = int.from_bytes(content[:4], sys.byteorder)
    content[used : used + 4] = (1_000_000).to_bytes(4, sys.byteorder)
    content[:4] = (used + 8).to_bytes(4, sys.byteorder)
    torn.write_bytes(content)
    for pid in (first, second):
        shared_metrics.absorb(tmp_path, pid)

    assert values(tmp_path)['calls_total{model="a"}'] == 3.0


def test_a_file_that_was_only_just_created_counts_nothing_and_stops_nobody(tmp_path: Path) -> None:
    counted(tmp_path, a=1, b=4)
    counted(tmp_path, a=2)
    (tmp_path / "counter_1.db").touch()
    assert values(tmp_path) == EXPECTED

    shared_metrics.absorb(tmp_path, 1)
    assert values(tmp_path) == EXPECTED
    assert not (tmp_path / "counter_1.db").exists()
