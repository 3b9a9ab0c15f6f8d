"""What a policy says of single models counts under every name of them, and a name that none can have is refused."""

import pytest

from dialects.core.faults import FaultKind
from routing.availability import NoEndpointError
from routing.load_balancer import LoadBalancer
from routing.model_names import ModelPolicies, with_resolved_names
from routing.policy import ModelPolicy, Policy
from tests.routing.scenes import pool_at

SONNET = "anthropic--claude-4.5-sonnet"
NAMES = [SONNET, "claude-sonnet-4-5", "claude-4.5-sonnet@20250929", "smart"]
ALIASES = {"smart": "claude-sonnet-4-5"}


def strategy_of(balancer: LoadBalancer, model: str) -> str:
    [state] = balancer.snapshot(model)
    return state.strategy


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_balanced_as_the_policy_says_under_any_of_its_names(name):
    policy = Policy(models={name: ModelPolicy("weighted")}, aliases=ALIASES)
    balancer = LoadBalancer({**pool_at("eu/d1", model=SONNET), **pool_at("eu/d2")}, policy=policy)

    assert (strategy_of(balancer, SONNET), strategy_of(balancer, "gpt-5")) == ("weighted", "round-robin")
    assert balancer.policy.strategy_for(SONNET) == "weighted"


def test_so_is_one_that_is_deployed_later():
    balancer = LoadBalancer({}, policy=Policy(models={"smart": ModelPolicy("priority")}, aliases=ALIASES))
    balancer.replace_pools(pool_at("eu/d1", model=SONNET))

    assert strategy_of(balancer, SONNET) == "priority"


def test_what_was_chosen_since_is_kept_when_pools_change():
    pools = pool_at("eu/d1", model=SONNET)
    balancer = LoadBalancer(pools, policy=Policy(models={SONNET: ModelPolicy("priority")}))
    balancer.use("weighted", SONNET)
    balancer.replace_pools(pools)

    assert strategy_of(balancer, SONNET) == "weighted"


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_may_be_switched_under_any_name_of_a_model(name):
    balancer = LoadBalancer({**pool_at("eu/d1", model=SONNET), **pool_at("eu/d2")}, policy=Policy(aliases=ALIASES))
    balancer.use("weighted", name)

    assert (strategy_of(balancer, SONNET), strategy_of(balancer, "gpt-5")) == ("weighted", "round-robin")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("claude-opus-9", FaultKind.NOT_FOUND),
        ("claude-sonnet-9", FaultKind.NOT_FOUND),
        ("x" * 201, FaultKind.INVALID_REQUEST),
        ("", FaultKind.NOT_FOUND),
    ],
)
def test_a_strategy_for_a_model_that_is_not_deployed_is_refused(name, kind):
    balancer = LoadBalancer(pool_at("eu/d1", model=SONNET))
    with pytest.raises(NoEndpointError) as caught:
        balancer.use("weighted", name)

    assert kind is caught.value.fault.kind


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "gpt-5\n", "gpt\0"])
def test_a_policy_for_what_is_no_name_is_refused(name):
    with pytest.raises(
        ValueError, match=r"^models: '.* is not the name of a model: model must be a name of at most 200"
    ):
        LoadBalancer({}, policy=Policy(models={name: ModelPolicy("weighted")}))


def test_a_strategy_that_no_model_has_yet_must_exist_all_the_same():
    with pytest.raises(ValueError, match=r"^strategy must be one of .*, not 'best'$"):
        LoadBalancer({}, policy=Policy(models={"gpt-5": ModelPolicy("best")}))


def test_of_two_entries_for_one_model_that_under_its_deployed_name_counts():
    given = {"claude-sonnet-4-5": ModelPolicy(total=1), SONNET: ModelPolicy(total=2), "smart": ModelPolicy(total=3)}
    policies = ModelPolicies(given, ALIASES)

    assert given[SONNET] == policies.find(SONNET)
    assert given["claude-sonnet-4-5"] == policies.find("claude-4-5-sonnet")
    assert policies.find("gpt-5") is None


def test_as_a_mapping_policies_hold_the_names_in_the_settings_and_no_others():
    given = {"claude-sonnet-4-5": ModelPolicy(total=1), "smart": ModelPolicy(total=3)}
    policies = ModelPolicies(given, ALIASES)

    assert (given, 2) == (dict(policies), len(policies))
    assert (SONNET in policies, policies.get(SONNET)) == (False, None)


def test_names_are_resolved_once():
    policy = with_resolved_names(Policy(models={"smart": ModelPolicy(total=1)}, aliases=ALIASES))

    assert with_resolved_names(policy) is policy
    assert policy.timeouts_for(SONNET).total == 1
