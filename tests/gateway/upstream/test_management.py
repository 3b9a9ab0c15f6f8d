"""The management API over real sockets."""

import base64
import gzip
import threading
from contextlib import closing
from urllib.parse import unquote

import pytest

from dialects.core.faults import FaultKind
from gateway.upstream.management import ManagementClient
from tests.gateway.peers import CHUNKED, OK, answer, answering, chunk, fault_of, forever
from tests.gateway.upstream.test_connecting import full_listener, no_more_descriptors
from tests.support.networks import through
from tests.support.processes import PATIENCE, free_port, until


class Clock:
    def __init__(self, step=0.0):
        self.now, self.step = 1000.0, step

    def __call__(self):
        self.now += self.step
        return self.now


@pytest.fixture
def client():
    with closing(ManagementClient()) as client:
        yield client


def test_an_answer_is_given_whole(serve, client):
    server = serve(
        forever(answer(gzip.compress(b"[]" * 5000), b"404 Not Found", b"Content-Encoding: gzip\r\nX-A: 1\r\n"))
    )
    got = client.get(server.url + "/v2/lm?a=b", {"Authorization": "Bearer t"})

    assert (got.status, got.headers["x-a"], got.body) == (404, "1", b"[]" * 5000)
    [(method, path, headers, _)] = server.requests
    assert (method, path, headers["authorization"]) == ("GET", "/v2/lm?a=b", "Bearer t")
    assert headers["user-agent"] == "sap-ai-core-llm-proxy"


def test_connections_are_kept_and_cookies_are_not(serve, client):
    server = serve(forever(answer(headers=b"Set-Cookie: tenant=eu; Path=/\r\n")))
    for _ in range(3):
        client.get(server.url, {})

    assert (server.connections, any("cookie" in each[2] for each in server.requests)) == (1, False)


def test_head_tells_the_status_and_keeps_the_connection(serve, client):
    server = serve(forever(b"HTTP/1.1 405 No\r\nContent-Length: 5\r\n\r\n"))

    assert [client.head(server.url, {}) for _ in range(2)] == [405, 405]
    assert server.connections == 1


def test_a_get_is_repeated_once_when_its_connection_breaks(serve, client):
    server = serve(answering(b""), forever(answer()))

    assert client.get(server.url, {}).body == b"hello"
    assert len(server.requests) == 2


def test_a_get_is_repeated_only_once_and_not_after_a_time_out(serve, client):
    broken = serve(answering(b""))
    silent = serve(lambda server, peer: (server.requests.append(peer.request()), peer.left()))

    assert FaultKind.UNREACHABLE is fault_of(client.get, broken.url, {}).kind
    assert FaultKind.TIMEOUT is fault_of(client.get, silent.url, {}, 0.2).kind
    assert until(lambda: silent.requests)
    assert (len(broken.requests), len(silent.requests)) == (2, 1)


def test_a_post_is_sent_once_whatever_becomes_of_it(serve, client):
    well, broken = serve(forever(answer(status=b"202 Accepted"))), serve(answering(b""))
    got = client.post(well.url + "/v2/lm", {"Content-Type": "application/json"}, b'{"a": 1}')

    assert (got.status, got.body) == (202, b"hello")
    [(method, path, headers, body)] = well.requests
    assert (method, path, headers["content-type"], body) == ("POST", "/v2/lm", "application/json", b'{"a": 1}')
    assert fault_of(client.post, broken.url, {}, b"{}").kind is FaultKind.UNREACHABLE
    assert len(broken.requests) == 1


def test_a_connection_that_does_not_come_about_times_out(client):
    with full_listener() as port:
        fault = fault_of(client.get, f"http://127.0.0.1:{port}/", {}, 0.1)

    assert (fault.kind, fault.message) == (FaultKind.TIMEOUT, "The connection to SAP AI Core timed out.")


def test_a_redirect_is_not_followed(serve, client):
    other = serve(forever(answer()))
    server = serve(forever(answer(b"", b"302 Found", b"Location: %s\r\n" % other.url.encode())))

    assert FaultKind.SERVER_ERROR is fault_of(client.get, server.url, {}).kind
    assert other.requests == []


def test_an_answer_that_breaks_off_is_broken(serve, client):
    server = serve(answering(OK + b"Content-Length: 10\r\n\r\nhalf"))

    assert FaultKind.STREAM_BROKEN is fault_of(client.get, server.url, {}).kind


def test_an_answer_that_falls_silent_times_out(serve, client):
    def script(_, peer):
        peer.request()
        peer.send(OK + b"Content-Length: 10\r\n\r\nhalf")
        peer.left()

    assert FaultKind.TIMEOUT is fault_of(client.get, serve(script).url, {}, 0.2).kind


def test_an_answer_that_comes_in_small_pieces_for_ever_is_given_up(serve):
    """Each piece comes in time."""
    left = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(OK + CHUNKED + b"\r\n")
        try:
            for _ in range(100_000):
                peer.send(chunk(b"x"))
        except OSError:
            left.set()

    with closing(ManagementClient(clock=Clock(step=1.0))) as client:
        fault = fault_of(client.get, serve(script).url, {})

    assert FaultKind.TIMEOUT is fault.kind
    assert left.wait(PATIENCE)


def test_an_answer_that_is_too_large_is_given_up(serve, client):
    server = serve(forever(answer(gzip.compress(b"x" * 65 * 1024 * 1024), headers=b"Content-Encoding: gzip\r\n")))

    assert FaultKind.STREAM_BROKEN is fault_of(client.get, server.url, {}).kind


def test_a_refused_connection_is_unreachable_and_names_no_host(client):
    port = free_port()
    fault = fault_of(client.get, f"http://127.0.0.1:{port}/", {})

    assert FaultKind.UNREACHABLE is fault.kind
    assert str(port) not in fault.message


def test_a_proxy_that_is_named_is_used(serve):
    proxy = serve(forever(answer(b"by proxy")))
    with closing(ManagementClient(network=through(proxy.url))) as client:
        assert client.get("http://aicore.invalid/x", {}).body == b"by proxy"

    assert proxy.requests[0][1] == "http://aicore.invalid/x"


@pytest.mark.parametrize("password", ["p%40ss", "p%C3%A4ss%3A", "%E2%82%AC"])
def test_what_a_proxy_is_shown_is_decoded_and_written_in_utf_8(serve, password):
    proxy = serve(forever(answer(b"by proxy")))
    url = proxy.url.replace("//", f"//user%40corp:{password}@")
    with closing(ManagementClient(network=through(url))) as client:
        client.get("http://aicore.invalid/x", {})

    shown = base64.b64encode(f"user@corp:{unquote(password)}".encode()).decode()
    assert proxy.requests[0][2]["proxy-authorization"] == f"Basic {shown}"


def test_a_netrc_and_the_environment_are_not_asked(serve, client, tmp_path, monkeypatch):
    server = serve(forever(answer()))
    (tmp_path / "netrc").write_text("default login me password hunter2\n")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "")

    assert client.get(server.url, {}).body == b"hello"
    assert "authorization" not in server.requests[0][2]


def test_a_header_that_cannot_be_sent_is_a_fault(client):
    fault = fault_of(client.get, "http://127.0.0.1:1/", {"AI-Resource-Group": "группа"})

    assert FaultKind.UNREACHABLE is fault.kind


def test_running_out_of_descriptors_is_nobodys_fault(client):
    port = free_port()
    with no_more_descriptors():
        fault = fault_of(client.get, f"http://127.0.0.1:{port}/", {})

    assert FaultKind.UNAVAILABLE is fault.kind
