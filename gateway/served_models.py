"""Information about the served models: from the catalogue of SAP AI Core, or else from built-in data."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Self

from dialects.capabilities.model_identity import identity
from dialects.capabilities.model_info import RETIREMENTS, ModelInfo, built_in
from dialects.core.conversation import JSON
from gateway.config.settings import Settings
from gateway.upstream.catalogue import Catalogue, CatalogueModel, Models
from gateway.upstream.discovery import Management
from gateway.upstream.management import ManagementClient
from gateway.upstream.orchestrated_models import OrchestratedModels
from gateway.upstream.tokens import TokenSource

_log = logging.getLogger("sap_ai_proxy.served_models")

SOON: Final = timedelta(days=60)
"""How long before the end of a model the proxy begins to warn of it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a served model, in the past or soon."""

    model: str
    on: date
    is_over: bool
    successor: str = ""
    """The model to deploy instead; empty if unknown."""
    version: str = ""
    """The version that ends; empty if the whole model ends."""

    def __str__(self) -> str:
        """Return a sentence for people: `gemini-2.5-pro ended on 2026-10-16; deploy gemini-3.5-flash`."""
        what = f"{self.model} in version {self.version}" if self.version else self.model
        successor = "its latest version" if self.version else self.successor
        deploy = f"; deploy {successor}" if successor else ""
        return f"{what} {'ended' if self.is_over else 'ends'} on {self.on.isoformat()}{deploy}"

    @property
    def as_json(self) -> JSON:
        """The object that `/router/state` contains for it."""
        return {
            "model": self.model,
            "version": self.version or None,
            "on": self.on.isoformat(),
            "ended": self.is_over,
            "successor": self.successor or None,
        }

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Parse an object that `as_json` has returned."""
        on, successor = date.fromisoformat(said["on"]), said["successor"] or ""
        return cls(said["model"], on, said["ended"], successor, said["version"] or "")


class ServedModels:
    """Describes models, from the *catalogue* where it has them.

    Descriptions follow the latest catalogue that was read. The class holds no lock: cached results are replaced in one
    step.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._latest: tuple[Models, Mapping[str, Collection[str]], date, tuple[Ending, ...]] = {}, {}, date.min, ()
        self._chains: tuple[Models | None, Mapping[str, tuple[str, ...]]] = None, {}

    def describe(self, name: str, model: str = "") -> ModelInfo:
        """Describe the deployed *model* that clients call *name*; spelling variants of the model are recognised."""
        info = built_in(name, model or name)
        found = self._find(model or name)
        if found is None:
            return info
        # The catalogue distinguishes text and images only. Other input types are built in.
        inputs = tuple(dict.fromkeys([*found.input_types, *(each for each in info.input_types if each != "image")]))
        return replace(
            info,
            context_length=found.context_length or info.context_length,
            max_output=found.max_output or info.max_output,
            input_types=inputs if found.input_types else info.input_types,
            deprecated=found.deprecated,
            ends=found.retirement_date,
            successors=found.replacements or info.successors,
        )

    def streams(self, model: str) -> bool:
        """Return whether *model* supports streaming; True if that is unknown."""
        found = self._find(model)
        return found is None or found.streaming

    def successors(self) -> Mapping[str, tuple[str, ...]]:
        """Return the successors of each model, with their successors in turn."""
        models = self._catalogue.models()
        found = self._chains
        if found[0] is not models:
            self._chains = found = models, _chains(models)
        return found[1]

    def endings(self, served: Mapping[str, Collection[str]], today: date) -> tuple[Ending, ...]:
        """List the models among *served* that have ended by *today* or will within 60 days.

        *served* maps each model to the versions in which it runs, as far as these are known.
        """
        asked = self._catalogue.models(), dict(served), today
        found = self._latest
        if asked[0] is not found[0] or asked[1:] != found[1:3]:
            self._latest = found = *asked, tuple(self._endings(served, today))
        return found[3]

    def _endings(self, served: Mapping[str, Collection[str]], today: date) -> Iterator[Ending]:
        for name, versions in served.items():
            for on, version in self._ends(name, versions):
                if on <= today + SOON:
                    yield Ending(name, on, on < today, self._deployable(name, today), version)

    def _ends(self, name: str, versions: Collection[str]) -> Iterator[tuple[date, str]]:
        """Yield the day on which a model ends, and each earlier day on which a running version of it ends."""
        end = self.describe(name).ends
        if end is not None:
            yield end, ""
        found = self._find(name)
        for version in sorted(versions if found is not None else ()):
            on = found.ends(version) if found is not None else None
            if on is not None and (end is None or on < end):
                yield on, version

    def _deployable(self, name: str, today: date) -> str:
        """Return the first successor that has not ended itself; an empty string if there is none."""
        info = self.describe(name)
        chain = _chain(name, {**self.successors(), name: info.successors})
        ends = ((each, self.describe(each).ends) for each in chain)
        return next((each for each, end in ends if end is None or end >= today), "")

    def _find(self, model: str) -> CatalogueModel | None:
        models = self._catalogue.models()
        if model in models:
            return models[model]
        wanted = identity(model)
        return next((found for name, found in models.items() if identity(name) == wanted), None)


class ModelSources:
    """The sources of information about models, constructed in the same way for the proxy and for commands.

    *tokens* has the token source of each subaccount, *clock* returns monotonic seconds, and *today* returns the day.
    """

    def __init__(
        self,
        settings: Settings,
        client: ManagementClient,
        tokens: Mapping[str, TokenSource],
        today: Callable[[], date],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.get = Management(client, tokens)
        self.catalogue = Catalogue(settings.subaccounts.values(), self.get, clock)
        self.orchestrated = OrchestratedModels(settings.orchestration, self.catalogue, today)
        self.served = ServedModels(self.catalogue)


def day(now: Callable[[], float] = time.time) -> date:
    """Return the current day in UTC, in which the ends of models are given."""
    return datetime.fromtimestamp(now(), UTC).date()


class EndingsLog:
    """Logs each end of a served model once.

    *served* returns the served models with their versions, and *today* returns the day.
    """

    def __init__(
        self,
        models: ServedModels,
        served: Callable[[], Mapping[str, Collection[str]]],
        today: Callable[[], date],
    ) -> None:
        self._models = models
        self._served = served
        self._today = today
        self._logged: set[str] = set()

    def write(self) -> None:
        """Log the ends that have not been logged yet."""
        for ending in self._models.endings(self._served(), self._today()):
            text = str(ending)
            if text not in self._logged:
                self._logged.add(text)
                _log.warning("%s", text)


def _chains(models: Models) -> Mapping[str, tuple[str, ...]]:
    """Return the chain of successors of each model in a catalogue, and of the built-in models that it lacks."""
    named = {name: retired.successors for name, retired in RETIREMENTS.items() if name not in models}
    named |= {name: model.replacements for name, model in models.items() if model.replacements}
    return {name: _chain(name, named) for name in named}


def _chain(name: str, named: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """List the successors of a model, then those of its successors, nearest first."""
    found: dict[str, None] = {}
    pending = list(named.get(name, ()))
    for each in pending:
        if each not in found and each != name:
            found[each] = None
            pending.extend(named.get(each, ()))
    return tuple(found)
