"""An SAP AI Core that answers byte for byte what a test wrote down. It is an HTTP proxy as well."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class RawRequest:
    """A request as it came."""

    line: str
    head: bytes
    """The request line and the headers."""
    body: bytes

    @property
    def path(self) -> str:
        """The path, without the host that a request to a proxy names."""
        return re.sub(r"^http://[^/]*", "", self.line.split(" ")[1])


_TLS = b"\x16\x03"
"""How a client begins TLS, which this server does not speak."""

Script = Callable[[RawRequest], bytes]


@dataclass
class RawCore:
    """Answers a request by the first script whose path occurs in that of the request."""

    scripts: dict[str, Script]
    port: int = 0
    requests: list[RawRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: RawRequest) -> bytes:
        """Choose the answer to a request, which closes the connection."""
        self.requests.append(request)
        script = next((each for path, each in self.scripts.items() if path in request.path), lambda _: answer({}, 404))
        return script(request)


def answer(content: Any, status: int = 200, kind: str = "application/json", **headers: str) -> bytes:
    """Write an answer, whose content is bytes or becomes JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@contextmanager
def running_core(scripts: dict[str, Script]) -> Iterator[RawCore]:
    """Serve on a port of its own, each connection in a thread."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        core = RawCore(scripts, listener.getsockname()[1])
        threading.Thread(target=_serve, args=(core, listener), daemon=True).start()
        yield core
        listener.shutdown(socket.SHUT_RDWR)


def _serve(core: RawCore, listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_converse, args=(core, connection), daemon=True).start()


def _converse(core: RawCore, connection: socket.socket) -> None:
    """Read one request, answer it, and close the connection."""
    with connection, suppress(OSError):
        connection.settimeout(30)
        data = b""
        while b"\r\n\r\n" not in data:
            if not (piece := connection.recv(65536)):
                return
            data += piece
            if data.startswith(_TLS):
                connection.sendall(answer({}, 400))
                return
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            if not (piece := connection.recv(65536)):
                return
            body += piece
        line = head.partition(b"\r\n")[0].decode("latin-1")
        connection.sendall(core.answer(RawRequest(line, head, body)))
