"""Explains where the router would send a request, without asking a model."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError
from dialects.registry import DIALECTS
from gateway.cli.terminal import Cell, Drawing, Mark, joined, stacked, styled, table
from gateway.config.settings import Settings, pools, with_discovered
from gateway.served_models import ModelSources, day
from gateway.upstream.discovery import discover, named
from gateway.upstream.management import ManagementClient
from gateway.upstream.tokens import TokenSource
from routing.availability import Availability, EndpointState
from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.model_names import Successors, Unlisted
from routing.protocols.embeddings import EmbeddingsProtocol
from routing.request_router import RequestRouter

_CLIENTS = {client: row.name for row in DIALECTS.values() for client in row.client_names}
_CLIENTS["embeddings"] = EmbeddingsProtocol.dialect
_ANY: Final = "…/deployments/<id>"
_MOST_SHOWN: Final = 20
"""Up to this many requests are listed one by one."""
_HEADINGS: Final = ("", "deployment", "weight", "tier", "chosen", "state")


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What the proxy would know once it has asked."""

    settings: Settings
    """With what runs in the subaccounts that are to be looked up."""
    failed: Mapping[str, str]
    """Why some could not be."""
    successors: Successors
    """By the catalogues of all subaccounts, as far as they can be read; asked for while the client is open."""


def looked_up(settings: Settings, client: ManagementClient) -> LookedUp:
    """Ask each subaccount what the proxy would ask it."""
    accounts = settings.subaccounts.values()
    tokens = {each.name: TokenSource(partial(client.fetch_token, each.key)) for each in accounts}
    sources = ModelSources(settings, client, tokens, day)
    found, failed = {}, {}
    for account in accounts:
        if account.discovery:
            try:
                found[account.name] = named(
                    discover(account, sources.get), partial(sources.orchestrated.asked, account)
                )
            except FaultError as error:
                failed[account.name] = error.fault.explained

    def successors() -> Mapping[str, Iterable[str]]:
        for account in accounts:
            sources.catalogue.look_up(account)
        return sources.served.successors()

    return LookedUp(with_discovered(settings, found), failed, successors)


@dataclass(frozen=True, slots=True)
class RoutedEndpoint:
    """A deployment of the model, and what it would get."""

    name: str
    """Its subaccount and its id."""
    weight: float
    tier: int
    chosen: int
    """How many of the requests would go there."""
    is_available: bool
    state: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where requests for a model would go."""

    requested: str
    model: str
    how: str
    """How the name leads to the model."""
    strategy: str
    protocol: str
    translated_from: str
    """The client's dialect; empty where requests are passed through."""
    chosen: tuple[str, ...]
    """The deployments, in the order of the requests."""
    endpoints: tuple[RoutedEndpoint, ...]
    path: str
    """What a streamed request asks of a deployment."""


def explain(
    settings: Settings,
    model: str,
    client: str,
    times: int,
    unlisted: Iterable[str] = (),
    successors: Successors = dict,
) -> Explanation:
    """Find out where *times* requests for *model* would go; raises `ValueError` if it would be refused.

    *unlisted* are the subaccounts that could not be looked up, *successors* what takes the place of models.
    """
    dialect = _CLIENTS.get(client, client)
    if dialect not in _CLIENTS.values():
        raise ValueError(f"{client!r} is not a client; write one of {', '.join(sorted(_CLIENTS))}")
    unknown = Unlisted(tuple(unlisted))
    balancer = LoadBalancer(pools(settings), policy=settings.policy)
    router = RequestRouter(balancer, unlisted=lambda: unknown, successors=successors)
    settings.extend(router)
    resolution = router.names.resolve(model)
    first = balancer.endpoints(resolution.model)[0]
    if client == "openai" and profile_for(first.backend).embeds:
        dialect = "openai-embeddings"
    try:
        protocol = router.protocol_at(first, dialect)
    except FaultError as error:
        raise ValueError(error.fault.message) from error
    chosen = tuple(_select(router, model, dialect) for _ in range(times))
    counts = Counter(chosen)
    states = balancer.snapshot(resolution.model)
    return Explanation(
        requested=model,
        model=resolution.model,
        how=resolution.how.value,
        strategy=states[0].strategy,
        protocol=protocol.name,
        translated_from="" if protocol.dialect == dialect else dialect,
        chosen=tuple(map(_name, chosen)),
        endpoints=tuple(_routed(each, counts[each.endpoint]) for each in states),
        path=protocol.build_endpoint(_ANY, first.backend, stream=True).removeprefix(_ANY),
    )


def render(found: Explanation, *, is_utf: bool = True) -> Drawing:
    """Draw an explanation for people."""
    how = f"translated from {found.translated_from}" if found.translated_from else "passed through"
    rows: list[list[Cell]] = [
        [
            (Mark.OK if each.is_available else Mark.WRONG).sign(is_utf=is_utf),
            each.name,
            f"{each.weight:g}",
            str(each.tier),
            str(each.chosen),
            each.state,
        ]
        for each in found.endpoints
    ]
    more = len(found.chosen) - _MOST_SHOWN
    return stacked(
        joined([styled("model   ", "bold"), f"{found.requested} -> {found.model} ({found.how})"]),
        joined([styled("strategy", "bold"), found.strategy]),
        joined([styled("protocol", "bold"), f"{found.protocol}, {how}"]),
        "",
        *(f"{number:4d}. {name}" for number, name in enumerate(found.chosen[:_MOST_SHOWN], 1)),
        *([f"      and {more} more"] if more > 0 else []),
        "",
        table(_HEADINGS, rows, right=_HEADINGS[2:5], is_dense=True),
        "",
        joined([styled("path    ", "bold"), f"{found.path} (streamed)"]),
    )


def _routed(state: EndpointState, chosen: int) -> RoutedEndpoint:
    endpoint, is_available = state.endpoint, state.availability is Availability.AVAILABLE
    said = f"{state.availability.value}{'' if is_available else f' ({state.why})'}{_kind(endpoint)}"
    return RoutedEndpoint(_name(endpoint), endpoint.weight, endpoint.tier, chosen, is_available, said)


def _select(router: RequestRouter, model: str, client: str) -> Endpoint:
    """Select an endpoint as a request would, and let the request succeed at once."""
    attempts = router.attempts(model, client=client)
    attempt = next(attempts)
    attempt.answered()
    attempt.lease.close()
    attempts.close()
    return attempt.endpoint


def _kind(endpoint: Endpoint) -> str:
    """Say of an orchestration deployment what it is, and whether it is asked only in the place of others."""
    return f", orchestration{' on standby' * endpoint.standby}" if endpoint.orchestration else ""


def _name(endpoint: Endpoint) -> str:
    return f"{endpoint.subaccount}/{endpoint.deployment}"
