"""The HTTP server of the emulator, with threads, keep-alive, and connections that can be cut."""

import contextlib
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Self
from wsgiref.types import WSGIApplication

from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler

from emulator.app import create_app
from emulator.state import Settings
from emulator.world import World

_IDLE = 300.0
_NO_BODY = ("1", "204", "304")


class _Handler(WSGIRequestHandler):
    """Serves one connection, request after request, and writes each piece of a body immediately."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _IDLE

    _begun = False

    def run_wsgi(self) -> None:
        """Serve one request."""
        if self.headers.get("Expect", "").lower().strip() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        self.environ = self.make_environ()
        self._begun = False
        try:
            self._answer(self.server.app)
        except (ConnectionError, TimeoutError) as error:
            self.close_connection = True
            self.connection_dropped(error, self.environ)
        except Exception:  # noqa: BLE001  # whatever it was, the client gets an answer and the log the reason
            self.close_connection = True
            self.server.log("error", f"Error on request:\n{traceback.format_exc()}")
            if not self._begun:
                self._head("500 INTERNAL SERVER ERROR", [("Content-Length", "0"), ("Connection", "close")])
                self._write(b"")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing, because the emulator records its requests itself."""

    def finish(self) -> None:
        """Close the connection, and discard what is buffered for one that was cut."""
        with contextlib.suppress(OSError):
            super().finish()
        with contextlib.suppress(OSError):
            self.rfile.close()

    def _answer(self, app: WSGIApplication) -> None:
        """Run the application, and write its response."""
        head: list[Any] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], object]:
            del exc_info
            head[:] = [status, headers]
            return self._write

        pieces = app(self.environ, start_response)
        try:
            iterator = iter(pieces)
            first = next(iterator, b"")
            chunked = self._head(*head)
            self._piece(first, chunked=chunked)
            for piece in iterator:
                self._piece(piece, chunked=chunked)
            self._write(b"0\r\n\r\n" if chunked else b"")
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def _head(self, status: str, headers: list[tuple[str, str]]) -> bool:
        """Write the head of a response; return whether its body is sent in chunks."""
        self._begun = True
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        sized = any(name.lower() == "content-length" for name, _ in headers)
        chunked = not (sized or self.command == "HEAD" or code.startswith(_NO_BODY))
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        return chunked

    def _piece(self, data: bytes, *, chunked: bool) -> None:
        """Write a piece of a body."""
        if data:
            self._write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)

    def _write(self, data: bytes) -> None:
        """Write bytes immediately."""
        self.wfile.write(data)
        self.wfile.flush()


class _Server(ThreadedWSGIServer):
    """A threaded server that can drop its connections. Its lock guards the set of connections."""

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        super().__init__(host, port, app, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Register a connection, and serve it."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection, and close it."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors of broken connections; report all others."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def drop(self) -> None:
        """Drop all connections."""
        with self._lock:
            dropped = list(self._connections)
        for connection in dropped:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Running:
    """A server that runs in a thread until it is closed."""

    def __init__(self, server: BaseWSGIServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="emulator", daemon=True)
        self._closed = False
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        """The URL of the server."""
        host = self._server.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self) -> None:
        """Wait until it is closed."""
        self._thread.join()

    def close(self) -> None:
        """Stop listening, and drop all connections."""
        if self._closed:
            return
        self._closed = True
        self._server.shutdown()
        if isinstance(self._server, _Server):
            self._server.drop()
        self._server.server_close()
        self._thread.join()


def serve(
    world: World | None = None, host: str = "127.0.0.1", port: int = 0, settings: Settings | None = None
) -> Running:
    """Start an emulator on a port; 0 chooses a free one."""
    return Running(_Server(host, port, create_app(world, settings=settings)))
