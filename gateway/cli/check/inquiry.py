"""The requests of a check to SAP AI Core, which cost nothing."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import orjson

from dialects.core.faults import Fault, FaultKind
from dialects.core.upstream_errors import fault_from
from gateway.cli.check.advice import Adviser
from gateway.cli.check.examine import CheckResult, Questions, examine
from gateway.config.settings import Settings
from gateway.served_models import ModelSources
from gateway.upstream.client import AICoreClient
from gateway.upstream.discovery import listing
from gateway.upstream.management import ManagementClient
from gateway.upstream.provisioning import resource_groups
from gateway.upstream.tokens import TokenSource
from gateway.upstream.transport import Transport
from routing.endpoint import Endpoint
from routing.protocols import ProtocolHandler

_NO_ANSWER_OF_A_MODEL = Fault(FaultKind.OTHER, "The response does not come from a model.")


def run_check(
    settings: Settings,
    client: ManagementClient,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> CheckResult:
    """Try every subaccount of *settings*, and every deployment that is served, over *client*.

    *now* says which models and certificates have ended.
    """
    moment = now()
    today = moment.date()
    accounts = settings.subaccounts
    tokens = {name: TokenSource(partial(client.fetch_token, account.key)) for name, account in accounts.items()}
    tenants = {name: account.key.tenant for name, account in accounts.items()}
    sources = ModelSources(settings, client, tokens, lambda: today)

    with closing(Transport(network=settings.network)) as transport:
        core = AICoreClient(transport, client, tokens, tenants, observability=settings.observability.headers())
        ask = Questions(
            get_in=lambda account: tokens[account.name].token(),
            list_deployments=lambda account: listing(account, sources.get),
            resource_groups=lambda account: resource_groups(account, sources.get),
            ask_nothing=partial(_ask_nothing, core),
            adviser=Adviser.in_network(settings.network),
            now=moment,
            read_catalogue=sources.catalogue.look_up,
            orchestrated=sources.orchestrated.asked,
            is_guess=sources.orchestrated.is_guess,
            endings=lambda _, served: sources.served.endings(served, today),
        )
        return examine(settings, ask)


def _ask_nothing(core: AICoreClient, endpoint: Endpoint, protocol: ProtocolHandler) -> Fault | None:
    """Ask an endpoint for nothing, and give the fault that it answers; None for an answer of a model."""
    answer = core.ask_nothing(endpoint, protocol)
    if answer.status >= 400:
        return fault_from(answer.status, answer.headers, answer.body)
    try:
        is_json = isinstance(orjson.loads(answer.body), dict)
    except orjson.JSONDecodeError:
        is_json = False
    return None if is_json else _NO_ANSWER_OF_A_MODEL
