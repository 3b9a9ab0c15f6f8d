"""Looking up the hosts of tokens and of the management API: within the time of connecting."""

import socket
from contextlib import closing

import pytest

from dialects.core.faults import FaultKind
from gateway.config.service_keys import Secret, ServiceKey
from gateway.upstream.management import ManagementClient
from gateway.upstream.unreachable import Reason
from tests.gateway.peers import answer, fault_of, forever
from tests.gateway.upstream.test_connecting import Names, relaying
from tests.support.networks import through, trusting
from tests.support.processes import PATIENCE, free_port


def test_a_look_up_takes_no_longer_than_connecting_may_however_often_it_is_needed():
    """A request for a token is sent again by each request that needs one."""
    names = Names("127.0.0.1")
    names.gate.clear()
    key = ServiceKey("id", Secret("s"), "http://auth.test/oauth/token", "http://api.test/v2")
    with closing(ManagementClient(resolve=names, token_timeouts=(0.03, PATIENCE))) as client:
        faults = [fault_of(client.fetch_token, key) for _ in range(3)]
        faults.append(fault_of(client.get, "http://api.test/v2", {}, 0.03))
        names.gate.set()

    assert {(each.kind, each.cause.reason) for each in faults} == {(FaultKind.TIMEOUT, Reason.TIMED_OUT)}
    assert names.asked == [("auth.test", 80), ("api.test", 80)]


def test_a_name_that_nobody_knows_is_told_as_such():
    def unknown(*_):
        raise socket.gaierror("unknown")

    with closing(ManagementClient(resolve=unknown)) as client:
        fault = fault_of(client.get, "http://nowhere.test/v2", {})

    assert (fault.kind, fault.cause.reason) == (FaultKind.UNREACHABLE, Reason.UNKNOWN_HOST)


def test_the_addresses_of_a_host_are_tried_in_order(serve):
    server = serve(forever(answer()))
    with closing(ManagementClient(resolve=Names("127.0.0.2", "127.0.0.1"))) as client:
        got = client.get(f"http://aicore.test:{server.port}/v2", {})

    assert (got.body, server.requests[0][2]["host"]) == (b"hello", f"aicore.test:{server.port}")


def test_why_the_last_address_does_not_answer_is_told():
    with closing(ManagementClient(resolve=Names("127.0.0.2", "127.0.0.1"))) as client:
        fault = fault_of(client.get, f"http://aicore.test:{free_port()}/v2", {})

    assert (fault.kind, fault.cause.reason) == (FaultKind.UNREACHABLE, Reason.REFUSED)


def test_tls_is_told_the_name_and_not_the_address(serve, tls, authority):
    named = []
    tls.sni_callback = lambda _, name, __: named.append(name)
    server = serve(forever(answer()), context=tls)
    with closing(ManagementClient(network=trusting(authority.file), resolve=Names("127.0.0.1"))) as client:
        got = client.get(f"https://localhost:{server.port}", {})
        fault = fault_of(client.get, f"https://other.test:{server.port}", {})

    assert (got.body, fault.cause.reason) == (b"hello", Reason.OTHER_HOST)
    assert {*named} == {"localhost", "other.test"}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_name_of_a_proxy_is_looked_up_in_the_same_time(serve, tls, authority, scheme):
    server = serve(forever(answer()), context=tls if scheme == "https" else None)
    proxy = serve(relaying(server.port) if scheme == "https" else forever(answer()))
    names = Names("127.0.0.1")
    network = through(f"http://proxy.test:{proxy.port}", authority.file)
    with closing(ManagementClient(network=network, resolve=names)) as client:
        got = client.get(f"{scheme}://localhost:{server.port}/v2", {})

    assert (got.body, names.asked) == (b"hello", [("proxy.test", proxy.port)])
