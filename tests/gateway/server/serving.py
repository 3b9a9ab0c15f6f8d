"""A worker in a thread of the test, and a client that says what it wants byte by byte."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dialects.core.faults import FaultError
from gateway.requests.lifetime import Clock
from gateway.server.options import ServerOptions
from gateway.server.process_table import ProcessTable
from gateway.server.runtime import Runtime
from gateway.server.status_board import StatusBoard
from gateway.server.worker import Worker

Start = Callable[[str, list[tuple[str, str]]], Any]
PATIENCE = 30.0
"""Seconds after which something will never happen, on the slowest machine."""


class Echo:
    """Answers with what it was asked; what is to happen depends on the path."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.environs: list[dict[str, Any]] = []
        self.errors: list[BaseException] = []

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        self.environs.append(environ)
        match environ["PATH_INFO"]:
            case "/read":
                return self._read(environ, start)
            case "/wait":
                self.entered.release()
                self.gate.wait(PATIENCE)
                return self._say(start, b"waited")
            case "/stream":
                return self._stream(start)
            case "/flood":
                return self._flood(start)
            case "/refuse":
                return self._say(start, b"no", "401 Unauthorized")
            case "/short":
                start("200 OK", [("Content-Length", "10")])
                return [b"short"]
            case "/raise":
                raise RuntimeError("a defect")
            case _:
                return self._say(start, b"hello")

    def _read(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        try:
            body = environ["wsgi.input"].read()
        except (FaultError, OSError) as error:
            self.errors.append(error)
            return self._say(start, b"broken", "408 Request Timeout")
        return self._say(start, b"%d bytes" % len(body))

    def _stream(self, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"one"
        self.entered.release()
        self.gate.wait(PATIENCE)
        yield b"two"

    def _flood(self, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        try:
            while True:
                yield b"x" * 65536
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self.entered.release()

    def _say(self, start: Start, body: bytes, status: str = "200 OK") -> Iterable[bytes]:
        start(status, [("Content-Length", str(len(body)))])
        return [body]


@dataclass
class Running:
    """A worker that serves in a thread of this process."""

    port: int
    worker: Worker
    runtime: Runtime
    thread: threading.Thread
    clients: list["Client"] = field(default_factory=list)

    def connect(self) -> "Client":
        """Make a connection, which is closed in the end."""
        client = Client(socket.create_connection(("127.0.0.1", self.port), PATIENCE))
        self.clients.append(client)
        return client

    def ask(self, path: str = "/") -> "HttpAnswer":
        client = self.connect()
        client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return client.hear()

    def call_soon(self, order: Callable[[], None]) -> None:
        self.worker.call_soon(order)

    def ends(self, seconds: float = PATIENCE) -> bool:
        self.thread.join(seconds)
        return not self.thread.is_alive()


@dataclass
class HttpAnswer:
    """A response; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request_threads() -> set[threading.Thread]:
    """The threads that answer requests, of this test and of earlier ones."""
    return {thread for thread in threading.enumerate() if thread.name == "request"}


class Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.file = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def post(self, path: str, body: bytes, length: int | None = None, more: str = "") -> None:
        size = len(body) if length is None else length
        self.send(f"POST {path} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {size}\r\n\r\n".encode() + body)

    def hear(self) -> HttpAnswer:
        """Read one response, of known length or in chunks."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if "content-length" in headers:
            return HttpAnswer(status, headers, self.file.read(int(headers["content-length"])))
        return HttpAnswer(status, headers, self.chunks())

    def is_over(self) -> bool:
        """Whether the server has closed the connection, after a wait if need be."""
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def chunks(self) -> bytes:
        found = b""
        while size := int(self.file.readline() or b"0", 16):
            found += self.file.read(size)
            self.file.readline()
        self.file.readline()
        return found


def runtime_in_memory() -> Runtime:
    table = ProcessTable()
    return Runtime(StatusBoard(table, None), table.take_row(os.getpid()))


@contextmanager
def running(
    application: Any,
    retire_seconds: float = 60.0,
    clock: Clock = time.monotonic,
    find_parent: Callable[[], int] = os.getppid,
    **options: Any,
) -> Iterator[Running]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    runtime = runtime_in_memory()
    server = ServerOptions(**options)
    worker = Worker(
        application, listener, runtime, server, retire_seconds=retire_seconds, find_parent=find_parent, clock=clock
    )
    thread = threading.Thread(target=worker.serve, daemon=True)
    thread.start()
    run = Running(listener.getsockname()[1], worker, runtime, thread)
    try:
        yield run
    finally:
        worker.call_soon(worker.drain)
        for client in run.clients:
            client.close()
        assert run.ends()
        runtime.drain.close()
