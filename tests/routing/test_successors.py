"""Which deployed model answers for one that has ended, where its successors are named."""

import pytest

from routing.availability import NoEndpointError
from routing.model_names import How, ModelNames, Resolution
from routing.policy import Policy
from tests.routing.scenes import pool_at

NAMED = {
    "gpt-4.1": ("gpt-5", "gpt-5-mini"),
    "anthropic--claude-4-sonnet": ("anthropic--claude-4.5-sonnet",),
    "text-embedding-ada-002": ("text-embedding-3-small",),
}


def names_of(*deployed: str, policy: Policy | None = None) -> ModelNames:
    return ModelNames.configured(policy or Policy(), successors=lambda: NAMED).deploying(deployed)


@pytest.mark.parametrize("name", ["gpt-4.1", "gpt-4.1-2025-04-14", "openai/GPT-4.1"])
def test_the_first_successor_that_is_deployed_answers_before_the_newest_of_the_kind(name):
    assert names_of("gpt-5.5", "gpt-5-mini").resolve(name) == Resolution("gpt-5-mini", name, How.FALLBACK)
    assert names_of("gpt-5.5", "gpt-5-mini", "gpt-5-2025-08-07").resolve(name).model == "gpt-5-2025-08-07"


def test_a_model_that_is_deployed_all_the_same_answers_itself():
    assert names_of("gpt-5", "gpt-4.1").resolve("gpt-4.1") == Resolution("gpt-4.1", "gpt-4.1", How.EXACT)


def test_an_alias_leads_to_the_successor_of_what_it_names():
    names = names_of("gpt-5", "gpt-5.5", policy=Policy(aliases={"fast": "gpt-4.1"}))

    assert names.resolve("fast") == Resolution("gpt-5", "fast", How.FALLBACK)


def test_without_its_successors_the_newest_of_the_kind_answers():
    deployed = ["anthropic--claude-4.6-sonnet", "anthropic--claude-4.8-opus"]

    assert names_of(*deployed).resolve("claude-sonnet-4").model == "anthropic--claude-4.6-sonnet"


def test_an_embedding_model_has_no_successor():
    with pytest.raises(NoEndpointError, match="is not deployed"):
        names_of("text-embedding-3-small").resolve("text-embedding-ada-002")


def test_none_answers_where_fallbacks_are_switched_off():
    with pytest.raises(NoEndpointError, match="is not deployed"):
        names_of("gpt-5", policy=Policy(fallback=False)).resolve("gpt-4.1")


def test_successors_are_heard_of_once_they_are_known(router_of):
    known: dict[str, tuple[str, ...]] = {}
    router = router_of(
        {**pool_at("eu/d1", model="gpt-5"), **pool_at("eu/d2", model="gpt-5.5")}, successors=lambda: known
    )
    before = router.attempts("gpt-4.1").resolution.model
    known |= NAMED

    assert (before, router.attempts("gpt-4.1").resolution.model) == ("gpt-5.5", "gpt-5")
