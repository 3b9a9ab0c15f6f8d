"""What `sap-ai-proxy init` asks, writes and creates."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.config.loader import load
from tests.gateway.cli.init.conftest import SONNET, Run
from tests.support.running import Cloud

KeyOf = Callable[..., str]


def mode(run: Run, name: str) -> int:
    return (run.folder / name).stat().st_mode & 0o777


def test_a_service_key_and_nothing_else_makes_a_config_file_that_is_well(run: Run, key_of: KeyOf, cloud: Cloud) -> None:
    told = run("init", "--service-key", key_of("eu"))

    assert told.exit_code == 0, told.output
    [key] = run.config["secret_authentication_tokens"]
    assert run.config["subAccounts"] == {"eu": {"resource_group": "default", "service_key_json": "eu_key.json"}}
    assert key.startswith("sk-")
    assert len(key) >= len("sk-") + 128 / 6
    assert key not in told.output
    assert json.loads((run.folder / "eu_key.json").read_text()) == cloud.tenants["eu"]["service_key"]
    assert (run.files, mode(run, "config.json"), mode(run, "eu_key.json")) == (
        ["config.json", "eu_key.json"],
        0o600,
        0o600,
    )
    assert "sap-ai-proxy connect claude" in told.output
    account = load(run.folder / "config.json", {}, None).subaccounts["eu"]
    assert (account.discovery, account.resource_group) == (True, "default")


def test_what_runs_where_is_shown_with_how_often(run: Run, key_of: KeyOf) -> None:
    told = run("init", "-k", key_of("several"), "-g", "default", "-g", "team-b", "--dry-run")
    rows = [line.split() for line in told.output.splitlines() if line.startswith(("default ", "team-b "))]

    assert ["default", SONNET, "latest", "1", "RUNNING"] in rows
    assert ["default", SONNET, "latest", "1", "STOPPED"] in rows
    assert ["default", "orchestration", "1", "RUNNING"] in rows
    assert ["team-b", "gpt-5", "latest", "1", "RUNNING"] in rows


def test_every_key_of_callers_is_another(run: Run, key_of: KeyOf) -> None:
    keys = set()
    for name in ("a.json", "b.json"):
        run("-c", name, "init", "-k", key_of("eu"))
        keys |= set(json.loads((run.folder / name).read_text())["secret_authentication_tokens"])

    assert len(keys) == 2


def test_several_resource_groups_are_asked_about_and_each_is_a_subaccount(run: Run, key_of: KeyOf) -> None:
    told = run("init", answers=(key_of("several"), "default none", "default, team-b"))

    assert told.exit_code == 0, told.output
    assert "there is no resource group none" in told.output
    assert run.config["subAccounts"] == {
        "several-default": {"resource_group": "default", "service_key_json": "several_key.json"},
        "several-team-b": {"resource_group": "team-b", "service_key_json": "several_key.json"},
    }


def test_enter_serves_the_resource_groups_in_which_something_runs(run: Run, key_of: KeyOf) -> None:
    run("init", answers=(key_of("several"), ""))

    assert {each["resource_group"] for each in run.config["subAccounts"].values()} == {"default", "team-b"}


def test_a_key_may_be_pasted_in_many_lines(run: Run, cloud: Cloud) -> None:
    lines = json.dumps(cloud.tenants["eu"]["service_key"], indent=2).splitlines()
    first, second = run("init", answers=("", *lines)), run("-c", "b.json", "init", answers=tuple(lines))

    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output


def test_a_key_comes_from_standard_input_and_not_from_the_command_line(run: Run, cloud: Cloud) -> None:
    key = json.dumps(cloud.tenants["eu"]["service_key"])
    piped, *given = run("init", "-k", "-", stdin=key), run("-c", "b.json", "init", "-k", key), run("init", f" {key}")

    assert piped.exit_code == 0, piped.output
    for each in given:
        assert each.exit_code == 1
        assert each.stderr == (
            "sap-ai-proxy: other users of this machine can read a service key on the command line, and the shell keeps "
            'it in its history; give its file, "-" and the key on standard input, or "env" and the key in '
            "AICORE_SERVICE_KEY.\n"
        )


def test_a_key_that_saps_sdks_would_find_is_proposed_and_stays_where_it_is(
    run: Run, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AICORE_SERVICE_KEY", json.dumps(cloud.tenants["eu"]["service_key"]))
    told = run("init", answers=("y",))

    assert told.exit_code == 0, told.output
    assert "There is a service key in AICORE_SERVICE_KEY. Use it?" in told.output
    assert list(run.config["subAccounts"].values()) == [{"resource_group": "default", "service_key": "env"}]
    assert run.files == ["config.json"]


def test_a_key_of_the_environment_that_is_not_meant_is_left_alone(
    run: Run, cloud: Cloud, key_of: KeyOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AICORE_SERVICE_KEY", json.dumps(cloud.tenants["several"]["service_key"]))
    run("init", answers=("n", key_of("eu")))

    assert list(run.config["subAccounts"]) == ["eu"]


def test_without_a_terminal_a_key_of_the_environment_is_taken(
    run: Run, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AICORE_SERVICE_KEY", json.dumps(cloud.tenants["eu"]["service_key"]))

    assert run("init").exit_code == 0
    assert run("-c", "b.json", "init", "-k", "env").exit_code == 0


def test_a_key_of_the_environment_comes_with_its_resource_group(
    run: Run, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AICORE_SERVICE_KEY", json.dumps(cloud.tenants["several"]["service_key"]))
    monkeypatch.setenv("AICORE_RESOURCE_GROUP", "team-b")
    told = run("init")

    assert told.exit_code == 0, told.output
    assert [each["resource_group"] for each in run.config["subAccounts"].values()] == ["team-b"]


def test_a_key_file_beside_the_config_file_is_named_and_kept_from_others(run: Run, cloud: Cloud) -> None:
    own = run.folder / "mine.json"
    own.write_text(json.dumps(cloud.tenants["eu"]["service_key"]))
    own.chmod(0o644)
    run("init", "-k", "mine.json")

    assert run.config["subAccounts"]["eu"]["service_key_json"] == "mine.json"
    assert (run.files, mode(run, "mine.json")) == (["config.json", "mine.json"], 0o600)


def test_a_dry_run_shows_the_file_without_secrets_and_leaves_everything_as_it_was(
    run: Run, key_of: KeyOf, cloud: Cloud
) -> None:
    told = run("init", "-k", key_of("fresh"), "--deploy", "gpt-5", "--dry-run")

    assert told.exit_code == 0, told.output
    shown = json.loads(told.output[told.output.index("{") :])
    assert shown["subAccounts"]["fresh"]["service_key_json"] == "fresh_key.json"
    assert shown["secret_authentication_tokens"] == ["…"]
    assert "would create a deployment of gpt-5" in told.output
    assert run.files == []
    assert cloud.tenants["fresh"]["deployments"] == []


def test_secrets_that_are_in_the_file_already_are_masked_too(run: Run, key_of: KeyOf, cloud: Cloud) -> None:
    inline = cloud.tenants["several"]["service_key"]
    own = {"old": {"service_key": inline}}
    secrets = {"secret_authentication_tokens": ["sk-old"], "secret_signing_keys": ["0123456789abcdef"]}
    upstream = {"proxy": cloud.url.replace("//", "//user:hunter2@")}
    (run.folder / "config.json").write_text(json.dumps({"subAccounts": own, **secrets, "upstream": upstream}))
    told = run("init", "-k", key_of("eu"), "--dry-run")

    assert (told.exit_code, told.output.count("…")) == (0, 4), told.output
    for secret in ("sk-old", "0123456789abcdef", inline["clientsecret"], "hunter2"):
        assert secret not in told.output


def test_again_with_another_key_adds_a_subaccount_and_keeps_the_rest(run: Run, key_of: KeyOf) -> None:
    run("init", "-k", key_of("eu"))
    before = run.config | {"port": 4000, "of_another_program": {"x": [1]}}
    (run.folder / "config.json").write_text(json.dumps(before))
    (run.folder / "config.json").chmod(0o644)
    told = run("init", "-k", key_of("several"), "-g", "team-b", "--name", "us")

    assert told.exit_code == 0, told.output
    added = {"us": {"resource_group": "team-b", "service_key_json": "us_key.json"}}
    assert run.config == before | {"subAccounts": before["subAccounts"] | added}
    assert json.loads((run.folder / "config.json.before-sap-ai-proxy").read_text()) == before
    assert (mode(run, "config.json"), mode(run, "config.json.before-sap-ai-proxy")) == (0o600, 0o600)
    before = run.config
    run("init", "-k", key_of("several"), "-g", "default", "--name", "ap")
    assert json.loads((run.folder / "config.json.before-sap-ai-proxy").read_text()) == before


def test_again_with_the_same_key_changes_nothing(run: Run, key_of: KeyOf) -> None:
    run("init", "-k", key_of("eu"))
    before = (run.folder / "config.json").read_text()
    told = run("init", "-k", key_of("eu"))

    assert told.exit_code == 0, told.output
    assert "config.json needs no change" in told.output
    assert (run.folder / "config.json").read_text() == before
    assert run.files == ["config.json", "eu_key.json"]


def test_a_key_that_the_config_file_holds_itself_stays_there(run: Run, key_of: KeyOf, cloud: Cloud) -> None:
    own = {"mine": {"service_key": cloud.tenants["eu"]["service_key"], "weight": 2}}
    (run.folder / "config.json").write_text(json.dumps({"subAccounts": own}))
    run("init", "-k", key_of("eu"))

    assert (run.config["subAccounts"], "eu_key.json" in run.files) == (own, False)


def test_another_key_of_the_same_subaccount_replaces_the_old_one_once_that_is_confirmed(
    run: Run, key_of: KeyOf, cloud: Cloud
) -> None:
    run("init", "-k", key_of("eu"))
    config = run.config
    config["subAccounts"]["eu"]["weight"] = 3
    (run.folder / "config.json").write_text(json.dumps(config))
    old = cloud.tenants["eu"]["service_key"]
    (run.folder / "eu_key.json").write_text(json.dumps(old | {"clientsecret": "expired"}))
    refused, declined = run("init", "-k", key_of("eu")), run("init", "-k", key_of("eu"), answers=("n",))
    kept = json.loads((run.folder / "eu_key.json").read_text())
    accepted = run("init", "-k", key_of("eu"), answers=("y",))

    question = "eu_key.json holds another service key of this subaccount. Replace it?"
    assert (refused.exit_code, declined.exit_code, accepted.exit_code) == (2, 130, 0), accepted.output
    assert refused.stderr == f"sap-ai-proxy: There is no terminal on which to ask: {question} Answer with --yes.\n"
    assert kept["clientsecret"] == "expired"
    assert json.loads((run.folder / "eu_key.json").read_text()) == old
    assert run.config == config


def test_a_file_of_that_name_that_holds_something_else_is_not_touched(run: Run, key_of: KeyOf) -> None:
    (run.folder / "eu_key.json").write_text("a poem")
    told = run("init", "-k", key_of("eu"))

    assert told.exit_code == 0, told.output
    assert (run.folder / "eu_key.json").read_text() == "a poem"
    assert run.config["subAccounts"]["eu"]["service_key_json"] == "eu_key_2.json"


def test_a_file_whose_callers_need_no_key_gets_none(run: Run, key_of: KeyOf) -> None:
    (run.folder / "config.json").write_text('{"allow_unauthenticated": true}')
    run("init", "-k", key_of("eu"))

    assert "secret_authentication_tokens" not in run.config


def test_a_config_file_elsewhere_is_named_in_what_comes_next(run: Run, key_of: KeyOf) -> None:
    told = run("init", "--config", "sub/it.json", "-k", key_of("eu"))

    assert told.exit_code == 0, told.output
    assert (run.folder / "sub" / "eu_key.json").exists()
    assert "sap-ai-proxy --config sub/it.json " in told.output


def test_a_model_is_deployed_where_nothing_runs_and_waited_for(run: Run, new_cloud: Cloud, key_of: KeyOf) -> None:
    new_cloud.ask("PUT", "/admin/settings", {"startup": 0})
    key = key_of("fresh", of=new_cloud)
    told = run("init", "-k", key, "--deploy", "gpt-5", "--deploy", "orchestration", "--yes")

    assert told.exit_code == 0, told.output
    made = new_cloud.tenants["fresh"]["deployments"]
    assert [(each["model"], each["status"]) for each in made] == [("gpt-5", "RUNNING"), (None, "RUNNING")]
    again = run("init", answers=(f"'{key}'",)), run("init", "-k", key, "--deploy", "gpt-5", "--yes")
    assert [each.exit_code for each in again] == [0, 0]
    assert "of gpt-5 is already running" in again[1].output
    assert len(new_cloud.tenants["fresh"]["deployments"]) == 2


def test_where_nothing_runs_models_are_offered_and_the_costs_confirmed(
    run: Run, new_cloud: Cloud, key_of: KeyOf
) -> None:
    new_cloud.ask("PUT", "/admin/settings", {"startup": 0})
    key = key_of("fresh", of=new_cloud)
    declined = run("init", answers=(key, "gpt-5 orchestration", "n"))
    assert (declined.exit_code, run.files, new_cloud.tenants["fresh"]["deployments"]) == (130, [], [])
    told = run("init", answers=(key, "gpt-nine", "gpt", "", "y"))

    assert told.exit_code == 0, told.output
    assert "'gpt-nine' is not a model that can be deployed here; write orchestration, or a model of the" in told.output
    assert "did you mean gpt-4.1 or gpt-4o or gpt-5?" in told.output
    assert "SAP bills the requests to a deployment" in told.output
    rows = [line.split()[0] for line in told.output.splitlines() if line.startswith(("gpt-", "gemini-"))]
    assert "gpt-5" in rows
    assert "gemini-2.5-pro" not in rows
    assert [each["model"] for each in new_cloud.tenants["fresh"]["deployments"]] == [None]


def test_a_subaccount_that_lists_its_deployments_is_told_how_to_list_the_new_one(
    run: Run, new_cloud: Cloud, key_of: KeyOf
) -> None:
    new_cloud.ask("PUT", "/admin/settings", {"startup": 0})
    key = key_of("fresh", of=new_cloud)
    run("init", "-k", key, "--deploy", "gpt-5", "--yes")
    config = run.config
    config["subAccounts"]["fresh"]["deployment_ids"] = {"gpt-5": new_cloud.tenants["fresh"]["deployments"][0]["id"]}
    (run.folder / "config.json").write_text(json.dumps(config))
    told = run("init", "-k", key, "--deploy", "gpt-5.5", "--yes")

    assert told.exit_code == 0, told.output
    assert "fresh lists its deployments: `sap-ai-proxy discover --write` adds new ones that run" in told.output


def test_a_deployment_that_starts_up_already_is_waited_for_and_not_made_again(
    run: Run, new_cloud: Cloud, key_of: KeyOf
) -> None:
    key = key_of("fresh", of=new_cloud)
    new_cloud.ask("PUT", "/admin/settings", {"startup": 3600})
    started = run("init", "-k", key, "--deploy", "gpt-5", "--yes", "--wait", "0")
    assert (started.exit_code, "config.json" in run.files) == (0, True)
    assert "is still UNKNOWN; config.json is written, and will serve" in started.output
    waited = run("init", "-k", key, "--wait", "0")
    assert (waited.exit_code, "is still UNKNOWN" in waited.output) == (0, True), waited.output
    new_cloud.ask("PUT", "/admin/settings", {"startup": 0})
    told = run("init", "-k", key)

    assert told.exit_code == 0, told.output
    assert len(new_cloud.tenants["fresh"]["deployments"]) == 1


def test_where_nothing_is_to_be_deployed_the_file_is_written_all_the_same(
    run: Run, cloud: Cloud, key_of: KeyOf
) -> None:
    told = run("init", "-k", key_of("fresh"), "--deploy", "none")

    assert told.exit_code == 1
    assert "serves nothing" in told.output
    assert list(run.config["subAccounts"]) == ["fresh"]


def test_a_key_that_may_not_list_resource_groups_serves_the_one_that_is_named(
    run: Run, cloud: Cloud, key_of: KeyOf
) -> None:
    cloud.fault("management:several", "403", times=1)
    asked = run("init", answers=(key_of("several"), "team-b"))
    cloud.fault("management:several", "403", times=1)
    named = run("-c", "b.json", "init", "-k", key_of("several"), "-g", "team-b")
    cloud.fault("management:several", "403", times=1)
    unasked = run("-c", "c.json", "init", "-k", key_of("several"))
    groups = [
        next(iter(json.loads((run.folder / f"{name}.json").read_text())["subAccounts"].values()))["resource_group"]
        for name in ("config", "b", "c")
    ]

    assert [each.exit_code for each in (asked, named, unasked)] == [0, 0, 0], asked.output
    assert "the service key is not allowed to list resource groups" in asked.output
    assert groups == ["team-b", "team-b", "default"]


def test_what_stops_the_questions_is_one_line(run: Run, key_of: KeyOf) -> None:
    told = run("init", answers=(key_of("several"),))

    assert (told.exit_code, told.stderr) == (130, "sap-ai-proxy: Stopped: nothing was written.\n")


PROXIED = "or set upstream.proxy (--proxy) if this network needs an HTTP proxy"
LINES: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    # what is wrong: what the service key says instead, arguments beside it, the line
    "secret": (
        {"clientsecret": "wrong"},
        (),
        (
            "no access token: SAP AI Core's token service refuses the service key of this subaccount: "
            "it was deleted, has expired or was copied in part; "
            "create another one in the BTP cockpit, at the instance of SAP AI Core"
        ),
    ),
    "token host": (
        {"url": "http://127.0.0.1:9"},
        (),
        (
            "no access token: 127.0.0.1:9 cannot be reached: the connection was refused; "
            f"correct url in the service key, {PROXIED}"
        ),
    ),
    "api host": (
        {"serviceurls": {"AI_API_URL": "http://127.0.0.1:9"}},
        (),
        (
            "the resource groups cannot be listed: 127.0.0.1:9 cannot be reached: the connection was refused; "
            f"correct serviceurls.AI_API_URL in the service key, {PROXIED}"
        ),
    ),
    "proxy": (
        {"url": "http://auth.invalid"},
        ("--proxy", "http://127.0.0.1:9"),
        (
            "no access token: the HTTP proxy 127.0.0.1:9 cannot be reached: the connection was refused; "
            "correct upstream.proxy (--proxy)"
        ),
    ),
    "another service": (
        {"serviceurls": None},
        (),
        (
            "KEY is not a service key of SAP AI Core, because it has no serviceurls.AI_API_URL; "
            "copy that of its instance from the BTP cockpit"
        ),
    ),
    "incomplete": (
        {"clientid": ""},
        (),
        "KEY cannot be used: clientid is missing; copy it from the service key in the BTP cockpit",
    ),
    "group": ({}, ("-g", "none"), "there is no resource group none; the resource groups are default"),
    "model": (
        {},
        ("--deploy", "gpt-nine"),
        "'gpt-nine' is not a model that can be deployed here; write orchestration, or a model of the catalogue",
    ),
}


@pytest.mark.parametrize("wrong", LINES)
def test_what_is_wrong_is_one_line_that_says_what_to_do(run: Run, key_of: KeyOf, cloud: Cloud, wrong: str) -> None:
    changed, arguments, line = LINES[wrong]
    path = key_of("eu", **changed)
    told = run("init", "-k", path, *arguments)
    said = told.stderr.replace(path, "KEY").replace(cloud.url.removeprefix("http://"), "127.0.0.1:0")

    assert (said, told.exit_code) == (f"sap-ai-proxy: {line}.\n", 1)
    assert run.files == []


def test_what_is_no_service_key_at_all_is_said_with_where_to_get_one(run: Run) -> None:
    (run.folder / "poem.json").write_text("{roses: red}")
    (run.folder / "list.json").write_text("[]")
    said = [run("init", "-k", name, stdin="{1").stderr for name in ("poem.json", "list.json", "none.json", "-")]
    wrong = "is not valid JSON: Expecting property name enclosed in double quotes"

    assert said == [
        f"sap-ai-proxy: poem.json {wrong} at line 1, column 2.\n",
        "sap-ai-proxy: list.json cannot be used: must be an object, not a list; write the service key in braces.\n",
        "sap-ai-proxy: there is no file none.json; correct the path.\n",
        f"sap-ai-proxy: the service key {wrong} at line 1, column 2; copy all of it from the BTP cockpit.\n",
    ]


MISSING = {
    "key": ((), "the service key: give it with --service-key FILE"),
    "group": (("several",), "the resource groups to serve: give each with --resource-group NAME"),
    "model": (("fresh",), "what to deploy, as nothing runs: give it with --deploy MODEL, or --deploy none"),
}


@pytest.mark.parametrize("missing", MISSING)
def test_without_a_terminal_the_option_is_named_that_answers(
    run: Run, new_cloud: Cloud, key_of: KeyOf, missing: str
) -> None:
    tenants, what = MISSING[missing]
    arguments = [word for name in tenants for word in ("-k", key_of(name, of=new_cloud))]
    told = run("init", *arguments)

    assert (told.exit_code, told.stderr) == (2, f"sap-ai-proxy: There is no terminal on which to ask for {what}.\n")
    assert run.files == []


def test_a_deployment_costs_so_that_no_script_makes_one_by_accident(run: Run, new_cloud: Cloud, key_of: KeyOf) -> None:
    key = key_of("fresh", of=new_cloud)
    unsaid, unconfirmed = run("init", "-k", key, "--yes"), run("init", "-k", key, "--deploy", "gpt-5")

    assert (unsaid.exit_code, unconfirmed.exit_code) == (2, 2)
    assert "--deploy MODEL" in unsaid.stderr
    assert "Answer with --yes." in unconfirmed.stderr
    assert new_cloud.tenants["fresh"]["deployments"] == []


def test_a_config_file_that_has_mistakes_is_to_be_put_right_first(run: Run, key_of: KeyOf) -> None:
    config = run.folder / "config.json"
    said = []
    for text in ("{", "[]", '{"subAccounts": {"x": {}}, "port": "x"}'):
        config.write_text(text)
        said.append(run("init", "-k", key_of("eu")).stderr)
        assert config.read_text() == text

    assert said[0].startswith("sap-ai-proxy: config.json is not valid JSON")
    assert said[1].startswith("sap-ai-proxy: config.json is not a JSON object")
    assert "correct that first" in said[2]
    assert all(each.count("\n") == 1 for each in said)


def test_a_name_that_another_subaccount_has_is_refused(run: Run, key_of: KeyOf) -> None:
    run("init", "-k", key_of("eu"))
    told = run("init", "-k", key_of("several"), "-g", "team-b", "--name", "eu")

    assert told.stderr == (
        "sap-ai-proxy: the config file already has another subaccount named eu; give another --name.\n"
    )
