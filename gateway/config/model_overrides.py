"""Checks of the settings for single models under `routing` and `orchestration`.

They report settings without an effect.
"""

import difflib
from collections.abc import Collection, Iterator

from gateway.config.mistakes import spelled
from gateway.config.orchestration import OrchestrationOptions
from gateway.config.subaccounts import SubAccount
from routing.model_names import FALLBACKS, ModelNames
from routing.policy import Policy
from routing.strategy import STRATEGIES

_NAMED = 3
"""The number of models that a warning names."""
_READ_BY_ALL = frozenset({0.0, 1.0})
"""The weights that take effect under every strategy: 0 drains, and 1 is the default."""


def unmatched(policy: Policy, per_model: Collection[str], deployed: Collection[str]) -> Iterator[str]:
    """Yield a warning for each name that matches none of the *deployed* models.

    *per_model* are the names under `orchestration`.
    """
    names = ModelNames(deployed, policy.aliases, fallback=False)
    own_names = ModelNames(deployed, fallback=False)
    for section, known, where in (
        (policy.models, names, ("routing", "models")),
        (per_model, own_names, ("orchestration", "per_model")),
    ):
        for name in section:
            if not known.knows(name):
                yield f"{spelled((*where, name))}: has no effect: {_missing(name, deployed)}"
    for name, target in policy.aliases.items():
        if not names.knows(name):
            yield f"{spelled(('routing', 'aliases', name))}: has no effect: {_missing(target, deployed)}"


def unguarded(orchestration: OrchestrationOptions, alone: Collection[str]) -> Iterator[str]:
    """Yield a warning if models with masking or filtering also have deployments outside orchestration, which bypass it.

    *alone* are the models that have such deployments.
    """
    modules = ((model, orchestration.modules_for(model)) for model in alone)
    named = [model for model, around in modules if around.masking is not None or around.filtering is not None]
    if named:
        which = f"{', '.join(named[:_NAMED])}{' and others' * (len(named) > _NAMED)}"
        have = "has" if len(named) == 1 else "have"
        yield f"orchestration: its masking and filtering cover no other deployments; {which} {have} some"


def unused(accounts: Collection[SubAccount], policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of a warning for each setting that no strategy in use reads."""
    for family in policy.fallbacks or ():
        if family not in FALLBACKS:
            what = f"there is no such family, so it has no effect; write one of {', '.join(FALLBACKS)}"
            yield spelled(("routing", "fallbacks", family)), what
    everywhere = {policy.strategy, *(own.strategy for own in policy.models.values() if own.strategy)}
    for account in accounts:
        where = spelled(("subAccounts", account.name))
        for model, deployments in account.deployments.items():
            strategy = policy.strategy_for(model)
            weights, tiers = {each.weight for each in deployments}, {each.tier for each in deployments}
            has_weight = not weights <= _READ_BY_ALL
            yield from _ignored(where, f"of {model} ", {strategy}, policy, has_weight, tiers != {0})
        used = everywhere if account.discovery else {policy.strategy_for(model) for model in account.deployments}
        yield from _ignored(where, "", used, policy, account.weight not in _READ_BY_ALL, account.tier != 0)


def _ignored(
    where: str, whose: str, strategies: Collection[str], policy: Policy, weight: bool, tier: bool
) -> Iterator[tuple[str, str]]:
    """Yield a warning for a weight or a tier that is set although none of *strategies* reads it."""
    named = ", ".join(sorted(strategies))
    for what, is_set in (("weight", weight), ("tier", tier)):
        if strategies and is_set and not any(_reads(strategy, what, policy) for strategy in strategies):
            yield where, f"the {what} {whose}has no effect under {named}"


def _reads(strategy: str, what: str, policy: Policy) -> bool:
    return strategy not in STRATEGIES or what in STRATEGIES[strategy].reads(policy)


def _missing(name: str, deployed: Collection[str]) -> str:
    near = difflib.get_close_matches(name, deployed, n=1)
    return f"{name} is not deployed{f'; did you mean {near[0]}?' if near else ''}"
