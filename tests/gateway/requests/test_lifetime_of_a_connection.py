"""Waiting for the client's own socket, while its departure is watched for."""

import socket
from collections.abc import Iterator

import pytest

from dialects.core.faults import FaultError
from gateway.requests.lifetime import Interest, Lifetime


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def test_a_client_that_can_be_written_to_has_not_left(pair: tuple[socket.socket, socket.socket]) -> None:
    _, server = pair
    lifetime = Lifetime(10.0, client=server)
    interests = (Interest(server, write=True),)

    assert interests == lifetime.wait(interests, 1.0)
    assert interests == lifetime.wait(interests, 1.0)


def test_a_client_that_sends_is_heard(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    lifetime = Lifetime(10.0, client=server)
    interests = (Interest(server),)

    assert lifetime.wait(interests, 0.0) == ()
    client.sendall(b"x")
    assert interests == lifetime.wait(interests, 1.0)


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_a_departure_is_seen_while_the_client_is_waited_for(
    pair: tuple[socket.socket, socket.socket], write: bool
) -> None:
    client, server = pair
    lifetime = Lifetime(10.0, client=server)
    lifetime.wait((Interest(server, write=write),), 0.0)
    client.close()

    with pytest.raises(FaultError, match="closed its connection"):
        lifetime.wait((Interest(server, write=write),), 1.0)


def test_a_departure_is_seen_after_the_client_was_waited_for(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    lifetime = Lifetime(10.0, client=server)
    lifetime.wait((Interest(server, write=True),), 0.0)
    assert lifetime.wait((), 0.0) == ()
    client.close()

    with pytest.raises(FaultError, match="closed its connection"):
        lifetime.wait((), 1.0)
