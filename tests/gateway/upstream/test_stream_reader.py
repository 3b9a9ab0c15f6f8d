"""One upstream from the token to the last byte: on real sockets, step by step."""

import math
import threading
from contextlib import closing, suppress

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.requests.lifetime import Lifetime
from gateway.requests.memory_budget import MemoryBudget
from gateway.upstream.background import OUT_OF_DESCRIPTORS
from gateway.upstream.steps import StillPending
from gateway.upstream.stream_reader import StreamReader
from gateway.upstream.tokens import Token, TokenSource
from tests.gateway.peers import CHUNKED, OK, answer, answering, chunk, fault_of, forever
from tests.gateway.upstream.test_departures import ENDS, LARGE, Request, Upstream, drive

PATIENCE = 30.0


class Service:
    """Hands out t1, t2, … while its gate is open."""

    def __init__(self):
        self.fetches = 0
        self.fault = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self):
        self.fetches += 1
        mine = self.fetches
        assert self.gate.wait(PATIENCE)
        if self.fault:
            raise FaultError(self.fault)
        return Token(f"t{mine}", 3600.0)


def judge(call, body):
    kind = FaultKind.REFUSED_CREDENTIALS if call.status == 401 else FaultKind.SERVER_ERROR
    return Fault(kind, body.decode(), call.status)


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def tokens(service):
    return TokenSource(service)


@pytest.fixture
def reader_of(transport, tokens, lifetime):
    """Makes readers, and closes them with the test."""
    made = []

    def reader_of(url, body=b"{}", *, within=lifetime, token_limit=PATIENCE, silence=PATIENCE):
        def send(token):
            said = {"Authorization": f"Bearer {token}"}
            return transport.begin("POST", url, said, body, connect_timeout=PATIENCE)

        made.append(StreamReader(send, judge, tokens, within, token_limit=token_limit, silence=silence))
        return made[-1]

    yield reader_of
    for each in made:
        each.close()


@pytest.fixture
def request_():
    with closing(Request()) as request:
        yield request


def test_an_answer_is_read_with_a_token(serve, reader_of):
    server = serve(forever(answer(headers=b"Content-Type: text/event-stream; charset=utf-8\r\n")))
    reader = reader_of(server.url)
    reader.head(PATIENCE)

    assert (reader.content_type, reader.status) == ("text/event-stream", 200)
    assert [reader.take(PATIENCE), reader.take(PATIENCE)] == [b"hello", None]
    assert server.requests[0][2]["authorization"] == "Bearer t1"


def test_an_answer_can_be_read_in_one_piece_without_asking_for_its_head(serve, reader_of):
    assert reader_of(serve(forever(answer())).url).read() == b"hello"


def test_an_answer_larger_than_wanted_is_broken(serve, reader_of):
    assert FaultKind.STREAM_BROKEN is fault_of(reader_of(serve(forever(answer())).url).read, 4).kind


def test_the_memory_of_an_answer_is_reserved_and_given_back_if_it_fails(serve, reader_of):
    large, small = (MemoryBudget(most, most).share() for most in (100_000_000, 1_000_000))
    server = serve(forever(answer(b"x" * 1_000_000)))
    read = reader_of(server.url, within=Lifetime(600.0, memory=large)).read()
    failing = reader_of(server.url, within=Lifetime(600.0, memory=small))

    assert FaultKind.STREAM_BROKEN is fault_of(failing.read).kind
    assert (large.taken, small.taken) == (3 * len(read), 0)


def test_before_its_head_an_answer_has_no_body(reader_of):
    with pytest.raises(LookupError):
        reader_of("http://127.0.0.1:1/").take(0.0)


@pytest.mark.parametrize("stage", ["head", "body"])
def test_silence_is_a_time_out_for_a_whole_answer(serve, reader_of, stage):
    left = threading.Event()

    def script(_, peer):
        peer.request()
        peer.send(OK + b"Content-Length: 9\r\n\r\nhalf" if stage == "body" else OK)
        if peer.left():
            left.set()

    fault = fault_of(reader_of(serve(script).url, silence=0.5).read)

    assert (fault.kind, fault.message) == (FaultKind.TIMEOUT, "SAP AI Core did not answer in time.")
    assert left.wait(PATIENCE)


# Tokens


def test_a_refused_token_is_renewed_once(serve, reader_of):
    server = serve(forever(answer()))
    server.scripts.insert(0, answering(answer(b"no", b"401 Unauthorized"), answer()))

    assert reader_of(server.url).read() == b"hello"
    assert [each[2]["authorization"] for each in server.requests] == ["Bearer t1", "Bearer t2"]
    assert server.connections == 1


def test_a_token_that_is_refused_again_is_a_fault(serve, reader_of, service):
    server = serve(forever(answer(b"no", b"401 Unauthorized")))

    assert (
        (fault := fault_of(reader_of(server.url).head, PATIENCE)).kind, fault.message, fault.status,
    ) == (FaultKind.REFUSED_CREDENTIALS, "no", 401)  # fmt: skip
    assert (len(server.requests), service.fetches) == (2, 2)


def test_an_error_is_read_and_judged_and_leaves_its_connection_for_the_next(serve, reader_of):
    server = serve(forever(answer(b"boom", b"500 Error")))
    faults = [fault_of(reader_of(server.url).head, PATIENCE) for _ in range(2)]

    assert [(each.kind, each.message, each.status) for each in faults] == [(FaultKind.SERVER_ERROR, "boom", 500)] * 2
    assert (len(server.requests), server.connections) == (2, 1)


def test_an_error_without_end_is_not_read_for_ever(serve, reader_of):
    server = serve(forever(answer(b"x" * 2_000_000, b"500 Error")))

    assert FaultKind.STREAM_BROKEN is fault_of(reader_of(server.url).head, PATIENCE).kind


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(FaultKind.OVERLOADED, "busy", 429, 4.0), Fault(FaultKind.NO_TOKEN, "busy", None, 4.0)),
        (Fault(FaultKind.UNREACHABLE, "lost"), Fault(FaultKind.NO_TOKEN, "lost", None, 2.0)),
        (Fault(FaultKind.SERVER_ERROR, "broken", 500), Fault(FaultKind.NO_TOKEN, "broken", None, 2.0)),
        (Fault(FaultKind.REFUSED_CREDENTIALS, "no", 401), Fault(FaultKind.REFUSED_CREDENTIALS, "no", 401)),
        (OUT_OF_DESCRIPTORS, OUT_OF_DESCRIPTORS),
    ],
)
def test_no_token_is_said_of_the_subaccount_and_not_of_an_endpoint(serve, reader_of, service, fault, expected):
    service.fault = fault
    server = serve(forever(answer()))

    assert [fault_of(reader_of(server.url).head, PATIENCE) for _ in range(2)] == [expected] * 2
    assert (server.connections, service.fetches) == (0, 1)


def test_why_there_is_no_token_is_kept_for_the_log(serve, reader_of, service):
    service.fault = Fault(FaultKind.UNREACHABLE, "lost", cause="the connection was refused")

    assert fault_of(reader_of(serve(forever(answer())).url).head, PATIENCE).cause == "the connection was refused"


def test_a_token_is_waited_for_no_longer_than_a_connection(serve, reader_of, service):
    """Each request has a limit of its own; the fetch goes on, and serves whoever comes later."""
    server = serve(forever(answer()))
    service.gate.clear()
    fault = fault_of(reader_of(server.url, token_limit=0.05).head, PATIENCE)
    later = reader_of(server.url)
    with pytest.raises(StillPending):
        later.head(0.0)
    service.gate.set()

    assert fault == Fault(
        FaultKind.NO_TOKEN, "The proxy did not get an access token for SAP AI Core in time.", retry_after=2.0
    )
    assert (later.read(), service.fetches) == (b"hello", 1)


def test_a_fetch_that_somebody_waited_for_in_vain_holds_up_nobody_else_for_long(serve, reader_of, service, tokens):
    """What it brings after all serves whoever comes later."""
    server = serve(forever(answer()))
    service.gate.clear()
    fault_of(reader_of(server.url, token_limit=0.05).head, PATIENCE)
    later = reader_of(server.url, token_limit=0.55)
    with pytest.raises(StillPending):
        later.head(0.0)
    left = later.due - Lifetime(1.0).clock()
    fetch = tokens.request()
    service.gate.set()
    fetch.result()

    assert left <= 0.5
    assert (reader_of(server.url).read(), service.fetches) == (b"hello", 1)


# Steps, and their end


@pytest.mark.parametrize("phase", ["handshake", "sending", "head", "half a head", "stream"])
@pytest.mark.parametrize(("end", "kind"), ENDS)
def test_the_server_sees_the_connection_closed_and_no_other(serve, reader_of, request_, phase, end, kind):
    upstream = Upstream(phase)
    server = serve(upstream)
    url = server.url.replace("http:", "https:") if phase == "handshake" else server.url
    reader = reader_of(url, LARGE if phase == "sending" else b"{}", within=request_.lifetime)
    drive(reader.head, reader.take, upstream)
    end(request_)

    assert kind is fault_of(reader.take if phase == "stream" else reader.head, PATIENCE).kind
    assert upstream.left.wait(PATIENCE)
    assert (1, int(phase != "handshake")) == (upstream.connections, upstream.posts)


@pytest.mark.parametrize(("end", "kind"), ENDS)
def test_waiting_for_a_token_ends_with_the_request(serve, reader_of, request_, service, end, kind):
    server = serve(forever(answer()))
    service.gate.clear()
    reader = reader_of(server.url, within=request_.lifetime)
    with pytest.raises(StillPending):
        reader.head(0.0)
    end(request_)
    fault = fault_of(reader.head, PATIENCE)
    service.gate.set()

    assert (kind, 0) == (fault.kind, server.connections)


@pytest.mark.parametrize(("end", "kind"), ENDS)
def test_a_renewed_token_is_not_used_for_a_request_that_is_over(serve, reader_of, request_, service, end, kind):
    def refuse(server, peer):
        server.requests.append(peer.request())
        service.gate.clear()
        peer.send(answer(b"no", b"401 Unauthorized"))
        peer.left()

    server = serve(refuse)
    reader = reader_of(server.url, within=request_.lifetime)
    while service.fetches < 2:
        with suppress(StillPending):
            reader.head(0.0)
    end(request_)
    fault = fault_of(reader.head, PATIENCE)
    service.gate.set()

    assert (kind, 1) == (fault.kind, len(server.requests))


def test_whichever_of_two_says_something_first_is_read_and_the_other_one_left(serve, reader_of):
    """One thread waits for both."""
    slow, quick = Upstream("head"), Upstream("stream")
    lifetime = Lifetime(600.0)
    readers = [reader_of(serve(each).url, within=lifetime) for each in (slow, quick)]
    assert [reader.interest for reader in readers] == [None, None]
    begun = []
    while not begun:
        for reader in readers:
            with suppress(StillPending):
                reader.head(0.0)
                begun.append(reader)
        if not begun:
            interests = tuple(interest for interest in (reader.interest for reader in readers) if interest)
            due = min(reader.due for reader in readers)
            assert lifetime.clock() < due
            lifetime.wait(interests, min(PATIENCE, due - lifetime.clock()))
    readers[0].close()

    assert begun == [readers[1]]
    assert readers[1].take(PATIENCE) == b"a"
    assert readers[1].interest is not None
    assert slow.left.wait(PATIENCE)
    assert slow.posts == 1


def test_what_is_waited_for_is_known_and_until_when(serve, reader_of, service):
    server = serve(forever(answer()))
    service.gate.clear()
    reader = reader_of(server.url, token_limit=3.0)
    before = reader.interest, reader.due
    with pytest.raises(StillPending):
        reader.head(0.0)
    now = Lifetime(1.0).clock()
    token = reader.interest
    assert token is not None
    assert now < reader.due <= now + 3.0
    service.gate.set()
    reader.head(PATIENCE)

    assert before == (None, math.inf)
    assert math.inf == reader.due
    assert (reader.take(PATIENCE), reader.take(PATIENCE), reader.interest) == (b"hello", None, None)


def test_a_reader_that_is_finished_leaves_its_connection(serve, reader_of):
    server = serve(forever(OK + CHUNKED + b"\r\n" + chunk(b"hello") + b"0\r\n\r\n"))
    for _ in range(3):
        reader = reader_of(server.url)
        reader.head(PATIENCE)
        reader.finish()
        reader.finish()

    assert (len(server.requests), server.connections) == (3, 1)


def test_a_reader_that_never_began_can_be_finished_and_closed(reader_of):
    reader = reader_of("http://127.0.0.1:1/")
    reader.finish()
    reader.close()

    assert FaultKind.STREAM_BROKEN is fault_of(reader.head, 0.0).kind
