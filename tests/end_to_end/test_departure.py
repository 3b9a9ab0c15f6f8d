"""Callers that leave, and a proxy that is told to: nothing stays in flight, and open answers may end."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import emulator
from tests.support.processes import PATIENCE, Place, Run, free_port, new_place, until
from tests.support.running import KEY, Cloud, Proxy, config_of
from tests.support.worlds import mixed_world

MODELS = {
    # client        model                            path
    "openai": ("gpt-4.1", "/v1/chat/completions"),
    "responses": ("gpt-5", "/v1/responses"),
    "anthropic": ("anthropic--claude-4.5-sonnet", "/v1/messages"),
    "gemini": ("gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
    "translated": ("anthropic--claude-4.5-sonnet", "/v1/chat/completions"),
}
SLOW = "scene:slow 100 scene:long 400"
"""Words for half a minute and more: who stays to their end has waited in vain."""
NOTICED = 20.0
"""Seconds within which a departure is noticed on the slowest machine; no stream, silence or limit here is so short."""


def asking(client: str, text: str, *, stream: bool = True) -> tuple[str, dict[str, Any]]:
    """A path and a body that ask for *text*, in the dialect of *client*."""
    model, path = MODELS[client]
    messages = [{"role": "user", "content": text}]
    match client:
        case "responses":
            return path, {"model": model, "stream": stream, "input": text}
        case "gemini":
            return path, {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        case _:
            return path, {"model": model, "stream": stream, "max_tokens": 4000, "messages": messages}


@dataclass
class Caller:
    """One request over a socket of its own, so that leaving is leaving."""

    connection: socket.socket
    heard: bytes = b""

    @classmethod
    def ask(cls, port: int, path: str, body: dict[str, Any]) -> "Caller":
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        )
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
        connection.sendall(head.encode() + data)
        return cls(connection)

    def hear(self, words: bytes) -> None:
        """Read until *words* have come."""
        while words not in self.heard:
            got = self.connection.recv(65536)
            assert got, self.heard
            self.heard += got

    def hear_out(self) -> bytes:
        """Read to the end."""
        while got := self.connection.recv(65536):
            self.heard += got
        return self.heard

    def leave(self, *, abruptly: bool = False) -> None:
        if abruptly:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with emulator.serve(mixed_world()) as running:
        yield Cloud(running.url)


@dataclass
class Served:
    """A proxy in processes of its own."""

    port: int
    run: Run
    proxy: Proxy

    @property
    def in_flight(self) -> int:
        return sum(row["in_flight"] for row in self.proxy.ask("GET", "/router/state").json["endpoints"])


def serve(place: Place, cloud: Cloud, port: int, drain: float = PATIENCE, **routing: Any) -> Any:
    server = {"port": port, "drain_seconds": drain}
    place.write("config.json", {**config_of(cloud), "server": server, "routing": routing})
    return place.running()


@pytest.fixture(scope="module")
def served(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    port = free_port()
    place = new_place(tmp_path_factory.mktemp("served"))
    with serve(place, cloud, port, timeouts={"keep_alive": 0.5}) as run:
        url = f"http://127.0.0.1:{port}"
        run.await_answer(url)
        yield Served(port, run, Proxy(url, None, cloud))  # type: ignore[arg-type]  # it is in another process


@pytest.fixture(autouse=True)
def _fresh(cloud: Cloud) -> None:
    cloud.heal()
    cloud.forget()


def departures(cloud: Cloud) -> list[bool]:
    return [each["client_left"] for each in cloud.requests()]


@pytest.mark.parametrize("abruptly", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("client", MODELS)
def test_a_caller_that_leaves_in_mid_stream_frees_its_slot_and_the_model(
    served: Served, cloud: Cloud, client: str, abruptly: bool
) -> None:
    caller = Caller.ask(served.port, *asking(client, SLOW))
    caller.hear(b"word1")
    assert served.in_flight == 1

    began = time.monotonic()
    caller.leave(abruptly=abruptly)

    assert until(lambda: served.in_flight == 0, NOTICED)
    assert until(lambda: departures(cloud) == [True], NOTICED)
    assert time.monotonic() - began < NOTICED


def test_a_caller_that_leaves_while_the_model_is_silent_is_noticed_by_the_next_comment(
    served: Served, cloud: Cloud
) -> None:
    for deployment in cloud.deployments("gpt-4.1"):
        cloud.fault(deployment, "stall", after_events=1)
    caller = Caller.ask(served.port, *asking("openai", "scene:long 50"))
    caller.hear(b": ping")
    assert served.in_flight == 1
    caller.leave()

    assert until(lambda: served.in_flight == 0, NOTICED)
    assert until(lambda: departures(cloud) == [True], NOTICED)


def test_a_caller_that_leaves_before_the_first_word_frees_its_slot_and_the_model(served: Served, cloud: Cloud) -> None:
    for deployment in cloud.deployments("gpt-4.1"):
        cloud.fault(deployment, "stall")
    caller = Caller.ask(served.port, *asking("openai", "Hello"))
    caller.hear(b": ping")
    assert served.in_flight == 1
    caller.leave()

    assert until(lambda: served.in_flight == 0, NOTICED)
    assert until(lambda: departures(cloud) == [True], NOTICED)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_caller_that_leaves_before_the_model_has_answered_at_all_frees_its_slot_and_the_model(
    served: Served, cloud: Cloud, stream: bool
) -> None:
    """Nothing was written to the caller yet, so only its own connection can tell."""
    for deployment in cloud.deployments("gpt-4.1"):
        cloud.fault(deployment, "hang")
    caller = Caller.ask(served.port, *asking("openai", "Hello", stream=stream))
    until(lambda: len(cloud.requests()) == 1, amiss=lambda: "the model was not asked")
    assert served.in_flight == 1
    caller.leave()

    assert until(lambda: served.in_flight == 0, NOTICED)
    assert until(lambda: departures(cloud) == [True], NOTICED)


def test_after_a_mix_of_endings_nothing_stays_in_flight(served: Served, cloud: Cloud) -> None:
    one, other, *_ = cloud.deployments("gpt-4.1")
    callers = []
    for client in MODELS:
        callers += [Caller.ask(served.port, *asking(client, text)) for text in (SLOW, "Hello", "scene:slow 20 Hello")]
    cloud.fault(one, "cut", after_events=2, times=3)
    cloud.fault(other, "500", times=3)
    callers += [Caller.ask(served.port, *asking("openai", "Hello", stream=stream)) for stream in (True, False) * 4]
    for number, caller in enumerate(callers):
        if number % 3 == 0:
            caller.leave(abruptly=number % 2 == 0)
        else:
            caller.hear_out()
            caller.leave()

    assert until(lambda: served.in_flight == 0, NOTICED)
    assert until(lambda: all(each["finished_at"] for each in cloud.requests()), NOTICED)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_a_proxy_that_is_told_to_end_lets_an_open_stream_come_to_its_end(
    cloud: Cloud, tmp_path_factory: pytest.TempPathFactory, how: signal.Signals
) -> None:
    port = free_port()
    with serve(new_place(tmp_path_factory.mktemp("ending")), cloud, port) as run:
        run.await_answer(f"http://127.0.0.1:{port}")
        caller = Caller.ask(port, *asking("openai", "scene:slow 20 scene:long 100"))
        caller.hear(b"word1")
        run.process.send_signal(how)
        told = caller.hear_out()
        caller.leave()
        run.process.wait(PATIENCE)

        assert b"word99" in told
        assert told.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert departures(cloud) == [False]
        assert "Traceback" not in run.said


def test_a_stream_without_an_end_does_not_hold_the_proxy_for_ever(
    cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    with serve(new_place(tmp_path_factory.mktemp("ending")), cloud, port, drain=2) as run:
        run.await_answer(f"http://127.0.0.1:{port}")
        caller = Caller.ask(port, *asking("openai", "scene:slow 1000 scene:long 400"))
        caller.hear(b"word1")
        run.process.terminate()
        try:
            run.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still there: {run.said}")
        caller.leave()

        assert until(lambda: departures(cloud) == [True], NOTICED)
