"""The transport, against real sockets that answer, break off, hang and lie."""

import gzip
import socket
import ssl
import struct
import threading
import time
from contextlib import ExitStack, closing, nullcontext
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dialects.faults import FaultError, FaultKind
from gateway.service_keys import CertificateFiles, CertificateText, Secret, ServiceKey
from gateway.tokens import Token
from gateway.transport import Transport, Upstream, _certificate

PATIENCE = 5.0
OK = b"HTTP/1.1 200 OK\r\n"
TOKEN = b'{"access_token":"eyJ0","token_type":"bearer","expires_in":43199}'


def answer(body=b"hello", status=b"200 OK", headers=b""):
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body)


def chunk(data):
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
        threading.Thread(target=self._accept, daemon=True).start()

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
    def script(server, peer):
        while (request := peer.request()) is not None:
            server.requests.append(request)
            peer.send(each)

    return script


@pytest.fixture
def serve():
    servers = []

    def start(*scripts, context=None):
        servers.append(Server(*scripts, context=context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def transport():
    with closing(Transport()) as transport:
        yield transport


def fault_of(call, *args, **kwargs):
    with pytest.raises(FaultError) as caught:
        call(*args, **kwargs)
    return caught.value.fault


def post(transport, url, **options):
    return transport.post(url, {"Authorization": "Bearer hunter2"}, b"{}", **options)


# What is sent and what comes back


def test_a_request_arrives_as_it_was_given_and_nothing_is_added_that_was_not_asked_for(serve, transport):
    server = serve(forever(answer()))

    upstream = transport.post(server.url + "/a?b=c", {"Content-Type": "application/json"}, b'{"x":1}', stream=True)

    assert upstream.read() == b"hello"
    [(method, path, headers, body)] = server.requests
    assert (method, path, body) == ("POST", "/a?b=c", b'{"x":1}')
    assert headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": "sap-ai-core-llm-proxy",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": "7",
    }


def test_status_headers_and_media_type_are_known_before_the_body(serve, transport):
    server = serve(
        forever(answer(b"{}", b"429 Slow down", b"Content-Type: Application/JSON; charset=utf-8\r\nRetry-After: 7\r\n"))
    )

    with post(transport, server.url) as upstream:
        assert (upstream.status, upstream.headers["retry-after"], upstream.content_type) == (
            429,
            "7",
            "application/json",
        )


def test_a_connection_is_used_again_once_its_body_was_read_to_the_end(serve, transport):
    server = serve(forever(answer()))

    for _ in range(3):
        post(transport, server.url).read()

    assert (len(server.requests), server.connections) == (3, 1)


def test_a_connection_whose_body_was_not_read_is_dropped(serve, transport):
    server = serve(forever(answer()))

    post(transport, server.url).close()
    post(transport, server.url).read()

    assert server.connections == 2


def test_as_many_connections_are_kept_as_asked_for(serve):
    server = serve(forever(answer()))
    with closing(Transport(connections=2)) as transport:
        for _ in range(2):
            open_now = [post(transport, server.url) for _ in range(2)]
            for upstream in open_now:
                upstream.read()

    assert server.connections == 2


def test_a_compressed_body_is_unpacked(serve, transport):
    server = serve(forever(answer(gzip.compress(b"x" * 100_000), headers=b"Content-Encoding: gzip\r\n")))

    assert post(transport, server.url).read() == b"x" * 100_000


def test_a_body_beyond_the_limit_is_refused_even_when_it_is_small_on_the_wire(serve, transport):
    server = serve(forever(answer(gzip.compress(b"x" * 100_000), headers=b"Content-Encoding: gzip\r\n")))

    assert fault_of(post(transport, server.url).read, 99_999).kind is FaultKind.STREAM_BROKEN
    assert len(post(transport, server.url).read(100_000)) == 100_000


def test_cookies_of_one_answer_do_not_go_out_with_the_next_request(serve, transport):
    server = serve(forever(answer(headers=b"Set-Cookie: tenant=eu; Path=/\r\n")))

    for _ in range(2):
        post(transport, server.url).read()

    assert "cookie" not in server.requests[1][2]


def test_the_environment_has_no_say(serve, transport, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server = serve(forever(answer()))

    assert post(transport, server.url).read() == b"hello"


def test_a_proxy_that_is_named_is_used(serve):
    proxy = serve(forever(answer(b"by proxy")))
    with closing(Transport(proxy=Secret(proxy.url))) as transport:
        assert post(transport, "http://aicore.invalid/x").read() == b"by proxy"

    assert proxy.requests[0][1] == "http://aicore.invalid/x"


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary", b"308 Permanent"])
def test_a_redirect_is_not_followed_and_carries_no_token_away(serve, transport, status):
    other = serve(forever(answer()))
    server = serve(forever(answer(b"", status, b"Location: %s\r\n" % other.url.encode())))

    assert fault_of(post, transport, server.url).kind is FaultKind.SERVER_ERROR
    assert fault_of(transport.get, server.url, {}).kind is FaultKind.SERVER_ERROR
    assert other.requests == []


def test_head_tells_the_status_and_keeps_the_connection(serve, transport):
    server = serve(forever(b"HTTP/1.1 405 No\r\nContent-Length: 5\r\n\r\n"))

    assert [transport.head(server.url, {}) for _ in range(2)] == [405, 405]
    assert server.connections == 1


# Streams


@pytest.mark.parametrize("framing", ["chunked", "length", "until close"])
def test_a_small_piece_is_handed_on_at_once(serve, transport, framing):
    """The second piece is sent only after the first one has arrived."""
    arrived = threading.Event()

    def script(_, peer):
        peer.request()
        pieces = [b"one ", b"two"]
        header = {"chunked": b"Transfer-Encoding: chunked\r\n", "length": b"Content-Length: 7\r\n"}.get(framing, b"")
        peer.send(OK + header + b"\r\n")
        for piece in pieces:
            peer.send(chunk(piece) if framing == "chunked" else piece)
            assert arrived.wait(PATIENCE)
        if framing == "chunked":
            peer.send(b"0\r\n\r\n")

    server = serve(script)
    pieces = []
    for piece in post(transport, server.url, stream=True, read_timeout=2.0):
        pieces.append(piece)
        arrived.set()

    assert pieces == [b"one ", b"two"]


def test_headers_alone_are_enough_to_begin(serve, transport):
    begun = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        assert begun.wait(PATIENCE)
        peer.send(chunk(b"x") + b"0\r\n\r\n")

    upstream = post(transport, serve(script).url, stream=True, read_timeout=2.0)
    begun.set()

    assert list(upstream) == [b"x"]
    assert list(upstream) == []


def test_a_chunk_that_arrives_in_halves_is_handed_on_in_halves(serve, transport):
    half = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"8\r\nabcd")
        assert half.wait(PATIENCE)
        peer.send(b"efgh\r\n0\r\n\r\n")

    pieces = iter(post(transport, serve(script).url, stream=True, read_timeout=2.0))
    first = next(pieces)
    half.set()

    assert (first, b"".join(pieces)) == (b"abcd", b"efgh")


def interrupted(serve, transport, how, **options):
    """Read a stream until it breaks; give what came and what broke it."""

    def script(_, peer):
        peer.request()
        peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"begun"))
        how(peer)

    upstream = post(transport, serve(script).url, stream=True, **options)
    got = []
    fault = fault_of(lambda: got.extend(upstream))
    upstream.close()
    return b"".join(got), fault


def test_a_stream_that_just_ends_is_broken(serve, transport):
    assert interrupted(serve, transport, lambda peer: None)[1].kind is FaultKind.STREAM_BROKEN


def test_a_stream_that_ends_within_a_chunk_is_broken(serve, transport):
    got, fault = interrupted(serve, transport, lambda peer: peer.send(b"8\r\nhal"))

    assert (got, fault.kind) == (b"begunhal", FaultKind.STREAM_BROKEN)


def test_a_stream_that_is_reset_is_broken(serve, transport):
    def reset(peer):
        peer.sock.settimeout(0.05)
        peer.reset()

    assert interrupted(serve, transport, reset)[1].kind is FaultKind.STREAM_BROKEN


def test_a_stream_with_garbled_chunks_is_broken(serve, transport):
    got, fault = interrupted(serve, transport, lambda peer: peer.send(b"nonsense\r\n"))

    assert (got, fault.kind) == (b"begun", FaultKind.STREAM_BROKEN)


def test_a_stream_that_falls_silent_times_out(serve, transport):
    got, fault = interrupted(serve, transport, Peer.left, read_timeout=0.2)

    assert (got, fault.kind) == (b"begun", FaultKind.TIMEOUT)


def test_half_a_body_of_known_length_is_broken(serve, transport):
    server = serve(answering(OK + b"Content-Length: 10\r\n\r\nhalf"))

    assert fault_of(post(transport, server.url).read).kind is FaultKind.STREAM_BROKEN


def test_a_body_that_does_not_unpack_is_broken(serve, transport):
    server = serve(forever(answer(b"no gzip at all", headers=b"Content-Encoding: gzip\r\n")))

    assert fault_of(post(transport, server.url).read).kind is FaultKind.STREAM_BROKEN


def test_the_limit_of_silence_can_be_changed_between_reads(serve, transport):
    def script(_, peer):
        peer.request()
        peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"a"))
        peer.left()

    upstream = post(transport, serve(script).url, stream=True, read_timeout=60.0)
    pieces = iter(upstream)
    next(pieces)
    upstream.wait_at_most(0.1)

    assert fault_of(next, pieces).kind is FaultKind.TIMEOUT
    upstream.close()
    upstream.wait_at_most(0.1)


# Stopping from outside


def hanging(left):
    def script(_, peer):
        peer.request()
        peer.send(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"a"))
        if peer.left():
            left.set()

    return script


class Reader(threading.Thread):
    """Reads in a thread of its own and says when it is about to wait."""

    def __init__(self, upstream):
        super().__init__(daemon=True)
        self.upstream = upstream
        self.got = []
        self.fault = None
        self.begun = threading.Event()
        self.start()

    def run(self):
        try:
            for piece in self.upstream:
                self.got.append(piece)
                self.begun.set()
        except FaultError as error:
            self.fault = error.fault


@pytest.mark.parametrize("stop", [Upstream.shutdown, Upstream.close])
@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n", b"", b"Content-Length: 99\r\n"])
def test_a_read_that_waits_ends_at_once_when_it_is_stopped(serve, transport, stop, framing):
    left = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(OK + framing + b"\r\n" + (chunk(b"a") if b"chunked" in framing else b"a"))
        if peer.left():
            left.set()

    upstream = post(transport, serve(script).url, stream=True, read_timeout=60.0)
    reader = Reader(upstream)
    assert reader.begun.wait(PATIENCE)
    time.sleep(0.05)
    begin = time.monotonic()
    stop(upstream)
    reader.join(PATIENCE)
    took = time.monotonic() - begin
    upstream.close()

    assert not reader.is_alive()
    assert took < 1.0
    assert (reader.got, reader.fault.kind) == ([b"a"], FaultKind.STREAM_BROKEN)
    assert left.wait(PATIENCE)


@pytest.mark.parametrize("stop", [Upstream.shutdown, Upstream.close])
def test_an_end_that_comes_of_stopping_is_not_taken_for_the_end_of_the_body(serve, transport, stop):
    """A body without a length ends with its connection: only the stream knows who ended that."""
    upstream = post(transport, serve(answering(OK + b"\r\nbegun")).url, stream=True)

    def stopped_meanwhile(*_, **__):
        stop(upstream)
        return b""

    upstream._raw.read1 = stopped_meanwhile

    assert fault_of(list, upstream).kind is FaultKind.STREAM_BROKEN
    upstream.close()


def test_a_stopped_stream_gives_nothing_more(serve, transport):
    left = threading.Event()
    upstream = post(transport, serve(hanging(left)).url, stream=True, read_timeout=60.0)
    upstream.shutdown()
    upstream.shutdown()

    assert fault_of(list, upstream).kind is FaultKind.STREAM_BROKEN
    upstream.close()
    upstream.shutdown()
    assert left.wait(PATIENCE)


def test_stopping_after_the_end_does_not_hit_the_next_request_on_the_connection(serve, transport):
    server = serve(forever(answer()))
    first = post(transport, server.url, stream=True)
    assert b"".join(first) == b"hello"

    second = post(transport, server.url)
    first.shutdown()

    assert second.read() == b"hello"
    assert server.connections == 1


class Handover:
    """A lock that says when somebody has to wait for it."""

    def __init__(self):
        self._lock = threading.Lock()
        self.waiting = threading.Event()

    def __enter__(self):
        if not self._lock.acquire(blocking=False):
            self.waiting.set()
            self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()


@pytest.mark.parametrize(("lock", "outcome"), [(Handover, b"hello"), (nullcontext, FaultKind.UNREACHABLE)])
def test_a_stop_never_hits_a_connection_that_was_given_back(serve, transport, lock, outcome):
    """While a stop is on its way to the socket, the stream is closed; without the lock, the next request is hit."""
    asked, go_on = threading.Event(), threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(answer())
        if peer.request():
            asked.set()
            assert go_on.wait(PATIENCE)

    server = serve(script, forever(answer()))
    first = post(transport, server.url, stream=True)
    assert first._raw.read1(99) == b"hello"
    first._finished = True
    first._lock = lock()
    results = []

    def second():
        try:
            results.append(post(transport, server.url).read())
        except FaultError as error:
            results.append(error.fault.kind)

    threads = [threading.Thread(target=first.close), threading.Thread(target=second)]

    def meanwhile():
        threads[0].start()
        if lock is Handover:
            assert first._lock.waiting.wait(PATIENCE)
        else:
            threads[0].join(PATIENCE)
            threads[1].start()
            assert asked.wait(PATIENCE)

    class Interrupted(Upstream):
        """Hands over between looking whether it is closed and noting that it is stopped."""

        def __setattr__(self, name, value):
            if name == "_stopped":
                meanwhile()
            super().__setattr__(name, value)

    connection = first._raw.connection
    first._raw.shutdown = lambda: connection.sock.shutdown(socket.SHUT_RD)
    first.__class__ = Interrupted
    first.shutdown()
    threads[0].join(PATIENCE)
    if lock is Handover:
        threads[1].start()
    threads[1].join(PATIENCE)
    go_on.set()

    assert results == [outcome]


def test_a_stop_between_the_last_byte_and_its_end_keeps_the_connection_from_the_next(serve, transport):
    """The body is all there, but nobody has seen its end: the connection is still the stream's own."""
    server = serve(forever(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"hello") + b"0\r\n\r\n"))
    first = post(transport, server.url, stream=True)
    assert next(iter(first)) == b"hello"

    first.shutdown()
    fault = fault_of(list, first)
    first.close()

    assert fault.kind is FaultKind.STREAM_BROKEN
    assert post(transport, server.url).read() == b"hello"
    assert server.connections == 2


def test_closing_twice_is_closing_once(serve, transport):
    server = serve(forever(answer()))
    upstream = post(transport, server.url)
    upstream.read()
    upstream.close()

    assert [post(transport, server.url).read() for _ in range(2)] == [b"hello"] * 2
    assert server.connections == 1


# Faults before the headers


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def test_a_refused_connection_is_unreachable(transport):
    assert fault_of(post, transport, f"http://127.0.0.1:{unused_port()}/").kind is FaultKind.UNREACHABLE


def test_a_name_that_does_not_resolve_is_unreachable(transport):
    assert fault_of(post, transport, "http://nowhere.invalid/").kind is FaultKind.UNREACHABLE


def test_a_broken_url_is_unreachable(transport):
    assert fault_of(post, transport, "http://[nowhere/").kind is FaultKind.UNREACHABLE


def test_a_server_that_does_not_speak_tls_is_unreachable(serve, transport):
    server = serve(lambda _, peer: peer.send(answer()))

    assert fault_of(post, transport, server.url.replace("http:", "https:")).kind is FaultKind.UNREACHABLE


def test_a_connection_that_does_not_come_about_times_out(transport):
    """A listener whose queue is full takes no more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        try:
            for _ in range(3):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(address)
            fault = fault_of(post, transport, f"http://127.0.0.1:{address[1]}/", connect_timeout=0.2)
        finally:
            for each in waiting:
                each.close()

    assert (fault.kind, fault.message) == (FaultKind.TIMEOUT, "No connection to SAP AI Core came about in time.")


def test_a_server_that_says_nothing_times_out(serve, transport):
    server = serve(lambda _, peer: (peer.request(), peer.left()))

    assert fault_of(post, transport, server.url, read_timeout=0.2).kind is FaultKind.TIMEOUT


@pytest.mark.parametrize(
    "last_words",
    [b"", b"HTTP/1.1 2", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"X" * 70_000],
)
def test_an_answer_that_is_none_is_unreachable_and_sent_once(serve, transport, last_words):
    server = serve(answering(last_words))

    assert fault_of(post, transport, server.url).kind is FaultKind.UNREACHABLE
    assert len(server.requests) == 1


def test_a_reset_before_the_answer_is_unreachable_and_a_post_is_not_repeated(serve, transport):
    def script(server, peer):
        server.requests.append(peer.request())
        peer.reset()

    server = serve(script)

    assert fault_of(post, transport, server.url).kind is FaultKind.UNREACHABLE
    assert len(server.requests) == 1


def test_a_get_is_repeated_once_when_its_connection_breaks(serve, transport):
    server = serve(answering(b""), forever(answer()))

    assert transport.get(server.url, {}).read() == b"hello"
    assert len(server.requests) == 2


def test_a_get_is_repeated_only_once_and_not_after_a_time_out(serve, transport):
    broken = serve(answering(b""))
    silent = serve(lambda server, peer: (server.requests.append(peer.request()), peer.left()))

    assert fault_of(transport.get, broken.url, {}).kind is FaultKind.UNREACHABLE
    assert fault_of(transport.get, silent.url, {}, 0.2).kind is FaultKind.TIMEOUT
    assert (len(broken.requests), len(silent.requests)) == (2, 1)


def test_a_kept_connection_that_was_closed_is_not_used(serve, transport):
    server = serve(answering(answer()), forever(answer(b"again")))
    post(transport, server.url).read()
    time.sleep(0.1)

    assert post(transport, server.url).read() == b"again"


def test_no_fault_names_the_host_or_the_token(transport):
    port = unused_port()
    with pytest.raises(FaultError) as caught:
        post(transport, f"http://127.0.0.1:{port}/secret-path")

    shown = f"{caught.value!r}{caught.value}{caught.value.__cause__}"
    assert caught.value.__suppress_context__
    assert not any(word in shown for word in ("127.0.0.1", str(port), "secret-path", "hunter2"))


# Tokens


def key(url, proof=None):
    return ServiceKey("sb-1!b2|aicore!b540", proof or Secret("a$b=+"), f"{url}/oauth/token", f"{url}/v2")


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def fetcher(pauses):
    with closing(Transport(wait=pauses.append)) as transport:
        yield transport.fetch_token


def test_a_token_is_asked_for_as_saps_own_client_asks(serve, fetcher):
    server = serve(forever(answer(TOKEN)))

    token = fetcher(key(server.url))

    [(method, path, headers, body)] = server.requests
    assert token == Token("eyJ0", 43199.0)
    assert (method, path) == ("POST", "/oauth/token")
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in headers
    assert body == b"grant_type=client_credentials&client_id=sb-1%21b2%7Caicore%21b540&client_secret=a%24b%3D%2B"


def test_a_token_without_a_lifetime_is_taken_to_last_an_hour(serve, fetcher):
    assert fetcher(key(serve(forever(answer(b'{"access_token":"x"}'))).url)) == Token("x", 3600.0)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"access_token":""}', b'{"access_token":7}'])
def test_an_answer_without_a_token_is_a_fault(serve, fetcher, body):
    assert fault_of(fetcher, key(serve(forever(answer(body))).url)).kind is FaultKind.SERVER_ERROR


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (b"500 Error", b"", [0.3, 0.9]),
        (b"502 Error", b"", [0.3, 0.6]),
        (b"503 Error", b"", [0.3, 0.9]),
        (b"504 Error", b"", [0.3, 0.6]),
        (b"408 Error", b"", [0.3, 0.6]),
        (b"429 Error", b"", [1.0, 1.0]),
        (b"429 Error", b"Retry-After: 4\r\n", [4.0, 4.0]),
        (b"429 Error", b"Retry-After: soon\r\n", [1.0, 1.0]),
    ],
)
def test_a_token_service_that_stumbles_is_asked_three_times(serve, fetcher, pauses, status, headers, expected):
    server = serve(forever(answer(b"", status, headers)))

    fault = fault_of(fetcher, key(server.url))

    assert pauses == pytest.approx(expected)
    assert len(server.requests) == 3
    assert fault.kind is (FaultKind.OVERLOADED if status.startswith(b"429") else FaultKind.SERVER_ERROR)


def test_a_token_service_that_recovers_is_forgiven(serve, fetcher, pauses):
    server = serve(answering(answer(b"", b"503 Error")), answering(b""), forever(answer(TOKEN)))

    assert fetcher(key(server.url)).value == "eyJ0"
    assert pauses == pytest.approx([0.3, 0.6])


def test_an_unreachable_token_service_is_tried_three_times(fetcher, pauses):
    fault = fault_of(fetcher, key(f"http://127.0.0.1:{unused_port()}"))

    assert (fault.kind, pauses) == (FaultKind.UNREACHABLE, pytest.approx([0.3, 0.6]))


@pytest.mark.parametrize("status", [b"400 Bad", b"401 Unauthorized", b"403 Forbidden", b"404 Not"])
def test_a_refused_key_is_not_tried_again(serve, fetcher, pauses, status):
    server = serve(forever(answer(b'{"error":"unauthorized"}', status)))

    fault = fault_of(fetcher, key(server.url))

    assert (fault.kind, fault.status, len(server.requests), pauses) == (
        FaultKind.REFUSED_CREDENTIALS, int(status[:3]), 1, [],
    )  # fmt: skip


def test_a_redirect_of_the_token_service_is_not_followed(serve, fetcher):
    other = serve(forever(answer(TOKEN)))
    server = serve(forever(answer(b"", b"307 Temporary", b"Location: %s/\r\n" % other.url.encode())))

    assert fault_of(fetcher, key(server.url)).kind is FaultKind.SERVER_ERROR
    assert other.requests == []


def test_a_pause_that_is_too_long_is_passed_on(serve, fetcher, pauses):
    server = serve(forever(answer(b"", b"429 Error", b"Retry-After: 60\r\n")))

    fault = fault_of(fetcher, key(server.url))

    assert (fault.kind, fault.retry_after, pauses) == (FaultKind.OVERLOADED, 60.0, [])


# Certificates


def certificate(folder, name, issuer=None):
    """Make a key and a certificate for 127.0.0.1, signed by *issuer* or by itself."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0] if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer[1] if issuer else private).public_key()),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, issuer is None, issuer is None, False, False), critical=True
        )
        .sign(issuer[1] if issuer else private, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return subject, private, *files


@pytest.fixture
def authority(tmp_path):
    return certificate(tmp_path, "authority")


@pytest.fixture
def tls_server(serve, tmp_path, authority):
    """A token service that lets nobody in without a certificate of the authority."""
    _, _, cert, private = certificate(tmp_path, "server", authority[:2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, private)
    context.load_verify_locations(authority[2])
    context.verify_mode = ssl.CERT_REQUIRED
    return serve(forever(answer(TOKEN)), context=context)


@pytest.mark.parametrize("given_as", ["text", "files"])
def test_a_certificate_gets_a_token_without_a_secret(tls_server, tmp_path, authority, monkeypatch, given_as):
    _, _, cert, private = certificate(tmp_path, "client", authority[:2])
    text = CertificateText(cert.read_text(), Secret(private.read_text()))
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))

    with closing(Transport(ca_bundle=Path(authority[2]))) as transport:
        token = transport.fetch_token(
            key(tls_server.url, text if given_as == "text" else CertificateFiles(cert, private))
        )

    assert token.value == "eyJ0"
    assert parse_qs(tls_server.requests[0][3].decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["sb-1!b2|aicore!b540"],
    }
    assert list(folder.iterdir()) == []


def test_certificate_files_are_private_while_they_exist(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ExitStack() as owned:
        files = _certificate(key("https://x", CertificateText("c\n", Secret("k\n"))), owned)
        modes = [oct(Path(name).stat().st_mode & 0o777) for name in files]
        folder = oct(Path(files[0]).parent.stat().st_mode & 0o777)
        texts = [Path(name).read_text() for name in files]

    assert (modes, folder, texts) == (["0o600", "0o600"], "0o700", ["c\n", "k\n"])
    assert list(tmp_path.iterdir()) == []


def test_without_the_certificate_there_is_no_token(tls_server, authority):
    with closing(Transport(ca_bundle=Path(authority[2]), wait=lambda _: None)) as transport:
        fault = fault_of(transport.fetch_token, key(tls_server.url))

    assert fault.kind in {FaultKind.UNREACHABLE, FaultKind.STREAM_BROKEN}


def test_a_server_whose_certificate_nobody_vouches_for_is_unreachable(tls_server, transport):
    assert fault_of(post, transport, tls_server.url).kind is FaultKind.UNREACHABLE


def test_certificate_files_that_are_gone_are_a_fault_and_no_crash(tls_server, tmp_path, authority):
    gone = CertificateFiles(tmp_path / "a", tmp_path / "b")
    with closing(Transport(ca_bundle=Path(authority[2]), wait=lambda _: None)) as transport:
        fault = fault_of(transport.fetch_token, key(tls_server.url, gone))

    assert fault.kind is FaultKind.UNREACHABLE


def test_closing_cuts_a_pause_short(serve):
    transport = Transport()
    server = serve(forever(answer(b"", b"429 Error", b"Retry-After: 9\r\n")))
    transport.close()
    begin = time.monotonic()

    fault_of(transport.fetch_token, key(server.url))

    assert time.monotonic() - begin < 2.0
