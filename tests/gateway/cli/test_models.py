"""The models that a running proxy serves, as a table and for programs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from gateway.cli.models import ServedModel, ServingSubaccount, look_up, render
from gateway.cli.running_proxy import RunningProxy, RunningProxyError
from gateway.cli.terminal import Space
from tests.gateway.cli.drawn import text_of
from tests.gateway.cli.status.states import endpoint, snapshot
from tests.gateway.cli.status.test_view import COOLDOWN, OPEN

LISTED = {
    "data": [
        {"id": "gpt-5", "context_window": 400_000, "max_output_tokens": 128_000, "input_modalities": ["text", "image"]},
        {"id": "gpt-4.1", "context_window": 1_047_576, "input_modalities": ["text"], "shutdown_date": "2026-10-14"},
        {"id": "my-gpt", "input_modalities": ["text"]},
    ]
}
ENDING = {"model": "gpt-4.1", "version": None, "on": "2026-10-14", "ended": True, "successor": "gpt-5"}
ROWS = [
    endpoint("d1", worker=11),
    endpoint("d1", worker=12, **COOLDOWN),
    endpoint("d2", **OPEN),
    endpoint("d3", subaccount="us", orchestration=True),
    endpoint("d4", model="gpt-4.1", **OPEN),
]


@contextmanager
def answering(**answers: Any) -> Iterator[RunningProxy]:
    """Serve these answers, by the last part of the path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers[self.path.rpartition("/")[2]]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield RunningProxy(f"http://127.0.0.1:{server.server_port}", "sk-1")
        server.shutdown()


@pytest.fixture(scope="module")
def served() -> list[ServedModel]:
    with answering(models=LISTED, state=snapshot(ROWS, endings=[ENDING]).state) as proxy:
        return look_up(proxy)


def test_a_model_has_what_its_list_says_and_the_deployments_that_the_router_knows(served: list[ServedModel]) -> None:
    """One that only some workers leave alone is available."""
    eu, us = (
        ServingSubaccount("eu", deployments=2, available=1, orchestration=0),
        ServingSubaccount("us", 1, 1, orchestration=1),
    )

    assert served == [
        ServedModel("gpt-4.1", 1_047_576, None, ("text",), "2026-10-14", "gpt-5", (ServingSubaccount("eu", 1, 0, 0),)),
        ServedModel("gpt-5", 400_000, 128_000, ("text", "image"), None, None, (eu, us)),
        ServedModel("my-gpt", None, None, ("text",), None, None, ()),
    ]
    assert [each.is_available for each in served] == [False, True, True]
    assert json.loads(json.dumps([asdict(each) for each in served]))[1]["served_by"][0]["available"] == 1


def test_it_is_drawn_with_what_fits(served: list[ServedModel]) -> None:
    expected = """\
   model      context   output  reads        ends                      served by
─────────────────────────────────────────────────────────────────────────────────────────────────────────────────
✗  gpt-4.1  1,047,576        -  text         2026-10-14; deploy gpt-5  eu x1 (1 unavailable)
✓  gpt-5      400,000  128,000  text, image  -                         eu x2 (1 unavailable), us x1 orchestration
✓  my-gpt           -        -  text         -                         another name"""
    wide, narrow = (text_of(render(served, Space(width, None)), width) for width in (120, 80))

    assert wide == expected
    assert "reads" not in narrow
    assert "2026-10-14" in narrow
    assert max(map(len, narrow.splitlines())) <= 80


def test_orchestration_beside_deployments_of_the_model_is_counted_apart() -> None:
    rows = [endpoint("d1"), endpoint("d2"), endpoint("o1", orchestration=True)]
    with answering(models=LISTED, state=snapshot(rows).state) as proxy:
        text = text_of(render(look_up(proxy), Space(120, None)), 120)

    assert "eu x2 + x1 orchestration" in text


@pytest.mark.parametrize("state", [{}, {"endpoints": [1], "endings": []}, []])
def test_what_is_no_state_of_a_router_is_one_clear_line(state: Any) -> None:
    with (
        answering(models=LISTED, state=state) as proxy,
        pytest.raises(RunningProxyError, match="is not an SAP AI Core LLM"),
    ):
        look_up(proxy)
