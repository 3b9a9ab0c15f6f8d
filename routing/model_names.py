"""Which deployed model a client means by the name it uses."""

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
"""The models that answer for one of their family of which no kind is deployed, the best first. None answers for an
embedding model: vectors of another one are wrong."""
CATCH_ALL = "gpt"
"""The family that answers for a name of no family, where that is asked for."""


class How(Enum):
    """Why a deployed model answers to a name."""

    EXACT = "exact"
    ALIAS = "alias"
    NORMALISED = "normalised"
    FALLBACK = "fallback"
    """Another model than the one that was asked for."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Which deployed model serves a request for *requested*, and why that one."""

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
    """Choose the deployed model of the highest version of each kind; of several, the first."""
    newest: dict[Kind, str] = {}
    for name in deployed:
        kind = kind_of(name)
        if kind not in newest or version_of(name) > version_of(newest[kind]):
            newest[kind] = name
    newest.pop(NO_KIND, None)
    return newest


Successors = Callable[[], Mapping[str, Iterable[str]]]
"""Names the models that take the place of one, the best first."""


class Unlisted(NamedTuple):
    """The subaccounts of which it is not known yet what runs there, and in how many seconds it may be."""

    subaccounts: tuple[str, ...] = ()
    seconds: float = 0.0


class ModelNames:
    """Finds the deployed model for a name: exact, alias, normalised, then a fallback.

    A fallback is one of the *successors* that are named for the model, then the newest of the same kind (an Opus for an
    Opus, a mini for a mini), then one of the family's list, then any model of the list's families; an embedding model
    has none. *fallbacks* replaces the list of a family where it names one, and *fallback* False switches them all off.
    While *unlisted* names a subaccount, a name that is not known may be so soon: no fallback answers for it.
    Holds no state but its tables.
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
        """Build the rules by the settings, with nothing deployed yet."""
        rules = policy.aliases, policy.fallbacks
        return cls((), *rules, fallback=policy.fallback, unlisted=unlisted, successors=successors)

    def deploying(self, deployed: Iterable[str]) -> "ModelNames":
        """Give the same rules for other deployments."""
        rules, sources = (self._aliases, self._fallbacks), (self._unlisted, self._successors)
        return ModelNames(deployed, *rules, fallback=self._fallback, unlisted=sources[0], successors=sources[1])

    def resolve(self, name: str, catch_all: bool = False) -> Resolution:
        """Find the model to ask; raises `NoEndpointError` that lists what there is.

        A name that no model can have is the caller's mistake, and no fallback answers for it.
        *catch_all* lets a GPT answer to a name of no family.
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
        """Find the deployed model that a name or an alias means; None where only a fallback would answer."""
        found = self._found(name)
        return None if found is None else found.model

    def knows(self, name: str) -> bool:
        """Whether there is a model behind a name."""
        try:
            self.resolve(name)
        except NoEndpointError:
            return False
        return True

    def fallbacks(self, name: str, catch_all: bool = False) -> tuple[str, ...]:
        """List the models that may answer for one of no deployed kind, deployed or not; they embed just if it does."""
        family = _asked_for(name, catch_all)
        names = self._fallbacks.get(family, FALLBACKS.get(family, ())) if self._fallback else ()
        return tuple(each for each in names if embeds(each) is embeds(name))

    def _fallback_for(self, name: str, catch_all: bool) -> str | None:
        """Find the deployed model that answers for one that is not deployed."""
        if not self._fallback:
            return None
        succeeding = (self._same(successor) for successor in self._succeeding(name))
        listed = (self._same(fallback) for fallback in self.fallbacks(name, catch_all))
        found = (*succeeding, self._by_kind.get(kind_of(name)), *listed, self._last_resort(_asked_for(name, catch_all)))
        return next((model for model in found if model is not None), None)

    def _last_resort(self, family: str) -> str | None:
        """Choose the newest model of the plainest kind, from the families of the list where that is built in."""
        families = {identity(name).family for name in FALLBACKS.get(family, ()) if family not in self._fallbacks}
        kinds = (kind for kind in self._by_kind if kind.family in families)
        best = max(kinds, key=lambda kind: (-len(kind.words), version_of(self._by_kind[kind])), default=NO_KIND)
        return self._by_kind.get(best)

    def _succeeding(self, name: str) -> Iterator[str]:
        """List the models that are named as successors of one; none that makes embeddings has any."""
        if not embeds(name):
            for model, successors in self._successors().items():
                if identity(model) == identity(name):
                    yield from successors

    def _found(self, name: str) -> Resolution | None:
        """Find the deployed model that a name or an alias means."""
        if name in self._exact:
            return self._exact[name]
        for target in self._aliased(name):
            if (found := self._same(target)) is not None:
                return Resolution(found, name, How.ALIAS)
        same = self._same(name)
        return None if same is None else Resolution(same, name, How.NORMALISED)

    def _aliased(self, name: str) -> Iterator[str]:
        """Follow a name's alias, and that one's."""
        target = self._aliases.get(name.strip().lower())
        if target is not None:
            yield target
            further = self._aliases.get(target.strip().lower())
            if further is not None:
                yield further

    def _same(self, name: str) -> str | None:
        """Find a deployed model that is this one, however it is written."""
        return name if name in self._exact else self._by_identity.get(identity(name))

    def _not_deployed(self, name: str) -> str:
        """Say that a model is not there, and what is."""
        return f"The model {name!r} is not deployed. Deployed: {', '.join(sorted(self.deployed)) or 'none'}."


class ModelPolicies(dict[str, ModelPolicy]):
    """What differs for single models, found under any of their names; raises `ValueError` for what is no name."""

    def __init__(self, given: Mapping[str, ModelPolicy], aliases: Mapping[str, str]) -> None:
        wrong = next((name for name in given if not name.strip() or not may_name_a_model(name)), None)
        if wrong is not None:
            raise ValueError(f"models: {wrong[:LONGEST_NAME]!r} is not the name of a model: {_NO_NAME.message}")
        super().__init__(given)
        self._aliases = dict(aliases)
        self._known: dict[str, str | None] = {}

    def find(self, model: str) -> ModelPolicy | None:
        """Find what differs for *model*: of several entries, the one under this very name counts, then the first."""
        if model not in self._known:
            names = ModelNames((model,), self._aliases, fallback=False)
            own = (name for name in (model, *self) if name in self and names.knows(name))
            self._known[model] = next(own, None)
        name = self._known[model]
        return None if name is None else self[name]


def with_resolved_names(policy: Policy) -> Policy:
    """Give the same policy, whose `models` are found under any name of a model; raises `ValueError`."""
    if isinstance(policy.models, ModelPolicies):
        return policy
    return replace(policy, models=ModelPolicies(policy.models, policy.aliases))


def _not_yet(name: str, unlisted: Unlisted) -> Fault:
    """Say that it cannot be said whether a model is there, and when to ask again."""
    where = ", ".join(unlisted.subaccounts)
    message = f"The model {name!r} is not known yet: the proxy has not listed the deployments of {where} yet."
    return Fault(FaultKind.UNAVAILABLE, message, 503, unlisted.seconds)


def _asked_for(name: str, catch_all: bool) -> str:
    """Find the family whose models may answer to a name."""
    return identity(name).family or (CATCH_ALL if catch_all else "")
