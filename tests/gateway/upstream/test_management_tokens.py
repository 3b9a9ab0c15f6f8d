"""Tokens off real sockets, with a secret or with a certificate."""

import ssl
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from dialects.core.faults import FaultKind
from gateway.config.service_keys import CertificateFiles, CertificateText, Secret, ServiceKey
from gateway.upstream.management import ManagementClient, _certificate
from gateway.upstream.tokens import Token
from gateway.upstream.unreachable import Reason
from tests.gateway.peers import answer, answering, fault_of, forever
from tests.support.certificates import certificate
from tests.support.networks import trusting
from tests.support.processes import free_port

PATIENCE = 30.0
TOKEN = b'{"access_token":"eyJ0","token_type":"bearer","expires_in":43199}'


def key(url, proof=None):
    return ServiceKey("sb-1!b2|aicore!b540", proof or Secret("a$b=+"), f"{url}/oauth/token", f"{url}/v2")


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def fetcher(pauses):
    with closing(ManagementClient(wait=pauses.append)) as transport:
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


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("43199", 43199.0), ('"43199"', 43199.0), ("0.5", 0.5),
        ("0", 3600.0), ("-1", 3600.0), ("null", 3600.0), ("true", 3600.0), ('"soon"', 3600.0), ('"NaN"', 3600.0),
        ('"inf"', 3600.0), ("[]", 3600.0), ("1e308", 1e308), ('"1e999"', 3600.0),
    ],
)  # fmt: skip
def test_a_lifetime_is_read_as_far_as_it_makes_sense_and_else_taken_to_be_an_hour(serve, fetcher, said, seconds):
    body = b'{"access_token":"x","expires_in":%s}' % said.encode()

    assert fetcher(key(serve(forever(answer(body))).url)) == Token("x", seconds)


NOT_JSON = "sent a response that is not a JSON object: the token URL in the service key may be wrong."
UNSENDABLE = "sent a token with a character that an HTTP header cannot have."


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", NOT_JSON),
        (b"<html>", NOT_JSON),
        (b"[]", NOT_JSON),
        (b'{"access_token":"x","expires_in":NaN}', NOT_JSON),
        (b"{}", "sent a response without a token."),
        (b'{"error":"hunter2"}', "sent a response without a token."),
        (b'{"access_token":""}', "sent an access_token that is empty or not a string."),
        (b'{"access_token":7}', "sent an access_token that is empty or not a string."),
        (b'{"access_token":"x\\ny"}', UNSENDABLE),
        (b'{"access_token":"x y"}', UNSENDABLE),
        ('{"access_token":"tökén"}'.encode(), UNSENDABLE),
    ],
)
def test_an_answer_without_a_token_that_can_be_used_is_a_fault_that_says_so(serve, fetcher, body, said):
    server = serve(forever(answer(body)))
    fault = fault_of(fetcher, key(server.url))

    assert (fault.kind, fault.message) == (FaultKind.SERVER_ERROR, f"SAP AI Core's token service {said}")
    assert len(server.requests) == 1


def test_a_token_service_that_is_silent_is_asked_once_and_named(serve, pauses):
    server = serve(lambda server, peer: (server.requests.append(peer.request()), peer.left()))
    with closing(ManagementClient(wait=pauses.append, token_timeouts=(PATIENCE, 0.05))) as client:
        fault = fault_of(client.fetch_token, key(server.url))

    assert (fault.kind, fault.message) == (FaultKind.TIMEOUT, "SAP AI Core's token service did not answer in time.")
    assert (fault.cause.reason, len(server.requests), pauses) == (Reason.SILENT, 1, [])


@pytest.mark.parametrize("url", ["http://[::1", "http://ä..de", "http://127.0.0.1:99999", "ftp://x", "nonsense", ""])
def test_a_url_that_leads_nowhere_is_a_fault(fetcher, url):
    fault = fault_of(fetcher, ServiceKey("id", Secret("hunter2"), url, url))

    assert (fault.kind, fault.message) == (
        FaultKind.UNREACHABLE, "SAP AI Core's token service could not be reached.",
    )  # fmt: skip


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
        (b"429 Error", b"Retry-After: \xb2\r\n", [1.0, 1.0]),
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

    fault = fault_of(fetcher, key(server.url))
    said = "SAP AI Core's token service answered with a redirect, which is not followed."
    assert (fault.kind, fault.message) == (FaultKind.SERVER_ERROR, said)
    assert (other.requests, len(server.requests)) == ([], 1)


@pytest.mark.parametrize(("hint", "seconds"), [(b"60", 60.0), (b"9" * 400, 3600.0)])
def test_a_pause_that_is_too_long_is_passed_on(serve, fetcher, pauses, hint, seconds):
    server = serve(forever(answer(b"", b"429 Error", b"Retry-After: %s\r\n" % hint)))

    fault = fault_of(fetcher, key(server.url))

    assert (fault.kind, fault.retry_after, pauses) == (FaultKind.OVERLOADED, seconds, [])


# Certificates


@pytest.fixture
def tls_server(serve, tls, authority):
    """A token service that lets nobody in without a certificate of the authority."""
    tls.load_verify_locations(authority.file)
    tls.verify_mode = ssl.CERT_REQUIRED
    return serve(forever(answer(TOKEN)), context=tls)


@pytest.mark.parametrize("given_as", ["text", "files"])
def test_a_certificate_gets_a_token_without_a_secret(tls_server, tmp_path, authority, monkeypatch, given_as):
    client = certificate(tmp_path, "client", authority)
    text = CertificateText(client.file.read_text(), Secret(client.key_file.read_text()))
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))

    with closing(ManagementClient(network=trusting(authority.file))) as transport:
        token = transport.fetch_token(
            key(tls_server.url, text if given_as == "text" else CertificateFiles(client.file, client.key_file))
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
    with closing(ManagementClient(network=trusting(authority.file), wait=lambda _: None)) as transport:
        fault = fault_of(transport.fetch_token, key(tls_server.url))

    assert fault.kind in {FaultKind.UNREACHABLE, FaultKind.STREAM_BROKEN}


def test_certificate_files_that_are_gone_are_a_fault_and_no_crash(tls_server, tmp_path, authority):
    gone = CertificateFiles(tmp_path / "a", tmp_path / "b")
    with closing(ManagementClient(network=trusting(authority.file), wait=lambda _: None)) as transport:
        fault = fault_of(transport.fetch_token, key(tls_server.url, gone))

    assert FaultKind.UNREACHABLE is fault.kind


def test_a_certificate_with_a_letter_beyond_ascii_is_unusable_and_no_crash(fetcher):
    fault = fault_of(fetcher, key("https://127.0.0.1:1", CertificateText("c\u2603\n", Secret("k\u2603\n"))))

    assert Reason.CLIENT_CERTIFICATE_UNUSABLE is fault.cause.reason


def test_closing_cuts_a_pause_short(serve):
    transport = ManagementClient()
    server = serve(forever(answer(b"", b"429 Error", b"Retry-After: 9\r\n")))
    transport.close()
    begin = time.monotonic()

    fault_of(transport.fetch_token, key(server.url))

    assert time.monotonic() - begin < 9.0


def test_without_a_folder_for_temporary_files_the_subaccount_has_no_token(monkeypatch, caplog, pauses, fetcher):
    """It is said in the log what to do; the service is not asked, nor asked again."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    fault = fault_of(fetcher, key("http://127.0.0.1:1", CertificateText("c\n", Secret("hunter2\n"))))

    assert (fault.kind, pauses) == (FaultKind.REFUSED_CREDENTIALS, [])
    assert "No such file or directory" in caplog.text
    assert "TMPDIR" in caplog.text
    assert "hunter2" not in caplog.text
    assert "nowhere" not in caplog.text + fault.message
