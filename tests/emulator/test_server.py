"""The server itself: keep-alive, many at once, records that stay bounded, and the command line."""

import http.client
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from emulator import create_app, recorder, serve
from emulator.recorder import Exchange, Recorder
from tests.emulator.client import SONNET, Client, left, request
from tests.support.processes import until

ROOT = Path(__file__).resolve().parents[2]


def _connection(client):
    return http.client.HTTPConnection(client.url.removeprefix("http://"), timeout=60)


def test_one_connection_serves_whole_answers_streams_and_refusals_in_turn(eu):
    connection = _connection(eu)
    base = f"/v2/inference/deployments/{eu.deployment(SONNET)}/"
    ports = set()
    for stream, status in ((False, 200), (True, 200), (True, 400), (False, 200)):
        path, body = request("invoke", SONNET, "Hello", stream=stream)
        if status == 400:
            body["model"] = "x"
        connection.request("POST", base + path, json.dumps(body), eu.headers)
        ports.add(connection.sock.getsockname()[1])
        answer = connection.getresponse()
        assert answer.status == status
        assert answer.read()
    connection.close()

    assert len(ports) == 1


def test_a_stream_comes_piece_by_piece(eu):
    """The first words are read while the last ones are far off; and all of them take their time."""
    seat = eu.deployment(SONNET)
    with eu.post(SONNET, *request("invoke", SONNET, "scene:slow 500 scene:long 100", stream=True), stream=True) as slow:
        pieces = slow.iter_content(None)
        got = next(pieces)
        while b"word1" not in got:
            got += next(pieces)
        open_then = eu.admin("GET", "state")["in_flight"]
    left(eu, seat)
    began = time.monotonic()
    with eu.post(SONNET, *request("invoke", SONNET, "scene:slow 40 scene:long 10", stream=True), stream=True) as answer:
        whole = answer.content

    assert open_then == {seat: 1}
    assert b"word9" in whole
    assert time.monotonic() - began > 0.35


def test_a_head_and_an_unknown_path_are_answered(eu):
    assert eu.session.head(f"{eu.url}/admin/state").status_code == 200
    assert eu.get("/v2/nothing").json()["error"]["code"] == "404"


def test_many_talk_at_once(eu):
    answers, count = [], 16
    path, body = request("chat", "gpt-4.1", "scene:long 100", stream=True)

    def talk():
        with requests.Session() as session:
            url = f"{eu.url}/v2/inference/deployments/{eu.deployment('gpt-4.1')}/{path}"
            answers.extend(session.post(url, json=body, headers=eu.headers, timeout=60).content for _ in range(3))

    threads = [threading.Thread(target=talk) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 3 * count
    assert all(answer.endswith(b"data: [DONE]\n\n\n") for answer in answers)
    state = eu.admin("GET", "state")
    assert state["in_flight"] == {}
    assert len(eu.admin("GET", f"requests?deployment={eu.deployment('gpt-4.1')}")) == 3 * count


def test_requests_are_recorded_in_order_and_without_secrets(eu):
    path, body = request("invoke", SONNET, "Hello", stream=True)
    eu.new_token()
    eu.post(SONNET, path + "?a=b", body, headers={"X-Mine": "1"})

    token, inference = eu.admin("GET", "requests")[-2:]

    assert (token["kind"], token["tenant"], token["status"]) == ("token", "eu", 200)
    assert eu.key["clientsecret"] not in json.dumps(token)
    assert inference["deployment"] == eu.deployment(SONNET)
    assert (inference["method"], inference["query"], inference["status"]) == ("POST", "a=b", 200)
    assert inference["path"].endswith("/invoke-with-response-stream")
    assert inference["body"] == body
    assert inference["headers"]["x-mine"] == "1"
    assert "authorization" not in inference["headers"]
    assert inference["events_sent"] > 5
    assert inference["finished_at"] >= inference["at"]
    assert token["number"] < inference["number"]


def test_the_ring_forgets_the_oldest(monkeypatch):
    monkeypatch.setattr(recorder, "_KEPT", 5)
    ring = Recorder(lambda: 0.0)
    for number in range(20):
        ring.begin(Exchange("token", "eu", None, "POST", f"/{number}", "", {}, None, 10, 0.0))
    assert [one["path"] for one in ring.requests()] == [f"/{number}" for number in range(15, 20)]
    monkeypatch.setattr(recorder, "_KEPT_BYTES", 25)
    ring.begin(Exchange("token", "eu", None, "POST", "/20", "", {}, None, 10, 0.0))
    assert [one["path"] for one in ring.requests()] == ["/19", "/20"]
    ring.clear()
    assert ring.requests() == []
    assert ring.counts()["requests"] == 21


def test_only_this_machine_may_turn_the_switches():
    client = create_app().test_client()

    assert client.get("/admin/state", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 403
    assert client.get("/admin/state", environ_base={"REMOTE_ADDR": "::1"}).status_code == 200


def test_a_server_that_closes_takes_its_connections_with_it():
    running = serve()
    client = Client(running.url)
    client.break_(SONNET, kind="hang")
    path, body = request("invoke", SONNET, "Hello")
    failures = []

    def wait():
        with pytest.raises(requests.ConnectionError):
            client.post(SONNET, path, body)
        failures.append(1)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert until(lambda: client.admin("GET", "state")["in_flight"])
    started = time.monotonic()
    running.close()
    running.close()
    waiting.join()
    client.session.close()

    assert failures == [1]
    # A deployment that hangs does so for two minutes.
    assert time.monotonic() - started < 60


def test_the_command_says_where_it_listens():
    command = [sys.executable, "-m", "emulator", "--port", "0", "--expires-in", "60"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        client = Client(url)
        with client.session:
            form = {
                "grant_type": "client_credentials",
                "client_id": client.key["clientid"],
                "client_secret": client.key["clientsecret"],
            }
            answer = client.session.post(client.key["url"] + "/oauth/token", data=form)
        process.terminate()

    assert answer.json()["expires_in"] == 60
