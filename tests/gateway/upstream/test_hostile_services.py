"""A token service and a management API without bounds: whatever they send, the call ends as a fault."""

import tracemalloc
import zlib
from contextlib import closing

import pytest

from dialects.core.faults import FaultKind
from gateway.config.service_keys import Secret, ServiceKey
from gateway.config.subaccounts import SubAccount
from gateway.upstream.discovery import Management, discover
from gateway.upstream.management import ManagementClient
from tests.gateway.peers import CHUNKED, OK, answer, chunk, fault_of

MIB = 1024 * 1024
DEEP = b"[" * 100_000
PADDING = b"X-Padding: xxxxxxxxxxxxxxxxxxxxxx\r\n" * 1000


def bomb():
    """A hundred MiB, a thousandth as large."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(b" " * MIB) for _ in range(100)), packer.flush()])


HOSTILE = {
    # what           the beginning, and what follows until the client has left
    "body": (OK + CHUNKED + b"\r\n", chunk(b" " * 65_536)),
    "error": (b"HTTP/1.1 500 Oops\r\n" + CHUNKED + b"\r\n", chunk(b" " * 65_536)),
    "headers": (OK, PADDING),
    "header": (OK + b"X-Padding: ", b"x" * 65_536),
    "interim": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "bomb": (answer(bomb(), headers=b"Content-Encoding: gzip\r\n"), b""),
    "deep": (answer(DEEP + b"]" * 100_000), b""),
    "deep object": (answer(b'{"access_token": ' + DEEP + b"]" * 100_000 + b', "resources": []}'), b""),
    "deep error": (answer(DEEP + b"]" * 100_000, b"500 Oops"), b""),
    "many values": (answer(b'{"count": 1, "a": [' + b"[]," * 50_000 + b"1]}"), b""),
}


FAULTS = {FaultKind.SERVER_ERROR, FaultKind.STREAM_BROKEN, FaultKind.UNREACHABLE, FaultKind.TIMEOUT}


def script_of(what):
    first, block = HOSTILE[what]
    most, last = (100, answer(b'{"access_token": "t", "resources": []}')) if what == "interim" else (2048, b"")

    def script(server, peer):
        while (request := peer.request()) is not None:
            server.requests.append(request)
            peer.send(first)
            for _ in range(most if block else 0):
                peer.send(block)
            peer.send(last)

    return script


@pytest.fixture
def client():
    with closing(ManagementClient(wait=lambda _: None, longest=0.2)) as client:
        yield client


def peak_of(call, *args):
    """The fault of a call, and the bytes that it took at most."""
    tracemalloc.start()
    fault = fault_of(call, *args)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return fault, peak


def key_at(url):
    return ServiceKey("sb-1!b2|aicore!b540", Secret("s"), f"{url}/oauth/token", f"{url}/v2")


@pytest.mark.parametrize("what", HOSTILE)
def test_a_token_service_without_bounds_is_a_fault(serve, client, what):
    fault, peak = peak_of(client.fetch_token, key_at(serve(script_of(what)).url))

    assert fault.kind in FAULTS
    assert peak < 48 * MIB


class Tokens:
    """A source that always has a token."""

    def token(self):
        return "t"

    def renew_after(self, *_):
        return False


@pytest.mark.parametrize("what", HOSTILE)
def test_a_list_of_deployments_without_bounds_is_a_fault(serve, client, what):
    account = SubAccount("eu", "default", key_at(serve(script_of(what)).url), {})
    fault, peak = peak_of(discover, account, Management(client, {"eu": Tokens()}))

    assert fault.kind in FAULTS
    assert peak < 48 * MIB
