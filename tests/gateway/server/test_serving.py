"""Addresses and ports to listen on."""

import re
import socket

import pytest

from gateway.server.serving import PortTakenError, UnknownHostError, address_of, ensure_free, listen
from tests.support.processes import free_port


@pytest.mark.parametrize(
    ("host", "address"),
    [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("::1", "::1"), ("::", "::")],
)
def test_a_host_is_known_by_its_address(host: str, address: str) -> None:
    assert address == address_of(host)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64, "not a name", "."])
def test_a_host_that_leads_nowhere_is_told(host: str) -> None:
    with pytest.raises(UnknownHostError, match=f"^cannot listen on {re.escape(host)}: .+"):
        address_of(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_is_free_until_somebody_listens_there(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTakenError, match="Address already in use"):
            ensure_free(host, port)
    ensure_free(host, port)


def test_an_address_that_is_not_this_machines_is_told() -> None:
    with pytest.raises(PortTakenError, match=r"cannot listen on 203\.0\.113\.7:9"):
        ensure_free("203.0.113.7", 9)


def test_a_free_port_is_free() -> None:
    ensure_free("127.0.0.1", free_port())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_who_listens_is_reached_and_has_the_port_alone(host: str) -> None:
    with listen(host, 0) as listener:
        port = listener.getsockname()[1]
        socket.create_connection((host, port), 5).close()

        with pytest.raises(PortTakenError, match=f"cannot listen on {re.escape(host)}:{port}: Address already in use"):
            listen(host, port)


def test_who_listens_everywhere_listens_in_both_families() -> None:
    with listen("::", 0) as listener:
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, listener.getsockname()[1]), 5).close()
