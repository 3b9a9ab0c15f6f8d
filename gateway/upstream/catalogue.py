"""The catalogue of models that SAP AI Core offers: limits, abilities, and when each ends."""

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
"""What the most tokens of an answer may be called, in lower case and without what stands between words."""
_NO_LETTER = re.compile(r"[^a-z]")
_LARGEST = 1_000_000_000
"""More tokens than this are taken for a mistake."""
EVERY: Final = 6 * 3600.0
"""Seconds between two look-ups, where deployments are looked up more often."""
RETRY: Final = 300.0
"""Seconds after which a look-up that failed is tried again."""
_PAUSE = 60.0
"""Seconds between two looks at which catalogues are due."""
_PATIENCE = 1.0
"""Seconds that a look-up which has begun is waited for at the end."""


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model as the catalogue describes it, in its latest version."""

    name: str
    executable: str = ""
    """What a deployment of it alone runs, such as "azure-openai"; empty where that is not said."""
    orchestration: bool = False
    """Whether an orchestration deployment serves it."""
    context_length: int | None = None
    """The most tokens of a request, or of request and answer together."""
    max_output: int | None = None
    """The most tokens of an answer."""
    input_types: tuple[str, ...] = ()
    """What it reads, such as "text" and "image"."""
    streaming: bool = True
    deprecated: bool = False
    retirement_date: date | None = None
    """The day on which its latest version ends."""
    replacements: tuple[str, ...] = ()
    """The models that are suggested instead, the best first."""
    version_ends: Mapping[str, date | None] = field(default_factory=dict)
    """The day on which each of its versions ends, None where none is planned."""

    def ends(self, version: str = "") -> date | None:
        """Give the day on which a *version* ends; the latest, where it is not listed."""
        return self.version_ends.get(version, self.retirement_date)


Models = Mapping[str, CatalogueModel]
"""The models of a catalogue by name."""


def read_catalogue(subaccount: SubAccount, get: Get) -> Models:
    """Ask *subaccount* which models SAP AI Core offers there; what cannot be read is passed over.

    Raises `FaultError` where there is no answer.
    """
    answer = get(subaccount, PATH)
    listed = answer.get("resources") if isinstance(answer, dict) else answer
    return {model.name: model for raw in _objects(listed) for model in _model(raw)}


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known of one subaccount: what it listed last, and when it is to be asked again."""

    due: float = 0.0
    models: Models = field(default_factory=dict)
    failed: bool = False
    """Whether the last look-up failed, as the log says then."""


class Catalogue:
    """The catalogues of all subaccounts, asked for when they are due; one that cannot be asked keeps what it had.

    *clock* is any seconds that only grow; *every* is after how many of them a subaccount is asked again, 0 for never.
    Holds no lock: there is one value for each subaccount, replaced in one step by the thread that asks it. Whoever
    finds it due meanwhile waits for the same answer.
    """

    def __init__(
        self, subaccounts: Iterable[SubAccount], get: Get, clock: Callable[[], float], *, every: float = EVERY
    ) -> None:
        self._get = get
        self._clock = clock
        self._every = every or math.inf
        self._looks = {account.name: _Look(-math.inf) for account in subaccounts}
        self._flight = SingleFlight[str, None]()
        """By the name of the subaccount that is asked."""
        self._merged: tuple[list[_Look], Models] = ([], {})
        """What was made of all looks, and of which."""

    def look_up(self, subaccount: SubAccount) -> Models:
        """Give the models of *subaccount*, asked for where that is due; none where it was never answered."""
        self._flight(subaccount.name, partial(self._look, subaccount))
        return self._looks[subaccount.name].models

    def _look(self, subaccount: SubAccount) -> None:
        """Ask a subaccount if that is due; whatever goes wrong, what it listed before is kept."""
        name = subaccount.name
        before = self._looks[name]
        if before.due > self._clock():
            return
        try:
            found = read_catalogue(subaccount, self._get)
            self._looks[name] = _Look(self._clock() + self._every, found or before.models)
        except Exception as error:  # noqa: BLE001 - an optional catalogue stops nobody, whatever it sends
            self._looks[name] = _Look(self._clock() + min(RETRY, self._every), before.models, failed=True)
            if not before.failed:
                why = error.fault.explained if isinstance(error, FaultError) else repr(error)
                _log.info("cannot read the catalogue of models of %s: %s", name, why)

    def of(self, subaccount: str) -> Models:
        """Give the models of a subaccount as they were last listed; none before that."""
        return self._looks[subaccount].models

    def models(self) -> Models:
        """Give the models of all subaccounts; of those that several list, the first one's counts."""
        looks = list(self._looks.values())
        merged = self._merged
        if len(looks) != len(merged[0]) or any(a is not b for a, b in zip(looks, merged[0], strict=True)):
            models = {name: model for look in reversed(looks) for name, model in look.models.items()}
            self._merged = merged = looks, models
        return merged[1]


class CatalogueRefresher:
    """Keeps the catalogues of all subaccounts up to date, in one thread; *then* is called after each look."""

    def __init__(self, subaccounts: Iterable[SubAccount], catalogue: Catalogue, then: Callable[[], object]) -> None:
        self._subaccounts = tuple(subaccounts)
        self._catalogue = catalogue
        self._then = then
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalogue", daemon=True)

    def start(self) -> None:
        """Begin; nothing is waited for."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a look-up that has begun is not waited for long."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def refresh(self) -> None:
        """Ask for the catalogues that are due."""
        for account in self._subaccounts:
            self._catalogue.look_up(account)
        self._then()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - whatever failed, the next round is due
                _log.exception("reading the catalogue of models failed")
            self._stop.wait(_PAUSE)


def _model(raw: Mapping[Any, JSON]) -> Iterator[CatalogueModel]:
    """Read one model by its latest version; what has no name is passed over."""
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
    """Find how long an answer may be: among the metadata, or beside them."""
    for said in (version, *_objects(version.get("metadata"))):
        named = said.items() if "value" not in said else [(said.get("name", said.get("key")), said["value"])]
        for key, value in named:
            if _NO_LETTER.sub("", str(key).lower()) in _OUTPUT and (count := _count(value)):
                return count
    return None


def _objects(value: JSON) -> Iterator[Mapping[Any, JSON]]:
    """Give the objects of a list, or one that stands alone."""
    listed = value if isinstance(value, list) else [value]
    return (each for each in listed if isinstance(each, dict))


def _texts(value: JSON) -> tuple[str, ...]:
    """Give the texts of a list, or of one text with commas between them."""
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
    """Read a number of tokens, also where it is written as text."""
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
    """Read the day of an ISO 8601 time; None for anything else."""
    try:
        return date.fromisoformat(value.strip()[:10]) if isinstance(value, str) else None
    except ValueError:
        return None
