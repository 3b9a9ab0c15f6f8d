"""Whom TLS trusts, by each of the clients, on real sockets that never block and on such as do."""

from contextlib import closing

import pytest

from dialects.core.faults import FaultError
from gateway.config.network import Network, Trust
from gateway.upstream.management import ManagementClient
from gateway.upstream.trust import TrustStore
from gateway.upstream.unreachable import Reason
from tests.gateway.peers import answer, forever
from tests.support.certificates import certificate

PATIENCE = 30.0


@pytest.fixture(params=["management", "inference"])
def ask(request, transport_of, lifetime):
    """Asks a server by one of the clients; gives its answer, or why there is none."""

    def ask(url, trust):
        try:
            if request.param == "management":
                with closing(ManagementClient(network=Network(trust=trust))) as client:
                    return client.get(url, {}).body
            call = transport_of(network=Network(trust=trust)).begin("POST", url, {}, b"{}", connect_timeout=PATIENCE)
            call.head(lifetime, PATIENCE)
            return call.read(lifetime, PATIENCE)
        except FaultError as error:
            return error.fault.cause.reason

    return ask


def test_the_operating_system_is_trusted_where_the_settings_say_so(serve, ask, tls, authority, tmp_path, monkeypatch):
    """OpenSSL takes for the system's authorities what SSL_CERT_FILE names."""
    server = serve(forever(answer()), context=tls)
    other = certificate(tmp_path, "other")
    said = []
    for file in (authority.file, other.file):
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        said.append(ask(server.url, Trust("system")))
    said.append(ask(server.url, Trust("system", (authority.file,))))

    assert said == [b"hello", Reason.UNTRUSTED, b"hello"]


def test_the_system_is_not_trusted_with_another_host(serve, ask, tmp_path, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    elsewhere = certificate(tmp_path, "server", authority, addresses=("127.0.0.9",)).server_context()

    assert ask(serve(forever(answer()), context=elsewhere).url, Trust("system")) is Reason.OTHER_HOST


def test_an_authority_that_is_lax_is_refused_where_the_settings_are_strict(serve, ask, tmp_path):
    """That is told apart from an authority that nobody trusts."""
    lax = certificate(tmp_path, "lax", strict=False)
    context = certificate(tmp_path, "server", lax, strict=False).server_context()
    server = serve(forever(answer()), context=context)
    said = [ask(server.url, Trust(None, (lax.file,), strict=strict)) for strict in (True, False)]

    assert said == [Reason.NOT_STRICT, b"hello"]


def test_several_files_and_certifi_beside_them_are_trusted(serve, ask, tls, authority, tmp_path):
    server = serve(forever(answer()), context=tls)
    other = certificate(tmp_path, "other").file
    said = [
        ask(server.url, trust)
        for trust in (Trust(None, (other, authority.file)), Trust("certifi", (authority.file,)), Trust("certifi"))
    ]

    assert said == [b"hello", b"hello", Reason.UNTRUSTED]


def test_whom_requests_trusts_by_itself_is_not_trusted(serve, ask, tls, authority, tmp_path, monkeypatch):
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(authority.file))
    other = certificate(tmp_path, "other").file

    assert ask(serve(forever(answer()), context=tls).url, Trust(None, (other,))) is Reason.UNTRUSTED


def test_a_folder_of_certificates_is_trusted_for_what_it_holds(serve, ask, tls, authority, tmp_path):
    """OpenSSL finds them by a hash in the name of the file; in an empty folder it finds nobody."""
    server = serve(forever(answer()), context=tls)
    (tmp_path / "empty").mkdir()

    assert ask(server.url, Trust(None, (tmp_path / "empty", authority.file))) == b"hello"
    assert ask(server.url, Trust(None, (tmp_path / "empty",))) is Reason.UNTRUSTED


def test_what_is_trusted_is_read_once(authority):
    store = TrustStore(Trust(None, (authority.file,)))
    first = store.context()
    authority.file.unlink()

    assert store.context() is first
    with pytest.raises(OSError, match=r"upstream\.ca_bundle"):
        store.new_context()
