"""Filters: which models are served, by their names."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Filters:
    """Regular expressions that are searched for in the names of models."""

    include: tuple[str, ...] = ()
    """Only models that match one of these are served. If empty, all models are."""
    exclude: tuple[str, ...] = ()
    """Models that match one of these are not served."""

    def admits(self, model: str) -> bool:
        """Return whether *model* is served."""
        wanted = not self.include or any(re.compile(pattern).search(model) for pattern in self.include)
        return wanted and not any(re.compile(pattern).search(model) for pattern in self.exclude)
