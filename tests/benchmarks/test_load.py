"""The upstream and the client of the benchmarks, against each other."""

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from benchmarks.contestants import Direct
from benchmarks.installing import compiled
from benchmarks.measures import Bench, Measure
from benchmarks.plan import TEN
from benchmarks.processes import ProcessTree, cores
from tests.support.processes import is_alive, until

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="the benchmarks need a C compiler")

WHOLE = json.dumps({"model": "m", "messages": []})
STREAM = json.dumps({"model": "m", "messages": [], "stream": True})


@dataclass
class Upstream:
    port: int

    def ask(self, path: str, body: str, **headers: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body.encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=60) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    folder = tmp_path_factory.mktemp("compiled")
    return lambda source: str(compiled(folder, source))


@pytest.fixture(scope="module")
def upstream(programs: Callable[[str], str]) -> Iterator[Upstream]:
    with subprocess.Popen([programs("upstream.c"), "0", "100"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield Upstream(int(process.stdout.readline()))
        process.kill()


@pytest.fixture
def load(programs: Callable[[str], str], upstream: Upstream) -> Callable[..., dict[str, Any]]:
    def run(**options: object) -> dict[str, Any]:
        upstream.stats()
        given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        command = [programs("load.c"), "--port", str(upstream.port), *given]
        told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        return json.loads(told.stdout.splitlines()[-1])

    return run


def test_answers_that_the_client_counts_are_those_that_the_upstream_gave(upstream, load) -> None:
    said = load(mode="requests", connections=4, seconds=1, path="/d1-c1r0/chat/completions", body=WHOLE)
    given = upstream.stats()["requests"]

    assert 0 < said["answers"] <= given <= said["answers"] + 4
    assert (said["refused"], said["broken"], said["connect_errors"]) == (0, 0, 0)
    assert 0 < said["latency_p50"] <= said["latency_p99"] <= said["latency_max"]


def test_every_chunk_of_paced_streams_arrives_once_and_in_order(upstream, load) -> None:
    said = load(
        mode="streams",
        connections=5,
        seconds=0.2,
        grace=30,
        chunks=20,
        path="/d1-c20r100/chat/completions",
        body=STREAM,
    )

    assert 100 == said["chunks"] == upstream.stats()["chunks"]
    assert (said["done"], said["answers"], said["misplaced"], said["unfinished"], said["silent"]) == (5, 5, 0, 0, 0)
    assert said["share"] == 1.0
    assert said["latency_p50"] >= 0.98 * 200_000


def test_chunks_are_due_by_the_rate(upstream) -> None:
    said = upstream.ask("/d1-c5r200/chat/completions", STREAM).decode()
    due = [int(stamp) for stamp in re.findall(r"@@\d{6}:(\d{19});", said)]

    assert [after - before for before, after in pairwise(due)] == [5_000_000] * 4


def test_every_chunk_of_unpaced_streams_arrives_in_order(load) -> None:
    """What is left of the last answers is cut off in the middle, so only the order can be told."""
    said = load(mode="requests", connections=2, seconds=1, path="/d1-c2000r0/chat/completions", body=STREAM)

    assert 2_000 <= 2_000 * said["done"] <= said["chunks"] <= 2_000 * (said["done"] + 2)
    assert said["misplaced"] == 0


def test_streams_that_are_not_over_in_their_time_are_left_and_counted(upstream, load) -> None:
    said = load(
        mode="streams",
        connections=3,
        seconds=0.2,
        grace=0,
        chunks=100,
        path="/d1-c100r10/chat/completions",
        body=STREAM,
    )

    assert (said["answers"], said["unfinished"]) == (0, 3)
    assert pytest.approx(said["share"], abs=1e-4) == said["chunks"] / 300
    departed: list[int] = []
    assert until(lambda: departed.append(upstream.stats()["departed"]) or sum(departed) >= 3)
    assert sum(departed) == 3


def test_each_stream_has_its_own_time_however_late_it_begins(load) -> None:
    """Three streams begin within a second, for six chunks or seven each; with all of 1.6 s they would be 38."""
    said = load(
        mode="streams", connections=3, seconds=0.6, grace=0, ramp=1, path="/d1-c100r10/chat/completions", body=STREAM
    )

    assert said["unfinished"] == 3
    assert 3 <= said["chunks"] < 30


@pytest.mark.parametrize("framing", ["length", "chunks", "bytes", "close"])
def test_chunks_are_found_however_they_are_packed(framing: str, programs) -> None:
    body = b"".join(b"data: a@b @@%06d:%019d;\n\n" % (n, n) for n in range(50)) + b"data: [DONE]\n\n"
    head, said = {
        "length": (b"Content-Length: %d" % len(body), body),
        "chunks": (b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)),
        "bytes": (b"Transfer-Encoding: chunked", b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"),
        "close": (b"Connection: close", body),
    }[framing]
    told = asked_of(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (head, said), programs)

    assert (told["chunks"], told["misplaced"], told["done"], told["answers"]) == (50, 0, 1, 1)


def test_lost_chunks_and_refusals_are_counted(programs) -> None:
    lost = b"@@000000:0000000000000000001;@@000002:0000000000000000001;"
    head = b"Content-Length: %d\r\n\r\n%s" % (len(lost), lost)

    assert asked_of(b"HTTP/1.1 200 OK\r\n" + head, programs)["misplaced"] == 1
    told = asked_of(b"HTTP/1.1 503 No\r\n" + head, programs)
    assert (told["refused"], told["answers"], told["unfinished"]) == (1, 0, 1)


def test_an_answer_that_is_cut_short_is_broken(programs) -> None:
    told = asked_of(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", programs)

    assert (told["broken"], told["answers"], told["unfinished"]) == (1, 0, 1)


def asked_of(answer: bytes, programs) -> dict[str, Any]:
    """What the client says of one stream from a server that answers so, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [programs("load.c"), "--port", str(listener.getsockname()[1]), "--mode", "streams", "--seconds", "9"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)
            return json.loads(client.communicate(timeout=60)[0])


def test_idle_connections_are_announced_when_all_are_open(programs, upstream) -> None:
    command = [programs("load.c"), "--port", str(upstream.port), "--mode", "idle"]
    told = subprocess.run(
        [*command, "--connections", "50", "--seconds", "2"], check=True, capture_output=True, timeout=30
    ).stdout.splitlines()

    assert [json.loads(line)["open"] for line in told] == [50, 50]


def texts_of(payloads: list[dict[str, Any]]) -> list[str]:
    return [each["delta"]["text"][:9] for each in payloads if "delta" in each]


def test_converse_is_streamed_as_sap_ai_core_writes_it(upstream) -> None:
    lines = upstream.ask("/deployments/d1-c3r0/converse-stream", WHOLE).decode().split("\n\n")
    events = [ast.literal_eval(line.removeprefix("data: ")) for line in lines if line]

    assert [
        "messageStart", *["contentBlockDelta"] * 3, "contentBlockStop", "messageStop", "metadata"
    ] == [name for event in events for name in event]  # fmt: skip
    assert texts_of([value for each in events for value in each.values()]) == ["@@000000:", "@@000001:", "@@000002:"]


def test_converse_is_streamed_in_binary_to_who_asks_for_that(upstream) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(
        upstream.ask("/deployments/d1-c3r0/converse-stream", WHOLE, Accept="application/vnd.amazon.eventstream")
    )
    messages = list(buffer)

    assert [each.headers[":event-type"] for each in messages[:2]] == ["messageStart", "contentBlockDelta"]
    assert texts_of([json.loads(each.payload) for each in messages]) == ["@@000000:", "@@000001:", "@@000002:"]


def test_whatever_shares_both_cores_is_pinned_to_its_own_again(programs) -> None:
    usable, both = os.sched_getaffinity(0), cores()
    if not both:
        pytest.skip("this machine has one core")
    try:
        with closing(Bench(Path(programs("load.c")), Path(programs("upstream.c")), both, (TEN,))) as bench:
            taken = bench.take(Direct(), Measure("m", 2, 0.1, TEN, on_both=True))
            own = os.sched_getaffinity(0)
    finally:
        os.sched_setaffinity(0, usable)

    assert taken
    assert taken.figures["requests/s"] > 0
    assert taken.figures["cores that client and upstream take"] > 0
    assert own == {both[1]}


def test_a_tree_of_processes_is_pinned(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    with ProcessTree(["sleep", "60"], env=os.environ, folder=tmp_path, log=tmp_path / "log", core=None) as tree:
        tree.pin({core})

        assert [os.sched_getaffinity(pid) for pid in tree.pids()] == [{core}]


def test_a_tree_of_processes_is_measured_and_ended_as_a_whole(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; block = bytes(8 << 20); busy = [sys.executable, '-c', 'while True: pass'];"
        "child = subprocess.Popen(busy); print(child.pid, flush=True); child.wait()"
    )
    log = tmp_path / "log"
    with ProcessTree(
        [sys.executable, "-c", code], env={"PATH": os.environ["PATH"]}, folder=tmp_path, log=log, core=None
    ) as tree:
        child = int(until(log.read_text))

        assert until(lambda: tree.cpu_seconds() > 0.2)
        assert tree.pss_bytes() > 8 << 20
        assert until(lambda: tree.busiest(0.05) == child)
        assert is_alive(child)
    assert tree.is_over
    assert not is_alive(child)
