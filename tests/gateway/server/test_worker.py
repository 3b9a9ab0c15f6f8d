"""A worker's life: serving, retiring, draining, cancelling."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from dialects.core.faults import FaultError
from gateway.requests.lifetime import Interest, Lifetime
from gateway.server.client_connection import CONNECTION
from gateway.server.worker import GRACE, Stage
from tests.gateway.server.serving import PATIENCE, Echo, Start, running
from tests.routing.scenes import Clock
from tests.support.processes import until


def test_a_worker_says_that_it_accepts_and_how_many_requests_it_answers() -> None:
    echo = Echo()
    with running(echo) as run:
        assert until(lambda: run.runtime.row.accepting)
        client = run.connect()
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        echo.entered.acquire(timeout=PATIENCE)

        assert run.runtime.row.open_requests == 1

        echo.gate.set()
        client.hear()

        assert until(lambda: run.runtime.row.open_requests == 0)


def test_an_idle_worker_that_drains_ends_at_once_whatever_it_may_take() -> None:
    with running(Echo(), drain_seconds=60) as run:
        run.call_soon(run.worker.drain)

        assert run.ends()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", run.port), 1)


def test_a_worker_that_drains_answers_what_is_open_and_says_that_the_connection_ends() -> None:
    echo = Echo()
    with running(echo, drain_seconds=60) as run:
        client = run.connect()
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        echo.entered.acquire(timeout=PATIENCE)
        run.call_soon(run.worker.drain)
        assert until(lambda: run.worker.stage is Stage.DRAINING)
        assert not run.runtime.row.accepting
        echo.gate.set()
        told = client.hear()

        assert (told.body, told.headers["connection"]) == (b"waited", "close")
        assert run.ends()


def test_requests_that_outlast_the_drain_are_cancelled_and_may_say_so() -> None:
    def application(environ: dict, start: Start) -> Iterator[bytes]:
        connection = environ[CONNECTION]
        connection.lifetime = Lifetime(60.0, client=connection, drain=runtimes[0].drain)
        start("200 OK", [])
        yield b"begun"
        try:
            connection.lifetime.wait((), 60.0)
        except FaultError as error:
            yield str(error).encode()

    runtimes: list = []
    with running(application, drain_seconds=0.2) as run:
        runtimes.append(run.runtime)
        client = run.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert until(lambda: run.runtime.row.open_requests)
        run.call_soon(run.worker.drain)
        told = client.hear()

        assert told.body == b"begununavailable: The proxy is shutting down."
        assert run.ends()


def test_a_request_that_ignores_its_cancellation_does_not_hold_the_worker() -> None:
    echo = Echo()
    with running(echo, drain_seconds=0) as run:
        client = run.connect()
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        echo.entered.acquire(timeout=PATIENCE)
        run.call_soon(run.worker.drain)

        assert run.ends(PATIENCE / 2)
        echo.gate.set()


def test_a_worker_that_retires_serves_kept_connections_once_more_and_ends_with_the_last() -> None:
    with running(Echo()) as run:
        client = run.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        first = client.hear()
        run.call_soon(run.worker.retire)
        assert until(lambda: run.worker.stage is Stage.RETIRING)
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        last = client.hear()

        assert (first.headers["connection"], last.headers["connection"]) == ("keep-alive", "close")
        assert client.is_over()
        assert run.ends()


def test_a_worker_that_retires_leaves_an_idle_connection_open_for_as_long_as_ever() -> None:
    clock, idle = Clock(100.0), []
    with running(Echo(), clock=clock, keep_alive=75, retire_seconds=600) as run:
        client = run.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.hear()
        assert until(lambda: run.worker.loop._idle)
        run.call_soon(run.worker.retire)
        for look, seconds in enumerate((74.0, 2.0), 1):
            run.call_soon(lambda: idle.append(len(run.worker.loop._idle)))
            assert until(lambda look=look: len(idle) == look)
            clock.now += seconds
        run.worker.loop.wake()

        assert idle == [1, 1]
        assert client.is_over()
        assert run.ends()


def test_a_worker_whose_requests_outlast_its_retirement_cancels_them() -> None:
    echo = Echo()
    with running(echo, retire_seconds=0.1) as run:
        client = run.connect()
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        echo.entered.acquire(timeout=PATIENCE)
        run.call_soon(run.worker.retire)

        assert until(lambda: run.runtime.drain.is_set)
        echo.gate.set()
        assert run.ends()


def test_a_worker_whose_supervisor_is_gone_drains() -> None:
    parents = [os.getppid()]
    with running(Echo(), find_parent=lambda: parents[0]) as run:
        parents[0] = 1
        run.worker.loop.wake()

        assert run.ends()


def test_a_connection_that_came_before_the_drain_is_answered_though_nobody_had_accepted_it() -> None:
    """The loop is held while the connection is made and the drain begins."""
    with running(Echo(), drain_seconds=60) as run:
        held, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            go_on.wait(PATIENCE)
            run.worker.drain()

        run.call_soon(hold)
        held.wait(PATIENCE)
        client = run.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        go_on.set()

        assert client.hear().body == b"hello"


def test_a_wait_for_the_client_ends_with_the_drain() -> None:
    """The lifetime of a request bounds what its connection waits for."""
    ends: list[str] = []

    def application(environ: dict, start: Start) -> list[bytes]:
        connection = environ[CONNECTION]
        connection.lifetime = Lifetime(60.0, client=connection, drain=runtimes[0].drain)
        try:
            connection.lifetime.wait((Interest(connection),), 60.0)
        except FaultError as error:
            ends.append(str(error))
        start("200 OK", [("Content-Length", "0")])
        return []

    runtimes: list = []
    with running(application, drain_seconds=0.1) as run:
        runtimes.append(run.runtime)
        client = run.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert until(lambda: run.runtime.row.open_requests)
        run.call_soon(run.worker.drain)
        client.hear()

        assert ends == ["unavailable: The proxy is shutting down."]


def test_the_last_duty_comes_when_all_is_answered_and_may_take_what_is_left_of_the_drain() -> None:
    echo, allowed = Echo(), []
    with running(echo, drain_seconds=60) as run:
        run.runtime.add_last_duty(lambda seconds: allowed.append((seconds, run.runtime.row.open_requests)))
        client = run.connect()
        client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        echo.entered.acquire(timeout=PATIENCE)
        run.call_soon(run.worker.drain)
        assert until(lambda: run.worker.stage is Stage.DRAINING)
        assert allowed == []
        echo.gate.set()

        assert run.ends()
        assert allowed == [(5.0, 0)]


def test_a_drain_that_leaves_no_time_leaves_a_second_for_the_last_duty() -> None:
    allowed: list[float] = []
    with running(Echo(), drain_seconds=0) as run:
        run.runtime.add_last_duty(allowed.append)
        run.call_soon(run.worker.drain)

        assert run.ends()
        assert 1.0 <= allowed[0] <= 1.0 + GRACE


def test_a_last_duty_that_fails_holds_neither_the_others_nor_the_worker() -> None:
    def fail(_: float) -> None:
        raise RuntimeError("a defect")

    allowed: list[float] = []
    with running(Echo(), drain_seconds=60) as run:
        run.runtime.add_last_duty(fail)
        run.runtime.add_last_duty(allowed.append)
        run.call_soon(run.worker.drain)

        assert run.ends()
        assert len(allowed) == 1
