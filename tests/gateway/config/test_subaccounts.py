"""Subaccounts: their keys, their deployments, and what filters and discovery make of these."""

import pytest

from gateway.config.filters import Filters
from gateway.config.loader import load
from gateway.config.service_keys import Secret
from gateway.config.settings import SettingsError, pools, with_discovered
from gateway.config.subaccounts import Deployment
from tests.gateway.configs import BASE, KEY, VARIABLES, only, rows, with_account


def test_a_deployment_may_be_a_text_a_list_or_an_object_with_weight_and_tier(settings_of):
    account = only(
        settings_of(
            with_account(
                deployment_models={
                    " one ": f"{BASE}/d1",
                    "more": [f"{BASE}/d2", {"url": f"{BASE}/d3", "weight": 5, "tier": 1}],
                },
                deployment_ids={"one": "d4", "ids": ["d5", {"id": "d6", "weight": 0.5}]},
            )
        )
    )

    assert account.deployments == {
        "one": (Deployment(f"{BASE}/d1"), Deployment(f"{BASE}/d4")),
        "more": (Deployment(f"{BASE}/d2"), Deployment(f"{BASE}/d3", 5.0, 1)),
        "ids": (Deployment(f"{BASE}/d5"), Deployment(f"{BASE}/d6", 0.5)),
    }
    assert account.deployments["ids"][1].id == "d6"


def test_weights_multiply_and_tiers_add_up(settings_of):
    settings = settings_of(with_account(weight=2, tier=1, deployment_ids={"m": [{"id": "d1", "weight": 3, "tier": 2}]}))

    assert rows(settings) == {"m": [("eu", f"{BASE}/d1", "m", "default", 6.0, 3)]}


def test_a_deployment_that_is_listed_twice_counts_twice_and_is_mentioned(settings_of):
    account = with_account(deployment_models={"m": [f"{BASE}/d1", f"{BASE}/d1/", f"{BASE}/d2"]})
    settings = settings_of({**account, "routing": {"strategy": "weighted"}})

    assert only(settings).deployments["m"] == (Deployment(f"{BASE}/d1", 2.0), Deployment(f"{BASE}/d2"))
    assert settings.warnings == ("subAccounts.eu m: d1 is listed more than once; give it a weight instead",)


def test_a_path_behind_the_deployment_id_is_cut_off(settings_of):
    settings = settings_of(with_account(deployment_models={"m": f"{BASE}/d1/chat/completions?api-version=1"}))

    assert only(settings).deployments == {"m": (Deployment(f"{BASE}/d1"),)}
    assert len(settings.warnings) == 1


@pytest.mark.parametrize(
    ("keys", "discovery"),
    [
        ({}, True),
        ({"discovery": False}, False),
        ({"deployment_ids": {"m": "d"}}, False),
        ({"deployment_ids": {"m": "d"}, "discovery": True}, True),
    ],
)
def test_what_lists_nothing_is_looked_up_unless_told_otherwise(settings_of, keys, discovery):
    settings = settings_of(with_account(**keys))

    assert only(settings).discovery is discovery
    assert len(settings.warnings) == (keys == {"discovery": False})


def test_the_service_key_may_stand_in_the_config_file(settings_of):
    config = {"subAccounts": {"eu": {"service_key": KEY | {"clientsecret": "${SECRET}"}}}}

    assert only(settings_of(config, {"SECRET": "s"})).key.proof == Secret("s")


def test_a_subaccount_may_take_its_key_from_the_environment(settings_of):
    config = {"subAccounts": {"x": {"service_key": "env"}, "y": {"service_key": "env", "resource_group": "own"}}}

    accounts = settings_of(config, VARIABLES).subaccounts

    assert [(each.name, each.resource_group) for each in accounts.values()] == [("x", "team-b"), ("y", "own")]


@pytest.mark.parametrize("config", [None, {}, {"subAccounts": {}, "port": 4000}])
def test_without_subaccounts_the_environment_gives_the_one(write_config, home, config):
    settings = load(None if config is None else write_config(config), VARIABLES, home)

    account = only(settings)
    assert (account.name, account.resource_group, account.discovery) == ("default", "team-b", True)
    assert account.key.client_id == "id"


def test_with_neither_file_nor_key_there_is_a_way_shown(home):
    with pytest.raises(SettingsError, match=r"^environment: there is no subaccount.*AICORE_SERVICE_KEY") as caught:
        load(None, {}, home)

    assert len(caught.value.mistakes) == 1


def test_filters_choose_models_under_both_of_their_names(settings_of):
    config = with_account(deployment_ids={name: name for name in ("gpt-4.1", "gpt-5", "gemini", "gpt-5-nano")})

    one = settings_of(config | {"model_filters": {"include_filters": ["^gpt"], "exclude_filters": ["nano$"]}})
    other = settings_of(config | {"model_filters": {"include": ["^gpt"], "exclude": ["nano$"]}})

    assert list(only(one).deployments) == list(only(other).deployments) == ["gpt-4.1", "gpt-5"]
    assert Filters().admits("anything")
    assert not only(one).discovery


def test_what_is_discovered_is_added_filtered_and_never_twice(settings_of):
    config = with_account(deployment_ids={"m": {"id": "d1", "weight": 5}}, discovery=True)
    settings = settings_of(config | {"model_filters": {"exclude": ["secret"]}})
    found = {"m": (Deployment(f"{BASE}/d1"), Deployment(f"{BASE}/d2")), "n": (Deployment("https://x/d3"),)}
    found |= {"secret": (Deployment("https://x/d4"),), "alias": (Deployment(f"{BASE}/d1"),)}

    joined = with_discovered(settings, {"eu": found, "unknown": found})

    assert only(joined).deployments == {
        "m": (Deployment(f"{BASE}/d1", 5.0, runs="alias"), Deployment(f"{BASE}/d2")),
        "n": (Deployment("https://x/d3"),),
    }
    assert only(with_discovered(settings, {})).deployments == only(settings).deployments


ORCHESTRATED = Deployment(f"{BASE}/d9", orchestration=True)


def test_every_model_of_an_orchestration_deployment_is_added_on_standby(settings_of):
    settings = settings_of(with_account(discovery=True) | {"model_filters": {"exclude": ["secret"]}})
    found = {"m": (Deployment(f"{BASE}/d1"), ORCHESTRATED), "n": (ORCHESTRATED,), "secret": (ORCHESTRATED,)}
    endpoints = pools(with_discovered(settings, {"eu": found}))

    assert {
        name: [(each.deployment, each.orchestration, each.standby) for each in endpoints[name]] for name in "mn"
    } == {
        "m": [("d1", False, False), ("d9", True, True)],
        "n": [("d9", True, True)],
    }
    assert list(endpoints) == ["m", "n"]


def test_orchestration_deployments_are_not_on_standby_where_the_settings_say_so(settings_of):
    settings = settings_of(with_account(discovery=True) | {"orchestration": {"standby": False}})
    [endpoint] = pools(with_discovered(settings, {"eu": {"m": (ORCHESTRATED,)}}))["m"]

    assert (endpoint.orchestration, endpoint.standby) == (True, False)


@pytest.mark.parametrize("by", ["deployment_ids", "deployment_models"])
def test_a_deployment_may_be_said_to_be_orchestration_by_hand(settings_of, by):
    entry = {"id": "d9"} if by == "deployment_ids" else {"url": f"{BASE}/d9"}
    settings = settings_of(with_account(**{by: {"m": {**entry, "orchestration": True, "weight": 3}}}))
    [endpoint] = pools(settings)["m"]

    assert (endpoint.orchestration, endpoint.standby, endpoint.weight) == (True, True, 3.0)


def test_an_orchestration_deployment_that_is_listed_by_hand_is_known_as_such_once_it_is_looked_up(settings_of):
    """It is asked for the model by its own name, and added for all others."""
    settings = settings_of(
        with_account(deployment_ids={"claude-4.5-sonnet": {"id": "d9", "weight": 5}}, discovery=True)
    )
    found = {"anthropic--claude-4.5-sonnet": (ORCHESTRATED,), "gpt-5": (ORCHESTRATED,)}

    assert only(with_discovered(settings, {"eu": found})).deployments == {
        "claude-4.5-sonnet": (
            Deployment(ORCHESTRATED.url, 5.0, 0, "anthropic--claude-4.5-sonnet", orchestration=True),
        ),
        "gpt-5": (ORCHESTRATED,),
    }


def test_what_orchestration_serves_joins_the_model_under_the_name_that_it_is_configured_by(settings_of):
    two = with_account(deployment_ids={"claude-4.6-sonnet": "d1"})
    two["subAccounts"]["us"] = with_account(deployment_ids={})["subAccounts"]["eu"]
    spare = Deployment(f"{BASE}/d9", orchestration=True)
    names = ("anthropic--claude-4.6-sonnet", "claude-sonnet-4.6", "gpt-5.5")
    served = pools(with_discovered(settings_of(two), {"us": dict.fromkeys(names, (spare,))}))

    assert [(each.url, each.runs, each.standby) for each in served["claude-4.6-sonnet"]] == [
        (f"{BASE}/d1", "", False),
        (f"{BASE}/d9", "anthropic--claude-4.6-sonnet", True),
    ]
    assert [(each.model, each.runs) for each in served["gpt-5.5"]] == [("gpt-5.5", "gpt-5.5")]
    assert served.keys() == {"claude-4.6-sonnet", "gpt-5.5"}


def test_a_model_with_an_empty_list_has_no_deployments_there(settings_of):
    """As in config files that have been in use: the others are served, and nothing is looked up for it."""
    config = with_account(deployment_models={"gpt-4o": [], "gpt-4.1": [f"{BASE}/d1"]}, deployment_ids={"gpt-5": []})
    settings = settings_of(config)

    assert only(settings).deployments == {"gpt-4.1": (Deployment(f"{BASE}/d1"),)}
    assert (only(settings).discovery, settings.warnings) == (False, ())
