"""Each lock in gateway is needed, and enough."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import gateway
from dialects.faults import Fault, FaultKind
from gateway.requests.rejected_fields import RejectedFields
from gateway.requests.sticky_endpoints import StickyEndpoints
from gateway.upstream.background import Task
from gateway.upstream.pool import ConnectionPool
from gateway.upstream.tokens import Token, TokenSource
from routing.strategy import Endpoint
from tests.support.interleaving import Scenario, is_enough, is_needed, locks_in
from tests.support.scripted import ScriptedUpstream

EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-5")


def pins() -> Scenario:
    """Of three answers the latest one is known, where there is room for one."""
    subject = StickyEndpoints(most=1)
    tasks = [partial(subject.remember, "caller", answer, EU) for answer in "abc"]
    return Scenario(subject, "_lock", tasks, lambda: 1 == sum(subject.find("caller", answer) == EU for answer in "abc"))


def lessons() -> Scenario:
    """Thirty-two fields are learnt, and no more."""
    subject = RejectedFields()
    body = dict.fromkeys([f"field_{'x' * number}" for number in range(34)], 1)
    learn = [
        partial(subject.learn, "m", body, Fault(FaultKind.INVALID_REQUEST, f"{name}: Extra inputs are not permitted"))
        for name in body
    ]
    for task in learn[:31]:
        task()
    return Scenario(subject, "_lock", learn[31:], lambda: 2 == len(subject.without("m", body)))


class Service:
    """Hands out t1, t2, …"""

    def __init__(self) -> None:
        self.fetches = 0

    def __call__(self) -> Token:
        self.fetches += 1
        return Token(f"t{self.fetches}", 100.0)


def token_fetches() -> Scenario:
    """Whoever has no token waits for one fetch."""
    service = Service()
    subject = TokenSource(service, clock=lambda: 0.0)
    return Scenario(
        subject, "_fetching", [subject.token] * 3, lambda: 1 == service.fetches, others=[(subject, "_guard")]
    )


def token_drops() -> Scenario:
    """A new token is not dropped in place of the old one."""
    service, now = Service(), [0.0]
    subject = TokenSource(service, clock=lambda: now[0])
    subject.token()
    now[0] = 100.0

    def refuse() -> None:
        for token in ("older", "older", "older", "older", "t1"):
            subject.invalidate(token)

    def law() -> bool:
        return ("t2", 2) == (subject.token(), service.fetches)

    return Scenario(subject, "_guard", [refuse, subject.token], law, others=[(subject, "_fetching")])


class AtOnce(Task[str]):
    """A task that runs where it is started."""

    def start(self) -> None:
        self._run()


def token_tasks() -> Scenario:
    """Whoever has no token waits for one task."""
    service = Service()
    subject = upstream_tokens.TokenSource(
        lambda: upstream_tokens.Token(service().value, 100.0), clock=lambda: 0.0, new_task=AtOnce
    )
    return Scenario(subject, "_lock", [subject.request] * 3, lambda: 1 == service.fetches)


def kept_connections() -> Scenario:
    """A pool that is closed keeps nothing that is given to it meanwhile."""
    subject = ConnectionPool(lambda: 0.0)
    closed: list[int] = []
    given = [SimpleNamespace(close=partial(closed.append, number)) for number in range(2)]
    tasks = [*(partial(subject.give, (False, "host", 80), each) for each in given), subject.close]
    return Scenario(subject, "_lock", tasks, lambda: [0, 1] == sorted(closed))


def pump() -> Scenario:
    """What is put in is taken out once."""
    subject = Pump(lambda: ScriptedUpstream([]))
    subject.join(5)
    taken: list[bytes] = []
    take = lambda: taken.append(subject.take(0) or b"")  # noqa: E731 - named for its list
    tasks = [*(partial(subject._put, chunk) for chunk in (b"a", b"b")), take, take]

    def law() -> bool:
        take()
        return b"ab" == bytes(sorted(b"".join(taken)))

    return Scenario(subject, "_turn", tasks, law)


def upstream() -> Scenario:
    """A connection that was given back is not shut down."""
    done: list[str] = []
    raw = SimpleNamespace(
        _pool=None,
        shutdown=lambda: done.append("shutdown"),
        release_conn=lambda: done.append("release"),
        close=lambda: None,
    )
    subject = Upstream(SimpleNamespace(status_code=200, headers={}, raw=raw))
    subject._finished = True
    tasks = [subject.shutdown, subject.close, subject.close]
    return Scenario(subject, "_lock", tasks, lambda: 1 == len(set(done)) and 1 >= done.count("release"))


SCENARIOS: list[Callable[[], Scenario]] = [
    pins,
    lessons,
    token_fetches,
    token_drops,
    token_tasks,
    kept_connections,
    pump,
    upstream,
]


@pytest.mark.parametrize("build", SCENARIOS)
def test_the_lock_is_enough(build):
    assert is_enough(build)


@pytest.mark.parametrize("build", SCENARIOS)
def test_removing_the_lock_breaks_the_law(build):
    assert is_needed(build)


def test_no_lock_in_gateway_is_without_a_scenario():
    scenarios = [build() for build in SCENARIOS]

    assert locks_in(Path(gateway.__file__).parent) == {(type(each.owner).__name__, each.lock) for each in scenarios}
