"""Streams through a worker: what becomes of the connection, and of others while a stream goes on."""

import socket
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from gateway.server.stream_loop import HAND_OVER
from tests.gateway.server.serving import PATIENCE, Client, Running, Start, running
from tests.gateway.server.streams import Body
from tests.support.processes import until

STREAM = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
HELLO = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Handed(Body):
    """A body whose first piece is there, and that tells how often it was closed."""

    def __init__(self, upstream: socket.socket) -> None:
        super().__init__(upstream)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield b"one "

    def close(self) -> None:
        self.closed += 1


class Models:
    """An application that streams what the test says in the place of a model."""

    def __init__(self) -> None:
        self.bodies: list[Handed] = []
        self.said: list[socket.socket] = []
        self.threads: set[int] = set()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        self.threads.add(threading.get_ident())
        if environ["PATH_INFO"] != "/stream":
            start("200 OK", [("Content-Length", "5")])
            return [b"hello"]
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        body = Handed(ours)
        self.said.append(theirs)
        self.bodies.append(body)
        environ[HAND_OVER](body)
        start("200 OK", [])
        return body  # type: ignore[return-value]

    def close(self) -> None:
        for each in [*self.said, *(body.socket for body in self.bodies)]:
            each.close()


@pytest.fixture
def models() -> Iterator[Models]:
    models = Models()
    yield models
    models.close()


def open_stream(run: Running, request: bytes = STREAM) -> Client:
    """Ask for a stream, and read as far as its first piece."""
    client = run.connect()
    client.send(request)
    while client.file.readline() != b"\r\n":
        pass
    assert client.file.read(9) == b"4\r\none \r\n"
    return client


def rest_of(client: Client) -> bytes:
    return client.chunks()


def test_a_connection_serves_another_request_after_a_stream(models: Models) -> None:
    with running(models) as run:
        client = open_stream(run)
        for number in range(1, 4):
            models.said[-1].send(b"two.")
            assert rest_of(client) == b"two."
            client.send(HELLO)
            assert client.hear().body == b"hello"
            client.send(STREAM)
            assert until(lambda number=number: len(models.said) > number)
            while client.file.readline() != b"\r\n":
                pass
            client.file.read(9)
        models.said[-1].send(b"end.")
        assert rest_of(client) == b"end."
        assert until(lambda: run.runtime.row.open_requests == 0)

    assert [body.closed for body in models.bodies] == [1] * 4


@pytest.mark.parametrize("together", [True, False], ids=["in-one-packet", "later"])
def test_a_request_that_comes_behind_a_stream_is_answered_after_it(models: Models, together: bool) -> None:
    with running(models) as run:
        client = open_stream(run, STREAM + HELLO * 2 if together else STREAM)
        if not together:
            client.send(HELLO * 2)
        models.said[0].send(b"two.")

        assert rest_of(client) == b"two."
        assert [client.hear().body for _ in range(2)] == [b"hello"] * 2
        assert until(lambda: run.runtime.row.open_requests == 0)


def test_a_worker_reports_its_connections_and_its_streams(models: Models) -> None:
    with running(models, connections=50) as run:
        client = open_stream(run)
        idle = run.connect()
        idle.send(HELLO)
        idle.hear()

        def saturation() -> Any:
            [worker] = run.runtime.router_state()["workers"]
            return worker["saturation"]

        expected = {"connections": {"used": 2, "most": 50}, "streams": {"used": 1, "most": None}}
        assert until(lambda: saturation() == expected, amiss=saturation)
        client.close()


def test_streams_take_no_thread(models: Models) -> None:
    with running(models) as run:
        clients = []
        for number in range(20):
            clients.append(open_stream(run))
            assert until(lambda number=number: run.runtime.row.open_requests == number + 1)
            assert until(lambda: len(run.worker.loop._pool._idle) == run.worker.loop._pool.size)
        assert len(models.threads) == 1
        for said in models.said:
            said.send(b"end.")

        assert [rest_of(client) for client in clients] == [b"end."] * 20


def test_a_client_that_stops_reading_holds_only_its_own_stream(models: Models) -> None:
    with running(models, write_timeout=1.0) as run:
        stalled, reading = open_stream(run), open_stream(run)
        models.said[0].setblocking(False)
        body = models.bodies[0]

        def flood() -> bool:
            try:
                models.said[0].send(b"x" * 65536)
            except BlockingIOError:
                pass
            except OSError:
                return True
            return bool(body.closed)

        assert until(lambda: flood() or any(each.blocked_since for each in list(run.worker._streams._open)))
        models.said[1].send(b"two")
        assert reading.file.read(8) == b"3\r\ntwo\r\n"
        assert until(flood)
        assert [each.closed for each in models.bodies] == [1, 0]
        models.said[1].send(b"end.")
        assert rest_of(reading) == b"end."
        stalled.close()
        assert until(lambda: run.runtime.row.open_requests == 0)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_connection_that_is_not_kept_ends_with_the_stream(models: Models, version: str) -> None:
    with running(models) as run:
        client = run.connect()
        client.send(f"GET /stream HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert until(lambda: models.said)
        models.said[0].send(b"two.")
        heard = client.file.read()

        assert heard.endswith(b"\r\n\r\none two." if version == "1.0" else b"4\r\none \r\n4\r\ntwo.\r\n0\r\n\r\n")


@pytest.mark.parametrize("how", ["leaves", "defect"])
def test_a_stream_that_breaks_ends_its_connection_and_everything_once(models: Models, how: str) -> None:
    def stumble() -> bytes:
        raise ZeroDivisionError

    with running(models) as run:
        client, other = open_stream(run), open_stream(run)
        if how == "leaves":
            client.close()
        else:
            models.said[0].send(b"two ")
            assert client.file.read(9) == b"4\r\ntwo \r\n"
            models.bodies[0].flow = stumble  # type: ignore[method-assign]
            models.said[0].send(b"three")
            assert client.is_over()
        assert until(lambda: run.runtime.row.open_requests == 1)
        models.said[1].send(b"end.")

        assert rest_of(other) == b"end."
        assert until(lambda: run.runtime.row.open_requests == 0)
        assert until(lambda: [each.closed for each in models.bodies] == [1, 1])


def test_streams_that_outlast_the_drain_say_so_and_the_worker_ends(models: Models) -> None:
    with running(models, drain_seconds=0) as run:
        clients = [open_stream(run) for _ in range(3)]
        for body in models.bodies:
            body.notice = b"shutting down."
        run.call_soon(run.worker.drain)

        assert [rest_of(client) for client in clients] == [b"shutting down."] * 3
        assert run.ends(PATIENCE)
        assert [each.closed for each in models.bodies] == [1] * 3
