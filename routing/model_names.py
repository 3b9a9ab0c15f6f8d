"""Model names: the deployed model for the name that a client uses."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from dialects.capabilities.model_identity import (
    LONGEST_NAME,
    NO_KIND,
    Kind,
    embeds,
    identity,
    kind_of,
    may_name_a_model,
    version_of,
)
from dialects.core.faults import Fault, FaultKind
from routing.availability import NoEndpointError
from routing.policy import ModelPolicy, Policy

_SONNETS = ("anthropic--claude-4.6-sonnet", "anthropic--claude-4.5-sonnet")
FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "claude-opus": (*(f"anthropic--claude-{version}-opus" for version in ("4.8", "4.7", "4.6", "4.5")), *_SONNETS),
    "claude-haiku": ("anthropic--claude-4.5-haiku", *_SONNETS),
    "claude": _SONNETS,
    "gemini": ("gemini-3.5-flash", "gemini-3.5-flash-lite", "gemini-3.1-flash-lite", "gemini-2.5-flash-lite"),
    "gpt": ("gpt-5.5", "gpt-5.4", "gpt-5.2", "gpt-5.1", "gpt-5"),
    "embedding": (),
}
"""For each family, the fallbacks for a model of a kind that is not deployed, the best first. Embedding models have no
fallback, because vectors of different models cannot be compared."""
CATCH_ALL = "gpt"
"""The family of the fallbacks for a name without a known family, where `catch_all` is set."""


class How(Enum):
    """How a name led to a deployed model."""

    EXACT = "exact"
    ALIAS = "alias"
    NORMALISED = "normalised"
    FALLBACK = "fallback"
    """The model is another one than the requested one."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The deployed model that serves a request for *requested*, and how it was found."""

    model: str
    requested: str
    how: How


_NO_NAME = Fault(
    FaultKind.INVALID_REQUEST,
    f"model must be a name of at most {LONGEST_NAME} characters, none of them a control character",
    400,
    param="model",
)


def _newest_of_each_kind(deployed: Iterable[str]) -> dict[Kind, str]:
    """Return the deployed model with the highest version of each kind; the first of several."""
    newest: dict[Kind, str] = {}
    for name in deployed:
        kind = kind_of(name)
        if kind not in newest or version_of(name) > version_of(newest[kind]):
            newest[kind] = name
    newest.pop(NO_KIND, None)
    return newest


Successors = Callable[[], Mapping[str, Iterable[str]]]
"""Returns the successors of each model, the best first."""


class Unlisted(NamedTuple):
    """The subaccounts whose deployments have not been listed yet, and the seconds until they may have been."""

    subaccounts: tuple[str, ...] = ()
    seconds: float = 0.0


class ModelNames:
    """Finds the deployed model for a name: by the exact name, an alias, the normalised name, then a fallback.

    The fallback is the first deployed one of these: the *successors* of the model, the newest model of the same kind
    (an Opus for an Opus, a mini for a mini), the list of the family, any model of the families in that list. Embedding
    models have no fallback. *fallbacks* replaces the lists of the families that it names, and *fallback* False switches
    all fallbacks off. While *unlisted* names a subaccount, an unknown model may still be found there, so `resolve`
    raises an error and uses no fallback.
    """

    def __init__(
        self,
        deployed: Iterable[str],
        aliases: Mapping[str, str] | None = None,
        fallbacks: Mapping[str, Iterable[str]] | None = None,
        *,
        fallback: bool = True,
        unlisted: Callable[[], Unlisted] = Unlisted,
        successors: Successors = dict,
    ) -> None:
        self.deployed = tuple(deployed)
        self._exact = {name: Resolution(name, name, How.EXACT) for name in self.deployed}
        self._by_identity = {identity(name): name for name in reversed(self.deployed)}
        self._aliases = {name.strip().lower(): target for name, target in (aliases or {}).items()}
        self._fallbacks = {family: tuple(names) for family, names in (fallbacks or {}).items()}
        self._fallback = fallback
        self._by_kind = _newest_of_each_kind(self.deployed)
        self._unlisted = unlisted
        self._successors = successors

    @classmethod
    def configured(
        cls, policy: Policy, unlisted: Callable[[], Unlisted] = Unlisted, successors: Successors = dict
    ) -> "ModelNames":
        """Build the rules from the settings, without any deployed model."""
        rules = policy.aliases, policy.fallbacks
        return cls((), *rules, fallback=policy.fallback, unlisted=unlisted, successors=successors)

    def deploying(self, deployed: Iterable[str]) -> "ModelNames":
        """Return the same rules for other deployed models."""
        rules, sources = (self._aliases, self._fallbacks), (self._unlisted, self._successors)
        return ModelNames(deployed, *rules, fallback=self._fallback, unlisted=sources[0], successors=sources[1])

    def resolve(self, name: str, catch_all: bool = False) -> Resolution:
        """Return the model for *name*; raises `NoEndpointError`, whose message lists the deployed models.

        A name that is not valid has no fallback. *catch_all* gives a name without a known family the fallbacks of GPT.
        """
        if not may_name_a_model(name):
            raise NoEndpointError(_NO_NAME)
        if (found := self._found(name)) is not None:
            return found
        if (unlisted := self._unlisted()).subaccounts:
            raise NoEndpointError(_not_yet(name, unlisted))
        fallback = self._fallback_for((name, *self._aliased(name))[-1], catch_all)
        if fallback is not None:
            return Resolution(fallback, name, How.FALLBACK)
        raise NoEndpointError(
            Fault(FaultKind.NOT_FOUND, self._not_deployed(name), 404, code="model_not_found", param="model")
        )

    def same(self, name: str) -> str | None:
        """Return the deployed model that a name or an alias means; None if there is none, or only a fallback."""
        found = self._found(name)
        return None if found is None else found.model

    def knows(self, name: str) -> bool:
        """Return whether `resolve` finds a model for *name*."""
        try:
            self.resolve(name)
        except NoEndpointError:
            return False
        return True

    def fallbacks(self, name: str, catch_all: bool = False) -> tuple[str, ...]:
        """Return the fallbacks for *name*, deployed or not. Embedding models are listed for embedding models alone."""
        family = _asked_for(name, catch_all)
        names = self._fallbacks.get(family, FALLBACKS.get(family, ())) if self._fallback else ()
        return tuple(each for each in names if embeds(each) is embeds(name))

    def _fallback_for(self, name: str, catch_all: bool) -> str | None:
        """Return the deployed fallback for a model that is not deployed; None if there is none."""
        if not self._fallback:
            return None
        succeeding = (self._same(successor) for successor in self._succeeding(name))
        listed = (self._same(fallback) for fallback in self.fallbacks(name, catch_all))
        found = (*succeeding, self._by_kind.get(kind_of(name)), *listed, self._last_resort(_asked_for(name, catch_all)))
        return next((model for model in found if model is not None), None)

    def _last_resort(self, family: str) -> str | None:
        """Return the newest model of the simplest kind among the families of the built-in list, if there is one."""
        families = {identity(name).family for name in FALLBACKS.get(family, ()) if family not in self._fallbacks}
        kinds = (kind for kind in self._by_kind if kind.family in families)
        best = max(kinds, key=lambda kind: (-len(kind.words), version_of(self._by_kind[kind])), default=NO_KIND)
        return self._by_kind.get(best)

    def _succeeding(self, name: str) -> Iterator[str]:
        """Yield the successors of a model; an embedding model has none."""
        if not embeds(name):
            for model, successors in self._successors().items():
                if identity(model) == identity(name):
                    yield from successors

    def _found(self, name: str) -> Resolution | None:
        """Return the deployed model that a name or an alias means; None if there is none."""
        if name in self._exact:
            return self._exact[name]
        for target in self._aliased(name):
            if (found := self._same(target)) is not None:
                return Resolution(found, name, How.ALIAS)
        same = self._same(name)
        return None if same is None else Resolution(same, name, How.NORMALISED)

    def _aliased(self, name: str) -> Iterator[str]:
        """Yield the target of the alias *name*, and the target of that one if it is an alias, too."""
        target = self._aliases.get(name.strip().lower())
        if target is not None:
            yield target
            further = self._aliases.get(target.strip().lower())
            if further is not None:
                yield further

    def _same(self, name: str) -> str | None:
        """Return the deployed model with this name in any spelling; None if there is none."""
        return name if name in self._exact else self._by_identity.get(identity(name))

    def _not_deployed(self, name: str) -> str:
        """Write the message that a model is not deployed, with the deployed ones."""
        return f"The model {name!r} is not deployed. Deployed: {', '.join(sorted(self.deployed)) or 'none'}."


class ModelPolicies(dict[str, ModelPolicy]):
    """The settings of single models, found by any of their names. Raises `ValueError` for a name that is not valid."""

    def __init__(self, given: Mapping[str, ModelPolicy], aliases: Mapping[str, str]) -> None:
        wrong = next((name for name in given if not name.strip() or not may_name_a_model(name)), None)
        if wrong is not None:
            raise ValueError(f"models: {wrong[:LONGEST_NAME]!r} is not the name of a model: {_NO_NAME.message}")
        super().__init__(given)
        self._aliases = dict(aliases)
        self._known: dict[str, str | None] = {}

    def find(self, model: str) -> ModelPolicy | None:
        """Return the settings of *model*; of several entries, the one with the same spelling, else the first."""
        if model not in self._known:
            names = ModelNames((model,), self._aliases, fallback=False)
            own = (name for name in (model, *self) if name in self and names.knows(name))
            self._known[model] = next(own, None)
        name = self._known[model]
        return None if name is None else self[name]


def with_resolved_names(policy: Policy) -> Policy:
    """Return *policy* with `models` that are found by any name; raises `ValueError` for a name that is not valid."""
    if isinstance(policy.models, ModelPolicies):
        return policy
    return replace(policy, models=ModelPolicies(policy.models, policy.aliases))


def _not_yet(name: str, unlisted: Unlisted) -> Fault:
    """Return the fault that says that it is not known yet whether a model is deployed, and when to try again."""
    where = ", ".join(unlisted.subaccounts)
    message = f"The model {name!r} is not known yet: the proxy has not listed the deployments of {where} yet."
    return Fault(FaultKind.UNAVAILABLE, message, 503, unlisted.seconds)


def _asked_for(name: str, catch_all: bool) -> str:
    """Return the family whose fallbacks apply to a name."""
    return identity(name).family or (CATCH_ALL if catch_all else "")
