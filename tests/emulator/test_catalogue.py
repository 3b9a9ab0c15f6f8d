"""The catalogue: what it says of each model, and that it can be gone."""

import pytest

from emulator import World
from emulator.catalogue import LISTINGS, listing_of, orchestrated
from emulator.models import MODELS_BY_NAME
from emulator.world import tenant
from tests.emulator.client import OLD_SONNET, SONNET

PATH = "/v2/lm/scenarios/foundation-models/models"
DIRECT = "foundation-models"
ORCHESTRATION = "orchestration"


@pytest.fixture
def listed(eu):
    body = eu.get(PATH).json()
    models = {each["model"]: each for each in body["resources"]}

    assert body["count"] == len(models) == len(MODELS_BY_NAME)
    return models


def test_every_model_says_who_makes_it_and_where_it_may_be_used(listed):
    for name, model in listed.items():
        assert model["executableId"] == MODELS_BY_NAME[name].executable
        assert model["accessType"] == "Remote"
        scenarios = {each["scenarioId"]: each["executableId"] for each in model["allowedScenarios"]}
        assert scenarios[DIRECT] == model["executableId"]
        assert scenarios.get(ORCHESTRATION) == ("orchestration" if name in orchestrated() else None)
    assert {OLD_SONNET, SONNET} & orchestrated().keys() == {SONNET}


def test_every_model_has_one_latest_version_with_its_limits(listed):
    for name, model in listed.items():
        [latest] = [each for each in model["versions"] if each["isLatest"]]
        emulated = MODELS_BY_NAME[name]
        assert (latest["name"], latest["contextLength"]) == (emulated.version, emulated.context)
        assert latest["streamingSupported"] is (not emulated.embeds and listing_of(emulated).streams)
        assert latest["capabilities"] == (["embeddings"] if emulated.embeds else ["text-generation"])
        assert bool(latest["orchestrationCapabilities"]) is (name in orchestrated())
    assert listed[SONNET]["versions"][0]["inputTypes"] == ["text", "image"]
    assert listed["gemini-embedding"]["versions"][0]["inputTypes"] == ["text"]


def test_a_model_past_its_end_names_what_replaces_it(listed):
    version = listed["gemini-2.5-pro"]["versions"][0]
    lives_on = listed["gemini-3.5-flash"]["versions"][0]

    assert (version["retirementDate"], version["deprecated"]) == ("2026-10-16T00:00:00Z", True)
    assert version["suggestedReplacements"] == ["gemini-3.5-flash"]
    assert (lives_on["retirementDate"], lives_on["deprecated"], lives_on["suggestedReplacements"]) == ("", False, [])


def test_every_row_is_of_a_model_that_there_is():
    assert LISTINGS.keys() <= MODELS_BY_NAME.keys()


def test_successors_are_in_the_catalogue_and_have_no_end(listed):
    successors = {
        name for model in listed.values() for each in model["versions"] for name in each["suggestedReplacements"]
    }

    assert successors
    assert all(listed[name]["versions"][0]["retirementDate"] == "" for name in successors)


def test_older_versions_stand_after_the_latest_and_are_deprecated(listed):
    versions = listed["gpt-4o"]["versions"]

    assert [each["name"] for each in versions] == ["2024-11-20", "2024-08-06", "2024-05-13"]
    assert [each["isLatest"] for each in versions] == [True, False, False]
    assert [each["deprecated"] for each in versions] == [False, True, True]


def test_some_models_have_no_published_cost(listed):
    assert listed[SONNET]["versions"][0]["cost"] == [{"inputCost": "0.001"}, {"outputCost": "0.002"}]
    assert "cost" not in listed["gpt-5.6-sol"]["versions"][0]


def test_the_catalogue_can_be_switched_off_while_it_is_served(eu):
    eu.admin("PUT", "settings", {"catalogue": False})
    gone = eu.get(PATH)
    eu.admin("PUT", "settings", {"catalogue": True})

    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "404")
    assert eu.get(PATH).status_code == 200


def test_a_world_can_have_no_catalogue(elsewhere):
    client = elsewhere(World((tenant("eu", "default", (SONNET,)),), catalogue=False), "eu")

    assert client.get(PATH).status_code == 404
    assert client.admin("GET", "settings")["catalogue"] is False
