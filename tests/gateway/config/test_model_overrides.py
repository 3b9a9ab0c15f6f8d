"""What settings say about models by name: heeded under every name, and told where it is meant for nobody."""

import logging

import pytest

from gateway.cli.check.report import Severity
from gateway.cli.route import explain
from gateway.config.model_overrides import unguarded, unmatched
from gateway.config.schema import OrchestrationSection
from gateway.config.settings import SettingsError
from routing.model_names import ModelPolicies
from routing.policy import ModelPolicy, Policy
from tests.gateway.cli.check.conftest import Made
from tests.gateway.configs import BASE, with_account
from tests.gateway.test_endpoint_pool import DOWN, Listing, account, fleet_of

CLAUDE = "anthropic--claude-4.5-sonnet"


@pytest.mark.parametrize("name", [CLAUDE, "claude-sonnet-4-5", "claude-4.5-sonnet@20250929", "smart", "smarter"])
def test_what_is_said_of_a_model_counts_under_every_name_of_it(name: str) -> None:
    own = ModelPolicy("weighted", first_event=300, total=900)
    policy = Policy(models=ModelPolicies({name: own}, {"smart": "claude-sonnet-4-5", "smarter": "smart"}))

    assert policy.strategy_for(CLAUDE) == "weighted"
    assert (policy.timeouts_for(CLAUDE).first_event, policy.timeouts_for(CLAUDE).total) == (300, 900)
    assert policy.strategy_for("anthropic--claude-4-sonnet") == "round-robin"
    assert policy.timeouts_for("gpt-4.1").first_event == 60
    assert {name: own} == dict(policy.models)


def test_the_deployed_name_goes_before_the_others() -> None:
    given = {"claude-sonnet-4-5": ModelPolicy("weighted"), CLAUDE: ModelPolicy("priority")}

    assert Policy(models=ModelPolicies(given, {})).strategy_for(CLAUDE) == "priority"


def test_what_is_no_name_of_a_model_is_a_mistake_in_the_settings(settings_of) -> None:
    config = {**with_account(deployment_models={"m": f"{BASE}/d1"}), "routing": {"models": {"x" * 201: {"total": 9}}}}
    with pytest.raises(
        SettingsError, match=r": routing: models: 'x{200}' is not the name of a model: model must be a name"
    ):
        settings_of(config)


def test_a_model_is_balanced_as_is_said_under_another_name() -> None:
    """Also one that is looked up later."""
    listing = Listing(eu={"d1": CLAUDE, "d2": "gpt-4.1"})
    policy = Policy(models=ModelPolicies({"claude-sonnet-4-5": ModelPolicy("cache-affinity")}, {}))
    fleet, balancer, _ = fleet_of(listing, account("eu", discovery=True), policy=policy)
    fleet.refresh()

    assert tuple(balancer.snapshot(model)[0].strategy for model in (CLAUDE, "gpt-4.1")) == (
        "cache-affinity",
        "round-robin",
    )


def test_what_is_explained_is_what_would_be_done(settings_of) -> None:
    config = with_account(deployment_models={CLAUDE: [f"{BASE}/d1"]})
    told = settings_of({**config, "routing": {"models": {"claude-sonnet-4-5": {"strategy": "cache-affinity"}}}})

    assert explain(told, CLAUDE, "openai", 1).strategy == "cache-affinity"


MISPLACED = Policy(
    models=ModelPolicies({"claude-sonnet-4-5": ModelPolicy("priority"), "gpt-5o": ModelPolicy("weighted")}, {}),
    aliases={"good": "gpt-4.1", "fast": "gpt-4.l", "far": "mistral", "good-too": "good"},
)
SAID = [
    "routing.models.gpt-5o: has no effect: gpt-5o is not deployed; did you mean gpt-5?",
    "routing.aliases.fast: has no effect: gpt-4.l is not deployed; did you mean gpt-4.1?",
    "routing.aliases.far: has no effect: mistral is not deployed",
]


def test_names_that_lead_to_no_deployed_model_are_told() -> None:
    assert list(unmatched(MISPLACED, (), [CLAUDE, "gpt-4.1", "gpt-5"])) == SAID


def test_modules_for_a_model_that_is_not_deployed_are_told() -> None:
    """An alias is no name of a model here."""
    assert list(unmatched(Policy(aliases={"fast": "gpt-5"}), ["GPT-5", "gpt-5o", "fast"], [CLAUDE, "gpt-5"])) == [
        "orchestration.per_model.gpt-5o: has no effect: gpt-5o is not deployed; did you mean gpt-5?",
        "orchestration.per_model.fast: has no effect: fast is not deployed",
    ]


@pytest.mark.parametrize(
    ("section", "alone", "said"),
    [
        ({}, [CLAUDE], []),
        ({"timeout": 5}, [CLAUDE], []),
        ({"masking": {"providers": []}}, [], []),
        ({"masking": {"providers": []}}, ["a"], ["a has some"]),
        ({"filtering": {"input": {}}}, ["a", "b"], ["a, b have some"]),
        ({"filtering": {"input": {}}}, ["a", "b", "c", "d"], ["a, b, c and others have some"]),
        ({"per_model": {"b": {"filtering": {"input": {}}}}}, ["a", "b"], ["b has some"]),
        ({"masking": {"providers": []}, "per_model": {"a": {"masking": None}}}, ["a"], []),
    ],
)
def test_models_that_are_asked_without_the_masks_and_filters_that_are_set_are_told(section, alone, said) -> None:
    told = list(unguarded(OrchestrationSection.model_validate(section).resolved(), alone))

    assert told == [f"orchestration: its masking and filtering cover no other deployments; {what}" for what in said]


def test_they_are_told_at_start_once_it_is_known_what_is_deployed(caplog: pytest.LogCaptureFixture) -> None:
    listing = Listing(eu=DOWN, us={"d3": "gpt-5"})
    accounts = (
        account("ap", discovery=False, **{CLAUDE: ["d1"]}),
        account("eu", discovery=True),
        account("us", discovery=True),
    )
    fleet, _, _ = fleet_of(listing, *accounts, policy=MISPLACED)
    fleet.refresh()
    early = [text for text in caplog.messages if text.startswith("routing.")]
    listing.listed["eu"] = {"d2": "gpt-4.1"}
    with caplog.at_level(logging.WARNING, "sap_ai_proxy.fleet"):
        for _ in range(2):
            fleet.refresh()

    assert early == []
    assert [text for text in caplog.messages if text.startswith("routing.")] == SAID


def test_they_are_told_at_start_where_nothing_is_looked_up(caplog: pytest.LogCaptureFixture) -> None:
    models = {CLAUDE: ["d1"], "gpt-4.1": ["d2"], "gpt-5": ["d3"]}
    fleet, _, _ = fleet_of(Listing(), account("eu", discovery=False, **models), policy=MISPLACED)
    with caplog.at_level(logging.WARNING, "sap_ai_proxy.fleet"):
        fleet.start()
        fleet.stop()

    assert [text for text in caplog.messages if text.startswith("routing.")] == SAID


def test_they_are_told_by_the_check() -> None:
    made = Made()
    given = made.settings(made.account(models={"gpt-4.1": ["d1"]}, discovery=True), policy=MISPLACED)
    listed = [("d1",), ("d2", CLAUDE), ("d3", "gpt-5"), ("d4", "mistral", "STOPPED")]
    found = made.report(given, *(made.listed(*each) for each in listed)).findings

    assert [each.what for each in found if each.severity is Severity.REMARK] == list(SAID)


def test_a_family_that_is_none_is_told(settings_of) -> None:
    config = with_account(deployment_models={"m": f"{BASE}/d1"}, weight=1)
    told = settings_of({**config, "routing": {"fallbacks": {"claudes": ["m"], "gpt": ["m"]}}})

    [said] = told.warnings
    assert said.startswith("routing.fallbacks.claudes: there is no such family, so it has no effect; ")
    assert said.endswith("write one of claude-opus, claude-haiku, claude, gemini, gpt, embedding")


WEIGHED = {"m": [{"url": f"{BASE}/d1", "weight": 5}, f"{BASE}/d2"]}
TIERED = {"m": [{"url": f"{BASE}/d1", "tier": 1}, f"{BASE}/d2"]}
DRAINED = {"m": [{"url": f"{BASE}/d1", "weight": 0}, f"{BASE}/d2"]}
WEIGHT, TIER = (
    "subAccounts.eu: the weight of m has no effect under {}",
    "subAccounts.eu: the tier of m has no effect under {}",
)


@pytest.mark.parametrize(
    ("strategy", "models", "said"),
    [
        ("round-robin", WEIGHED, [WEIGHT.format("round-robin")]),
        ("round-robin", TIERED, [TIER.format("round-robin")]),
        ("round-robin", DRAINED, []),
        ("weighted", WEIGHED, []),
        ("weighted", TIERED, [TIER.format("weighted")]),
        ("least-connections", WEIGHED, []),
        ("least-latency", WEIGHED, []),
        ("cache-affinity", WEIGHED, []),
        ("cache-affinity", TIERED, [TIER.format("cache-affinity")]),
        ("priority", WEIGHED, [WEIGHT.format("priority")]),
        ("priority", TIERED, []),
    ],
)
def test_a_weight_or_a_tier_that_nobody_reads_is_told(settings_of, strategy, models, said) -> None:
    config = with_account(deployment_models=models)
    for routing in ({"strategy": strategy}, {"models": {"m": {"strategy": strategy}}}):
        assert said == list(settings_of({**config, "routing": routing}).warnings)


def test_priority_reads_weights_if_it_is_told_what_is_full(settings_of) -> None:
    config = {**with_account(deployment_models=WEIGHED), "routing": {"strategy": "priority", "priority_full": 4}}

    assert settings_of(config).warnings == ()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"deployment_models": {"m": f"{BASE}/d1"}, "tier": 1, "weight": 2}, ("weight", "tier")),
        ({"deployment_models": {"m": f"{BASE}/d1"}, "tier": 0, "weight": 1}, ()),
        ({"deployment_models": {"m": f"{BASE}/d1"}, "weight": 0}, ()),
        ({"discovery": True, "tier": 1, "weight": 2}, ("tier",)),
    ],
)
def test_so_is_one_of_a_whole_subaccount(settings_of, keys, said) -> None:
    """Of one that is looked up, only what no strategy in use reads."""
    routing = {"models": {"other": {"strategy": "weighted"}}}
    told = settings_of({**with_account(**keys), "routing": routing})
    used = "round-robin, weighted" if keys.get("discovery") else "round-robin"

    assert tuple(f"subAccounts.eu: the {what} has no effect under {used}" for what in said) == told.warnings
