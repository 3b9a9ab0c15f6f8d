"""Resource groups, and deployments that are made while the emulator runs."""

import pytest

from emulator import World, create_app
from emulator.world import empty_tenant, tenant, with_group
from tests.emulator.client import SONNET, request

HELLO = request("invoke", SONNET, "Hello")[1]
BINDINGS = [{"key": "modelName", "value": SONNET}, {"key": "modelVersion", "value": "latest"}]
CLAUDE = {
    "name": "claude",
    "executableId": "aws-bedrock",
    "scenarioId": "foundation-models",
    "parameterBindings": BINDINGS,
}
ORCHESTRATION = {"name": "orchestration", "executableId": "orchestration", "scenarioId": "orchestration"}


class Caller:
    """Somebody with a token of a tenant in which nothing runs, and the clock of its emulator."""

    def __init__(self, world=None):
        self.now = 1_000_000.0
        self.client = create_app(world or World((empty_tenant("new"),)), clock=lambda: self.now).test_client()
        key = self.client.get("/admin/tenants").json["new"]["service_key"]
        form = {"grant_type": "client_credentials", "client_id": key["clientid"], "client_secret": key["clientsecret"]}
        self.token = self.client.post("/auth/new/oauth/token", data=form).json["access_token"]

    def ask(self, method, path, body=None, group="default"):
        headers = {"Authorization": f"Bearer {self.token}", "AI-Resource-Group": group}
        return self.client.open(f"/v2{path}", method=method, json=body, headers=headers)

    def deploy(self, configuration=CLAUDE):
        made = self.ask("POST", "/lm/configurations", configuration).json["id"]
        return self.ask("POST", "/lm/deployments", {"configurationId": made})

    def status(self, id):
        return self.ask("GET", f"/lm/deployments/{id}").json["status"]


@pytest.fixture
def caller():
    return Caller()


def test_each_resource_group_lists_its_own_deployments():
    world = World((with_group(with_group(tenant("new", "default", (SONNET,)), "team-b", ("gpt-5",)), "idle"),))
    caller = Caller(world)

    def listed(group):
        found = caller.ask("GET", "/lm/deployments", group=group).json["resources"]
        return {one["details"]["resources"]["backendDetails"].get("model", {}).get("name") for one in found}

    groups = caller.ask("GET", "/admin/resourceGroups").json
    found = [(each["resourceGroupId"], each["status"]) for each in groups["resources"]]

    assert (groups["count"], found) == (3, [(name, "PROVISIONED") for name in ("default", "team-b", "idle")])
    assert [listed(group) for group in ("default", "team-b", "idle", "none")] == [
        {SONNET, None},
        {"gpt-5"},
        set(),
        set(),
    ]


def test_a_deployment_is_made_from_a_configuration_and_runs_after_its_start(caller):
    made = caller.deploy()
    made_id = made.json["id"]
    said = [caller.status(made_id)]
    for seconds in (1.0, 8.9, 0.2):
        caller.now += seconds
        said.append(caller.status(made_id))
    shown = caller.ask("GET", f"/lm/deployments/{made_id}").json

    assert (made.status_code, made.json["status"], made.json["deploymentUrl"]) == (202, "UNKNOWN", "")
    assert said == ["UNKNOWN", "PENDING", "PENDING", "RUNNING"]
    assert shown["details"]["resources"]["backendDetails"]["model"] == {"name": SONNET, "version": "latest"}
    assert shown["deploymentUrl"] == f"http://localhost/v2/inference/deployments/{made_id}"
    assert caller.ask("POST", f"/inference/deployments/{made_id}/invoke", HELLO).status_code == 200


def test_what_starts_up_has_no_url_and_answers_nothing(caller):
    made_id = caller.deploy().json["id"]
    shown = caller.ask("GET", f"/lm/deployments/{made_id}").json

    assert "deploymentUrl" not in shown
    assert caller.ask("POST", f"/inference/deployments/{made_id}/invoke", HELLO).status_code == 404


def test_a_configuration_is_listed_with_what_it_was_given(caller):
    made = caller.ask("POST", "/lm/configurations", CLAUDE)
    shown = caller.ask("GET", f"/lm/configurations/{made.json['id']}").json
    listed = caller.ask("GET", "/lm/configurations?scenarioId=foundation-models&search=clau").json

    assert (made.status_code, made.json["message"]) == (201, "Configuration created")
    assert {key: shown[key] for key in CLAUDE} == CLAUDE
    assert (listed["count"], listed["resources"]) == (1, [shown])
    assert caller.ask("GET", "/lm/configurations?scenarioId=orchestration").json["count"] == 0


def test_an_orchestration_deployment_can_be_made(caller):
    made_id = caller.deploy(ORCHESTRATION).json["id"]
    [shown] = caller.ask("GET", "/lm/deployments?scenarioId=orchestration").json["resources"]

    assert (shown["id"], shown["details"]["resources"]["backendDetails"]) == (made_id, {})


def test_how_long_a_start_takes_is_a_setting(caller):
    caller.client.put("/admin/settings", json={"startup": 0})

    assert caller.status(caller.deploy().json["id"]) == "RUNNING"


def test_what_was_made_in_one_group_is_not_seen_in_another():
    caller = Caller(World((with_group(empty_tenant("new"), "team-b"),)))
    made = caller.ask("POST", "/lm/configurations", CLAUDE, group="team-b").json["id"]
    elsewhere = caller.ask("POST", "/lm/deployments", {"configurationId": made})
    caller.ask("POST", "/lm/deployments", {"configurationId": made}, group="team-b")
    counts = [caller.ask("GET", "/lm/deployments", group=group).json["count"] for group in ("default", "team-b")]

    assert (elsewhere.status_code, counts) == (400, [0, 1])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"name": ""}, "name is missing"),
        ({"name": "é" * 257}, "name has characters that are not allowed, or is too long"),
        ({"scenarioId": "none"}, "Scenario none does not exist"),
        ({"executableId": "none"}, "Executable none does not exist in scenario foundation-models"),
        ({"parameterBindings": []}, "Missing value for parameter modelName"),
        ({"parameterBindings": ["x"]}, "parameterBindings must be a list of objects with a key and a value"),
    ],
)
def test_a_configuration_that_is_wrong_is_refused(caller, wrong, why):
    answer = caller.ask("POST", "/lm/configurations", CLAUDE | wrong)

    assert (answer.status_code, answer.json["error"]["code"]) == (400, "400")
    assert answer.json["error"]["message"].startswith(why)


@pytest.mark.parametrize(
    ("name", "version", "why"),
    [
        ("gpt-5", "latest", "Model gpt-5 is not supported by executable aws-bedrock"),
        (SONNET, "77", f"Version 77 of model {SONNET} is not supported"),
    ],
)
def test_a_deployment_of_what_is_not_in_the_catalogue_is_refused(caller, name, version, why):
    bindings = [{"key": "modelName", "value": name}, {"key": "modelVersion", "value": version}]
    answer = caller.deploy(CLAUDE | {"parameterBindings": bindings})

    assert (answer.status_code, answer.json["error"]["message"]) == (400, why)


def test_nothing_is_made_in_a_resource_group_that_does_not_exist(caller):
    answer = caller.ask("POST", "/lm/configurations", CLAUDE, group="none")

    assert (answer.status_code, answer.json["error"]["message"]) == (400, "Resource group none does not exist")
