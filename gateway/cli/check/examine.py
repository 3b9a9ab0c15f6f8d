"""Compares what is configured with what each subaccount answers to a few requests."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from dialects.core.faults import Fault, FaultError
from gateway.cli.check.advice import API_URL, NEW_KEY, Adviser, token_place
from gateway.cli.check.comparison import Comparison, Trial
from gateway.cli.check.report import FILE, Finding, Report, SubaccountRow, in_order, remark, wrong
from gateway.cli.check.served import Served
from gateway.cli.side_by_side import side_by_side
from gateway.config.model_overrides import unguarded, unmatched
from gateway.config.settings import Settings
from gateway.config.subaccounts import SubAccount
from gateway.served_models import Ending
from gateway.upstream.certificates import of_proof
from gateway.upstream.discovery import RUNNING, Listed, Orchestrated
from gateway.upstream.unreachable import Unreachable
from routing.endpoint import Endpoint
from routing.protocols import ProtocolHandler

_AT_ONCE: Final = 6
"""How many questions are asked at the same time."""
_SOON: Final = timedelta(days=3)
"""How long before its end a client certificate is warned of: many are good for a week."""
_GUESS: Final = "the catalogue does not list the models that orchestration serves, so the proxy uses its built-in list"


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of subaccounts and of their deployments; each raises `FaultError` where there is no answer."""

    get_in: Callable[[SubAccount], object]
    list_deployments: Callable[[SubAccount], Sequence[Listed]]
    resource_groups: Callable[[SubAccount], Collection[str]]
    ask_nothing: Callable[[Endpoint, ProtocolHandler], Fault | None]
    """Asks an endpoint for nothing in a protocol, and gives the fault that it answers, if it does."""
    adviser: Adviser
    now: datetime
    read_catalogue: Callable[[SubAccount], object] = lambda _: None
    """Reads the catalogue of a subaccount, by which what follows is answered; raises nothing."""
    orchestrated: Orchestrated = lambda _: ()
    is_guess: Callable[[SubAccount], bool] = lambda _: False
    """Says whether what is *orchestrated* is only what is built in."""
    endings: Callable[[SubAccount, Mapping[str, Collection[str]]], Iterable[Ending]] = lambda *_: ()
    """Lists those of the models of a subaccount, each given with its versions, that have ended or will soon."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of it: the report, and the settings with what runs in the subaccounts that could be asked alone."""

    report: Report
    settings: Settings
    adviser: Adviser


def examine(settings: Settings, ask: Questions) -> CheckResult:
    """Ask the questions, some at the same time, and compare the answers with the settings."""
    accounts = tuple(settings.subaccounts.values())
    said = dict(zip(settings.subaccounts, side_by_side(partial(_ask, ask), accounts, _AT_ONCE), strict=True))
    seen = {name: answers.listed for name, answers in said.items() if answers.listed is not None}
    served = Served(settings, seen, ask.orchestrated)
    tried = _try_all(ask, served, [account for account in accounts if account.name in seen], seen)
    findings = [remark("setting", FILE, warning) for warning in settings.warnings]
    rows = []
    for account in accounts:
        answers, endings = said[account.name], tuple[Ending, ...]()
        if answers.listed is not None:
            endings = tuple(ask.endings(account, served.versions(account, answers.listed)))
        comparison = Comparison(account, served, answers.listed, tried, endings, ask.adviser, answers.groups)
        compared = comparison.compare()
        found = (*answers.findings, *compared.findings)
        if served.orchestrates(account) and answers.listed is not None and ask.is_guess(account):
            found += (
                remark("guess", account.name, _GUESS, "if that is wrong, list the models in orchestration.models"),
            )
        findings.extend(found)
        is_ok = not Report((), found).wrong
        rows.append(SubaccountRow(account.name, account.resource_group, compared.rows, is_ok))
    if all(account.name in seen for account in accounts if account.discovery):
        section = settings.orchestration
        odd = (*unmatched(settings.policy, section.per_model, served.models()), *unguarded(section, served.alone()))
        findings.extend(remark("setting", FILE, text) for text in odd)
    reached = {name: account for name, account in served.settings.subaccounts.items() if name in seen}
    return CheckResult(
        Report(tuple(rows), in_order(findings)), replace(served.settings, subaccounts=reached), ask.adviser
    )


@dataclass(frozen=True, slots=True)
class _Answers:
    """What one subaccount said: what is wrong, and what is deployed, unless something is wrong."""

    findings: tuple[Finding, ...]
    listed: Sequence[Listed] | None = None
    groups: Collection[str] = ()
    """The resource groups there are, as far as that was asked."""


def _ask(ask: Questions, account: SubAccount) -> _Answers:
    """Get a token for one subaccount and list its deployments; stop at the first failure."""
    name, adviser = account.name, ask.adviser
    before = tuple(_certificate(account, ask.now))
    if Report((), before).wrong:
        return _Answers(before)
    try:
        ask.get_in(account)
    except FaultError as error:
        advice = adviser.token(error.fault, token_place(account.key.proof))
        return _Answers((*before, wrong(advice.code, name, f"no access token: {advice.what}", advice.fix)))
    try:
        listed = ask.list_deployments(account)
    except FaultError as error:
        reached = not isinstance(error.fault.cause, Unreachable)
        if reached and (unknown := _unknown_group(account, _groups(ask, account))):
            return _Answers((*before, unknown))
        advice = adviser.listing(error.fault, API_URL)
        return _Answers((*before, wrong(advice.code, name, advice.what, advice.fix)))
    groups = () if listed else _groups(ask, account)
    if unknown := _unknown_group(account, groups):
        return _Answers((*before, unknown))
    ask.read_catalogue(account)
    return _Answers(before, listed, groups)


def _certificate(account: SubAccount, now: datetime) -> Iterator[Finding]:
    """Say whether the client certificate of a service key has ended, or will soon."""
    certificate = of_proof(account.key.proof)
    if certificate is None or certificate.not_after > now + _SOON:
        return
    day = certificate.not_after.astimezone(UTC).date().isoformat()
    what = "the client certificate of its service key"
    if certificate.not_after <= now:
        yield wrong("client_certificate", account.name, f"{what} expired on {day}", NEW_KEY)
    else:
        yield remark("client_certificate", account.name, f"{what} expires on {day}", NEW_KEY)


def _groups(ask: Questions, account: SubAccount) -> Collection[str]:
    """List the resource groups there are; none where that may not be known."""
    try:
        return ask.resource_groups(account)
    except FaultError:
        return ()


def _unknown_group(account: SubAccount, groups: Collection[str]) -> Finding | None:
    """Report a resource group that is not among the *groups* there are, as far as they are known."""
    if not groups or account.resource_group in groups:
        return None
    what = f"there is no resource group {account.resource_group}"
    return wrong("resource_group", account.name, what, f"set resource_group to {' or '.join(groups)}")


def _try_all(
    ask: Questions,
    served: Served,
    accounts: Iterable[SubAccount],
    seen: Mapping[str, Sequence[Listed]],
) -> dict[str, tuple[Trial, ...]]:
    """Ask every deployment that runs for nothing, in each of its protocols; give what they answer by their URLs."""
    wanted: dict[tuple[str, str], tuple[Endpoint, ProtocolHandler]] = {}
    for account in accounts:
        runs = {each.id for each in seen[account.name] if each.status == RUNNING}
        for endpoint in served.endpoints(account):
            if endpoint.deployment in runs:
                for protocol in served.protocols(endpoint):
                    wanted.setdefault((endpoint.url, protocol.name), (endpoint, protocol))
    found: dict[str, tuple[Trial, ...]] = {}
    for url, trial in side_by_side(partial(_try, ask), wanted.values(), _AT_ONCE):
        found[url] = (*found.get(url, ()), trial)
    return found


def _try(ask: Questions, wanted: tuple[Endpoint, ProtocolHandler]) -> tuple[str, Trial]:
    endpoint, protocol = wanted
    try:
        return endpoint.url, Trial(protocol.name, ask.ask_nothing(endpoint, protocol))
    except FaultError as error:
        return endpoint.url, Trial(protocol.name, error.fault)
