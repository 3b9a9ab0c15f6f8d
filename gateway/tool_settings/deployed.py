"""The models that a running proxy serves, and which of them fits what a tool wants."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dialects.capabilities.model_identity import embeds, identity, kind_of, version_of
from dialects.core.conversation import JSON

_SMALL: Final = frozenset(("mini", "nano", "lite", "luna", "haiku"))
_SMALLEST: Final = (
    ("claude", {"haiku"}),
    ("gpt", {"mini", "nano", "luna"}),
    ("gemini", {"lite"}),
    ("gemini", {"flash"}),
)
"""What does small work, such as titles: the first of which there is a model, as a family and one of some words."""


@dataclass(frozen=True, slots=True)
class DeployedModel:
    """A model that talks; its limits are in tokens, and `None` where they are not known."""

    name: str
    context_window: int | None = None
    max_output: int | None = None
    sees_images: bool = False

    @property
    def family(self) -> str:
        """Its vendor's word for what it is: claude, gemini, gpt, or nothing of these."""
        return kind_of(self.name).family.partition("-")[0]

    @property
    def words(self) -> frozenset[str]:
        """What else its name says, such as sonnet, mini or codex."""
        return frozenset(kind_of(self.name).words)

    @property
    def anthropic_id(self) -> str:
        """Anthropic's own name of a Claude, by which Claude Code knows what it can do; its own name otherwise."""
        parts = identity(self.name)
        own = "-".join(("claude", *parts.variant, *parts.version))
        return own if self.family == "claude" and parts.version and parts == identity(own) else self.name


def read_models(body: JSON) -> tuple[DeployedModel, ...]:
    """Read OpenAI's list of models as this proxy writes it; models that make embeddings are left out.

    So are names that would steer a terminal or break a line of a file. Raises `KeyError`, `TypeError` or
    `AttributeError` if it is no such list.
    """
    return tuple(
        DeployedModel(
            each["id"],
            each.get("context_window"),
            each.get("max_output_tokens"),
            "image" in each.get("input_modalities", ()),
        )
        for each in body["data"]
        if each["id"].isprintable() and not embeds(each["id"])
    )


def best_claude(models: Sequence[DeployedModel]) -> DeployedModel:
    """Give the latest Sonnet, else the latest Opus, else another Claude; without any, the best of the others."""
    return _first(_of("claude", models, {"sonnet"}), _of("claude", models, {"opus"}), _of("claude", models)) or best(
        models
    )


def best_opus(models: Sequence[DeployedModel]) -> DeployedModel:
    """Give the latest Opus, or what stands in for it."""
    return _first(_of("claude", models, {"opus"})) or best_claude(models)


def best_gpt(models: Sequence[DeployedModel]) -> DeployedModel:
    """Give the latest GPT, of equals a Codex, a small one last; without any, the best of the others."""
    return _latest(_of("gpt", models), "codex") or best(models)


def best_gemini(models: Sequence[DeployedModel]) -> DeployedModel:
    """Give the latest Gemini, of equals a Pro, a small one last; without any, the best of the others."""
    return _latest(_of("gemini", models), "pro") or best(models)


def smallest(models: Sequence[DeployedModel]) -> DeployedModel:
    """Give what does small work at a small price; where there is nothing small, what a Claude client asks anyhow."""
    return _first(*(_of(family, models, words) for family, words in _SMALLEST)) or best_claude(models)


def best(models: Sequence[DeployedModel]) -> DeployedModel:
    """Give the latest GPT, else the latest Sonnet or Opus, else the latest Gemini, else the first of all."""
    gpt, gemini = _latest(_of("gpt", models), "codex"), _latest(_of("gemini", models), "pro")
    return gpt or _first(_of("claude", models, {"sonnet"}), _of("claude", models, {"opus"})) or gemini or models[0]


def _of(family: str, models: Iterable[DeployedModel], words: Collection[str] = ()) -> list[DeployedModel]:
    """List the models of a family, or those that have one of some words in their name."""
    return [each for each in models if each.family == family and (not words or each.words & set(words))]


def _first(*groups: list[DeployedModel]) -> DeployedModel | None:
    """Give the latest model of the first group that has any."""
    return next((max(group, key=lambda each: version_of(each.name)) for group in groups if group), None)


def _latest(models: list[DeployedModel], liked: str) -> DeployedModel | None:
    """Give the latest model that is not small, of equals one that has the word which is *liked*."""
    if not models:
        return None

    def rank(each: DeployedModel) -> tuple[bool, tuple[int, ...], bool]:
        return not _SMALL & each.words, version_of(each.name), liked in each.words

    return max(models, key=rank)
