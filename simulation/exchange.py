"""One request, with its calls, its pauses and the result for its client, as in the gateway's exchange."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dialects.core.faults import Fault, FaultKind
from simulation.clock import VirtualClock
from simulation.contender import Contender, Deadline
from simulation.records import CallRecord, Records, RequestRecord
from simulation.upstream import Place, Upstream

_TOTAL = 600.0
"""The total seconds a request may take, which is the proxy's default."""
_SILENCES = 2
"""The number of calls of a request that may end without any answer."""

_TOO_SLOW = Fault(FaultKind.TIMEOUT, "The endpoint sent nothing for too long.")


@dataclass(frozen=True, slots=True)
class World:
    """The objects that all requests of a run share."""

    clock: VirtualClock
    contender: Contender
    upstream: Upstream
    pool: Mapping[str, Place]
    patience: float
    """The seconds that a call may be silent."""
    records: Records
    on_failure: Callable[[str], None]
    """Called with the name of the place after each failed call."""


def exchange(world: World, key: str, rng: random.Random) -> Iterator[float]:
    """Run one request of the conversation named *key*; yields the seconds that it waits for a model."""
    clock = world.clock
    record = RequestRecord(clock())
    world.records.requests.append(record)
    deadline = Deadline(clock, clock() + _TOTAL)
    calls = world.contender.begin(key, deadline)
    silences = 0
    while record.first_word is None and record.fault is None:
        call = calls.next()
        if isinstance(call, Fault):
            record.fault = call
            break
        noted = CallRecord(call.place, clock())
        world.records.calls.append(noted)
        answer = world.upstream.ask(world.pool[call.place], clock(), rng)
        patience = min(world.patience, deadline.left())
        yield min(answer.first, patience)
        noted.fault = _TOO_SLOW if answer.first > patience else answer.refusal
        if noted.fault:
            call.failed(noted.fault)
            silences += noted.fault is _TOO_SLOW
            if silences >= _SILENCES:
                record.fault = noted.fault
        else:
            record.first_word = clock()
            call.answered()
            yield answer.rest
            noted.fault = record.fault = answer.cut
            if answer.cut:
                call.failed(answer.cut)
            else:
                call.completed()
        if noted.fault:
            world.on_failure(call.place)
    record.ended = clock()
    calls.close()
