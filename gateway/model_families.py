"""Models by family, for lines in which people find theirs."""

from collections.abc import Iterable
from typing import Final

from dialects.capabilities.models import Vendor, profile_for

_FAMILIES: Final = {Vendor.OPENAI: "gpt", Vendor.OTHER: "others"}
"""Families that people know by another name than their maker's."""


def by_family(models: Iterable[str], most: int) -> list[str]:
    """Name *models*, family by family, and so many of each at most, those with higher versions first."""
    families: dict[str, list[str]] = {}
    for model in sorted(models, reverse=True):
        families.setdefault(_family(model), []).append(model)
    return [f"{family}: {some(names, most)}" for family, names in sorted(families.items())]


def some(names: list[str], most: int) -> str:
    """Enumerate *names*, so many at most."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def enumerated(names: Iterable[str]) -> str:
    """Enumerate all *names*, as a sentence does."""
    *first, last = [*names] or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def _family(model: str) -> str:
    profile = profile_for(model)
    return "embeddings" if profile.embeds else _FAMILIES.get(profile.vendor, profile.vendor.value)
