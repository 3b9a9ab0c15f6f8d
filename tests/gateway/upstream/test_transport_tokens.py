"""Tokens off real sockets, with a secret or with a certificate."""

import ssl
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dialects.faults import FaultKind
from gateway.config.service_keys import CertificateFiles, CertificateText, Secret, ServiceKey
from gateway.upstream.tokens import Token
from gateway.upstream.transport import Transport, _certificate
from tests.gateway.peers import answer, answering, fault_of, forever, post
from tests.support.processes import free_port

TOKEN = b'{"access_token":"eyJ0","token_type":"bearer","expires_in":43199}'


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
    assert ("POST", "/oauth/token") == (method, path)
    assert "application/x-www-form-urlencoded" == headers["content-type"]
    assert "authorization" not in headers
    assert b"grant_type=client_credentials&client_id=sb-1%21b2%7Caicore%21b540&client_secret=a%24b%3D%2B" == body


def test_a_token_without_a_lifetime_is_taken_to_last_an_hour(serve, fetcher):
    assert fetcher(key(serve(forever(answer(b'{"access_token":"x"}'))).url)) == Token("x", 3600.0)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"access_token":""}', b'{"access_token":7}'])
def test_an_answer_without_a_token_is_a_fault(serve, fetcher, body):
    assert FaultKind.SERVER_ERROR is fault_of(fetcher, key(serve(forever(answer(body))).url)).kind


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
    assert 3 == len(server.requests)
    assert fault.kind is (FaultKind.OVERLOADED if status.startswith(b"429") else FaultKind.SERVER_ERROR)


def test_a_token_service_that_recovers_is_forgiven(serve, fetcher, pauses):
    server = serve(answering(answer(b"", b"503 Error")), answering(b""), forever(answer(TOKEN)))

    assert "eyJ0" == fetcher(key(server.url)).value
    assert pauses == pytest.approx([0.3, 0.6])


def test_an_unreachable_token_service_is_tried_three_times(fetcher, pauses):
    fault = fault_of(fetcher, key(f"http://127.0.0.1:{free_port()}"))

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

    assert FaultKind.SERVER_ERROR is fault_of(fetcher, key(server.url)).kind
    assert [] == other.requests


def test_a_pause_that_is_too_long_is_passed_on(serve, fetcher, pauses):
    server = serve(forever(answer(b"", b"429 Error", b"Retry-After: 60\r\n")))

    fault = fault_of(fetcher, key(server.url))

    assert (FaultKind.OVERLOADED, 60.0, []) == (fault.kind, fault.retry_after, pauses)


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

    assert "eyJ0" == token.value
    assert {
        "grant_type": ["client_credentials"],
        "client_id": ["sb-1!b2|aicore!b540"],
    } == parse_qs(tls_server.requests[0][3].decode())
    assert [] == list(folder.iterdir())


def test_certificate_files_are_private_while_they_exist(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ExitStack() as owned:
        files = _certificate(key("https://x", CertificateText("c\n", Secret("k\n"))), owned)
        modes = [oct(Path(name).stat().st_mode & 0o777) for name in files]
        folder = oct(Path(files[0]).parent.stat().st_mode & 0o777)
        texts = [Path(name).read_text() for name in files]

    assert (["0o600", "0o600"], "0o700", ["c\n", "k\n"]) == (modes, folder, texts)
    assert [] == list(tmp_path.iterdir())


def test_without_the_certificate_there_is_no_token(tls_server, authority):
    with closing(Transport(ca_bundle=Path(authority[2]), wait=lambda _: None)) as transport:
        fault = fault_of(transport.fetch_token, key(tls_server.url))

    assert fault.kind in {FaultKind.UNREACHABLE, FaultKind.STREAM_BROKEN}


def test_a_server_whose_certificate_nobody_vouches_for_is_unreachable(tls_server, transport):
    assert FaultKind.UNREACHABLE is fault_of(post, transport, tls_server.url).kind


def test_certificate_files_that_are_gone_are_a_fault_and_no_crash(tls_server, tmp_path, authority):
    gone = CertificateFiles(tmp_path / "a", tmp_path / "b")
    with closing(Transport(ca_bundle=Path(authority[2]), wait=lambda _: None)) as transport:
        fault = fault_of(transport.fetch_token, key(tls_server.url, gone))

    assert FaultKind.UNREACHABLE is fault.kind


def test_closing_cuts_a_pause_short(serve):
    transport = Transport()
    server = serve(forever(answer(b"", b"429 Error", b"Retry-After: 9\r\n")))
    transport.close()
    begin = time.monotonic()

    fault_of(transport.fetch_token, key(server.url))

    assert time.monotonic() - begin < 2.0
