"""What happened in one run: each request, and each call that it made."""

from dataclasses import dataclass, field

from dialects.core.faults import Fault


@dataclass(slots=True)
class RequestRecord:
    """What became of one request."""

    arrived: float
    first_word: float | None = None
    """When the client got the first word; None if it got an error instead."""
    ended: float = 0.0
    fault: Fault | None = None
    """What the client was told: instead of the first word, or after it."""

    @property
    def is_error(self) -> bool:
        """Whether the client got an error instead of the first word."""
        return self.first_word is None


@dataclass(slots=True)
class CallRecord:
    """What became of one call."""

    place: str
    began: float
    fault: Fault | None = None
    """Why it failed, before the first word or after it."""


@dataclass(slots=True)
class Records:
    """Everything that is measured."""

    requests: list[RequestRecord] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    ejected: dict[str, float] = field(default_factory=dict)
    """When each endpoint in trouble was first seen to be ejected."""
