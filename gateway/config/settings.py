"""The settings of the proxy, as frozen values: everything is resolved."""

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
    """The settings cannot be used; `mistakes` lists all that is wrong, and the message has a line for each.

    `warnings` says what else is odd: a key that is spelled wrongly is often why another is missing.
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
        """Tell how the error is made anew in another process."""
        return type(self), (self.source, self.mistakes, self.warnings)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the proxy."""

    subaccounts: Mapping[str, SubAccount]
    keys: tuple[CallerKey, ...] = ()
    """The keys of callers: those of `secret_authentication_tokens` first, then those of `keys`."""
    signing_keys: tuple[Secret, ...] = ()
    """What response ids and seals are signed with, the current key first; without any it is derived."""
    host: str = LOOPBACK
    host_name: str = ""
    """The host as it was configured, or given on the command line, whatever address is listened on."""
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
    observability: Observability = field(default_factory=Observability)
    """What SAP AI Core is asked to note of each request."""
    telemetry: bool = False
    """Whether traces and metrics are sent to an OpenTelemetry collector."""
    extensions: tuple[ModuleType, ...] = ()
    """Modules of the user's own: each may have a function `extend(router)`."""
    is_demo: bool = False
    """Whether what is served is the embedded emulator."""
    source: Path | None = None
    """The config file; none if the environment said it all."""
    warnings: tuple[str, ...] = ()

    def overridden(self, workers: int | None = None, **given: Any) -> "Settings":
        """Give the settings with what was *given* on the command line instead."""
        server = self.server if workers is None else replace(self.server, workers=workers)
        return replace(self, server=server, **{"host_name": given.get("host", self.host_name), **given})

    def extend(self, router: RequestRouter) -> None:
        """Let the user's own modules add to *router*, those that have something to add."""
        for module in self.extensions:
            getattr(module, "extend", lambda _: None)(router)


def pools(settings: Settings) -> dict[str, tuple[Endpoint, ...]]:
    """List the endpoints of every model, subaccounts and deployments in the order of the file.

    What orchestration serves joins the deployments of the same model alone, under whatever name those are configured.
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
    """Name the models that have a deployment of their own, in the order of the file."""
    named = ((model, each) for account in accounts for model, own in account.deployments.items() for each in own)
    return dict.fromkeys(model for model, each in named if not each.orchestration)


def with_discovered(settings: Settings, found: Mapping[str, Mapping[str, Sequence[Deployment]]]) -> Settings:
    """Add what was looked up, per subaccount, to what is configured.

    Of what is configured itself, only what its deployments are, and which models they say they run, is noted.
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
    """Note of a deployment that is *configured* under a *name* what it is, and what it runs of what is *there*."""
    orchestration = configured.orchestration or any(each.orchestration for each in there.values())
    runs = ModelNames(there, fallback=False).same(name) if orchestration else next(reversed(there), None)
    return replace(configured, runs=runs or "", orchestration=orchestration)
