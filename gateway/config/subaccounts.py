"""Subaccounts: their service keys, and what is deployed in them."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config.service_keys import ServiceKey

DEFAULT = "default"
"""The name of the subaccount that the environment tells of, and of a resource group nobody named."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of a model."""

    url: str
    """The URL up to the id, without a trailing slash."""
    weight: float = 1.0
    tier: int = 0
    runs: str = ""
    """The model that it says it runs, where it was asked."""
    orchestration: bool = False
    """Whether it is an orchestration deployment, which serves many models."""

    @property
    def id(self) -> str:
        """The id, which ends the URL."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class SubAccount:
    """One subaccount: its service key, and what is deployed in it."""

    name: str
    resource_group: str
    key: ServiceKey
    deployments: Mapping[str, tuple[Deployment, ...]]
    """For each model, by its deployed name, where it runs."""
    weight: float = 1.0
    tier: int = 0
    discovery: bool = False
    """Whether running deployments are to be looked up and added."""


def deployment_url(key: ServiceKey, deployment: str) -> str:
    """Build the URL of a deployment of which only the id is known."""
    return f"{key.api_url}/inference/deployments/{deployment}"
