"""What the router would do with a request, and why, without asking any model."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from dialects.capabilities.models import profile_for
from dialects.core.faults import FaultError
from dialects.registry import DIALECTS
from gateway.config.settings import Settings, pools, with_discovered
from gateway.served_models import ModelSources, day
from gateway.upstream.discovery import discover, named
from gateway.upstream.management import ManagementClient
from gateway.upstream.tokens import TokenSource
from routing.availability import Availability
from routing.endpoint import Endpoint
from routing.load_balancer import LoadBalancer
from routing.model_names import Successors, Unlisted
from routing.protocols.embeddings import EmbeddingsProtocol
from routing.request_router import RequestRouter

_CLIENTS = {client: row.name for row in DIALECTS.values() for client in row.client_names}
_CLIENTS["embeddings"] = EmbeddingsProtocol.dialect


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
                failed[account.name] = error.fault.message

    def successors() -> Mapping[str, Iterable[str]]:
        for account in accounts:
            sources.catalogue.look_up(account)
        return sources.served.successors()

    return LookedUp(with_discovered(settings, found), failed, successors)


def explain(
    settings: Settings,
    model: str,
    client: str,
    times: int,
    unlisted: Iterable[str] = (),
    successors: Successors = dict,
) -> str:
    """Describe where *times* requests for *model* would go; raises `ValueError` if it would be refused.

    *unlisted* are the subaccounts that could not be looked up, *successors* what takes the place of models.
    """
    dialect = _CLIENTS.get(client, client)
    if dialect not in _CLIENTS.values():
        raise ValueError(f"{client!r} is no client; write one of {', '.join(sorted(_CLIENTS))}")
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
    how = "passed through" if protocol.dialect == dialect else f"translated from {dialect}"
    lines = [
        f"model     {model} -> {resolution.model} ({resolution.how.value})",
        f"strategy  {balancer.snapshot(resolution.model)[0].strategy}",
        f"protocol  {protocol.name}, {how}",
        "",
    ]
    chosen = [_select(router, model, dialect) for _ in range(times)]
    counts = Counter(chosen)
    lines += [f"{number:4d}. {_name(endpoint)}" for number, endpoint in enumerate(chosen[:20], 1)]
    if times > 20:
        lines.append(f"      … and {times - 20} more")
    lines += ["", f"{'deployment':32} {'weight':>6} {'tier':>4} {'chosen':>6}  state"]
    for each in balancer.snapshot(resolution.model):
        endpoint, available = each.endpoint, each.availability is Availability.AVAILABLE
        state = f"{each.availability.value}{'' if available else f' ({each.why})'}{_kind(endpoint)}"
        lines.append(f"{_name(endpoint):32} {endpoint.weight:6g} {endpoint.tier:4d} {counts[endpoint]:6d}  {state}")
    example = protocol.build_endpoint("…/deployments/<id>", first.backend, stream=True)
    return "\n".join([*lines, "", f"path      {example.removeprefix('…/deployments/<id>')} (streamed)"])


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
