"""Subaccounts: their service keys and their deployments."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config.service_keys import ServiceKey

DEFAULT = "default"
"""The default resource group, and the name of the subaccount that is read from the environment."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of a model."""

    url: str
    """The URL up to and including the id, without a trailing slash."""
    weight: float = 1.0
    tier: int = 0
    runs: str = ""
    """The model that discovery found it to run; empty if unknown."""
    orchestration: bool = False
    """Whether it is an orchestration deployment, which serves many models."""

    @property
    def id(self) -> str:
        """The id of the deployment, which is the last segment of the URL."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class SubAccount:
    """One subaccount: its service key and its deployments."""

    name: str
    resource_group: str
    key: ServiceKey
    deployments: Mapping[str, tuple[Deployment, ...]]
    """The deployments of each model, by the name it is deployed under."""
    weight: float = 1.0
    tier: int = 0
    discovery: bool = False
    """Whether the proxy looks up running deployments and adds them."""


def deployment_url(key: ServiceKey, deployment: str) -> str:
    """Build the URL of a deployment from its id."""
    return f"{key.api_url}/inference/deployments/{deployment}"
