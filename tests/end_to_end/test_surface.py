"""The proxy holds whatever is sent to it: the requests of `make fuzz-surface`, fewer of them and with a fixed seed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.http.openapi.document import describe
from tests.support.sources import ROOT, held
from tests.surface.case import Asked, Case, End, read_case
from tests.surface.contract import Contract
from tests.surface.fuzzer import broken, growth, run
from tests.surface.proxies import Served, Usage, serving
from tests.surface.talking import BrokenLawError, Talk

pytestmark = pytest.mark.repeats
pytestmark = pytest.mark.repeats
SEED, REQUESTS = 20, 1000
CASES = sorted((ROOT / "tests/surface/cases").glob("*.json"))
MOST_MORE = {"memory": 24 * 1024, "threads": 16, "descriptors": 16}
"""How much more a process may use in the end than after the first batch; memory in KiB."""
DOCUMENT = describe([("/health", "health", "GET")])


def test_whatever_is_sent_is_answered_as_documented_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """What was found once is sent first. It is one test, since three proxies have to start for it."""
    found = {path.name: read_case(path.read_text()) for path in CASES}
    with serving(tmp_path) as served:
        again = [f"{name}: {law}" for name, case in found.items() for law in broken(served[case.proxy], case)]
        outcome = run(served, SEED, REQUESTS)
    first, last = ({name: each.usages[at] for name, each in served.items()} for at in (0, -1))
    grown = {
        what: [name for name in served if getattr(last[name], what) - getattr(first[name], what) > most]
        for what, most in MOST_MORE.items()
    }

    held("Send one again with `python -m tests.surface --replay FILE`.", again)
    held(
        f"Send one again with `python -m tests.surface --seed {SEED} --only INDEX`.",
        [f"{find.index} ({find.case.name}, {find.case.proxy}): {find.law}" for find in outcome.finds],
    )
    assert outcome.names.total() == REQUESTS
    assert grown == {what: [] for what in MOST_MORE}


@contextmanager
def scripted(answer: bytes) -> Iterator[int]:
    """Listen on a port, and answer every connection with the same bytes, whatever comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=answer_once, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("answer", "law"),
    [
        (b"", "the connection ended after 0 answers"),
        (b"oh no", "the answer is no HTTP"),
        (OK.replace(b"Length: 2", b"Length: 3"), "the answer is no HTTP"),
        (OK + OK, "bytes are left after 1 answers"),
        (OK.replace(b"Length: 2", b"Length: 2\r\nTransfer-Encoding: x"), "the answer is no HTTP"),
    ],
)
def test_an_answer_that_is_no_valid_http_is_noticed(answer: bytes, law: str) -> None:
    case = Case("x", (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",), (Asked("GET", "/health"),), End.READ)
    with scripted(answer) as port, pytest.raises(BrokenLawError, match=law):
        Talk(port, case).answers()


@pytest.mark.parametrize(
    ("answer", "law"),
    [
        (OK, "200: $: 'status' is a required property"),
        (OK.replace(b"application/json", b"text/html"), "200: the type 'text/html' is not documented"),
        (OK.replace(b"200 OK", b"302 Found"), "302: the status 302 is not documented"),
        (OK.replace(b"200 OK", b"500 Oh"), "the status 500: b'{}'"),
        (OK.replace(b"{}", b"[]").replace(b"\r\n\r\n", b"\r\nx-proxy-new: 1\r\n\r\n"),
         "200: the headers ['x-proxy-new'] are not documented"),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_as_documented_is_noticed(answer: bytes, law: str) -> None:
    case = Case("x", (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",), (Asked("GET", "/health"),), End.READ)
    with scripted(answer) as port:
        other = Served("keys", port, None, None)  # type: ignore[arg-type]  # no process and no emulator is asked
        other.contract = Contract(DOCUMENT)

        assert law in broken(other, case)


def test_a_process_that_grows_has_a_slope() -> None:
    grown = [Usage(1000 + 5 * at, 10, 20 - at % 2) for at in range(40)]

    assert growth(grown)["memory"] == pytest.approx(10)
    assert growth(grown)["threads"] == 0


def test_a_case_is_the_same_when_it_is_read_again() -> None:
    case = Case("x", (b"\x00\xff", b"a"), (Asked("GET", "/"),), End.WAIT, 0.1, "keyless", (400,))

    assert read_case(case.written()) == case
