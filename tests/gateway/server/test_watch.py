"""Descriptors that are waited for: asked of Linux directly, and elsewhere as the platform has it."""

import socket
from collections.abc import Iterator

import pytest

from gateway.server.watch import READABLE, WRITABLE, Watch
from tests.gateway.server.streams import POLLS


@pytest.fixture(params=POLLS)
def watch(request: pytest.FixtureRequest) -> Iterator[Watch]:
    watch = Watch(POLLS[request.param]())
    yield watch
    watch.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    pair = socket.socketpair()
    yield pair
    for each in pair:
        each.close()


def nothing() -> None:
    """A step."""


def other() -> None:
    """Another step."""


def test_the_step_of_what_is_ready_is_given_until_it_is_removed(
    watch: Watch, pair: tuple[socket.socket, socket.socket]
) -> None:
    one, peer = pair
    watch.add(one.fileno(), READABLE, nothing)
    watch.add(peer.fileno(), WRITABLE, other)
    before = watch.ready(0)
    peer.send(b"word")
    watch.remove(peer.fileno())

    assert (before, watch.ready(0), watch.ready(None), len(watch)) == ([other], [nothing], [nothing], 1)


def test_what_was_closed_can_be_removed_and_nothing_else_under_its_number_is_watched_before(watch: Watch) -> None:
    one, peer = socket.socketpair()
    with peer:
        number = one.fileno()
        watch.add(number, READABLE, nothing)
        one.close()
        again, its_peer = socket.socketpair()
        with again, its_peer:
            assert again.fileno() == number
            with pytest.raises(ValueError, match="watched already"):
                watch.add(number, READABLE, other)
            watch.remove(number)
            watch.add(number, READABLE, other)
            its_peer.send(b"word")

            assert watch.ready(0) == [other]
