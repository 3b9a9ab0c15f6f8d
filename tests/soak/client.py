"""A client of the soak: plain HTTP over one connection that is kept, from an address of its own."""

import http.client
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

from tests.support.running import HttpAnswer

PATIENCE = 90.0
"""Seconds without a byte after which a client gives up. The proxy has ended every request before."""
_CLOSED = (http.client.RemoteDisconnected, ConnectionError)


class CutOffError(Exception):
    """The connection ended before the answer did."""


class LateError(Exception):
    """Nothing came for longer than anybody waits."""


@dataclass
class Client:
    """Asks one thing after another. What was kept and is closed is opened anew, as every HTTP client does."""

    host: str
    port: int
    source: str = "127.0.0.1"
    reconnected: bool = False
    """Whether the latest request was sent a second time, on a new connection."""
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def open(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Send a request, and give the answer as soon as its head is there."""
        self.reconnected = False
        kept = self._connection is not None
        try:
            return self._send(method, path, body, headers)
        except _CLOSED as error:
            self.close()
            if not kept:
                raise CutOffError(f"before the head of the answer: {type(error).__name__}") from error
        except TimeoutError as error:
            self.close()
            raise LateError("no head") from error
        self.reconnected = True
        try:
            return self._send(method, path, body, headers)
        except _CLOSED as error:
            self.close()
            raise CutOffError(f"before the head of the answer: {type(error).__name__}") from error

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> HttpAnswer:
        """Send a request, and give the whole answer."""
        response = self.open(method, path, body, headers)
        return self.rest(response)

    def rest(self, response: http.client.HTTPResponse, begun: bytes = b"") -> HttpAnswer:
        """Read an answer to its end."""
        try:
            read = begun + response.read()
        except http.client.IncompleteRead as error:
            self.close()
            raise CutOffError(f"within the answer, which ends with {error.partial[-80:]!r}") from error
        except TimeoutError as error:
            self.close()
            raise LateError("no end") from error
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise CutOffError(f"within the answer: {type(error).__name__}") from error
        if response.will_close:
            self.close()
        return HttpAnswer(response.status, {name.lower(): value for name, value in response.getheaders()}, read)

    def leave(self) -> None:
        """End the connection with a reset, as a client does that is killed."""
        if self._connection is not None and self._connection.sock is not None:
            self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.host, self.port, PATIENCE, (self.source, 0))
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        if response.will_close:
            # The connection is the response's alone now, which closes it when it has been read.
            self._connection.close()
            self._connection = None
        return response


def json_headers(key: str, **more: str) -> dict[str, Any]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **more}
