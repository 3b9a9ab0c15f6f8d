"""Records of one run: each request, and each of its calls."""

from dataclasses import dataclass, field

from dialects.core.faults import Fault


@dataclass(slots=True)
class RequestRecord:
    """The course of one request."""

    arrived: float
    first_word: float | None = None
    """The time of the first word at the client; None if it got an error instead."""
    ended: float = 0.0
    fault: Fault | None = None
    """The client's error, before or after the first word."""

    @property
    def is_error(self) -> bool:
        """Whether the client got an error before the first word."""
        return self.first_word is None


@dataclass(slots=True)
class CallRecord:
    """The course of one call."""

    place: str
    began: float
    fault: Fault | None = None
    """The reason why it failed, before or after the first word."""


@dataclass(slots=True)
class Records:
    """The records of one run."""

    requests: list[RequestRecord] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    ejected: dict[str, float] = field(default_factory=dict)
    """When each endpoint in trouble was first ejected."""
