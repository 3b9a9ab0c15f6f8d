"""Servers on real sockets, each connection by a script: they answer, break off, hang and lie."""

import socket
import ssl
import struct
import threading
from contextlib import closing

import pytest

from dialects.core.faults import FaultError

PATIENCE = 90.0
"""Seconds after which a client will never leave; tests give up before, so that no end of a peer is taken for theirs."""
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def answer(body=b"hello", status=b"200 OK", headers=b""):
    """A whole answer of known length."""
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body)


def chunk(data):
    """One chunk of a body in chunks."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class Peer:
    """One connection as the server sees it."""

    def __init__(self, sock):
        self.sock = sock
        self._file = sock.makefile("rb")

    def request(self):
        """Read one request; None when the client has left."""
        first = self._file.readline()
        if not first:
            return None
        headers = {}
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin1").partition(":")
            headers[name.lower()] = value.strip()
        body = self._file.read(int(headers.get("content-length", 0)))
        method, path, _ = first.decode().split()
        return method, path, headers, body

    def send(self, data):
        self.sock.sendall(data)

    def reset(self):
        """Close with a reset: nothing that was sent need arrive."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self._file.close()
        self.sock.close()

    def left(self):
        """Wait until the client closes."""
        self.sock.settimeout(PATIENCE)
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


class Server:
    """Serves each connection with the next of *scripts*; the last one serves all that follow."""

    def __init__(self, *scripts, context=None):
        self.scripts = list(scripts)
        self.context = context
        self.requests = []
        self.connections = 0
        self.errors = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            script = self.scripts[min(self.connections, len(self.scripts) - 1)]
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, script), daemon=True).start()

    def _serve(self, sock, script):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            with closing(Peer(sock)) as peer:
                script(self, peer)
        except (OSError, ssl.SSLError) as error:
            self.errors.append(error)
            sock.close()

    def close(self):
        # A thread that is about to accept would accept from whoever listens by the same descriptor next.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(PATIENCE)
        self._listener.close()


def answering(*answers):
    """A script that gives these answers one after the other, and then closes."""

    def script(server, peer):
        for each in answers:
            request = peer.request()
            if request is None:
                return
            server.requests.append(request)
            peer.send(each)

    return script


def forever(each):
    """A script that gives this answer for as long as it is asked."""

    def script(server, peer):
        while (request := peer.request()) is not None:
            server.requests.append(request)
            peer.send(each)

    return script


def fault_of(call, *args, **kwargs):
    """What a call fails with."""
    with pytest.raises(FaultError) as caught:
        call(*args, **kwargs)
    return caught.value.fault


def post(transport, url, **options):
    """Send what no fault may show."""
    return transport.post(url, {"Authorization": "Bearer hunter2"}, b"{}", **options)
