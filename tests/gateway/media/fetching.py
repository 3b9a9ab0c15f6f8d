"""Servers that play a script, and fetchers that may reach them."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dialects.core.faults import FaultError, FaultKind
from gateway.media.fetcher import MediaFetcher
from gateway.media.inline import Fetched
from gateway.requests.lifetime import Lifetime

PATIENCE = 30.0
TLS_HELLO = b"\x16"
ROOM = 32 * 1024 * 1024
NOT_FETCHED = "the proxy cannot reach it or must not fetch it; send its content in the request instead"
PNG = b"\x89PNG\r\n\x1a\n"

EVERY_PORT = range(1, 65_536)
"""What a test's own server listens on is no port of a web server."""

Script = Callable[[socket.socket, bytes], None]


class Host:
    """A server that plays a script to each connection, after it has read a request's head."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heads: list[bytes] = []
        self.over = threading.Event()
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._play, args=(peer,), daemon=True))
            self._threads[-1].start()

    def _play(self, peer: socket.socket) -> None:
        with peer:
            peer.settimeout(PATIENCE)
            head = b""
            while not (b"\r\n\r\n" in head or head.startswith(TLS_HELLO)):
                got = peer.recv(4096)
                if not got:
                    return
                head += got
            self.heads.append(head)
            try:
                self._script(peer, head)
            except OSError:
                return


@contextmanager
def hosting(script: Script) -> Iterator[Host]:
    host = Host(script)
    try:
        yield host
    finally:
        host.close()


def saying(*pieces: bytes) -> Script:
    return lambda peer, _: [peer.sendall(piece) for piece in pieces] and None


def answer(body: bytes = PNG, mime: bytes = b"image/png", status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, mime, more, len(body), body)


def redirect(to: bytes) -> bytes:
    return answer(b"", status=b"302 Found", more=b"Location: %b\r\n" % to)


def fetching(*, lifetime: Lifetime | None = None, **more: object) -> Callable[..., Fetched]:
    """A fetcher, in a request of its own unless *lifetime* is given."""
    fetcher = MediaFetcher(**more)  # type: ignore[arg-type]  # each test names what it needs
    return lambda url, room=ROOM: fetcher(url, room, lifetime or Lifetime(PATIENCE))


def open_fetcher(**more: object) -> Callable[..., Fetched]:
    return fetching(**{"allows": lambda *_: True, "ports": EVERY_PORT, **more})


def refusal(fetch: Callable[[str], Fetched], url: str) -> str:
    with pytest.raises(FaultError) as caught:
        fetch(url)
    assert (caught.value.fault.kind, caught.value.fault.status) == (FaultKind.INVALID_REQUEST, 400)
    return caught.value.fault.message
