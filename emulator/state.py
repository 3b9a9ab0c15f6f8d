"""The state of a running emulator: settings, statuses, faults, caches, stored responses."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from emulator.creation import Configuration, Creations, configuration_of
from emulator.faults import FaultBoard
from emulator.oauth import AccessTokens
from emulator.openai_responses.store import ResponseStore
from emulator.prompt_cache import PromptCache
from emulator.recorder import Recorder
from emulator.world import Deployment, Json, Tenant, World

STATUSES = ("PENDING", "RUNNING", "COMPLETED", "DEAD", "STOPPING", "STOPPED", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that can be changed while the emulator runs."""

    converse_sse: str = "repr"
    split_seed: int | None = None
    expires_in: float = 43_199
    latency: float = 0.0
    catalogue: bool = True
    startup: float = 10.0
    """Seconds from the creation of a deployment until it runs. A real one takes minutes."""
    notice: str = ""
    """A sentence that ends the models' remarks about themselves; fixed at the start."""

    def changed(self, body: Json) -> "Settings":
        """Return the settings with a change in JSON applied; raises `ValueError` if it is invalid."""
        made = self
        for key, value in body.items():
            match key, value:
                case "converse_sse", "repr" | "json":
                    made = replace(made, converse_sse=value)
                case "split", None:
                    made = replace(made, split_seed=None)
                case "split", {"seed": int(seed)}:
                    made = replace(made, split_seed=seed)
                case "expires_in", int() | float():
                    made = replace(made, expires_in=value)
                case "latency", int() | float():
                    made = replace(made, latency=value)
                case "catalogue", bool(shown):
                    made = replace(made, catalogue=shown)
                case "startup", int() | float():
                    made = replace(made, startup=value)
                case _:
                    raise ValueError(f"{key} cannot be {value!r}")
        return made

    def as_json(self) -> Json:
        """Render the settings as JSON that `changed` accepts."""
        split = None if self.split_seed is None else {"seed": self.split_seed}
        return {
            "converse_sse": self.converse_sse,
            "split": split,
            "expires_in": self.expires_in,
            "latency": self.latency,
            "catalogue": self.catalogue,
            "startup": self.startup,
        }


class Emulator:
    """A world, and what has happened in it. Its lock guards the settings and the statuses."""

    def __init__(
        self, world: World, clock: Callable[[], float], new_id: Callable[[], str], settings: Settings | None = None
    ) -> None:
        self.world = world
        self.clock = clock
        self.new_id = new_id
        self.tokens = AccessTokens(clock, new_id)
        self.faults = FaultBoard()
        self.recorder = Recorder(clock)
        self.caches = {tenant.name: PromptCache(clock) for tenant in world.tenants}
        self.creations = Creations(clock, new_id)
        self.stores = {one.id: ResponseStore() for tenant in world.tenants for one in tenant.deployments}
        self._lock = threading.Lock()
        self._settings = settings or Settings(catalogue=world.catalogue)
        self._statuses: dict[str, str] = {}

    @property
    def settings(self) -> Settings:
        """The current settings."""
        with self._lock:
            return self._settings

    def change(self, body: Json) -> Settings:
        """Change the settings; raises `ValueError` if the change is invalid."""
        with self._lock:
            self._settings = self._settings.changed(body)
            return self._settings

    def status(self, deployment: Deployment) -> str:
        """Return the status of a deployment."""
        with self._lock:
            said, startup = self._statuses.get(deployment.id), self._settings.startup
        return said or self.creations.status(deployment, startup)

    def set_status(self, id: str, status: str) -> None:
        """Set the status of a deployment; raises `ValueError` for an unknown status, `KeyError` for an unknown id."""
        if status not in STATUSES:
            raise ValueError(f"status cannot be {status!r}")
        if id not in self.stores:
            raise KeyError(id)
        with self._lock:
            self._statuses[id] = status

    def deployments(self, tenant: Tenant, group: str | None) -> list[Deployment]:
        """List the deployments of a tenant in a resource group."""
        return [one for one in self.all_deployments(tenant) if (one.group or tenant.resource_group) == group]

    def all_deployments(self, tenant: Tenant) -> list[Deployment]:
        """List the deployments of a tenant in all its resource groups."""
        return [*tenant.deployments, *self.creations.deployments(tenant)]

    def configurations(self, tenant: Tenant, group: str) -> list[Configuration]:
        """List the configurations of a tenant in a resource group, including those without deployments."""
        of_the_world = [configuration_of(one) for one in self.deployments(tenant, group) if not one.configured]
        return [*of_the_world, *self.creations.configurations(tenant, group)]

    def deploy(self, tenant: Tenant, group: str, configuration: Configuration) -> Deployment:
        """Create a deployment, which runs after its start-up time; raises `ValueError` if it cannot be created."""
        made = self.creations.deploy(tenant, group, configuration)
        self.stores[made.id] = ResponseStore()
        return made
