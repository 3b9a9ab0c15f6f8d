"""HTTP/1.1 to SAP AI Core over non-blocking sockets. A `Call` is one request with its answer.

A call is sent once, with one exception: if a kept connection turns out to be dead before any byte of the answer has
arrived, the call is sent again over a new connection.

No message of a fault names a host.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from dialects.core.faults import FaultError
from gateway.config.network import DIRECT, Network
from gateway.requests.lifetime import Clock, Interest, Lifetime
from gateway.upstream.background import OUT_OF_DESCRIPTORS, is_out_of_descriptors
from gateway.upstream.connection import (
    Connection,
    HttpProxy,
    Resolve,
    Resolver,
    Route,
    Target,
    addresses_of,
    connect,
    target_and_proxy,
)
from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.inflater import Inflater
from gateway.upstream.steps import Resumable, Steps, StillPending, run, unless_silent
from gateway.upstream.transport_faults import BROKEN, NO_CONNECTION_IN_TIME, REDIRECT, TOO_MUCH, UNREACHABLE
from gateway.upstream.trust import TrustStore
from gateway.upstream.unreachable import PROXY_WANTS_PASSWORD

BODY_LIMIT: Final = 64 * 1024 * 1024
"""The maximum size of a body that is read as a whole, in bytes."""
_OVERHEAD_LIMIT = 64 * 1024
"""The maximum number of consecutive bytes outside of a body, in a head or between two chunks."""
_MOST_URLS = 1024
"""The number of URLs whose target and proxy are cached."""
_OWN_HEADERS: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "transfer-encoding", "user-agent"}
)
"""The headers that the transport sets itself; given ones are ignored."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_COMPRESSED: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})


class _GarbledError(ValueError):
    """Raised if the bytes are no HTTP answer, or an incomplete one."""


class _Answer:
    """The parser's callbacks for one answer. `release` it at the end, because parser and answer refer to each other.

    Interim answers (1xx) are skipped. `begun` is set with the first byte. If bytes follow the end of the answer, the
    connection is not used again, except for line ends, which the parser of the next answer skips.
    """

    def __init__(self) -> None:
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        """The headers, once the head is complete. The values of repeated ones are joined by commas."""
        self._values: dict[bytes, list[bytes]] = {}
        self.begun = False
        self.has_head = False
        self.has_more = False
        """Whether `body` may return more bytes, or raise, although nothing new has arrived."""
        self.complete = False
        self._keeps_alive = False
        self._spoilt = False
        self._interim = False
        self._overhead = 0
        self._inflater: Inflater | None = None
        self._pieces: list[bytes] = []
        self._parser: HttpResponseParser | None = None
        # The parser calls this name; each piece of a body goes directly into the list.
        self.on_body = self._pieces.append

    def feed(self, data: bytes) -> None:
        """Parse bytes that have arrived; raises `ValueError` if they are no answer."""
        self.begun = True
        if self._parser is None:
            self._parser = HttpResponseParser(self)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if not self.has_head:
                raise _GarbledError from None
            # The bytes before the error are still valid.
            self._spoilt = self.has_more = True
        if self._pieces:
            self.has_more = True
            self._overhead = 0
            return
        self._overhead += len(data)
        if self._overhead > _OVERHEAD_LIMIT:
            raise _GarbledError

    def end(self) -> None:
        """Handle the end of the connection; raises `ValueError` unless it ends the body."""
        if not self.has_head or (not self.complete and self._has_length()):
            raise _GarbledError
        self.complete = True
        self._keeps_alive = False

    def body(self) -> bytes:
        """Return the bytes of the body since the last call; raises `ValueError` if invalid data follows."""
        if self._pieces:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self.has_more = self._spoilt
        elif self._spoilt and not self.complete:
            raise _GarbledError
        else:
            data = b""
        if self._inflater is None:
            return data
        data = self._inflater.unpack(data)
        self.has_more = self._spoilt or self._inflater.has_more
        if self.complete and not data:
            self._inflater.check_end()
        return data

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may be used for another request, as far as is known."""
        return self._keeps_alive and not self._spoilt

    def release(self) -> None:
        """Drop the parser, which breaks the reference cycle."""
        self._parser = None

    def on_message_begin(self) -> None:
        """Raise an error if another answer follows, because it was not requested."""
        if self.complete:
            raise _GarbledError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; trailers after the body are ignored."""
        if not self.has_head:
            self._values.setdefault(name.lower(), []).append(value)

    def on_headers_complete(self) -> None:
        """Process the head; raises `ValueError` for an unknown content encoding."""
        parser = self._parser
        if parser is None or (status := parser.get_status_code()) < 100:
            raise _GarbledError
        if status < 200:
            self._interim = True
            self._values = {}
            return
        self.status = status
        self.fields = {name: b", ".join(values) for name, values in self._values.items()}
        self._keeps_alive = parser.should_keep_alive()
        coding = self.fields.get(b"content-encoding", b"identity").strip().lower()
        if coding in _COMPRESSED:
            self._inflater = Inflater()
        elif coding not in {b"", b"identity"}:
            raise _GarbledError
        self.has_head = True

    def on_message_complete(self) -> None:
        """Mark the answer as complete, unless it is an interim one."""
        self.complete = not self._interim
        self._interim = False

    def _has_length(self) -> bool:
        """Return whether the end of the body is known without the end of the connection."""
        if (codings := self.fields.get(b"transfer-encoding")) is not None:
            return codings.rpartition(b",")[2].strip().lower() == b"chunked"
        return b"content-length" in self.fields


class Call:
    """One request and its answer. Only one thread at a time may use it, and the owner must close it.

    Call `head`, then `take` until it returns None, or `read`. `head` and `take` may be called again after
    `StillPending`. After any `FaultError` the call is closed.
    """

    def __init__(
        self, pool: ConnectionPool, resolver: Resolver, route: Route, request: tuple[bytes, bytes], clock: Clock
    ) -> None:
        self._pool = pool
        self._resolver = resolver
        self._route = route
        self._request = request
        self._clock = clock
        self._key = route.target.secure, route.target.host, route.target.port
        self._answer = _Answer()
        self._connection: Connection | None = None
        self._sent = False
        self._work: Resumable[None] | None = None

    # The head

    def head(self, lifetime: Lifetime, seconds: float) -> None:
        """Wait for status and headers; raises `StillPending` after so many *seconds*, and `FaultError`."""
        if self._work is None:
            lifetime.check()
            self._work = Resumable(self.answered())
        try:
            self._work.go_on(lifetime, seconds)
        except FaultError:
            self.close()
            raise

    def answered(self) -> Steps[None]:
        """Connect, send the request and read the head, as steps that `head` runs; raises `FaultError`."""
        kept = self._pool.take(self._key)
        if kept is None or not (yield from self._asked(kept)):
            fresh = yield from self._connected()
            if not (yield from self._asked(fresh)):
                raise FaultError(UNREACHABLE)
        if 300 <= self.status < 400:
            raise FaultError(REDIRECT)
        if self.status == 407 and self._route.proxy is not None:
            raise FaultError(replace(UNREACHABLE, cause=self._route.unreachable(PROXY_WANTS_PASSWORD)))

    @property
    def status(self) -> int:
        """The status; 0 before the head has arrived."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by names in lower case; repeated ones are joined by commas."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._answer.fields.items()}

    @property
    def content_type(self) -> str:
        """The media type, in lower case and without parameters."""
        value = self._answer.fields.get(b"content-type", b"")
        return value.partition(b";")[0].strip().lower().decode("latin-1")

    @property
    def interest(self) -> Interest | None:
        """The interest to wait for before reading more; None if more is there already, or the body has ended."""
        if self._connection is None or self._answer.complete or self._answer.has_more:
            return None
        return self._connection.readable.interests[0]

    # The body

    def take(self, lifetime: Lifetime, seconds: float) -> bytes | None:
        """Return the bytes of the body that have arrived, None at its end.

        Raises `StillPending` if nothing arrives within so many *seconds*, and `FaultError`.
        """
        until = lifetime.clock() + seconds
        try:
            while (data := self._arrived()) == b"":
                connection = self._reading()
                if not lifetime.wait(connection.readable.interests, max(0.0, until - lifetime.clock())):
                    raise StillPending
                self._receive_body(connection)
        except FaultError:
            self.close()
            raise
        return data

    def arrived(self) -> bytes | None:
        """Return the bytes of the body that have arrived, without waiting: b"" if there are none, None at its end.

        Raises `FaultError`.
        """
        answer = self._answer
        try:
            if not (answer.has_more or answer.complete):
                self._receive_body(self._reading())
            return self._arrived()
        except FaultError:
            self.close()
            raise

    def read(
        self,
        lifetime: Lifetime,
        silence: float,
        limit: int = BODY_LIMIT,
        began: Callable[[], None] = lambda: None,
    ) -> bytes:
        """Read the whole body; raises `FaultError` for more than *limit* bytes, or *silence* for so many seconds.

        *began* is called when the first bytes have arrived.
        """
        try:
            return run(unless_silent(self.rest(limit, began), silence, lifetime.clock), lifetime)
        except FaultError:
            self.close()
            raise

    def rest(
        self, limit: int, began: Callable[[], None] = lambda: None, hold: Callable[[int], None] = lambda _: None
    ) -> Steps[bytes]:
        """Read the rest of the body, as steps that `read` runs; raises `FaultError`.

        *hold* is called with the size of each piece before it is kept, and may raise `FaultError`.
        """
        parts: list[bytes] = []
        size = 0
        while (data := self._arrived()) is not None:
            if data:
                if not parts:
                    began()
                size += len(data)
                if size > limit:
                    raise FaultError(TOO_MUCH)
                hold(len(data))
                parts.append(data)
            else:
                connection = self._reading()
                yield connection.readable
                self._receive_body(connection)
        return b"".join(parts)

    # The end

    def close(self) -> None:
        """Release the connection, which is closed unless the answer was read to its end."""
        if self._work is not None:
            self._work.close()
        connection, self._connection = self._connection, None
        self._answer.release()
        if connection is None:
            return
        if self._answer.complete and self._answer.keeps_alive and self._sent:
            self._pool.give(self._key, connection)
        else:
            connection.close()

    def finish(self) -> None:
        """Stop reading an answer that is nearly at its end, and lacks only the last bytes of its framing, for example.

        The call does not wait for them. The pool reads them when it needs the connection again, and closes the
        connection if they have not arrived by then.
        """
        answer, connection = self._answer, self._connection
        if connection is None or answer.complete or not (answer.has_head and answer.keeps_alive and self._sent):
            self.close()
            return
        self._connection = None
        connection.leftover = answer
        self._pool.give(self._key, connection)

    def _connected(self) -> Steps[Connection]:
        try:
            return (yield from connect(self._route, self._resolver, self._clock))
        except (OSError, ValueError) as error:
            if is_out_of_descriptors(error):
                raise FaultError(OUT_OF_DESCRIPTORS) from None
            fault = NO_CONNECTION_IN_TIME if isinstance(error, TimeoutError) else UNREACHABLE
            raise FaultError(replace(fault, cause=self._route.unreachable(error))) from None

    def _asked(self, connection: Connection) -> Steps[bool]:
        """Send the request and read the head; return whether the connection was alive. Raises `FaultError`."""
        self._connection, self._sent = connection, False
        unsent: OSError | None = None
        try:
            try:
                yield from connection.send(*self._request)
                self._sent = True
            except OSError as error:
                # The server may have sent an answer before, for example that the body is too large.
                unsent = error
            while not self._answer.has_head:
                yield connection.readable
                self._receive(connection)
        except (OSError, ValueError) as error:
            if self._answer.begun:
                raise FaultError(UNREACHABLE) from None
            self._connection = None
            connection.close()
            if isinstance(unsent or error, TimeoutError):
                self._pool.drop(self._key)
            return False
        return True

    def _arrived(self) -> bytes | None:
        """Return the parsed bytes of the body: b"" if there are none, None after the end. Raises `FaultError`."""
        try:
            data = self._answer.body()
        except ValueError:
            raise FaultError(BROKEN) from None
        if not self._answer.complete:
            return data
        if self._connection is not None:
            self.close()
        return data or None

    def _reading(self) -> Connection:
        if self._connection is None:
            raise FaultError(BROKEN)
        return self._connection

    def _receive_body(self, connection: Connection) -> None:
        try:
            self._receive(connection)
        except (OSError, ValueError):
            raise FaultError(BROKEN) from None

    def _receive(self, connection: Connection) -> None:
        """Parse what has arrived; raises `OSError` or `ValueError`."""
        data = connection.receive()
        if data:
            self._answer.feed(data)
        elif data is not None:
            self._answer.end()


class Transport:
    """Calls servers over kept connections. Many threads may use it at once, and one closes it.

    The HTTP proxy of a URL is determined once. Environment variables are not read.
    """

    def __init__(
        self,
        *,
        network: Network = DIRECT,
        clock: Clock = time.monotonic,
        resolve: Resolve = addresses_of,
        pool: ConnectionPool | None = None,
    ) -> None:
        self._reach = lru_cache(_MOST_URLS)(partial(target_and_proxy, proxies=network.proxies))
        self._trust = TrustStore(network.trust)
        self._clock = clock
        self._resolver = Resolver(resolve, clock)
        self._pool = pool or ConnectionPool(clock)

    def begin(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, connect_timeout: float
    ) -> Call:
        """Prepare a call, which starts when it is read; raises `FaultError` if URL or headers are not valid.

        HEAD is not supported, because the answer must have a body.
        """
        try:
            target, proxy = self._reach(url)
            head = _request_head(method, target, proxy, headers, body)
        except ValueError:
            raise FaultError(UNREACHABLE) from None
        route = Route(target, proxy, connect_timeout, self._trust.context)
        return Call(self._pool, self._resolver, route, (head, body or b""), self._clock)

    def close(self) -> None:
        """Close the kept connections, and those of running calls when these end."""
        self._pool.close()


def _request_head(
    method: str, target: Target, proxy: HttpProxy | None, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    """Render the head of a request; raises `ValueError` for a header with a line break."""
    plain_proxy = proxy if not target.secure else None
    path = f"http://{target.authority}{target.path}" if plain_proxy else target.path
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {target.authority}",
        "User-Agent: sap-ai-core-llm-proxy",
        "Accept-Encoding: identity",
    ]
    for name, value in headers.items():
        if not _may_be_given(name):
            continue
        if "\n" in value or "\r" in value or "\0" in value:
            raise ValueError("a header of more than one line")
        lines.append(f"{name}: {value}")
    if plain_proxy is not None and plain_proxy.authorization:
        lines.append(f"Proxy-Authorization: {plain_proxy.authorization}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@lru_cache(maxsize=256)
def _may_be_given(name: str) -> bool:
    """Return whether callers may set a header; raises `ValueError` if the name is not valid."""
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("a name that no header has")
    return name.lower() not in _OWN_HEADERS
