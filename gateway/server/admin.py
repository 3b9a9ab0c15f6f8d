"""The admin listener, on which the supervising process answers operators on behalf of all workers."""

import logging
import math
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import parse_qs, urlsplit

from dialects.framing.json_text import dumps
from gateway.http.auth import Auth, keys_in, why_refused
from gateway.http.client_address import read_address
from gateway.http.cors import KeylessAccess
from gateway.http.failed_keys import TOO_MANY, FailedKeys
from gateway.http.permissions import NEEDS_ADMIN, may_read_operations
from gateway.http.security_headers import PRIVATE_LINES
from gateway.observability.shared_metrics import CONTENT_TYPE
from gateway.requests.lifetime import Clock
from gateway.server.status_board import StatusBoard

_log = logging.getLogger("sap_ai_proxy.server")
_HEAD: Final = 16 * 1024
_SECONDS: Final = 5.0
"""Seconds that a client has to send its request and read the answer."""
_CONNECTIONS: Final = 64
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
_OPEN_PATHS: Final = frozenset({"/health", "/ready"})

_FOREIGN_PAGE: Final = "This port has no API keys, so web pages of other sites must not read it."
_FOREIGN_NAME: Final = (
    "This host name is not accepted here: use an IP address, localhost or the name in server.admin_host, or add this "
    "name to server.allowed_hosts."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, its content, and the content type."""

    status: int
    content: bytes
    type: str = "application/json"
    retry_after: float | None = None
    """The value of `Retry-After` in seconds, if the response has one."""

    @classmethod
    def refusal(cls, status: int, text: str, retry_after: float | None = None) -> "Answer":
        """Build an error response with a message."""
        content = dumps({"error": {"message": text, "type": "admin", "param": None, "code": None}}).encode()
        return cls(status, content, retry_after=retry_after)


class Operations:
    """The operations of the admin listener, by path; *auth* says who may use more than the health paths.

    If *auth* has no keys, *keyless* decides which requests are answered. The health paths are open under any host name.
    """

    def __init__(self, board: StatusBoard, auth: Auth, keyless: KeylessAccess) -> None:
        self._board = board
        self.auth = auth
        self.keyless = keyless
        self._failed_keys = FailedKeys()

    def answer(self, method: str, target: str, headers: Mapping[str, str], address: str = "") -> Answer:
        """Answer one request that comes from *address*."""
        url = urlsplit(target)
        found = {
            "/health": self._health,
            "/ready": self._ready,
            "/metrics": self._metrics,
            "/router/state": self._state,
        }
        if url.path not in found:
            return Answer.refusal(404, f"This path does not exist; there are {', '.join(found)}.")
        if method not in {"GET", "HEAD"}:
            return Answer.refusal(405, "Only GET and HEAD are supported here.")
        is_open = url.path in _OPEN_PATHS
        if self.auth.is_open and not self.keyless.serves_sender(method, url.path, headers):
            return Answer.refusal(401, _FOREIGN_PAGE)
        if self.auth.is_open and not (is_open or self.keyless.serves_host(headers)):
            return Answer.refusal(401, _FOREIGN_NAME)
        keys = keys_in(headers, {name: values[0] for name, values in parse_qs(url.query).items()})
        if not is_open:
            caller = self.auth.admit(keys)
            if caller is None:
                return self._refused_keys(keys, address)
            if not may_read_operations(self.auth, caller):
                return Answer.refusal(403, NEEDS_ADMIN)
        return found[url.path]()

    def _refused_keys(self, keys: tuple[str, ...], address: str) -> Answer:
        wait = self._failed_keys.record(read_address(address), len({*keys})) if keys else None
        return Answer.refusal(401, why_refused(keys)) if wait is None else Answer.refusal(429, TOO_MANY, wait)

    def _health(self) -> Answer:
        return Answer(200, dumps({"status": "alive"}).encode())

    def _ready(self) -> Answer:
        status, told = self._board.readiness()
        return Answer(status, dumps(told).encode())

    def _metrics(self) -> Answer:
        if self._board.folder is None:
            return Answer.refusal(
                503, "The proxy cannot write to a folder for temporary files: get the metrics from the main port."
            )
        return Answer(200, self._board.metrics(self._board.folder), CONTENT_TYPE)

    def _state(self) -> Answer:
        # Only the workers make changes, on the main port.
        return Answer(200, dumps({**self._board.router_state(), "may_change": False}).encode())


class _Client:
    """One connection: the request so far, and the part of the answer that is not sent yet."""

    def __init__(self, connection: socket.socket, address: str, until: float) -> None:
        self.connection = connection
        self.address = address
        self.until = until
        self.asked = b""
        self.answer: memoryview | None = None


class AdminListener:
    """Answers operators on a listening socket, in the event loop of the owner of *selector*. It never blocks.

    The data of each selector key is a function to call. One thread does all the work, so no lock is held during a fork.
    """

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        operations: Operations,
        clock: Clock = time.monotonic,
    ) -> None:
        listener.setblocking(False)
        self.operations = operations
        self._listener = listener
        self._selector = selector
        self._clock = clock
        self._clients: dict[_Client, None] = {}
        """The open connections, oldest first."""
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def close_late(self) -> None:
        """Close connections that have exceeded their time limit."""
        now = self._clock()
        for client in [each for each in self._clients if each.until <= now]:
            self._close(client)

    def close_in_child(self) -> None:
        """Close the inherited sockets in a child process without affecting the parent."""
        self._listener.close()
        for client in self._clients:
            client.connection.close()

    def close(self) -> None:
        """Close the listening socket and all connections."""
        for client in list(self._clients):
            self._close(client)
        self._selector.unregister(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        try:
            connection, peer = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        if len(self._clients) >= _CONNECTIONS:
            self._close(next(iter(self._clients)))
        client = _Client(connection, peer[0], self._clock() + _SECONDS)
        self._clients[client] = None
        self._selector.register(connection, selectors.EVENT_READ, partial(self._guarded, self._read, client))

    def _guarded(self, step: Callable[[_Client], None], client: _Client) -> None:
        """Call *step* for a client, unless it is closed by now; close it if the step fails."""
        if client in self._clients:
            try:
                step(client)
            except BlockingIOError:
                return
            except OSError:
                self._close(client)

    def _read(self, client: _Client) -> None:
        data = client.connection.recv(_HEAD)
        client.asked += data
        if b"\r\n\r\n" in client.asked:
            answer = self._answer(client.asked, client.address)
        elif len(client.asked) > _HEAD:
            answer = Answer.refusal(400, "The request is too long.")
        elif data:
            return
        else:
            self._close(client)
            return
        client.answer = memoryview(_rendered(answer, with_content=not client.asked.startswith(b"HEAD ")))
        self._selector.modify(client.connection, selectors.EVENT_WRITE, partial(self._guarded, self._write, client))
        self._write(client)

    def _answer(self, asked: bytes, address: str) -> Answer:
        first, *lines = asked.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3:
            return Answer.refusal(400, "This is not valid HTTP/1.1.")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        try:
            return self.operations.answer(words[0], words[1], headers, address)
        except (ValueError, OSError) as error:
            return Answer.refusal(400 if isinstance(error, ValueError) else 503, "This request cannot be answered now.")
        except Exception:  # noqa: BLE001 - this process also supervises the workers, and must continue
            _log.exception("an operator's request for %s failed", urlsplit(words[1]).path)
            return Answer.refusal(
                503, "The proxy failed because of a defect in it; the log of the proxy has the details."
            )

    def _write(self, client: _Client) -> None:
        if client.answer is not None:
            client.answer = client.answer[client.connection.send(client.answer) :]
            if not client.answer:
                with suppress(OSError):
                    client.connection.shutdown(socket.SHUT_WR)
                self._close(client)

    def _close(self, client: _Client) -> None:
        del self._clients[client]
        self._selector.unregister(client.connection)
        client.connection.close()


def _rendered(answer: Answer, *, with_content: bool) -> bytes:
    retry_after = f"Retry-After: {math.ceil(answer.retry_after)}\r\n" if answer.retry_after is not None else ""
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.type}\r\n{retry_after}"
        f"Content-Length: {len(answer.content)}\r\n{PRIVATE_LINES}Connection: close\r\n\r\n"
    )
    return head.encode() + (answer.content if with_content else b"")
