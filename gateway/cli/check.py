"""A look at everything that can be wrong before the first request: keys, tokens, deployments."""

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
from gateway.config.settings import Settings, pools, with_discovered
from gateway.config.subaccounts import Deployment, SubAccount
from gateway.served_models import Ending, ModelSources, day
from gateway.upstream.discovery import (
    ELSEWHERE,
    ORCHESTRATION,
    RUNNING,
    Listed,
    Orchestrated,
    is_same_origin,
    listing,
    named,
    running,
    versions_of,
)
from gateway.upstream.management import ManagementClient
from gateway.upstream.tokens import TokenSource
from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.model_names import ModelNames
from routing.protocols import EmbeddingsProtocol
from routing.request_router import RequestRouter

_FILE: Final = "settings"
_GUESS: Final = (
    "the catalogue does not say which models orchestration serves: those that are built in are taken for them; "
    "orchestration.models may list them"
)
_MOST_NAMED = 3
"""How many models are named that may be meant."""


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


def check(settings: Settings, client: ManagementClient, today: Callable[[], date] = day) -> Report:
    """Try every subaccount of *settings* over *client*; *today* is the day by which models have ended or will soon."""
    keys = {name: account.key for name, account in settings.subaccounts.items()}
    tokens = {name: TokenSource(partial(client.fetch_token, key)) for name, key in keys.items()}
    sources = ModelSources(settings, client, tokens, today)

    def endings(account: SubAccount, served: Mapping[str, Collection[str]]) -> Iterable[Ending]:
        sources.catalogue.look_up(account)
        return sources.served.endings(served, today())

    return examine(
        settings,
        lambda account: tokens[account.name].token(),
        lambda account: listing(account, sources.get),
        sources.orchestrated.asked,
        endings,
        sources.orchestrated.is_guess,
    )


def examine(
    settings: Settings,
    get_in: Callable[[SubAccount], object],
    list_deployments: Callable[[SubAccount], Sequence[Listed]],
    orchestrated: Orchestrated = lambda _: (),
    endings: Callable[[SubAccount, Mapping[str, Collection[str]]], Iterable[Ending]] = lambda *_: (),
    is_guess: Callable[[SubAccount], bool] = lambda _: False,
) -> Report:
    """Compare what is configured with what a few questions to each subaccount bring to light.

    *endings* lists those of the models of a subaccount that have ended, or will soon; each is given with its versions.
    *is_guess* says whether what is *orchestrated* is only what is built in.
    """
    findings = [Finding(Mark.NOTE, _FILE, warning) for warning in settings.warnings]
    accounts = settings.subaccounts.values()
    steps = {account.name: _steps(account, get_in, list_deployments) for account in accounts}
    seen = {name: listed for name, (_, listed) in steps.items() if listed is not None}
    served = Served(settings, seen, orchestrated)
    for account in accounts:
        findings.extend(steps[account.name][0])
        if account.name in seen:
            findings.extend(_subaccount(account, served, seen[account.name]))
            if served.orchestrates(account) and is_guess(account):
                findings.append(Finding(Mark.NOTE, account.name, _GUESS))
            ending = endings(account, served.versions(account, seen[account.name]))
            findings.extend(Finding(Mark.NOTE, account.name, str(each)) for each in ending)
    if all(account.name in seen for account in accounts if account.discovery):
        section = settings.orchestration
        odd = (*unmatched(settings.policy, section.per_model, served.models()), *unguarded(section, served.alone()))
        findings.extend(Finding(Mark.NOTE, _FILE, text) for text in odd)
    return Report(tuple(findings))


class Served:
    """What the proxy would serve after it has *seen* what runs, by subaccount, and how."""

    def __init__(self, settings: Settings, seen: Mapping[str, Sequence[Listed]], orchestrated: Orchestrated) -> None:
        self.settings = settings
        self._ask = orchestrated
        self._names: dict[str, Collection[str]] = {}
        found = {
            account.name: named(
                running(account, _safe(seen[account.name], account)), partial(self.orchestrated, account)
            )
            for account in settings.subaccounts.values()
            if account.discovery and account.name in seen
        }
        self._pools = pools(with_discovered(settings, found))
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
            each for each in self._endpoints(account) if each.deployment == deployment and runs in ("", each.backend)
        ]

    def orchestrates(self, account: SubAccount) -> bool:
        """Whether orchestration deployments of a subaccount are asked."""
        return any(each.orchestration for each in self._endpoints(account))

    def versions(self, account: SubAccount, listed: Sequence[Listed]) -> dict[str, Collection[str]]:
        """Name the models that run in a subaccount, with the versions that are *listed* as running."""
        versions = versions_of(listed)
        return {each.backend: versions.get(each.backend, ()) for each in self._endpoints(account)}

    def described(self, endpoint: Endpoint) -> str:
        """Say as which family's model an endpoint is asked, and in which protocols."""
        protocols: dict[str, None] = {}
        for client in (*CLIENTS, EmbeddingsProtocol.dialect):
            with suppress(FaultError):
                protocols[self._router.protocol_at(endpoint, client).name] = None
        family = profile_for(endpoint.backend).vendor
        whose = "a model of no known family" if family is Vendor.OTHER else f"one of the family {family.value}"
        return f"taken for {whose} and asked by {' or '.join(protocols) or 'no protocol'}"

    def _endpoints(self, account: SubAccount) -> Iterator[Endpoint]:
        endpoints = (each for pool in self._pools.values() for each in pool)
        return (each for each in endpoints if each.subaccount == account.name)


def _safe(listed: Iterable[Listed], account: SubAccount) -> list[Listed]:
    """Leave out what is at another origin, of which the report has a line of its own."""
    return [each for each in listed if is_same_origin(each, account)]


def render(report: Report) -> str:
    """Write a report for people: one line for each finding, and a summary."""
    wrong = sum(finding.mark is Mark.WRONG for finding in report.findings)
    summary = "all is well" if report.is_ok else f"{wrong} thing{'s' * (wrong != 1)} to put right"
    lines = [f"{finding.mark.value} {finding.about}: {finding.text}" for finding in report.findings]
    return "\n".join([*lines, summary, ""])


def _steps(
    account: SubAccount,
    get_in: Callable[[SubAccount], object],
    list_deployments: Callable[[SubAccount], Sequence[Listed]],
) -> tuple[list[Finding], Sequence[Listed] | None]:
    """Get in to one subaccount and list what is there; the first step that fails is the last."""
    try:
        get_in(account)
    except FaultError as error:
        return [Finding(Mark.WRONG, account.name, f"no access token: {_why(error.fault, 'url')}")], None
    findings = [Finding(Mark.OK, account.name, "the service key gets an access token")]
    try:
        return findings, list_deployments(account)
    except FaultError as error:
        why = _why(error.fault, "serviceurls.AI_API_URL")
        return [*findings, Finding(Mark.WRONG, account.name, f"the deployments cannot be listed: {why}")], None


def _subaccount(account: SubAccount, served: Served, listed: Sequence[Listed]) -> Iterator[Finding]:
    """Compare what one subaccount has with what is configured."""
    by_id = {each.id: each for each in listed}
    for model, deployments in account.deployments.items():
        for deployment in deployments:
            yield _compared(account, model, deployment, by_id.get(deployment.id), served)
    others = list(_others(account, listed, served))
    yield from others
    if not account.deployments and all(each.mark is not Mark.OK for each in others):
        group = account.resource_group
        yield Finding(Mark.WRONG, account.name, f"serves nothing: no model runs in the resource group {group}")


def _others(account: SubAccount, listed: Iterable[Listed], served: Served) -> Iterator[Finding]:
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
        added = served.at(account, ids[0])
        how = f"added, {served.described(added[0])}" if added else "not served"
        yield Finding(Mark.OK if added else Mark.NOTE, account.name, f"{model} ({', '.join(ids)}) runs and is {how}")
    if several:
        yield _orchestration(account, several, len(served.at(account, several[0])), served.settings)


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
    account: SubAccount, model: str, deployment: Deployment, listed: Listed | None, served: Served
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
    elif listed.orchestration and (runs := _orchestrated_as(model, served.orchestrated(account))) is None:
        text = f"{what} serves no model of this name{_instead(model, served.orchestrated(account))}"
    elif not listed.orchestration and not _may_be_called(model, runs := listed.model):
        text = f"{what} serves {runs or 'no model'}"
    elif not (asked := served.at(account, deployment.id, (runs or "") if listed.orchestration else "")):
        text = f"{what} is called {runs} by SAP AI Core; write that name"
    else:
        spelling = "" if model == runs else f", where it is called {runs}"
        return Finding(Mark.OK, account.name, f"{what} runs{spelling}, {served.described(asked[0])}")
    return Finding(Mark.WRONG, account.name, text)


def _orchestrated_as(model: str, orchestrated: Collection[str]) -> str | None:
    """Give the name by which orchestration serves *model*, which it is asked by; None if it does not."""
    return ModelNames(orchestrated, fallback=False).same(model)


def _instead(model: str, orchestrated: Collection[str]) -> str:
    """Say what to write for a name of which orchestration serves no model."""
    near = [each for each in orchestrated if _may_be_called(model, each)][:_MOST_NAMED]
    return f"; write one of {', '.join(near)}" if near else ""


def _may_be_called(name: str, model: str) -> bool:
    """Whether *name* says nothing that is not true of *model*: a short name says the family alone."""
    said, true = identity(name), identity(model)
    if said == true:
        return True
    same = bool(model) and profile_for(name).vendor is profile_for(model).vendor is not Vendor.OTHER
    return same and not said.version and said.family == true.family
