"""Which deployed model a client means by the name it uses."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from dialects.core.faults import Fault, FaultKind
from proxy_helpers import Detector
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

_FAMILIES: tuple[tuple[str, str], ...] = (
    (r"embed", "embedding"),
    (r"realtime|image|audio|transcribe|tts|whisper|rerank|moderation", ""),
    (r"opus", "claude-opus"),
    (r"haiku", "claude-haiku"),
    (r"gemini", "gemini"),
    (r"^(?:chat)?gpt|^o\d(?!\w)|codex", "gpt"),
)
"""The family of a name, by the first pattern that matches. What does more or less than chat has none."""

LONGEST_NAME = 200
"""How many characters a model's name may have."""

_DATE = r"-20\d{6}|-20\d\d-\d\d-\d\d|-latest"
_SUFFIXES: Mapping[str, re.Pattern[str]] = {
    "claude": re.compile(rf"{_DATE}|-v\d+"),
    "gemini": re.compile(rf"{_DATE}|-\d\d\d|-preview(?:-\d\d-\d\d(?:\d\d)?)?|-exp"),
    "gpt": re.compile(rf"{_DATE}|-(?:0[1-9]|1[0-2])[0-3]\d"),
    "nova": re.compile(rf"{_DATE}|-v\d+"),
    "embedding": re.compile(rf"{_DATE}|(?<=gemini-embedding)-001"),
    "": re.compile(_DATE),
}
"""What the vendors hang on a name, once or more often, to say when a model was made, by how the name begins;
of an embedding model, by its kind.

Another revision of an embedding model makes other vectors: only the one that SAP AI Core runs has no number."""
_BEDROCK = re.compile(r"^(?:[a-z]+(?:-gov)?\.)?(?:anthropic|amazon|meta|mistral|cohere|deepseek|openai)\.")
"""Bedrock's vendor, and the region before it."""
_TAIL = re.compile(r"(?:\[[^\[\]]*\]|@[^@]*|:\d+(?::\d+k)?|:\w+content)$")
"""The size of the context, Vertex's date, Bedrock's revision, Google's verb."""


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


@dataclass(frozen=True, slots=True)
class Identity:
    """What a name says once vendor, region, date and spelling are taken off it."""

    family: str
    version: tuple[str, ...]
    variant: tuple[str, ...]


_NO_NAME = Fault(
    FaultKind.INVALID_REQUEST,
    f"model must be a name of at most {LONGEST_NAME} characters, none of them a control character.",
    400,
    param="model",
)


def may_name_a_model(name: object) -> bool:
    """Whether a model can have this name: a text of at most 200 characters, and no control character among them."""
    return (
        isinstance(name, str)
        and len(name) <= LONGEST_NAME
        and (name.isprintable() or not any(unicodedata.category(letter) == "Cc" for letter in name))
    )


def identity(name: str) -> Identity:
    """Take a name apart: two names with equal parts mean one model."""
    text = _undated(bare(name))
    words = [word for word in re.split(r"[-_.\s]+", text) if word and word != "claude"]
    version = [word for word in words if word.isdigit()]
    while len(version) > 1 and version[-1] == "0":
        version.pop()
    return Identity(_family(text), tuple(version), tuple(word for word in words if not word.isdigit()))


class _Kind(NamedTuple):
    """What models of different versions have in common, such as Opus, or GPT mini."""

    family: str
    words: tuple[str, ...]


_NO_KIND = _Kind("", ())


def _kind(name: str) -> _Kind:
    """Say of which kind a model is; one that makes embeddings, or is of no family, is of none."""
    parts = identity(name)
    if parts.family in ("", "embedding"):
        return _NO_KIND
    words = (re.sub(r"\d+", "", word) for word in parts.variant)
    return _Kind(parts.family, tuple(sorted(word for word in words if word)))


def _newest_of_each_kind(deployed: Iterable[str]) -> dict[_Kind, str]:
    """Choose the deployed model of the highest version of each kind; of several, the first."""
    newest: dict[_Kind, str] = {}
    for name in deployed:
        kind = _kind(name)
        if kind not in newest or _version(name) > _version(newest[kind]):
            newest[kind] = name
    newest.pop(_NO_KIND, None)
    return newest


def _version(name: str) -> tuple[int, ...]:
    """Read the version of a model, also one within a word: 4 of `o4-mini`."""
    parts = identity(name)
    within = (digits for word in parts.variant for digits in re.findall(r"\d+", word))
    return tuple(int(digits) for digits in (*parts.version, *within))


def bare(name: str) -> str:
    """Take off what stands around a name: path, vendor, region, and what follows it."""
    text = name.strip().lower().rpartition("/")[2].rpartition("--")[2]
    return _TAIL.sub("", _TAIL.sub("", _BEDROCK.sub("", text)))


def _undated(text: str) -> str:
    """Take off when the model was made; dots become dashes."""
    dashed = text.replace(".", "-").replace("_", "-")
    if _embeds(dashed):
        begin = "embedding"
    elif Detector.is_claude_model(dashed):
        begin = "claude"
    else:
        begin = next(key for key in _SUFFIXES if dashed.startswith(key))
    start = end = 0
    for found in _SUFFIXES[begin].finditer(dashed):
        # Suffixes that touch are one run; only a run that ends the name is taken off.
        start, end = (start if found.start() == end else found.start()), found.end()
    return dashed[:start] if end == len(dashed) else dashed


def _family(text: str) -> str:
    """Find the family of a name; empty for none."""
    found = next((family for pattern, family in _FAMILIES if re.search(pattern, text)), None)
    if found is None:
        return "claude" if Detector.is_claude_model(text) else ""
    return found


class Unlisted(NamedTuple):
    """The subaccounts of which it is not known yet what runs there, and in how many seconds it may be."""

    subaccounts: tuple[str, ...] = ()
    seconds: float = 0.0


class ModelNames:
    """Finds the deployed model for a name: exact, alias, normalised, then a fallback.

    A fallback is the newest model of the same kind (an Opus for an Opus, a mini for a mini), then one of the family's
    list, then any model of the list's families; an embedding model has no kind. *fallbacks* replaces the list of a
    family where it names one, and *fallback* False switches them all off. While *unlisted* names a subaccount,
    a name that is not known may be so soon: no fallback answers for it.
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
    ) -> None:
        self.deployed = tuple(deployed)
        self._exact = {name: Resolution(name, name, How.EXACT) for name in self.deployed}
        self._by_identity = {identity(name): name for name in reversed(self.deployed)}
        self._aliases = {name.strip().lower(): target for name, target in (aliases or {}).items()}
        self._fallbacks = {family: tuple(names) for family, names in (fallbacks or {}).items()}
        self._fallback = fallback
        self._by_kind = _newest_of_each_kind(self.deployed)
        self._unlisted = unlisted

    @classmethod
    def configured(cls, policy: Policy, unlisted: Callable[[], Unlisted]) -> "ModelNames":
        """Build the rules by the settings, with nothing deployed yet."""
        return cls((), policy.aliases, policy.fallbacks, fallback=policy.fallback, unlisted=unlisted)

    def deploying(self, deployed: Iterable[str]) -> "ModelNames":
        """Give the same rules for other deployments."""
        return ModelNames(deployed, self._aliases, self._fallbacks, fallback=self._fallback, unlisted=self._unlisted)

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
        return tuple(each for each in names if _embeds(each) is _embeds(name))

    def _fallback_for(self, name: str, catch_all: bool) -> str | None:
        """Find the deployed model that answers for one that is not deployed."""
        if not self._fallback:
            return None
        listed = (self._same(fallback) for fallback in self.fallbacks(name, catch_all))
        found = (self._by_kind.get(_kind(name)), *listed, self._last_resort(_asked_for(name, catch_all)))
        return next((model for model in found if model is not None), None)

    def _last_resort(self, family: str) -> str | None:
        """Choose the newest model of the plainest kind, from the families of the list where that is built in."""
        families = {identity(name).family for name in FALLBACKS.get(family, ()) if family not in self._fallbacks}
        kinds = (kind for kind in self._by_kind if kind.family in families)
        best = max(kinds, key=lambda kind: (-len(kind.words), _version(self._by_kind[kind])), default=_NO_KIND)
        return self._by_kind.get(best)

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
            raise ValueError(f"models: {wrong[:LONGEST_NAME]!r} is no name of a model: {_NO_NAME.message}")
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
    message = f"The model {name!r} is not known yet: SAP AI Core has not said what is deployed in {where}."
    return Fault(FaultKind.UNAVAILABLE, message, 503, unlisted.seconds)


def _asked_for(name: str, catch_all: bool) -> str:
    """Find the family whose models may answer to a name."""
    return identity(name).family or (CATCH_ALL if catch_all else "")


def _embeds(name: str) -> bool:
    return "embed" in name.lower()
