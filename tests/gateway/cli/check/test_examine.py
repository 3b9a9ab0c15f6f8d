"""What is configured, compared with what subaccounts answer: what is served, and how each subaccount fares."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.orchestration.modules import Modules
from gateway.cli.check.advice import LAUNCHPAD
from gateway.cli.check.report import FILE
from gateway.config.filters import Filters
from gateway.config.orchestration import OrchestrationOptions
from gateway.config.service_keys import CertificateText, Secret
from gateway.served_models import Ending
from gateway.upstream.discovery import Listed
from gateway.upstream.unreachable import Reason, Unreachable
from routing.policy import ModelPolicy, Policy
from routing.protocols import GeminiGenerateProtocol
from tests.support.certificates import certificate

ORCHESTRATION = Listed("d9", "", "RUNNING", "https://api.example/v2/inference/deployments/d9", orchestration=True)
ORCHESTRATED = {"orchestrated": lambda _: ("anthropic--claude-4.5-sonnet", "gpt-5")}


def failing(fault):
    def fail(*_):
        raise FaultError(fault)

    return fail


def rows(report):
    """The rows of the table, each with the ids of its deployments."""
    return [
        (row.name, row.ok, [each.id for each in row.deployments], row.protocols)
        for account in report.subaccounts
        for row in account.models
    ]


def test_a_deployment_that_runs_and_answers_is_served(made):
    report = made.report(made.settings(made.account(models={"gpt-4.1": ["d1"]})), made.listed("d1"))
    [row] = report.subaccounts[0].models

    assert rows(report) == [("gpt-4.1", True, ["d1"], ("openai-chat",))]
    assert (row.runs, row.family, row.serves, row.standby) == ("gpt-4.1", "openai", ("gpt-4.1",), False)
    assert (report.findings, report.exit_code, report.subaccounts[0].ok) == ((), 0, True)


def test_every_deployment_is_asked_for_nothing_in_each_of_its_protocols(made):
    asked = []

    def ask_nothing(endpoint, protocol):
        asked.append((endpoint.deployment, protocol.name))

    given = made.settings(made.account(models={"claude-4.5-sonnet": ["d1"], "gpt-4.1": ["d2"]}))
    sonnet = made.listed("d1", "anthropic--claude-4.5-sonnet")
    report = made.report(given, sonnet, made.listed("d2", status="STOPPED"), ask_nothing=ask_nothing)

    assert sorted(asked) == [("d1", "claude-converse"), ("d1", "claude-invoke")]
    assert [each.ok for each in report.subaccounts[0].models] == [True, False]


def test_what_is_looked_up_is_served_through_the_filters(made, said):
    given = made.settings(made.account(discovery=True), filters=Filters(exclude=("nano",)))
    deployments = made.listed("d1"), made.listed("d2", "gpt-5-nano"), made.listed("d3")

    assert rows(made.report(given, *deployments)) == [("gpt-4.1", True, ["d1", "d3"], ("openai-chat",))]
    assert said(given, *deployments) == [("remark", "is running and not served: gpt-5-nano (d2)", "")]


def test_what_runs_beside_the_list_is_to_know(made, said):
    """Stopped deployments and what is no model are not worth a line."""
    given = made.settings(made.account(models={"gpt-4.1": ["d1"]}))
    others = made.listed("d2", "gpt-5"), made.listed("d3", "x", "STOPPED"), made.listed("d4", "")

    assert said(given, made.listed("d1"), *others, ORCHESTRATION) == [
        (
            "remark",
            "is running and not served: gpt-5 (d2), orchestration (d9)",
            "to serve them, run sap-ai-proxy discover --write or set discovery to true",
        )
    ]


def test_what_another_subaccount_of_the_same_resource_group_serves_is_not_said_to_be_left(made, said):
    given = made.settings(made.account("a", {"gpt-4.1": ["d1"]}), made.account("b", {"gpt-5": ["d2"]}))

    assert said(given, made.listed("d1"), made.listed("d2", "gpt-5")) == []


def test_a_subaccount_that_leaves_all_to_another_of_its_resource_group_is_told_which(made, said):
    given = made.settings(made.account("a", {"gpt-4.1": ["d1"]}), made.account("b"))
    what = "serves nothing: everything in the resource group team-a is served by a"

    assert said(given, made.listed("d1")) == [
        ("wrong", what, "set discovery to true, or remove it from the config file")
    ]


def test_a_deployment_at_another_host_than_the_api_is_not_asked(made, said):
    stranger = Listed("d2", "gpt-5", "RUNNING", "https://other.example/d2")
    given = made.settings(made.account(discovery=True))
    why = "its URL has another host, scheme or port than AI_API_URL, so no token is sent there"

    assert said(given, made.listed("d1"), stranger) == [
        (
            "remark",
            f"gpt-5 (d2) is running and not served: {why}",
            "list it with its URL in deployment_models if the token may be sent to that host",
        )
    ]
    assert [name for name, *_ in rows(made.report(given, made.listed("d1"), stranger))] == ["gpt-4.1"]


def test_an_orchestration_deployment_is_one_row_however_many_models_it_serves(made):
    one = made.report(made.settings(made.account(discovery=True)), ORCHESTRATION, **ORCHESTRATED)
    filtered = made.settings(made.account(discovery=True), filters=Filters(exclude=("claude",)))
    active = made.settings(made.account(discovery=True), orchestration=OrchestrationOptions(standby=False))
    [row] = one.subaccounts[0].models

    assert (row.name, row.standby, row.protocols) == ("orchestration", True, ("orchestration",))
    assert one.models == ("anthropic--claude-4.5-sonnet", "gpt-5")
    assert made.report(filtered, ORCHESTRATION, **ORCHESTRATED).models == ("gpt-5",)
    assert made.report(active, ORCHESTRATION, **ORCHESTRATED).subaccounts[0].models[0].standby is False


def test_models_of_orchestration_that_are_a_guess_are_to_know(made, said):
    given = made.settings(made.account(discovery=True))

    assert said(given, ORCHESTRATION, **ORCHESTRATED, is_guess=lambda _: True) == [
        (
            "remark",
            "the catalogue does not list the models that orchestration serves, so the proxy uses its built-in list",
            "if that is wrong, list the models in orchestration.models",
        )
    ]


def test_a_setting_without_a_model_is_to_know_unless_a_subaccount_could_not_be_asked(made, said):
    policy = Policy(models={"gpt-9": ModelPolicy(idle=1.0)})
    given = made.settings(made.account(discovery=True), policy=policy)
    odd = "routing.models.gpt-9: has no effect: gpt-9 is not deployed; did you mean gpt-5?"
    late = failing(Fault(FaultKind.TIMEOUT, "late"))

    assert [what for _, what, _ in said(given, ORCHESTRATION, **ORCHESTRATED)] == [odd]
    assert [what for _, what, _ in said(given, list_deployments=late)] == ["the deployments cannot be listed: late"]


def test_a_model_that_is_asked_without_the_masks_that_are_set_is_to_know(made, said):
    given = made.settings(
        made.account(discovery=True), orchestration=OrchestrationOptions(modules=Modules(masking={"providers": []}))
    )
    found = said(given, made.listed("d1"), ORCHESTRATION, **ORCHESTRATED)

    assert found == [
        (
            "remark",
            "orchestration: its masking and filtering cover no other deployments; gpt-4.1 has some",
            "",
        )
    ]


def test_a_protocol_of_the_users_own_is_in_the_table(made):
    class Extension:
        @staticmethod
        def extend(router):
            router.register_converter("gpt-*", GeminiGenerateProtocol())

    given = made.settings(made.account(models={"gpt-4.1": ["d1"]}), extensions=(Extension,))

    assert rows(made.report(given, made.listed("d1"))) == [("gpt-4.1", True, ["d1"], ("gemini-generate",))]


def test_warnings_of_the_file_are_to_know(made):
    report = made.report(made.settings(made.account(discovery=True), warnings=("port: odd",)), made.listed("d1"))

    assert [(each.subaccount, each.what) for each in report.findings] == [(FILE, "port: odd")]
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("groups", "other"),
    [(("team-a",), ""), (("default", "team-a", "b"), ", or set resource_group to default or b")],
)
def test_a_subaccount_in_which_nothing_runs_is_wrong(made, said, groups, other):
    [found] = said(made.settings(made.account(discovery=True)), resource_groups=lambda _: groups)

    assert found == (
        "wrong",
        "serves nothing: no model is running in the resource group team-a",
        f"deploy one in {LAUNCHPAD} or with sap-ai-proxy init{other}",
    )


def test_filters_that_leave_nothing_out_of_all_that_runs_are_wrong(made, said):
    given = made.settings(made.account(discovery=True), filters=Filters(exclude=("nano",)))
    found = said(given, made.listed("d1", "nano"))

    assert found[0] == (
        "wrong",
        "serves nothing: model_filters leave out everything that is running, which is nano",
        "correct model_filters",
    )


@pytest.mark.parametrize("listing", [lambda _: (), failing(Fault(FaultKind.OTHER, "no such group", 403))])
def test_a_resource_group_that_does_not_exist_is_told_with_those_that_do(made, said, listing):
    given = made.settings(made.account(models={"gpt-4.1": ["d1"]}))
    found = said(given, list_deployments=listing, resource_groups=lambda _: ("default", "team-b"))

    assert found == [("wrong", "there is no resource group team-a", "set resource_group to default or team-b")]


def test_resource_groups_that_may_not_be_listed_hide_nothing(made, said):
    given = made.settings(made.account(discovery=True))
    forbidden = failing(Fault(FaultKind.DEPLOYMENT_FORBIDDEN, "no", 403))
    [found] = said(given, resource_groups=forbidden)

    assert found[1] == "serves nothing: no model is running in the resource group team-a"


def test_a_subaccount_that_does_not_let_us_in_is_asked_nothing_more_and_keeps_its_rows(made):
    refused = failing(Fault(FaultKind.REFUSED_CREDENTIALS, "The key is refused.", 401))
    given = made.settings(made.account("a", {"gpt-4.1": ["d1"]}), made.account("b"))
    report = made.report(given, get_in=refused, list_deployments=lambda _: pytest.fail("was asked"))

    what = "no access token: The key is refused: it was deleted, has expired or was copied in part"
    assert [(each.subaccount, each.what, each.code) for each in report.wrong] == [
        ("a", what, "service_key"),
        ("b", what, "service_key"),
    ]
    assert rows(report) == [("gpt-4.1", None, ["d1"], ("openai-chat",))]


@pytest.mark.parametrize(("by", "place"), [("secret", "url"), ("certificate", "certurl")])
def test_a_token_service_that_is_not_reached_is_told_by_its_place_in_the_service_key(made, said, by, place):
    proof = CertificateText("", Secret("key")) if by == "certificate" else None
    away = Fault(FaultKind.UNREACHABLE, "away.", cause=Unreachable(Reason.UNKNOWN_HOST, "auth.example:443"))
    [found] = said(made.settings(made.account(proof=proof)), get_in=failing(away))

    assert found == (
        "wrong",
        "no access token: auth.example:443 cannot be reached: the name of its host is unknown",
        f"correct {place} in the service key, or set upstream.proxy if this network needs an HTTP proxy",
    )


def test_an_api_that_is_not_reached_is_told_by_its_place_and_no_resource_group_is_suspected(made, said):
    away = Fault(FaultKind.UNREACHABLE, "away.", cause=Unreachable(Reason.NO_TLS, "api.example:80"))
    given = made.settings(made.account(models={"gpt-4.1": ["d1"]}))
    [found] = said(given, list_deployments=failing(away), resource_groups=lambda _: pytest.fail("was asked"))

    assert found == (
        "wrong",
        "api.example:80 cannot be reached: it does not speak TLS",
        "correct serviceurls.AI_API_URL in the service key: its port, or its scheme",
    )


@pytest.mark.parametrize(
    ("ends", "severity", "what"),
    [
        (datetime(2026, 11, 20, 8, tzinfo=UTC), "wrong", "expired on 2026-11-20"),
        (datetime(2026, 11, 29, 8, tzinfo=UTC), "remark", "expires on 2026-11-29"),
    ],
)
def test_a_client_certificate_that_has_expired_or_will_soon_is_told_with_the_day(
    made, said, tmp_path, ends, severity, what
):
    text = certificate(tmp_path, "client", ends=ends).file.read_text()
    account = made.account(discovery=True, proof=CertificateText(text, Secret("key")))
    asked = []
    [found] = said(made.settings(account), made.listed("d1"), get_in=asked.append)

    assert found == (
        severity,
        f"the client certificate of its service key {what}",
        "create a new service key for this instance in the BTP cockpit, and put it into the config file",
    )
    assert bool(asked) is (severity == "remark")


def test_a_client_certificate_that_lasts_is_not_worth_a_line(made, said, tmp_path):
    text = certificate(tmp_path, "client", ends=datetime(2026, 12, 24, tzinfo=UTC)).file.read_text()
    account = made.account(discovery=True, proof=CertificateText(text, Secret("key")))

    assert said(made.settings(account), made.listed("d1")) == []


def test_models_that_end_are_told_with_their_successors_and_are_not_wrong(made, said):
    given = []
    one = made.account(models={"m": ["d1"]}, discovery=True)
    running = replace(made.listed("d1", "m"), version="7"), made.listed("d2", "n")

    def endings(subaccount, served):
        given.append((subaccount.name, dict(served)))
        return [Ending("m", date(2026, 10, 16), True, "n"), Ending("n", date(2026, 12, 31), False)]

    found = said(made.settings(one), *running, endings=endings)

    assert given == [("eu", {"m": {"7"}, "n": {""}})]
    assert found == [("remark", "m ended on 2026-10-16", "deploy n"), ("remark", "n ends on 2026-12-31", "")]
