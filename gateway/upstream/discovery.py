"""Discovery of the deployments of a subaccount, from the listing of its AI API."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from dialects.capabilities.model_identity import may_name_a_model
from dialects.core.faults import Fault, FaultError, FaultKind
from dialects.core.upstream_errors import fault_from
from gateway.config.service_keys import is_url
from gateway.config.subaccounts import Deployment, SubAccount, deployment_url
from gateway.upstream.call_headers import call_headers
from gateway.upstream.management import Answer, ManagementClient
from gateway.upstream.tokens import TokenSource
from routing.health_checker import is_known_not_to_run

_log = logging.getLogger("sap_ai_proxy")

JSON = Any
Get = Callable[[SubAccount, str], JSON]
"""Requests a path of the AI API of a subaccount and returns the JSON of the answer."""
Post = Callable[[SubAccount, str, JSON], JSON]
"""Posts JSON to a path of the AI API of a subaccount and returns the JSON of the answer."""

Models = dict[str, tuple[Deployment, ...]]
"""The deployments of each model. Orchestration deployments have the key `_UNNAMED` until `named` replaces it."""
Orchestrated = Callable[[SubAccount], Collection[str]]
"""Returns the models that the orchestration deployments of a subaccount serve."""
RUNNING: Final = "RUNNING"
_PAGE = 100
_PAGES = 100
"""The maximum number of pages that are requested, in case the service never sends the last one."""
_MOST_LISTED = _PAGE * _PAGES
"""The maximum number of deployments that are read, whatever the size of a page is."""
_PORTS = {"http": 80, "https": 443}
ELSEWHERE: Final = "its URL has another host, scheme or port than AI_API_URL, so no token is sent there"
ORCHESTRATION: Final = "orchestration"
"""The name of both the scenario and the executable of orchestration in SAP AI Core."""
_UNNAMED: Final = ""
"""The key of orchestration deployments in `Models`, until `named` replaces it by the models that they serve."""
_UNREADABLE = Fault(FaultKind.SERVER_ERROR, "SAP AI Core sent a list of deployments that cannot be read.")


@dataclass(frozen=True, slots=True)
class Listed:
    """One deployment as SAP AI Core lists it."""

    id: str
    model: str
    """The name of the model; empty for orchestration and for everything else that does not serve a single model."""
    status: str
    url: str
    orchestration: bool = False
    version: str = field(default="", compare=False)
    """The configured version of the model, such as "latest"; empty if none is listed."""


class Management:
    """The client of the AI APIs of all subaccounts. A refused token is renewed once."""

    def __init__(self, client: ManagementClient, tokens: Mapping[str, TokenSource], *, timeout: float = 15.0) -> None:
        self._client = client
        self._tokens = tokens
        self._timeout = timeout

    def __call__(self, subaccount: SubAccount, path: str) -> JSON:
        """Request *path* in the resource group of *subaccount*, return the JSON; raises `FaultError` on any error."""
        tokens = self._tokens[subaccount.name]
        token = tokens.token()
        try:
            return self._get(subaccount, path, token)
        except FaultError as error:
            if not tokens.renew_after(error.fault, token):
                raise
        return self._get(subaccount, path, tokens.token())

    def post(self, subaccount: SubAccount, path: str, body: JSON) -> JSON:
        """Post *body* once, without any retry, and return the JSON; raises `FaultError` on any error."""
        token = self._tokens[subaccount.name].token()
        headers = {**_headers(subaccount, token), "Content-Type": "application/json"}
        url = subaccount.key.api_url + path
        return _read_answer(self._client.post(url, headers, orjson.dumps(body), self._timeout))

    def _get(self, subaccount: SubAccount, path: str, token: str) -> JSON:
        url = subaccount.key.api_url + path
        return _read_answer(self._client.get(url, _headers(subaccount, token), self._timeout))


def _headers(subaccount: SubAccount, token: str) -> dict[str, str]:
    return {**call_headers(token, subaccount.resource_group), "Accept": "application/json"}


def _read_answer(answer: Answer) -> JSON:
    if answer.status >= 400:
        raise FaultError(fault_from(answer.status, answer.headers, answer.body))
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise FaultError(_UNREADABLE) from None


@dataclass(frozen=True, slots=True)
class Orchestration:
    """The sources of the models that orchestration deployments serve."""

    names: Orchestrated = lambda _: ()
    """Returns the models that are known now, without waiting."""
    ask: Callable[[SubAccount], object] = lambda _: None
    """Looks up the models of a subaccount; never raises."""


def named(models: Models, orchestrated: Callable[[], Collection[str]]) -> Models:
    """Return *models* with the orchestration deployments listed under each model that they serve.

    They come after the model's own deployments. *orchestrated* is called only if there are orchestration deployments.
    """
    found = {model: deployments for model, deployments in models.items() if model != _UNNAMED}
    deployments = models.get(_UNNAMED, ())
    for model in orchestrated() if deployments else ():
        found[model] = (*found.get(model, ()), *deployments)
    return found


def is_named(models: Models) -> bool:
    """Return whether *models* has no orchestration deployments for `named` to assign."""
    return _UNNAMED not in models


def listing(subaccount: SubAccount, get: Get) -> tuple[Listed, ...]:
    """Return every deployment in the resource group of *subaccount*, in any state."""
    found: dict[str, Listed] = {}
    for page in _pages(subaccount, get):
        new = {each.id: each for raw in page for each in _read(raw, subaccount) if each.id not in found}
        if not new:
            break
        found |= new
    return tuple(found.values())


def discover(subaccount: SubAccount, get: Get) -> Models:
    """Return the models that run in *subaccount*, with their deployments in the order of the listing."""
    return running(subaccount, listing(subaccount, get))


def running(subaccount: SubAccount, listed: Iterable[Listed]) -> Models:
    """Return the models that run according to *listed*, with their deployments in the order of the listing.

    `named` adds the models of orchestration deployments later. A deployment at another origin than the AI API is left
    out, because a token of the subaccount must not be sent there.
    """
    models: dict[str, tuple[Deployment, ...]] = {}
    for each in listed:
        if not ((each.model or each.orchestration) and each.status == RUNNING and is_url(each.url)):
            continue
        if not is_same_origin(each, subaccount):
            _log.warning("deployment %s of %s is left out: %s", each.id, subaccount.name, ELSEWHERE)
            continue
        deployment = Deployment(each.url, orchestration=each.orchestration)
        model = _UNNAMED if each.orchestration else each.model
        models[model] = (*models.get(model, ()), deployment)
    return models


def merge_listing(
    subaccount: SubAccount, listed: Sequence[Listed], before: Models, answers: Callable[[str], bool]
) -> Models:
    """Return the models that run, with those deployments of *before* that a gap in the listing does not rule out.

    An empty list keeps all of them. Otherwise a deployment is kept if it is missing or has an unknown status and its
    endpoint *answers*, or if it is listed as running without its model or its URL.
    """
    found, status = running(subaccount, listed), {each.id: each.status for each in listed}
    there = {each.id for deployments in found.values() for each in deployments}

    def is_kept(id: str) -> bool:
        said = status.get(id, "")
        return id not in there and (not listed or said == RUNNING or (not is_known_not_to_run(said) and answers(id)))

    for model, deployments in before.items():
        kept = tuple(each for each in deployments if is_kept(each.id))
        if kept:
            found[model] = (*found.get(model, ()), *kept)
    return found


def versions_of(listed: Iterable[Listed]) -> dict[str, frozenset[str]]:
    """Return the versions of each model that runs."""
    found: dict[str, frozenset[str]] = {}
    for each in listed:
        if each.model and each.status == RUNNING:
            found[each.model] = found.get(each.model, frozenset()) | {each.version}
    return found


def is_same_origin(listed: Listed, subaccount: SubAccount) -> bool:
    """Return whether the URL of a deployment has the scheme, host and port of the AI API that lists it."""
    origin = _origin(listed.url)
    return origin is not None and origin == _origin(subaccount.key.api_url)


def statuses(subaccount: SubAccount, get: Get) -> dict[str, str]:
    """Return the status of every deployment in *subaccount*, by its id."""
    return {each.id: each.status for each in listing(subaccount, get)}


def _origin(url: str) -> tuple[str, str, int] | None:
    """Return the scheme, host and port of a URL; None if parsers may disagree about it."""
    if not is_url(url) or "\\" in url:
        return None
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.hostname is None:
        return None
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _pages(subaccount: SubAccount, get: Get) -> Iterator[list[JSON]]:
    """Yield the pages of the listing until the announced number of deployments is reached."""
    seen = 0
    for _ in range(_PAGES):
        match get(subaccount, f"/lm/deployments?$top={_PAGE}&$skip={seen}"):
            case {"resources": list() as resources, **rest}:
                yield resources
            case _:
                raise FaultError(_UNREADABLE)
        seen += len(resources)
        count = rest.get("count")
        if not resources or seen >= _MOST_LISTED or (isinstance(count, int) and seen >= count):
            return


def _read(raw: JSON, subaccount: SubAccount) -> Iterator[Listed]:
    """Yield the deployment of an entry; nothing if it has no id."""
    match raw:
        case {"id": str(name), **rest}:
            url = _text(rest.get("deploymentUrl")) or deployment_url(subaccount.key, name)
            orchestration = rest.get("scenarioId") == ORCHESTRATION
            model, version = ("", "") if orchestration else _model(rest)
            status = _text(rest.get("status")) or "UNKNOWN"
            yield Listed(name, model, status, url.rstrip("/"), orchestration, version)


def _model(raw: Mapping[Any, JSON]) -> tuple[str, str]:
    """Return the name and the version of the model, under either spelling; empty if there is none."""
    match raw:
        case {"details": {"resources": {"backendDetails": {"model": {"name": str(said), **rest}}}}}:
            pass
        case {"details": {"resources": {"backend_details": {"model": {"name": str(said), **rest}}}}}:
            pass
        case _:
            return "", ""
    name = said.strip()
    return (name, _text(rest.get("version"))) if may_name_a_model(name) else ("", "")


def _text(said: JSON) -> str:
    """Return a text or a number as text; empty for anything else, which may be nested too deeply to be written."""
    return str(said) if isinstance(said, str | int | float) else ""
