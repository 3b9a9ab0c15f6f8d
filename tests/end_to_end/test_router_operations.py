"""What a dashboard watches and changes over HTTP: in one process, and in two workers that answer on one port."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.server.state_feed import MOST_STREAMS
from tests.end_to_end.test_edges import shape_of
from tests.support.processes import PATIENCE, free_port, new_place, until
from tests.support.running import KEY, Cloud, Proxy, config_of, running_proxy

ASK = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}
ALICE, ROOT = "sk-of-alice-0123456789", "sk-of-root-0123456789"
KEYS = [{"name": "alice", "key": ALICE}, {"name": "root", "key": ROOT, "admin": True}]


SOON = 20.0
"""Seconds after which what a dashboard waits for will not come, on the slowest machine."""


class Events:
    """The events of one connection, as they come."""

    def __init__(self, response: Any) -> None:
        self.response = response

    def next(self) -> tuple[str, Any]:
        """Give the next event; empty where the stream has ended."""
        name = ""
        for line in self.response:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                return name, json.loads(value)
        return "", None

    def until(self, holds: Callable[[Any], object]) -> Any:
        """Give the first state of which something holds; fails if none does for a while."""
        end = time.monotonic() + SOON
        while True:
            name, content = self.next()
            if name == "state" and holds(content):
                return content
            assert name, "the stream has ended"
            assert time.monotonic() < end, content

    def await_end(self) -> None:
        """Read to the end; fails if that does not come for a while."""
        end = time.monotonic() + SOON
        while self.next()[0]:
            assert time.monotonic() < end


@contextmanager
def watching(proxy: Proxy, key: str = KEY) -> Iterator[Events]:
    request = urllib.request.Request(f"{proxy.url}/router/events", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        yield Events(response)


def act(proxy: Proxy, **body: Any) -> dict[str, Any]:
    told = proxy.ask("POST", "/router/actions", body)
    assert told.status == 200, told.body
    return told.json


def standings(state: Any, deployment: str) -> list[str]:
    """Whether a deployment may be selected, in each worker."""
    return [each["standing"] for each in state["endpoints"] if each["deployment"] == deployment]


def standings_elsewhere(proxy: Proxy, deployment: str, worker: int) -> list[str]:
    """The same in all workers but one."""
    state = proxy.ask("GET", "/router/state").json
    return standings({"endpoints": [each for each in state["endpoints"] if each["worker"] != worker]}, deployment)


def requests_in_the_last_hour(proxy: Proxy) -> dict[str, int]:
    """What a stream says first: how often each model was asked."""
    with watching(proxy) as events:
        name, history = events.next()
    assert name == "history"
    return {each["model"]: sum(each["requests"]) for each in history["models"]}


def test_a_stream_begins_with_the_last_hour_and_the_state_and_goes_on_with_new_decisions(own_proxy: Proxy) -> None:
    own_proxy.ask("POST", "/v1/chat/completions", ASK)
    with watching(own_proxy) as events:
        (first, history), (second, state) = events.next(), events.next()
        own_proxy.ask("POST", "/v1/chat/completions", ASK)
        changed = events.until(lambda state: state["decisions"])

    assert (first, second) == ("history", "state")
    [model] = history["models"]
    assert (model["model"], sum(model["requests"]), sum(model["errors"])) == ("gpt-4.1", 1, 0)
    [endpoint] = history["endpoints"]
    assert (endpoint["subaccount"], sum(endpoint["requests"]), sum(endpoint["output"]) > 0) == ("eu", 1, True)
    assert (len(state["decisions"]), len(changed["decisions"])) == (1, 1)
    assert changed["decisions"][0]["id"] != state["decisions"][0]["id"]
    assert {each["may_change"] for each in (state, changed)} == {True}


def test_one_dashboard_too_many_is_refused_and_one_that_leaves_makes_room(own_proxy: Proxy) -> None:
    opened = [watching(own_proxy) for _ in range(MOST_STREAMS)]
    for each in opened:
        each.__enter__().next()
    refused = own_proxy.ask("GET", "/router/events")
    for each in opened:
        each.__exit__(None, None, None)

    assert (refused.status, shape_of(refused.json)) == (503, "openai")
    assert until(lambda: served_again(own_proxy))


def served_again(proxy: Proxy) -> bool:
    try:
        with watching(proxy) as events:
            return events.next()[0] == "history"
    except urllib.error.HTTPError as error:
        error.close()
        return False


@pytest.fixture(scope="module")
def named(shared_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy with an admin key."""
    with running_proxy(shared_cloud, tmp_path_factory.mktemp("named"), keys=KEYS) as proxy:
        yield proxy


def test_where_there_is_an_admin_key_no_other_watches_or_changes(named: Proxy) -> None:
    with pytest.raises(urllib.error.HTTPError) as watched, watching(named, ALICE):
        pass
    with watched.value:
        seen = watched.value.code, json.load(watched.value)
    changed = named.ask("POST", "/router/actions", {"action": "drain"}, Authorization=f"Bearer {ALICE}")

    for status, body in (seen, (changed.status, changed.json)):
        assert (status, shape_of(body)) == (403, "openai")
        assert body["error"]["message"].startswith("This needs an admin key")


def test_an_admin_key_changes_the_strategy_of_a_model(named: Proxy) -> None:
    change = {"action": "strategy", "model": "gpt-4.1", "strategy": "weighted"}
    told = named.ask("POST", "/router/actions", change, Authorization=f"Bearer {ROOT}")
    state = named.ask("GET", "/router/state", Authorization=f"Bearer {ROOT}").json

    assert (told.status, told.json) == (200, {"applied": 4})
    assert (state["strategies"]["gpt-4.1"], state["may_change"]) == ("weighted", True)
    assert "weighted" in state["strategies_available"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://["}, 403),
        ({"Content-Type": "text/plain"}, 400), ({"Content-Type": "application/x-www-form-urlencoded"}, 400),
        ({"X-Forwarded-For": "203.0.113.7"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 404), ({"Sec-Fetch-Site": "none"}, 404), ({}, 404),
        ({"Content-Type": "application/json; charset=utf-8"}, 404),
    ],
)  # fmt: skip
def test_a_page_of_another_site_changes_nothing(proxy: Proxy, headers: dict[str, str], status: int) -> None:
    """What is let through asks for a deployment that is not there."""
    told = proxy.ask("POST", "/router/actions", {"action": "drain", "subaccount": "eu", "deployment": "d0"}, **headers)

    assert (told.status, shape_of(told.json)) == (status, "openai")


def test_a_page_of_the_proxy_itself_may_change_where_its_browser_says_no_more_than_its_origin(proxy: Proxy) -> None:
    change = {"action": "drain", "subaccount": "eu", "deployment": "d0"}

    assert proxy.ask("POST", "/router/actions", change, Origin=proxy.url).status == 404


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 400), (b"{}", 400), (b'{"a":"' + b"x" * 20_000 + b'"}', 413)]
)
def test_a_body_that_is_no_change_is_refused(proxy: Proxy, body: bytes, status: int) -> None:
    told = proxy.ask("POST", "/router/actions", body)

    assert (told.status, shape_of(told.json)) == (status, "openai")


def test_two_workers_are_watched_and_changed_as_one(cloud: Cloud, tmp_path: Path) -> None:
    place, port = new_place(tmp_path), free_port()
    config = {**config_of(cloud, {"gpt-4.1": []}), "routing": {"breaker": {"failure_threshold": 1}}}
    place.write("config.json", config)
    (drained, opened), [broken, *_] = (cloud.deployments("gpt-4.1", name) for name in ("eu", "us"))
    with place.running("--workers", "2", "--port", str(port)) as run:
        proxy = Proxy(f"http://127.0.0.1:{port}", None, cloud)  # type: ignore[arg-type]  # it is in other processes
        run.await_answer(proxy.url)
        with watching(proxy) as events:
            both = events.until(lambda state: len({each["worker"] for each in state["endpoints"]}) == 2)

            # An action that one worker answers is applied in both, within a second.
            applied = act(proxy, action="drain", subaccount="eu", deployment=drained)
            events.until(lambda state: standings(state, drained) == ["drained"] * 2)
            act(proxy, action="strategy", model="gpt-4.1", strategy="weighted")
            act(proxy, action="open-circuit", subaccount="eu", deployment=opened)
            seen = events.until(lambda state: standings(state, opened) == ["open"] * 2)
            act(proxy, action="close-circuit", subaccount="eu", deployment=opened)
            events.until(lambda state: standings(state, opened) == ["ready"] * 2)

            # What breaks in any worker is seen.
            cloud.fault(broken, "500")
            with ThreadPoolExecutor(8) as pool:
                told = [*pool.map(lambda _: proxy.ask("POST", "/v1/chat/completions", ASK), range(40))]
            red = events.until(lambda state: "open" in standings(state, broken))

            # What a worker has counted outlives it, and the one that takes its place is told what lasts.
            ended = both["workers"][0]["worker"]
            os.kill(ended, signal.SIGTERM)
            assert until(lambda: standings_elsewhere(proxy, drained, ended) == ["drained"] * 2)
        assert until(lambda: requests_in_the_last_hour(proxy) == {"gpt-4.1": 40})
        state = proxy.ask("GET", "/router/state").json
        with watching(proxy) as events:
            # New settings take back what was changed, and send those who watch to the new workers.
            os.kill(run.process.pid, signal.SIGHUP)
            events.await_end()
        assert until(lambda: standings(proxy.ask("GET", "/router/state").json, drained) == ["ready"] * 2)
        with watching(proxy) as events:
            events.next()
            run.process.terminate()
            assert run.process.wait(PATIENCE) == 0

    assert applied == {"applied": 1}
    assert seen["strategies"] == {"gpt-4.1": "weighted"}
    assert {each.status for each in told} == {200}
    assert red["may_change"] is True
    assert state["strategies"] == {"gpt-4.1": "weighted"}
    assert "drain eu/" in run.said
    assert "Traceback" not in run.said
