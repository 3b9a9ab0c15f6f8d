"""Requests and responses of HTTP/1.1, read by llhttp (`httptools`), within the limits of this server."""

import io
import sys
from collections import deque
from functools import lru_cache
from typing import Final, NoReturn
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.framing.json_text import dumps
from gateway.requests.lifetime import CLIENT_LEFT
from gateway.server.client_connection import ClientConnection, StalledError

REQUEST_LINE: Final = 16 * 1024
FIELDS: Final = 100
FIELD_SIZE: Final = 32 * 1024
NAME_SIZE: Final = 1024
_HEAD_SIZE: Final = 256 * 1024
_PIECE: Final = 64 * 1024
"""Bytes that are read at once."""
_SMALL_BODY: Final = 64 * 1024
"""Bytes of a body nobody wants that are read nevertheless, so that the connection can be used again."""
_SMALL_BODY_SECONDS: Final = 1.0
IN_LINE: Final = 64
"""Requests that a client may send at once, before the first of them is answered."""
_MOST_NAMES: Final = 256
"""For how many names of headers it is remembered how WSGI spells them."""
_VERSIONS: Final = {"1.0", "1.1"}
_SPELLED_OTHERWISE: Final = {"CONTENT_TYPE", "CONTENT_LENGTH"}
"""What WSGI writes without the prefix of other headers."""
_SINGLE: Final = {"HTTP_HOST", "CONTENT_TYPE"}
"""What may not come twice: who reads the first one and who reads the last one would understand different requests."""

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
    """A request that is no HTTP/1.1, or is beyond a limit of this server; the text is for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _no_http() -> RefusedError:
    return RefusedError(400, "This is not valid HTTP/1.1.")


def _too_large() -> RefusedError:
    longest = f"one of more than {FIELD_SIZE} bytes, or a name of more than {NAME_SIZE}"
    return RefusedError(431, f"The request has more than {FIELDS} headers, {longest}.")


def error_response(status: int, text: str, kind: str) -> bytes:
    """Write a whole response in no dialect, after which the connection is closed."""
    content = dumps({"error": {"message": text, "type": kind}}).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content


class Requests:
    """The requests of one connection, one after the other.

    The methods that begin with `on_` are called by the parser, for what it finds in the bytes that it is fed. Those
    may go beyond the request that is wanted: later ones wait in line.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.is_midway = False
        """Whether the client has begun a request whose head is not complete."""
        self.connection = connection
        self._parser = HttpRequestParser(self)
        self._line: deque[Request] = deque()
        self._last: Request | None = None
        """The request whose body comes, or came last."""
        self._error: RefusedError | None = None
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []

    @property
    def have_begun(self) -> bool:
        """Whether there are bytes already of a request that was not asked for with `next`."""
        return bool(self._line) or self.is_midway

    def next(self) -> "Request | None":
        """Read up to the end of the next head; None if the client leaves first. Raises `RefusedError`."""
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
        """Read what the client sends next; give how many bytes it was, 0 if the client leaves."""
        data = self.connection.recv(_PIECE)
        if data:
            self._feed(data)
        return len(data)

    def raise_error(self) -> None:
        """Raise `RefusedError` if nothing more can be read after an error."""
        if self._error is not None:
            raise self._error

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.is_midway = True
        self._target, self._fields = b"", []

    def on_url(self, target: bytes) -> None:
        """Take a piece of the request's target."""
        self._target += target
        if len(self._target) > REQUEST_LINE:
            self._refuse(RefusedError(414, f"The request line is longer than {REQUEST_LINE} bytes."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer, which nobody reads."""
        self._fields.append((name, value))
        if len(self._fields) > FIELDS or len(name) > NAME_SIZE or len(name) + len(value) > FIELD_SIZE:
            self._refuse(_too_large())

    def on_headers_complete(self) -> None:
        """Put the request in line; its body may come later. Whatever is raised here refuses it."""
        if len(self._line) == IN_LINE:
            self._refuse(RefusedError(400, f"More than {IN_LINE} requests were sent without waiting for a response."))
        parser = self._parser
        method, version = parser.get_method().decode(), parser.get_http_version()
        try:
            request = Request(method, self._target, version, self._fields, self, closes=not parser.should_keep_alive())
        except RefusedError as error:
            self._refuse(error)
        self._last = request
        self._line.append(request)
        self.is_midway = False

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self._last is not None:
            self._last.body.take(data)

    def on_message_complete(self) -> None:
        """Note that the body is complete."""
        if self._last is not None:
            self._last.body.is_complete = True

    def _refuse(self, error: RefusedError) -> NoReturn:
        """Stop reading; the parser raises an error of its own for what is raised here."""
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
        """Read on in HTTP/1.1 where a client offers to speak another protocol, which it need not be granted.

        The parser takes what follows the head for that protocol's. A new one is told the same body once more.
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
    """One request; its `fields` are its headers as WSGI names and joins them."""

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
        """Whether the client wants to ask nothing more on the connection, or may not."""
        self.body = RequestBody(requests, self._length(), expects_continue=self._expects_continue())

    @property
    def framing(self) -> str:
        """The header that says how long the body is; empty where there is no body."""
        if "HTTP_TRANSFER_ENCODING" in self.fields:
            return "Transfer-Encoding: chunked"
        return f"Content-Length: {self.body.left}" if self.body.left else ""

    def _length(self) -> int | None:
        """Find out how long the body is; None where it comes in chunks."""
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
    """The body of a request; raises `FaultError` where it does not come, or ends before its end.

    *left* is how many bytes are still to come, None where the client says so only with the last one. A client that
    *expects_continue* is told to send them when somebody wants them.
    """

    def __init__(self, requests: Requests, left: int | None, *, expects_continue: bool) -> None:
        self.left = left
        self.is_complete = False
        """Whether all of it has come."""
        self._requests = requests
        self._expects_continue = expects_continue
        self._held = bytearray()

    def take(self, data: bytes) -> None:
        """Keep a piece that has come, however small the pieces are."""
        self._held += data
        if self.left is not None:
            self.left -= len(data)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Read *size* bytes, fewer only at the end; all that are left with a negative *size*, or none."""
        wanted = sys.maxsize if size is None or size < 0 else size
        while len(self._held) < wanted and not self.is_complete:
            self._receive()
        with memoryview(self._held)[:wanted] as piece:
            data = bytes(piece)
        del self._held[:wanted]
        return data

    def settle(self) -> bool:
        """Read a small rest that nobody wanted; tell whether another request can follow on the connection."""
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
        """Read what comes next of it."""
        try:
            self._requests.raise_error()
            if self._expects_continue:
                self._expects_continue = False
                self._requests.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            if not self._requests.receive():
                raise FaultError(CLIENT_LEFT)
        except StalledError as error:
            raise FaultError(STALLED) from error
        except OSError as error:
            raise FaultError(CLIENT_LEFT) from error
        except RefusedError as error:
            raise FaultError(_MALFORMED) from error


def _path_and_query(target: str) -> tuple[str, str]:
    """Split the target of a request, which may be a whole URL (RFC 9112, 3.2); raises `ValueError` for none."""
    if target.startswith("/"):
        path, _, query = target.partition("#")[0].partition("?")
        return path, query
    parts = urlsplit(target)
    return parts.path, parts.query


def _joined(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Name headers as WSGI does. Those that come several times are joined with commas."""
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
    """Spell the name of a header as WSGI does; empty for one that another could be mistaken for."""
    key = name.decode("latin-1").upper().replace("-", "_")
    if b"_" in name:
        return ""
    return key if key in _SPELLED_OTHERWISE else f"HTTP_{key}"
