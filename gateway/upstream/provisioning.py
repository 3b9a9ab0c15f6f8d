"""Resource groups of SAP AI Core, and the creation of deployments in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.config.subaccounts import SubAccount
from gateway.upstream.discovery import JSON, ORCHESTRATION, RUNNING, Get, Post

FOUNDATION_MODELS: Final = "foundation-models"
"""The name in SAP AI Core of the scenario for deployments of one model."""
LATEST: Final = "latest"
STARTING: Final = frozenset({"UNKNOWN", "PENDING"})
"""The states of a deployment that is still starting."""
OVER: Final = frozenset({"DEAD", "STOPPED", "STOPPING", "COMPLETED"})
"""The states in which a deployment will not run again by itself."""
_UNREADABLE: Final = Fault(FaultKind.SERVER_ERROR, "SAP AI Core sent an answer that cannot be read.")


@dataclass(frozen=True, slots=True)
class Deployable:
    """The specification of a deployment to create."""

    name: str
    """The name of the model, or "orchestration"."""
    executable: str
    scenario: str = FOUNDATION_MODELS
    version: str = LATEST

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of its configuration; none for orchestration."""
        return {} if self.scenario == ORCHESTRATION else {"modelName": self.name, "modelVersion": self.version}


ORCHESTRATION_DEPLOYMENT: Final = Deployable(ORCHESTRATION, ORCHESTRATION, ORCHESTRATION)


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """The progress of a deployment."""

    status: str
    message: str = ""
    """The status message of SAP AI Core, often empty."""

    @property
    def runs(self) -> bool:
        """Whether the deployment takes requests."""
        return self.status == RUNNING

    @property
    def is_over(self) -> bool:
        """Whether the deployment will never run, so that waiting is useless."""
        return self.status in OVER


def resource_groups(subaccount: SubAccount, get: Get) -> tuple[str, ...]:
    """Return the resource groups of *subaccount* in their order; raises `FaultError`, also if that is forbidden."""
    match get(subaccount, "/admin/resourceGroups"):
        case {"resources": list() as listed}:
            named = (each.get("resourceGroupId") for each in listed if isinstance(each, dict))
            return tuple(dict.fromkeys(name for name in named if isinstance(name, str) and name))
        case _:
            raise FaultError(_UNREADABLE)


def deploy(subaccount: SubAccount, what: Deployable, post: Post) -> str:
    """Create a deployment in the resource group of *subaccount* and return its id; raises `FaultError` on any error.

    A deployment needs a configuration, which is created first. Neither request is repeated.
    """
    configuration = {
        "name": what.name,
        "scenarioId": what.scenario,
        "executableId": what.executable,
        "parameterBindings": [{"key": key, "value": value} for key, value in what.parameters.items()],
        "inputArtifactBindings": [],
    }
    configuration_id = _id(post(subaccount, "/lm/configurations", configuration))
    return _id(post(subaccount, "/lm/deployments", {"configurationId": configuration_id}))


def state_of(subaccount: SubAccount, deployment: str, get: Get) -> DeploymentState:
    """Return the state of a deployment; raises `FaultError` on any error."""
    match get(subaccount, f"/lm/deployments/{quote(deployment, safe='')}"):
        case {"status": str(status), **rest}:
            message = rest.get("statusMessage")
            return DeploymentState(status, message.strip() if isinstance(message, str) else "")
        case _:
            raise FaultError(_UNREADABLE)


def _id(answer: JSON) -> str:
    match answer:
        case {"id": str(name)} if name:
            return name
        case _:
            raise FaultError(_UNREADABLE)
