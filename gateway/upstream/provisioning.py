"""Resource groups of an AI Core, and deployments that are made in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.config.subaccounts import SubAccount
from gateway.upstream.discovery import JSON, ORCHESTRATION, RUNNING, Get, Post

FOUNDATION_MODELS: Final = "foundation-models"
"""What SAP AI Core calls the scenario of models that are deployed alone."""
LATEST: Final = "latest"
STARTING: Final = frozenset({"UNKNOWN", "PENDING"})
"""The states of a deployment that will run by itself."""
OVER: Final = frozenset({"DEAD", "STOPPED", "STOPPING", "COMPLETED"})
"""The states that a deployment does not come back from by itself."""
_UNREADABLE: Final = Fault(FaultKind.SERVER_ERROR, "SAP AI Core sent an answer that cannot be read.")


@dataclass(frozen=True, slots=True)
class Deployable:
    """What a deployment is made of."""

    name: str
    """The name of the model, or "orchestration"."""
    executable: str
    scenario: str = FOUNDATION_MODELS
    version: str = LATEST

    @property
    def parameters(self) -> Mapping[str, str]:
        """What its configuration binds: orchestration needs nothing."""
        return {} if self.scenario == ORCHESTRATION else {"modelName": self.name, "modelVersion": self.version}


ORCHESTRATION_DEPLOYMENT: Final = Deployable(ORCHESTRATION, ORCHESTRATION, ORCHESTRATION)


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """How far a deployment is."""

    status: str
    message: str = ""
    """What SAP AI Core says about it, often nothing."""

    @property
    def runs(self) -> bool:
        """Whether it can be asked."""
        return self.status == RUNNING

    @property
    def is_over(self) -> bool:
        """Whether it will not run, however long it is waited for."""
        return self.status in OVER


def resource_groups(subaccount: SubAccount, get: Get) -> tuple[str, ...]:
    """List the resource groups of *subaccount* in their order; raises `FaultError`, also where that is forbidden."""
    match get(subaccount, "/admin/resourceGroups"):
        case {"resources": list() as listed}:
            named = (each.get("resourceGroupId") for each in listed if isinstance(each, dict))
            return tuple(dict.fromkeys(name for name in named if isinstance(name, str) and name))
        case _:
            raise FaultError(_UNREADABLE)


def deploy(subaccount: SubAccount, what: Deployable, post: Post) -> str:
    """Make a deployment in the resource group of *subaccount* and give its id; raises `FaultError`.

    A deployment is made from a configuration, which is made first. Neither request is repeated.
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
    """Ask how far a deployment is; raises `FaultError`."""
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
