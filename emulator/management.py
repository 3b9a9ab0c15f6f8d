"""The AI API: responses of the management calls about a tenant."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from emulator.creation import Configuration
from emulator.models import MODELS_BY_NAME, ORCHESTRATION
from emulator.state import Emulator
from emulator.world import Deployment, Json, Tenant

_T = TypeVar("_T")
_LIMIT = 10_000
_REQUESTS_PER_MINUTE = 78


def selected(emulator: Emulator, tenant: Tenant, group: str | None, query: Mapping[str, str]) -> list[Deployment]:
    """List the deployments that match a query."""
    executables = query.get("executableIds") or query.get("executableId")
    wanted = executables.split(",") if executables else None
    return [
        one
        for one in emulator.deployments(tenant, group)
        if query.get("scenarioId") in (None, one.scenario)
        and query.get("configurationId") in (None, one.configuration_id)
        and query.get("status") in (None, emulator.status(one))
        and (wanted is None or one.model.executable in wanted)
    ]


def page(found: Sequence[_T], query: Mapping[str, str]) -> Sequence[_T]:
    """Return a page of *found*, with `$skip` and `$top` or without the dollar sign; raises `ValueError` if invalid."""
    skip = int(query.get("$skip") or query.get("skip") or 0)
    top = int(query.get("$top") or query.get("top") or _LIMIT)
    return found[skip : skip + top]


def deployment(emulator: Emulator, one: Deployment, base: str) -> Json:
    """Render a deployment as in the list. It has a URL only while it runs."""
    status = emulator.status(one)
    backend: Json = {}
    if one.model is not ORCHESTRATION:
        backend = {"model": {"name": one.model.name, "version": one.version}}
    shown: Json = {
        "id": one.id,
        "configurationId": one.configuration_id,
        "configurationName": one.name,
        "scenarioId": one.scenario,
        "status": status,
        "statusMessage": "",
        "targetStatus": "STOPPED" if status in ("STOPPED", "STOPPING") else "RUNNING",
        "lastOperation": "UPDATE" if status == "STOPPED" else "CREATE",
        "latestRunningConfigurationId": one.configuration_id,
        "ttl": None,
        "createdAt": one.created,
        "modifiedAt": one.created,
        "submissionTime": one.created,
        "startTime": one.created if status == "RUNNING" else None,
        "completionTime": None,
        "details": {
            "scaling": {"backendDetails": {}, "backend_details": {}},
            "resources": {"backendDetails": backend, "backend_details": backend},
        },
    }
    if status == "RUNNING":
        shown["deploymentUrl"] = address(one, base)
    if emulator.world.executables_shown:
        shown["executableId"] = one.model.executable
    return shown


def created(one: Deployment) -> Json:
    """Render the response to the creation of a deployment, which does not run yet."""
    return {"deploymentUrl": "", "id": one.id, "message": "Deployment scheduled.", "status": "UNKNOWN"}


def address(one: Deployment, base: str) -> str:
    """Return the URL of a deployment."""
    return f"{base}/v2/inference/deployments/{one.id}"


def configuration(one: Configuration) -> Json:
    """Render a configuration with its executable."""
    return {
        "id": one.id,
        "name": one.name,
        "executableId": one.executable,
        "scenarioId": one.scenario,
        "versionId": "0.0.1",
        "createdAt": one.created,
        "parameterBindings": [{"key": key, "value": value} for key, value in one.bindings.items()],
        "inputArtifactBindings": [],
    }


def selected_configurations(
    emulator: Emulator, tenant: Tenant, group: str, query: Mapping[str, str]
) -> list[Configuration]:
    """List the configurations that match a query."""
    executables = query.get("executableIds")
    wanted = executables.split(",") if executables else None
    return [
        one
        for one in emulator.configurations(tenant, group)
        if query.get("scenarioId") in (None, one.scenario)
        and query.get("search", "") in one.name
        and (wanted is None or one.executable in wanted)
    ]


def quota(deployments: Iterable[Deployment]) -> list[Json]:
    """Render the requests per minute that a tenant with these deployments may make, by model."""
    deployed = Counter(one.model.name for one in deployments if one.model is not ORCHESTRATION)
    return [
        {
            "resourceType": "model",
            "quotaDetails": [
                {
                    "unit": "requestPerMinute",
                    "limit": _REQUESTS_PER_MINUTE,
                    "descriptors": {
                        "modelName": name,
                        "modelVersion": "*",
                        "providerName": MODELS_BY_NAME[name].executable if name in MODELS_BY_NAME else "",
                    },
                }
            ],
        }
        for name in deployed
    ]


def groups(tenant: Tenant) -> Json:
    """Render the resource groups of a tenant."""
    listed = [
        {
            "resourceGroupId": name,
            "tenantId": tenant.name,
            "labels": [],
            "status": "PROVISIONED",
            "statusMessage": "All onboarding steps are completed.",
            "createdAt": "2026-01-15T08:00:00Z",
        }
        for name in tenant.resource_groups
    ]
    return {"count": len(listed), "resources": listed}
