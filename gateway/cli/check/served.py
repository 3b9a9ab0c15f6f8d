"""What the proxy would serve once it has seen what runs, and how it would ask."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError
from dialects.registry import CLIENTS
from gateway.config.service_keys import is_same_tenant
from gateway.config.settings import Settings, pools, with_discovered
from gateway.config.subaccounts import SubAccount
from gateway.upstream.discovery import Listed, Orchestrated, is_same_origin, named, running, versions_of
from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.protocols import EmbeddingsProtocol, ProtocolHandler
from routing.request_router import RequestRouter


class Served:
    """What the proxy would serve after it has *seen* what runs, by subaccount, and how."""

    def __init__(self, settings: Settings, seen: Mapping[str, Sequence[Listed]], orchestrated: Orchestrated) -> None:
        self._ask = orchestrated
        self._names: dict[str, Collection[str]] = {}
        found = {
            account.name: named(
                running(account, _safe(seen[account.name], account)), partial(self.orchestrated, account)
            )
            for account in settings.subaccounts.values()
            if account.discovery and account.name in seen
        }
        self.settings = with_discovered(settings, found)
        """With what runs where that is looked up."""
        self._pools = pools(self.settings)
        self._router = RequestRouter(LoadBalancer(self._pools, policy=settings.policy))
        settings.extend(self._router)

    def orchestrated(self, account: SubAccount) -> Collection[str]:
        """Name the models that orchestration deployments of a subaccount serve, asked for once."""
        if account.name not in self._names:
            self._names[account.name] = self._ask(account)
        return self._names[account.name]

    def models(self) -> list[str]:
        """Name all models that are served."""
        return sorted(self._pools)

    def alone(self) -> list[str]:
        """Name the models that have deployments of their own."""
        return [name for name in self.models() if not all(each.orchestration for each in self._pools[name])]

    def at(self, account: SubAccount, deployment: str, runs: str = "") -> list[Endpoint]:
        """List the endpoints of a deployment, one for each model; *runs* is the one that alone is meant."""
        return [
            each for each in self.endpoints(account) if each.deployment == deployment and runs in ("", each.backend)
        ]

    def server_of(self, account: SubAccount, deployment: str) -> SubAccount | None:
        """Find the subaccount that serves a deployment: *account*, or another of its tenant and resource group."""
        same = (
            each
            for each in self.settings.subaccounts.values()
            if each.resource_group == account.resource_group and is_same_tenant(each.key, account.key)
        )
        return next((each for each in (account, *same) if self.at(each, deployment)), None)

    def orchestrates(self, account: SubAccount) -> bool:
        """Whether orchestration deployments of a subaccount are asked."""
        return any(each.orchestration for each in self.endpoints(account))

    def versions(self, account: SubAccount, listed: Sequence[Listed]) -> dict[str, Collection[str]]:
        """Name the models that run in a subaccount, with the versions that are *listed* as running."""
        versions = versions_of(listed)
        return {each.backend: versions.get(each.backend, ()) for each in self.endpoints(account)}

    def protocols(self, endpoint: Endpoint) -> tuple[ProtocolHandler, ...]:
        """List the protocols in which an endpoint is asked, by the client that asks."""
        found: dict[str, ProtocolHandler] = {}
        for client in (*CLIENTS, EmbeddingsProtocol.dialect):
            with suppress(FaultError):
                protocol = self._router.protocol_at(endpoint, client)
                found[protocol.name] = protocol
        return tuple(found.values())

    def endpoints(self, account: SubAccount) -> Iterator[Endpoint]:
        """List the endpoints of a subaccount."""
        endpoints = (each for pool in self._pools.values() for each in pool)
        return (each for each in endpoints if each.subaccount == account.name)


def family(endpoint: Endpoint) -> str:
    """Name the family as whose model an endpoint is asked."""
    return profile_for(endpoint.backend).vendor.value


def _safe(listed: Iterable[Listed], account: SubAccount) -> list[Listed]:
    """Leave out what is at another origin, of which the report has a line of its own."""
    return [each for each in listed if is_same_origin(each, account)]
