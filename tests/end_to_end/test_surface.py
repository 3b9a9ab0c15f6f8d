"""The proxy holds whatever is sent to it: the requests of `make fuzz-surface`, fewer of them and with a fixed seed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.sources import ROOT, held
from tests.surface.case import Asked, Case, End, read_case
from tests.surface.contract import Contract
from tests.surface.fuzzer import broken, growth, run
from tests.surface.proxies import Served, Usage, serving
from tests.surface.talking import BrokenLawError, Talk

SEED, REQUESTS = 20, 1200
CASES = sorted((ROOT / "tests/surface/cases").glob("*.json"))
MOST_KIB, MOST_MORE = 24 * 1024, 16
"""How much memory, and how many threads or descriptors, a worker may use beyond what it used when it was warm."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    with serving(tmp_path_factory.mktemp("surface")) as found:
        yield found


def test_whatever_is_sent_is_answered_as_documented_and_leaves_nothing_behind(served: dict[str, Served]) -> None:
    outcome = run(served, SEED, REQUESTS)

    held(
        f"Send one again with `python -m tests.surface --seed {SEED} --only INDEX`.",
        [f"{find.index} ({find.case.name}, {find.case.proxy}): {find.law}" for find in outcome.finds],
    )
    assert outcome.names.total() == REQUESTS
    first, last = ({name: each.usages[at] for name, each in served.items()} for at in (0, -1))
    assert {name: last[name].memory - first[name].memory < MOST_KIB for name in served} == dict.fromkeys(served, True)
    for what in ("threads", "descriptors"):
        grown = {name: getattr(last[name], what) - getattr(first[name], what) for name in served}
        assert {name: more < MOST_MORE for name, more in grown.items()} == dict.fromkeys(served, True), grown


def test_what_was_found_once_is_not_found_again(served: dict[str, Served]) -> None:
    found = {path.name: read_case(path.read_text()) for path in CASES}

    assert {name: laws for name, case in found.items() if (laws := broken(served[case.proxy], case))} == {}
    assert [law for each in served.values() for law in each.settle()] == []


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
def test_an_answer_that_is_not_as_documented_is_noticed(served: dict[str, Served], answer: bytes, law: str) -> None:
    case = Case("x", (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",), (Asked("GET", "/health"),), End.READ)
    with scripted(answer) as port:
        other = Served("keys", port, served["keys"].run, served["keys"].cloud)
        other.contract = Contract(served["keys"].contract.document)

        assert law in broken(other, case)


def test_a_process_that_grows_has_a_slope() -> None:
    grown = [Usage(1000 + 5 * at, 10, 20 - at % 2) for at in range(40)]

    assert growth(grown)["memory"] == pytest.approx(10)
    assert growth(grown)["threads"] == 0


def test_a_case_is_the_same_when_it_is_read_again() -> None:
    case = Case("x", (b"\x00\xff", b"a"), (Asked("GET", "/"),), End.WAIT, 0.1, "keyless", (400,))

    assert read_case(case.written()) == case
