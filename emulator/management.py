"""The AI API: what the management calls show of a tenant."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from emulator.models import MODELS_BY_NAME, ORCHESTRATION
from emulator.state import Emulator
from emulator.world import Deployment, Json, Tenant

_LIMIT = 10_000
_REQUESTS_PER_MINUTE = 78


def selected(emulator: Emulator, tenant: Tenant, group: str | None, query: Mapping[str, str]) -> list[Deployment]:
    """List the deployments a query asks for."""
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


def page(found: list[Deployment], query: Mapping[str, str]) -> list[Deployment]:
    """Cut a page out; both spellings of the paging are understood."""
    skip = int(query.get("$skip") or query.get("skip") or 0)
    top = int(query.get("$top") or query.get("top") or _LIMIT)
    return found[skip : skip + top]


def deployment(emulator: Emulator, one: Deployment, base: str) -> Json:
    """Write a deployment the way the list does; it has an address only while it runs."""
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


def address(one: Deployment, base: str) -> str:
    """Write the address of a deployment."""
    return f"{base}/v2/inference/deployments/{one.id}"


def configuration(one: Deployment) -> Json:
    """Write the configuration of a deployment: with its executable."""
    bindings = [] if one.model is ORCHESTRATION else [("modelName", one.model.name), ("modelVersion", one.version)]
    return {
        "id": one.configuration_id,
        "name": one.name,
        "executableId": one.model.executable,
        "scenarioId": one.scenario,
        "versionId": "0.0.1",
        "createdAt": one.created,
        "parameterBindings": [{"key": key, "value": value} for key, value in bindings],
        "inputArtifactBindings": [],
    }


def quota(tenant: Tenant) -> list[Json]:
    """Write the requests a tenant may make in a minute, by model."""
    deployed = Counter(one.model.name for one in tenant.deployments if one.model is not ORCHESTRATION)
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
    """Write the resource groups of a tenant."""
    group: dict[str, Any] = {
        "resourceGroupId": tenant.resource_group,
        "tenantId": tenant.name,
        "labels": [],
        "status": "PROVISIONED",
        "statusMessage": "All onboarding steps are completed.",
        "createdAt": "2026-01-15T08:00:00Z",
    }
    return {"count": 1, "resources": [group]}
