"""What several tests of the gateway begin with."""

from contextlib import closing

import pytest

from gateway.transport import Transport
from tests.gateway.peers import Server


@pytest.fixture
def serve():
    """Starts servers that follow scripts, and closes them with the test."""
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
