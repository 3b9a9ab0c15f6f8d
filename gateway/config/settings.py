"""The settings of the proxy, as frozen values with all references resolved."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from gateway.config.caller_keys import CallerKey
from gateway.config.environment import PREFIX
from gateway.config.filters import Filters
from gateway.config.mistakes import Mistake
from gateway.config.network import DIRECT, Network
from gateway.config.observability import Observability
from gateway.config.orchestration import OrchestrationOptions
from gateway.config.service_keys import Secret
from gateway.config.subaccounts import Deployment, SubAccount
from gateway.server.options import ServerOptions
from routing.endpoint import Endpoint
from routing.model_names import ModelNames
from routing.policy import Policy
from routing.request_router import RequestRouter

LOOPBACK: Final = "127.0.0.1"
PORT: Final = 3001


class SettingsError(ValueError):
    """Raised for settings that cannot be used. Its message has one line for each of `mistakes`.

    `warnings` holds further warnings. A misspelt key, for example, is often the reason why another key is missing.
    """

    def __init__(self, source: str, mistakes: Sequence[Mistake], warnings: Sequence[str] = ()) -> None:
        self.source = source
        self.mistakes = tuple(mistakes)
        self.warnings = tuple(warnings)
        lines = (
            ": ".join(filter(None, ("" if each.where.startswith(PREFIX) else source, each.where, each.what)))
            for each in mistakes
        )
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type["SettingsError"], tuple[str, tuple[Mistake, ...], tuple[str, ...]]]:
        """Return the constructor call that `pickle` uses to rebuild the error in another process."""
        return type(self), (self.source, self.mistakes, self.warnings)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the proxy."""

    subaccounts: Mapping[str, SubAccount]
    keys: tuple[CallerKey, ...] = ()
    """The keys of callers: those of `secret_authentication_tokens` first, then those of `keys`."""
    signing_keys: tuple[Secret, ...] = ()
    """The keys that sign response ids and signatures, the current key first. Without any, the key is derived."""
    host: str = LOOPBACK
    host_name: str = ""
    """The host as written in the config file or on the command line, before it is resolved to an address."""
    port: int = PORT
    server: ServerOptions = field(default_factory=ServerOptions)
    policy: Policy = field(default_factory=Policy)
    filters: Filters = field(default_factory=Filters)
    orchestration: OrchestrationOptions = field(default_factory=OrchestrationOptions)
    log_level: str = "info"
    log_format: str = "text"
    allow_unauthenticated: bool = False
    network: Network = DIRECT
    fetch_media: bool = True
    media_allow: tuple[str, ...] = ()
    """Networks and host names that media may be fetched from although their addresses are not public."""
    media_deny: tuple[str, ...] = ()
    """Networks and host names that no media are fetched from."""
    observability: Observability = field(default_factory=Observability)
    """What SAP AI Core is asked to record of each request."""
    telemetry: bool = False
    """Whether traces and metrics are sent to an OpenTelemetry collector."""
    extensions: tuple[ModuleType, ...] = ()
    """The user's extension modules. Each may define a function `extend(router)`."""
    is_demo: bool = False
    """Whether the proxy serves the embedded emulator."""
    source: Path | None = None
    """The config file; None if all settings come from the environment."""
    files: tuple[Path, ...] = ()
    """The files that the config file and the environment name, such as those of service keys."""
    warnings: tuple[str, ...] = ()

    def overridden(self, workers: int | None = None, **given: Any) -> "Settings":
        """Return the settings with the options *given* on the command line in place of the configured ones."""
        server = self.server if workers is None else replace(self.server, workers=workers)
        return replace(self, server=server, **{"host_name": given.get("host", self.host_name), **given})

    def extend(self, router: RequestRouter) -> None:
        """Call `extend(router)` of each extension module that defines it."""
        for module in self.extensions:
            getattr(module, "extend", lambda _: None)(router)


def pools(settings: Settings) -> dict[str, tuple[Endpoint, ...]]:
    """List the endpoints of every model, with subaccounts and deployments in the order of the file.

    An orchestration deployment joins the pool of a model that has deployments of its own, under the name that these
    have.
    """
    found: dict[str, list[Endpoint]] = {}
    alone = ModelNames(_alone(settings.subaccounts.values()), fallback=False)
    for account in settings.subaccounts.values():
        for model, deployments in account.deployments.items():
            for each in deployments:
                name = (alone.same(model) or model) if each.orchestration else model
                endpoint = Endpoint(
                    subaccount=account.name,
                    url=each.url,
                    model=name,
                    resource_group=account.resource_group,
                    weight=each.weight * account.weight,
                    tier=each.tier + account.tier,
                    runs=each.runs or (settings.orchestration.named(model) if each.orchestration else ""),
                    orchestration=each.orchestration,
                    standby=each.orchestration and settings.orchestration.standby,
                )
                pool = found.setdefault(name, [])
                if not (endpoint.orchestration and endpoint in pool):
                    pool.append(endpoint)
    return {model: tuple(endpoints) for model, endpoints in found.items()}


def _alone(accounts: Iterable[SubAccount]) -> dict[str, None]:
    """Return the models that have a deployment other than orchestration, in the order of the file, as keys."""
    named = ((model, each) for account in accounts for model, own in account.deployments.items() for each in own)
    return dict.fromkeys(model for model, each in named if not each.orchestration)


def with_discovered(settings: Settings, found: Mapping[str, Mapping[str, Sequence[Deployment]]]) -> Settings:
    """Add the deployments that discovery *found*, by subaccount and model, to the configured ones.

    Of a configured deployment, discovery changes only two things: whether it is an orchestration deployment, and which
    model it runs.
    """
    accounts = {
        name: replace(account, deployments=_joined(account.deployments, found.get(name, {}), settings.filters))
        for name, account in settings.subaccounts.items()
    }
    return replace(settings, subaccounts=accounts)


def _joined(
    configured: Mapping[str, tuple[Deployment, ...]], found: Mapping[str, Sequence[Deployment]], filters: Filters
) -> dict[str, tuple[Deployment, ...]]:
    there: dict[str, dict[str, Deployment]] = {}
    for model, deployments in found.items():
        for each in deployments:
            there.setdefault(each.id, {})[model] = each
    joined = {
        model: tuple(_running(model, each, there.get(each.id, {})) for each in deployments)
        for model, deployments in configured.items()
    }
    known = {
        (each.id, each.runs) if each.orchestration else each.id
        for deployments in joined.values()
        for each in deployments
    }
    for model, deployments in found.items():
        new = tuple(each for each in deployments if not {each.id, (each.id, model)} & known)
        if new and filters.admits(model):
            joined[model] = joined.get(model, ()) + new
    return joined


def _running(name: str, configured: Deployment, there: dict[str, Deployment]) -> Deployment:
    """Return a *configured* deployment of the model *name* with its type and running model, which are found *there*."""
    orchestration = configured.orchestration or any(each.orchestration for each in there.values())
    runs = ModelNames(there, fallback=False).same(name) if orchestration else next(reversed(there), None)
    return replace(configured, runs=runs or "", orchestration=orchestration)
