"""Configurations and deployments, including those that are created while the emulator runs."""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from emulator.catalogue import versions_of
from emulator.models import MODELS_BY_NAME, ORCHESTRATION, Model
from emulator.world import Deployment, Json, Tenant

_EXECUTABLES = {
    "foundation-models": frozenset(model.executable for model in MODELS_BY_NAME.values()),
    "orchestration": frozenset((ORCHESTRATION.executable,)),
}
"""The executables of each scenario."""
_NAME = re.compile(r"[\w\s.!?,;:\[\](){}<>\"'=+*/\\^&%@~$#|-]{1,256}")
_LATEST = "latest"
_UNKNOWN_SHARE = 0.1
"""The share of its start-up time during which a new deployment has the status UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The executable and parameters that a deployment is created from."""

    id: str
    name: str
    executable: str
    scenario: str
    created: str
    bindings: Mapping[str, str]
    """Its parameters, such as `modelName`."""


def configuration_of(one: Deployment) -> Configuration:
    """Return the configuration of a deployment that exists from the start."""
    bindings = {} if one.model is ORCHESTRATION else {"modelName": one.model.name, "modelVersion": one.version}
    return Configuration(one.configuration_id, one.name, one.model.executable, one.scenario, one.created, bindings)


class Creations:
    """The configurations and deployments created since the start.

    Its lock guards them; no other lock is taken inside it.
    """

    def __init__(self, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self._lock = threading.Lock()
        self._configurations: dict[tuple[str, str], list[Configuration]] = {}
        self._deployments: dict[str, list[Deployment]] = {}
        self._made: dict[str, float] = {}
        """The time at which each deployment was created."""

    def configure(self, tenant: Tenant, group: str, body: Any) -> Configuration:
        """Create a configuration from a request; raises `ValueError` if it is invalid."""
        fields = {key: _text(body, key) for key in ("name", "executableId", "scenarioId")}
        if not _NAME.fullmatch(fields["name"]):
            raise ValueError("name has characters that are not allowed, or is too long")
        executables = _EXECUTABLES.get(fields["scenarioId"])
        if executables is None:
            raise ValueError(f"Scenario {fields['scenarioId']} does not exist")
        if fields["executableId"] not in executables:
            raise ValueError(f"Executable {fields['executableId']} does not exist in scenario {fields['scenarioId']}")
        bindings = _bindings(body.get("parameterBindings"))
        if fields["scenarioId"] == "foundation-models" and "modelName" not in bindings:
            raise ValueError("Missing value for parameter modelName")
        made = Configuration(
            self._new_id(),
            fields["name"],
            fields["executableId"],
            fields["scenarioId"],
            _date(self._clock()),
            bindings,
        )
        with self._lock:
            self._configurations.setdefault((tenant.name, group), []).append(made)
        return made

    def deploy(self, tenant: Tenant, group: str, configuration: Configuration) -> Deployment:
        """Create a deployment, which begins to start up; raises `ValueError` if its configuration is invalid."""
        model, version = _model(configuration)
        now = self._clock()
        name = f"d{self._new_id().replace('-', '')[:15]}"
        made = Deployment(name, model, version=version, created=_date(now), group=group, configured=configuration.id)
        with self._lock:
            self._deployments.setdefault(tenant.name, []).append(made)
            self._made[name] = now
        return made

    def configurations(self, tenant: Tenant, group: str) -> list[Configuration]:
        """List the configurations created in a resource group."""
        with self._lock:
            return list(self._configurations.get((tenant.name, group), ()))

    def deployments(self, tenant: Tenant) -> list[Deployment]:
        """List the deployments created for a tenant in all its resource groups."""
        with self._lock:
            return list(self._deployments.get(tenant.name, ()))

    def status(self, deployment: Deployment, startup: float) -> str:
        """Return the status of a deployment that takes *startup* seconds to start."""
        with self._lock:
            made = self._made.get(deployment.id)
        if made is None:
            return deployment.status
        age = self._clock() - made
        if age >= startup:
            return "RUNNING"
        return "UNKNOWN" if age < startup * _UNKNOWN_SHARE else "PENDING"


def _text(body: Any, key: str) -> str:
    """Return a required string; raises `ValueError` if it is missing."""
    value = body.get(key) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is missing")
    return value


def _bindings(listed: Json | list[Any] | None) -> dict[str, str]:
    """Parse the parameters of a configuration; raises `ValueError` for a malformed one."""
    read: dict[str, str] = {}
    for each in listed or []:
        match each:
            case {"key": str(key), "value": str(value)}:
                read[key] = value
            case _:
                raise ValueError("parameterBindings must be a list of objects with a key and a value that are texts")
    return read


def _model(configuration: Configuration) -> tuple[Model, str]:
    """Return the model and version of a configuration; raises `ValueError` if the catalogue does not have them."""
    if configuration.scenario == "orchestration":
        return ORCHESTRATION, _LATEST
    name, version = configuration.bindings["modelName"], configuration.bindings.get("modelVersion", _LATEST)
    model = MODELS_BY_NAME.get(name)
    if model is None or model.executable != configuration.executable:
        raise ValueError(f"Model {name} is not supported by executable {configuration.executable}")
    if version not in (_LATEST, *versions_of(model)):
        raise ValueError(f"Version {version} of model {name} is not supported")
    return model, version


def _date(seconds: float) -> str:
    """Format a time as the AI API does."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
