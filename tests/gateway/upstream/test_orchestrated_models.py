"""Which models orchestration serves: the settings, the catalogue, and what is built in."""

from datetime import date

import pytest

from emulator.catalogue import orchestrated as emulated
from emulator.models import MODELS_BY_NAME
from gateway.config.orchestration import OrchestrationOptions
from gateway.config.service_keys import Secret, ServiceKey
from gateway.config.subaccounts import SubAccount
from gateway.upstream.catalogue import Catalogue, CatalogueModel
from gateway.upstream.orchestrated_models import ORCHESTRATED, OrchestratedModels

ACCOUNT = SubAccount("eu", "default", ServiceKey("id", Secret("s"), "https://auth/oauth/token", "https://api"), {})
TODAY = date(2026, 11, 27)


def listed(name, *, orchestration=True, ends=None):
    return CatalogueModel(name, orchestration=orchestration, retirement_date=ends)


def orchestrated(*models, **section):
    """Name what is served where these *models* are in the catalogue."""
    resources = [
        {
            "model": model.name,
            "allowedScenarios": [{"scenarioId": "orchestration" if model.orchestration else "foundation-models"}],
            "versions": [{"retirementDate": str(model.retirement_date or "")}],
        }
        for model in models
    ]
    catalogue = Catalogue([ACCOUNT], lambda *_: {"resources": resources}, lambda: 0.0)
    return OrchestratedModels(OrchestrationOptions(**section), catalogue, lambda: TODAY).asked(ACCOUNT)


def test_the_catalogue_says_which_models_are_orchestrated():
    assert orchestrated(listed("a"), listed("b", orchestration=False), listed("c")) == ("a", "c")


def test_what_is_listed_in_the_settings_outranks_the_catalogue():
    assert orchestrated(listed("a"), models=["b", "a", "b"]) == ("b", "a")
    assert orchestrated(listed("a"), models=[]) == ()


@pytest.mark.parametrize(("ends", "names"), [("2026-11-26", ("b",)), ("2026-11-27", ("a", "b"))])
def test_a_model_that_has_ended_is_left_out(ends, names):
    assert orchestrated(listed("a", ends=date.fromisoformat(ends)), listed("b")) == names


@pytest.mark.parametrize("models", [(), (listed("a", orchestration=False),)], ids=["no catalogue", "says nothing"])
def test_without_a_word_of_the_catalogue_what_is_built_in_counts(models):
    assert orchestrated(*models) == ORCHESTRATED


def test_what_is_built_in_is_what_the_catalogue_of_the_emulator_says_as_well():
    """As far as the emulator knows them."""
    known = [name for name in ORCHESTRATED if name in MODELS_BY_NAME]

    assert [name for name in known if name not in emulated()] == []
    assert len(known) > 10
