"""Models grouped by family, for log lines in which people look for theirs."""

from collections.abc import Iterable
from typing import Final

from dialects.capabilities.models import Vendor, profile_for

_FAMILIES: Final = {Vendor.OPENAI: "gpt", Vendor.OTHER: "others"}
"""Families that have a better known name than their vendor's."""


def by_family(models: Iterable[str], most: int) -> list[str]:
    """Return one line for each family, with at most *most* models, higher versions first."""
    families: dict[str, list[str]] = {}
    for model in sorted(models, reverse=True):
        families.setdefault(_family(model), []).append(model)
    return [f"{family}: {some(names, most)}" for family, names in sorted(families.items())]


def some(names: list[str], most: int) -> str:
    """List *names* in a sentence, but at most *most* of them."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def enumerated(names: Iterable[str]) -> str:
    """List all *names* as in a sentence."""
    *first, last = [*names] or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def _family(model: str) -> str:
    profile = profile_for(model)
    return "embeddings" if profile.embeds else _FAMILIES.get(profile.vendor, profile.vendor.value)
