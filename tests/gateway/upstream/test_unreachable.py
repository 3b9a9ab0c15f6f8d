"""Why a server is not reached, by each of the two clients, on real sockets."""

import socket
import ssl
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime

import pytest

from dialects.core.faults import FaultError, FaultKind
from gateway.config.network import DIRECT, Network, Trust
from gateway.config.service_keys import CertificateText, Secret, ServiceKey
from gateway.upstream.certificates import issuer_at
from gateway.upstream.management import ManagementClient
from gateway.upstream.unreachable import Reason
from tests.gateway.peers import PATIENCE, Server, answer, forever
from tests.support.certificates import certificate
from tests.support.networks import through, trusting
from tests.support.processes import free_port

PROXY_PASSWORD = answer(b"", b"407 Proxy Authentication Required")
YESTERDAY = datetime(2026, 1, 1, tzinfo=UTC)


def hangs(_, peer):
    """A script that takes a request and never answers."""
    peer.request()
    peer.left()


def plain(_, peer):
    """A script that answers the first byte, whatever it is."""
    peer.sock.recv(1)
    peer.send(answer(status=b"400 Bad Request"))
    peer.left()


@pytest.fixture
def server():
    """Starts servers that end with the test."""
    with ExitStack() as owned:
        yield lambda *scripts, **options: owned.enter_context(closing(Server(*scripts, **options)))


@contextmanager
def full_backlog():
    """A port on which the system takes no connection any more, and refuses none."""
    with ExitStack() as owned:
        listener = owned.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            each = owned.enter_context(closing(socket.socket()))
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture(params=["management", "inference"])
def cause(request, transport_of, lifetime):
    """Gives the fault, and why, of a request by either client."""

    def of(url, *, timeout=PATIENCE, **options):
        with closing(ManagementClient(**options)) as management:
            call = transport_of(**options).begin("POST", url, {}, b"{}", connect_timeout=timeout)
            with pytest.raises(FaultError) as caught:
                management.head(url, {}, timeout) if request.param == "management" else call.head(lifetime, PATIENCE)
        return caught.value.fault, caught.value.fault.cause

    return of


def test_a_host_without_a_name_is_unknown(cause):
    fault, why = cause("https://nowhere.invalid/v2")

    assert (fault.kind, why.reason, why.host) == (FaultKind.UNREACHABLE, Reason.UNKNOWN_HOST, "nowhere.invalid:443")


def test_a_port_at_which_nobody_listens_refuses(cause):
    port = free_port()
    fault, why = cause(f"http://127.0.0.1:{port}")

    assert (fault.kind, why.reason, why.host) == (FaultKind.UNREACHABLE, Reason.REFUSED, f"127.0.0.1:{port}")


def test_a_connection_that_never_comes_about_is_late(cause):
    with full_backlog() as port:
        fault, why = cause(f"http://127.0.0.1:{port}", timeout=0.05)

    assert (fault.kind, why.reason, why.host) == (FaultKind.TIMEOUT, Reason.TIMED_OUT, f"127.0.0.1:{port}")


def test_a_server_that_takes_the_request_and_is_silent_is_told_from_one_that_is_not_there(server):
    there = server(hangs)
    with closing(ManagementClient()) as management, pytest.raises(FaultError) as caught:
        management.head(there.url, {}, 0.05)

    fault = caught.value.fault
    assert (fault.kind, fault.cause.reason) == (FaultKind.TIMEOUT, Reason.SILENT)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({}, Reason.UNTRUSTED),
        ({"ends": YESTERDAY}, Reason.EXPIRED),
        ({"addresses": ("127.0.0.9",)}, Reason.OTHER_HOST),
    ],
    ids=["untrusted", "expired", "other host"],
)
def test_what_is_wrong_with_the_certificate_of_a_server_is_said(cause, server, tmp_path, authority, made, reason):
    network = DIRECT if reason is Reason.UNTRUSTED else trusting(authority.file)
    there = server(forever(answer()), context=certificate(tmp_path, "server", authority, **made).server_context())

    assert cause(there.url, network=network)[1].reason is reason


def test_certificates_to_trust_that_cannot_be_read_are_no_fault_of_the_server(cause, server, tmp_path, tls):
    (tmp_path / "empty.pem").touch()
    there = server(forever(answer()), context=tls)
    why = cause(there.url, network=Network(trust=Trust(None, (tmp_path / "empty.pem",), named_in="SSL_CERT_FILE")))[1]

    assert (why.reason, why.detail) == (Reason.TRUST_UNUSABLE, "SSL_CERT_FILE")


def test_a_server_that_does_not_speak_tls_is_told(cause, server):
    there = server(plain)

    assert cause(there.url.replace("http:", "https:"))[1].reason is Reason.NO_TLS


def test_a_proxy_that_wants_a_password_is_told(cause, server):
    proxy = server(forever(PROXY_PASSWORD))
    why = cause("https://api.example/v2", network=through(proxy.url))[1]

    assert (why.reason, why.host, why.is_proxy) == (Reason.PROXY_PASSWORD, "api.example:443", False)


def test_a_proxy_that_does_not_let_us_through_is_told_with_its_status(cause, server):
    proxy = server(forever(answer(b"", b"403 Forbidden")))
    why = cause("https://api.example/v2", network=through(proxy.url))[1]

    assert (why.reason, why.detail) == (Reason.PROXY_REFUSED, "HTTP 403")


def test_a_proxy_that_is_not_there_is_named_itself(cause):
    port = free_port()
    why = cause("https://api.example/v2", network=through(f"http://user:hunter2@127.0.0.1:{port}"))[1]

    assert (why.reason, why.host, why.is_proxy) == (Reason.REFUSED, f"127.0.0.1:{port}", True)
    assert str(why) == "the connection was refused, of the HTTP proxy that upstream.proxy names"


def test_a_proxy_that_wants_a_password_is_told_where_nothing_is_tunnelled(cause, server):
    proxy = server(forever(PROXY_PASSWORD))
    why = cause("http://api.example/v2", network=through(proxy.url))[1]

    assert (why.reason, why.host, why.proxy_in) == (Reason.PROXY_PASSWORD, "api.example:80", "upstream.proxy")


def test_a_407_that_no_proxy_has_sent_is_an_answer(server):
    there = server(forever(PROXY_PASSWORD))
    with closing(ManagementClient()) as management:
        assert management.head(there.url, {}) == 407


def test_a_password_for_the_proxy_is_asked_for_where_nothing_is_tunnelled(server):
    proxy = server(forever(PROXY_PASSWORD))
    key = ServiceKey("id", Secret("hunter2"), "http://auth.example/oauth/token", "")
    with closing(ManagementClient(network=through(proxy.url))) as management, pytest.raises(FaultError) as caught:
        management.fetch_token(key)

    assert caught.value.fault.cause.reason is Reason.PROXY_PASSWORD
    assert len(proxy.requests) == 1


def test_a_server_that_refuses_the_client_certificate_is_asked_once(server, tmp_path, authority):
    context = certificate(tmp_path, "server", authority).server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in a later one, the refusal may come as a broken connection
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    there = server(forever(answer()), context=context)
    own = certificate(tmp_path, "client", authority, ends=YESTERDAY)
    proof = CertificateText(own.file.read_text(), Secret(own.key_file.read_text()))
    with closing(ManagementClient(network=trusting(authority.file))) as management, pytest.raises(FaultError) as caught:
        management.fetch_token(ServiceKey("id", proof, f"{there.url}/oauth/token", ""))

    cause = caught.value.fault.cause
    assert (cause.reason, cause.detail) == (Reason.CLIENT_CERTIFICATE_REFUSED, "certificate expired")
    assert there.connections == 1


def test_a_client_certificate_that_does_not_belong_to_its_key_is_told(tmp_path, server, tls):
    own, other = certificate(tmp_path, "client"), certificate(tmp_path, "other")
    proof = CertificateText(own.file.read_text(), Secret(other.key_file.read_text()))
    there = server(forever(answer()), context=tls)
    with closing(ManagementClient()) as management, pytest.raises(FaultError) as caught:
        management.fetch_token(ServiceKey("id", proof, f"{there.url}/oauth/token", ""))

    assert caught.value.fault.cause.reason is Reason.CLIENT_CERTIFICATE_UNUSABLE


def test_the_authority_of_a_certificate_that_is_not_trusted_is_named_in_the_log(server, tls):
    there = server(forever(answer()), context=tls)
    with closing(ManagementClient()) as management, pytest.raises(FaultError) as caught:
        management.head(there.url, {})

    said = caught.value.fault.explained
    assert said.startswith("SAP AI Core could not be reached: its certificate, signed by authority, is not trusted (")
    assert "127.0.0.1" not in said


def test_no_caller_is_shown_a_host_and_the_log_is_told_why_without_it(cause):
    fault, _ = cause(f"http://localhost:{free_port()}")

    assert fault.message == "SAP AI Core could not be reached."
    assert "localhost" not in repr(fault)
    assert fault.explained == "SAP AI Core could not be reached: the connection was refused."


def test_the_certificate_of_a_server_that_is_not_trusted_names_its_authority(server, tls):
    there = server(forever(answer()), context=tls)

    assert issuer_at(f"127.0.0.1:{there.port}") == "authority"
    assert issuer_at(f"127.0.0.1:{free_port()}") == ""
