"""The look before the first request: what is well, what is wrong, and how it is said."""

import json
import threading
from contextlib import closing
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

import emulator
from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.cli.check import Finding, Mark, Report, check, examine, render
from gateway.config.schema import Filters, OrchestrationSection
from gateway.config.service_keys import Secret, ServiceKey
from gateway.config.settings import Settings, load, pools, with_discovered
from gateway.config.subaccounts import Deployment, SubAccount
from gateway.upstream.discovery import Listed, Management, discover
from gateway.upstream.management import ManagementClient
from gateway.upstream.tokens import TokenSource
from routing.policy import ModelPolicy, Policy
from routing.protocols import GeminiGenerateProtocol
from tests.support.worlds import mixed_world


def account(name="eu", models=None, *, url="https://api.example", discovery=False):
    key = ServiceKey("id", Secret("hunter2"), f"{url}/oauth/token", f"{url}/v2")
    deployments = {
        model: tuple(Deployment(f"{url}/v2/inference/deployments/{each}") for each in ids)
        for model, ids in (models or {}).items()
    }
    return SubAccount(name, "team-a", key, deployments, discovery=discovery)


def settings(*accounts, **more):
    return Settings({each.name: each for each in accounts}, **more)


def listed(name, model="gpt-4.1", status="RUNNING"):
    return Listed(name, model, status, f"https://api.example/{name}")


def findings(given, *deployments):
    report = examine(given, lambda _: None, lambda _: deployments)
    return [(each.mark.value, each.text) for each in report.findings]


IN = ("ok", "the service key gets an access token")
CHAT = "taken for one of the family openai and asked by openai-chat"
CLAUDE = "taken for one of the family claude and asked by claude-converse or claude-invoke"
UNKNOWN = "taken for a model of no known family and asked by openai-chat"


def test_a_deployment_at_another_host_than_the_api_is_told_and_not_served():
    stranger = Listed("d2", "gpt-5", "RUNNING", "https://other.example/d2")
    told = findings(settings(account(discovery=True)), listed("d1"), stranger)

    why = "its URL has another host, scheme or port than AI_API_URL, and no token is sent there"
    added = "gpt-4.1 (d1) runs and is added, taken for one of the family openai and asked by openai-chat"
    assert told == [IN, ("--", f"gpt-5 (d2) runs and is not served: {why}"), ("ok", added)]


def test_a_deployment_that_runs_is_well():
    assert findings(settings(account(models={"gpt-4.1": ["d1"]})), listed("d1")) == [
        IN,
        ("ok", f"gpt-4.1 (d1) runs, {CHAT}"),
    ]


@pytest.mark.parametrize(
    ("deployments", "text"),
    [
        ([], "gpt-4.1 (d1) does not exist in the resource group team-a"),
        ([listed("d1", status="STOPPED")], "gpt-4.1 (d1) is STOPPED, not RUNNING"),
        ([listed("d1", "gpt-4o")], "gpt-4.1 (d1) serves gpt-4o"),
        ([listed("d1", "")], "gpt-4.1 (d1) serves no model"),
    ],
)
def test_a_deployment_that_would_not_serve_is_wrong(deployments, text):
    report = examine(settings(account(models={"gpt-4.1": ["d1"]})), lambda _: None, lambda _: deployments)

    assert report.findings[-1] == Finding(Mark.WRONG, "eu", text)
    assert (report.is_ok, report.exit_code) == (False, 1)


def test_another_spelling_of_the_same_model_is_well():
    given = settings(account(models={"claude-4.5-sonnet": ["d1"]}))

    assert findings(given, listed("d1", "anthropic--claude-4.5-sonnet")) == [
        IN,
        ("ok", f"claude-4.5-sonnet (d1) runs, where it is called anthropic--claude-4.5-sonnet, {CLAUDE}"),
    ]


@pytest.mark.parametrize("name", ["4.5-sonnet", "sonnet-4.5", "sonnet", "my-claude", "CLAUDE"])
def test_a_short_name_is_well_and_told_what_it_is_taken_for(name):
    runs = "anthropic--claude-4.5-sonnet"
    given = settings(account(models={name: ["d1"]}))

    assert findings(given, listed("d1", runs)) == [IN, ("ok", f"{name} (d1) runs, where it is called {runs}, {CLAUDE}")]


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("sonnet", "anthropic--claude-4.5-haiku"),
        ("4-sonnet", "anthropic--claude-4.5-sonnet"),
        ("my-claude", "gpt-4.1"),
        ("my-claude", ""),
        ("my-model", "gpt-4.1"),
        ("my-model", "another-model"),
    ],
)
def test_a_name_that_says_another_model_is_wrong(name, runs):
    given = settings(account(models={name: ["d1"]}))

    assert findings(given, listed("d1", runs))[-1] == ("!!", f"{name} (d1) serves {runs or 'no model'}")


AS_SONNET = (
    "where it is called anthropic--claude-4.5-sonnet, taken for one of the family claude and asked by orchestration"
)
ORCHESTRATION = Listed("d9", "", "RUNNING", "https://api.example/d9", orchestration=True)


def of_orchestration(given, *deployments):
    """What is said of *given*, where orchestration serves two models."""
    report = examine(given, lambda _: None, lambda _: deployments, lambda _: ("anthropic--claude-4.5-sonnet", "gpt-5"))
    return [(each.mark.value, each.text) for each in report.findings[1:]]


def test_an_orchestration_deployment_has_one_line_however_many_models_it_serves():
    one = of_orchestration(settings(account(discovery=True)), ORCHESTRATION)
    filtered = settings(account(discovery=True), filters=Filters(exclude=["claude"]))
    active = settings(account(discovery=True), orchestration=OrchestrationSection(standby=False))

    assert one == [("ok", "orchestration (d9) runs and is added, on standby for 2 models")]
    assert of_orchestration(filtered, ORCHESTRATION) == [
        ("ok", "orchestration (d9) runs and is added, on standby for 1 model")
    ]
    assert of_orchestration(active, ORCHESTRATION) == [
        ("ok", "orchestration (d9) runs and is added, asked for 2 models")
    ]


def test_an_orchestration_deployment_that_is_not_looked_up_is_not_served():
    given = settings(account(models={"gpt-4.1": ["d1"]}))

    assert of_orchestration(given, listed("d1"), ORCHESTRATION)[1:] == [
        ("--", "orchestration (d9) runs and is not served")
    ]


def test_a_setting_for_a_model_that_orchestration_alone_serves_is_meant_for_it():
    policy = Policy(models={"gpt-5": ModelPolicy(idle=1.0), "gpt-9": ModelPolicy(idle=1.0)})
    found = of_orchestration(settings(account(discovery=True), policy=policy), ORCHESTRATION)

    assert [text for mark, text in found if mark == "--"] == [
        "routing.models.gpt-9: has no effect: gpt-9 is not deployed; did you mean gpt-5?"
    ]


def test_a_model_that_is_asked_without_the_masks_that_are_set_is_told():
    section = OrchestrationSection(masking={"providers": []})
    found = of_orchestration(settings(account(discovery=True), orchestration=section), listed("d1"), ORCHESTRATION)

    assert found[-1] == (
        "--",
        "orchestration: masks and filters only where it answers; gpt-4.1 has deployments that do without",
    )


@pytest.mark.parametrize(
    ("model", "orchestration", "discovery", "found"),
    [
        ("gpt-5", True, False,
         ("ok", "gpt-5 (d9) runs, taken for one of the family openai and asked by orchestration")),
        ("claude-4.5-sonnet", False, True, ("ok", f"claude-4.5-sonnet (d9) runs, {AS_SONNET}")),
        ("claude-sonnet-4-5", True, False, ("ok", f"claude-sonnet-4-5 (d9) runs, {AS_SONNET}")),
        ("claude", True, False,
         ("!!", "claude (d9) serves no model of this name; write one of anthropic--claude-4.5-sonnet")),
        ("sonnet", True, True,
         ("!!", "sonnet (d9) serves no model of this name; write one of anthropic--claude-4.5-sonnet")),
        ("gpt-5", False, False,
         ("!!", 'gpt-5 (d9) is an orchestration deployment; write "orchestration": true beside its id or URL')),
        ("gpt-4.1", True, False, ("!!", "gpt-4.1 (d9) serves no model of this name")),
    ],
)  # fmt: skip
def test_an_orchestration_deployment_that_is_listed_by_hand_is_checked(model, orchestration, discovery, found):
    by_hand = account(models={model: ["d9"]}, discovery=discovery)
    [deployment] = by_hand.deployments[model]
    by_hand = replace(by_hand, deployments={model: (replace(deployment, orchestration=orchestration),)})

    assert of_orchestration(settings(by_hand), ORCHESTRATION) == [found]


@pytest.mark.parametrize(("discovery", "mark"), [(False, "!!"), (True, "ok")])
def test_a_spelling_that_orchestration_would_be_asked_by_is_wrong_unless_its_own_is_looked_up(discovery, mark):
    by_hand = account(models={"claude-9-opus": ["d9"]}, discovery=discovery)
    [deployment] = by_hand.deployments["claude-9-opus"]
    by_hand = replace(by_hand, deployments={"claude-9-opus": (replace(deployment, orchestration=True),)})
    report = examine(
        settings(by_hand), lambda _: None, lambda _: [ORCHESTRATION], lambda _: ("anthropic--claude-9-opus",)
    )
    said = "claude-9-opus (d9) is called anthropic--claude-9-opus by SAP AI Core; write that name"

    assert report.findings[1].mark.value == mark
    assert discovery or report.findings[1].text == said


def test_a_deployment_of_one_model_that_is_said_to_be_orchestration_is_wrong():
    by_hand = account(models={"gpt-4.1": ["d1"]})
    [deployment] = by_hand.deployments["gpt-4.1"]
    by_hand = replace(by_hand, deployments={"gpt-4.1": (replace(deployment, orchestration=True),)})

    assert of_orchestration(settings(by_hand), listed("d1")) == [("!!", "gpt-4.1 (d1) is no orchestration deployment")]


def test_what_is_looked_up_is_taken_for_what_it_says_it_runs():
    given = settings(account(models={"my-claude": ["d1"]}, discovery=True))
    found = findings(given, listed("d1", "anthropic--claude-3-opus"), listed("d2", "text-embedding-3-small"))

    assert found[1:] == [
        ("!!", "my-claude (d1) serves anthropic--claude-3-opus"),
        (
            "ok",
            "text-embedding-3-small (d2) runs and is added, taken for one of the family openai and asked by embeddings",
        ),
    ]


def test_a_protocol_of_the_users_own_is_told():
    class Extension:
        @staticmethod
        def extend(router):
            router.register_converter("gpt-*", GeminiGenerateProtocol())

    given = settings(account(models={"gpt-4.1": ["d1"]}), extensions=(Extension,))

    assert findings(given, listed("d1"))[-1][1].endswith("asked by gemini-generate")


def test_what_runs_beside_the_list_is_mentioned():
    """Stopped deployments and orchestrations are not worth a line."""
    given = settings(account(models={"gpt-4.1": ["d1"]}))
    deployments = [listed("d1"), listed("d2", "gpt-5"), listed("d3", "x", "STOPPED"), listed("d4", "")]

    assert findings(given, *deployments)[2:] == [("--", "gpt-5 (d2) runs and is not served")]


def test_a_model_that_runs_more_than_once_has_one_line():
    given = settings(account(discovery=True))

    assert findings(given, listed("d1"), listed("d2", "m"), listed("d3")) == [
        IN,
        ("ok", f"gpt-4.1 (d1, d3) runs and is added, {CHAT}"),
        ("ok", f"m (d2) runs and is added, {UNKNOWN}"),
    ]


def test_what_discovery_adds_is_listed_through_the_filters():
    given = settings(account(discovery=True), filters=Filters(exclude=["nano"]))

    assert findings(given, listed("d1"), listed("d2", "gpt-5-nano")) == [
        IN,
        ("ok", f"gpt-4.1 (d1) runs and is added, {CHAT}"),
        ("--", "gpt-5-nano (d2) runs and is not served"),
    ]


@pytest.mark.parametrize("deployments", [[], [listed("d1", "nano")]])
def test_a_subaccount_that_serves_nothing_is_wrong(deployments):
    given = settings(account(discovery=True), filters=Filters(exclude=["nano"]))

    assert findings(given, *deployments)[-1] == ("!!", "serves nothing: no model runs in the resource group team-a")


def test_a_subaccount_that_does_not_let_us_in_is_wrong_and_not_asked_further():
    def refuse(_):
        raise FaultError(Fault(FaultKind.REFUSED_CREDENTIALS, "no"))

    report = examine(settings(account("a"), account("b")), refuse, lambda _: pytest.fail("was asked"))

    assert report.findings == (
        Finding(Mark.WRONG, "a", "no access token: no"),
        Finding(Mark.WRONG, "b", "no access token: no"),
    )


def test_a_list_that_does_not_come_is_wrong():
    def fail(_):
        raise FaultError(Fault(FaultKind.TIMEOUT, "late"))

    report = examine(settings(account(models={"m": ["d1"]})), lambda _: None, fail)

    assert report.findings[-1] == Finding(Mark.WRONG, "eu", "the deployments cannot be listed: late")


def test_an_address_that_is_not_reached_is_told_by_its_place_in_the_service_key():
    def fail(_):
        raise FaultError(Fault(FaultKind.UNREACHABLE, "away."))

    tokens = examine(settings(account()), fail, lambda _: [])
    lists = examine(settings(account()), lambda _: None, fail)

    hint = "right in the service key? Is upstream.proxy needed to get out?"
    assert tokens.findings == (Finding(Mark.WRONG, "eu", f"no access token: away. Is url {hint}"),)
    assert lists.findings[-1].text == f"the deployments cannot be listed: away. Is serviceurls.AI_API_URL {hint}"


def test_warnings_of_the_file_come_first_and_do_no_harm():
    report = examine(settings(warnings=("port: odd",)), lambda _: None, lambda _: [])

    assert report == Report((Finding(Mark.NOTE, "settings", "port: odd"),))
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("marks", "verdict"),
    [([], "all is well"), (["!!"], "1 thing to put right"), (["!!", "--", "!!"], "2 things to put right")],
)
def test_a_report_has_a_line_for_each_finding_and_a_verdict(marks, verdict):
    report = Report(tuple(Finding(Mark(mark), "eu", "text") for mark in marks))

    assert render(report) == "".join(f"{mark} eu: text\n" for mark in marks) + verdict + "\n"


def test_models_that_end_are_named_with_their_versions_and_wrong_is_nothing():
    given = []
    one = account(models={"m": ["d1"]}, discovery=True)
    running = (Listed("d1", "m", "RUNNING", "https://api.example/d1", version="7"), listed("d2", "n"))

    def endings(subaccount, served):
        given.append((subaccount.name, dict(served)))
        return ["m ended on 2026-10-16"]

    report = examine(settings(one), lambda _: None, lambda _: running, endings=endings)

    assert given == [("eu", {"m": {"7"}, "n": {""}})]
    assert (report.findings[-1], report.is_ok) == (Finding(Mark.NOTE, "eu", "m ended on 2026-10-16"), True)


class AICore(BaseHTTPRequestHandler):
    """A token service and a list of deployments."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        form = self.rfile.read(int(self.headers["content-length"]))
        good = b"client_secret=hunter2" in form
        self._answer(200 if good else 401, {"access_token": "t", "expires_in": 3600} if good else {})
        self.server.tokens += 1

    def do_GET(self):
        good = (self.headers["authorization"], self.headers["ai-resource-group"]) == ("Bearer t", "team-a")
        resources = self.server.deployments
        if self.path.endswith("/models"):
            resources = self.server.catalogue
        self._answer(200 if good else 404, {"count": len(resources), "resources": resources})

    def _answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def core():
    with ThreadingHTTPServer(("127.0.0.1", 0), AICore) as server:
        server.tokens = 0
        server.catalogue = []
        backend = {"backend_details": {"model": {"name": "m"}}}
        server.deployments = [{"id": "d1", "status": "RUNNING", "details": {"resources": backend}}]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def test_everything_is_tried_over_the_network_with_one_token(core):
    url = f"http://127.0.0.1:{core.server_port}"
    with closing(ManagementClient()) as client:
        report = check(settings(account(models={"m": ["d1"]}, url=url)), client)

    assert (
        render(report) == f"ok eu: the service key gets an access token\nok eu: m (d1) runs, {UNKNOWN}\nall is well\n"
    )
    assert core.tokens == 1


def test_the_catalogue_says_when_a_configured_model_ends(core):
    url = f"http://127.0.0.1:{core.server_port}"
    version = {"isLatest": True, "retirementDate": "2026-12-31", "suggestedReplacements": ["n"]}
    core.catalogue = [{"model": "m", "versions": [version]}]
    with closing(ManagementClient()) as client:
        report = check(settings(account(models={"m": ["d1"]}, url=url)), client, lambda: date(2026, 11, 27))

    assert report.findings[-1] == Finding(Mark.NOTE, "eu", "m ends on 2026-12-31; deploy n")


@pytest.mark.parametrize(("catalogue", "models", "is_told"), [([], 35, True), (["m"], 1, False)])
def test_models_of_orchestration_that_are_a_guess_are_told(core, catalogue, models, is_told):
    url = f"http://127.0.0.1:{core.server_port}"
    core.deployments = [{"id": "d9", "status": "RUNNING", "scenarioId": "orchestration"}]
    core.catalogue = [{"model": each, "allowedScenarios": [{"scenarioId": "orchestration"}]} for each in catalogue]
    with closing(ManagementClient()) as client:
        report = check(settings(account(url=url, discovery=True)), client)

    counted = f"orchestration (d9) runs and is added, on standby for {models} model{'s' * (models != 1)}"
    guess = (
        "the catalogue does not say which models orchestration serves: those that are built in are taken for them; "
        "orchestration.models may list them"
    )
    assert Finding(Mark.OK, "eu", counted) in report.findings
    assert (Finding(Mark.NOTE, "eu", guess) in report.findings) is is_told


def test_a_report_shows_no_secret_and_each_subaccount_has_its_own_token(core):
    url = f"http://127.0.0.1:{core.server_port}"
    bad = account("bad", url=url)
    bad = SubAccount("bad", "team-a", ServiceKey("id", Secret("sesame"), bad.key.token_url, bad.key.api_url), {})
    with closing(ManagementClient()) as client:
        report = check(settings(bad, account(models={"m": ["d1"]}, url=url)), client)

    text = render(report)
    assert [each.mark for each in report.findings] == [Mark.WRONG, Mark.OK, Mark.OK]
    assert not any(secret in text for secret in ("hunter2", "sesame", str(core.server_port)))


def test_a_whole_config_is_checked_against_the_emulator(tmp_path):
    """One subaccount is looked up, the other lists a good, a stopped, a missing and a mistaken deployment."""
    with emulator.serve(mixed_world()) as running, closing(ManagementClient()) as client:
        tenants = requests.get(f"{running.url}/admin/tenants", timeout=5).json()
        first = {each["model"]: each["id"] for each in tenants["us"]["deployments"] if each["status"] == "RUNNING"}
        stopped = next(each for each in tenants["us"]["deployments"] if each["status"] == "STOPPED")
        config = {
            "subAccounts": {
                "eu": {"service_key": tenants["eu"]["service_key"]},
                "us": {
                    "service_key": tenants["us"]["service_key"],
                    "resource_group": tenants["us"]["resource_group"],
                    "deployment_ids": {
                        "gpt-4.1": [first["gpt-4.1"], first["gpt-5"], "d0"],
                        stopped["model"]: [stopped["id"]],
                    },
                },
            }
        }
        (tmp_path / "config.json").write_text(json.dumps(config))
        loaded = load(tmp_path / "config.json", {}, tmp_path)
        report = check(loaded, client, lambda: date(2026, 11, 27))
        ask = Management(client, {"eu": TokenSource(lambda: client.fetch_token(loaded.subaccounts["eu"].key))})
        joined = with_discovered(loaded, {"eu": discover(loaded.subaccounts["eu"], ask)})

    wrong = [each.text for each in report.findings if each.mark is Mark.WRONG]
    assert wrong == [
        f"gpt-4.1 ({first['gpt-5']}) serves gpt-5",
        "gpt-4.1 (d0) does not exist in the resource group team-a",
        f"{stopped['model']} ({stopped['id']}) is STOPPED, not RUNNING",
    ]
    assert f"ok us: gpt-4.1 ({first['gpt-4.1']}) runs, {CHAT}\n" in render(report)
    for line in (
        "-- eu: gemini-2.5-pro ended on 2026-10-16; deploy gemini-3.5-flash\n",
        "-- us: gpt-4.1 ended on 2026-10-14; deploy gpt-5\n",
    ):
        assert render(report).count(line) == 1
    assert {endpoint.subaccount for endpoint in pools(joined)["gpt-4.1"]} == {"eu", "us"}
    assert {endpoint.resource_group for endpoint in pools(joined)["gpt-4.1"]} == {"default", "team-a"}
