"""What `sap-ai-proxy discover` finds, says is served, and adds to the config file."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import emulator
from dialects.core.faults import Fault, FaultError, FaultKind
from emulator.world import World, tenant, with_group
from gateway.cli.discover import take_inventory
from gateway.cli.main import cli
from gateway.config.service_keys import Secret, ServiceKey
from gateway.config.settings import Settings
from gateway.config.subaccounts import SubAccount
from gateway.upstream.management import ManagementClient
from gateway.upstream.tokens import Token
from tests.support.running import Cloud

SONNET = "anthropic--claude-4.6-sonnet"
Discover = Callable[..., Result]


@pytest.fixture(scope="module")
def shared() -> Iterator[Cloud]:
    eu = with_group(tenant("eu", "default", (SONNET, "gpt-5"), 1), "team-b", ("gpt-5.5", "gemini-3.5-flash"))
    with emulator.serve(World((eu,))) as running:
        yield Cloud(running.url)


@pytest.fixture
def cloud(shared: Cloud) -> Cloud:
    shared.heal()
    return shared


@pytest.fixture
def discover(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Discover:
    """Run the command for a config file whose subaccounts have these keys beside their service keys."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AICORE_SERVICE_KEY", raising=False)
    (tmp_path / "eu_key.json").write_text(json.dumps(cloud.tenants["eu"]["service_key"]))

    def run(*arguments: str, more: Any = None, **subaccounts: Any) -> Result:
        if subaccounts:
            own = {name: {"service_key_json": "eu_key.json", **each} for name, each in subaccounts.items()}
            (tmp_path / "config.json").write_text(json.dumps({"subAccounts": own, **(more or {})}))
        return CliRunner().invoke(cli, ["discover", *arguments])

    return run


def config() -> Any:
    return json.loads(Path("config.json").read_text())


def rows(told: Result) -> dict[str, Any]:
    """What is found, by resource group, model and status."""
    found = json.loads(told.stdout)["deployments"]
    return {f"{each['resource_group']} {each['model']} {each['status']}": each for each in found}


def test_every_deployment_of_every_resource_group_is_found_and_said_to_be_served_or_not(discover: Discover) -> None:
    told = discover("--json", eu={})
    found = {what: (each["subaccount"], each["served"], each["why"]) for what, each in rows(told).items()}

    assert (told.exit_code, told.stderr) == (0, "")
    unconfigured = "its resource group is not in the config file"
    assert found == {
        f"default {SONNET} RUNNING": ("eu", True, None),
        "default gpt-5 RUNNING": ("eu", True, None),
        f"default {SONNET} STOPPED": ("eu", False, None),
        "default gpt-5 PENDING": ("eu", False, None),
        "default orchestration RUNNING": ("eu", True, None),
        "team-b gpt-5.5 RUNNING": ("eu", False, unconfigured),
        "team-b gemini-3.5-flash RUNNING": ("eu", False, unconfigured),
    }


def test_the_table_says_the_same_to_people(discover: Discover, cloud: Cloud) -> None:
    told = discover(eu={})
    [sonnet] = cloud.deployments(SONNET)
    lines = [line.split() for line in told.stdout.splitlines()]

    assert "eu, resource group default" in told.stdout.splitlines()
    assert ["✓", SONNET, "latest", sonnet, "RUNNING", "served"] in lines
    assert "eu, resource group team-b (which is not in the config file)" in told.stdout
    assert told.stdout.endswith("7 deployments, 5 running, 3 of them served\n")


def test_what_is_left_out_by_filters_or_not_listed_is_said_so(discover: Discover, cloud: Cloud) -> None:
    [sonnet] = cloud.deployments(SONNET)
    filters = {"model_filters": {"exclude_filters": ["^gpt"]}}
    told = rows(discover("--json", eu={"deployment_ids": {SONNET: sonnet}}, more=filters))

    assert told[f"default {SONNET} RUNNING"]["served"]
    assert told["default gpt-5 RUNNING"]["why"] == "model_filters leave it out"
    assert told["default orchestration RUNNING"]["why"] == "it is not in the config file"
    assert told["team-b gpt-5.5 RUNNING"]["why"] == "model_filters leave it out"


def test_what_runs_and_is_not_served_is_added_and_the_rest_of_the_file_kept(discover: Discover, cloud: Cloud) -> None:
    [sonnet], [gpt] = cloud.deployments(SONNET), cloud.deployments("gpt-5")
    eu = {"deployment_ids": {"gpt-5": "d-old", "gemini-3.5-flash": []}, "weight": 2}
    told = discover("--write", eu=eu, more={"port": 4000, "of_another_program": [1]})
    written = config()

    assert told.exit_code == 0, told.stderr
    assert written["subAccounts"]["eu"] == {
        "service_key_json": "eu_key.json",
        "deployment_ids": {SONNET: [sonnet], "gpt-5": ["d-old", gpt], "gemini-3.5-flash": []},
        "weight": 2,
    }
    assert written["subAccounts"]["eu-team-b"] == {"resource_group": "team-b", "service_key_json": "eu_key.json"}
    assert (written["port"], written["of_another_program"]) == (4000, [1])
    assert json.loads(Path("config.json.before-sap-ai-proxy").read_text())["subAccounts"]["eu"]["weight"] == 2
    assert Path("config.json").stat().st_mode & 0o777 == 0o600
    for line in (
        f"added {SONNET} ({sonnet}) to eu",
        f"added gpt-5 ({gpt}) to eu",
        "added the subaccount eu-team-b, for the deployments of the resource group team-b",
    ):
        assert line in told.stderr.splitlines()
    assert 'is not added: set "discovery": true in eu to serve it' in told.stderr


def test_what_was_added_is_served_and_is_not_added_again(discover: Discover) -> None:
    discover("--write", eu={"deployment_ids": {"gpt-5": "d-old"}})
    before = Path("config.json").read_text()
    again = discover("--write", "--json")

    running = [each for each in rows(again).values() if each["status"] == "RUNNING"]
    assert {each["model"] for each in running if not each["served"]} == {"orchestration"}
    assert "config.json needs no change" in again.stderr
    assert Path("config.json").read_text() == before


def test_a_resource_group_that_is_named_is_looked_into_alone(discover: Discover) -> None:
    told = discover("--write", "--json", "-g", "default", eu={"deployment_ids": {"gpt-5": "d-old"}})
    odd = discover("--json", "-g", "default", "-g", "nowhere")

    assert {each["resource_group"] for each in rows(told).values()} == {"default"}
    assert list(config()["subAccounts"]) == ["eu"]
    assert (odd.exit_code, odd.stderr) == (1, "warning: there is no resource group nowhere\n")


def test_a_dry_run_says_what_would_be_added_and_writes_nothing(discover: Discover) -> None:
    told = discover("--dry-run", "--json", eu={"deployment_ids": {"gpt-5": "d-old"}})

    assert "would add the subaccount eu-team-b, for the deployments of the resource group team-b" in told.stderr
    assert told.stderr.endswith("\nnothing was written to config.json\n")
    assert config()["subAccounts"] == {
        "eu": {"service_key_json": "eu_key.json", "deployment_ids": {"gpt-5": "d-old"}},
    }


def test_subaccounts_that_share_a_service_key_are_looked_into_once(discover: Discover) -> None:
    told = json.loads(discover("--json", eu={}, b={"resource_group": "team-b"}).stdout)["deployments"]

    assert len(told) == 7
    assert {each["subaccount"] for each in told if each["resource_group"] == "team-b"} == {"b"}
    assert all(each["served"] for each in told if each["status"] == "RUNNING")


def test_what_another_subaccount_of_the_same_resource_group_serves_is_served(discover: Discover, cloud: Cloud) -> None:
    [sonnet], [gpt] = cloud.deployments(SONNET), cloud.deployments("gpt-5")
    a, b = {"deployment_ids": {SONNET: sonnet}}, {"deployment_ids": {"gpt-5": gpt}}
    told = discover("--json", a=a, b=b)
    found = rows(told)
    written = discover("--write")

    assert (found["default gpt-5 RUNNING"]["served"], found["default gpt-5 RUNNING"]["subaccount"]) == (True, "b")
    assert (found[f"default {SONNET} RUNNING"]["served"], found[f"default {SONNET} RUNNING"]["subaccount"]) == (
        True,
        "a",
    )
    assert found["default orchestration RUNNING"]["why"] == "it is not in the config file"
    assert "added gpt-5 (" not in written.stderr
    assert config()["subAccounts"]["a"]["deployment_ids"] == {SONNET: sonnet}


def test_each_resource_group_is_listed_once_and_its_key_signs_in_once(
    discover: Discover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second list could fail after the first one, or say something else."""
    listed, tokens = [], []
    get, fetch_token = ManagementClient.get, ManagementClient.fetch_token

    def counted_get(client: ManagementClient, url: str, headers: Any, timeout: float) -> Any:
        listed.extend([headers["AI-Resource-Group"]] if "/lm/deployments" in url else [])
        return get(client, url, headers, timeout)

    def counted_token(client: ManagementClient, key: Any) -> Any:
        tokens.append(key)
        return fetch_token(client, key)

    monkeypatch.setattr(ManagementClient, "get", counted_get)
    monkeypatch.setattr(ManagementClient, "fetch_token", counted_token)
    found = rows(discover("--json", a={}, b={}))

    assert found["default orchestration RUNNING"]["served"]
    assert (sorted(listed), len(tokens)) == (["default", "team-b"], 1)


def test_a_key_that_may_not_list_resource_groups_shows_those_of_the_file(discover: Discover, cloud: Cloud) -> None:
    cloud.fault("management:eu", "403", times=1)
    told = discover("--json", eu={}, b={"resource_group": "idle"})

    assert (told.exit_code, {each["resource_group"] for each in rows(told).values()}) == (0, {"default"})


def test_a_key_that_may_not_list_resource_groups_may_look_into_one_that_is_named(
    discover: Discover, cloud: Cloud
) -> None:
    cloud.fault("management:eu", "403", times=1)
    told = discover("--json", "-g", "team-b", eu={})

    assert (told.exit_code, {each["resource_group"] for each in rows(told).values()}) == (0, {"team-b"})


def test_a_key_that_may_list_nothing_is_a_warning(discover: Discover, cloud: Cloud) -> None:
    cloud.fault("management:eu", "403")
    told = discover("--json", eu={})

    assert (told.exit_code, rows(told)) == (1, {})
    assert told.stderr.startswith("warning: eu: the deployments of the resource group default cannot be listed: ")
    assert "; correct serviceurls.AI_API_URL in the service key and the resource group, or " in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_subaccount_that_cannot_be_asked_is_a_warning_and_hides_no_other(
    discover: Discover, cloud: Cloud, tmp_path: Path
) -> None:
    key = cloud.tenants["eu"]["service_key"] | {"url": f"{cloud.url}/auth/none", "identityzoneid": "none"}
    (tmp_path / "none.json").write_text(json.dumps(key))
    told = discover("--json", eu={}, us={"service_key_json": "none.json"})

    assert (told.exit_code, len(rows(told))) == (1, 7)
    assert told.stderr.startswith("warning: us: ")


def test_a_key_of_the_environment_alone_is_shown_and_there_is_no_file_to_write(
    discover: Discover, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AICORE_SERVICE_KEY", json.dumps(cloud.tenants["eu"]["service_key"]))
    told, refused = discover("--json"), discover("--write", "--json")

    assert rows(told)["default gpt-5 RUNNING"]["subaccount"] == "default"
    assert refused.stderr == "sap-ai-proxy: There is no config file to write to: create one with `sap-ai-proxy init`.\n"
    assert (refused.stdout, refused.exit_code) == ("", 2)
    Path("config.json").write_text('{"port": 3002}')
    told = discover("--write")
    assert "gpt-5.5 (" in told.stderr
    assert "is not added: default is not in config.json" in told.stderr
    assert config() == {"port": 3002}


def test_tenants_are_asked_at_the_same_time_and_told_in_the_order_of_the_file() -> None:
    """Each is answered only once the other one is asked, too."""
    together = threading.Barrier(2, timeout=20)

    class Meeting(ManagementClient):
        def fetch_token(self, key: ServiceKey) -> Token:
            together.wait()
            raise FaultError(Fault(FaultKind.UNREACHABLE, f"{key.client_id} is away."))

    keys = {name: ServiceKey(name, Secret("s"), f"https://{name}.example/", "https://api/v2") for name in ("eu", "us")}
    accounts = {name: SubAccount(name, "default", key, {}) for name, key in keys.items()}
    with closing(Meeting()) as client:
        found = take_inventory(Settings(accounts), client)

    assert [failure.partition(";")[0] for failure in found.failures] == [
        "eu: no access token: eu is away",
        "us: no access token: us is away",
    ]
