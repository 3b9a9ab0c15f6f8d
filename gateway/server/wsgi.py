"""The WSGI side of the server (PEP 3333): environments for requests, and responses over HTTP/1.1."""

import re
import sys
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from types import TracebackType
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from gateway.server.client_connection import CONNECTION, ClientConnection
from gateway.server.http_messages import Request

_Raised = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

_HOP_BY_HOP: Final = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Headers of a single connection, which only the server sets (RFC 9110, 7.6.1)."""
_HEADER_LINES: Final = re.compile(r"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*")


def environ_of(request: Request, connection: ClientConnection, *, multiprocess: bool) -> dict[str, Any]:
    """Build the WSGI environment of a request."""
    path = request.path
    return {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path if "%" not in path and path.isascii() else unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": request.query,
        "SERVER_NAME": connection.server[0],
        "SERVER_PORT": str(connection.server[1]),
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "REMOTE_ADDR": connection.client[0],
        "REMOTE_PORT": str(connection.client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": request.body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        CONNECTION: connection,
        **request.fields,
    }


class Response:
    """A response, whose head is sent together with the first piece of the body.

    *is_stopping* returns whether the worker accepts no further requests on a connection.
    """

    def __init__(self, request: Request, connection: ClientConnection, is_stopping: Callable[[], bool]) -> None:
        self.is_begun = False
        """Whether the status and the headers can no longer change."""
        self._request = request
        self._connection = connection
        self._is_stopping = is_stopping
        self._status = ""
        self._headers = ""
        self._length: int | None = None
        self._sent = 0
        self._omits_body = False
        self._is_chunked = False
        self._closes = False
        self._head = b""

    @property
    def may_be_followed(self) -> bool:
        """Whether another request may follow on the connection: the body is complete, and neither side closes it."""
        is_whole = self._length is None or self._omits_body or self._sent >= self._length
        return is_whole and not self._closes

    def start_response(
        self, status: str, headers: Iterable[tuple[str, str]], exc_info: _Raised | None = None
    ) -> Callable[[bytes], None]:
        """Set the status and the headers. Raises `ValueError` for a header with a line break or invalid characters."""
        if self._status and exc_info is None:
            raise AssertionError("The response has already been started.")
        if self.is_begun and exc_info is not None and exc_info[1] is not None:
            raise exc_info[1].with_traceback(exc_info[2])
        self._status, self._length, lines = status, None, []
        code = int(status[:3])
        has_no_content = code < 200 or code == 204
        self._omits_body = has_no_content or code == 304 or self._request.method == "HEAD"
        for name, value in headers:
            lower = name.lower()
            if lower in _HOP_BY_HOP or (has_no_content and lower == "content-length"):
                continue
            if lower == "content-length":
                self._length = int(value)
            lines.append(f"{name}: {value}\r\n")
        self._headers = "".join(lines)
        if self._headers.count("\n") != len(lines) or not _HEADER_LINES.fullmatch(self._headers):
            raise ValueError("A header of the response is not one line of name and value.")
        is_delimited = self._length is not None or self._omits_body
        self._is_chunked = not is_delimited and self._request.version == "1.1"
        self._closes = self._request.closes or not (is_delimited or self._is_chunked)
        return self.write

    def write(self, data: bytes) -> None:
        """Send a piece of the body, up to the announced length. An empty piece sends the head alone."""
        if not self.is_begun:
            self._begin()
        if self._is_chunked:
            # An empty chunk would end the body.
            data = data and b"%X\r\n%b\r\n" % (len(data), data)
        elif self._omits_body:
            data = b""
        elif self._length is not None:
            data = data[: max(0, self._length - self._sent)]
            self._sent += len(data)
        if self._head:
            data, self._head = self._head + data, b""
        if data:
            self._connection.sendall(data)

    def close(self) -> None:
        """Send the end of the response."""
        if not self.is_begun:
            self._begin()
        end, self._head = self._head + (b"0\r\n\r\n" if self._is_chunked else b""), b""
        if end:
            self._connection.sendall(end)

    def _begin(self) -> None:
        """Build the head, which is sent later, and decide whether another request may follow."""
        if not self._status:
            raise AssertionError("The response has not been started.")
        self.is_begun = True
        self._closes = self._closes or self._is_stopping() or not self._request.body.settle()
        connection = "close" if self._closes else "keep-alive"
        framing = "Transfer-Encoding: chunked\r\n" if self._is_chunked else ""
        head = (
            f"HTTP/{self._request.version} {self._status}\r\nDate: {_date(int(time.time()))}\r\n"
            f"Connection: {connection}\r\n{framing}{self._headers}\r\n"
        )
        self._head = head.encode("latin-1")


@lru_cache(1)
def _date(second: int) -> str:
    """Format a time for a header."""
    return formatdate(second, usegmt=True)
