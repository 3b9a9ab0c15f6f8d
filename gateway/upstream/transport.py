"""HTTP/1.1 to SAP AI Core over sockets that never block: one request and its answer as a `Call`.

A call is sent once. The one exception: a connection that was kept and turns out to be dead before any byte of the
answer has come is nobody's failure, and the call goes once more over a fresh one.

No fault names a host.
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
"""How many bytes of a body are read in one piece."""
_OVERHEAD_LIMIT = 64 * 1024
"""How many bytes that belong to no body may come one after the other: those of a head, or between two chunks."""
_MOST_URLS = 1024
"""For how many URLs it is remembered how they are reached."""
_OWN_HEADERS: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "transfer-encoding", "user-agent"}
)
"""What a request says as it is, whatever it is given."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_COMPRESSED: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})


class _GarbledError(ValueError):
    """What came is no answer, or less than one."""


class _Answer:
    """One answer, as the parser understands it; `release` when it is over, since the parser knows it as well.

    Interim answers (1xx) are passed over. `begun` says that a byte has come. Bytes after the end keep the connection
    from being used again, but for line ends, which the parser of the next answer passes over.
    """

    def __init__(self) -> None:
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self.begun = False
        self.has_head = False
        self.has_more = False
        """Whether `body` may have more to give, or to raise, although nothing new has come."""
        self.complete = False
        self._keeps_alive = False
        self._spoilt = False
        self._interim = False
        self._overhead = 0
        self._inflater: Inflater | None = None
        self._pieces: list[bytes] = []
        self._parser: HttpResponseParser | None = None
        # Named as the parser wants it: each piece of a body goes straight into the list.
        self.on_body = self._pieces.append

    def feed(self, data: bytes) -> None:
        """Take what has arrived; raises `ValueError` if it is no answer."""
        self.begun = True
        if self._parser is None:
            self._parser = HttpResponseParser(self)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if not self.has_head:
                raise _GarbledError from None
            # What came before is still good.
            self._spoilt = self.has_more = True
        if self._pieces:
            self.has_more = True
            self._overhead = 0
            return
        self._overhead += len(data)
        if self._overhead > _OVERHEAD_LIMIT:
            raise _GarbledError

    def end(self) -> None:
        """The server has closed the connection; raises `ValueError` unless that is how the body ends."""
        if not self.has_head or (not self.complete and self._has_length()):
            raise _GarbledError
        self.complete = True
        self._keeps_alive = False

    def body(self) -> bytes:
        """Give what has arrived of the body since the last time; raises `ValueError` if what follows is no body."""
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
        """Whether another answer may follow on its connection, as far as is known."""
        return self._keeps_alive and not self._spoilt

    def release(self) -> None:
        """Part with the parser."""
        self._parser = None

    def on_message_begin(self) -> None:
        """Refuse whatever follows the answer: it was not asked for."""
        if self.complete:
            raise _GarbledError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; those that follow a body are passed over."""
        if not self.has_head:
            name = name.lower()
            self.fields[name] = self.fields[name] + b", " + value if name in self.fields else value

    def on_headers_complete(self) -> None:
        """Understand the head."""
        parser = self._parser
        if parser is None or (status := parser.get_status_code()) < 100:
            raise _GarbledError
        if status < 200:
            self._interim = True
            self.fields = {}
            return
        self.status = status
        self._keeps_alive = parser.should_keep_alive()
        coding = self.fields.get(b"content-encoding", b"identity").strip().lower()
        if coding in _COMPRESSED:
            self._inflater = Inflater()
        elif coding not in {b"", b"identity"}:
            raise _GarbledError
        self.has_head = True

    def on_message_complete(self) -> None:
        """Note the end, unless it was the end of an interim answer."""
        self.complete = not self._interim
        self._interim = False

    def _has_length(self) -> bool:
        """Whether the body says itself where it ends."""
        if (codings := self.fields.get(b"transfer-encoding")) is not None:
            return codings.rpartition(b",")[2].strip().lower() == b"chunked"
        return b"content-length" in self.fields


class Call:
    """One request and its answer; one thread at a time uses it, and whoever has it closes it.

    First `head`, then `take` until there is no more, or `read`. All of them may be called again after they raised
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
        """Return when status and headers are there; raises `StillPending` after so many *seconds*, and `FaultError`."""
        if self._work is None:
            lifetime.check()
            self._work = Resumable(self.answered())
        try:
            self._work.go_on(lifetime, seconds)
        except FaultError:
            self.close()
            raise

    def answered(self) -> Steps[None]:
        """Connect, send, and read the head of the answer: the work that `head` drives. Raises `FaultError`."""
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
        """The status; 0 before the head is there."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by their names in lower case; those that came more than once are joined by commas."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._answer.fields.items()}

    @property
    def content_type(self) -> str:
        """The media type, in lower case and without parameters."""
        value = self._answer.fields.get(b"content-type", b"")
        return value.partition(b";")[0].strip().lower().decode("latin-1")

    @property
    def interest(self) -> Interest | None:
        """What more of the body needs; nothing if there is some, or no more."""
        if self._connection is None or self._answer.complete or self._answer.has_more:
            return None
        return self._connection.readable.interests[0]

    # The body

    def take(self, lifetime: Lifetime, seconds: float) -> bytes | None:
        """Give all that has arrived of the body, and None at its end.

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
        """Give what has arrived of the body without waiting: no bytes if nothing has, and None at its end.

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
        """Read the whole body; more than *limit* bytes, or *silence* for so many seconds, are a fault.

        *began* is called when the first of it has come.
        """
        try:
            return run(unless_silent(self.rest(limit, began), silence, lifetime.clock), lifetime)
        except FaultError:
            self.close()
            raise

    def rest(self, limit: int, began: Callable[[], None] = lambda: None) -> Steps[bytes]:
        """Read the rest of the body: the work that `read` drives. Raises `FaultError`."""
        parts: list[bytes] = []
        size = 0
        while (data := self._arrived()) is not None:
            if data:
                if not parts:
                    began()
                parts.append(data)
                size += len(data)
                if size > limit:
                    raise FaultError(TOO_MUCH)
            else:
                connection = self._reading()
                yield connection.readable
                self._receive_body(connection)
        return b"".join(parts)

    # The end

    def close(self) -> None:
        """Let go of the connection, which is closed at once unless the answer was read to its end."""
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
        """Want nothing more of an answer that is all but at its end, such as the last bytes of its framing.

        They are not waited for: whether they have come is seen when the connection is needed again, and if they have
        not, it is closed then.
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
        """Send the request and read the head; say whether the connection was alive. Raises `FaultError`."""
        self._connection, self._sent = connection, False
        unsent: OSError | None = None
        try:
            try:
                yield from connection.send(*self._request)
                self._sent = True
            except OSError as error:
                # An answer may be there all the same: that the body is too large, for example.
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
        """Give what is there of the body; no bytes if there is nothing, None after the end. Raises `FaultError`."""
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
        """Take what has arrived; raises `OSError` or `ValueError`."""
        data = connection.receive()
        if data:
            self._answer.feed(data)
        elif data is not None:
            self._answer.end()


class Transport:
    """Calls servers over connections that are kept; many threads use it at once, and one closes it.

    Through which HTTP proxy a URL is reached, if through any, is found out once. The environment is not asked.
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
        """Prepare a call, which begins when it is driven; raises `FaultError` if it cannot be sent as it is.

        Its answer has a body: HEAD is not for this.
        """
        try:
            target, proxy = self._reach(url)
            head = _request_head(method, target, proxy, headers, body)
        except ValueError:
            raise FaultError(UNREACHABLE) from None
        route = Route(target, proxy, connect_timeout, self._trust.context)
        return Call(self._pool, self._resolver, route, (head, body or b""), self._clock)

    def close(self) -> None:
        """Close the connections that are kept, and those of calls under way as soon as these end."""
        self._pool.close()


def _request_head(
    method: str, target: Target, proxy: HttpProxy | None, headers: Mapping[str, str], body: bytes | None
) -> bytes:
    """Write the head of a request; raises `ValueError` for a header that would say something else on the wire."""
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
    """Whether a header is for the caller to set; raises `ValueError` if its name is none."""
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("a name that no header has")
    return name.lower() not in _OWN_HEADERS
