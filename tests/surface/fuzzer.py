"""Sends generated requests to proxies, and checks that no law is broken."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

from tests.surface import attacks
from tests.surface.case import Case, End
from tests.surface.contract import Answer
from tests.surface.proxies import Served, Usage
from tests.surface.talking import BrokenLawError, Talk

CLIENTS = 6
"""How many clients send at the same time."""
BATCH = 500
"""After so many requests all clients pause, and the proxies are measured."""
MOST_FINDS = 20
"""After so many finds the rest is not sent."""
_SHARES = {"keys": 5, "keyless": 3, "faulty": 2, "admin": 0.5}
_ATTACKS = 0.3
_DOCUMENTED_FAILURES = {502, 503, 504}


@dataclass(frozen=True, slots=True)
class Find:
    """A case that broke a law."""

    index: int
    case: Case
    law: str


@dataclass
class Outcome:
    """What a run has found."""

    seed: int
    finds: list[Find] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    names: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def case_at(index: int, seed: int, served: Mapping[str, Served]) -> Case:
    """The case of an index, which depends on the seed alone."""
    rng = Random(f"{seed}:{index}")
    [name] = rng.choices([*_SHARES], [*_SHARES.values()])
    is_attack = rng.random() < _ATTACKS or served[name].supervisor
    return (attacks.make(rng) if is_attack else served[name].requests.make(rng)).to(name)


def run(served: Mapping[str, Served], seed: int, count: int) -> Outcome:
    """Send *count* cases, and return what they found; one find for each law and kind of case."""
    outcome, began, known = Outcome(seed), time.monotonic(), set[tuple[str, str]]()

    def keep(find: Find) -> None:
        kind = (find.case.name, re.sub(r"\d+", "0", find.law)[:60])
        if kind not in known:
            known.add(kind)
            outcome.finds.append(find)

    def send(index: int) -> None:
        if len(outcome.finds) >= MOST_FINDS:
            return
        case = case_at(index, seed, served)
        outcome.names[case.name] += 1
        for law in broken(served[case.proxy], case, outcome.statuses):
            keep(Find(index, case, law))

    with ThreadPoolExecutor(CLIENTS) as pool:
        for start in range(0, count, BATCH):
            indexes = range(start, min(count, start + BATCH))
            list(pool.map(send, indexes))
            if len(outcome.finds) >= MOST_FINDS:
                break
            left = [(name, law) for name, each in served.items() for law in each.settle()]
            for name, law in left:
                keep(Find(start, Case("a whole batch", (b"",), proxy=name), law))
            if left:
                break
    outcome.seconds = time.monotonic() - began
    return outcome


def broken(served: Served, case: Case, statuses: Counter[int] | None = None) -> list[str]:
    """Send a case, and say which laws its answers break."""
    try:
        answers = Talk(served.port, case).answers()
    except BrokenLawError as error:
        return [str(error)]
    except OSError as error:
        return [f"no connection: {error!r}"]
    if statuses is not None:
        statuses.update(each.status for each in answers)
    laws = [law for each in answers for law in _of_status(served, case, each)]
    is_held = case.statuses and case.end not in (End.LEAVE, End.RESET) and not (served.may_fail or served.supervisor)
    if is_held and not (answers and answers[0].status in case.statuses):
        laws.append(f"the status is {[each.status for each in answers]}, not one of {case.statuses}")
    if case.end is End.READ and not served.supervisor:
        for asked, answer in zip(case.asked, answers, strict=False):
            laws += (f"{answer.status}: {law}" for law in served.contract.broken(asked.method, asked.target, answer))
    else:
        laws += (law for answer in answers for law in _of_errors(case, answer))
    return laws


def _of_status(served: Served, case: Case, answer: Answer) -> Iterator[str]:
    """No status of 500 or more, but those that were asked for."""
    if answer.status < 500 or (answer.status in _DOCUMENTED_FAILURES and served.may_fail):
        return
    targets = [each.target for each in case.asked]
    if answer.status == 503 and any(each.startswith("/router/events") for each in targets):
        return  # so many may watch at the same time, and no more
    if answer.status == 501 and case.end is not End.READ and b"transfer-encoding" in b"".join(case.pieces).lower():
        return
    yield f"the status {answer.status}: {answer.body[:300]!r}"


def _of_errors(case: Case, answer: Answer) -> Iterator[str]:
    """Whatever was refused, it is said in JSON, in the form of the error of some dialect."""
    is_head = any(piece.startswith(b"HEAD") for piece in case.pieces[:1])
    if answer.status < 400 or not answer.whole or is_head:
        return
    try:
        match json.loads(answer.body):
            case {"error": {"message": str(), "type": "upgrade"}} if answer.status == 426:
                return
            case {"error": {"message": str(), "type": str(), "param": _, "code": _}}:
                return
            case {"error": {"message": str(), "code": int(), "status": str()}}:
                return
            case {"type": "error", "error": {"message": str(), "type": str()}}:
                return
    except ValueError:
        pass
    yield f"{answer.status}: the error is in no client's form: {answer.body[:80]!r}"


def growth(usages: Sequence[Usage]) -> dict[str, float]:
    """How much a process has grown per 1,000 requests since it was warm: the slope of the second half."""
    late = usages[len(usages) // 2 :]
    return {name: _slope([getattr(each, name) for each in late]) * 1000 / BATCH for name in Usage.__dataclass_fields__}


def _slope(values: Sequence[float]) -> float:
    """The slope of the line of least squares, per step."""
    count = len(values)
    if count < 2:
        return 0.0
    middle, mean = (count - 1) / 2, sum(values) / count
    above = sum((at - middle) * (value - mean) for at, value in enumerate(values))
    return above / sum((at - middle) ** 2 for at in range(count))
