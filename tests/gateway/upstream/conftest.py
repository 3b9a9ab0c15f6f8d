"""What tests of the ways out begin with."""

from contextlib import ExitStack, closing

import pytest

from gateway.requests.lifetime import Lifetime
from gateway.upstream.transport import Transport
from tests.support.certificates import certificate

PATIENCE = 30.0


@pytest.fixture
def lifetime():
    """Long enough for any test."""
    return Lifetime(600.0)


@pytest.fixture
def transport_of():
    """Builds transports, and closes them with the test."""
    with ExitStack() as owned:
        yield lambda **options: owned.enter_context(closing(Transport(**options)))


@pytest.fixture
def transport(transport_of):
    return transport_of()


@pytest.fixture
def begin(transport):
    """Begins calls that are closed with the test; what they send is what no fault may show."""
    with ExitStack() as owned:

        def begin(url, body=b"{}", *, by=transport, connect_timeout=PATIENCE, **headers):
            said = {"Authorization": "Bearer hunter2", **headers}
            call = by.begin("POST", url, said, body, connect_timeout=connect_timeout)
            return owned.enter_context(closing(call))

        yield begin


@pytest.fixture
def authority(tmp_path):
    """Who vouches for the servers of a test."""
    return certificate(tmp_path, "authority")


@pytest.fixture
def tls(tmp_path, authority):
    """What a server for 127.0.0.1 and localhost listens with, over TLS."""
    return certificate(tmp_path, "server", authority).server_context()
