"""Endpoints, their quota domains, and the candidates that strategies select from."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class QuotaDomain:
    """The scope of one request quota of SAP AI Core: a model in a subaccount."""

    subaccount: str
    model: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One deployment of one model in one subaccount.

    *url* has no slash at its end. *model* is the deployed name. *weight* is the share of traffic that the endpoint
    should get; 0 drains it. *tier* is its priority; the lowest tier comes first. Endpoints are equal if subaccount, URL
    and model are equal, so an endpoint keeps its history when its other settings change.
    """

    subaccount: str
    url: str
    model: str
    resource_group: str = field(default="default", compare=False)
    weight: float = field(default=1.0, compare=False)
    tier: int = field(default=0, compare=False)
    runs: str = field(default="", compare=False)
    """The model that the deployment reports to run; empty if it was not asked."""
    orchestration: bool = field(default=False, compare=False)
    """Whether this is an orchestration deployment, which serves many models at one URL."""
    standby: bool = field(default=False, compare=False)
    """Whether it gets requests only if no other endpoint of the model is available, whatever the strategy."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"weight must be at least 0 and finite, not {self.weight!r}")

    def __hash__(self) -> int:
        return hash(self.url) ^ hash(self.model)

    @property
    def deployment(self) -> str:
        """The id of the deployment: the part of the URL after `/deployments/`, else its last part."""
        _, found, rest = self.url.rpartition("/deployments/")
        return rest.partition("/")[0] if found else self.url.rstrip("/").rpartition("/")[2]

    @property
    def backend(self) -> str:
        """The model that decides on the protocol: `runs` if it is known, else `model`."""
        return self.runs or self.model

    @property
    def domain(self) -> QuotaDomain:
        """The quota domain that the endpoint belongs to."""
        return QuotaDomain(self.subaccount, self.model)


class Candidate(NamedTuple):
    """An endpoint that may be selected now, with its load and latency."""

    endpoint: Endpoint
    in_flight: int = 0
    weight: float = 1.0
    """The configured weight of the endpoint, reduced during slow start."""
    latency: float = 1.0
    """Expected seconds to the first content, by a peak-sensitive moving average; 0 for a probe."""
    failed_lately: int = 0
    """The number of recent failures. An endpoint that fails fast has few requests in flight, but is not idle."""
