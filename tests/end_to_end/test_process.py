"""The supervising process and its workers: how they start, reload, heal, and end."""

import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import COMMAND, PATIENCE, Place, Run, free_port, is_alive, new_place, until
from tests.support.running import KEY, Cloud, config_of

CHAT = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}
SLOW = {
    "model": "gpt-4.1",
    "stream": True,
    "messages": [{"role": "user", "content": "scene:slow 30 scene:long 100"}],
}
"""A stream of about three seconds."""
NEVER = {**SLOW, "messages": [{"role": "user", "content": "scene:slow 1000 scene:long 400"}]}


@dataclass
class Served:
    """A proxy in processes of its own, with an admin port."""

    place: Place
    config: dict[str, Any]
    port: int
    admin: int
    run: Run
    open: list[http.client.HTTPConnection] = field(default_factory=list)

    def ask(self, path: str, body: Any = None, port: int | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=PATIENCE)
        try:
            return told(connection, path, body)
        finally:
            connection.close()

    def operator(self, path: str) -> tuple[int, Any]:
        status, content = self.ask(path, port=self.admin)
        return status, json.loads(content) if content.startswith(b"{") else content.decode()

    def stream(self, body: Any) -> http.client.HTTPResponse:
        """Begin a stream, and read as far as its first word."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        self.open.append(connection)
        response = send(connection, "/v1/chat/completions", body)
        assert response.readline().startswith(b"data: ")
        return response

    def workers(self) -> list[dict[str, Any]]:
        return self.operator("/router/state")[1]["workers"]

    def pids(self) -> set[int]:
        return {each["worker"] for each in self.workers() if each["accepting"]}

    def reporting(self) -> set[int]:
        """The workers whose reports operators are told of."""
        return {each["worker"] for each in self.operator("/router/state")[1]["endpoints"]}

    def send(self, number: int) -> None:
        os.kill(self.run.process.pid, number)

    def rewrite(self, **changes: Any) -> None:
        self.place.write("config.json", {**self.config, **changes})


def send(connection: http.client.HTTPConnection, path: str, body: Any = None) -> http.client.HTTPResponse:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
    return connection.getresponse()


def told(connection: http.client.HTTPConnection, path: str, body: Any = None) -> tuple[int, bytes]:
    response = send(connection, path, body)
    return response.status, response.read()


@contextmanager
def serving(cloud: Cloud, folder: Path, **server: Any) -> Iterator[Served]:
    place, port, admin = new_place(folder), free_port(), free_port()
    settings = {"port": port, "admin_port": admin, "drain_seconds": PATIENCE, **server}
    config = {**config_of(cloud, {"gpt-4.1": []}), "server": settings}
    place.write("config.json", config)
    with ExitStack() as owned:
        run = owned.enter_context(place.running())
        run.await_answer(f"http://127.0.0.1:{port}")
        served = Served(place, config, port, admin, run)
        yield served
        for connection in served.open:
            connection.close()


def test_operators_are_answered_for_all_workers_while_these_can_do_nothing(shared_cloud: Cloud, tmp_path: Path) -> None:
    with serving(shared_cloud, tmp_path, workers=2) as served:
        for _ in range(6):
            assert served.ask("/v1/chat/completions", CHAT)[0] == 200
        assert until(lambda: served.operator("/ready")[0] == 200)
        assert until(lambda: len(served.pids()) == 2)
        pids = served.pids()
        assert until(lambda: pids == served.reporting())
        assert until(lambda: len(served.operator("/router/state")[1]["decisions"]) == 6)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        answers = {path: served.operator(path) for path in ("/health", "/ready", "/metrics", "/router/state")}
        took = time.monotonic() - began
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

        assert [status for status, _ in answers.values()] == [200] * 4
        assert exchanges(answers["/metrics"][1]) == 6
        assert set(re.findall(r"endpoint_available{.*} (.*)", answers["/metrics"][1])) == {"2.0"}
        assert {"worker-0", "worker-1", "supervisor"} == set(
            re.findall(r'start.*process="(.*)"', answers["/metrics"][1])
        )
        state = answers["/router/state"][1]
        assert pids == {each["worker"] for each in state["endpoints"]}
        assert [each["trail"].split()[1] for each in state["decisions"]] == ["ok"] * 6
        assert {each["worker"] for each in state["decisions"]} <= pids
        # Workers that stand still for thirty seconds are killed: nobody has waited for that.
        assert took < 20
        asked = [served.ask("/metrics")[1].decode() for _ in range(6)]
        assert {exchanges(each) for each in asked} == {6}
        assert {value for each in asked for value in re.findall(r"endpoint_available{.*} (.*)", each)} == {"2.0"}


def exchanges(metrics: str) -> int:
    found = re.findall(r"^aicore_proxy_exchanges_total{.*} (.*)$", metrics, re.MULTILINE)
    return int(sum(map(float, found)))


def test_a_reload_refuses_nothing_breaks_nothing_and_cuts_no_stream(shared_cloud: Cloud, tmp_path: Path) -> None:
    with serving(shared_cloud, tmp_path, workers=2) as served:
        assert until(lambda: len(served.pids()) == 2)
        before = served.pids()
        stream = served.stream(SLOW)
        kept = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
        served.open.append(kept)
        kept.auto_open = False
        kept.connect()
        assert told(kept, "/health")[0] == 200
        outcomes: list[int] = []
        over = threading.Event()

        def ask_all_the_time() -> None:
            while not over.is_set():
                outcomes.append(served.ask("/health")[0])

        asking = threading.Thread(target=ask_all_the_time)
        asking.start()
        try:
            served.rewrite(routing={"strategy": "weighted"})
            served.send(signal.SIGHUP)
            served.run.await_text(r"(the settings were reloaded)")
            assert until(lambda: len(served.pids()) == 2 and not served.pids() & before)
            # A connection of an old worker is answered, and told that it ends.
            response = send(kept, "/health")
            response.read()
            assert (response.status, response.getheader("Connection")) == (200, "close")
            assert served.operator("/router/state")[1]["strategies"]["gpt-4.1"] == "weighted"
        finally:
            over.set()
            asking.join()

        assert stream.read().endswith(b"data: [DONE]\n\n")
        assert set(outcomes) == {200}
        assert len(outcomes) > 5
        for connection in served.open:
            connection.close()
        assert until(lambda: not any(map(is_alive, before)))
        assert "Traceback" not in served.run.said


def test_metrics_never_fall_when_workers_go(shared_cloud: Cloud, tmp_path: Path) -> None:
    with serving(shared_cloud, tmp_path) as served:
        for _ in range(3):
            served.ask("/v1/chat/completions", CHAT)
            before = served.pids()
            served.send(signal.SIGHUP)
            assert until(lambda before=before: served.pids() and not served.pids() & before)
        assert until(lambda: len(served.workers()) == 1)

        assert exchanges(served.operator("/metrics")[1]) == 3
        assert exchanges(served.ask("/metrics")[1].decode()) == 3


def test_what_a_reload_cannot_change_is_said(shared_cloud: Cloud, tmp_path: Path) -> None:
    with serving(shared_cloud, tmp_path) as served:
        before = served.pids()
        served.rewrite(server={"port": free_port(), "admin_port": free_port(), "workers": 2})
        served.send(signal.SIGHUP)

        assert until(lambda: len(served.pids() - before) == 2)
        assert "host and port stay 127.0.0.1" in served.run.said
        assert "admin_port stay as they are" in served.run.said


def test_a_worker_that_is_killed_is_replaced_and_what_it_counted_stays(shared_cloud: Cloud, tmp_path: Path) -> None:
    with serving(shared_cloud, tmp_path) as served:
        served.ask("/v1/chat/completions", CHAT)
        for _ in range(2):
            [pid] = served.pids()
            os.kill(pid, signal.SIGKILL)
            assert until(lambda pid=pid: served.pids() - {pid})

        assert served.ask("/health")[0] == 200
        assert exchanges(metrics := served.operator("/metrics")[1]) == 1
        assert "\naicore_proxy_worker_restarts_total 2.0\n" in metrics
        assert served.run.said.count("ended unexpectedly with SIGKILL; a new worker replaces it") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_an_idle_proxy_ends_soon_with_one_line(shared_cloud: Cloud, tmp_path: Path, number: int) -> None:
    with serving(shared_cloud, tmp_path, workers=4) as served, ExitStack() as owned:
        assert until(lambda: len(served.pids()) == 4)
        owned.enter_context(socket.create_connection(("127.0.0.1", served.port)))
        lines = len(served.run.said.splitlines())
        began = time.monotonic()
        served.send(number)

        assert served.run.process.wait(PATIENCE) == 0
        # Half a second for idle connections, and the rest for a slow machine; a drain to its end takes a minute.
        assert time.monotonic() - began < PATIENCE / 2
        # What is served may be told as late as now, and is no part of the end.
        said = [line for line in served.run.said.splitlines()[lines:] if " sap_ai_proxy.server " in line]
        assert [line for line in said if " served from " not in line] == said[-1:]
        assert served.run.said.endswith("INFO sap_ai_proxy.server stopped\n")


def test_a_proxy_that_ends_says_so_to_operators_first_and_takes_requests_meanwhile(
    shared_cloud: Cloud, tmp_path: Path
) -> None:
    with serving(shared_cloud, tmp_path, drain_delay=6) as served:
        assert until(lambda: served.operator("/ready")[0] == 200)
        served.send(signal.SIGTERM)
        assert until(lambda: served.operator("/ready") == (503, {"status": "draining"}))

        assert served.ask("/ready") == (503, b'{"status":"draining"}')
        assert served.ask("/v1/chat/completions", CHAT)[0] == 200
        assert served.run.process.wait(PATIENCE) == 0


def test_ctrl_c_says_how_many_requests_it_waits_for_and_a_second_one_ends_at_once(
    shared_cloud: Cloud, tmp_path: Path
) -> None:
    with serving(shared_cloud, tmp_path, drain_seconds=600) as served:
        served.stream(NEVER)
        children = served.pids()
        served.send(signal.SIGINT)
        said = served.run.await_text(r"(waiting up to 600 s for 1 open request; press Ctrl-C again to stop at once)")
        served.send(signal.SIGINT)

        assert said
        assert served.run.process.wait(PATIENCE) == 130
        assert until(lambda: not any(map(is_alive, children)))


def test_requests_that_outlast_the_drain_do_not_hold_the_proxy(shared_cloud: Cloud, tmp_path: Path) -> None:
    with serving(shared_cloud, tmp_path, drain_seconds=1) as served:
        served.stream(NEVER)
        began = time.monotonic()
        served.send(signal.SIGTERM)

        assert served.run.process.wait(PATIENCE) == 0
        assert time.monotonic() - began >= 1
        assert "1 requests were still open and are cancelled" in served.run.said


def test_workers_end_when_their_supervisor_is_killed_and_leave_no_folder(shared_cloud: Cloud, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    place = new_place(tmp_path)
    port = free_port()
    place.write("config.json", {**config_of(shared_cloud, {"gpt-4.1": []}), "port": port})
    with place.running(command=("env", f"TMPDIR={temporary}", *COMMAND)) as run:
        run.await_answer(f"http://127.0.0.1:{port}")
        [worker] = run.children()
        [folder] = temporary.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        run.process.kill()

        assert until(lambda: not is_alive(worker))
        assert list(temporary.iterdir()) == []


def test_a_proxy_that_cannot_create_its_application_says_why_and_ends(shared_cloud: Cloud, tmp_path: Path) -> None:
    place = new_place(tmp_path)
    place.write("broken.py", "def extend(router):\n    raise RuntimeError('no such luck')\n")
    config = config_of(shared_cloud, {"gpt-4.1": []})
    place.write("config.json", {**config, "port": free_port(), "extensions": ["broken"]})
    ended = place.run()

    assert ended.returncode == 1
    assert "a worker process failed: RuntimeError: no such luck" in ended.stderr
    assert "the proxy cannot start" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reload_that_fails_leaves_the_old_workers_at_work(shared_cloud: Cloud, tmp_path: Path) -> None:
    with serving(shared_cloud, tmp_path) as served:
        before = served.pids()
        served.place.write("broken.py", "def extend(router):\n    raise RuntimeError('no such luck')\n")
        served.rewrite(extensions=["broken"])
        served.send(signal.SIGHUP)
        served.run.await_text(r"(the settings are unchanged: worker \d+ ended with exit code 3)")

        assert before == served.pids()
        assert served.ask("/health")[0] == 200
        # A later one that is sound is taken.
        served.rewrite(routing={"strategy": "weighted"})
        served.send(signal.SIGHUP)
        assert until(lambda: served.pids() and not served.pids() & before)


def test_an_admin_port_that_is_taken_is_told(shared_cloud: Cloud, tmp_path: Path) -> None:
    place = new_place(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = config_of(shared_cloud, {"gpt-4.1": []})
        place.write("config.json", {**config, "server": {"port": free_port(), "admin_port": port}})
        ended = place.run()

    assert ended.returncode == 2
    assert f"sap-ai-proxy: cannot listen on 127.0.0.1:{port}: Address already in use." in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_body_that_stalls_or_is_cut_short_reaches_no_model(shared_cloud: Cloud, tmp_path: Path) -> None:
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nContent-Length: 5000\r\n\r\n"
        '{"model": "gpt-4.1"}'
    ).encode()
    shared_cloud.forget()
    with serving(shared_cloud, tmp_path, body_timeout=0.5) as served:
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE) as stalled:
            stalled.sendall(head)
            answer = b"".join(iter(lambda: stalled.recv(65536), b""))
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE) as cut:
            cut.sendall(head)
        said = served.run.await_text(r"(outcome=caller_left .*client=anthropic-messages)")

    assert answer.startswith(b"HTTP/1.1 408 REQUEST TIMEOUT\r\n")
    assert b'"type":"error"' in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert said
    assert shared_cloud.requests() == []


def test_a_limit_of_open_files_that_is_too_low_lowers_the_connections_and_is_said(
    shared_cloud: Cloud, tmp_path: Path
) -> None:
    place, port = new_place(tmp_path), free_port()
    place.write("config.json", {**config_of(shared_cloud, {"gpt-4.1": []}), "port": port})
    with place.running(command=("sh", "-c", f"ulimit -n 300; exec {COMMAND[0]}")) as run:
        run.await_answer(f"http://127.0.0.1:{port}")

        assert "at most 78 connections are accepted, not 4096: a process may have 300 open files" in run.said
