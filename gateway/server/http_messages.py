"""Requests and responses of HTTP/1.1, by gunicorn's parser, within the limits of this server."""

from typing import Any, Final

from gunicorn.config import Config
from gunicorn.http import body, errors, message, parser

from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.framing.json_text import dumps
from gateway.requests.lifetime import CLIENT_LEFT
from gateway.server.client_connection import ClientConnection, StalledError

REQUEST_LINE: Final = 16 * 1024
FIELDS: Final = 100
FIELD_SIZE: Final = 32 * 1024
_HEAD_SIZE: Final = 256 * 1024
_SMALL_BODY: Final = 64 * 1024
"""Bytes of a body nobody wants that are read nevertheless, so that the connection can be used again."""
_SMALL_BODY_SECONDS: Final = 1.0

STALLED: Final = Fault(FaultKind.INVALID_REQUEST, "The request body has stopped coming.", 408)
_MALFORMED: Final = Fault(FaultKind.INVALID_REQUEST, "The request body is not framed as HTTP/1.1 wants it.", 400)

_REFUSALS: Final[dict[type[Exception], tuple[int, str]]] = {
    # what the parser says              status, what the client is told
    errors.LimitRequestLine: (414, f"The request line is longer than {REQUEST_LINE} bytes."),
    errors.LimitRequestHeaders: (431, f"There are more than {FIELDS} headers, or one of more than {FIELD_SIZE} bytes."),
    errors.UnsupportedTransferCoding: (501, "This transfer coding is not supported."),
    errors.ExpectationFailed: (417, "This expectation cannot be met."),
    StalledError: (408, "The request has stopped coming."),
}
_REASONS: Final = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
}


class _Config(Config):
    """gunicorn's settings, each looked up once: they do not change."""

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__[name] = super().__getattr__(name)
        return value


def configuration(*, multiprocess: bool) -> Any:
    """What gunicorn's classes look up; neither its config file nor its environment variables are read."""
    config = _Config()
    for name, value in {
        "limit_request_line": 0,  # `Request` has a higher limit than gunicorn allows here
        "limit_request_fields": FIELDS,
        "limit_request_field_size": FIELD_SIZE,
        "forwarded_allow_ips": "",
        "header_map": "drop",
        "http_parser": "auto",
        "workers": 2 if multiprocess else 1,
    }.items():
        config.set(name, value)
    return config


def refusal(error: Exception) -> tuple[int, bytes]:
    """Answer a request that cannot be understood: the status, and the whole response."""
    status, text = next(
        (known for kind, known in _REFUSALS.items() if isinstance(error, kind)), (400, "This is not valid HTTP/1.1.")
    )
    return status, error_response(status, text, "invalid_request_error")


def error_response(status: int, text: str, kind: str) -> bytes:
    """Write a whole response in no dialect, after which the connection is closed."""
    content = dumps({"error": {"message": text, "type": kind}}).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content


class Requests(parser.Parser):
    """The requests of one connection, one after the other."""

    mesg_class: Any = None  # set below


class Request(message.Request):
    """One request."""

    body: "RequestBody"
    method: str
    path: str
    query: str
    version: tuple[int, int]
    headers: list[tuple[str, str]]
    """Names are in upper case."""
    _expected_100_continue: bool
    _closes: bool | None = None

    def parse(self, unreader: Any) -> Any:
        """Read the head."""
        self.limit_request_line = self._fast_limit_request_line = REQUEST_LINE
        self.max_buffer_headers = _HEAD_SIZE
        return super().parse(unreader)

    def _peer_is_trusted_proxy(self) -> bool:
        """Believe no client about where a request came from; gunicorn would look the address up each time."""
        return False

    def should_close(self) -> bool:
        """Whether the client wants to ask nothing more on the connection."""
        if self._closes is None:
            self._closes = bool(super().should_close())
        return self._closes

    def set_body_reader(self) -> None:
        """Find out how long the body is."""
        super().set_body_reader()
        expects_continue = self._expected_100_continue
        # gunicorn would say it before anybody wants the body.
        self._expected_100_continue = False
        self.body = RequestBody(self.body.reader, self.unreader.sock, expects_continue=expects_continue)


Requests.mesg_class = Request


class RequestBody(body.Body):
    """The body of a request; raises `FaultError` where it does not come, or ends before its end."""

    def __init__(self, reader: Any, connection: ClientConnection, *, expects_continue: bool) -> None:
        super().__init__(reader)
        self._connection = connection
        self._expects_continue = expects_continue

    @property
    def is_over(self) -> bool:
        """Whether all of it was read."""
        if isinstance(self.reader, body.LengthReader):
            return not self.reader.length
        return not self.failed and self.reader.parser is None

    def settle(self) -> bool:
        """Read a small rest that nobody wanted; tell whether another request can follow on the connection."""
        if self.is_over:
            return True
        length = self.reader.length if isinstance(self.reader, body.LengthReader) else 0
        if self.failed or self._expects_continue or length > _SMALL_BODY:
            return False
        self._connection.expect_rest(_SMALL_BODY_SECONDS)
        left = _SMALL_BODY
        try:
            while left > 0 and not self.is_over:
                left -= len(self.read(min(left, _SMALL_BODY)))
        except FaultError:
            return False
        return self.is_over

    def _read_reader(self, size: int) -> bytes:
        if self._expects_continue:
            self._expects_continue = False
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        has_length = isinstance(self.reader, body.LengthReader)
        expected = min(size, self.reader.length) if has_length else 0
        try:
            data: bytes = super()._read_reader(size)
        except StalledError as error:
            raise FaultError(STALLED) from error
        except OSError as error:
            raise FaultError(CLIENT_LEFT) from error
        except errors.ParseException as error:
            raise FaultError(_MALFORMED) from error
        if len(data) < expected:
            self.failed = True
            raise FaultError(CLIENT_LEFT)
        return data
