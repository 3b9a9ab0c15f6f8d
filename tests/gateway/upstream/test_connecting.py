"""How connections come about: names, addresses, TLS, proxies, and what may be in their way."""

import base64
import errno
import resource
import socket
import ssl
import threading
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace

import pytest

from dialects.core.faults import FaultKind
from gateway.upstream import connection
from gateway.upstream.steps import StillPending
from gateway.upstream.unreachable import Reason
from tests.gateway.peers import answer, fault_of, forever
from tests.support.certificates import certificate
from tests.support.networks import through, trusting
from tests.support.processes import free_port

PATIENCE = 30.0
OUT = "The proxy has run out of file descriptors; try again in a moment."


def read(call, lifetime):
    call.head(lifetime, PATIENCE)
    return call.read(lifetime, PATIENCE)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Names:
    """Looks names up, when it is told to."""

    def __init__(self, *addresses):
        self.addresses = list(addresses)
        self.asked = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, host, port):
        self.asked.append((host, port))
        assert self.gate.wait(PATIENCE)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return self.addresses


@contextmanager
def full_listener(host="127.0.0.1"):
    """A listener whose queue is full: connecting to it does not come about."""
    with socket.socket() as listener, ExitStack() as owned:
        listener.bind((host, 0))
        listener.listen(0)
        owned.enter_context(socket.create_connection(listener.getsockname(), PATIENCE))
        for _ in range(2):
            waiting = owned.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


# Names


def test_a_name_is_looked_up_once_for_all_who_need_it_at_the_same_time(serve, transport_of, begin, lifetime):
    server = serve(forever(answer()))
    names = Names("127.0.0.1")
    names.gate.clear()
    transport = transport_of(resolve=names)
    calls = [begin(f"http://aicore.test:{server.port}", by=transport) for _ in range(5)]
    for call in calls:
        with pytest.raises(StillPending):
            call.head(lifetime, 0.0)
    names.gate.set()

    assert [read(call, lifetime) for call in calls] == [b"hello"] * 5
    assert names.asked == [("aicore.test", server.port)]
    assert server.requests[0][2]["host"] == f"aicore.test:{server.port}"


def test_what_a_name_stands_for_is_remembered_for_half_a_minute(serve, transport_of, begin, lifetime):
    server = serve(forever(answer(headers=b"Connection: close\r\n")))
    names, clock = Names("127.0.0.1"), Clock()
    transport = transport_of(resolve=names, clock=clock)
    url = f"http://aicore.test:{server.port}"

    asked = []
    for seconds in (0.0, 29.9, 0.2):
        clock.now += seconds
        read(begin(url, by=transport), lifetime)
        asked.append(len(names.asked))

    assert asked == [1, 1, 2]


def test_a_name_that_stands_for_nothing_is_unreachable_and_asked_for_again(serve, transport_of, begin, lifetime):
    server = serve(forever(answer()))
    names = Names()
    transport = transport_of(resolve=names)
    url = f"http://aicore.test:{server.port}"

    assert FaultKind.UNREACHABLE is fault_of(begin(url, by=transport).head, lifetime, PATIENCE).kind
    names.addresses = ["127.0.0.1"]
    assert read(begin(url, by=transport), lifetime) == b"hello"


def test_a_name_without_addresses_is_unreachable(transport_of, begin, lifetime):
    call = begin("http://aicore.test/", by=transport_of(resolve=lambda *_: []))

    assert FaultKind.UNREACHABLE is fault_of(call.head, lifetime, PATIENCE).kind


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".invalid", "ä..de"])
def test_a_name_that_is_none_is_unreachable(begin, lifetime, host):
    """The system is asked, which may wait for servers of names that do not answer."""

    def ask():
        begin(f"http://{host}/", connect_timeout=3 * PATIENCE).head(lifetime, 4 * PATIENCE)

    assert FaultKind.UNREACHABLE is fault_of(ask).kind


def test_looking_up_takes_no_longer_than_connecting_may(transport_of, begin, lifetime):
    names = Names("127.0.0.1")
    names.gate.clear()
    fault = fault_of(
        begin("http://aicore.test/", by=transport_of(resolve=names), connect_timeout=0.05).head, lifetime, PATIENCE
    )
    names.gate.set()

    assert (fault.kind, fault.message) == (FaultKind.TIMEOUT, "The connection to SAP AI Core timed out.")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_an_address_needs_no_looking_up(transport_of, begin, lifetime, host):
    transport = transport_of(resolve=Names())
    family = socket.AF_INET6 if host == "[::1]" else socket.AF_INET
    with socket.create_server((host.strip("[]"), 0), family=family) as listener:
        listener.settimeout(PATIENCE)
        call = begin(f"http://{host}:{listener.getsockname()[1]}/", by=transport)
        with pytest.raises(StillPending):
            call.head(lifetime, 0.0)
        near, _ = listener.accept()
        with near:
            with pytest.raises(StillPending):
                call.head(lifetime, 0.0)
            assert near.recv(9999).startswith(b"POST / HTTP/1.1\r\nHost: " + host.encode())


# Addresses


def test_addresses_are_tried_in_their_order(serve, transport_of, begin, lifetime):
    server = serve(forever(answer()))
    names = Names("127.0.0.2", "127.0.0.1")

    assert read(begin(f"http://aicore.test:{server.port}", by=transport_of(resolve=names)), lifetime) == b"hello"


def test_an_address_that_does_not_answer_gives_way_to_the_next(transport_of, begin, lifetime):
    with full_listener("127.0.0.2") as port, socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(PATIENCE)
        call = begin(
            f"http://aicore.test:{port}", by=transport_of(resolve=Names("127.0.0.2", "127.0.0.1")), connect_timeout=0.1
        )
        with pytest.raises(StillPending):
            call.head(lifetime, 0.3)
        near, _ = listener.accept()
        with near:
            near.sendall(answer())
            assert read(call, lifetime) == b"hello"


def test_a_connection_that_does_not_come_about_times_out(begin, lifetime):
    with full_listener() as port:
        fault = fault_of(begin(f"http://127.0.0.1:{port}/", connect_timeout=0.1).head, lifetime, PATIENCE)

    assert (fault.kind, fault.message) == (FaultKind.TIMEOUT, "The connection to SAP AI Core timed out.")


# TLS


def test_an_answer_comes_over_tls(serve, transport_of, begin, lifetime, tls, authority):
    server = serve(forever(answer(b"x" * 1_000_000)), context=tls)
    transport = transport_of(network=trusting(authority.file))

    for _ in range(3):
        assert read(begin(server.url, b"y" * 1_000_000, by=transport), lifetime) == b"x" * 1_000_000
    assert server.connections == 1
    assert [len(request[3]) for request in server.requests] == [1_000_000] * 3


def test_a_name_is_named_in_the_handshake_and_looked_for_in_the_certificate(
    serve, transport_of, begin, lifetime, tls, authority
):
    named = []
    tls.sni_callback = lambda _, name, __: named.append(name)
    server = serve(forever(answer()), context=tls)
    transport = transport_of(network=trusting(authority.file), resolve=Names("127.0.0.1"))

    assert read(begin(f"https://localhost:{server.port}", by=transport), lifetime) == b"hello"
    fault = fault_of(begin(f"https://other.test:{server.port}", by=transport).head, lifetime, PATIENCE)
    assert (named, fault.kind) == (["localhost", "other.test"], FaultKind.UNREACHABLE)
    assert len(server.requests) == 1


def test_a_server_whose_certificate_nobody_vouches_for_is_unreachable(serve, transport, begin, lifetime, tls):
    server = serve(forever(answer()), context=tls)

    assert FaultKind.UNREACHABLE is fault_of(begin(server.url).head, lifetime, PATIENCE).kind
    assert server.requests == []


def test_another_authority_is_no_better(serve, transport_of, begin, lifetime, tls, tmp_path):
    server = serve(forever(answer()), context=tls)
    transport = transport_of(network=trusting(certificate(tmp_path, "other").file))

    assert FaultKind.UNREACHABLE is fault_of(begin(server.url, by=transport).head, lifetime, PATIENCE).kind


def test_a_file_of_certificates_that_is_gone_is_a_fault_and_no_crash(
    serve, transport_of, begin, lifetime, tls, tmp_path
):
    server = serve(forever(answer()), context=tls)
    fault = fault_of(
        begin(server.url, by=transport_of(network=trusting(tmp_path / "gone.pem"))).head, lifetime, PATIENCE
    )

    assert (fault.kind, fault.cause.reason) == (FaultKind.UNREACHABLE, Reason.TRUST_UNUSABLE)


def test_a_handshake_takes_no_longer_than_connecting_may(serve, begin, lifetime):
    left = threading.Event()
    server = serve(lambda _, peer: (peer.sock.recv(9999), peer.left() and left.set()))
    call = begin(server.url.replace("http:", "https:"), connect_timeout=0.1)

    assert FaultKind.TIMEOUT is fault_of(call.head, lifetime, PATIENCE).kind
    assert left.wait(PATIENCE)


def test_bytes_that_tls_has_decoded_already_are_not_waited_for(
    serve, transport_of, begin, lifetime, tls, authority, monkeypatch
):
    """The whole body is one record, larger than what is read at once, and nothing follows it."""
    monkeypatch.setattr(connection, "READ_SIZE", 100)

    def script(_, peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 16000\r\n\r\n")
        peer.send(b"x" * 15_000)
        peer.left()

    call = begin(serve(script, context=tls).url, by=transport_of(network=trusting(authority.file)))
    call.head(lifetime, PATIENCE)
    pieces = [call.take(lifetime, PATIENCE)]
    with pytest.raises(StillPending):
        pieces.append(call.take(lifetime, 0.0))

    assert pieces == [b"x" * 15_000]


def test_a_kept_connection_that_was_closed_is_not_used_over_tls_either(
    serve, transport_of, begin, lifetime, tls, authority
):
    closed = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(answer())
        peer.sock.setblocking(False)
        with suppress(ssl.SSLWantReadError):
            peer.sock.unwrap()
        closed.set()
        peer.left()

    server = serve(script, forever(answer(b"fresh")), context=tls)
    transport = transport_of(network=trusting(authority.file))
    read(begin(server.url, by=transport), lifetime)
    assert closed.wait(PATIENCE)

    assert read(begin(server.url, by=transport), lifetime) == b"fresh"


# Proxies


def relaying(port, said=b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"):
    """A script that connects whoever asks to *port* on this machine, whatever it has *said*."""

    def script(server, peer):
        server.requests.append(peer.request())
        with socket.create_connection(("127.0.0.1", port)) as there:
            peer.send(said)
            back = threading.Thread(target=pass_on, args=(there, peer.sock), daemon=True)
            back.start()
            pass_on(peer.sock, there)

    return script


def pass_on(source, sink):
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def test_a_proxy_is_told_the_whole_url_and_who_asks(serve, transport_of, begin, lifetime):
    proxy = serve(forever(answer(b"by proxy")))
    url = proxy.url.replace("//", "//user:p%40ss@")

    assert read(begin("http://aicore.invalid/x", by=transport_of(network=through(url))), lifetime) == b"by proxy"
    [(_, path, headers, _)] = proxy.requests
    assert (path, headers["host"]) == ("http://aicore.invalid/x", "aicore.invalid")
    assert headers["proxy-authorization"] == f"Basic {base64.b64encode(b'user:p@ss').decode()}"


def test_tls_goes_through_a_tunnel_of_which_the_server_hears_nothing(
    serve, transport_of, begin, lifetime, tls, authority
):
    server = serve(forever(answer()), context=tls)
    proxy = serve(relaying(server.port))
    url = proxy.url.replace("//", "//user:pass@")
    transport = transport_of(network=through(url, authority.file))

    for _ in range(2):
        assert read(begin(f"https://localhost:{server.port}/x", by=transport), lifetime) == b"hello"
    [(method, path, headers, _)] = proxy.requests
    assert (method, path) == ("CONNECT", f"localhost:{server.port}")
    assert headers["proxy-authorization"] == f"Basic {base64.b64encode(b'user:pass').decode()}"
    assert [(each[1], "proxy-authorization" in each[2]) for each in server.requests] == [("/x", False)] * 2


@pytest.mark.parametrize(
    "refusal",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\n\r\nmore than asked for",
        b"X" * 40_000,
    ],
    ids=lambda refusal: refusal[:20].decode(),
)
def test_nothing_goes_through_a_proxy_that_refuses(serve, transport_of, begin, lifetime, tls, authority, refusal):
    """Not even if the tunnel stands all the same."""
    server = serve(forever(answer()), context=tls)
    proxy = serve(relaying(server.port, refusal))
    transport = transport_of(network=through(proxy.url, authority.file))

    assert (
        FaultKind.UNREACHABLE
        is fault_of(begin(f"https://localhost:{server.port}/", by=transport).head, lifetime, PATIENCE).kind
    )
    assert server.requests == []


def test_a_proxy_that_breaks_off_is_unreachable(serve, transport_of, begin, lifetime):
    proxy = serve(lambda _, peer: (peer.request(), peer.send(b"HTTP/1.1 200")))
    call = begin("https://aicore.invalid/x", by=transport_of(network=through(proxy.url)))

    assert FaultKind.UNREACHABLE is fault_of(call.head, lifetime, PATIENCE).kind


def test_a_proxy_that_says_nothing_times_out(serve, transport_of, begin, lifetime):
    proxy = serve(lambda _, peer: (peer.request(), peer.left()))
    call = begin("https://aicore.invalid/x", by=transport_of(network=through(proxy.url)), connect_timeout=0.1)

    assert FaultKind.TIMEOUT is fault_of(call.head, lifetime, PATIENCE).kind


def test_a_proxy_that_is_spoken_to_over_tls_is_not_used(transport_of, begin):
    fault = fault_of(begin, "https://aicore.invalid/", by=transport_of(network=through("https://127.0.0.1:1")))

    assert FaultKind.UNREACHABLE is fault.kind


# Descriptors


@contextmanager
def no_more_descriptors():
    """Within, the process may open no more files; what other threads close meanwhile has numbers beyond the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as owned:
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, hard))
        owned.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        try:
            while True:
                owned.enter_context(socket.socket())
        except OSError as error:
            assert error.errno == errno.EMFILE  # noqa: PT017 - what is raised is the way out of the loop
        yield


@pytest.mark.parametrize("host", ["127.0.0.1", "aicore.test"])
def test_running_out_of_descriptors_is_no_endpoints_fault(transport_of, begin, lifetime, host):
    """Neither for a socket nor for looking up a name."""
    call = begin(f"http://{host}:{free_port()}/", by=transport_of(resolve=Names("127.0.0.1", "127.0.0.2")))
    with no_more_descriptors():
        fault = fault_of(call.head, lifetime, PATIENCE)

    assert (fault.kind, fault.message, fault.retry_after) == (FaultKind.UNAVAILABLE, OUT, 1.0)


def test_no_other_address_is_tried_without_descriptors(transport_of, begin, lifetime, monkeypatch):
    port, tried = free_port(), []
    transport = transport_of(resolve=Names("127.0.0.1", "127.0.0.2"))
    fault_of(begin(f"http://aicore.test:{port}/", by=transport).head, lifetime, PATIENCE)
    call = begin(f"http://aicore.test:{port}/", by=transport)

    def opened(*kind):
        tried.append(kind)
        return socket.socket(*kind)

    monkeypatch.setattr(connection, "socket", SimpleNamespace(**{**vars(socket), "socket": opened}))
    with no_more_descriptors():
        fault = fault_of(call.head, lifetime, PATIENCE)

    assert (fault.kind, tried) == (FaultKind.UNAVAILABLE, [(socket.AF_INET, socket.SOCK_STREAM)])
