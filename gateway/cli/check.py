"""A look at everything that can be wrong before the first request: keys, tokens, deployments."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import partial
from typing import Final

from dialects.capabilities.model_identity import identity
from dialects.capabilities.models import Vendor, profile_for
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.registry import CLIENTS
from gateway.config.model_overrides import unguarded, unmatched
from gateway.config.settings import Settings
from gateway.config.subaccounts import Deployment, SubAccount
from gateway.served_models import Ending, ServedModels
from gateway.upstream.catalogue import Catalogue
from gateway.upstream.discovery import (
    ELSEWHERE,
    ORCHESTRATION,
    RUNNING,
    Listed,
    Management,
    Orchestrated,
    is_same_origin,
    listing,
    nothing,
    versions_of,
)
from gateway.upstream.management import ManagementClient
from gateway.upstream.orchestrated_models import OrchestratedModels
from gateway.upstream.tokens import TokenSource
from routing.load_balancer import LoadBalancer
from routing.protocols import EmbeddingsProtocol
from routing.request_router import RequestRouter

_FILE: Final = "settings"


class Mark(Enum):
    """How a line of the report is meant."""

    OK = "ok"
    WRONG = "!!"
    NOTE = "--"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: about which subaccount, or about the file as a whole."""

    mark: Mark
    about: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found."""

    findings: tuple[Finding, ...]

    @property
    def is_ok(self) -> bool:
        """Whether the proxy would serve all that is configured."""
        return all(finding.mark is not Mark.WRONG for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """What a command line says of it: 0 if all is well."""
        return 0 if self.is_ok else 1


def check(settings: Settings, client: ManagementClient, today: Callable[[], date] = date.today) -> Report:
    """Try every subaccount of *settings* over *client*; *today* is the day by which models have ended or will soon."""
    keys = {name: account.key for name, account in settings.subaccounts.items()}
    sources = {name: TokenSource(partial(client.fetch_token, key)) for name, key in keys.items()}
    management = Management(client, sources)
    catalogue = Catalogue(settings.subaccounts.values(), management, time.monotonic)

    def endings(account: SubAccount, served: Mapping[str, Collection[str]]) -> Iterable[Ending]:
        catalogue.look_up(account)
        return ServedModels(catalogue).endings(served, today())

    return examine(
        settings,
        lambda account: sources[account.name].token(),
        lambda account: listing(account, management),
        OrchestratedModels(settings.orchestration, catalogue, today).asked,
        endings,
    )


def examine(
    settings: Settings,
    get_in: Callable[[SubAccount], object],
    list_deployments: Callable[[SubAccount], Sequence[Listed]],
    orchestrated: Orchestrated = nothing,
    endings: Callable[[SubAccount, Mapping[str, Collection[str]]], Iterable[Ending]] = lambda *_: (),
) -> Report:
    """Compare what is configured with what a few questions to each subaccount bring to light.

    *endings* lists those of the models of a subaccount that have ended, or will soon; each is given with its versions.
    """
    findings = [Finding(Mark.NOTE, _FILE, warning) for warning in settings.warnings]
    router = RequestRouter(LoadBalancer({}, policy=settings.policy))
    settings.extend(router)
    seen: dict[str, Sequence[Listed]] = {}

    def list_and_keep(account: SubAccount) -> Sequence[Listed]:
        seen[account.name] = list_deployments(account)
        return seen[account.name]

    accounts = settings.subaccounts.values()
    for account in accounts:
        findings.extend(_subaccount(account, settings, get_in, list_and_keep, router, orchestrated))
        if account.name in seen:
            served = _served(account, settings, seen, orchestrated)
            findings.extend(Finding(Mark.NOTE, account.name, str(each)) for each in endings(account, served))
    if all(account.name in seen for account in accounts if account.discovery):
        deployed = {
            model
            for account in accounts
            for model in (*account.deployments, *_added(account, settings, seen, orchestrated))
        }
        section = settings.orchestration
        alone = {model for account in accounts for model in _alone(account, settings, seen)}
        odd = (*unmatched(settings.policy, section.per_model, sorted(deployed)), *unguarded(section, sorted(alone)))
        findings.extend(Finding(Mark.NOTE, _FILE, text) for text in odd)
    return Report(tuple(findings))


def _added(
    account: SubAccount, settings: Settings, seen: Mapping[str, Sequence[Listed]], orchestrated: Orchestrated
) -> Iterator[str]:
    """Name the models that are served because they were looked up."""
    for each in seen[account.name] if account.discovery else ():
        if each.status == RUNNING and is_same_origin(each, account):
            yield from filter(settings.filters.admits, _models(each, account, orchestrated))


def _served(
    account: SubAccount, settings: Settings, seen: Mapping[str, Sequence[Listed]], orchestrated: Orchestrated
) -> dict[str, Collection[str]]:
    """Name the models that are served in a subaccount, with the versions that run."""
    versions = versions_of(seen[account.name])
    names = dict.fromkeys([*account.deployments, *_added(account, settings, seen, orchestrated)])
    return {name: versions.get(name, ()) for name in names}


def _alone(account: SubAccount, settings: Settings, seen: Mapping[str, Sequence[Listed]]) -> Iterator[str]:
    """Name the models that have deployments of their own."""
    for model, deployments in account.deployments.items():
        if not all(each.orchestration for each in deployments):
            yield model
    yield from _added(account, settings, seen, nothing)


def _models(each: Listed, account: SubAccount, orchestrated: Orchestrated) -> Collection[str]:
    """Name the models that a deployment serves."""
    if each.orchestration:
        return orchestrated(account)
    return (each.model,) if each.model else ()


def render(report: Report) -> str:
    """Write a report for people: one line for each finding, and a summary."""
    wrong = sum(finding.mark is Mark.WRONG for finding in report.findings)
    summary = "all is well" if report.is_ok else f"{wrong} thing{'s' * (wrong != 1)} to put right"
    lines = [f"{finding.mark.value} {finding.about}: {finding.text}" for finding in report.findings]
    return "\n".join([*lines, summary, ""])


def _subaccount(
    account: SubAccount,
    settings: Settings,
    get_in: Callable[[SubAccount], object],
    list_deployments: Callable[[SubAccount], Sequence[Listed]],
    router: RequestRouter,
    orchestrated: Orchestrated,
) -> Iterator[Finding]:
    """Try one subaccount; the first step that fails is the last."""
    try:
        get_in(account)
    except FaultError as error:
        yield Finding(Mark.WRONG, account.name, f"no access token: {_why(error.fault, 'url')}")
        return
    yield Finding(Mark.OK, account.name, "the service key gets an access token")
    try:
        listed = {each.id: each for each in list_deployments(account)}
    except FaultError as error:
        why = _why(error.fault, "serviceurls.AI_API_URL")
        yield Finding(Mark.WRONG, account.name, f"the deployments cannot be listed: {why}")
        return
    for model, deployments in account.deployments.items():
        for deployment in deployments:
            yield _compared(account, model, deployment, listed.get(deployment.id), router, orchestrated)
    others = list(_others(account, settings, listed.values(), router, orchestrated))
    yield from others
    if not account.deployments and all(each.mark is not Mark.OK for each in others):
        group = account.resource_group
        yield Finding(Mark.WRONG, account.name, f"serves nothing: no model runs in the resource group {group}")


def _others(
    account: SubAccount,
    settings: Settings,
    listed: Collection[Listed],
    router: RequestRouter,
    orchestrated: Orchestrated,
) -> Iterator[Finding]:
    """Say what else runs than is configured, and whether it is added."""
    known = {each.id for deployments in account.deployments.values() for each in deployments}
    found: dict[str, list[str]] = {}
    for each in listed:
        if each.id in known or each.status != RUNNING or not (each.model or each.orchestration):
            continue
        name = each.model or ORCHESTRATION
        if is_same_origin(each, account):
            found.setdefault(name, []).append(each.id)
        else:
            yield Finding(Mark.NOTE, account.name, f"{name} ({each.id}) runs and is not served: {ELSEWHERE}")
    several = found.pop(ORCHESTRATION, [])
    for model, ids in found.items():
        added = account.discovery and settings.filters.admits(model)
        how = f"added, {_taken_for(model, router)}" if added else "not served"
        yield Finding(Mark.OK if added else Mark.NOTE, account.name, f"{model} ({', '.join(ids)}) runs and is {how}")
    if several:
        models = orchestrated(account) if account.discovery else ()
        yield _orchestration(account, several, sum(map(settings.filters.admits, models)), settings)


def _orchestration(account: SubAccount, ids: Sequence[str], models: int, settings: Settings) -> Finding:
    """Say for how many *models* orchestration deployments are asked, in one line for all of them."""
    what = f"{ORCHESTRATION} ({', '.join(ids)}) runs and is"
    if not models:
        return Finding(Mark.NOTE, account.name, f"{what} not served")
    how = "on standby for" if settings.orchestration.standby else "asked for"
    return Finding(Mark.OK, account.name, f"{what} added, {how} {models} model{'s' * (models != 1)}")


def _why(fault: Fault, key: str) -> str:
    """Say why a step failed, and what in the settings may be to blame."""
    if fault.kind is not FaultKind.UNREACHABLE:
        return fault.message
    return f"{fault.message} Is {key} right in the service key? Is upstream.proxy needed to get out?"


def _compared(
    account: SubAccount,
    model: str,
    deployment: Deployment,
    listed: Listed | None,
    router: RequestRouter,
    orchestrated: Orchestrated,
) -> Finding:
    """Say how one configured deployment fares, and what it is taken for: what it runs, where that is looked up."""
    what = f"{model} ({deployment.id})"
    if listed is None:
        text = f"{what} does not exist in the resource group {account.resource_group}"
    elif listed.status != RUNNING:
        text = f"{what} is {listed.status}, not {RUNNING}"
    elif listed.orchestration and not (deployment.orchestration or account.discovery):
        text = f'{what} is an orchestration deployment; write "orchestration": true beside its id or URL'
    elif deployment.orchestration and not listed.orchestration:
        text = f"{what} is no orchestration deployment"
    elif not (runs := [each for each in _models(listed, account, orchestrated) if _may_be_called(model, each)]):
        text = f"{what} serves {listed.model or 'no model'}{' of this name' * listed.orchestration}"
    else:
        spelling = "" if model in runs else f", where it is called {runs[0]}"
        taken = _taken_for(runs[0] if account.discovery else model, router)
        return Finding(Mark.OK, account.name, f"{what} runs{spelling}, {taken}")
    return Finding(Mark.WRONG, account.name, text)


def _may_be_called(name: str, model: str) -> bool:
    """Whether *name* says nothing that is not true of *model*: a short name says the family alone."""
    said, true = identity(name), identity(model)
    if said == true:
        return True
    same = bool(model) and profile_for(name).vendor is profile_for(model).vendor is not Vendor.OTHER
    return same and not said.version and said.family == true.family


def _taken_for(name: str, router: RequestRouter) -> str:
    """Say as which family's model one of this *name* is asked, and in which protocols."""
    protocols: dict[str, None] = {}
    for client in (*CLIENTS, EmbeddingsProtocol.dialect):
        with suppress(FaultError):
            protocols[router.protocol(name, client).name] = None
    family = profile_for(name).vendor
    whose = "a model of no known family" if family is Vendor.OTHER else f"one of the family {family.value}"
    return f"taken for {whose} and asked by {' or '.join(protocols) or 'no protocol'}"
