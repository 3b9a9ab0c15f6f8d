"""Lists the deployments in the subaccounts of a config file, and which of them are served."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from dialects.core.conversation import JSON
from gateway.cli.ai_core import AiCore, ResourceGroup, named
from gateway.cli.check.advice import Adviser
from gateway.cli.check.served import Served
from gateway.cli.config_draft import KEY_FIELDS, SUBACCOUNTS, ConfigDraft
from gateway.cli.init.subaccount import free_name
from gateway.cli.messages import CommandError
from gateway.cli.side_by_side import side_by_side
from gateway.cli.terminal import Cell, Mark, output, styled, table
from gateway.config.service_keys import is_same_tenant
from gateway.config.settings import Settings
from gateway.config.subaccounts import SubAccount
from gateway.served_models import ModelSources, day
from gateway.upstream.discovery import ELSEWHERE, RUNNING, Listed
from gateway.upstream.management import ManagementClient

_IDS: Final = "deployment_ids"
_UNCONFIGURED: Final = "its resource group is not in the config file"
_UNLISTED: Final = "it is not in the config file"
_FILTERED: Final = "model_filters leave it out"
_AT_ONCE: Final = 8
"""How many tenants are asked at the same time."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """One deployment, and what the proxy makes of it."""

    subaccount: str
    """The subaccount whose key sees it."""
    group: str
    listed: Listed
    served: bool
    why: str = ""
    """Why it is not served although it runs."""

    @property
    def as_json(self) -> JSON:
        """Write it for programs."""
        return {
            "subaccount": self.subaccount,
            "resource_group": self.group,
            "model": named(self.listed),
            "version": self.listed.version or None,
            "deployment": self.listed.id,
            "status": self.listed.status,
            "served": self.served,
            "why": self.why or None,
        }


@dataclass(slots=True)
class Inventory:
    """All that was found, in the order of the config file, and why some of it could not be."""

    deployments: list[Discovered] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def take_inventory(settings: Settings, client: ManagementClient, wanted: Sequence[str] = ()) -> Inventory:
    """Look into the resource groups that are *wanted*, or into all that the service keys of *settings* may see."""
    found = Inventory()
    adviser = Adviser.in_network(settings.network)
    tenants = [(AiCore(tenant[0].key, client, adviser), tenant) for tenant in _tenants(settings.subaccounts.values())]
    tokens = {each.name: ai_core.tokens for ai_core, tenant in tenants for each in tenant}
    places: list[_Place] = []
    answers = side_by_side(lambda asked: _groups(*asked, wanted), tenants, _AT_ONCE)
    for (_, tenant), (groups, failures) in zip(tenants, answers, strict=True):
        found.failures.extend(failures)
        for group in groups:
            accounts = [each for each in tenant if each.resource_group == group.name]
            places.append(_Place(tenant[0], accounts, group))
    seen = {each.name: place.group.deployments for place in places for each in place.accounts}
    served = Served(settings, seen, ModelSources(settings, client, tokens, day).orchestrated.asked)
    there = {place.group.name for place in places}
    if not found.failures:
        found.failures.extend(f"there is no resource group {name}" for name in wanted if name not in there)
    for place in places:
        found.deployments.extend(_in_group(place, served, settings))
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """A resource group that could be looked into, and the subaccounts of the config file that are for it."""

    by: SubAccount
    """The one whose key sees it."""
    accounts: Sequence[SubAccount]
    group: ResourceGroup


def _in_group(place: _Place, served: Served, settings: Settings) -> list[Discovered]:
    """Say of each deployment of a resource group which subaccount serves it; subaccounts in their order."""
    order = {each.name: number for number, each in enumerate(place.accounts)}
    found = []
    for each in place.group.deployments:
        server = served.server_of(place.accounts[0], each.id) if place.accounts else None
        account = server or next((one for one in place.accounts if one.discovery), next(iter(place.accounts), None))
        why = _why_not(account, place.group, each, settings) if server is None else ""
        found.append(Discovered((account or place.by).name, place.group.name, each, server is not None, why))
    return sorted(found, key=lambda each: order.get(each.subaccount, len(order)))


def _groups(
    ai_core: AiCore, tenant: Sequence[SubAccount], wanted: Sequence[str]
) -> tuple[tuple[ResourceGroup, ...], tuple[str, ...]]:
    """Look into the resource groups of a tenant: those of the config file, and those that its key may list.

    Of all these the *wanted* ones count alone, if any are named; where the key may list none, it may see those. Gives
    the groups that could be looked into, and why others could not.
    """
    names = ", ".join(each.name for each in tenant)
    try:
        ai_core.sign_in()
        listed = ai_core.resource_groups()
    except CommandError as error:
        return (), (f"{names}: {error}",)
    known = dict.fromkeys([*(each.resource_group for each in tenant), *(wanted if listed is None else listed)])
    groups = ai_core.look_into([name for name in known if not wanted or name in wanted])
    failures = tuple(f"{names}: {each.failure}" for each in groups if each.failure)
    return tuple(each for each in groups if not each.failure), failures


def add_to(draft: ConfigDraft, found: Sequence[Discovered], verb: str = "added") -> Iterator[str]:
    """Set in the config file what runs and is not served; say what is added, with *verb*, or why it cannot be."""
    ids: dict[tuple[str, str], list[Any]] = {}
    added: dict[tuple[str, str], str] = {}
    for each in found:
        name, section, what = each.subaccount, draft.subaccounts.get(each.subaccount), named(each.listed)
        if each.why not in (_UNCONFIGURED, _UNLISTED):
            continue
        if section is None:
            yield f"{what} ({each.listed.id}) is not added: {name} is not in {draft.path}"
        elif each.why == _UNCONFIGURED:
            if (name, each.group) not in added:
                new = added[name, each.group] = free_name(f"{name}-{each.group}", {*draft.subaccounts, *added.values()})
                key = {kind: section[kind] for kind in KEY_FIELDS if kind in section}
                draft.set((SUBACCOUNTS, new), {"resource_group": each.group, **key})
                yield f"{verb} the subaccount {new}, for the deployments of the resource group {each.group}"
        elif each.listed.orchestration:
            yield f'{what} ({each.listed.id}) is not added: set "discovery": true in {name} to serve it'
        else:
            listed = ids.setdefault((name, what), _as_list(section.get(_IDS, {}).get(what, [])))
            listed.append(each.listed.id)
            draft.set((SUBACCOUNTS, name, _IDS, what), listed)
            yield f"{verb} {what} ({each.listed.id}) to {name}"


def show(found: Inventory) -> None:
    """Print what runs where, a table for each resource group."""
    out = output()
    for (subaccount, group), deployments in groupby(found.deployments, lambda each: (each.subaccount, each.group)):
        rows = list(deployments)
        is_known = all(each.why != _UNCONFIGURED for each in rows)
        title = f"{subaccount}, resource group {group}{'' if is_known else ' (which is not in the config file)'}"
        out.print(styled(title, "bold"), soft_wrap=True)
        headings = ("", "model", "version", "deployment", "status", "")
        out.print(table(headings, (_row(each, each.why if is_known else "") for each in rows)))
        out.print()
    running = [each for each in found.deployments if each.listed.status == RUNNING]
    served = sum(each.served for each in running)
    out.print(f"{len(found.deployments)} deployments, {len(running)} running, {served} of them served", soft_wrap=True)


def _row(each: Discovered, why: str) -> tuple[Cell, ...]:
    mark = Mark.OK if each.served else Mark.NOTE if each.why else Mark.NONE
    runs = each.listed.status == RUNNING
    return (
        mark.on(output()),
        named(each.listed) or "(no model)",
        each.listed.version,
        each.listed.id,
        styled(each.listed.status, "" if runs else "dim"),
        "served" if each.served else f"not served{f': {why}' if why else ''}" if runs else "",
    )


def _tenants(accounts: Iterable[SubAccount]) -> list[list[SubAccount]]:
    """Put the subaccounts together whose keys open the same tenant."""
    tenants: list[list[SubAccount]] = []
    for account in accounts:
        same = next((each for each in tenants if is_same_tenant(each[0].key, account.key)), None)
        if same is None:
            tenants.append([account])
        else:
            same.append(account)
    return tenants


def _why_not(account: SubAccount | None, group: ResourceGroup, each: Listed, settings: Settings) -> str:
    """Say why a deployment is not served; nothing of one that could not be."""
    if each.status != RUNNING:
        return ""
    if each.id in group.elsewhere:
        return ELSEWHERE
    if not group.can_be_asked(each):
        return "it has no model"
    if each.model and not settings.filters.admits(each.model):
        return _FILTERED
    if account is None:
        return _UNCONFIGURED
    return "model_filters leave out every model that orchestration serves" if account.discovery else _UNLISTED


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
