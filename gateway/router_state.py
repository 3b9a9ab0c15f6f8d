"""What the router knows, as JSON for whoever looks at the proxy: operators, the command `status`, dashboards.

Durations are in seconds, times are seconds since the epoch, counts are of one process since it started. What a
caller said, keys and addresses are nowhere in it; callers are named by digests of their keys.

Of each endpoint, a deployment asked for one model:

========================  =============================================================================================
`subaccount`, `deployment`, `model`   what is asked there; `orchestration` and `standby` say how
`weight`, `tier`          by which strategies choose; `quota_domain` names what shares a quota
`last_error`              the kind of the latest fault; null if there was none
`standing`                whether it may be selected now: "ready", "half-open: …", "open", "gone", "cooling" (which is
                          in cooldown), "drained"
`why`, `seconds`          why not, and for how long yet; null if only a listing of deployments can say
`until`                   when that time is over; null if it may be selected now, or only a listing can say
`circuit`, `k`            the state of its circuit, and how often its open time was doubled
`cooldown`                the kind of fault that has put it in cooldown; null if it is in none
`in_flight`               requests that it works on
`latency`                 seconds to first content to expect, as strategies see it
`counts.answered`         answers that have begun
`counts.failed`           attempts that failed and were worth another elsewhere; a stream that is cut has answered, too
`counts.refused`          attempts that failed by the caller's own mistake
`counts.first_content_seconds`  the seconds until the answers began, added up
`counts.tokens`           tokens of its answers, each in one kind: fresh input, read from the prompt cache, written to
                          it, output
========================  =============================================================================================

Of each worker: `open_requests` in progress, `outcomes` of those that are over, when it `started`; whether it takes
connections (`accepting`), can serve (`ready`) or ends (`retiring`); `log_lines_dropped`. `slot` numbers the workers
from 0; the worker that replaces one that has ended takes over its number. `saturation` has, for `requests`, those
`waiting`, `connections` and `streams`, how many there are (`used`) and how many there may be (`most`; null where other
limits decide). `credentials` says of each subaccount until when its token and the certificate of its service key are
valid (`token_until`, `certificate_until`), and the kind of `fault` with which the latest request for a token failed.

`outcomes` beside `workers` are those of all, `started` is when the proxy was, `at` is now. `worker_restarts` counts
the workers that ended unexpectedly and were replaced. `version` is that of the proxy, `status` and `subaccounts` are
as `/ready` has them, `strategies` those of models, `strategies_available` the names that a model's strategy may have,
`endings` the models that have ended or will soon. `may_change` is whether the caller may change it.

Of each decision, newest first: `at`, when the request was over; `id`, `caller`, `client` (its dialect), `requested`
and `model`; `stream`, whether it was one; `subaccount` and `deployment` that were asked last; `reasons` and `trail` of
all attempts; `status` and `outcome` ("ok", or the kind of fault); `first_content` and `duration`; `tokens`.
"""

import math
from collections.abc import Iterable

from dialects.core.conversation import JSON
from gateway.observability.activity import Activity
from gateway.version import VERSION
from routing.availability import EndpointState
from routing.strategy import STRATEGIES


def router_state(
    states: Iterable[EndpointState], endings: Iterable[JSON], activity: Activity, started: float, now: float
) -> JSON:
    """Write down what this process knows *now*; *started* is when it began."""
    listed = list(states)
    return {
        "version": VERSION,
        "started": started,
        "strategies": {state.endpoint.model: state.strategy for state in listed},
        "strategies_available": list(STRATEGIES),
        "endpoints": [_endpoint(state, activity, now) for state in listed],
        "endings": list(endings),
        "outcomes": activity.outcomes(),
        "decisions": activity.decisions(),
    }


def _endpoint(state: EndpointState, activity: Activity, now: float) -> JSON:
    endpoint = state.endpoint
    is_timed = math.isfinite(state.seconds)
    return {
        "subaccount": endpoint.subaccount,
        "deployment": endpoint.deployment,
        "model": endpoint.model,
        "quota_domain": f"{endpoint.subaccount}/{endpoint.model}",
        "standing": state.availability.value,
        "circuit": state.circuit.value,
        "why": state.why,
        "seconds": state.seconds if is_timed else None,
        "until": round(now + state.seconds, 3) if is_timed and state.seconds else None,
        "k": state.k,
        "cooldown": state.cooldown.value if state.cooldown else None,
        "in_flight": state.in_flight,
        "latency": round(state.latency, 4),
        "weight": round(state.weight, 4),
        "tier": endpoint.tier,
        "orchestration": endpoint.orchestration,
        "standby": endpoint.standby,
        "last_error": state.last_error.value if state.last_error else None,
        "counts": activity.counts(endpoint),
    }
