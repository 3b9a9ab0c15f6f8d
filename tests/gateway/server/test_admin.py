"""The admin listener, in a loop of the test's own."""

import os
import selectors
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.config.caller_keys import CallerKey, digest_of, unnamed_key
from gateway.http.auth import Auth
from gateway.http.cors import KeylessAccess
from gateway.observability.activity import Activity
from gateway.router_state import router_state
from gateway.server.admin import AdminListener, Operations
from gateway.server.process_table import ProcessTable
from gateway.server.status_board import StatusBoard
from routing.load_balancer import LoadBalancer
from tests.gateway.server.serving import PATIENCE, Client, HttpAnswer
from tests.routing.scenes import endpoint
from tests.support.processes import until

EU = endpoint("eu", "d1", "m")


class Admin:
    def __init__(self, board: StatusBoard, keys: Iterable[CallerKey] = (), *, any_name: bool = False) -> None:
        self.selector = selectors.DefaultSelector()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.now = 0.0
        self.listener = AdminListener(
            listener,
            self.selector,
            Operations(board, Auth(keys), KeylessAccess("ops.example", any_name=any_name)),
            lambda: self.now,
        )
        self.clients: list[Client] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            for key, _ in self.selector.select(0.01):
                key.data()
            self.listener.close_late()

    @property
    def open_connections(self) -> int:
        """How many the listener waits for, beside new ones."""
        return len(self.selector.get_map()) - 1

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self._over.set()
        self._thread.join()
        self.listener.close()
        self.selector.close()

    def connect(self) -> Client:
        client = Client(socket.create_connection(("127.0.0.1", self.port), PATIENCE))
        self.clients.append(client)
        return client

    def ask(self, path: str, more: str = "", method: str = "GET", host: str = "localhost") -> HttpAnswer:
        client = self.connect()
        client.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
        told = client.hear()
        assert client.is_over()
        return told


@pytest.fixture
def board(tmp_path: Path) -> StatusBoard:
    board = StatusBoard.create(ProcessTable(), [tmp_path])
    row = board.table.take_row(os.getpid())
    row.accepting = row.ready = True
    board.publish_readiness({"subaccounts": {"eu": "ok"}})
    board.publish_state(router_state(LoadBalancer({EU.model: [EU]}).snapshot(), [], Activity(), 0.0, 0.0))
    return board


@pytest.fixture
def admin(board: StatusBoard) -> Iterator[Admin]:
    admin = Admin(board)
    yield admin
    admin.close()


def test_operators_are_answered(admin: Admin, board: StatusBoard) -> None:
    ready, state, metrics = admin.ask("/ready"), admin.ask("/router/state"), admin.ask("/metrics")

    assert ((told := admin.ask("/health")).status, told.json) == (200, {"status": "alive"})
    assert (ready.status, ready.json) == (200, {"status": "ready", "subaccounts": {"eu": "ok"}})
    assert [(each["deployment"], each["worker"]) for each in state.json["endpoints"]] == [("d1", os.getpid())]
    assert (metrics.status, metrics.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'aicore_proxy_endpoint_available{deployment="d1",model="m",subaccount="eu"} 1.0\n' in metrics.body
    board.table.draining = True
    assert ((told := admin.ask("/ready")).status, told.json) == (503, {"status": "draining"})


def test_a_state_that_makes_no_sense_costs_one_answer_and_not_the_process(
    admin: Admin, board: StatusBoard, caplog: pytest.LogCaptureFixture
) -> None:
    board.publish_state({"endpoints": [{"deployment": "d1"}]})

    assert [admin.ask(path).status for path in ("/metrics", "/router/state")] == [503, 200]
    assert [record.getMessage() for record in caplog.records] == ["an operator's request for /metrics failed"]


def test_without_a_folder_metrics_are_asked_of_the_workers() -> None:
    admin = Admin(StatusBoard(ProcessTable(), None))
    told = admin.ask("/metrics")
    admin.close()

    assert told.status == 503
    assert "main port" in told.json["error"]["message"]


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/", "GET", 404), ("/ready?x=1", "GET", 200), ("/ready", "POST", 405)]
)
def test_other_requests_are_told_what_there_is(admin: Admin, path: str, method: str, status: int) -> None:
    assert status == admin.ask(path, method=method).status


def test_head_has_no_content(admin: Admin) -> None:
    client = admin.connect()
    client.send(b"HEAD /health HTTP/1.1\r\n\r\n")

    assert client.file.read().endswith(
        b"Content-Length: 18\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize("asked", [b"nonsense\r\n\r\n", b"GET http://[ HTTP/1.1\r\n\r\n", b"x" * 40_000])
def test_what_is_no_request_is_refused(admin: Admin, asked: bytes) -> None:
    client = admin.connect()
    client.send(asked)

    assert client.hear().status == 400


def test_where_keys_are_wanted_health_and_readiness_want_none(board: StatusBoard) -> None:
    admin = Admin(board, [unnamed_key("sk-1")])
    key = "Authorization: Bearer sk-1\r\n"
    told = {path: (admin.ask(path).status, admin.ask(path, key).status) for path in ("/health", "/ready", "/metrics")}
    state = [admin.ask("/router/state").status, admin.ask("/router/state?key=sk-1").status]
    admin.close()

    assert told == {"/health": (200, 200), "/ready": (200, 200), "/metrics": (401, 200)}
    assert state == [401, 200]


def test_beyond_this_machine_the_state_is_for_admin_keys_once_there_is_one(board: StatusBoard) -> None:
    admin = Admin(board, [unnamed_key("sk-1"), CallerKey("root", digest_of("sk-root"), is_admin=True)])
    refusal = admin.ask("/router/state?key=sk-1")
    statuses = {key: admin.ask("/metrics", f"x-api-key: {key}\r\n").status for key in ("sk-1", "sk-root", "sk-2")}
    admin.close()

    assert statuses == {"sk-1": 403, "sk-root": 200, "sk-2": 401}
    assert (refusal.status, refusal.json["error"]["message"].partition(":")[0]) == (403, "This needs an admin key")


def test_many_wrong_keys_are_slowed_down_on_the_admin_port_too(board: StatusBoard) -> None:
    admin = Admin(board, [unnamed_key("sk-1")])
    wrong = [admin.ask(f"/metrics?key=sk-wrong-{number}") for number in range(11)]
    right = admin.ask("/metrics?key=sk-1")
    admin.close()

    assert [each.status for each in wrong] == [401] * 10 + [429]
    assert 1 <= int(wrong[-1].headers["retry-after"]) <= 60
    assert right.status == 200


def test_a_header_with_underscores_is_no_key_on_the_admin_port(board: StatusBoard) -> None:
    admin = Admin(board, [unnamed_key("sk-1")])
    statuses = [admin.ask("/metrics", f"{name}: sk-1\r\n").status for name in ("x_api_key", "x-api-key")]
    admin.close()

    assert statuses == [401, 200]


@pytest.mark.parametrize(
    ("host", "status"), [("rebound.example:3002", 401), ("127.0.0.1:3002", 200), ("ops.example:3002", 200)]
)
def test_where_no_key_is_wanted_the_state_is_not_for_pages_of_other_names(admin: Admin, host: str, status: int) -> None:
    told = {path: admin.ask(path, host=host).status for path in ("/health", "/ready", "/metrics", "/router/state")}

    assert told == {"/health": 200, "/ready": 200, "/metrics": status, "/router/state": status}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_where_no_key_is_wanted_no_path_is_for_pages_of_other_sites(admin: Admin, site: str) -> None:
    sent = f"Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: navigate\r\n"
    told = {admin.ask(path, sent).status for path in ("/health", "/ready", "/metrics", "/router/state")}

    assert told == {401}


def test_where_everybody_is_let_in_on_purpose_any_name_will_do(board: StatusBoard) -> None:
    admin = Admin(board, any_name=True)
    told = admin.ask("/metrics", host="proxy.internal:3002").status
    admin.close()

    assert told == 200


def test_clients_that_are_slow_or_many_hinder_nobody(admin: Admin) -> None:
    """Time stands still, so that none of them is given up meanwhile."""
    half = [admin.connect() for _ in range(100)]
    for client in half:
        with suppress(ConnectionError):
            client.send(b"GET /health HTTP/1.1\r\n")

    assert admin.ask("/health").status == 200
    assert all(client.is_over() for client in half[:36])
    assert admin.open_connections > 0
    admin.now = 6.0
    assert all(client.is_over() for client in half)
    assert admin.open_connections == 0


def test_a_client_that_leaves_is_forgotten(admin: Admin) -> None:
    for data in (b"", b"GET /hea"):
        client = admin.connect()
        client.send(data)
        assert until(lambda: admin.open_connections == 1)
        client.close()
        assert until(lambda: admin.open_connections == 0)


def test_a_child_closes_what_it_has_inherited_and_the_parent_goes_on(admin: Admin) -> None:
    waiting = admin.connect()
    assert until(lambda: admin.open_connections == 1)
    pid = os.fork()
    if not pid:
        admin.listener.close_in_child()
        descriptors = [key.fileobj.fileno() for key in admin.selector.get_map().values()]
        os._exit(0 if descriptors == [-1, -1] else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    waiting.send(b"GET /health HTTP/1.1\r\n\r\n")
    assert waiting.hear().status == 200
