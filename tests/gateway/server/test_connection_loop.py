"""Many connections with few threads, and too many of both."""

import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from gateway.server.connection_loop import ConnectionLoop
from gateway.server.options import ServerOptions
from gateway.server.thread_pool import ThreadPool
from tests.gateway.server.serving import PATIENCE, Client, Echo, request_threads, running
from tests.support.processes import until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_hundreds_of_idle_connections_take_no_thread_and_are_all_served() -> None:
    with running(Echo()) as run:
        before = request_threads()
        clients = [run.connect() for _ in range(300)]
        assert until(lambda: run.worker.loop.connections == 300)
        assert request_threads() - before == set()
        for client in clients:
            client.send(GET)

        assert [client.hear().status for client in clients] == [200] * 300
        assert until(lambda: run.worker.loop.connections == 300)


def test_the_connection_that_was_idle_for_longest_makes_room_for_one_more() -> None:
    with running(Echo(), connections=2) as run:
        first = run.connect()
        first.send(GET)
        first.hear()
        assert until(lambda: len(run.worker.loop._idle) == 1)
        second = run.connect()
        second.send(GET)
        second.hear()
        assert until(lambda: len(run.worker.loop._idle) == 2)
        third = run.connect()
        third.send(GET)

        assert third.hear().status == 200
        assert first.is_over()
        second.send(GET)
        assert second.hear().status == 200


def test_where_no_connection_is_idle_new_ones_wait_for_their_turn() -> None:
    echo = Echo()
    with running(echo, connections=2) as run:
        busy = [run.connect() for _ in range(2)]
        for client in busy:
            client.send(b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            echo.entered.acquire(timeout=PATIENCE)
        waiting = run.connect()
        waiting.send(GET)
        waiting.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            waiting.socket.recv(1, socket.MSG_PEEK)
        waiting.socket.settimeout(PATIENCE)
        echo.gate.set()

        assert waiting.hear().body == b"hello"
        assert [client.hear().body for client in busy] == [b"waited"] * 2


class Listener:
    """A listening socket on a machine that runs out of descriptors."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.is_short = False
        self.tries = 0

    def accept(self) -> Any:
        self.tries += 1
        if self.is_short:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_running_out_of_descriptors_is_said_once_does_not_spin_and_passes(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    served: list[Any] = []

    def serve(connection: Any, give_back: Callable[[bool], None]) -> None:
        connection.recv(4096)
        served.append(connection)
        give_back(False)

    with socket.create_server(("127.0.0.1", 0)) as real:
        listener = Listener(real)
        loop = ConnectionLoop(listener, serve, ServerOptions(), ThreadPool(4), clock=clock)  # type: ignore[arg-type]
        loop.start_accepting()
        address = real.getsockname()
        with socket.create_connection(address) as idle, socket.create_connection(address) as late:
            assert until(lambda: loop.connections == 2 or loop.run_once(0.1))
            listener.is_short = True
            with socket.create_connection(address) as third:
                before = listener.tries
                assert until(lambda: listener.tries > before or loop.run_once(0.1))
                for _ in range(5):
                    loop.run_once(0.0)
                assert listener.tries - before == 1

                # The oldest idle connection has made room; the pause is over.
                clock.now += 0.6
                loop.run_once(0.0)
                loop.run_once(0.0)
                assert listener.tries - before == 2
                listener.is_short = False
                clock.now += 0.6
                loop.run_once(0.0)
                third.sendall(b"hello")
                loop.run_once(1.0)
                assert until(lambda: served or loop.run_once(0.1))
                assert Client(idle).is_over()
                del late
        loop.close()

    assert sum("cannot accept" in record.getMessage() for record in caplog.records) == 1
