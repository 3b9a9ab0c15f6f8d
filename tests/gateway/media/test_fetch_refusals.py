"""What the settings say about fetching, what callers and the operator hear, and what ends a fetch early."""

import socket
import threading

import pytest

from dialects.core.faults import FaultError, FaultKind
from gateway.media.fetcher import MediaFetcher
from gateway.media.networks import FetchRules
from gateway.requests.lifetime import CLIENT_LEFT, Lifetime
from tests.gateway.media.fetching import (
    EVERY_PORT,
    NOT_FETCHED,
    PATIENCE,
    PNG,
    ROOM,
    answer,
    fetching,
    hosting,
    open_fetcher,
    redirect,
    refusal,
    saying,
)

# What the settings say


def test_a_network_that_is_allowed_is_fetched_from_and_one_that_is_denied_is_not() -> None:
    with hosting(saying(answer())) as host:
        allowed = fetching(ports=EVERY_PORT, allows=FetchRules(["127.0.0.0/8"]).allows)
        denied = fetching(ports=EVERY_PORT, allows=FetchRules(["127.0.0.0/8"], ["127.0.0.1"]).allows)

        assert allowed(host.url).data == PNG
        assert refusal(denied, host.url).endswith(f"{NOT_FETCHED}.")
    assert len(host.heads) == 1


def test_a_redirect_to_a_denied_host_is_not_followed() -> None:
    with hosting(saying(redirect(b"http://evil.example/"))) as host:
        rules = FetchRules(["127.0.0.0/8"], ["evil.example"])
        looked_up: list[str] = []

        def resolve(name: str, _: int) -> list[str]:
            looked_up.append(name)
            return ["127.0.0.1"]

        fetch = fetching(ports=[80, host.port], allows=rules.allows, resolve=resolve)

        assert refusal(fetch, host.url).endswith(f"{NOT_FETCHED}.")
    assert (looked_up, len(host.heads)) == (["evil.example"], 1)


# What a caller and the operator hear


def test_callers_hear_the_same_whatever_prevents_a_fetch() -> None:
    """Otherwise they could find out which names, addresses and ports of the proxy's network there are."""

    def unknown(*_: object) -> list[str]:
        raise socket.gaierror("unknown")

    never = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        hosting(saying(answer(status=b"404 Not Found"))) as missing,
        hosting(saying(redirect(b"http://127.0.0.2:1/"))) as elsewhere,
        hosting(saying(b"SSH-2.0-x\r\n")) as other,
        hosting(lambda *_: never.wait(PATIENCE) and None) as silent,
    ):
        places: list[tuple[int, dict[str, object]]] = [
            (missing.port, {"allows": FetchRules().allows}),
            (missing.port, {"allows": FetchRules(["127.0.0.0/8"], ["docs.example"]).allows}),
            (missing.port, {"resolve": unknown}),
            (missing.port, {}),
            (elsewhere.port, {"allows": lambda _, address: address == "127.0.0.1"}),
            (other.port, {}),
            (silent.port, {"seconds": 0.05}),
            (silent.port, {"seconds": 0.05, "resolve": lambda *_: never.wait(PATIENCE) and []}),
            (port, {}),
        ]
        heard = set()
        for at, more in places:
            fetch = open_fetcher(**{"resolve": lambda *_: ["127.0.0.1"], **more})
            heard.add(refusal(fetch, f"http://docs.example:{at}/a").replace(str(at), "PORT"))
        never.set()

    assert heard == {f"Cannot fetch 'http://docs.example:PORT/a': {NOT_FETCHED}."}


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        ("INFO", ["a URL in a request was not fetched: the server answered with status 404"]),
        ("DEBUG", ["a URL in a request was not fetched: the server answered with status 404",
                   "the host of that URL: '127.0.0.1'"]),
    ],
)  # fmt: skip
def test_the_log_says_why_and_names_no_more_than_the_host(
    caplog: pytest.LogCaptureFixture, level: str, lines: list[str]
) -> None:
    caplog.set_level(level, "sap_ai_proxy")
    with hosting(saying(answer(status=b"404 Not Found"))) as host:
        refusal(open_fetcher(), f"{host.url}/secret?token=secret")

    assert [each.getMessage() for each in caplog.records if each.name == "sap_ai_proxy"] == lines


# What ends a fetch early


def test_a_look_up_that_hangs_ends_with_the_time_of_the_fetch_and_keeps_no_more_than_a_few_threads() -> None:
    hangs, threads = threading.Event(), []

    def resolve(name: str, _: int) -> list[str]:
        threads.append(name)
        hangs.wait(PATIENCE)
        return ["127.0.0.1"]

    fetch = open_fetcher(resolve=resolve, seconds=0.03, most_lookups=2)
    names = ["a", "b", "a", "b"]
    messages = {refusal(fetch, f"http://{name}.example/").partition(": ")[2] for name in names}
    with pytest.raises(FaultError) as caught:
        fetch("http://c.example/")
    hangs.set()

    assert (messages, threads) == ({f"{NOT_FETCHED}."}, ["a.example", "b.example"])
    assert (caught.value.fault.kind, caught.value.fault.retry_after) == (FaultKind.UNAVAILABLE, 1.0)


def test_a_caller_whose_look_ups_hang_leaves_half_of_the_threads_to_others() -> None:
    hangs = threading.Event()

    def resolve(name: str, _: int) -> list[str]:
        if name != "quick.example":
            hangs.wait(PATIENCE)
        return ["127.0.0.1"]

    greedy, modest = Lifetime(PATIENCE), Lifetime(PATIENCE)
    greedy.memory.caller, modest.memory.caller = "greedy", "modest"
    with hosting(saying(answer())) as host:
        fetcher = MediaFetcher(resolve=resolve, allows=lambda *_: True, ports=EVERY_PORT, seconds=0.3, most_lookups=4)
        told = []
        for name in ("a", "b", "c"):
            with pytest.raises(FaultError) as caught:
                fetcher(f"http://{name}.example/", ROOM, greedy)
            told.append(caught.value.fault.kind)
        found = fetcher(f"http://quick.example:{host.port}/", ROOM, modest)
        hangs.set()

    assert told == [FaultKind.INVALID_REQUEST] * 2 + [FaultKind.UNAVAILABLE]
    assert found.data == PNG


def test_a_look_up_that_got_no_thread_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = open_fetcher(resolve=lambda *_: ["127.0.0.1"], most_lookups=1)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with hosting(saying(answer())) as host:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            with pytest.raises(FaultError, match="cannot start another thread"):
                fetch("http://a.example/")

        assert fetch(f"http://b.example:{host.port}/").data == PNG


def test_a_client_that_leaves_ends_the_fetch_and_its_connection_at_once() -> None:
    ours, theirs = socket.socketpair()
    ended = threading.Event()

    def leave(peer: socket.socket, _: bytes) -> None:
        theirs.close()
        peer.recv(1)
        ended.set()

    with ours, hosting(leave) as host:
        with pytest.raises(FaultError) as caught:
            open_fetcher(lifetime=Lifetime(PATIENCE, client=ours))(host.url)

        assert caught.value.fault == CLIENT_LEFT
        assert ended.wait(PATIENCE)
