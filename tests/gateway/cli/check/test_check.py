"""`sap-ai-proxy check` against the emulator and other servers on this machine: each cause, with what to do."""

import json
import threading
from contextlib import closing
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

import emulator
from emulator.world import World, orchestration_tenant, tenant
from gateway.cli.check import check, run_check
from gateway.cli.main import cli
from gateway.config.loader import load
from gateway.upstream.catalogue import PATH
from gateway.upstream.management import ManagementClient
from tests.gateway.peers import Server, answer, forever
from tests.support.certificates import certificate
from tests.support.processes import free_port
from tests.support.running import Cloud

TODAY = datetime(2026, 11, 27, 6, tzinfo=UTC)
MODELS = ("gpt-5", "anthropic--claude-4.5-sonnet", "gemini-3.5-flash", "text-embedding-3-small", "gpt-5.3-codex")
OTHERS = ("gpt-4.1", "amazon--nova-pro", "amazon--titan-embed-text", "gemini-embedding")


@pytest.fixture(scope="module")
def cloud():
    world = World(
        (tenant("eu", "default", MODELS, 1), tenant("us", "team-a", OTHERS, 1), orchestration_tenant("ap", "default"))
    )
    with emulator.serve(world) as running:
        yield Cloud(running.url)


@pytest.fixture
def subaccount(cloud):
    """Writes the section of a subaccount, which looks up what runs unless it says otherwise."""
    cloud.heal()

    def write(name, **more):
        known = cloud.tenants[name]
        return {"service_key": known["service_key"], "resource_group": known["resource_group"], **more}

    return write


@pytest.fixture
def loaded(tmp_path):
    """Loads settings with these subaccounts."""

    def load_them(subaccounts, env=None, **more):
        path = tmp_path / "config.json"
        path.write_text(json.dumps({"subAccounts": subaccounts, **more}))
        return load(path, env or {}, tmp_path)

    return load_them


@pytest.fixture
def checked(loaded):
    """Checks a config with these subaccounts."""

    def check_them(subaccounts, env=None, **more):
        settings = loaded(subaccounts, env, **more)
        with closing(ManagementClient(network=settings.network)) as client:
            return run_check(settings, client, lambda: TODAY).report

    return check_them


def lines(report):
    """What is wrong, each with what to do."""
    return [(each.what, each.fix) for each in report.wrong]


def test_every_family_answers_an_empty_request_and_nothing_is_generated(checked, subaccount, cloud):
    cloud.forget()
    report = checked({name: subaccount(name) for name in ("eu", "us", "ap")})
    sent = cloud.requests()

    assert report.wrong == ()
    assert {row.name: row.ok for account in report.subaccounts for row in account.models} == dict.fromkeys(
        (*MODELS, *OTHERS, "orchestration"), True
    )
    assert {each["status"] for each in sent} == {400}
    assert {each["body"] == {} for each in sent} == {True}
    assert [each.what for each in report.remarks] == ["gpt-4.1 ended on 2026-10-14"]


@pytest.mark.parametrize(
    ("kind", "code", "what", "fix"),
    [
        (
            "403",
            "forbidden",
            "requests are answered with status 403: the service key may not use it",
            "of the instance to extended",
        ),
        ("403-html", "forbidden", "requests are answered with status 403: ", "in the firewall"),
        ("403-provider", "forbidden", "requests are answered with status 403: ", "deploy another"),
        (
            "404",
            "url",
            "requests are answered with status 404: its URL does not lead to a running deployment",
            "correct the",
        ),
        (
            "401",
            "forbidden",
            "requests are answered with status 401: the access token is not accepted here",
            "correct the",
        ),
        ("503", "failing", "requests are answered with status 503: ", "try again in a few minutes"),
        ("reset", "unreachable", "the connection broke before an answer arrived", "such as a firewall"),
    ],
)
def test_a_deployment_that_is_listed_as_running_and_cannot_be_asked_is_seen(
    checked, subaccount, cloud, kind, code, what, fix
):
    given = subaccount("eu")
    [deployment] = cloud.deployments("gpt-5", "eu")
    cloud.fault(deployment, kind)
    [found] = checked({"eu": given}).wrong

    assert (found.code, found.models, found.deployments) == (code, ("gpt-5",), (deployment,))
    assert what in found.what
    assert fix in found.fix


def test_a_configured_url_is_asked_itself_and_not_only_its_id(checked, subaccount, cloud):
    [deployment] = cloud.deployments("gpt-5", "eu")
    listed = f"{cloud.url}/v2/inference/deployments/{deployment}"
    elsewhere = f"http://127.0.0.1:{free_port()}/v2/inference/deployments/{deployment}"
    wrong_path = subaccount("eu", deployment_models={"gpt-5": [f"{cloud.url}/v3/inference/deployments/{deployment}"]})
    wrong_host = subaccount("eu", deployment_models={"gpt-5": [elsewhere]})
    fix = f"write the URL that SAP AI Core lists for it: {listed}"
    lost = "requests are answered with status 404: its URL does not lead to a running deployment"

    assert lines(checked({"eu": wrong_path})) == [(f"gpt-5 ({deployment}): {lost}", fix)]
    [(what, to_do)] = lines(checked({"eu": wrong_host}))
    assert what.endswith("cannot be reached: the connection was refused")
    assert to_do == fix


def test_what_answers_and_is_no_model_is_wrong(checked, subaccount, cloud):
    [deployment] = cloud.deployments("gpt-5", "eu")
    with closing(Server(forever(answer(b"<html>Sign in</html>")))) as page:
        given = subaccount("eu", deployment_models={"gpt-5": [f"{page.url}/inference/deployments/{deployment}"]})
        [(what, _)] = lines(checked({"eu": given}))

    assert what == f"gpt-5 ({deployment}): The response does not come from a model"


def test_a_whole_config_with_a_good_a_stopped_a_missing_and_a_mistaken_deployment(checked, subaccount, cloud):
    [good], [mistaken] = cloud.deployments("gpt-5", "eu"), cloud.deployments("gemini-3.5-flash", "eu")
    stopped = next(each["id"] for each in cloud.tenants["eu"]["deployments"] if each["status"] == "STOPPED")
    given = subaccount("eu", deployment_ids={"gpt-5": [good, mistaken, "d0", stopped]})
    report = checked({"eu": given})

    assert [what for what, _ in lines(report)] == [
        f"gpt-5 ({mistaken}) serves gemini-3.5-flash",
        "gpt-5 (d0) does not exist in the resource group default",
        f"gpt-5 ({stopped}) is STOPPED, not RUNNING",
    ]
    assert [(each.id, each.ok) for each in report.subaccounts[0].models[0].deployments] == [
        (good, True),
        (mistaken, False),
        ("d0", False),
        (stopped, False),
    ]


def test_the_catalogues_of_subaccounts_are_read_side_by_side(checked, subaccount, monkeypatch):
    """Each is answered only once both have been asked for."""
    both, read, get = threading.Barrier(2), [], ManagementClient.get

    def waiting_get(client, url, *more):
        if url.endswith(PATH):
            both.wait(10)
            read.append(url)
        return get(client, url, *more)

    monkeypatch.setattr(ManagementClient, "get", waiting_get)
    checked({"eu": subaccount("eu"), "ap": subaccount("ap")})

    assert len(read) == 2


def test_a_resource_group_that_is_not_there_is_told_with_those_that_are(checked, subaccount):
    report = checked({"us": subaccount("us", resource_group="nowhere")})
    [(what, fix)] = lines(report)

    assert what == "there is no resource group nowhere"
    assert fix.startswith("set resource_group to ")
    assert "team-a" in fix


def test_a_service_key_that_is_refused_is_told_and_never_shown(checked, subaccount, cloud):
    good = subaccount("eu")
    bad = {**good, "service_key": {**good["service_key"], "clientsecret": "sesame"}}
    report = checked({"bad": bad, "eu": good})

    assert lines(report) == [
        (
            (
                "no access token: SAP AI Core's token service refuses the service key of this subaccount"
                ": it was deleted, has expired or was copied in part"
            ),
            "create a new service key for this instance in the BTP cockpit, and put it into the config file",
        )
    ]
    assert "sesame" not in json.dumps(report.as_json)
    assert good["service_key"]["clientsecret"] not in json.dumps(report.as_json)


def test_an_expired_client_certificate_is_seen_before_anybody_is_asked(checked, subaccount, tmp_path, cloud):
    made = certificate(tmp_path, "client", ends=datetime(2026, 11, 20, tzinfo=UTC))
    key = {name: value for name, value in subaccount("eu")["service_key"].items() if name != "clientsecret"}
    key |= {"certificate": made.file.read_text(), "key": made.key_file.read_text(), "certurl": "https://cert.invalid"}

    assert lines(checked({"eu": {"service_key": key}})) == [
        (
            "the client certificate of its service key expired on 2026-11-20",
            "create a new service key for this instance in the BTP cockpit, and put it into the config file",
        )
    ]


def test_a_server_behind_a_certificate_that_is_not_trusted_is_told_with_its_authority(checked, subaccount, tmp_path):
    authority = certificate(tmp_path, "Acme Inspection")
    context = certificate(tmp_path, "server", authority).server_context()
    with closing(Server(forever(answer()), context=context)) as there:
        given = subaccount("eu")
        given["service_key"]["url"] = there.url
        [(what, fix)] = lines(checked({"eu": given}))

    host = f"127.0.0.1:{there.port}"
    assert what == (
        f"no access token: {host} cannot be reached: its certificate, signed by Acme Inspection, is not trusted "
        "(unable to get local issuer certificate)"
    )
    assert fix == (
        "set upstream.ca_bundle to a file of the certificates that this network trusts, including Acme Inspection"
    )


def test_a_network_that_is_left_through_a_proxy_alone_is_told_where_that_is_set(checked, subaccount):
    given = subaccount("eu")
    given["service_key"]["url"] = f"http://127.0.0.1:{free_port()}"
    env = {"HTTPS_PROXY": "http://proxy.example:8080"}
    [(what, fix)] = lines(checked({"eu": given}, env, upstream={"proxy": "none"}))

    assert what.endswith(" cannot be reached: the connection was refused")
    assert fix == "correct url in the service key, or remove upstream.proxy, which keeps HTTPS_PROXY from being used"


@pytest.mark.parametrize("named_in", ["upstream.proxy", "http_proxy", "ALL_PROXY"])
def test_a_proxy_that_wants_a_password_is_told_how_it_is_given(checked, subaccount, named_in):
    with closing(Server(forever(answer(b"", b"407 Proxy Authentication Required")))) as proxy:
        env = {} if named_in == "upstream.proxy" else {named_in: proxy.url}
        given = {} if env else {"proxy": proxy.url}
        [(what, fix)] = lines(checked({"eu": subaccount("eu")}, env, upstream={"proxy_loopback": True, **given}))

    assert what.endswith(" cannot be reached: the HTTP proxy requires a user and a password (HTTP 407)")
    assert fix.startswith(f"write both into {named_in} as http://USER:PASSWORD@HOST:PORT")


def test_a_deployment_of_a_model_that_has_ended_is_told_with_its_successor(checked, subaccount, cloud):
    given = subaccount("us", deployment_ids={"gpt-4.1": ["d0"]})

    assert lines(checked({"us": given})) == [
        (
            "gpt-4.1 (d0) does not exist in the resource group team-a",
            "gpt-4.1 ended on 2026-10-14: deploy gpt-5 in its place",
        )
    ]


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("command", [["check"], ["route", "gpt-5"], []], ids=["check", "route", "serve"])
def test_a_service_key_in_the_place_of_the_config_file_is_one_line(subaccount, tmp_path, command, inside):
    key = subaccount("eu")["service_key"]
    path = tmp_path / "my key.json"
    path.write_text(json.dumps({"credentials": key} if inside else key))
    told = CliRunner().invoke(cli, ["--config", str(path), *command])

    assert told.exit_code == 2
    assert told.stderr == (
        f"sap-ai-proxy: {path}: is a service key, not a config file; "
        f"create a config file from it with: sap-ai-proxy init --service-key '{path}'\n"
    )


def test_a_report_can_be_had_in_one_call(loaded, subaccount):
    settings = loaded({"eu": subaccount("eu")})
    with closing(ManagementClient()) as client:
        report = check(settings, client)

    assert report.summary == f"1 subaccount, {len(report.models)} models: all is well"


def test_programs_get_json_and_people_the_table_and_both_the_exit_code(subaccount, cloud, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"subAccounts": {"eu": subaccount("eu", deployment_ids={"gpt-5": ["d0"]})}}))
    as_json = CliRunner().invoke(cli, ["check", "--config", str(path), "--json"])
    as_text = CliRunner().invoke(cli, ["check", "--config", str(path)])
    report = json.loads(as_json.stdout)

    assert (as_json.exit_code, as_text.exit_code) == (1, 1)
    assert (as_json.stderr, as_text.stderr) == ("", "")
    assert (report["ok"], [each["code"] for each in report["findings"]]) == (False, ["missing", "unserved"])
    assert as_text.stdout.splitlines()[0].rstrip().endswith(report["summary"])


def test_every_model_is_asked_only_where_that_is_wanted(subaccount, cloud, tmp_path):
    [deployment] = cloud.deployments("gpt-5", "eu")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"subAccounts": {"eu": subaccount("eu", deployment_ids={"gpt-5": [deployment]})}}))
    cloud.forget()
    command = ["check", "--config", str(path), "--json"]
    plain, asked = (json.loads(CliRunner().invoke(cli, [*command, *more]).stdout) for more in ([], ["--ask"]))
    [answer] = asked["answers"]

    assert "answers" not in plain
    assert (answer["model"], answer["ok"], answer["protocol"]) == ("gpt-5", True, "openai-chat")
    assert answer["first_word_ms"] >= 0
    assert [each["status"] for each in cloud.requests()] == [400, 400, 400, 400, 200]


def test_a_subaccount_that_cannot_be_reached_is_not_asked_for_words(subaccount, cloud, tmp_path):
    given = subaccount("eu", deployment_ids={"gpt-5": cloud.deployments("gpt-5", "eu")})
    given["service_key"]["clientsecret"] = "sesame"
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"subAccounts": {"eu": given}}))
    told = CliRunner().invoke(cli, ["check", "--ask", "--config", str(path), "--json"])

    assert (json.loads(told.stdout)["answers"], told.exit_code) == ([], 1)
