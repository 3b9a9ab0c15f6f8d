"""Resource groups and new deployments, over sockets, in front of the emulator."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

import emulator
from dialects.core.faults import FaultError, FaultKind
from emulator.world import World, empty_tenant, tenant, with_group
from gateway.config.service_keys import parse
from gateway.config.subaccounts import SubAccount
from gateway.upstream.catalogue import read_catalogue
from gateway.upstream.discovery import Management, listing
from gateway.upstream.management import ManagementClient
from gateway.upstream.provisioning import (
    ORCHESTRATION_DEPLOYMENT,
    Deployable,
    DeploymentState,
    deploy,
    resource_groups,
    state_of,
)
from gateway.upstream.tokens import TokenSource
from tests.support.running import Cloud

GPT = Deployable("gpt-5-mini", "azure-openai")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    world = World((with_group(tenant("eu", "default", ("gpt-5",), 1), "team-b"), empty_tenant("new", "first")))
    with emulator.serve(world) as running:
        yield Cloud(running.url)


class Caller:
    """Somebody who may manage a tenant."""

    def __init__(self, cloud: Cloud, client: ManagementClient, name: str) -> None:
        known = cloud.tenants[name]
        key = parse(known["service_key"], env={}, base=None)  # type: ignore[arg-type]  # it names no file
        self.account = SubAccount(name, known["resource_group"], key, {})
        self.api = Management(client, {name: TokenSource(partial(client.fetch_token, key))})


@pytest.fixture
def caller(cloud: Cloud) -> Iterator[Any]:
    cloud.heal()
    with closing(ManagementClient()) as client:
        yield lambda name: Caller(cloud, client, name)


def test_resource_groups_are_listed_in_their_order(caller: Any) -> None:
    eu = caller("eu")

    assert resource_groups(eu.account, eu.api) == ("default", "team-b")


def test_a_deployment_is_made_from_a_configuration_and_runs_in_the_end(caller: Any, cloud: Cloud) -> None:
    new = caller("new")
    cloud.ask("PUT", "/admin/settings", {"startup": 3600})
    made = deploy(new.account, GPT, new.api.post)
    before = state_of(new.account, made, new.api)
    cloud.ask("PUT", "/admin/settings", {"startup": 0})
    after = state_of(new.account, made, new.api)
    [listed] = listing(new.account, new.api)

    assert (before.status, before.runs, before.is_over) == ("UNKNOWN", False, False)
    assert (after.runs, after.is_over) == (True, False)
    assert (listed.id, listed.model, listed.version) == (made, "gpt-5-mini", "latest")


def test_orchestration_is_deployed_under_its_own_scenario(caller: Any) -> None:
    new = caller("new")
    made = deploy(new.account, ORCHESTRATION_DEPLOYMENT, new.api.post)

    assert [each.orchestration for each in listing(new.account, new.api) if each.id == made] == [True]


def test_each_model_of_the_catalogue_names_the_executable_that_it_is_deployed_with(caller: Any) -> None:
    new = caller("new")
    found = read_catalogue(new.account, new.api)
    made = [
        deploy(new.account, Deployable(each.name, each.executable), new.api.post)
        for each in found.values()
        if each.name in ("anthropic--claude-4.6-sonnet", "gemini-3.5-flash", "nvidia--llama-3.2-nv-embedqa-1b")
    ]

    assert len(made) == 3
    assert all(each.executable for each in found.values())


def test_why_nothing_could_be_made_is_said_in_the_words_of_the_service(caller: Any) -> None:
    new = caller("new")
    with pytest.raises(FaultError) as raised:
        deploy(new.account, Deployable("gpt-5-mini", "aws-bedrock"), new.api.post)

    assert raised.value.fault.message == "Model gpt-5-mini is not supported by executable aws-bedrock"
    assert raised.value.fault.kind is FaultKind.INVALID_REQUEST


def test_a_key_that_may_not_list_resource_groups_is_refused(caller: Any, cloud: Cloud) -> None:
    eu = caller("eu")
    cloud.fault("management:eu", "403")
    with pytest.raises(FaultError) as raised:
        resource_groups(eu.account, eu.api)

    assert raised.value.fault.status == 403


@pytest.mark.parametrize("answer", [[], {"resources": None}, "x", None])
def test_an_answer_that_makes_no_sense_is_a_fault(caller: Any, answer: Any) -> None:
    eu = caller("eu")
    calls = (
        lambda: resource_groups(eu.account, lambda *_: answer),
        lambda: state_of(eu.account, "d1", lambda *_: answer),
        lambda: deploy(eu.account, GPT, lambda *_: answer),
    )
    for call in calls:
        with pytest.raises(FaultError) as raised:
            call()

        assert raised.value.fault.kind is FaultKind.SERVER_ERROR


@pytest.mark.parametrize("status", ["DEAD", "STOPPED", "STOPPING", "COMPLETED"])
def test_what_will_not_run_is_not_waited_for(status: str) -> None:
    assert DeploymentState(status).is_over


def test_the_reason_of_a_status_is_kept(caller: Any) -> None:
    eu = caller("eu")
    said = {"status": "DEAD", "statusMessage": " no quota "}

    assert state_of(eu.account, "d/1", lambda _, path: said | {"path": path}) == DeploymentState("DEAD", "no quota")
