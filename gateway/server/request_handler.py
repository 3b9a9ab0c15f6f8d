"""The handler that serves the requests of one connection in sequence, in one thread."""

import logging
import threading
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Any, Final

from dialects.core.faults import FaultError
from gateway.server.client_connection import ClientConnection, StalledError
from gateway.server.http_messages import RefusedError, Request, Requests, error_response
from gateway.server.stream_loop import HAND_OVER, OpenResponse, StreamingBody, StreamLoop
from gateway.server.wsgi import Response, environ_of

_log = logging.getLogger("sap_ai_proxy.server")
_HOT: Final = 0.05
"""Seconds for which a thread itself waits for the next request, because handing the connection over costs more."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
GiveBack = Callable[[bool], None]
"""A function that takes a connection back. Its argument says whether the connection stays open."""


class _Then(Enum):
    """What happens to a connection after a request."""

    CLOSE = "close"
    NEXT = "next"
    """Another request may follow."""
    STREAM = "stream"
    """The stream loop continues the response."""


class RequestHandler:
    """Reads requests from a connection and passes them to the application.

    *counted* is called with the number of requests in progress whenever it changes, and must only store it.
    *is_stopping* returns whether to close connections after their current request. *streams* continues responses that
    stream. The lock guards the number.
    """

    def __init__(
        self,
        application: Application,
        counted: Callable[[int], None],
        is_stopping: Callable[[], bool],
        streams: StreamLoop,
        *,
        multiprocess: bool = False,
    ) -> None:
        self._application = application
        self._counted = counted
        self._is_stopping = is_stopping
        self._streams = streams
        self._multiprocess = multiprocess
        self._lock = threading.Lock()
        self.open_requests = 0

    def serve(self, connection: ClientConnection, give_back: GiveBack) -> None:
        """Serve the requests of a client, and give the connection back.

        If a response streams, the stream loop gives it back.
        """
        then = _Then.CLOSE
        try:
            then = self._serve(connection, give_back)
        except (OSError, FaultError) as error:
            # The client has disconnected or stalled, or the time is over. No response can be sent.
            _log.debug("a connection ended early: %s", error)
        except Exception:  # noqa: BLE001 - an error on one connection must not end the thread
            _log.exception("a defect in the server")
        if then is not _Then.STREAM:
            give_back(then is _Then.NEXT)

    def _serve(self, connection: ClientConnection, give_back: GiveBack) -> _Then:
        if connection.requests is None:
            connection.requests = Requests(connection)
        while True:
            request = self._next(connection, connection.requests)
            if request is None:
                return _Then.CLOSE
            then = self._answered(request, connection, give_back)
            if then is not _Then.NEXT or not self._asks_again(connection):
                return then

    def _asks_again(self, connection: ClientConnection) -> bool:
        """Wait a short time for the next request; return whether it has begun."""
        if connection.has_early_bytes:
            return True
        return not self._is_stopping() and connection.is_readable(_HOT)

    def _next(self, connection: ClientConnection, requests: Requests) -> Request | None:
        """Read the head of the next request. Refuse an invalid one, and return None."""
        connection.expect_head()
        try:
            request = requests.next()
        except RefusedError as error:
            self._refuse(connection, error)
            return None
        except StalledError:
            if requests.is_midway:
                self._refuse(connection, RefusedError(408, "The request did not arrive in time."))
            return None
        connection.expect_body()
        return request

    def _refuse(self, connection: ClientConnection, error: RefusedError) -> None:
        """Send an error response and close the connection."""
        _log.info("a request was refused: status=%d %s", error.status, error)
        connection.sendall(error_response(error.status, str(error), "invalid_request_error"))
        connection.close_after_unread_bytes()

    def _answered(self, request: Request, connection: ClientConnection, give_back: GiveBack) -> _Then:
        """Answer one request, up to the point where the stream loop takes over."""
        self._count(1)
        then = _Then.CLOSE
        try:
            then = self._answer(request, connection, give_back)
        finally:
            if then is not _Then.STREAM:
                self._end(connection)
        return then

    def _answer(self, request: Request, connection: ClientConnection, give_back: GiveBack) -> _Then:
        environ = environ_of(request, connection, multiprocess=self._multiprocess)
        response = Response(request, connection, self._is_stopping)
        try:
            if self._respond(environ, response, connection, give_back):
                return _Then.STREAM
        except (OSError, FaultError):
            raise
        except Exception:  # noqa: BLE001 - the application may raise anything
            _log.exception("a response failed")
            if not response.is_begun:
                content = error_response(500, "The proxy failed.", "api_error")
                connection.sendall(content)
            return _Then.CLOSE
        if response.may_be_followed:
            return _Then.NEXT
        if not request.body.is_complete:
            connection.close_after_unread_bytes()
        return _Then.CLOSE

    def _respond(
        self, environ: dict[str, Any], response: Response, connection: ClientConnection, give_back: GiveBack
    ) -> bool:
        """Write the application's response; return True if the stream loop continues it."""
        streaming: list[StreamingBody] = []
        environ[HAND_OVER] = streaming.append
        pieces = self._application(environ, response.start_response)
        close = getattr(pieces, "close", None) or _do_nothing
        try:
            for piece in pieces:
                response.write(piece)
                if streaming and streaming[0].is_flowing:
                    finished = partial(self._finish, response, connection, close, give_back)
                    rest = OpenResponse(streaming[0], connection, response.write, response.close, finished)
                    close = _do_nothing
                    self._streams.add(rest)
                    return True
            response.close()
        finally:
            close()
        return False

    def _finish(
        self,
        response: Response,
        connection: ClientConnection,
        close: Callable[[], None],
        give_back: GiveBack,
        whole: bool,
    ) -> None:
        """Complete a request whose response was a stream."""
        try:
            close()
        finally:
            self._end(connection)
            give_back(whole and response.may_be_followed)

    def _end(self, connection: ClientConnection) -> None:
        connection.lifetime = None
        self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self.open_requests += change
            self._counted(self.open_requests)


def _do_nothing() -> None:
    pass
