"""What docs/stability.md lists as public is what there is: no more, and nothing that has left unnoticed."""

import ast
import os
import re
from collections.abc import Iterable
from dataclasses import replace

from prometheus_client import CollectorRegistry

import proxy_server
import routing
from dialects.core.conversation import JSON, Usage
from dialects.core.faults import FaultKind
from dialects.registry import CLIENTS, request_id_headers
from gateway.cli.main import cli
from gateway.observability.activity import Activity
from gateway.observability.gauges import Gauges
from gateway.observability.metrics import DroppedLines, ExchangeRecord, MetricsObserver, RoutingObserver
from gateway.router_state import router_state
from gateway.server.process_table import ProcessTable
from gateway.server.status_board import StatusBoard
from routing.endpoint import Endpoint
from routing.events import Circuit, CircuitChanged, CooldownStarted, OutcomeRecorded, Transition
from routing.load_balancer import LoadBalancer
from tests.support.sources import LAYERS, ROOT, files, tree_of

PAGE = (ROOT / "docs/stability.md").read_text(encoding="utf-8")
EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-4.1")
RECORD = ExchangeRecord(
    id="abc", caller="0a1b2c3d", client="openai-chat", requested="gpt-4o", model="gpt-4.1", dropped=("seed",),
    attempts=1, reasons=("round-robin",), first_content=0.1, overhead=0.004, usage=Usage(fresh_input=6, output=2),
)  # fmt: skip


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def paragraph(start: str) -> str:
    """The paragraph that begins so, or the one behind it where that is all the line says."""
    return PAGE.partition(f"\n{start}")[2].lstrip("\n").partition("\n\n")[0]


def rows(section: str) -> list[list[list[str]]]:
    """The table of a section: of each row, the names in each of its cells."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[quoted(cell) for cell in line.strip("|").split("|")] for line in lines]


def words(names: Iterable[str]) -> list[str]:
    return sorted(names, key=str.lower)


def test_all_that_routing_exports_is_listed() -> None:
    assert quoted(paragraph("From `routing`, importable without Flask and requests:")) == words(routing.__all__)


def test_all_that_proxy_server_exports_is_listed() -> None:
    assert quoted(paragraph("From `proxy_server`:")) == words(proxy_server.__all__)


def test_all_that_proxy_helpers_defines_is_listed() -> None:
    defined = [node.name for node in tree_of(ROOT / "proxy_helpers.py").body if isinstance(node, ast.ClassDef)]
    classes = [name for name in defined if not name.startswith("_")]

    assert quoted(paragraph("From `proxy_helpers`:"))[: len(classes)] == words(classes)


def test_all_commands_are_listed() -> None:
    said = paragraph("## The command")

    assert quoted(said)[1:-1] == words(cli.commands)


def test_all_headers_of_an_answer_are_listed() -> None:
    listed = [name for row in rows("HTTP") for name in row[0]]
    sources = (path.read_text(encoding="utf-8") for path in files(*LAYERS))
    written = {name for source in sources for name in re.findall(r"\"(x-proxy-[a-z]+)\"", source)}
    ids = {name for client in CLIENTS for name in request_id_headers(client, "abc")}

    assert words(listed) == words(written | ids)


def state_of_one_worker() -> JSON:
    """A state in which every gauge has a value."""
    balancer = LoadBalancer({EU.model: [EU]})
    balancer.apply(CooldownStarted(EU, EU, 60.0, FaultKind.RATE_LIMITED))
    [row] = router_state(balancer.snapshot(), [], Activity(), 0.0, 1.0)["endpoints"]
    place = {"used": 1, "most": 2}
    saturation = dict.fromkeys(("requests", "waiting", "memory", "connections"), place)
    saturation["streams"] = {"used": 1, "most": None}
    credentials = {"eu": {"token_until": 1.0, "fault": "no_token", "certificate_until": 1.0}}
    endings = [{"model": EU.model, "on": "2026-10-14"}]
    return {
        "endings": endings,
        "subaccounts": {"eu": "ok"},
        "endpoints": [row],
        "saturation": saturation,
        "credentials": credentials,
    }


def test_all_metrics_are_listed_with_their_labels() -> None:
    registry = CollectorRegistry()
    observer_of_exchanges = MetricsObserver(registry)
    for record in (RECORD, replace(RECORD, attempts=2)):
        observer_of_exchanges.over(record)
    DroppedLines(registry).count(1)
    observer = RoutingObserver(registry)
    for event in (
        CircuitChanged(EU, Transition(Circuit.CLOSED, Circuit.OPEN, 10.0)),
        CooldownStarted(EU, "eu", 5.0, FaultKind.RATE_LIMITED),
        OutcomeRecorded(EU, None, 0.2),
    ):
        observer.heard(event)
    registry.register(Gauges(state_of_one_worker()))
    counted = {}
    for metric in registry.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        counted[name] = {label for sample in metric.samples for label in sample.labels} - {"le"}

    assert {name: set(labels) for names, labels in rows("Metrics") for name in names} == counted


def test_all_fields_of_the_routers_state_are_listed() -> None:
    activity, board = Activity(lambda: 1.0), StatusBoard(ProcessTable(), None)
    activity.over(RECORD)
    board.record_state(router_state(LoadBalancer({EU.model: [EU]}).snapshot(), [], activity, 0.0, 1.0))
    board.table.take_row(os.getpid())
    state = board.router_state()
    told = [state, state["endpoints"][0], state["decisions"][0], state["workers"][0]]

    assert [sorted(fields) for _, fields in rows("`/router/state`")] == [sorted(each) for each in told]
