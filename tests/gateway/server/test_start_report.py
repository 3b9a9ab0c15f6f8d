"""One line about what is served, once that is known."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from gateway.server.start_report import StartReport

CLAUDE, GPT = "anthropic--claude-4.6-sonnet", "gpt-5.5"
KNOWN, LATEST = 4.0, 15.0


def endpoint(where: str, model: str = GPT, standing: str = "ready", why: str = "", worker: int = 1) -> dict[str, Any]:
    subaccount, _, deployment = where.partition("/")
    return {
        "subaccount": subaccount, "deployment": deployment, "model": model, "standing": standing, "why": why,
        "worker": worker,
    }  # fmt: skip


class Said:
    """What a report says, and when."""

    def __init__(self, log: pytest.LogCaptureFixture, subaccounts: Mapping[str, str], *endpoints: Any) -> None:
        log.set_level(logging.INFO, "sap_ai_proxy.server")
        self.log = log
        self.subaccounts = dict(subaccounts)
        self.report = StartReport(lambda: {"subaccounts": self.subaccounts, "endpoints": endpoints})

    def at(self, *moments: float, serving: bool = True) -> list[tuple[str, str]]:
        over = [self.report.look(moment, serving=serving) for moment in moments]
        said = [(record.levelname, record.getMessage()) for record in self.log.records]
        assert any(over) is bool(said) or not self.subaccounts
        return said


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    return caplog


def test_what_is_served_is_said_once_whatever_the_number_of_workers(log: pytest.LogCaptureFixture) -> None:
    rows = [
        endpoint(place, model, worker=worker)
        for worker in (1, 2)
        for place, model in (("eu/d1", GPT), ("us/d2", GPT), ("us/d3", CLAUDE), ("us/d4", "text-embedding-3-small"))
    ]
    said = Said(log, {"eu": "ok", "us": "ok"}, *rows).at(0, KNOWN)

    line = f"3 models are served from eu and us (claude: {CLAUDE}; embeddings: text-embedding-3-small; gpt: {GPT})"
    assert said == [("INFO", line)]


def test_nothing_is_said_before_deployments_can_have_been_listed(log: pytest.LogCaptureFixture) -> None:
    said = Said(log, {"eu": "ok"}, endpoint("eu/d1"))

    assert said.at(0, 100, serving=False) == []
    assert said.at(100, 100 + KNOWN - 0.1) == []
    assert len(said.at(100 + KNOWN)) == 1


def test_a_token_that_takes_its_time_is_awaited_but_not_for_ever(log: pytest.LogCaptureFixture) -> None:
    said = Said(log, {"eu": "no token yet"}, endpoint("eu/d1"))

    assert said.at(0, KNOWN, LATEST - 0.1) == []
    assert said.at(LATEST) == [
        ("WARNING", "no model is served. Problems: eu: no token yet. Run `sap-ai-proxy check` for advice")
    ]


def test_a_subaccount_whose_key_is_refused_is_amiss_and_serves_nothing(log: pytest.LogCaptureFixture) -> None:
    subaccounts = {"eu": "ok", "us": "no token: The service key was refused (401)."}
    [(level, line)] = Said(log, subaccounts, endpoint("eu/d1"), endpoint("us/d2", CLAUDE)).at(0, KNOWN)

    assert level == "WARNING"
    assert line == (
        f"1 model is served from eu (gpt: {GPT}). Problems: us: no token: The service key was refused (401). "
        "Run `sap-ai-proxy check` for advice"
    )


def test_a_subaccount_that_cannot_be_listed_serves_what_is_configured_and_is_amiss(
    log: pytest.LogCaptureFixture,
) -> None:
    subaccounts = {"eu": "its deployments could not be listed yet"}
    [(level, line)] = Said(log, subaccounts, endpoint("eu/d1")).at(0, KNOWN)

    assert level == "WARNING"
    assert line.startswith(f"1 model is served from eu (gpt: {GPT}). Problems: eu: its deployments could not be listed")


def test_deployments_that_do_not_run_are_named_a_few_of_many(log: pytest.LogCaptureFixture) -> None:
    why = "the deployment's status is STOPPED"
    gone = [endpoint(f"eu/g{number}", CLAUDE, "gone", why) for number in range(5)]
    [(level, line)] = Said(log, {"eu": "ok"}, endpoint("eu/d1"), *gone).at(0, KNOWN)

    assert level == "WARNING"
    assert f"Problems: {CLAUDE} (eu/g0): {why}, {CLAUDE} (eu/g1): {why} and 3 more. Run `sap-ai-proxy check`" in line
    assert line.startswith(f"1 model is served from eu (gpt: {GPT}). ")


def test_where_nothing_is_deployed_that_is_said(log: pytest.LogCaptureFixture) -> None:
    assert Said(log, {"eu": "ok"}).at(0, KNOWN) == [
        ("WARNING", "no model is served. Problems: eu: no deployment is known. Run `sap-ai-proxy check` for advice")
    ]


def test_a_subaccount_in_which_nothing_runs_is_amiss_beside_one_that_serves(log: pytest.LogCaptureFixture) -> None:
    [(level, line)] = Said(log, {"eu": "ok", "us": "ok"}, endpoint("eu/d1")).at(0, KNOWN)

    assert level == "WARNING"
    assert line.startswith(f"1 model is served from eu (gpt: {GPT}). Problems: us: no deployment is known. Run `")


def test_where_workers_cannot_tell_what_they_know_nothing_is_made_up(log: pytest.LogCaptureFixture) -> None:
    said = Said(log, {})

    assert said.at(0, KNOWN, LATEST - 0.1) == []
    assert said.report.look(LATEST, serving=True)
    assert log.records == []
