"""More than one process behind one port."""

import json
import os
import re
import signal
import socket
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, SCRIPT, Run, free_port, is_alive, new_place, until
from tests.support.running import Cloud, Proxy, config_of


def workers(run: Run) -> list[int]:
    return [pid for pid in run.children() if is_alive(pid)]


def test_two_workers_answer_on_one_port_and_end_together(shared_cloud: Cloud, tmp_path: Path) -> None:
    place, port = new_place(tmp_path), free_port()
    place.write("config.json", config_of(shared_cloud, {"gpt-4.1": []}))
    ask = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}
    with place.running("--workers", "2", "--port", str(port)) as run:
        url = f"http://127.0.0.1:{port}"
        run.await_answer(url)
        proxy = Proxy(url, None, shared_cloud)  # type: ignore[arg-type]  # it is in other processes
        assert until(lambda: len(workers(run)) == 2)
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda _: proxy.ask("POST", "/v1/chat/completions", ask), range(16)))
        streamed = proxy.ask("POST", "/v1/chat/completions", {**ask, "stream": True})
        children = workers(run)
        run.process.terminate()

        assert run.process.wait(PATIENCE) == 0
        assert until(lambda: not any(map(is_alive, children)))

    assert [each.status for each in told] == [200] * 16
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    assert "Traceback" not in run.said


IMPATIENT = """
import gateway.server.supervisor as supervisor
supervisor._MOST_MISSED = 4
from proxy_server import main
main()
"""


def test_a_worker_that_stands_still_is_replaced(shared_cloud: Cloud, tmp_path: Path) -> None:
    place, port = new_place(tmp_path), free_port()
    place.write("config.json", config_of(shared_cloud, {"gpt-4.1": []}))
    (tmp_path / "impatient.py").write_text(IMPATIENT)
    with place.running("--port", str(port), command=(sys.executable, str(tmp_path / "impatient.py"))) as run:
        run.await_answer(f"http://127.0.0.1:{port}")
        [hung] = workers(run)
        os.kill(hung, signal.SIGSTOP)
        assert until(lambda: hung not in workers(run))

        run.await_answer(f"http://127.0.0.1:{port}")
        assert f"worker {hung} has not responded" in run.said


SPAWNING = """
import multiprocessing, sys
if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    from proxy_server import main
    main()
"""
"""The command where workers are spawned, as on macOS."""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_nothing_is_imported_from_the_current_folder(shared_cloud: Cloud, tmp_path: Path, method: str) -> None:
    """Neither by name nor by being found before what is installed, or before Python's own modules."""
    place, port = new_place(tmp_path), free_port()
    for name in ("proxy_server", "gateway", "flask", "orjson", "multiprocessing", "pickle", "json", "sitecustomize"):
        place.write(f"{name}.py", f"open('imported-{name}', 'w').close()")
    place.write("config.json", config_of(shared_cloud, {"gpt-4.1": []}))
    (tmp_path / "main.py").write_text(SPAWNING.replace("spawn", method))
    with place.running("--port", str(port), command=(sys.executable, str(tmp_path / "main.py"))) as run:
        run.await_answer(f"http://127.0.0.1:{port}")

    assert [*place.folder.glob("imported-*")] == []


@pytest.mark.parametrize("moment", ["loading", "idle"])
def test_ctrl_c_which_reaches_every_process_ends_them_at_once(shared_cloud: Cloud, tmp_path: Path, moment: str) -> None:
    place, port = new_place(tmp_path), free_port()
    place.write("config.json", config_of(shared_cloud, {"gpt-4.1": []}))
    with place.running("--workers", "2", "--port", str(port)) as run:
        assert until(lambda: len(workers(run)) == 2)
        if moment == "idle":
            run.await_answer(f"http://127.0.0.1:{port}")
        processes = [run.process.pid, *workers(run)]
        for pid in processes:
            os.kill(pid, signal.SIGINT)

        # A worker that does not end is killed after thirty seconds.
        assert run.process.wait(25) == 0, run.said
        assert until(lambda: not any(map(is_alive, processes)))
        assert "Traceback" not in run.said


def test_connections_that_wait_shut_nobody_out(shared_cloud: Cloud, tmp_path: Path) -> None:
    place, port = new_place(tmp_path), free_port()
    place.write("config.json", {**config_of(shared_cloud, {"gpt-4.1": []}), "server": {"threads": 2}})
    with ExitStack() as connections, place.running("--port", str(port)) as run:
        run.await_answer(f"http://127.0.0.1:{port}")
        for beginning in (b"", b"GET /health HTTP/1.1\r\nX-A: ", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"):
            for _ in range(4):
                connection = connections.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
                connection.sendall(beginning)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as answer:
            status = answer.status

    assert status == 200


def test_every_exchange_is_one_line_of_the_log_and_no_line_holds_a_word_of_it(
    shared_cloud: Cloud, tmp_path: Path
) -> None:
    """What a user sees on the terminal, at the level that shows most."""
    place, port = new_place(tmp_path), free_port()
    config = config_of(shared_cloud, {"gpt-4.1": []})
    place.write("config.json", config)
    with place.running("--port", str(port), "--debug") as run:
        url = f"http://127.0.0.1:{port}"
        run.await_answer(url)
        proxy = Proxy(url, None, shared_cloud)  # type: ignore[arg-type]  # it is in another process
        for stream in (False, True):
            said = [{"role": "user", "content": "my-private-words"}]
            proxy.ask("POST", "/v1/chat/completions", {"model": "gpt-4.1", "stream": stream, "messages": said})
        assert until(lambda: len(re.findall(r" 200 gpt-4\.1 .* id=", run.said)) == 2)

    keys = [account["service_key"] for account in config["subAccounts"].values()]
    secrets = [key[name] for key in keys for name in ("clientid", "clientsecret", "url")]
    for secret in (*secrets, "my-private-words", "sk-demo", shared_cloud.url, "eyJ"):
        assert secret not in run.said.replace(url, ""), json.dumps(secret)


def test_the_config_file_is_read_anew_on_a_signal_and_one_with_a_mistake_is_not_taken(
    shared_cloud: Cloud, tmp_path: Path
) -> None:
    place, port = new_place(tmp_path), free_port()
    config = config_of(shared_cloud, {"gpt-4.1": []})
    place.write("config.json", config)
    with place.running("--port", str(port), command=SCRIPT) as run:
        url = f"http://127.0.0.1:{port}"
        run.await_answer(url)
        proxy = Proxy(url, None, shared_cloud)  # type: ignore[arg-type]  # it is in other processes

        def strategy() -> str:
            return proxy.ask("GET", "/router/state").json["strategies"]["gpt-4.1"]

        before = strategy()
        place.write("config.json", {**config, "routing": {"strategy": "weighted"}})
        os.kill(run.process.pid, signal.SIGHUP)
        assert until(lambda: strategy() == "weighted")
        place.write("config.json", {**config, "routing": {"strategy": "best"}})
        os.kill(run.process.pid, signal.SIGHUP)
        told = run.await_text(r"settings are unchanged: config\.json: (routing\.strategy: 'best' is not a strategy)")

        assert before == "round-robin"
        # The worker that came first may answer until it has ended.
        assert until(lambda: {strategy() for _ in range(10)} == {"weighted"})
        assert "Traceback" not in run.said
        assert told == "routing.strategy: 'best' is not a strategy"
