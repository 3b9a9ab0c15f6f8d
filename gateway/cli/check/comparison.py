"""One subaccount: each deployment that is configured or runs, compared with what is known of it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dialects.capabilities.model_identity import identity
from dialects.capabilities.models import Vendor, profile_for
from dialects.core.faults import Fault
from gateway.cli.check.advice import LAUNCHPAD, Adviser, not_running
from gateway.cli.check.report import DeploymentRow, Finding, ModelRow, Severity, remark, wrong
from gateway.cli.check.served import Served, family
from gateway.config.subaccounts import Deployment, SubAccount
from gateway.served_models import Ending
from gateway.upstream.discovery import ELSEWHERE, ORCHESTRATION, RUNNING, Listed, is_same_origin
from routing.endpoint import Endpoint
from routing.model_names import ModelNames

_MOST_NAMED: Final = 3
"""How many models are named that may be meant."""
_MOST_LISTED: Final = 6
"""How many deployments are named in one line."""
_HARMLESS: Final = frozenset({"quota"})
"""The kinds of findings that say nothing against a deployment."""
_OWN_URL: Final = "its URL and the resource group"
"""Where the URL of a configured deployment is set."""
_OF_URLS: Final = frozenset({"url", "path", "unreachable", "certificate", "failing"})
"""The kinds of findings that a wrong URL explains."""
_ENDS: Final = frozenset({"url", "path", "failing"})
"""The kinds of findings that the end of a model explains."""


_Reason = tuple[str, str, str]
"""The kind of a finding, what is wrong with a deployment, and what to do."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a deployment answered when it was asked for nothing in a protocol."""

    protocol: str
    fault: Fault | None
    """What went wrong; None for success, which is odd and harmless."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """What is wrong with one deployment, in words that several may share."""

    code: str
    what: str
    fix: str
    model: str
    deployment: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of a comparison."""

    rows: tuple[ModelRow, ...]
    """What is served, and how, by the names of the models; orchestration comes last."""
    findings: tuple[Finding, ...]
    """What is wrong, and what is to know."""


class Comparison:
    """Compares one subaccount, once, with what is *listed* there, if that is known.

    *tried* has what deployments answered by their URLs, *endings* the models that have ended or will soon, *groups* the
    resource groups there are, as far as they are known.
    """

    def __init__(
        self,
        account: SubAccount,
        served: Served,
        listed: Sequence[Listed] | None,
        tried: Mapping[str, Sequence[Trial]],
        endings: Sequence[Ending],
        adviser: Adviser,
        groups: Collection[str] = (),
    ) -> None:
        self._account = account
        self._served = served
        self._is_known = listed is not None
        self._listed = {each.id: each for each in listed or ()}
        self._tried = tried
        self._endings = {each.model: each for each in endings}
        self._adviser = adviser
        self._groups = [each for each in groups if each != account.resource_group]
        self._deployments: dict[str, list[tuple[DeploymentRow, tuple[Endpoint, ...]]]] = {}
        """What is served, by the name in the table, with the endpoints of each deployment."""
        self._failures: list[_Failure] = []
        self._findings: list[Finding] = []
        self._replaced: set[str] = set()
        """The models that have ended of which a finding says so."""

    def compare(self) -> Compared:
        """Compare what is configured, and then what else runs."""
        if self._is_known:
            self._compare_configured()
            self._compare_others()
            self._add_endings()
        else:
            self._take_on_trust()
        names = sorted(self._deployments, key=lambda name: (name == ORCHESTRATION, name))
        findings = (*_grouped(self._account.name, self._failures), *self._findings)
        return Compared(tuple(self._row(name) for name in names), findings)

    def _row(self, name: str) -> ModelRow:
        served = self._deployments[name]
        endpoints = [each for _, own in served for each in own]
        protocols = {each.name: None for endpoint in endpoints for each in self._served.protocols(endpoint)}
        runs = {each.backend for each in endpoints} if self._listed else set[str]()
        is_orchestration = name == ORCHESTRATION
        return ModelRow(
            name,
            "" if is_orchestration or not runs else min(runs),
            "" if is_orchestration or not endpoints else family(endpoints[0]),
            tuple(protocols),
            tuple(row for row, _ in served),
            tuple(sorted({each.model for each in endpoints})) or (name,),
            standby=bool(endpoints) and all(each.standby for each in endpoints),
        )

    def _take_on_trust(self) -> None:
        """Name what is configured; nothing is known of it."""
        for model, deployments in self._account.deployments.items():
            for each in deployments:
                self._add(model, DeploymentRow(each.id, "", None), self._own(model, each))

    def _compare_configured(self) -> None:
        for model, deployments in self._account.deployments.items():
            for each in deployments:
                listed = self._listed.get(each.id)
                problem = self._problem(model, each, listed)
                endpoints = self._own(model, each)
                if problem is not None:
                    self._findings.append(problem)
                    self._add(model, DeploymentRow(each.id, listed.status if listed else "", False), endpoints)
                elif listed is not None:
                    self._add_tried(model, listed, endpoints, _OWN_URL, "" if each.url == listed.url else listed.url)

    def _own(self, model: str, deployment: Deployment) -> tuple[Endpoint, ...]:
        """List the endpoints of a configured deployment for the model that it is configured for."""
        endpoints = self._served.at(self._account, deployment.id)
        named = tuple(each for each in endpoints if each.model == model)
        if named or not deployment.orchestration:
            return named
        runs = _orchestrated_as(model, self._served.orchestrated(self._account))
        return tuple(each for each in endpoints if runs in (each.model, each.runs))

    def _compare_others(self) -> None:
        """Add what else runs than is configured, if it is served; else say so."""
        account = self._account
        known = {each.id for deployments in account.deployments.values() for each in deployments}
        own = {each for served in self._deployments.values() for _, endpoints in served for each in endpoints}
        unserved: list[tuple[str, str]] = []
        servers: dict[str, None] = {}
        for each in self._listed.values():
            endpoints = tuple(one for one in self._served.at(account, each.id) if one not in own)
            if (each.id in known and not endpoints) or each.status != RUNNING or not (each.model or each.orchestration):
                continue
            name = each.model or ORCHESTRATION
            if not is_same_origin(each, account):
                what = f"{name} ({each.id}) is running and not served: {ELSEWHERE}"
                fix = "list it with its URL in deployment_models if the token may be sent to that host"
                self._findings.append(remark("elsewhere", account.name, what, fix, **_about([(name, each.id)])))
            elif endpoints:
                self._add_tried(name, each, endpoints, "the resource group")
            elif server := self._served.server_of(account, each.id):
                servers[server.name] = None
            else:
                unserved.append((name, each.id))
        if unserved:
            fix = (
                "" if account.discovery else "to serve them, run sap-ai-proxy discover --write or set discovery to true"
            )
            what = f"is running and not served: {_named(unserved)}"
            self._findings.append(remark("unserved", account.name, what, fix, **_about(unserved)))
        if not self._deployments:
            self._findings.append(_serves_nothing(account, [name for name, _ in unserved], self._groups, list(servers)))

    def _add_endings(self) -> None:
        for ending in self._endings.values():
            what, _, fix = str(ending).partition("; ")
            code = "model_ended" if ending.is_over else "model_ends"
            if ending.model not in self._replaced:
                self._findings.append(remark(code, self._account.name, what, fix, models=(ending.model,)))

    def _add(self, model: str, row: DeploymentRow, endpoints: tuple[Endpoint, ...]) -> None:
        self._deployments.setdefault(model, []).append((row, endpoints))

    def _add_tried(
        self, model: str, listed: Listed, endpoints: tuple[Endpoint, ...], place: str, other: str = ""
    ) -> None:
        """Add a deployment that runs, and what is wrong with its answers.

        Its URL is set at *place*; *other* is the one that SAP AI Core lists, where that is not the same.
        """
        trials = [trial for url in {each.url for each in endpoints} for trial in self._tried.get(url, ())]
        found: dict[_Failure, None] = {}
        for trial in trials:
            advice = trial.fault and self._adviser.inference(trial.fault, place)
            if advice:
                what = f"{advice.what} ({trial.protocol})" if advice.code == "path" else advice.what
                fix = advice.fix
                if other and advice.code in _OF_URLS:
                    fix = f"write the URL that SAP AI Core lists for it: {other}"
                elif advice.code in _ENDS:
                    fix = self._instead(model) or fix
                found[_Failure(advice.code, what, fix, model, listed.id)] = None
        self._failures.extend(found)
        is_wrong = any(each.code not in _HARMLESS for each in found)
        ok = False if is_wrong else True if trials and not found else None
        self._add(model, DeploymentRow(listed.id, listed.status, ok), endpoints)

    def _instead(self, model: str) -> str:
        """Say what to deploy instead of a model that has ended; nothing if it has not."""
        ending = self._endings.get(model) or next(
            (each for each in self._endings.values() if _may_be_called(model, each.model)), None
        )
        if ending is None or not ending.is_over or not ending.successor:
            return ""
        self._replaced.add(ending.model)
        return f"{ending.model} ended on {ending.on.isoformat()}: deploy {ending.successor} in its place"

    def _problem(self, model: str, deployment: Deployment, listed: Listed | None) -> Finding | None:
        """Say why one configured deployment cannot be asked for what it is configured for, if it cannot."""
        reason = self._not_there(model, listed) or self._other_kind(deployment, listed)
        reason = reason or (self._other_model(model, deployment, listed) if listed is not None else None)
        if reason is None:
            return None
        code, text, fix = reason
        what = f"{model} ({deployment.id}) {text}"
        return wrong(code, self._account.name, what, fix, **_about([(model, deployment.id)]))

    def _not_there(self, model: str, listed: Listed | None) -> _Reason | None:
        """Say why a deployment can be asked for nothing, if it cannot."""
        if listed is None:
            fix = self._instead(model) or "correct the id or the resource group, or remove it from the config file"
            return "missing", f"does not exist in the resource group {self._account.resource_group}", fix
        if listed.status != RUNNING:
            fix = self._instead(model) or not_running(listed.status)
            return "not_running", f"is {listed.status}, not {RUNNING}", fix
        return None

    def _other_kind(self, deployment: Deployment, listed: Listed | None) -> _Reason | None:
        """Say that orchestration is configured as a model, or the other way round, if it is."""
        if listed is None or listed.orchestration == deployment.orchestration:
            return None
        if deployment.orchestration:
            return "orchestration", "is not an orchestration deployment", 'remove "orchestration": true'
        if self._account.discovery:
            return None
        return "orchestration", "is an orchestration deployment", 'write "orchestration": true beside its id or URL'

    def _other_model(self, model: str, deployment: Deployment, listed: Listed) -> _Reason | None:
        """Say what a deployment serves instead of *model*, or what that is called, if it serves no such model."""
        account, served = self._account, self._served
        runs: str | None = listed.model
        if listed.orchestration:
            runs = _orchestrated_as(model, served.orchestrated(account))
            if runs is None:
                fix = _instead_of(model, served.orchestrated(account))
                return "other_model", "serves no model of this name", fix
        elif not _may_be_called(model, listed.model):
            fix = f"list it under {listed.model}" if listed.model else "remove it from the config file"
            return "other_model", f"serves {listed.model or 'no model'}", fix
        if not served.at(account, deployment.id, (runs or "") if listed.orchestration else ""):
            return "other_name", f"is called {runs} by SAP AI Core", f"list it under {runs}"
        return None


def _serves_nothing(
    account: SubAccount, unserved: Sequence[str], groups: Sequence[str], servers: Sequence[str]
) -> Finding:
    """Report a subaccount of which nothing is served, though some models may run; *groups* are others that it has.

    *servers* are the subaccounts that serve what runs in its resource group.
    """
    if unserved:
        names = ", ".join(dict.fromkeys(unserved))
        what = f"serves nothing: model_filters leave out everything that is running, which is {names}"
        return wrong("nothing", account.name, what, "correct model_filters")
    if servers:
        what = f"serves nothing: everything in the resource group {account.resource_group} is served by {servers[0]}"
        return wrong("nothing", account.name, what, "set discovery to true, or remove it from the config file")
    what = f"serves nothing: no model is running in the resource group {account.resource_group}"
    other = f", or set resource_group to {' or '.join(groups)}" if groups else ""
    fix = f"deploy one in {LAUNCHPAD} or with sap-ai-proxy init{other}"
    return wrong("nothing", account.name, what, fix)


def _grouped(account: str, failures: Iterable[_Failure]) -> Iterator[Finding]:
    """Make one finding of each thing that is wrong, however many deployments it is wrong with."""
    groups: dict[_Failure, list[tuple[str, str]]] = {}
    for each in failures:
        groups.setdefault(replace(each, model="", deployment=""), []).append((each.model, each.deployment))
    for shared, named in groups.items():
        severity = Severity.REMARK if shared.code in _HARMLESS else Severity.WRONG
        what = f"{_named(named)}: {shared.what}"
        yield Finding(severity, shared.code, account, what, shared.fix, **_about(named))


def _named(deployments: Sequence[tuple[str, str]]) -> str:
    """Name models with their deployments: `gpt-5.5 (d1, d2), gpt-5 (d3)`."""
    by_model: dict[str, list[str]] = {}
    for model, deployment in deployments[:_MOST_LISTED]:
        by_model.setdefault(model, []).append(deployment)
    more = len(deployments) - _MOST_LISTED
    names = ", ".join(f"{model} ({', '.join(ids)})" for model, ids in by_model.items())
    return f"{names} and {more} more" if more > 0 else names


def _about(deployments: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Name the models and the deployments that a finding is about, for programs."""
    models, ids = zip(*deployments, strict=True)
    return {"models": tuple(dict.fromkeys(models)), "deployments": tuple(dict.fromkeys(ids))}


def _orchestrated_as(model: str, orchestrated: Collection[str]) -> str | None:
    """Give the name by which orchestration serves *model*, which it is asked by; None if it does not."""
    return ModelNames(orchestrated, fallback=False).same(model)


def _instead_of(model: str, orchestrated: Collection[str]) -> str:
    """Say what to write for a name of which orchestration serves no model."""
    near = [each for each in orchestrated if _may_be_called(model, each)][:_MOST_NAMED]
    return f"write one of {', '.join(near)}" if near else "remove it from the config file"


def _may_be_called(name: str, model: str) -> bool:
    """Whether *name* says nothing that is not true of *model*: a short name says the family alone."""
    said, true = identity(name), identity(model)
    if said == true:
        return True
    same = bool(model) and profile_for(name).vendor is profile_for(model).vendor is not Vendor.OTHER
    return same and not said.version and said.family == true.family
