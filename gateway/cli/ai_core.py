"""The requests of commands to SAP AI Core with one service key; each failure is one line with what to do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from dialects.core.faults import Fault, FaultError
from gateway.cli.check.advice import API_URL, Advice, Adviser, token_place
from gateway.cli.messages import CommandError
from gateway.cli.side_by_side import side_by_side
from gateway.config.service_keys import ServiceKey
from gateway.config.subaccounts import DEFAULT, SubAccount
from gateway.upstream import provisioning
from gateway.upstream.catalogue import CatalogueModel, read_catalogue
from gateway.upstream.discovery import ORCHESTRATION, RUNNING, Listed, Management, is_same_origin, listing
from gateway.upstream.management import ManagementClient
from gateway.upstream.provisioning import Deployable, DeploymentState
from gateway.upstream.tokens import TokenSource

_AT_ONCE: Final = 8
"""How many resource groups are asked at the same time."""
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """A resource group, and what is deployed in it."""

    name: str
    deployments: tuple[Listed, ...]
    elsewhere: frozenset[str] = frozenset()
    """The ids of those at another origin than the AI API, to which no token goes."""
    failure: str = ""
    """Why they could not be listed."""

    @property
    def running(self) -> tuple[Listed, ...]:
        """What can be asked."""
        return tuple(each for each in self.deployments if self.can_be_asked(each))

    def can_be_asked(self, each: Listed) -> bool:
        """Tell whether the proxy can use one of its deployments."""
        return each.status == RUNNING and bool(each.model or each.orchestration) and each.id not in self.elsewhere


class AiCore:
    """The AI API of the tenant of *key*, over *client*; safe to use from any thread."""

    def __init__(self, key: ServiceKey, client: ManagementClient, adviser: Adviser) -> None:
        self.key = key
        self._adviser = adviser
        self.tokens = TokenSource(partial(client.fetch_token, key))
        self._api = Management(client, {"": self.tokens})

    def sign_in(self) -> None:
        """Get an access token."""
        with _faults_as(partial(self._adviser.token, place=token_place(self.key.proof)), "no access token"):
            self.tokens.token()

    def resource_groups(self) -> tuple[str, ...] | None:
        """Name the resource groups; None where the key may not list them."""
        try:
            with self._explaining("the resource groups cannot be listed"):
                return provisioning.resource_groups(self._in(DEFAULT), self._api)
        except CommandError as error:
            status = error.__cause__.fault.status if isinstance(error.__cause__, FaultError) else None
            if status in (_FORBIDDEN, _NOT_FOUND):
                return None
            raise

    def look_into(self, names: Sequence[str]) -> tuple[ResourceGroup, ...]:
        """List what is deployed in resource groups; of one that cannot be looked into, why."""
        return tuple(side_by_side(self._look_into, names, _AT_ONCE))

    def catalogue(self, group: str) -> tuple[CatalogueModel, ...]:
        """List the models that can be deployed, by name; none where there is no catalogue."""
        try:
            return tuple(sorted(read_catalogue(self._in(group), self._api).values(), key=lambda model: model.name))
        except FaultError:
            return ()

    def deploy(self, group: str, what: Deployable) -> str:
        """Create a deployment and return its id."""
        with self._explaining(f"a deployment of {what.name} cannot be created in the resource group {group}"):
            return provisioning.deploy(self._in(group), what, self._api.post)

    def state_of(self, group: str, deployment: str) -> DeploymentState:
        """Read the status of a deployment."""
        with self._explaining(f"the status of the deployment {deployment} cannot be read"):
            return provisioning.state_of(self._in(group), deployment, self._api)

    def _look_into(self, name: str) -> ResourceGroup:
        account = self._in(name)
        try:
            with self._explaining(f"the deployments of the resource group {name} cannot be listed"):
                listed = listing(account, self._api)
        except CommandError as error:
            return ResourceGroup(name, (), failure=str(error))
        elsewhere = (each.id for each in listed if each.status == RUNNING and not is_same_origin(each, account))
        return ResourceGroup(name, listed, frozenset(elsewhere))

    def _in(self, group: str) -> SubAccount:
        return SubAccount("", group, self.key, {})

    def _explaining(self, what: str) -> AbstractContextManager[None]:
        return _faults_as(partial(self._adviser.management, place=API_URL), what)


def named(each: Listed) -> str:
    """Name what a deployment runs."""
    return ORCHESTRATION if each.orchestration else each.model


@contextmanager
def _faults_as(say: Callable[[Fault], Advice], what: str) -> Iterator[None]:
    """Turn a fault into a `CommandError`: *what* cannot be done, why, and what to do; the fault is its cause."""
    try:
        yield
    except FaultError as error:
        advice = say(error.fault)
        raise CommandError("; ".join(filter(None, (f"{what}: {advice.what}", advice.fix)))) from error
