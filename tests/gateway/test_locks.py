"""Each lock in gateway is needed, and enough."""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

import gateway
from dialects.core.faults import Fault, FaultError, FaultKind
from gateway.http.admission import Admission, Place
from gateway.http.failed_keys import MOST_FAILURES, FailedKeys
from gateway.observability.activity import Activity
from gateway.observability.history import merged_history
from gateway.observability.log_writer import LogWriter
from gateway.readiness import ReadinessProbe
from gateway.requests.lifetime import Lifetime
from gateway.requests.memory_budget import MemoryBudget
from gateway.requests.rejected_fields import RejectedFields
from gateway.requests.sticky_endpoints import StickyEndpoints
from gateway.server.request_handler import RequestHandler
from gateway.server.thread_pool import ThreadPool
from gateway.upstream.background import Task
from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.tokens import Token, TokenSource, TokenState
from routing.endpoint import Endpoint
from routing.events import OutcomeRecorded
from tests.support.interleaving import Scenario, is_enough, is_needed, locks_in

EU = Endpoint("eu", "https://eu/v2/inference/deployments/d1", "gpt-5")


def pins() -> Scenario:
    """Of three answers the latest one is known, where there is room for one."""
    subject = StickyEndpoints(most=1)
    tasks = [partial(subject.remember, "caller", answer, EU) for answer in "abc"]
    return Scenario(subject, "_lock", tasks, lambda: sum(subject.find("caller", answer) == EU for answer in "abc") == 1)


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
    return Scenario(subject, "_lock", learn[31:], lambda: len(subject.without("m", body)) == 2)


class Service:
    """Hands out t1, t2, …"""

    def __init__(self) -> None:
        self.fetches = 0

    def __call__(self) -> Token:
        self.fetches += 1
        return Token(f"t{self.fetches}", 100.0)


class AtOnce(Task[str]):
    """A task that runs where it is started."""

    def start(self) -> None:
        self._run()


def token_tasks() -> Scenario:
    """Whoever has no token waits for one task."""
    service = Service()
    subject = TokenSource(lambda: Token(service().value, 100.0), clock=lambda: 0.0, new_task=AtOnce)
    return Scenario(subject, "_lock", [subject.request] * 3, lambda: service.fetches == 1)


def kept_connections() -> Scenario:
    """A pool that is closed keeps nothing that is given to it meanwhile."""
    subject = ConnectionPool(lambda: 0.0)
    closed: list[int] = []
    given = [SimpleNamespace(close=partial(closed.append, number)) for number in range(2)]
    tasks = [*(partial(subject.give, (False, "host", 80), each) for each in given), subject.close]
    return Scenario(subject, "_lock", tasks, lambda: sorted(closed) == [0, 1])


def admission() -> Scenario:
    """No place is given twice, and none is lost."""
    subject = Admission(1, 5, 0.0)
    held: list[Place] = []

    def enter() -> None:
        with suppress(FaultError):
            held.append(subject.enter("caller", Lifetime(600)))

    def law() -> bool:
        return 1 == len(held) == subject.working

    return Scenario(subject, "_lock", [enter, enter, enter], law)


def memory() -> Scenario:
    """No byte is given twice, and none is lost."""
    subject = MemoryBudget(2_000_000, 2_000_000)
    kept, freed = [subject.share() for _ in range(3)], subject.share()
    freed.take(1_000_000)

    def take(each: int) -> None:
        with suppress(FaultError):
            kept[each].take(800_000)

    tasks = [*(partial(take, each) for each in range(3)), freed.release]
    return Scenario(
        subject, "_lock", tasks, lambda: sum(each.reserved for each in kept) == subject.used <= subject.most
    )


def place() -> Scenario:
    """A place is given back once."""
    given: list[int] = []
    subject = Place(lambda: given.append(1))
    return Scenario(subject, "_lock", [subject.release] * 3, lambda: given == [1])


def readiness() -> Scenario:
    """A subaccount without a token is asked for one by one of all who look."""
    asked: list[int] = []
    source = SimpleNamespace(state=TokenState(good=False, fault=None), request=lambda: asked.append(1))
    subject = ReadinessProbe({"eu": source}, list, list, lambda: 1000.0)
    return Scenario(subject, "_lock", [subject.look] * 3, lambda: asked == [1])


def thread_pool() -> Scenario:
    """No thread is given two tasks."""
    subject = ThreadPool(1)
    subject.close()
    subject._idle.append(SimpleQueue())
    tasks = [partial(subject.submit, lambda: None) for _ in range(3)]
    return Scenario(subject, "_lock", tasks, lambda: len(subject._waiting) == 2)


def open_requests() -> Scenario:
    """Whoever begins a request and ends it leaves the number as it was."""
    subject = RequestHandler(lambda *_: [], lambda _: None, lambda: False, streams=None)

    def answer() -> None:
        subject._count(1)
        subject._count(-1)

    return Scenario(subject, "_lock", [answer] * 3, lambda: subject.open_requests == 0)


def log_lines() -> Scenario:
    """Each line is written once, whoever writes it, and counted where it cannot be written."""
    subject = LogWriter(os.open(os.devnull, os.O_WRONLY))
    written: list[str] = []
    subject._write = lambda line: written.append(line) is None
    tasks = [partial(subject.write_line, line) for line in "abc"]
    return Scenario(subject, "_lock", tasks, lambda: list("abc") == sorted(written))


def activity() -> Scenario:
    """Each answer is counted once."""
    subject = Activity(lambda: 0.0)
    tasks = [partial(subject.heard, OutcomeRecorded(EU, None, 1.0))] * 3

    def law() -> bool:
        return subject.counts(EU)["answered"] == requests_in(subject) == 3

    return Scenario(subject, "_lock", tasks, law, parts=[subject._counters])


def requests_in(subject: Activity) -> int:
    return sum(merged_history([subject.rows()], 0.0)["endpoints"][0]["requests"])


def failed_keys() -> Scenario:
    """Each wrong key is counted."""
    subject = FailedKeys(lambda: 0.0)
    tasks = [partial(subject.record, None, MOST_FAILURES // 2)] * 2
    return Scenario(subject, "_lock", tasks, lambda: subject.record(None) is not None)


SCENARIOS: list[Callable[[], Scenario]] = [
    activity, admission, failed_keys, kept_connections, lessons, log_lines, memory, open_requests, pins, place,
    readiness, thread_pool, token_tasks,
]  # fmt: skip


@pytest.mark.parametrize("build", SCENARIOS)
def test_the_lock_is_enough(build):
    assert is_enough(build)


@pytest.mark.parametrize("build", SCENARIOS)
def test_removing_the_lock_breaks_the_law(build):
    assert is_needed(build)


def test_no_lock_in_gateway_is_without_a_scenario():
    scenarios = [build() for build in SCENARIOS]

    assert locks_in(Path(gateway.__file__).parent) == {(type(each.owner).__name__, each.lock) for each in scenarios}
