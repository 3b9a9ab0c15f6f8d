"""What a report comes to, and how it is written for programs."""

import pytest

from gateway.cli.check.report import (
    Answer,
    DeploymentRow,
    ModelRow,
    Report,
    SubaccountRow,
    in_order,
    remark,
    wrong,
)

ODD = remark("setting", "", "port: odd")
STOPPED = wrong("not_running", "eu", "gpt-5 (d1) is STOPPED", "deploy it", models=("gpt-5",), deployments=("d1",))


def row(*states, serves=("gpt-5",)):
    deployments = tuple(DeploymentRow(f"d{number}", "RUNNING", ok) for number, ok in enumerate(states, 1))
    return ModelRow("gpt-5", "gpt-5", "openai", ("openai-chat",), deployments, serves)


def account(name="eu", *models):
    return SubaccountRow(name, "default", models, ok=True)


@pytest.mark.parametrize(
    ("findings", "says", "code"),
    [
        ([], "all is well", 0),
        ([ODD], "all is well", 0),
        ([STOPPED], "1 thing to put right", 1),
        ([ODD, STOPPED, STOPPED], "2 things to put right", 1),
    ],
)
def test_the_summary_says_what_is_served_and_what_is_to_be_put_right(findings, says, code):
    both = row(True, serves=("gpt-4.1", "gpt-5"))
    report = Report((account("eu", both, row(True)), account("us", row(True))), tuple(findings))

    assert report.summary == f"2 subaccounts, 2 models: {says}"
    assert report.exit_code == code


def test_one_is_not_many():
    assert Report((account("eu", row(True)),), ()).summary == "1 subaccount, 1 model: all is well"


@pytest.mark.parametrize(
    ("states", "ok"), [((True, True), True), ((True, None), None), ((None, False), False), ((True, False), False)]
)
def test_a_model_is_well_if_all_of_its_deployments_are(states, ok):
    assert row(*states).ok is ok


def test_what_is_wrong_comes_before_what_is_to_know():
    assert in_order([ODD, STOPPED, ODD]) == (STOPPED, ODD, ODD)


def test_programs_get_all_of_it_under_names_that_do_not_change():
    said = Answer("eu", "gpt-5", "openai-chat", 0.1234, "hello")
    silent = Answer("eu", "gpt-5", "", error="no")
    report = Report((account("eu", row(True)),), (STOPPED, ODD), (said, silent))

    assert report.as_json == {
        "ok": False,
        "summary": "1 subaccount, 1 model: 1 thing to put right",
        "subaccounts": [
            {
                "name": "eu",
                "resource_group": "default",
                "ok": True,
                "models": [
                    {
                        "model": "gpt-5",
                        "runs": "gpt-5",
                        "family": "openai",
                        "protocols": ["openai-chat"],
                        "serves": ["gpt-5"],
                        "standby": False,
                        "ok": True,
                        "deployments": [{"id": "d1", "status": "RUNNING", "ok": True}],
                    }
                ],
            }
        ],
        "findings": [
            {
                "severity": "wrong",
                "code": "not_running",
                "subaccount": "eu",
                "what": "gpt-5 (d1) is STOPPED",
                "fix": "deploy it",
                "models": ["gpt-5"],
                "deployments": ["d1"],
            },
            {
                "severity": "remark",
                "code": "setting",
                "subaccount": None,
                "what": "port: odd",
                "fix": None,
                "models": [],
                "deployments": [],
            },
        ],
        "answers": [
            {
                "subaccount": "eu",
                "model": "gpt-5",
                "protocol": "openai-chat",
                "ok": True,
                "first_word_ms": 123,
                "text": "hello",
                "error": None,
            },
            {
                "subaccount": "eu",
                "model": "gpt-5",
                "protocol": None,
                "ok": False,
                "first_word_ms": None,
                "text": "",
                "error": "no",
            },
        ],
    }
    assert "answers" not in Report((), ()).as_json
