"""Reader of subaccounts: it resolves a section of the config file to a service key and deployments."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway.config.caller_keys import fits_header
from gateway.config.filters import Filters
from gateway.config.mistakes import Findings, Mistake, ServiceKeyError, spelled
from gateway.config.schema import DeploymentEntry, DeploymentId, SubAccountSection
from gateway.config.service_keys import Found, ServiceKey, find, is_url, parse, read_file
from gateway.config.subaccounts import DEFAULT, Deployment, SubAccount, deployment_url

_DEPLOYMENT = re.compile(r"(?P<base>.*?/deployments/(?P<id>[^/?#\s]+))(?P<rest>.*)")


class SubaccountReader:
    """Reader of subaccounts that reports mistakes to *findings*."""

    def __init__(self, findings: Findings, filters: Filters) -> None:
        self._findings = findings
        self._filters = filters

    def read(self, name: str, section: SubAccountSection) -> SubAccount | None:
        """Resolve one subaccount; None if it has a mistake."""
        where = spelled(("subAccounts", name))
        before = len(self._findings.mistakes)
        key, group = self._key(where, section)
        group = self._sendable(f"{where}.resource_group", section.resource_group or group)
        listed = self._listed(where, section, key)
        if key is None or len(self._findings.mistakes) > before:
            return None
        discovery = not listed if section.discovery is None else section.discovery
        if not listed and not discovery:
            self._findings.odd(
                where,
                "lists no deployments and has no discovery, so it is never used; list some, or set discovery to true",
            )
        return SubAccount(
            name=name,
            resource_group=group,
            key=key,
            deployments={
                model: self._once(f"{where} {model}", deployments)
                for model, deployments in listed.items()
                if self._filters.admits(model)
            },
            weight=section.weight,
            tier=section.tier,
            discovery=discovery,
        )

    def from_environment(self) -> dict[str, SubAccount]:
        """Build the subaccount whose service key is in the environment, where SAP's own tools look for it."""
        accounts: dict[str, SubAccount] = {}
        with self._findings.of_key(""):
            found = self._found()
            group = self._sendable("AICORE_RESOURCE_GROUP", found.resource_group)
            accounts[DEFAULT] = SubAccount(DEFAULT, group, found.key, {}, discovery=True)
        return accounts

    def _listed(self, where: str, section: SubAccountSection, key: ServiceKey | None) -> dict[str, list[Deployment]]:
        """Resolve the deployments that a subaccount lists, by URL and by id."""
        listed: dict[str, list[Deployment]] = {}
        for by in ("deployment_models", "deployment_ids"):
            for model, entries in getattr(section, by).items():
                for index, entry in enumerate(entries):
                    spot = f"{where}.{spelled((by, model, index))}"
                    listed.setdefault(model.strip(), []).extend(self._deployment(spot, entry, key))
        return listed

    def _once(self, where: str, deployments: Iterable[Deployment]) -> tuple[Deployment, ...]:
        """Merge deployments that are listed more than once; their weights are added."""
        seen: dict[str, Deployment] = {}
        for each in deployments:
            if each.url in seen:
                self._findings.odd(where, f"{each.id} is listed more than once; give it a weight instead")
                seen[each.url] = replace(each, weight=each.weight + seen[each.url].weight)
            else:
                seen[each.url] = each
        return tuple(seen.values())

    def _deployment(
        self, where: str, entry: DeploymentEntry | DeploymentId, key: ServiceKey | None
    ) -> Iterator[Deployment]:
        """Resolve one deployment. One that is given by its id needs the *key* for its URL."""
        if isinstance(entry, DeploymentId):
            name = entry.id.strip()
            if not re.fullmatch(r"[^/?#\s]+", name):
                what = "is not a deployment id; write the id alone, or the URL under deployment_models"
                self._findings.wrong(where, what)
            elif key is not None:
                yield Deployment(deployment_url(key, name), entry.weight, entry.tier, orchestration=entry.orchestration)
            return
        match = _DEPLOYMENT.fullmatch(entry.url.strip())
        if match is None or not is_url(match["base"]):
            self._findings.wrong(where, "is not a deployment URL; write https://…/v2/inference/deployments/<id>")
            return
        if match["rest"].strip("/"):
            self._findings.odd(
                where, "what follows the deployment id is ignored, because the proxy adds the path; remove it"
            )
        yield Deployment(match["base"], entry.weight, entry.tier, orchestration=entry.orchestration)

    def _key(self, where: str, section: SubAccountSection) -> tuple[ServiceKey | None, str]:
        """Return the service key of a subaccount, and the resource group that is configured with it."""
        findings = self._findings
        match section.service_key, section.service_key_json:
            case None, None if not findings.reported(where):
                findings.wrong(where, "has no service key; name its file in service_key_json")
            case None, str(name) if path := findings.file(name, f"{where}.service_key_json"):
                with findings.of_key(f"{where}.service_key_json", path):
                    return read_file(path, env=findings.env), DEFAULT
            case "env", None:
                with findings.of_key(f"{where}.service_key"):
                    found = self._found()
                    return found.key, found.resource_group
            case dict(raw), None:
                with findings.of_key(f"{where}.service_key"):
                    return parse(raw, env=findings.env, base=findings.folder), DEFAULT
            case _, str() if section.service_key is not None:
                findings.wrong(where, "has both service_key and service_key_json; keep one of them")
            case _:
                pass
        return None, DEFAULT

    def _sendable(self, where: str, group: str) -> str:
        """Return a resource group, which is sent in a header; report one that no header can carry."""
        if not fits_header(group):
            self._findings.wrong(
                where, "has a character that no header can carry; write the name as SAP AI Core lists it"
            )
        return group

    def _found(self) -> Found:
        """Return the service key in the environment. Raises `ServiceKeyError` if there is none."""
        found = find(self._findings.env, self._findings.home)
        if found is None:
            what = (
                "there is no subaccount, and no service key in the environment; write one into subAccounts, "
                "or set AICORE_SERVICE_KEY or the AICORE_* variables"
            )
            raise ServiceKeyError(Mistake("", what))
        if found.file is not None:
            self._findings.files.append(found.file)
        return found
