"""Subaccounts: what the config file says of one, resolved to a key and to deployments."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gateway.config.schema import DeploymentEntry, DeploymentId, SubAccountSection
from gateway.config.service_keys import Mistake, ServiceKey, ServiceKeyError, expand, find, is_url, load_json, parse

DEFAULT = "default"
"""The name of the subaccount that the environment tells of, and of a resource group nobody named."""

_DEPLOYMENT = re.compile(r"(?P<base>.*?/deployments/(?P<id>[^/?#\s]+))(?P<rest>.*)")


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of a model."""

    url: str
    """The URL up to the id, without a trailing slash."""
    weight: float = 1.0
    tier: int = 0
    runs: str = ""
    """The model that it says it runs, where it was asked."""

    @property
    def id(self) -> str:
        """The id, which ends the URL."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class SubAccount:
    """One tenant: how to get in, and what is deployed there."""

    name: str
    resource_group: str
    key: ServiceKey
    deployments: Mapping[str, tuple[Deployment, ...]]
    """For each model, by its deployed name, where it runs."""
    weight: float = 1.0
    tier: int = 0
    discovery: bool = False
    """Whether running deployments are to be looked up and added."""


@dataclass(frozen=True)
class Filters:
    """Which models are served."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @cached_property
    def _patterns(self) -> tuple[tuple[re.Pattern[str], ...], tuple[re.Pattern[str], ...]]:
        return tuple(map(re.compile, self.include)), tuple(map(re.compile, self.exclude))

    def admits(self, model: str) -> bool:
        """Tell whether *model* is served: included if anything is said about that, and not excluded."""
        include, exclude = self._patterns
        wanted = not include or any(pattern.search(model) for pattern in include)
        return wanted and not any(pattern.search(model) for pattern in exclude)


class Findings:
    """What is wrong and what is odd in a config file, collected while it is read."""

    def __init__(self, folder: Path, env: Mapping[str, str], home: Path | None) -> None:
        self.folder = folder
        self.env = env
        self.home = home
        self.mistakes: list[Mistake] = []
        self.warnings: list[str] = []

    def wrong(self, where: str, what: str) -> None:
        """Note something that cannot stay as it is."""
        self.mistakes.append(Mistake(where, what))

    def odd(self, where: str, what: str) -> None:
        """Note something that may not be meant as it is."""
        self.warnings.append(f"{where}: {what}")

    def blame(self, error: ServiceKeyError, where: str) -> None:
        """Note all that is wrong with a service key that stands at *where*."""
        self.mistakes.extend(mistake.under(where) if where else mistake for mistake in error.mistakes)

    def file(self, name: str | None, where: str) -> Path | None:
        """Locate a file that the config file names; the current folder is the second guess."""
        if name is None:
            return None
        if not name.strip():
            self.wrong(where, "is empty; write the path of a file")
            return None
        beside, here = self.folder / name, Path(name)
        try:
            if beside.is_file():
                return beside
            if here.is_file():
                self.odd(where, "was found in the current folder and not beside the config file")
                return here
        except OSError as error:
            self.wrong(where, f"cannot look for {beside}: {error.strerror}")
            return None
        self.wrong(where, f"there is no file {beside}; paths start from the folder of the config file")
        return None

    def secret(self, raw: str, where: str) -> str:
        """Put the environment into a text that must not be blank in the end."""
        try:
            text = expand(raw, self.env).strip()
        except ServiceKeyError as error:
            self.blame(error, where)
            return ""
        if not text:
            self.wrong(where, "is blank; write a long random text, or leave it out")
        return text


class SubaccountReader:
    """Resolves subaccounts; what is wrong with them goes to the findings."""

    def __init__(self, findings: Findings, filters: Filters) -> None:
        self._findings = findings
        self._filters = filters

    def read(self, name: str, section: SubAccountSection) -> SubAccount | None:
        """Resolve one subaccount; one that has a mistake is left out."""
        where = spelled(("subAccounts", name))
        before = len(self._findings.mistakes)
        key, group = self._key(where, section)
        listed = self._listed(where, section, key)
        if key is None or len(self._findings.mistakes) > before:
            return None
        discovery = not listed if section.discovery is None else section.discovery
        if not listed and not discovery:
            self._findings.odd(where, "lists no deployments and looks none up, so it is never used")
        return SubAccount(
            name=name,
            resource_group=section.resource_group or group,
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
        """Build the one subaccount whose key SAP's own tools would find."""
        key, group = self._key_in_environment("")
        return {} if key is None else {DEFAULT: SubAccount(DEFAULT, group, key, {}, discovery=True)}

    def _listed(self, where: str, section: SubAccountSection, key: ServiceKey | None) -> dict[str, list[Deployment]]:
        """Resolve what a subaccount lists, by URL and by id."""
        listed: dict[str, list[Deployment]] = {}
        for model, entries in section.deployment_models.items():
            for index, entry in enumerate(entries):
                spot = f"{where}.{spelled(('deployment_models', model, index))}"
                listed.setdefault(model.strip(), []).extend(self._by_url(spot, entry))
        for model, ids in section.deployment_ids.items():
            for index, one in enumerate(ids):
                spot = f"{where}.{spelled(('deployment_ids', model, index))}"
                listed.setdefault(model.strip(), []).extend(self._by_id(spot, one, key))
        return listed

    def _once(self, where: str, deployments: Iterable[Deployment]) -> tuple[Deployment, ...]:
        """Make one of deployments that are listed more than once: their weights add up."""
        seen: dict[str, Deployment] = {}
        for each in deployments:
            if each.url in seen:
                self._findings.odd(where, f"{each.id} is listed more than once; give it a weight instead")
                seen[each.url] = replace(each, weight=each.weight + seen[each.url].weight)
            else:
                seen[each.url] = each
        return tuple(seen.values())

    def _by_url(self, where: str, entry: DeploymentEntry) -> list[Deployment]:
        match = _DEPLOYMENT.fullmatch(entry.url.strip())
        if match is None or not is_url(match["base"]):
            self._findings.wrong(where, "is no deployment URL; write https://…/v2/inference/deployments/<id>")
            return []
        if match["rest"].strip("/"):
            self._findings.odd(where, "what follows the deployment id is cut off; the proxy adds the path")
        return [Deployment(match["base"], entry.weight, entry.tier)]

    def _by_id(self, where: str, entry: DeploymentId, key: ServiceKey | None) -> list[Deployment]:
        name = entry.id.strip()
        if not re.fullmatch(r"[^/?#\s]+", name):
            self._findings.wrong(where, "is no deployment id; write the id alone, or the URL under deployment_models")
            return []
        return [] if key is None else [Deployment(deployment_url(key, name), entry.weight, entry.tier)]

    def _key(self, where: str, section: SubAccountSection) -> tuple[ServiceKey | None, str]:
        """Find the service key of a subaccount, and the resource group said beside it."""
        match section.service_key, section.service_key_json:
            case None, None:
                self._findings.wrong(where, "has no service key; name its file in service_key_json")
            case None, str(path):
                return self._key_in_file(path, f"{where}.service_key_json"), DEFAULT
            case "env", None:
                return self._key_in_environment(f"{where}.service_key")
            case raw, None:
                return self._parsed(raw, f"{where}.service_key"), DEFAULT
            case _:
                self._findings.wrong(where, "has both service_key and service_key_json; keep one of them")
        return None, DEFAULT

    def _parsed(self, raw: Any, where: str) -> ServiceKey | None:
        try:
            return parse(raw, env=self._findings.env, base=self._findings.folder)
        except ServiceKeyError as error:
            self._findings.blame(error, where)
            return None

    def _key_in_file(self, name: str, where: str) -> ServiceKey | None:
        path = self._findings.file(name, where)
        if path is None:
            return None
        try:
            return parse(load_json(path), env=self._findings.env, base=path.parent)
        except ServiceKeyError as error:
            for mistake in error.mistakes:
                lead = f"in {path}, {mistake.where} " if mistake.where else ""
                self._findings.wrong(where, lead + mistake.what)
            return None

    def _key_in_environment(self, where: str) -> tuple[ServiceKey | None, str]:
        try:
            found = find(self._findings.env, self._findings.home)
        except ServiceKeyError as error:
            self._findings.blame(error, where)
            return None, DEFAULT
        if found is None:
            self._findings.wrong(
                where, "there is no subaccount, and no service key in the environment; write one into subAccounts, "
                "or set AICORE_SERVICE_KEY or the AICORE_* variables"
            )  # fmt: skip
            return None, DEFAULT
        return found.key, found.resource_group


def deployment_url(key: ServiceKey, deployment: str) -> str:
    """Build the URL of a deployment of which only the id is known."""
    return f"{key.api_url}/inference/deployments/{deployment}"


def spelled(path: Iterable[str | int]) -> str:
    """Write a path as in JavaScript: names in quotes where they need them, places in brackets."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if re.fullmatch(r"[\w$-]+", step) else json.dumps(step))
    return text
