"""One connection to a server over HTTP: how it comes about, and what is sent and received on it without blocking."""

import base64
import errno
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, Self
from urllib.parse import quote, unquote, urlsplit

from gateway.config.network import Proxies, Proxy
from gateway.requests.lifetime import Clock, Interest
from gateway.upstream.background import Task, is_out_of_descriptors
from gateway.upstream.steps import Pause, Steps, waiting_for
from gateway.upstream.unreachable import ProxyRefusedError, Unreachable, unreachable

READ_SIZE = 64 * 1024
_FIRST_PART = 16 * 1024
"""How many bytes of a body go out with the head: copying so many costs less than a packet of their own."""
_LEFTOVER_READS = 16
"""How often what is left of an answer is read before its connection is given up."""
_TUNNEL_HEAD = 16 * 1024
"""How many bytes the head of a proxy's answer may have."""
_DNS_MEMORY = 30.0
"""Seconds for which the addresses of a host are taken to be right."""
_MOST_HOSTS = 256
"""How many hosts' addresses are remembered."""
_PORTS: Final = {"http": 80, "https": 443}
_TARGET = "%/?#[]@!$&'()*+,;=:~"
"""What stands in a path or a query as it is."""
_TUNNEL_STANDS = re.compile(rb"HTTP/1\.[01] 2\d\d[ \r]")

KEEP_ALIVE: Final = (
    # option                                   value
    ("SO_KEEPALIVE", socket.SOL_SOCKET, 1),
    ("TCP_KEEPIDLE", socket.IPPROTO_TCP, 45),  # below the idle limit of the load balancers in front of AI Core
    ("TCP_KEEPINTVL", socket.IPPROTO_TCP, 15),
    ("TCP_KEEPCNT", socket.IPPROTO_TCP, 3),
    ("TCP_USER_TIMEOUT", socket.IPPROTO_TCP, 15_000),  # milliseconds for which what was sent may not be acknowledged
)
"""How it shows that the other end is gone without a word, as behind a firewall that has forgotten the connection."""

_UNDER_WAY: Final = {errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}
"""What connecting says when the answer is still to come."""
_NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""How a socket says that it would have to wait."""

Resolve = Callable[[str, int], list[str]]
"""Gives the IP addresses of a host; it may take its time."""


def addresses_of(host: str, port: int) -> list[str]:
    """Look a host up."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads."""

    secure: bool
    host: str
    port: int
    authority: str
    """Host and port as the header Host has them: the scheme's own port is left out."""
    path: str
    """Path and query, as they go over the wire."""


@lru_cache(maxsize=1024)
def target_of(url: str) -> Target:
    """Read a URL; raises `ValueError` for one that leads nowhere."""
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


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy on the way, with the value of Proxy-Authorization where its URL names a user."""

    host: str
    port: int
    authorization: str
    named_in: str = ""
    """The setting or the environment variable that names it."""

    @classmethod
    def of(cls, proxy: Proxy) -> Self:
        """Read the URL of a proxy; raises `ValueError` for one that is spoken to over TLS, or is no URL."""
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
        """Its host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def unreachable(self, error: BaseException, host: str) -> Unreachable:
        """Find out why *host* was not reached by way of it, from an *error*."""
        return unreachable(error, host, self.address, self.named_in)


def target_and_proxy(url: str, proxies: Proxies) -> tuple[Target, HttpProxy | None]:
    """Read a URL, and find the HTTP proxy that leads there; raises `ValueError` for what leads nowhere."""
    target = target_of(url)
    proxy = proxies.to(target.host, target.port, secure=target.secure)
    return target, HttpProxy.of(proxy) if proxy is not None else None


class Resolver:
    """Looks hosts up in the background, each by one task at a time, and remembers the answer for a while."""

    def __init__(self, resolve: Resolve, clock: Clock) -> None:
        self._resolve = resolve
        self._clock = clock
        self._known: dict[tuple[str, int], tuple[list[str], float]] = {}
        self._asked: dict[tuple[str, int], Task[list[str]]] = {}

    def addresses(self, host: str, port: int, until: float) -> Steps[list[str]]:
        """Give the addresses of a host, at least one; raises `OSError` or `ValueError` if there are none."""
        if _is_address(host):
            return [host]
        known, forgotten_at = self._known.get((host, port), ([], 0.0))
        if known and self._clock() < forgotten_at:
            return known
        return (yield from waiting_for(self._task(host, port), until))

    def _task(self, host: str, port: int) -> Task[list[str]]:
        key = host, port
        if (running := self._asked.get(key)) is not None and not running.done:
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

        # Two threads may come here at once: then the host is looked up twice, and both are right.
        task = self._asked[key] = Task(look_up)
        task.start()
        return task


class Leftover(Protocol):
    """An answer whose last bytes nobody has waited for."""

    complete: bool

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        ...

    @property
    def keeps_alive(self) -> bool:
        """Whether another answer may follow on its connection."""
        ...

    def release(self) -> None:
        """Forget about it."""
        ...


class Connection:
    """A connection that stands; its socket never blocks.

    `readable` and `writable` are what a piece of work gives when it has to wait for it.
    """

    __slots__ = ("_sock", "_tls", "leftover", "readable", "writable")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self.readable = Pause((Interest(sock),))
        self.writable = Pause((Interest(sock, write=True),))
        self.leftover: Leftover | None = None

    def send(self, head: bytes, body: bytes) -> Steps[None]:
        """Send a request; raises `OSError`."""
        yield from self._send(memoryview(head + body[:_FIRST_PART]))
        if len(body) > _FIRST_PART:
            yield from self._send(memoryview(body)[_FIRST_PART:])

    def receive(self) -> bytes | None:
        """Give what has arrived, nothing if nothing has, and no bytes at the end; raises `OSError`."""
        try:
            data = self._sock.recv(READ_SIZE)
        except _NOT_NOW:
            return None
        return data if self._tls is None else data + _decoded(self._tls)

    def is_usable(self) -> bool:
        """Whether another request may go over it: it still stands, and nothing is left of the answer before."""
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
        """Close it at once."""
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
        """Whether there is something to read, be it the end or something for TLS itself; raises `OSError`."""
        try:
            socket.socket.recv(self._sock, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Route:
    """How to connect to a target: by which proxy, within which time for each address, with whose certificates."""

    target: Target
    proxy: HttpProxy | None
    timeout: float
    """Seconds for looking the host up, and again for each of its addresses until the connection stands."""
    context: Callable[[], ssl.SSLContext]
    """Gives what TLS needs to know."""

    def unreachable(self, error: Exception) -> Unreachable:
        """Find out why the target was not reached, from the *error* of connecting."""
        host = f"{self.target.host}:{self.target.port}"
        return unreachable(error, host) if self.proxy is None else self.proxy.unreachable(error, host)


def connect(route: Route, resolver: Resolver, clock: Clock) -> Steps[Connection]:
    """Connect to a target, by one of its addresses after the other.

    Raises `TimeoutError` if that takes too long, and another `OSError` or `ValueError` if it fails.
    """
    first = route.proxy or route.target
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
        if route.target.secure:
            if route.proxy is not None:
                yield from _tunnelled(sock, route, until)
            context = route.context()
            sock = tls = context.wrap_socket(sock, server_hostname=route.target.host, do_handshake_on_connect=False)
            yield from _handshaken(tls, until)
        return Connection(sock)
    except BaseException:
        sock.close()
        raise


def _established(sock: socket.socket, address: str, port: int, until: float) -> Steps[None]:
    """Connect a socket, which does not block from then on; raises `OSError`."""
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
    """Have an HTTP proxy connect the socket to the target; raises `OSError`."""
    host = f"[{route.target.host}]" if ":" in route.target.host else route.target.host
    there = f"{host}:{route.target.port}"
    authorization = route.proxy.authorization if route.proxy else ""
    lines = [f"CONNECT {there} HTTP/1.1", f"Host: {there}"]
    lines += [f"Proxy-Authorization: {authorization}"] if authorization else []
    sock.send("\r\n".join([*lines, "", ""]).encode("ascii"))  # a new connection has room for as much
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
    """Agree on keys, and see the server's certificate; raises `OSError`."""
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
    """Give what TLS has decoded already, of which the operating system knows nothing any more."""
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
