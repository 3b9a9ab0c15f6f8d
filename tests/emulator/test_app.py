"""Tokens and the AI API: who comes in, and what they see."""

import base64
from urllib.parse import quote

import pytest
import requests

from emulator import World, create_app
from emulator.world import orchestration_tenant, tenant
from tests.emulator.client import SONNET, Client, request
from tests.support.worlds import mixed_world

HELLO = request("invoke", SONNET, "Hello")[1]
DEPLOYED = mixed_world().tenants[0].deployments
RUNNING = [one for one in DEPLOYED if one.status == "RUNNING" and one.scenario == "foundation-models"]


def _token(client, **kwargs):
    return client.session.post(client.key["url"] + "/oauth/token", timeout=5, **kwargs)


def test_a_token_is_given_for_each_way_of_asking(eu):
    name, secret = eu.key["clientid"], eu.key["clientsecret"]
    form = f"grant_type=client_credentials&client_id={quote(name, safe='')}&client_secret={quote(secret, safe='')}"
    content = {"Content-Type": "application/x-www-form-urlencoded"}
    basic = {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}

    answers = [
        _token(eu, data=form, headers=content),
        _token(eu, data={"grant_type": "client_credentials"}, headers=basic),
        _token(eu, params={"grant_type": "client_credentials"}, headers=basic),
    ]

    for answer in answers:
        assert answer.status_code == 200
        assert answer.json()["token_type"] == "bearer"
        assert answer.json()["expires_in"] == 43199
    assert len({answer.json()["access_token"] for answer in answers}) == 3
    assert "!b" in name
    assert "|aicore!b" in name
    assert "$" in secret
    assert "=" in secret


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "client_credentials", "client_id": "ID", "client_secret": "wrong"}, 401, "unauthorized"),
        ({"grant_type": "client_credentials", "client_id": "who?", "client_secret": "x"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "ID"}, 401, "unauthorized"),
        ({"grant_type": "password", "client_id": "ID"}, 400, "unsupported_grant_type"),
        ({}, 401, "unauthorized"),
    ],
)
def test_no_token_is_given_to_strangers(eu, form, status, error):
    answer = _token(eu, data={key: eu.key["clientid"] if value == "ID" else value for key, value in form.items()})

    assert (status, error) == (answer.status_code, answer.json()["error"])


def test_a_certificate_stands_for_the_secret_only_where_the_tenant_has_one(elsewhere):
    client = elsewhere(World((tenant("eu", "default"), tenant("cert", "g", x509=True))), "eu")
    for name, status in (("cert", 200), ("eu", 401)):
        key = client.tenants[name]["service_key"]
        form = {"grant_type": "client_credentials", "client_id": key["clientid"]}
        answer = client.session.post(f"{client.url}/cert/{name}/oauth/token", data=form, timeout=5)

        assert answer.status_code == status
        assert ("certurl" in key) == (name == "cert")


def test_a_token_opens_its_own_tenant_only(eu, us):
    url = f"{eu.url}/v2/inference/deployments/{eu.deployment(SONNET)}/invoke"

    answers = [
        requests.post(url, json=HELLO, headers=headers, timeout=5).status_code
        for headers in (eu.headers, us.headers, us.headers | {"AI-Resource-Group": "default"})
    ]

    assert answers == [200, 404, 404]


def test_tokens_that_are_unknown_revoked_or_old_are_refused_in_plain_text(eu):
    eu.admin("PUT", "settings", {"expires_in": 0})
    old = eu.new_token()
    eu.admin("DELETE", "tokens/us")
    assert eu.get("/v2/lm/deployments").status_code == 200
    for token in (old, "guess", ""):
        answer = eu.get("/v2/lm/deployments", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert answer.headers["content-type"].startswith("text/plain")
    eu.admin("DELETE", "tokens")
    assert eu.post(SONNET, "invoke", HELLO).text.startswith("Jwt")


def test_the_token_runs_out_by_the_clock():
    now = [1000.0]
    app = create_app(clock=lambda: now[0])
    client = app.test_client()
    key = client.get("/admin/tenants").json["eu"]["service_key"]
    form = {"grant_type": "client_credentials", "client_id": key["clientid"], "client_secret": key["clientsecret"]}
    token = client.post("/auth/eu/oauth/token", data=form).json
    headers = {"Authorization": f"Bearer {token['access_token']}", "AI-Resource-Group": "default"}

    now[0] += token["expires_in"] - 1
    assert client.get("/v2/lm/deployments", headers=headers).status_code == 200
    now[0] += 1
    assert client.get("/v2/lm/deployments", headers=headers).text == "Jwt is expired"


def test_the_resource_group_is_asked_for_and_hides_the_others(eu):
    url = f"{eu.url}/v2/lm/deployments"
    bare = {"Authorization": f"Bearer {eu.token}"}

    assert requests.get(url, headers=bare, timeout=5).status_code == 400
    assert requests.get(url, headers=bare | {"AI-Resource-Group": "x"}, timeout=5).json()["count"] == 0
    assert eu.post(SONNET, "invoke", HELLO, headers={"AI-Resource-Group": "x"}).status_code == 404


def test_the_list_shows_what_a_real_one_shows(eu):
    listed = eu.get("/v2/lm/deployments").json()
    running = next(one for one in listed["resources"] if one["status"] == "RUNNING")
    by_status = {one["status"]: one for one in listed["resources"]}

    assert listed["count"] == len(listed["resources"]) == len(DEPLOYED)
    assert running["deploymentUrl"] == f"{eu.url}/v2/inference/deployments/{running['id']}"
    assert "executableId" not in running
    resources = running["details"]["resources"]
    assert resources["backendDetails"]["model"]["version"] == "latest"
    assert resources["backendDetails"] == resources["backend_details"]
    assert "deploymentUrl" not in by_status["PENDING"]
    assert "deploymentUrl" not in by_status["STOPPED"]
    orchestration = next(one for one in listed["resources"] if one["scenarioId"] == "orchestration")
    assert orchestration["details"]["resources"]["backendDetails"] == {}


def test_the_list_can_be_cut_and_filtered_in_both_spellings(eu):
    whole = [one["id"] for one in eu.get("/v2/lm/deployments").json()["resources"]]
    azure_and_nvidia = [one for one in RUNNING if one.model.executable in ("azure-openai", "aicore-nvidia")]

    for top, skip in (("$top", "$skip"), ("top", "skip")):
        page = eu.get("/v2/lm/deployments", params={top: 3, skip: 2}).json()
        assert [one["id"] for one in page["resources"]] == whole[2:5]
        assert page["count"] == len(DEPLOYED)
    assert eu.get("/v2/lm/deployments/$count").text == str(len(DEPLOYED))
    assert eu.get("/v2/lm/deployments", params={"$top": "many"}).status_code == 400
    for query, count in (
        ({"scenarioId": "foundation-models", "status": "RUNNING"}, len(RUNNING)),
        ({"status": "STOPPED"}, 1),
        ({"scenarioId": "orchestration", "executableIds": "orchestration"}, 1),
        ({"executableIds": "azure-openai,aicore-nvidia", "status": "RUNNING"}, len(azure_and_nvidia)),
    ):
        assert eu.get("/v2/lm/deployments", params=query).json()["count"] == count


def test_one_deployment_and_its_configuration_are_shown(eu, us):
    seat = eu.deployment("gpt-5")
    shown = eu.get(f"/v2/lm/deployments/{seat}").json()
    configuration = eu.get(f"/v2/lm/configurations/{shown['configurationId']}").json()

    assert shown["id"] == seat
    assert configuration["executableId"] == "azure-openai"
    assert {"key": "modelName", "value": "gpt-5"} in configuration["parameterBindings"]
    error = us.get(f"/v2/lm/deployments/{seat}")
    assert (error.status_code, error.json()["error"]["code"]) == (404, "404")
    assert us.get("/v2/lm/configurations/none").status_code == 404


def test_quotas_and_groups_are_listed(eu, us):
    quotas = [one["quotaDetails"][0]["descriptors"]["modelName"] for one in eu.get("/v2/admin/quota/model").json()]

    assert sorted(quotas) == sorted({one["model"] for one in eu.tenants["eu"]["deployments"] if one["model"]})
    assert us.get("/v2/admin/resourceGroups").json()["resources"][0]["resourceGroupId"] == "team-a"


def test_a_stopped_deployment_is_not_found_and_can_be_started_again(eu):
    seat = eu.deployment(SONNET)

    eu.admin("PUT", f"deployments/{seat}", {"status": "STOPPED"})
    assert eu.post(SONNET, "invoke", HELLO).status_code == 404
    assert eu.get(f"/v2/lm/deployments/{seat}").json()["status"] == "STOPPED"
    eu.admin("PUT", f"deployments/{seat}", {"status": "RUNNING"})
    assert eu.post(SONNET, "invoke", HELLO).status_code == 200


def test_a_world_can_be_another(elsewhere):
    names = ("eu", "us", "ap")
    client = elsewhere(World(tuple(tenant(name, f"g-{name}", (SONNET,), 3) for name in names), True), "ap")

    assert set(client.tenants) == set(names)
    assert len({client.deployment(SONNET, number) for number in range(3)}) == 3
    assert client.get("/v2/lm/deployments").json()["resources"][0]["executableId"] == "aws-bedrock"
    assert client.post(SONNET, "invoke", HELLO, number=2).status_code == 200


def test_a_tenant_can_have_orchestration_and_nothing_else(elsewhere):
    client = elsewhere(World((tenant("eu", "default", (SONNET,)), orchestration_tenant("lone", "g"))), "lone")

    listed = client.get("/v2/lm/deployments").json()
    [only] = listed["resources"]
    configuration = client.get(f"/v2/lm/configurations/{only['configurationId']}").json()

    assert (listed["count"], only["scenarioId"], only["status"]) == (1, "orchestration", "RUNNING")
    assert only["details"]["resources"] == {"backendDetails": {}, "backend_details": {}}
    assert only["deploymentUrl"] == f"{client.url}/v2/inference/deployments/{only['id']}"
    assert (configuration["executableId"], configuration["scenarioId"]) == ("orchestration", "orchestration")
    assert client.get("/v2/lm/deployments", params={"scenarioId": "foundation-models"}).json()["count"] == 0


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (SONNET, "chat/completions"),
        (SONNET, "count-tokens"),
        ("amazon--nova-pro", "responses"),
        ("gemini-2.5-flash", "models/gemini-2.5-flash:countTokens"),
        ("gemini-2.5-flash", "models/gemini-2.5-pro:generateContent"),
        ("gpt-5.3-codex", "chat/completions?api-version=1"),
        ("gpt-5", "embeddings?api-version=1"),
        ("gpt-4.1", "responses"),
        ("gemini-embedding", "models/gemini-embedding:embedContent"),
    ],
)
def test_a_path_that_is_not_on_the_list_is_refused_with_an_error_that_is_a_string(eu, model, path):
    answer = eu.post(model, path, {})

    assert answer.status_code == 400
    assert answer.json() == {
        "error": "BadRequest",
        "message": f"Subpath '{path.split('?')[0]}' is not allowed for model '{model}'.",
    }


def test_chat_and_embeddings_want_a_version_and_responses_does_not(eu):
    body = {"messages": [{"role": "user", "content": "Hello"}]}

    assert eu.post("gpt-4.1", "chat/completions", body).status_code == 404
    assert eu.post("text-embedding-3-small", "embeddings", {"input": "a"}).status_code == 404
    assert eu.post("gpt-5", "responses", {"input": "a"}).status_code == 200
    assert eu.post("gpt-5", "responses?api-version=2025-03-01-preview", {"input": "a"}).status_code == 200
    assert eu.post("gpt-5", "v1/responses", {"input": "a"}).status_code == 200
    assert eu.post("gpt-4.1", "v1/chat/completions", body).status_code == 200


def test_no_content_type_is_needed(running):
    client = Client(running.url)
    url = f"{running.url}/v2/inference/deployments/{client.deployment(SONNET)}/invoke"

    answer = client.session.post(
        url, data=requests.compat.json.dumps(HELLO).encode(), headers=client.headers, timeout=5
    )
    client.session.close()

    assert answer.status_code == 200
