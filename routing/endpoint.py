"""Endpoints: what tells them apart, and what a strategy sees of them."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class QuotaDomain:
    """What shares one request quota of SAP AI Core: a model in a tenant."""

    subaccount: str
    model: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One deployment of one model in one subaccount.

    *url* has no slash at its end, *model* is the deployed name, *weight* is the share
    of traffic it should get (0 drains it), *tier* its priority: the lowest comes first.
    Settings do not make it another: it keeps its history when they change.
    """

    subaccount: str
    url: str
    model: str
    resource_group: str = field(default="default", compare=False)
    weight: float = field(default=1.0, compare=False)
    tier: int = field(default=0, compare=False)
    runs: str = field(default="", compare=False)
    """The model that the deployment says it runs; empty where it was not asked."""
    orchestration: bool = field(default=False, compare=False)
    """Whether it is an orchestration deployment, which is asked for many models at one URL."""
    standby: bool = field(default=False, compare=False)
    """Whether it is asked only where none of the model that is not on standby is available, whatever the strategy."""

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"weight must be at least 0 and finite, not {self.weight!r}")

    def __hash__(self) -> int:
        return hash(self.url) ^ hash(self.model)

    @property
    def deployment(self) -> str:
        """The id of the deployment: what follows `/deployments/` in the URL, else its last part."""
        _, found, rest = self.url.rpartition("/deployments/")
        return rest.partition("/")[0] if found else self.url.rstrip("/").rpartition("/")[2]

    @property
    def backend(self) -> str:
        """The name of the model that decides how it is asked: what the deployment says outranks what it is called."""
        return self.runs or self.model

    @property
    def domain(self) -> QuotaDomain:
        """The quota that it draws on."""
        return QuotaDomain(self.subaccount, self.model)


class Candidate(NamedTuple):
    """An endpoint that may be selected now, and what it costs to select it."""

    endpoint: Endpoint
    in_flight: int = 0
    weight: float = 1.0
    """The endpoint's weight, less what slow start holds back."""
    latency: float = 1.0
    """Seconds to first content, by the peak-sensitive moving average; 0 for one that is to be probed."""
    failed_lately: int = 0
    """Requests that failed within the last seconds: what fails at once is not idle because of that."""
