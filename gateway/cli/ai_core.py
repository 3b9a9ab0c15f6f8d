"""SAP AI Core as commands ask it with one service key; whatever fails is said in one line that says what to do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.cli.check.advice import Adviser
from gateway.cli.messages import CommandError
from gateway.config.service_keys import ServiceKey
from gateway.config.subaccounts import SubAccount
from gateway.upstream import provisioning
from gateway.upstream.catalogue import CatalogueModel, read_catalogue
from gateway.upstream.discovery import ORCHESTRATION, RUNNING, Listed, Management, is_same_origin, listing
from gateway.upstream.management import ManagementClient
from gateway.upstream.provisioning import Deployable, DeploymentState
from gateway.upstream.tokens import TokenSource
from gateway.upstream.unreachable import Unreachable

Advise = Callable[[Unreachable, str], str]
"""Says in one line why a server is not reached and what to do, by what its URL is called."""
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
        """Tell whether one of its deployments is of any use."""
        return each.status == RUNNING and bool(each.model or each.orchestration) and each.id not in self.elsewhere


class AiCore:
    """The AI API of the tenant that *key* opens, asked over *client* by one thread."""

    def __init__(self, key: ServiceKey, client: ManagementClient, advise: Advise) -> None:
        self.key = key
        self._advise = advise
        self.tokens = TokenSource(partial(client.fetch_token, key))
        self._api = Management(client, {"": self.tokens})

    def sign_in(self) -> None:
        """Get an access token."""
        with _explained(lambda fault: _no_token(fault, self.key, self._advise)):
            self.tokens.token()

    def resource_groups(self) -> tuple[str, ...] | None:
        """Name the resource groups; None where the key may not list them."""
        try:
            with self._explained("the resource groups cannot be listed"):
                return provisioning.resource_groups(self._in("default"), self._api)
        except CommandError as error:
            status = error.__cause__.fault.status if isinstance(error.__cause__, FaultError) else None
            if status in (_FORBIDDEN, _NOT_FOUND):
                return None
            raise

    def look_into(self, names: Sequence[str]) -> tuple[ResourceGroup, ...]:
        """List what is deployed in resource groups; of one that cannot be looked into, why."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return tuple(pool.map(self._look_into, names))

    def catalogue(self, group: str) -> tuple[CatalogueModel, ...]:
        """List the models that can be deployed, by name; none where there is no catalogue."""
        try:
            return tuple(sorted(read_catalogue(self._in(group), self._api).values(), key=lambda model: model.name))
        except FaultError:
            return ()

    def deploy(self, group: str, what: Deployable) -> str:
        """Make a deployment and give its id."""
        with self._explained(f"no deployment of {what.name} can be made in the resource group {group}"):
            return provisioning.deploy(self._in(group), what, self._api.post)

    def state_of(self, group: str, deployment: str) -> DeploymentState:
        """Ask how far a deployment is."""
        with self._explained(f"the deployment {deployment} cannot be looked at"):
            return provisioning.state_of(self._in(group), deployment, self._api)

    def _look_into(self, name: str) -> ResourceGroup:
        account = self._in(name)
        try:
            with self._explained(f"the deployments of the resource group {name} cannot be listed"):
                listed = listing(account, self._api)
        except CommandError as error:
            return ResourceGroup(name, (), failure=str(error))
        elsewhere = (each.id for each in listed if each.status == RUNNING and not is_same_origin(each, account))
        return ResourceGroup(name, listed, frozenset(elsewhere))

    def _in(self, group: str) -> SubAccount:
        return SubAccount("", group, self.key, {})

    def _explained(self, what: str) -> AbstractContextManager[None]:
        place = "serviceurls.AI_API_URL of the service key"
        return _explained(lambda fault: f"{what}: {_why(fault, place, self._advise)}")


def adviser(env: Mapping[str, str], *, proxied: bool) -> Advise:
    """Give the advice that `check` gives as well; *proxied* is whether an HTTP proxy is used."""
    of_check = Adviser(env, proxied=proxied, issuer=lambda _: "")

    def advise(why: Unreachable, place: str) -> str:
        advice = of_check.unreachable(why, place)
        return f"{advice.what}; {advice.fix}"

    return advise


def named(each: Listed) -> str:
    """Name what a deployment runs."""
    return ORCHESTRATION if each.orchestration else each.model


@contextmanager
def _explained(words: Callable[[Fault], str]) -> Iterator[None]:
    """Turn a fault into an `CommandError` with *words* for it; the fault is its cause."""
    try:
        yield
    except FaultError as error:
        raise CommandError(words(error.fault)) from error


def _no_token(fault: Fault, key: ServiceKey, advise: Advise) -> str:
    if fault.kind is FaultKind.REFUSED_CREDENTIALS:
        return (
            f"{urlsplit(key.token_url).netloc} refuses the service key: it was deleted, has expired or was copied in "
            "part; create another one in the BTP cockpit, at the instance of SAP AI Core"
        )
    return f"no access token: {_why(fault, 'url of the service key', advise)}"


def _why(fault: Fault, place: str, advise: Advise) -> str:
    if isinstance(fault.cause, Unreachable):
        return advise(fault.cause, place)
    return fault.message.rstrip(".")
