"""The catalogue of models that SAP AI Core offers, with their limits, abilities and retirement dates."""

import logging
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Final

from dialects.capabilities.model_identity import may_name_a_model
from dialects.core.faults import FaultError
from gateway.config.subaccounts import SubAccount
from gateway.upstream.discovery import ORCHESTRATION, Get
from gateway.upstream.single_flight import SingleFlight

_log = logging.getLogger("sap_ai_proxy.catalogue")

JSON = Any
PATH: Final = "/lm/scenarios/foundation-models/models"
_OUTPUT = frozenset({"maxoutputtokens", "outputtokenlimit", "maxcompletiontokens", "outputlimit", "maxtokens"})
"""The names of the output limit in tokens, in lower case and with letters only."""
_NO_LETTER = re.compile(r"[^a-z]")
_LARGEST = 1_000_000_000
"""Numbers of tokens above this are ignored as mistakes."""
EVERY: Final = 6 * 3600.0
"""Default seconds between two look-ups of a subaccount."""
RETRY: Final = 300.0
"""Seconds after which a failed look-up is repeated."""
_PAUSE = 60.0
"""Seconds between two checks for catalogues that are due."""
_PATIENCE = 1.0
"""Seconds for which `stop` waits for a look-up in progress."""


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model of the catalogue, described by its latest version."""

    name: str
    executable: str = ""
    """The executable of a deployment of this model, such as "azure-openai"; empty if the catalogue names none."""
    orchestration: bool = False
    """Whether orchestration deployments serve the model."""
    context_length: int | None = None
    """The maximum number of tokens of a request, or of request and answer together."""
    max_output: int | None = None
    """The maximum number of tokens of an answer."""
    input_types: tuple[str, ...] = ()
    """The types of input, such as "text" and "image"."""
    streaming: bool = True
    deprecated: bool = False
    retirement_date: date | None = None
    """The day on which the latest version is retired."""
    replacements: tuple[str, ...] = ()
    """The suggested replacements, the best first."""
    version_ends: Mapping[str, date | None] = field(default_factory=dict)
    """The retirement date of each version; None if none is planned."""

    def ends(self, version: str = "") -> date | None:
        """Return the retirement date of a *version*; that of the latest version if it is not listed."""
        return self.version_ends.get(version, self.retirement_date)


Models = Mapping[str, CatalogueModel]
"""The models of a catalogue, by their names."""


def read_catalogue(subaccount: SubAccount, get: Get) -> Models:
    """Return the models that SAP AI Core offers in *subaccount*, without entries that cannot be parsed.

    Raises `FaultError` if the request fails.
    """
    answer = get(subaccount, PATH)
    listed = answer.get("resources") if isinstance(answer, dict) else answer
    return {model.name: model for raw in _objects(listed) for model in _model(raw)}


@dataclass(frozen=True, slots=True)
class _Look:
    """The result of the latest look-up of a subaccount, and when the next one is due."""

    due: float = 0.0
    models: Models = field(default_factory=dict)
    failed: bool = False
    """Whether the latest look-up failed, which is logged once."""


class Catalogue:
    """The catalogues of all subaccounts. After a failed look-up, the previous models of the subaccount are kept.

    *clock* is monotonic. *every* is the number of seconds between two look-ups of a subaccount; 0 means one only.
    Thread-safe without a lock: the value of a subaccount is replaced in one step. Threads that find the same subaccount
    due share one look-up.
    """

    def __init__(
        self, subaccounts: Iterable[SubAccount], get: Get, clock: Callable[[], float], *, every: float = EVERY
    ) -> None:
        self._get = get
        self._clock = clock
        self._every = every or math.inf
        self._looks = {account.name: _Look(-math.inf) for account in subaccounts}
        self._flight = SingleFlight[str, None]()
        """The look-ups in progress, by the name of the subaccount."""
        self._merged: tuple[list[_Look], Models] = ([], {})
        """The looks that were merged last, and the merged models."""

    def look_up(self, subaccount: SubAccount) -> Models:
        """Return the models of *subaccount*, after a look-up if one is due; empty if none ever succeeded."""
        self._flight(subaccount.name, partial(self._look, subaccount))
        return self._looks[subaccount.name].models

    def _look(self, subaccount: SubAccount) -> None:
        """Look up a subaccount if that is due; on any error, keep the previous models."""
        name = subaccount.name
        before = self._looks[name]
        if before.due > self._clock():
            return
        try:
            found = read_catalogue(subaccount, self._get)
            self._looks[name] = _Look(self._clock() + self._every, found or before.models)
        except Exception as error:  # noqa: BLE001 - the catalogue is optional, so no answer may stop the proxy
            self._looks[name] = _Look(self._clock() + min(RETRY, self._every), before.models, failed=True)
            if not before.failed:
                why = error.fault.explained if isinstance(error, FaultError) else repr(error)
                _log.info("cannot read the catalogue of models of %s: %s", name, why)

    def of(self, subaccount: str) -> Models:
        """Return the models of the latest look-up of a subaccount; empty before the first one."""
        return self._looks[subaccount].models

    def models(self) -> Models:
        """Return the models of all subaccounts. A model that several subaccounts list is taken from the first one."""
        looks = list(self._looks.values())
        merged = self._merged
        if len(looks) != len(merged[0]) or any(a is not b for a, b in zip(looks, merged[0], strict=True)):
            models = {name: model for look in reversed(looks) for name, model in look.models.items()}
            self._merged = merged = looks, models
        return merged[1]


class CatalogueRefresher:
    """Keeps the catalogues of all subaccounts up to date in a thread; *then* is called after each round."""

    def __init__(self, subaccounts: Iterable[SubAccount], catalogue: Catalogue, then: Callable[[], object]) -> None:
        self._subaccounts = tuple(subaccounts)
        self._catalogue = catalogue
        self._then = then
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalogue", daemon=True)

    def start(self) -> None:
        """Start the thread, without waiting for a look-up."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, waiting at most a second for a look-up in progress."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def refresh(self) -> None:
        """Look up the catalogues that are due, then call *then*."""
        for account in self._subaccounts:
            self._catalogue.look_up(account)
        self._then()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - not swallowed: it is logged, and the next round follows
                _log.exception("reading the catalogue of models failed")
            self._stop.wait(_PAUSE)


def _model(raw: Mapping[Any, JSON]) -> Iterator[CatalogueModel]:
    """Yield the model of a catalogue entry, by its latest version; nothing if it has no valid name."""
    match raw:
        case {"model": str(said)} if may_name_a_model(name := said.strip()) and name:
            pass
        case _:
            return
    versions = list(_objects(raw.get("versions")))
    latest = next((each for each in versions if _flag(each.get("isLatest"))), versions[-1] if versions else {})
    scenarios = {_text(each.get("scenarioId")) for each in _objects(raw.get("allowedScenarios"))}
    yield CatalogueModel(
        name,
        executable=_text(raw.get("executableId")),
        orchestration=ORCHESTRATION in scenarios or bool(_texts(latest.get("orchestrationCapabilities"))),
        context_length=_count(latest.get("contextLength")),
        max_output=_max_output(latest),
        input_types=tuple(each.lower() for each in _texts(latest.get("inputTypes"))),
        streaming=_flag(latest.get("streamingSupported"), otherwise=True),
        deprecated=_flag(latest.get("deprecated")),
        retirement_date=_date(latest.get("retirementDate")),
        replacements=_texts(latest.get("suggestedReplacements")),
        version_ends={_text(each.get("name")): _date(each.get("retirementDate")) for each in versions},
    )


def _max_output(version: Mapping[Any, JSON]) -> int | None:
    """Return the output limit in tokens, from the version or its metadata; None if there is none."""
    for said in (version, *_objects(version.get("metadata"))):
        named = said.items() if "value" not in said else [(said.get("name", said.get("key")), said["value"])]
        for key, value in named:
            if _NO_LETTER.sub("", str(key).lower()) in _OUTPUT and (count := _count(value)):
                return count
    return None


def _objects(value: JSON) -> Iterator[Mapping[Any, JSON]]:
    """Return the objects of a list, or a single object by itself."""
    listed = value if isinstance(value, list) else [value]
    return (each for each in listed if isinstance(each, dict))


def _texts(value: JSON) -> tuple[str, ...]:
    """Return the texts of a list, or of one text separated by commas."""
    listed = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    stripped = (each.strip() for each in listed if isinstance(each, str))
    return tuple(each for each in stripped if each)


def _text(value: JSON) -> str:
    return value.strip() if isinstance(value, str) else ""


def _flag(value: JSON, *, otherwise: bool = False) -> bool:
    match value:
        case bool():
            return value
        case str() if value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        case _:
            return otherwise


def _count(value: JSON) -> int | None:
    """Parse a number of tokens, which may be a text; None if it is not valid."""
    match value:
        case bool():
            return None
        case int() | float() if 0 < value <= _LARGEST:
            return int(value)
        case str() if value.strip().isascii() and value.strip().isdigit() and len(value.strip()) < 11:
            return _count(int(value))
        case _:
            return None


def _date(value: JSON) -> date | None:
    """Parse the date of an ISO 8601 time; None for anything else."""
    try:
        return date.fromisoformat(value.strip()[:10]) if isinstance(value, str) else None
    except ValueError:
        return None
