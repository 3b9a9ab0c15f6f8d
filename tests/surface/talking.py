"""A client that sends any bytes, and reads answers as strictly as h11 does."""

import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress

import h11

from tests.surface.case import Case, End
from tests.surface.contract import EVENTS, Answer

PATIENCE = 20.0
"""Seconds after which an answer, or the end of a connection, will not come."""
MOMENT = 0.1
"""Seconds of silence after which a client that waits for nothing in particular sends its end."""
ENOUGH = 8 * 1024
"""How many bytes are read of a stream without an end."""
_PIECE = 64 * 1024


class BrokenLawError(Exception):
    """Raised for an answer, or for none, that no proxy should give."""


class Talk:
    """One connection to a proxy."""

    def __init__(self, port: int, case: Case) -> None:
        self._case = case
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._until = time.monotonic() + PATIENCE
        self._unread = b""
        self._ended = False
        self._begun = False
        """Whether there are bytes of the answer that is read now."""
        self._half_closed = False

    def answers(self) -> list[Answer]:
        """Send the case and return what comes; raises `BrokenLawError`."""
        with self._socket:
            whole = self._send()
            match self._case.end:
                case End.LEAVE:
                    return []
                case End.RESET:
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return []
                case End.HALF_CLOSE:
                    self._half_close()
                case End.READ if not whole:
                    self._half_close()
            return list(self._read())

    def _send(self) -> bool:
        """Send the pieces; return whether the proxy took them all."""
        try:
            for at, piece in enumerate(self._case.pieces):
                if at and self._case.pause:
                    time.sleep(self._case.pause)
                self._socket.sendall(piece)
        except OSError:
            return False
        return True

    def _half_close(self) -> None:
        self._half_closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _read(self) -> Iterator[Answer]:
        is_counted = self._case.end is End.READ
        methods = [each.method for each in self._case.asked]
        count, is_last = 0, False
        while not is_last and not (is_counted and count == len(methods)):
            answer = self._answer(methods[count] if count < len(methods) else "GET")
            if answer is None:
                break
            count += 1
            is_last = not answer.whole or answer.headers.get("connection") == "close"
            yield answer
        if self._unread:
            raise BrokenLawError(f"bytes are left after {count} answers: {self._unread[:80]!r}")
        if not self._half_closed and not is_last and count < max(1, len(methods) if is_counted else 1):
            raise BrokenLawError(f"the connection ended after {count} answers")

    def _answer(self, method: str) -> Answer | None:
        """Read one answer; None if the connection has ended before it."""
        parser = h11.Connection(h11.CLIENT)
        self._begun = bool(self._unread)
        parser.send(h11.Request(method=method if _is_token(method) else "GET", target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        if self._unread:
            parser.receive_data(self._unread)
            self._unread = b""
        head, body = None, bytearray()
        for event in self._events(parser, body):
            head = event if isinstance(event, h11.Response) else head
            is_whole = isinstance(event, h11.EndOfMessage)
        if head is None:
            return None
        self._unread = parser.trailing_data[0]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        if is_whole and method != "HEAD" and len(body) != int(headers.get("content-length", len(body))):
            raise BrokenLawError("the length of the body is not what the head says")
        return Answer(head.status_code, headers, bytes(body), is_whole)

    def _events(self, parser: h11.Connection, body: bytearray) -> Iterator[h11.Event]:
        """Yield what comes of one answer, up to its end or that of the connection. Its body is put into *body*."""
        head = None
        try:
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    if (head is None and self._ended) or (head is not None and self._is_enough(head, body)):
                        return
                    self._receive(parser)
                    continue
                if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                    return
                if isinstance(event, h11.Data):
                    body += event.data
                head = event if isinstance(event, h11.Response) else head
                yield event
                if isinstance(event, h11.EndOfMessage):
                    return
        except h11.RemoteProtocolError as error:
            if not (self._half_closed and self._ended):
                raise BrokenLawError(f"the answer is no HTTP: {error}") from error

    def _is_enough(self, head: h11.Response, body: bytearray) -> bool:
        """Whether a stream that never ends was read for long enough."""
        is_endless = any(each.target.startswith("/router/events") for each in self._case.asked)
        types = [value for name, value in head.headers if name == b"content-type"]
        return is_endless and types[:1] == [EVENTS.encode() + b"; charset=utf-8"] and len(body) > ENOUGH

    def _receive(self, parser: h11.Connection) -> None:
        """Hand the next bytes to the parser, or the end."""
        data = b""
        if not self._ended:
            is_patient = self._case.end is End.READ or self._half_closed
            if not is_patient and not select.select([self._socket], [], [], MOMENT)[0]:
                self._half_close()
            self._socket.settimeout(max(0.01, self._until - time.monotonic()))
            try:
                data = self._socket.recv(_PIECE)
            except TimeoutError:
                raise BrokenLawError(f"nothing came for {PATIENCE:g} s") from None
            except ConnectionError:
                data = b""
        self._ended, self._begun = not data, self._begun or bool(data)
        if self._begun:
            parser.receive_data(data)


def _is_token(method: str) -> bool:
    return method.isalpha() and method.isascii() and method != "CONNECT"
