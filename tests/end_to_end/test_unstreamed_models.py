"""Models that orchestration does not stream, for clients that want a stream: by the catalogue, and by its own word."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import emulator
from emulator.world import World, orchestration_tenant
from tests.end_to_end.test_departure import NOTICED, Caller
from tests.end_to_end.test_matrix import SDKS
from tests.matrix.clients import Client, Seen
from tests.matrix.scenes import WEATHER, Ask
from tests.support.processes import free_port, new_place, until
from tests.support.running import KEY, Cloud, Proxy, running_proxy
from tests.support.talking import DIALECTS, request_of, sent

LISTED, UNLISTED = "gpt-5.6-luna", "gemini-3.5-flash-lite"
"""A model that the catalogue lists as one that is not streamed, and one of which only the service says so."""
THINKING = Ask("scene:think Go on.", system="Be brief.", tools=(WEATHER,))
CALLING = Ask("Please use get_weather.", system="Be brief.", tools=(WEATHER,), results=("22 °C",))


def config_of(cloud: Cloud, **config: Any) -> dict[str, Any]:
    """The service keys of the tenants, and nothing else of them."""
    accounts = {
        name: {"service_key": known["service_key"], "resource_group": known["resource_group"], "discovery": True}
        for name, known in cloud.tenants.items()
    }
    return {"subAccounts": accounts, **config}


@contextmanager
def serving_world(folder: Path, *, catalogue: bool) -> Iterator[Proxy]:
    """Serve a proxy whose tenant has an orchestration deployment and nothing else."""
    world = World((orchestration_tenant("eu", "default"),), catalogue=catalogue)
    with emulator.serve(world) as running:
        cloud = Cloud(running.url)
        models = {} if catalogue else {"orchestration": {"models": [LISTED, UNLISTED]}}
        with running_proxy(cloud, folder, **config_of(cloud, **models)) as proxy:
            yield proxy
            cloud.check_requests()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, dict[str, Client]]]:
    with serving_world(tmp_path_factory.mktemp("lone"), catalogue=True) as proxy, ExitStack() as owned:
        made = [owned.enter_context(closing(sdk(proxy.url, KEY))) for sdk in SDKS]
        yield proxy, {client.dialect: client for client in made}


def said(seen: Seen) -> tuple[Any, ...]:
    """What an answer says, without the ids that differ from one answer to the next."""
    return seen.text, seen.thoughts, [(call.name, call.arguments) for call in seen.calls], seen.end, seen.counted.output


@pytest.mark.parametrize("ask", [CALLING, THINKING], ids=["calling", "thinking"])
@pytest.mark.parametrize("model", [LISTED, UNLISTED])
@pytest.mark.parametrize("dialect", [sdk.dialect for sdk in SDKS])
def test_every_vendors_sdk_hears_in_a_stream_what_it_would_hear_in_one_piece(
    shared: tuple[Proxy, dict[str, Client]], dialect: str, model: str, ask: Ask
) -> None:
    proxy, clients = shared
    whole = clients[dialect].ask(model, ask, stream=False)
    proxy.cloud.forget()
    streamed = clients[dialect].ask(model, ask, stream=True)
    asked = [("stream" in body["config"], status) for status, body in sent(proxy)]

    assert [said(each) for each in streamed] == [said(each) for each in whole]
    assert [call.name for call in streamed[0].calls] == (["get_weather"] if ask is CALLING else [])
    assert [each for each in asked if each != (True, 400)] == [(False, 200)] * len(streamed)
    assert len(asked) <= len(streamed) + (model == UNLISTED)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_the_catalogue_lists_as_not_streamed_is_never_asked_for_a_stream(
    shared: tuple[Proxy, dict[str, Client]], dialect: str
) -> None:
    proxy, _ = shared
    proxy.cloud.forget()
    told = proxy.ask("POST", *request_of(dialect, LISTED, stream=True))

    assert (told.status, told.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert [("stream" in body["config"], status) for status, body in sent(proxy)] == [(False, 200)]


@pytest.mark.parametrize("model", [LISTED, UNLISTED])
def test_without_a_catalogue_each_deployment_says_so_once_and_is_not_blamed(tmp_path: Path, model: str) -> None:
    with serving_world(tmp_path, catalogue=False) as proxy:
        told = [proxy.ask("POST", *request_of("messages", model, stream=True)) for _ in range(3)]
        states = [state for state in proxy.gateway.balancer.snapshot() if state.endpoint.model == model]

        assert [(each.status, each.headers["x-proxy-attempts"]) for each in told] == [(200, "1")] * 3
        assert all(b"event: message_stop" in each.body for each in told)
        assert [status for status, _ in sent(proxy)] == [400, 200, 200, 200]
        assert [(each.last_error, each.in_flight) for each in states] == [(None, 0)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_caller_hears_that_an_answer_in_one_piece_is_awaited_and_may_leave(tmp_path: Path, dialect: str) -> None:
    port, place = free_port(), new_place(tmp_path)
    with emulator.serve(World((orchestration_tenant("eu", "default"),))) as running:
        cloud = Cloud(running.url)
        routing, server = {"timeouts": {"keep_alive": 0.2}}, {"port": port}
        place.write("config.json", config_of(cloud, routing=routing, server=server))
        with place.running() as run:
            url = f"http://127.0.0.1:{port}"
            run.await_answer(url)
            proxy = Proxy(url, None, cloud)  # type: ignore[arg-type]  # it is in another process
            began = time.monotonic()
            slow = "scene:slow 100 scene:long 400"
            caller = Caller.ask(port, *request_of(dialect, LISTED, stream=True, text=slow))
            caller.hear(b"\r\n\r\n")
            sign = b"\n\n" if dialect == "gemini" else b": ping\n\n"
            caller.hear(sign)
            caller.leave()

            assert until(lambda: in_flight(proxy) == 0, NOTICED)
            assert until(lambda: [each["client_left"] for each in cloud.requests()] == [True], NOTICED)
            assert time.monotonic() - began < 2 * NOTICED


def in_flight(proxy: Proxy) -> int:
    return sum(row["in_flight"] for row in proxy.ask("GET", "/router/state").json["endpoints"])
