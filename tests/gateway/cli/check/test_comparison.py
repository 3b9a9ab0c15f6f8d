"""Each deployment, compared with what it is configured for and with what it answers."""

from dataclasses import replace
from datetime import date

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.served_models import Ending
from gateway.upstream.discovery import Listed
from gateway.upstream.unreachable import Reason, Unreachable

AGAIN = (
    "deploy its model again in SAP AI Launchpad (ML Operations, Deployments) and use the new id, "
    "or remove this one from the config file"
)
ORCHESTRATION = Listed("d9", "", "RUNNING", "https://api.example/v2/inference/deployments/d9", orchestration=True)
SONNET = "anthropic--claude-4.5-sonnet"
ORCHESTRATED = {"orchestrated": lambda _: (SONNET, "gpt-5")}


@pytest.mark.parametrize(
    ("status", "runs", "what", "fix"),
    [
        (
            "",
            "",
            "does not exist in the resource group team-a",
            "correct the id or the resource group, or remove it from the config file",
        ),
        ("STOPPED", "gpt-4.1", "is STOPPED, not RUNNING", AGAIN),
        ("DEAD", "gpt-4.1", "is DEAD, not RUNNING", AGAIN),
        (
            "PENDING",
            "gpt-4.1",
            "is PENDING, not RUNNING",
            "wait until it runs, which takes some minutes, and check again",
        ),
        ("RUNNING", "gpt-4o", "serves gpt-4o", "list it under gpt-4o"),
        ("RUNNING", "", "serves no model", "remove it from the config file"),
    ],
)
def test_a_deployment_that_would_not_serve_is_wrong(made, status, runs, what, fix):
    deployments = [made.listed("d1", runs, status)] if status else [made.listed("d2")]
    report = made.report(made.settings(made.account(models={"gpt-4.1": ["d1"]})), *deployments)
    [found] = report.wrong

    assert (found.what, found.fix) == (f"gpt-4.1 (d1) {what}", fix)
    assert (found.subaccount, found.models, found.deployments) == ("eu", ("gpt-4.1",), ("d1",))
    assert [each.ok for each in report.subaccounts[0].models] == [False]
    assert (report.is_ok, report.exit_code) == (False, 1)


@pytest.mark.parametrize("status", ["", "STOPPED"])
def test_a_deployment_of_a_model_that_has_ended_is_replaced_by_its_successor(made, said, status):
    ended = Ending("gemini-2.5-pro", date(2026, 10, 16), True, "gemini-3.5-flash")
    deployments = [made.listed("d1", "gemini-2.5-pro", status)] if status else [made.listed("d2", "x")]
    given = made.settings(made.account(models={"gemini-2.5-pro": ["d1"]}))
    found = said(given, *deployments, endings=lambda *_: [ended])

    assert [(severity, fix) for severity, what, fix in found if "(d1)" in what] == [
        ("wrong", "gemini-2.5-pro ended on 2026-10-16: deploy gemini-3.5-flash in its place")
    ]
    assert not any(what == "gemini-2.5-pro ended on 2026-10-16" for _, what, _ in found)


@pytest.mark.parametrize("name", ["claude-4.5-sonnet", "4.5-sonnet", "sonnet-4.5", "sonnet", "my-claude", "CLAUDE"])
def test_another_spelling_of_the_same_model_is_well_and_told_what_it_runs(made, name):
    report = made.report(made.settings(made.account(models={name: ["d1"]})), made.listed("d1", SONNET))
    [row] = report.subaccounts[0].models

    assert report.findings == ()
    assert (row.name, row.runs, row.family, row.ok) == (name, name, "claude", True)


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("sonnet", "anthropic--claude-4.5-haiku"),
        ("4-sonnet", SONNET),
        ("my-claude", "gpt-4.1"),
        ("my-claude", ""),
        ("my-model", "gpt-4.1"),
        ("my-model", "another-model"),
    ],
)
def test_a_name_that_says_another_model_is_wrong(made, said, name, runs):
    [found] = said(made.settings(made.account(models={name: ["d1"]})), made.listed("d1", runs))

    assert found[:2] == ("wrong", f"{name} (d1) serves {runs or 'no model'}")


def test_what_is_looked_up_is_taken_for_what_it_says_it_runs(made):
    given = made.settings(made.account(models={"my-claude": ["d1"]}, discovery=True))
    opus, embedding = made.listed("d1", "anthropic--claude-3-opus"), made.listed("d2", "text-embedding-3-small")
    report = made.report(given, opus, embedding)

    assert [each.what for each in report.wrong] == ["my-claude (d1) serves anthropic--claude-3-opus"]
    assert report.subaccounts[0].models[1].protocols == ("embeddings",)


@pytest.mark.parametrize(
    ("model", "orchestration", "discovery", "found"),
    [
        ("gpt-5", True, False, None),
        ("claude-4.5-sonnet", False, True, None),
        ("claude-sonnet-4-5", True, False, None),
        ("claude", True, False, ("serves no model of this name", f"write one of {SONNET}")),
        ("sonnet", True, True, ("serves no model of this name", f"write one of {SONNET}")),
        ("gpt-5", False, False,
         ("is an orchestration deployment", 'write "orchestration": true beside its id or URL')),
        ("gpt-4.1", True, False, ("serves no model of this name", "remove it from the config file")),
    ],
)  # fmt: skip
def test_an_orchestration_deployment_that_is_listed_by_hand_is_checked(
    made, said, model, orchestration, discovery, found
):
    by_hand = made.account(models={model: ["d9"]}, discovery=discovery)
    [deployment] = by_hand.deployments[model]
    by_hand = replace(by_hand, deployments={model: (replace(deployment, orchestration=orchestration),)})
    told = said(made.settings(by_hand), ORCHESTRATION, **ORCHESTRATED)

    assert told == ([] if found is None else [("wrong", f"{model} (d9) {found[0]}", found[1])])


@pytest.mark.parametrize("discovery", [False, True])
def test_a_spelling_that_orchestration_would_be_asked_by_is_wrong_unless_its_own_is_looked_up(made, said, discovery):
    by_hand = made.account(models={"claude-9-opus": ["d9"]}, discovery=discovery)
    [deployment] = by_hand.deployments["claude-9-opus"]
    by_hand = replace(by_hand, deployments={"claude-9-opus": (replace(deployment, orchestration=True),)})
    found = said(made.settings(by_hand), ORCHESTRATION, orchestrated=lambda _: ("anthropic--claude-9-opus",))
    name = "anthropic--claude-9-opus"
    wrong = ("wrong", f"claude-9-opus (d9) is called {name} by SAP AI Core", f"list it under {name}")

    assert found == ([] if discovery else [wrong])


def test_a_deployment_of_one_model_that_is_said_to_be_orchestration_is_wrong(made, said):
    by_hand = made.account(models={"gpt-4.1": ["d1"]})
    [deployment] = by_hand.deployments["gpt-4.1"]
    by_hand = replace(by_hand, deployments={"gpt-4.1": (replace(deployment, orchestration=True),)})

    assert said(made.settings(by_hand), made.listed("d1")) == [
        ("wrong", "gpt-4.1 (d1) is not an orchestration deployment", 'remove "orchestration": true')
    ]


def test_a_deployment_that_is_listed_under_several_names_serves_each_in_its_own_row(made):
    given = made.settings(made.account(models={"sonnet": ["d1"], "claude-4.5-sonnet": ["d1"]}))
    report = made.report(given, made.listed("d1", SONNET))

    assert [(row.name, row.serves) for row in report.subaccounts[0].models] == [
        ("claude-4.5-sonnet", ("claude-4.5-sonnet",)),
        ("sonnet", ("sonnet",)),
    ]


@pytest.mark.parametrize("discovery", [False, True])
def test_what_orchestration_serves_beside_what_is_listed_by_hand_has_a_row_of_its_own(made, discovery):
    by_hand = made.account(models={"gpt-5": ["d9"]}, discovery=discovery)
    [deployment] = by_hand.deployments["gpt-5"]
    by_hand = replace(by_hand, deployments={"gpt-5": (replace(deployment, orchestration=True),)})
    report = made.report(made.settings(by_hand), ORCHESTRATION, **ORCHESTRATED)
    rest = [("orchestration", (SONNET,))] if discovery else []

    assert [(row.name, row.serves) for row in report.subaccounts[0].models] == [("gpt-5", ("gpt-5",)), *rest]
    assert report.findings == ()


FORBIDDEN = Fault(FaultKind.DEPLOYMENT_FORBIDDEN, "no", 403)


def test_what_is_wrong_with_several_deployments_is_told_once(made):
    given = made.settings(made.account(models={"gpt-4.1": ["d1", "d2"], "gpt-5": ["d3"]}))
    running = made.listed("d1"), made.listed("d2"), made.listed("d3", "gpt-5")
    [found] = made.report(given, *running, ask_nothing=lambda *_: FORBIDDEN).wrong

    assert found.what.startswith("gpt-4.1 (d1, d2), gpt-5 (d3): requests are answered with status 403: ")
    assert (found.code, found.models, found.deployments) == ("forbidden", ("gpt-4.1", "gpt-5"), ("d1", "d2", "d3"))


def test_many_deployments_are_counted_after_the_first_few(made):
    ids = [f"d{number}" for number in range(9)]
    given = made.settings(made.account(models={"gpt-4.1": ids}))
    [found] = made.report(given, *map(made.listed, ids), ask_nothing=lambda *_: FORBIDDEN).wrong

    assert found.what.startswith("gpt-4.1 (d0, d1, d2, d3, d4, d5) and 3 more: ")
    assert found.deployments == tuple(ids)


def test_a_configured_url_that_fails_is_to_be_what_is_listed(made, said):
    """The id is right, and so it is no use to say that the deployment exists."""
    given = made.settings(made.account(models={"gpt-4.1": ["d1"]}))
    listed = Listed("d1", "gpt-4.1", "RUNNING", "https://api.example/v2/inference/d1")
    gone = Fault(FaultKind.GONE, "gone", 404)

    assert said(given, listed, ask_nothing=lambda *_: gone) == [
        (
            "wrong",
            "gpt-4.1 (d1): requests are answered with status 404: its URL does not lead to a running deployment",
            "write the URL that SAP AI Core lists for it: https://api.example/v2/inference/d1",
        )
    ]


def test_a_configured_url_that_works_need_not_be_what_is_listed(made, said):
    given = made.settings(made.account(models={"gpt-4.1": ["d1"]}))

    assert said(given, Listed("d1", "gpt-4.1", "RUNNING", "https://other.example/d1")) == []


def test_a_deployment_that_is_not_reached_is_wrong(made):
    def away(*_):
        raise FaultError(Fault(FaultKind.UNREACHABLE, "", cause=Unreachable(Reason.REFUSED, "api.example:443")))

    [found] = made.report(made.settings(made.account(discovery=True)), made.listed("d1"), ask_nothing=away).wrong

    assert found.what == "gpt-4.1 (d1): api.example:443 cannot be reached: the connection was refused"


def test_a_quota_that_is_used_up_says_nothing_against_a_deployment(made):
    busy = Fault(FaultKind.RATE_LIMITED, "busy", 429)
    report = made.report(made.settings(made.account(discovery=True)), made.listed("d1"), ask_nothing=lambda *_: busy)

    assert (report.exit_code, [each.code for each in report.remarks]) == (0, ["quota"])
    assert report.subaccounts[0].models[0].ok is None


def test_a_model_that_has_ended_explains_why_its_deployment_fails(made, said):
    ended = Ending("gpt-4.1", date(2026, 10, 14), True, "gpt-5")
    given = made.settings(made.account(discovery=True))
    found = said(
        given,
        made.listed("d1"),
        ask_nothing=lambda *_: Fault(FaultKind.SERVER_ERROR, "It failed.", 500),
        endings=lambda *_: [ended],
    )

    assert found == [
        (
            "wrong",
            "gpt-4.1 (d1): requests are answered with status 500: It failed",
            "gpt-4.1 ended on 2026-10-14: deploy gpt-5 in its place",
        )
    ]
