"""The state of the router as JSON, for operators, the command `status` and dashboards.

Durations are in seconds, times are seconds since the epoch, and counts are those of one process since it started. The
state contains no prompts, answers, keys or addresses. Callers without a named key appear under a digest of their key.

The fields of each endpoint, which is a deployment for one model:

========================  =============================================================================================
`subaccount`, `deployment`, `model`   where the deployment is, and its model; `orchestration` and `standby` qualify it
`weight`, `tier`          values that some strategies use; endpoints with the same `quota_domain` share a quota
`last_error`              the kind of the latest fault; null if there was none
`standing`                the availability: "ready", "half-open: …", "open", "gone", "cooling" (it is in cooldown) or
                          "drained"
`why`, `seconds`          why it is unavailable, and for how many seconds; null if only a new listing can tell
`until`                   when it becomes available; null if it is available, or if only a new listing can tell
`circuit`, `k`            the state of its circuit, and how often the open time has doubled
`cooldown`                the kind of fault that started its cooldown; null if it is in none
`in_flight`               the requests in progress
`latency`                 the expected seconds to first content, as strategies see it
`counts.answered`         the answers that have begun
`counts.failed`           the attempts whose fault permits a retry elsewhere; streams that were cut count here as well
                          as under `answered`
`counts.refused`          the attempts that failed because of a mistake of the caller
`counts.first_content_seconds`  the sum of the seconds to first content of all answers
`counts.tokens`           the tokens of its answers by kind: fresh input, read from the prompt cache, written to it,
                          output
========================  =============================================================================================

Each worker has: `open_requests`, the requests in progress; `outcomes`, the counts of completed ones; `started`, when
it started; `accepting`, whether it accepts connections; `ready`, whether it can serve; `retiring`, whether it is about
to stop; `log_lines_dropped`. `slot` numbers the workers from 0, and a worker that replaces another takes over its
number. `saturation` has an entry for each of `requests`, `waiting`, `memory` (in bytes), `connections` and `streams`,
with the number in use (`used`) and the limit (`most`; null if other limits apply). `credentials` has, for each
subaccount, the times at which its token and the certificate of its service key expire (`token_until`,
`certificate_until`), and the kind of `fault` of its latest token request.

Beside `workers`, `outcomes` are the sums over all workers, `started` is when the proxy started, and `at` is now.
`worker_restarts` counts the workers that ended unexpectedly and were replaced. `version` is the proxy's version.
`status` and `subaccounts` are those of `/ready`. `strategies` has the strategy of each model, and
`strategies_available` the strategies that a model may have. `endings` lists the models that have ended or will end
soon. `may_change` is whether the caller may change the proxy.

Each of the latest decisions, newest first, has: `at`, when the request ended; `id`; `caller`; `client`, its dialect;
`requested`, the model in the request; `model`, the deployed model; `stream`, whether the answer was a stream;
`subaccount` and `deployment` of the last attempt; `reasons` and `trail` of all attempts; `status` and `outcome` ("ok",
or the kind of fault); `first_content` and `duration`; `tokens`.
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
    """Return the state of this process at *now*; *started* is when it started."""
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
