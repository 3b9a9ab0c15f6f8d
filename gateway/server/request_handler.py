"""Serving the requests of one connection, one after the other, in one thread."""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from gunicorn.http import errors, wsgi

from dialects.faults import FaultError
from gateway.server.client_connection import ClientConnection, StalledError
from gateway.server.http_messages import Request, Requests, Response, error_response, refusal

_log = logging.getLogger("sap_ai_proxy.server")
_HOT: Final = 0.05
"""Seconds for which a thread waits for the next request itself: handing a connection over costs more."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class RequestHandler:
    """Reads requests from a connection and has the application answer them.

    *counted* keeps the number of requests in progress whenever it changes, and does nothing else. *is_stopping* tells
    whether connections should be closed after the request in progress. The lock guards the number.
    """

    def __init__(
        self, application: Application, config: Any, counted: Callable[[int], None], is_stopping: Callable[[], bool]
    ) -> None:
        self._application = application
        self._config = config
        self._counted = counted
        self._is_stopping = is_stopping
        self._lock = threading.Lock()
        self.open_requests = 0

    def serve(self, connection: ClientConnection) -> bool:
        """Answer what a client asks; tell whether the connection may stay open for a later request."""
        if connection.parser is None:
            connection.parser = Requests(self._config, connection, connection.client)
        try:
            while True:
                request = self._next(connection)
                if request is None or not self._answered(request, connection):
                    return False
                if connection.parser.unreader.buf.getvalue():
                    continue
                if self._is_stopping() or not connection.is_readable(_HOT):
                    return True
        except (OSError, FaultError) as error:
            # The client has left or stalled, or its time is over: there is nobody to tell.
            _log.debug("a connection ended early: %s", error)
        except Exception:  # noqa: BLE001 - a connection must not take its thread with it
            _log.exception("a defect in the server")
        return False

    def _next(self, connection: ClientConnection) -> Request | None:
        """Read the head of the next request; refuse one that makes no sense."""
        connection.expect_head()
        try:
            request: Request = next(connection.parser)
        except (StopIteration, errors.NoMoreData):
            return None
        except (errors.ParseException, StalledError) as error:
            if connection.received:
                status, response = refusal(error)
                _log.info("a request was refused: status=%d %s", status, type(error).__name__)
                connection.sendall(response)
                connection.close_after_unread_bytes()
            return None
        connection.expect_body()
        return request

    def _answered(self, request: Request, connection: ClientConnection) -> bool:
        """Answer one request; tell whether another may follow."""
        self._count(1)
        try:
            return self._answer(request, connection)
        finally:
            connection.lifetime = None
            self._count(-1)

    def _answer(self, request: Request, connection: ClientConnection) -> bool:
        config = self._config
        response, environ = wsgi.create(
            request, connection, connection.client, connection.server, config, Response, (self._is_stopping,)
        )
        environ["wsgi.multithread"] = True
        try:
            self._respond(environ, response)
        except (OSError, FaultError):
            raise
        except Exception:  # noqa: BLE001 - whatever an application raises
            _log.exception("a response failed")
            if not response.headers_sent:
                content = error_response(500, "The proxy failed.", "api_error")
                connection.sendall(content)
            return False
        if response.should_close() or not response.is_whole:
            if not request.body.is_over:
                connection.close_after_unread_bytes()
            return False
        return True

    def _respond(self, environ: dict[str, Any], response: Response) -> None:
        pieces = self._application(environ, response.start_response)
        try:
            for piece in pieces:
                response.write(piece)
            response.close()
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def _count(self, change: int) -> None:
        with self._lock:
            self.open_requests += change
            self._counted(self.open_requests)
