"""Connections to HTTP servers: name resolution, connecting, and non-blocking input and output."""

import base64
import errno
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, Self
from urllib.parse import quote, unquote, urlsplit

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.config.network import Proxies, Proxy
from gateway.requests.lifetime import Clock, Interest
from gateway.upstream.background import Task, is_out_of_descriptors
from gateway.upstream.steps import Pause, Steps, waiting_for
from gateway.upstream.unreachable import ProxyRefusedError, Unreachable, unreachable

READ_SIZE = 64 * 1024
_FIRST_PART = 16 * 1024
"""The bytes of a body that are sent with the head: copying them costs less than sending another packet."""
_LEFTOVER_READS = 16
"""The maximum number of reads for the rest of an answer, before its connection is closed."""
_TUNNEL_HEAD = 16 * 1024
"""The maximum size of the head of a proxy's answer, in bytes."""
_DNS_MEMORY = 30.0
"""Seconds for which the addresses of a host are cached."""
_MOST_HOSTS = 256
"""The maximum number of hosts whose addresses are cached."""
_TOO_MANY_LOOKUPS: Final = Fault(
    FaultKind.UNAVAILABLE, "The proxy is looking up too many host names; try again in a moment.", retry_after=1.0
)
_PORTS: Final = {"http": 80, "https": 443}
_TARGET = "%/?#[]@!$&'()*+,;=:~"
"""The characters of a path or a query that are not percent-encoded."""
_TUNNEL_STANDS = re.compile(rb"HTTP/1\.[01] 2\d\d[ \r]")

KEEP_ALIVE: Final = (
    # option                                   value
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 45),  # below the idle limit of the load balancers in front of AI Core
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 15),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 3),
    ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, 15_000),  # milliseconds without acknowledgement of sent data
)
"""Socket options that detect a dead peer, for example behind a firewall that has dropped the connection."""

_UNDER_WAY: Final = {errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}
"""The error codes of `connect_ex` while the connection is being established."""
_NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""The exceptions of a non-blocking socket that would have to wait."""

Resolve = Callable[[str, int], list[str]]
"""Returns the IP addresses of a host; may block."""


def addresses_of(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host; blocks."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL that a connection and a request need."""

    secure: bool
    host: str
    port: int
    authority: str
    """Host and port as in the Host header, without the default port of the scheme."""
    path: str
    """Path and query, percent-encoded."""


def parse_target(url: str) -> Target:
    """Parse a URL; raises `ValueError` unless it is an http or https URL with a host."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("no URL of a server")
    host = parts.hostname.encode("idna").decode("ascii") if not parts.hostname.isascii() else parts.hostname
    port = parts.port or _PORTS[parts.scheme]
    name = f"[{host}]" if ":" in host else host
    return Target(
        secure=parts.scheme == "https",
        host=host,
        port=port,
        authority=name if port == _PORTS[parts.scheme] else f"{name}:{port}",
        path=quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_TARGET),
    )


target_of = lru_cache(maxsize=1024)(parse_target)
"""Parses a URL as `parse_target` does, and remembers it."""


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy, with the value of Proxy-Authorization if its URL names a user."""

    host: str
    port: int
    authorization: str
    named_in: str = ""
    """The setting or the environment variable that names the proxy."""

    @classmethod
    def of(cls, proxy: Proxy) -> Self:
        """Parse the URL of a proxy; raises `ValueError` if it is no URL, or an https URL."""
        url = proxy.url.reveal()
        target, parts = target_of(url), urlsplit(url)
        if target.secure:
            raise ValueError("TLS to an HTTP proxy is not supported")
        if parts.username is None:
            return cls(target.host, target.port, "", proxy.named_in)
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(user.encode()).decode()}"
        return cls(target.host, target.port, authorization, proxy.named_in)

    @property
    def address(self) -> str:
        """Host and port of the proxy."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def unreachable(self, error: BaseException, host: str) -> Unreachable:
        """Return why *host* was not reached through the proxy, from an *error*."""
        return unreachable(error, host, self.address, self.named_in)


def target_and_proxy(url: str, proxies: Proxies) -> tuple[Target, HttpProxy | None]:
    """Parse a URL and find its HTTP proxy, if any; raises `ValueError` if a URL is not valid."""
    target = target_of(url)
    proxy = proxies.to(target.host, target.port, secure=target.secure)
    return target, HttpProxy.of(proxy) if proxy is not None else None


class Resolver:
    """Looks up hosts in background tasks, one at a time for each host, and caches the addresses.

    A look-up cannot be cancelled, so its task may last longer than anyone waits for it. At most *most* of them are in
    progress, of which one caller has at most half.
    """

    def __init__(self, resolve: Resolve, clock: Clock, most: int = _MOST_HOSTS) -> None:
        self._resolve = resolve
        self._clock = clock
        self._most = most
        self._known: dict[tuple[str, int], tuple[list[str], float]] = {}
        self._asked: dict[tuple[str, int], tuple[Task[list[str]], str]] = {}
        """The look-ups in progress, each with the caller that asked for it first."""

    def addresses(self, host: str, port: int, until: float, caller: str = "") -> Steps[list[str]]:
        """Return the addresses of a host, at least one. An empty *caller* is the proxy itself.

        Raises `OSError` or `ValueError` if there are none, and `FaultError` if too many look-ups are in progress.
        """
        if _is_address(host):
            return [host]
        known, forgotten_at = self._known.get((host, port), ([], 0.0))
        if known and self._clock() < forgotten_at:
            return known
        return (yield from waiting_for(self._task(host, port, caller), until))

    def _task(self, host: str, port: int, caller: str) -> Task[list[str]]:
        key = host, port
        running, _ = self._asked.get(key, (None, ""))
        if running is not None and not running.done:
            return running

        def look_up() -> list[str]:
            try:
                found = self._resolve(host, port)
                if not found:
                    raise OSError("a host without addresses")
                if len(self._known) >= _MOST_HOSTS:
                    self._known.clear()
                self._known[key] = found, self._clock() + _DNS_MEMORY
                return found
            finally:
                self._asked.pop(key, None)

        if running is None and self._is_full(caller):
            raise FaultError(_TOO_MANY_LOOKUPS)
        # Two threads may get here at once: then the host is looked up twice, and both results are valid.
        task = Task(look_up)
        self._asked[key] = task, caller
        task.start()
        return task

    def _is_full(self, caller: str) -> bool:
        """Return whether no further look-up of *caller* may begin."""
        half = -(-self._most // 2)
        if len(self._asked) < half:
            return False
        callers = []
        for key, (task, each) in list(self._asked.items()):
            if task.done:  # it got no thread
                self._asked.pop(key, None)
            else:
                callers.append(each)
        return len(callers) >= self._most or (caller != "" and callers.count(caller) >= half)


class Leftover(Protocol):
    """An answer that was abandoned before its last bytes arrived, such as the end of its framing."""

    complete: bool

    def feed(self, data: bytes) -> None:
        """Parse bytes that have arrived."""
        ...

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may be used for another request."""
        ...

    def release(self) -> None:
        """Release the parser."""
        ...


class Connection:
    """An established connection with a non-blocking socket.

    `readable` and `writable` are the pauses that steps yield to wait for the socket.
    """

    __slots__ = ("_sock", "_tls", "leftover", "readable", "writable")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self.readable = Pause((Interest(sock),))
        self.writable = Pause((Interest(sock, write=True),))
        self.leftover: Leftover | None = None

    def send(self, head: bytes, body: bytes) -> Steps[None]:
        """Send a request; raises `OSError` if that fails."""
        yield from self._send(memoryview(head + body[:_FIRST_PART]))
        if len(body) > _FIRST_PART:
            yield from self._send(memoryview(body)[_FIRST_PART:])

    def receive(self) -> bytes | None:
        """Return the bytes that have arrived, None if there are none yet, and b"" at the end; raises `OSError`."""
        try:
            data = self._sock.recv(READ_SIZE)
        except _NOT_NOW:
            return None
        return data if self._tls is None else data + _decoded(self._tls)

    def is_usable(self) -> bool:
        """Return whether the connection is alive and the previous answer has been read to its end."""
        leftover, self.leftover = self.leftover, None
        try:
            for _ in range(_LEFTOVER_READS):
                if not self._has_something():
                    return leftover is None or (leftover.complete and leftover.keeps_alive)
                data = self.receive()
                if data == b"" or (data and (leftover is None or leftover.complete)):
                    return False
                if data and leftover is not None:
                    leftover.feed(data)
        except (OSError, ValueError):
            return False
        finally:
            if leftover is not None:
                leftover.release()
        return False

    def close(self) -> None:
        """Close the connection at once."""
        self._sock.close()

    def _send(self, data: memoryview) -> Steps[None]:
        while data:
            try:
                data = data[self._sock.send(data) :]
            except ssl.SSLWantReadError:
                yield self.readable
            except (BlockingIOError, ssl.SSLWantWriteError):
                yield self.writable

    def _has_something(self) -> bool:
        """Return whether the socket is readable: data, TLS records or the end; raises `OSError`."""
        try:
            socket.socket.recv(self._sock, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Route:
    """How to connect to a target: the proxy, the timeout and the TLS context."""

    target: Target
    proxy: HttpProxy | None
    timeout: float
    """Seconds for looking up the host, and again for connecting to each of its addresses."""
    context: Callable[[], ssl.SSLContext]
    """Returns the TLS context."""
    addresses: Sequence[str] = ()
    """The only addresses of the target that may be used, if they are known. An HTTP proxy then gets the first one and
    not the name of the host."""

    def unreachable(self, error: Exception) -> Unreachable:
        """Return why the target was not reached, from the *error* of connecting."""
        host = f"{self.target.host}:{self.target.port}"
        return unreachable(error, host) if self.proxy is None else self.proxy.unreachable(error, host)


def connect(route: Route, resolver: Resolver, clock: Clock) -> Steps[Connection]:
    """Connect to a target, trying its addresses in order.

    Raises `TimeoutError` if the look-up or the last address takes too long, and another `OSError` or `ValueError` on
    other failures.
    """
    first = route.proxy or route.target
    addresses = route.addresses
    if route.proxy is not None or not addresses:
        addresses = yield from resolver.addresses(first.host, first.port, clock() + route.timeout)
    for address in addresses[:-1]:
        try:
            return (yield from _connected(address, first.port, route, clock() + route.timeout))
        except OSError as error:
            if is_out_of_descriptors(error):
                raise
    return (yield from _connected(addresses[-1], first.port, route, clock() + route.timeout))


def _connected(address: str, port: int, route: Route, until: float) -> Steps[Connection]:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        yield from _established(sock, address, port, until)
        if route.proxy is not None and (route.target.secure or route.addresses):
            yield from _tunnelled(sock, route, until)
        if route.target.secure:
            context = route.context()
            sock = tls = context.wrap_socket(sock, server_hostname=route.target.host, do_handshake_on_connect=False)
            yield from _handshaken(tls, until)
        return Connection(sock)
    except BaseException:
        sock.close()
        raise


def _established(sock: socket.socket, address: str, port: int, until: float) -> Steps[None]:
    """Make a socket non-blocking and connect it; raises `OSError` if that fails."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, level, value in KEEP_ALIVE:
        if hasattr(socket, name):
            sock.setsockopt(level, getattr(socket, name), value)
    error = sock.connect_ex((address, port))
    if error in _UNDER_WAY:
        yield Pause((Interest(sock, write=True),), until)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, "cannot connect")


def _tunnelled(sock: socket.socket, route: Route, until: float) -> Steps[None]:
    """Open a tunnel through an HTTP proxy to the target; raises `OSError` if that fails."""
    host = route.addresses[0] if route.addresses else route.target.host
    there = f"[{host}]:{route.target.port}" if ":" in host else f"{host}:{route.target.port}"
    authorization = route.proxy.authorization if route.proxy else ""
    lines = [f"CONNECT {there} HTTP/1.1", f"Host: {there}"]
    lines += [f"Proxy-Authorization: {authorization}"] if authorization else []
    sock.send("\r\n".join([*lines, "", ""]).encode("ascii"))  # fits into the send buffer of a new connection
    reading = Pause((Interest(sock),), until)
    head = b""
    while b"\r\n\r\n" not in head:
        yield reading
        with suppress(BlockingIOError):
            if not (data := sock.recv(_TUNNEL_HEAD)) or len(head) > _TUNNEL_HEAD:
                raise OSError("the HTTP proxy closed the connection")
            head += data
    if not _TUNNEL_STANDS.match(head) or not head.endswith(b"\r\n\r\n"):
        raise ProxyRefusedError(head.partition(b"\r\n")[0].decode("latin-1"))


def _handshaken(sock: ssl.SSLSocket, until: float) -> Steps[None]:
    """Do the TLS handshake, which verifies the server's certificate; raises `OSError` if that fails."""
    reading, writing = Pause((Interest(sock),), until), Pause((Interest(sock, write=True),), until)
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            yield reading
        except ssl.SSLWantWriteError:
            yield writing
        else:
            return


def _decoded(sock: ssl.SSLSocket) -> bytes:
    """Return the bytes that TLS has already decrypted, for which the socket does not become readable."""
    parts = []
    while waiting := sock.pending():
        parts.append(sock.recv(waiting))
    return b"".join(parts)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
