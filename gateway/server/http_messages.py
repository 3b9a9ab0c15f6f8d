"""Parser of HTTP/1.1 requests, based on llhttp (`httptools`), with the limits of this server."""

import io
import sys
from collections import deque
from functools import lru_cache
from typing import Final, NoReturn
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.framing.json_text import dumps
from gateway.http.security_headers import PRIVATE_LINES
from gateway.requests.lifetime import CLIENT_LEFT
from gateway.server.client_connection import ClientConnection, StalledError

REQUEST_LINE: Final = 16 * 1024
FIELDS: Final = 100
FIELD_SIZE: Final = 32 * 1024
NAME_SIZE: Final = 1024
_HEAD_SIZE: Final = 64 * 1024
_PIECE: Final = 64 * 1024
"""The maximum number of bytes in one read."""
_SMALL_BODY: Final = 64 * 1024
"""The maximum number of bytes that are read and discarded of an unwanted body to keep the connection usable."""
_SMALL_BODY_SECONDS: Final = 1.0
_FRAMING_SIZE: Final = 64 * 1024
"""The maximum number of consecutive bytes that are received for a body without a byte of it: extensions of chunks, the
digits of their sizes, and trailers."""
IN_LINE: Final = 64
"""The maximum number of pipelined requests on a connection."""
_MOST_NAMES: Final = 256
"""The number of header names whose WSGI spelling is cached."""
_VERSIONS: Final = {"1.0", "1.1"}
_SPELLED_OTHERWISE: Final = {"CONTENT_TYPE", "CONTENT_LENGTH"}
"""The WSGI names of headers that have no prefix."""
_SINGLE: Final = {"HTTP_HOST", "CONTENT_TYPE"}
"""Headers that may occur only once. Otherwise two servers that use the first and the last would see different
requests."""

STALLED: Final = Fault(FaultKind.INVALID_REQUEST, "The request body did not arrive in time.", 408)
_MALFORMED: Final = Fault(FaultKind.INVALID_REQUEST, "The framing of the request body is not valid HTTP/1.1.", 400)

_REASONS: Final = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
}


class RefusedError(Exception):
    """Raised for a request that is not valid HTTP/1.1 or exceeds a limit of this server. The text is for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _no_http() -> RefusedError:
    return RefusedError(400, "This is not valid HTTP/1.1.")


def _too_large() -> RefusedError:
    longest = f"one of more than {FIELD_SIZE} bytes, or a name of more than {NAME_SIZE}"
    return RefusedError(431, f"The request has more than {FIELDS} headers, {longest}.")


def error_response(status: int, text: str, kind: str) -> bytes:
    """Build a complete error response, in the form of OpenAI's errors. The connection is closed after it."""
    content = dumps({"error": {"message": text, "type": kind, "param": None, "code": None}}).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n{PRIVATE_LINES}Connection: close\r\n\r\n"
    )
    return head.encode() + content


class Requests:
    """The requests of one connection, one after the other.

    The parser calls the methods with the prefix `on_` for the parts it finds. One read may contain parts of later
    requests, which are queued.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.is_midway = False
        """Whether the client has begun a request whose head is not complete."""
        self.connection = connection
        self._parser = HttpRequestParser(self)
        self._line: deque[Request] = deque()
        self._last: Request | None = None
        """The request whose body is received now or was received last."""
        self._error: RefusedError | None = None
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []

    @property
    def have_begun(self) -> bool:
        """Whether there are bytes of a request that `next` has not returned yet."""
        return bool(self._line) or self.is_midway

    def next(self) -> "Request | None":
        """Read up to the end of the next head and return the request; None if the client disconnects first.

        Raises `RefusedError` if the request is invalid.
        """
        size = 0
        while not self._line:
            if self._error is not None:
                raise self._error
            if size > _HEAD_SIZE:
                raise _too_large()
            received = self.receive()
            if not received:
                return None
            size += received
        return self._line.popleft()

    def receive(self) -> int:
        """Read from the connection; return the number of bytes, which is 0 if the client has disconnected."""
        data = self.connection.recv(_PIECE)
        if data:
            self._feed(data)
        return len(data)

    def raise_error(self) -> None:
        """Raise the `RefusedError` after which nothing more can be read, if there was one."""
        if self._error is not None:
            raise self._error

    def on_message_begin(self) -> None:
        """Start a new request."""
        self.is_midway = True
        self._target, self._fields = b"", []

    def on_url(self, target: bytes) -> None:
        """Append a piece of the request's target."""
        self._target += target
        if len(self._target) > REQUEST_LINE:
            self.refuse(RefusedError(414, f"The request line is longer than {REQUEST_LINE} bytes."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, or a trailer, which is ignored."""
        self._fields.append((name, value))
        if len(self._fields) > FIELDS or len(name) > NAME_SIZE or len(name) + len(value) > FIELD_SIZE:
            self.refuse(_too_large())

    def on_headers_complete(self) -> None:
        """Queue the request; its body may follow later. An exception raised here refuses it."""
        if len(self._line) == IN_LINE:
            self.refuse(RefusedError(400, f"More than {IN_LINE} requests were sent without waiting for a response."))
        parser = self._parser
        method, version = parser.get_method().decode(), parser.get_http_version()
        try:
            request = Request(method, self._target, version, self._fields, self, closes=not parser.should_keep_alive())
        except RefusedError as error:
            self.refuse(error)
        self._last = request
        self._line.append(request)
        self.is_midway = False

    def on_body(self, data: bytes) -> None:
        """Append a piece of the body."""
        if self._last is not None:
            self._last.body.take(data)

    def on_message_complete(self) -> None:
        """Mark the body as complete."""
        if self._last is not None:
            self._last.body.is_complete = True

    def refuse(self, error: RefusedError) -> NoReturn:
        """Record the error and raise it. The parser replaces it by an error of its own."""
        self._error = error
        raise error

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._read_on(data[upgrade.args[0] :])
        except HttpParserError:
            self._error = self._error or _no_http()

    def _read_on(self, rest: bytes) -> None:
        """Continue with HTTP/1.1 after a client has offered to switch to another protocol.

        The parser treats all bytes after the head as the other protocol's. So a new parser is created for them, which
        expects the same body.
        """
        request = self._last
        if request is None or request.method == "CONNECT":
            return
        if framing := request.framing:
            request.body.is_complete = False
            self._line.pop()
            self._parser = HttpRequestParser(self)
            self._parser.feed_data(f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode())
            self._line[-1] = self._last = request
        self._feed(rest)


class Request:
    """One request. Its `fields` are its headers, named and joined as in WSGI."""

    def __init__(
        self,
        method: str,
        target: bytes,
        version: str,
        fields: list[tuple[bytes, bytes]],
        requests: Requests,
        *,
        closes: bool,
    ) -> None:
        if version not in _VERSIONS:
            raise _no_http()
        self.method = method
        self.version = version
        self.path, self.query = _path_and_query(target.decode("latin-1"))
        self.fields = _joined(fields)
        self.closes = closes or method == "CONNECT"
        """Whether the connection is closed after this request, at the client's wish or for another reason."""
        self.body = RequestBody(requests, self._length(), expects_continue=self._expects_continue())

    @property
    def framing(self) -> str:
        """The header that defines the length of the body; empty if there is no body."""
        if "HTTP_TRANSFER_ENCODING" in self.fields:
            return "Transfer-Encoding: chunked"
        return f"Content-Length: {self.body.left}" if self.body.left else ""

    def _length(self) -> int | None:
        """Return the length of the body in bytes; None if it comes in chunks."""
        coding = self.fields.get("HTTP_TRANSFER_ENCODING")
        if coding is None:
            return int(self.fields.get("CONTENT_LENGTH", 0))
        if self.version == "1.0":
            raise _no_http()
        if coding.lower() != "chunked":
            raise RefusedError(501, "This Transfer-Encoding is not supported.")
        return None

    def _expects_continue(self) -> bool:
        expected = self.fields.get("HTTP_EXPECT")
        if expected is None:
            return False
        if expected.lower() != "100-continue":
            raise RefusedError(417, "This value of the header Expect is not supported.")
        return self.version == "1.1"


class RequestBody(io.RawIOBase):
    """The body of a request. Reading it raises `FaultError` if it does not arrive or ends early.

    *left* is the number of bytes still to come, or None if only the end of the body reveals it. If the client
    *expects_continue*, it is asked for the body at the first read.
    """

    def __init__(self, requests: Requests, left: int | None, *, expects_continue: bool) -> None:
        self.left = left
        self.is_complete = False
        """Whether the whole body has been received."""
        self._requests = requests
        self._expects_continue = expects_continue
        self._held = bytearray()
        self._framing = 0
        """The number of bytes that were received since the last read that had some of the body."""

    def take(self, data: bytes) -> None:
        """Append a piece that was received."""
        self._held += data
        if self.left is not None:
            self.left -= len(data)

    def readable(self) -> bool:
        """Return True: the body can be read."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Read *size* bytes, or fewer at the end of the body. A negative *size* or None reads the whole rest."""
        wanted = sys.maxsize if size is None or size < 0 else size
        while len(self._held) < wanted and not self.is_complete:
            self._receive()
        with memoryview(self._held)[:wanted] as piece:
            data = bytes(piece)
        del self._held[:wanted]
        return data

    def settle(self) -> bool:
        """Read and discard a small unread rest; return whether another request can follow on the connection."""
        if self.is_complete:
            return True
        if self._expects_continue or (self.left or 0) > _SMALL_BODY:
            return False
        self._requests.connection.expect_rest(_SMALL_BODY_SECONDS)
        most = len(self._held) + _SMALL_BODY
        try:
            while len(self._held) < most and not self.is_complete:
                self._receive()
        except FaultError:
            return False
        return self.is_complete

    def _receive(self) -> None:
        """Receive the next piece of the body."""
        try:
            self._requests.raise_error()
            if self._expects_continue:
                self._expects_continue = False
                self._requests.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            held = len(self._held)
            if not (received := self._requests.receive()):
                raise FaultError(CLIENT_LEFT)
            self._framing = self._framing + received if len(self._held) == held else 0
            if self._framing > _FRAMING_SIZE and not self.is_complete:
                self._requests.refuse(_no_http())
        except StalledError as error:
            raise FaultError(STALLED) from error
        except OSError as error:
            raise FaultError(CLIENT_LEFT) from error
        except RefusedError as error:
            raise FaultError(_MALFORMED) from error


def _path_and_query(target: str) -> tuple[str, str]:
    """Split the target of a request, which may be a complete URL (RFC 9112, 3.2), into path and query.

    Raises `ValueError` if it is invalid.
    """
    if target.startswith("/"):
        path, _, query = target.partition("#")[0].partition("?")
        return path, query
    parts = urlsplit(target)
    return parts.path, parts.query


def _joined(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Name headers as WSGI does, and join the values of repeated ones with commas."""
    joined: dict[str, str] = {}
    for name, raw in fields:
        key, value = _key(name), raw.strip(b" \t").decode("latin-1")
        if key not in joined:
            joined[key] = value
        elif key in _SINGLE:
            raise _no_http()
        else:
            joined[key] = f"{joined[key]},{value}"
    joined.pop("", None)
    return joined


@lru_cache(_MOST_NAMES)
def _key(name: bytes) -> str:
    """Return the WSGI name of a header; empty for a name that WSGI would confuse with another."""
    key = name.decode("latin-1").upper().replace("-", "_")
    if b"_" in name:
        return ""
    return key if key in _SPELLED_OTHERWISE else f"HTTP_{key}"
