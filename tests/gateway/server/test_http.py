"""HTTP/1.1 as a worker speaks it: limits, refusals, and what becomes of a connection afterwards."""

import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from dialects.core.faults import FaultError
from gateway.requests.lifetime import TOO_LATE, Interest, Lifetime
from gateway.server.client_connection import CONNECTION, ClientConnection, StalledError
from gateway.server.options import ServerOptions
from tests.gateway.server.serving import PATIENCE, Echo, Start, request_threads, running
from tests.routing.scenes import Clock
from tests.support.processes import until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_requests_follow_one_another_on_one_connection() -> None:
    with running(Echo()) as run:
        client = run.connect()
        for _ in range(3):
            client.send(GET)
            told = client.hear()

            assert (told.status, told.body, told.headers["connection"]) == (200, b"hello", "keep-alive")
            assert "server" not in told.headers


def test_requests_that_come_all_at_once_are_answered_one_after_the_other() -> None:
    with running(Echo()) as run:
        client = run.connect()
        client.send(GET * 3)

        assert [client.hear().body for _ in range(3)] == [b"hello"] * 3


def test_a_stream_goes_out_piece_by_piece() -> None:
    echo = Echo()
    with running(echo) as run:
        client = run.connect()
        client.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        echo.entered.acquire(timeout=PATIENCE)
        while client.file.readline() != b"\r\n":
            pass
        first = client.file.read(8)
        echo.gate.set()

        assert first == b"3\r\none\r\n"
        assert client.file.read(13) == b"3\r\ntwo\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nX-A: " + b"b" * 33_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + (b"X-A: " + b"b" * 32_000 + b"\r\n") * 5 + b"\r\n", 431),
    ],
    ids=["no-request", "no-header", "two-lengths", "length-and-chunks", "line", "many-headers", "header", "headers"],
)
def test_what_is_no_request_is_refused_in_plain_json(request_: bytes, status: int, caplog) -> None:
    caplog.set_level("INFO", "sap_ai_proxy.server")
    with running(Echo()) as run:
        client = run.connect()
        client.send(request_)
        told = client.hear()

        assert (status, "application/json", "close") == (
            told.status,
            told.headers["content-type"],
            told.headers["connection"],
        )
        assert set(told.json["error"]) == {"message", "type", "param", "code"}
        assert client.is_over()
    said = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(said) == 1
    assert "bbbb" not in said[0]


def test_a_line_and_headers_within_the_limits_are_taken() -> None:
    echo = Echo()
    with running(echo) as run:
        client = run.connect()
        client.send(b"GET /" + b"x" * 16_000 + b" HTTP/1.1\r\n" + b"X-A: " + b"b" * 32_000 + b"\r\n\r\n")

        assert client.hear().status == 200
        assert len(echo.environs[0]["HTTP_X_A"]) == 32_000


def test_a_header_that_another_one_could_be_mistaken_for_is_dropped() -> None:
    echo = Echo()
    with running(echo) as run:
        client = run.connect()
        client.send(b"GET / HTTP/1.1\r\nX_Api_Key: wrong\r\nX-Forwarded-Proto: https\r\n\r\n")
        client.hear()

        assert "HTTP_X_API_KEY" not in echo.environs[0]
        assert echo.environs[0]["wsgi.url_scheme"] == "http"


def test_a_head_that_drips_ends_in_time_however_often_something_comes() -> None:
    with running(Echo(), header_timeout=0.3) as run:
        client = run.connect()
        client.send(b"GET / HTTP/1.1\r\n")
        heard: list[bytes] = []

        def drip() -> bool:
            with suppress(ConnectionError):  # the answer may have come already
                client.send(b"X-A: b\r\n")
            client.socket.settimeout(0.02)
            with suppress(TimeoutError):
                heard.append(client.socket.recv(4096))
            return bool(heard)

        assert until(drip)
        assert heard[0].startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_says_nothing_is_closed_without_a_word_and_takes_no_thread() -> None:
    with running(Echo(), keep_alive=0.2) as run:
        before = request_threads()
        client = run.connect()

        assert client.is_over()
        assert request_threads() - before == set()


def test_a_body_that_stalls_is_a_408_and_the_connection_ends() -> None:
    echo = Echo()
    with running(echo, body_timeout=0.2) as run:
        client = run.connect()
        client.post("/read", b"begun", length=100)
        told = client.hear()

        assert (told.status, told.headers["connection"]) == (408, "close")
        [error] = echo.errors
        assert isinstance(error, FaultError)
        assert error.fault.status == 408
        assert client.is_over()


def test_a_body_that_moves_may_take_longer_than_one_that_stalls() -> None:
    """A byte comes whenever two thirds of the time for one are over."""
    clock = Clock(100.0)

    class Dripping(Lifetime):
        def wait(self, interests: Sequence[Interest], seconds: float) -> tuple[Interest, ...]:
            if seconds <= 40:
                return ()
            clock.now += 40
            client.send(b"x")
            return super().wait(interests, PATIENCE)

    def application(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        environ[CONNECTION].lifetime = Dripping(600.0)
        return Echo()(environ, start)

    with running(application, clock=clock, header_timeout=20, body_timeout=60) as run:
        client = run.connect()
        client.post("/read", b"", length=20)

        assert client.hear().body == b"20 bytes"
        assert clock.now == 900.0


@pytest.mark.parametrize("how", ["length", "chunks"])
def test_a_body_that_is_cut_short_is_never_taken_for_a_whole_one(how: str) -> None:
    echo = Echo()
    with running(echo) as run:
        client = run.connect()
        if how == "length":
            client.post("/read", b"begun", length=100)
        else:
            client.send(b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")
        client.socket.shutdown(socket.SHUT_WR)

        assert until(lambda: echo.errors)
        [error] = echo.errors
        assert isinstance(error, FaultError)
        assert error.fault.kind.value == "caller_left"


def test_chunks_that_make_no_sense_are_an_error_of_the_caller() -> None:
    echo = Echo()
    with running(echo) as run:
        client = run.connect()
        client.send(b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        told = client.hear()

        assert told.headers["connection"] == "close"
        [error] = echo.errors
        assert isinstance(error, FaultError)
        assert error.fault.status == 400


@pytest.mark.parametrize(
    ("begin", "more"),
    [(b"1;", b"a"), (b"", b"0"), (b"5\r\nbegun\r\n0\r\nX-T: ", b"a"), (b"5\r\nbegun\r\n0\r\n", b"X")],
    ids=["extension", "size", "trailer", "name"],
)
def test_the_framing_of_a_body_is_limited_although_the_body_is_small(begin: bytes, more: bytes) -> None:
    echo = Echo()
    with running(echo) as run:
        client = run.connect()
        client.send(b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + begin + more * 256 * 1024)
        told = client.hear()
        client.socket.shutdown(socket.SHUT_WR)

        assert (told.headers["connection"], client.is_over()) == ("close", True)
        assert [error.fault.status for error in echo.errors if isinstance(error, FaultError)] == [400]


def test_a_client_that_never_pauses_has_no_more_time_than_another() -> None:
    clock = Clock()
    near, far = socket.socketpair()
    connection = ClientConnection(near, ("127.0.0.1", 1), ("127.0.0.1", 2), ServerOptions(), clock)
    with near, far:
        far.sendall(b"xxx")
        connection.expect_rest(1.0)
        taken = connection.recv(1)
        clock.now += 1.5
        with pytest.raises(StalledError):
            connection.recv(1)
        connection.expect_body()
        connection.lifetime = Lifetime(10.0, client=connection, clock=clock)
        taken += connection.recv(1)
        clock.now += 10.0
        with pytest.raises(FaultError) as late:
            connection.recv(1)

        assert (taken, late.value.fault) == (b"xx", TOO_LATE)


def test_bodies_in_chunks_are_read() -> None:
    with running(Echo()) as run:
        client = run.connect()
        client.send(b"POST /read HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n0\r\n\r\n")
        told = client.hear()

        assert (told.body, told.headers["connection"]) == (b"5 bytes", "keep-alive")


@pytest.mark.parametrize("how", ["length", "chunks"])
def test_a_refusal_reads_a_small_body_and_keeps_the_connection(how: str) -> None:
    with running(Echo()) as run:
        client = run.connect()
        for _ in range(20):
            if how == "length":
                client.post("/refuse", b"x" * 64 * 1024)
            else:
                client.send(b"POST /refuse HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n0\r\n\r\n")
            told = client.hear()

            assert (told.status, told.body, told.headers["connection"]) == (401, b"no", "keep-alive")


@pytest.mark.parametrize("how", ["length", "chunks", "stalled"])
def test_a_refusal_of_a_large_body_says_that_the_connection_ends_and_is_heard(how: str) -> None:
    with running(Echo()) as run:
        client = run.connect()
        match how:
            case "length":
                client.post("/refuse", b"x" * 1024 * 1024)
            case "chunks":
                client.send(b"POST /refuse HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" + b"x" * 0x20000)
            case _:
                client.post("/refuse", b"x", length=1000)
        told = client.hear()

        assert (told.status, told.body, told.headers["connection"]) == (401, b"no", "close")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_over()


def test_a_client_is_asked_for_its_body_only_when_that_is_wanted() -> None:
    with running(Echo()) as run:
        refused, read = run.connect(), run.connect()
        refused.post("/refuse", b"", length=5, more="Expect: 100-continue\r\n")
        read.post("/read", b"", length=5, more="Expect: 100-continue\r\n")
        asked = read.file.readline() + read.file.readline()
        read.send(b"begun")

        assert ((told := refused.hear()).status, told.headers["connection"]) == (401, "close")
        assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert read.hear().body == b"5 bytes"


def test_a_client_that_does_not_read_is_left_in_time() -> None:
    echo = Echo()
    with running(echo, write_timeout=0.3) as run:
        client = run.connect()
        client.send(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")

        assert echo.entered.acquire(timeout=PATIENCE)
        assert until(lambda: run.runtime.row.open_requests == 0)


def test_a_response_that_is_shorter_than_it_said_ends_the_connection() -> None:
    with running(Echo()) as run:
        client = run.connect()
        client.send(b"GET /short HTTP/1.1\r\nHost: x\r\n\r\n")

        assert client.hear().body == b"short"
        assert client.is_over()


def test_a_defect_of_the_application_is_a_500_in_plain_json() -> None:
    with running(Echo()) as run:
        told = run.ask("/raise")

        assert (told.status, told.json["error"]["type"]) == (500, "api_error")
        assert run.ask("/").status == 200


def test_connections_are_set_to_send_at_once_and_to_notice_machines_that_are_gone() -> None:
    echo = Echo()
    with running(echo) as run:
        client = run.connect()
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        echo.entered.acquire(timeout=PATIENCE)
        connection = echo.environs[0][CONNECTION]
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            options = [
                same.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
                same.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                same.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
            ]
        echo.gate.set()
        client.hear()

        assert options == [1, 1, 60]
