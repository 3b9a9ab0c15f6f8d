"""More requests than may work at once: some wait, some are told to come back, and who leaves is not worked for."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.test_departure import SLOW, Caller, asking
from tests.support.processes import Place, free_port, new_place, until
from tests.support.running import Cloud, Proxy, config_of


def serve(folder: Path, cloud: Cloud, port: int, **server: float) -> object:
    place: Place = new_place(folder)
    place.write("config.json", {**config_of(cloud), "port": port, "server": server})
    return place.running()


@pytest.fixture
def narrow(cloud: Cloud, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy with one place for a request, and one seat in front of it."""
    port = free_port()
    with serve(tmp_path, cloud, port, requests=1, waiting=1, waiting_seconds=30) as run:
        run.await_answer(f"http://127.0.0.1:{port}")
        yield Proxy(f"http://127.0.0.1:{port}", None, cloud)  # type: ignore[arg-type]  # it is in another process


def port_of(proxy: Proxy) -> int:
    return int(proxy.url.rsplit(":", 1)[1])


def ask(proxy: Proxy, text: str) -> Caller:
    return Caller.ask(port_of(proxy), *asking("openai", text))


def fill(proxy: Proxy) -> tuple[Caller, Caller]:
    """Take the one place, and then the one seat in front of it."""
    first = ask(proxy, SLOW)
    first.hear(b"word1")
    second = ask(proxy, SLOW)
    assert until(lambda: open_requests(proxy) == 2)
    return first, second


def open_requests(proxy: Proxy) -> int:
    """How many requests are in progress or in the waiting room, but for the one that looks."""
    open_now: int = proxy.ask("GET", "/router/state").json["workers"][0]["open_requests"]
    return open_now - 1


def test_a_request_that_waits_for_a_place_is_answered_when_one_is_free(narrow: Proxy) -> None:
    first = ask(narrow, SLOW)
    first.hear(b"word1")
    second = ask(narrow, "Hello")
    first.leave()
    told = second.hear_out()
    second.leave()

    assert told.startswith(b"HTTP/1.1 200 OK")
    assert b"data: [DONE]" in told


@pytest.mark.parametrize("client", ["openai", "anthropic", "gemini", "responses"])
def test_whoever_finds_the_room_full_is_told_when_to_come_back_in_its_dialect(narrow: Proxy, client: str) -> None:
    first, second = fill(narrow)
    path, body = asking(client, "Hello")
    assert until(lambda: narrow.ask("POST", path, body).status == 503)
    told = narrow.ask("POST", path, body)
    health = narrow.ask("GET", "/health").status
    for caller in (first, second):
        caller.leave()

    assert (told.headers["retry-after"], health) == ("30", 200)
    assert "The proxy is serving as many requests as it is allowed to" in json.dumps(told.json)
    assert ("type" in told.json) == (client == "anthropic")


def test_a_client_that_leaves_the_waiting_room_is_never_worked_for(narrow: Proxy, cloud: Cloud) -> None:
    first, second = fill(narrow)
    path, body = asking("openai", "Hello")
    assert until(lambda: narrow.ask("POST", path, body).status == 503)
    second.leave()
    assert until(lambda: open_requests(narrow) == 1)
    third = ask(narrow, "Hello")
    first.leave()
    told = third.hear_out()
    third.leave()

    assert b"data: [DONE]" in told
    assert len(cloud.requests()) == 2


def test_a_client_that_leaves_while_a_token_is_fetched_has_nothing_posted(cloud: Cloud, tmp_path: Path) -> None:
    """The token service takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = config_of(cloud, {"gpt-4.1": []})
        for account in config["subAccounts"].values():
            account["service_key"]["url"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        place, port = new_place(tmp_path), free_port()
        place.write("config.json", {**config, "port": port})
        with place.running() as run:
            run.await_answer(f"http://127.0.0.1:{port}")
            caller = Caller.ask(port, *asking("openai", "Hello"))
            caller.leave()

            assert run.await_text(r"(outcome=caller_left)")
    assert cloud.requests() == []
